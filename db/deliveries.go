package db

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"gorm.io/gorm"

	"socialqueue/models"
	"socialqueue/view"
)

// EndpointRun is an endpoint with due deliveries, and its fence.
type EndpointRun struct {
	ID    string
	AppID int64
	Fence int64
}

// firstOfSubject is true for a delivery d if no earlier delivery of its subject is pending.
// The subquery uses an index for each delivery. PostgreSQL turns NOT EXISTS into a self-join
// of the endpoint's deliveries, which takes a second for 1,500 of them.
const firstOfSubject = `d.id = (SELECT MIN(b.id) FROM webhook_deliveries b
	WHERE b.endpoint_id = d.endpoint_id AND b.subject = d.subject AND b.status = 'pending')`

// DueEndpoints lists the endpoints that have due deliveries and no run in progress.
func (s *Outbox) DueEndpoints(ctx context.Context, now time.Time, limit int) ([]EndpointRun, error) {
	var due []EndpointRun
	err := s.orm.WithContext(ctx).Model(&models.WebhookEndpoint{}).Select("id", "app_id", "fence").
		Where("status = ? AND deleted_at IS NULL", models.EndpointEnabled).
		Where("(lease_until IS NULL OR lease_until < ?) AND (rest_until IS NULL OR rest_until <= ?)", now, now).
		Where(`EXISTS (SELECT 1 FROM webhook_deliveries d
			WHERE d.endpoint_id = webhook_endpoints.id AND d.status = 'pending' AND d.next_at <= ? AND `+firstOfSubject+`)`, now).
		Limit(limit).Find(&due).Error
	if err != nil {
		return nil, fmt.Errorf("list the webhook endpoints with due deliveries: %w", err)
	}
	return due, nil
}

// ClaimEndpoint gives the caller the exclusive right to deliver to an endpoint for the
// duration of lease. It returns ErrStale if the task is outdated or another run has the
// endpoint.
func (s *Outbox) ClaimEndpoint(ctx context.Context, r EndpointRun, now time.Time, lease time.Duration) (*models.WebhookEndpoint, error) {
	orm := s.orm.WithContext(ctx)
	res := orm.Model(&models.WebhookEndpoint{}).
		Where("id = ? AND fence = ? AND status = ? AND deleted_at IS NULL", r.ID, r.Fence, models.EndpointEnabled).
		Where("lease_until IS NULL OR lease_until < ?", now).
		UpdateColumns(map[string]any{"fence": gorm.Expr("fence + 1"), "lease_until": now.Add(lease)})
	if err := changedOne(res, "claim webhook endpoint "+r.ID); err != nil {
		return nil, err
	}
	var e models.WebhookEndpoint
	err := first(orm.Where("id = ?", r.ID).Take(&e).Error, "webhook endpoint "+r.ID)
	if err == nil && e.Fence != r.Fence+1 {
		err = fmt.Errorf("claim webhook endpoint %s: %w", r.ID, ErrStale)
	}
	return &e, err
}

// EndpointHealth is the state of an endpoint after its last attempts.
type EndpointHealth struct {
	Failures     int
	FailingSince *time.Time
	BackoffUntil *time.Time
	// Disable disables the endpoint if it is not empty; it is the reason.
	Disable string
}

// SaveHealth writes an endpoint's health and extends the caller's lease to leaseUntil; nil
// releases it. It then reads the endpoint into e again, as the app may have changed it. It
// returns ErrStale if another run has the endpoint, or if it was disabled or deleted.
func (s *Outbox) SaveHealth(ctx context.Context, e *models.WebhookEndpoint, h EndpointHealth, leaseUntil *time.Time, now time.Time) error {
	set := map[string]any{"failures": h.Failures, "failing_since": h.FailingSince, "rest_until": h.BackoffUntil, "lease_until": leaseUntil}
	if h.Disable != "" {
		set["status"], set["status_reason"], set["lease_until"], set["updated_at"] = models.EndpointDisabled, h.Disable, nil, now
	}
	orm := s.orm.WithContext(ctx)
	res := orm.Model(&models.WebhookEndpoint{}).
		Where("id = ? AND fence = ? AND status = ? AND deleted_at IS NULL", e.ID, e.Fence, models.EndpointEnabled).UpdateColumns(set)
	if err := changedOne(res, "write the health of webhook endpoint "+e.ID); err != nil {
		return err
	}
	// GORM leaves a field unchanged where the column is NULL, so read into an empty struct.
	var stored models.WebhookEndpoint
	if err := first(orm.Where("id = ?", e.ID).Take(&stored).Error, "webhook endpoint "+e.ID); err != nil {
		return err
	}
	*e = stored
	return nil
}

// DueDeliveries lists the due deliveries of an endpoint, the longest waiting first. Per
// subject it lists only the first pending one.
func (s *Outbox) DueDeliveries(ctx context.Context, endpointID string, now time.Time, limit int) ([]models.WebhookDelivery, error) {
	var due []models.WebhookDelivery
	err := s.orm.WithContext(ctx).Raw(`
		SELECT d.* FROM webhook_deliveries d
		WHERE d.endpoint_id = @endpoint AND d.status = 'pending' AND d.next_at <= @now AND `+firstOfSubject+`
		ORDER BY d.next_at, d.id LIMIT @limit`,
		map[string]any{"endpoint": endpointID, "now": now, "limit": limit}).Scan(&due).Error
	if err != nil {
		return nil, fmt.Errorf("list the due deliveries of webhook endpoint %s: %w", endpointID, err)
	}
	return due, s.flagRestored(ctx, due)
}

// flagRestored says in events from before a restore that the app may have had them already:
// what became of their delivery is not in the restored database.
func (s *Outbox) flagRestored(ctx context.Context, due []models.WebhookDelivery) error {
	if len(due) == 0 {
		return nil
	}
	newest, err := newestRestore(s.orm.WithContext(ctx))
	if err != nil || newest == nil {
		return wrap(err, "read the newest restore")
	}
	for i := range due {
		if !due[i].CreatedAt.Before(newest.FoundAt) {
			continue
		}
		var event view.Event
		if err := json.Unmarshal([]byte(due[i].Payload), &event); err != nil {
			return fmt.Errorf("read the payload of delivery %d: %w", due[i].ID, err)
		}
		event.Restored = true
		payload, err := json.Marshal(event)
		if err != nil {
			return fmt.Errorf("encode the payload of delivery %d: %w", due[i].ID, err)
		}
		due[i].Payload = string(payload)
	}
	return nil
}

// RecordAttempt stores an attempt and the new state of its delivery. It changes nothing if
// another run recorded an attempt meanwhile: the event was then sent twice, and only one
// attempt counts.
func (s *Outbox) RecordAttempt(ctx context.Context, delivery *models.WebhookDelivery, a models.WebhookAttempt) error {
	return s.orm.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		res := tx.Model(&models.WebhookDelivery{}).
			Where("id = ? AND status = ? AND attempts = ?", delivery.ID, models.DeliveryPending, delivery.Attempts-1).
			UpdateColumns(map[string]any{
				"status": delivery.Status, "attempts": delivery.Attempts, "next_at": delivery.NextAt, "settled_at": delivery.SettledAt,
			})
		if ok, err := changedAny(res, fmt.Sprintf("write delivery %d", delivery.ID)); err != nil || !ok {
			return err
		}
		a.DeliveryID = delivery.ID
		return wrap(tx.Create(&a).Error, "write the attempt of delivery %d", delivery.ID)
	})
}

// GiveUpDeliveries marks pending deliveries as failed whose GiveUpAt is earlier than before.
func (s *Outbox) GiveUpDeliveries(ctx context.Context, before, now time.Time, limit int) (givenUp int64, err error) {
	res := s.orm.WithContext(ctx).Exec(`
		UPDATE webhook_deliveries SET status = 'failed', next_at = NULL, settled_at = ? WHERE id IN (
			SELECT id FROM webhook_deliveries WHERE status = 'pending' AND give_up_at < ? ORDER BY give_up_at LIMIT ?)`, now, before, limit)
	return res.RowsAffected, wrap(res.Error, "give up deliveries")
}

// PruneDeliveries deletes deliveries that were created earlier than before, and those of
// deleted endpoints, at most limit of each kind. Then it deletes the deleted endpoints that
// have no deliveries left. It returns how many of a kind it deleted at most.
func (s *Outbox) PruneDeliveries(ctx context.Context, before time.Time, limit int) (deleted int64, err error) {
	orm := s.orm.WithContext(ctx)
	old := orm.Exec(`DELETE FROM webhook_deliveries WHERE id IN (
		SELECT id FROM webhook_deliveries WHERE created_at < ? ORDER BY created_at LIMIT ?)`, before, limit)
	if old.Error != nil {
		return 0, fmt.Errorf("prune webhook deliveries: %w", old.Error)
	}
	left := orm.Exec(`DELETE FROM webhook_deliveries WHERE id IN (
		SELECT d.id FROM webhook_deliveries d JOIN webhook_endpoints e ON e.id = d.endpoint_id
		WHERE e.deleted_at IS NOT NULL ORDER BY d.id LIMIT ?)`, limit)
	if left.Error != nil {
		return 0, fmt.Errorf("prune the deliveries of deleted endpoints: %w", left.Error)
	}
	err = orm.Exec(`DELETE FROM webhook_endpoints WHERE deleted_at IS NOT NULL
		AND NOT EXISTS (SELECT 1 FROM webhook_deliveries d WHERE d.endpoint_id = webhook_endpoints.id)`).Error
	return max(old.RowsAffected, left.RowsAffected), wrap(err, "prune webhook endpoints")
}

// PruneOverdue returns how much older than before the oldest delivery is, or how long ago the
// oldest deleted endpoint was deleted that still has its row, whichever is longer; 0 if there
// is neither.
func (s *Outbox) PruneOverdue(ctx context.Context, before, now time.Time) (time.Duration, error) {
	old, err := s.overdue(ctx, before, "SELECT created_at AS first FROM webhook_deliveries WHERE created_at < @before ORDER BY created_at LIMIT 1")
	if err != nil {
		return 0, wrap(err, "find the oldest webhook delivery to prune")
	}
	deleted, err := s.overdue(ctx, now, "SELECT deleted_at AS first FROM webhook_endpoints WHERE deleted_at < @before ORDER BY deleted_at LIMIT 1")
	return max(old, deleted), wrap(err, "find the oldest webhook endpoint to prune")
}
