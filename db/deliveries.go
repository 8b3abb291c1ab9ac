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

// EndpointRun names an endpoint that has something due, and the fence that it has.
type EndpointRun struct {
	ID    string
	Fence int64
}

// goesFirst holds for a delivery d that waits for no other of its subject. It is
// asked of one delivery after the other, each by an index: as a join of an endpoint's
// deliveries with themselves, which PostgreSQL makes of NOT EXISTS, it takes a second
// for 1,500 of them.
const goesFirst = `d.id = (SELECT MIN(b.id) FROM webhook_deliveries b
	WHERE b.endpoint_id = d.endpoint_id AND b.subject = d.subject AND b.status = 'pending')`

// DueEndpoints lists the endpoints that have something to be told now, and that
// nobody is just telling.
func (s *Outbox) DueEndpoints(ctx context.Context, now time.Time, limit int) ([]EndpointRun, error) {
	var due []EndpointRun
	err := s.orm.WithContext(ctx).Model(&models.WebhookEndpoint{}).Select("id", "fence").
		Where("status = ? AND deleted_at IS NULL", models.EndpointEnabled).
		Where("(lease_until IS NULL OR lease_until < ?) AND (rest_until IS NULL OR rest_until <= ?)", now, now).
		Where(`EXISTS (SELECT 1 FROM webhook_deliveries d
			WHERE d.endpoint_id = webhook_endpoints.id AND d.status = 'pending' AND d.next_at <= ? AND `+goesFirst+`)`, now).
		Limit(limit).Find(&due).Error
	if err != nil {
		return nil, fmt.Errorf("list the webhook endpoints that have something due: %w", err)
	}
	return due, nil
}

// ClaimEndpoint makes the caller the only one who delivers to an endpoint, until
// lease from now on. ErrStale: the task that asks is an old one.
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

// EndpointHealth is what the last tries say of an endpoint.
type EndpointHealth struct {
	Failures     int
	FailingSince *time.Time
	BackoffUntil *time.Time
	// Disable, if it is not empty, is why the endpoint is not told any more.
	Disable string
}

// KeepEndpoint writes an endpoint's health and prolongs the caller's claim; without
// a lease it gives the claim up. It reads what the app changed meanwhile into e.
// ErrStale: another run has the endpoint, or it is not told any more.
func (s *Outbox) KeepEndpoint(ctx context.Context, e *models.WebhookEndpoint, h EndpointHealth, leaseUntil *time.Time, now time.Time) error {
	set := map[string]any{"failures": h.Failures, "failing_since": h.FailingSince, "rest_until": h.BackoffUntil, "lease_until": leaseUntil}
	if h.Disable != "" {
		set["status"], set["status_reason"], set["lease_until"], set["updated_at"] = models.EndpointDisabled, h.Disable, nil, now
	}
	orm := s.orm.WithContext(ctx)
	res := orm.Model(&models.WebhookEndpoint{}).
		Where("id = ? AND fence = ? AND status = ? AND deleted_at IS NULL", e.ID, e.Fence, models.EndpointEnabled).UpdateColumns(set)
	if err := changedOne(res, "keep webhook endpoint "+e.ID); err != nil {
		return err
	}
	// A row that is read into one that has values leaves those where it has NULL.
	var stored models.WebhookEndpoint
	if err := first(orm.Where("id = ?", e.ID).Take(&stored).Error, "webhook endpoint "+e.ID); err != nil {
		return err
	}
	*e = stored
	return nil
}

// DueDeliveries lists what an endpoint is to be told now, the longest waiting
// first. Of one subject it lists only the first that is not settled.
func (s *Outbox) DueDeliveries(ctx context.Context, endpointID string, now time.Time, limit int) ([]models.WebhookDelivery, error) {
	var due []models.WebhookDelivery
	err := s.orm.WithContext(ctx).Raw(`
		SELECT d.* FROM webhook_deliveries d
		WHERE d.endpoint_id = @endpoint AND d.status = 'pending' AND d.next_at <= @now AND `+goesFirst+`
		ORDER BY d.next_at, d.id LIMIT @limit`,
		map[string]any{"endpoint": endpointID, "now": now, "limit": limit}).Scan(&due).Error
	if err != nil {
		return nil, fmt.Errorf("list what is due at webhook endpoint %s: %w", endpointID, err)
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

// EndAttempt writes a try of a delivery, and what follows from it. If somebody else
// wrote one meanwhile it changes nothing: the event was sent twice, and counts once.
func (s *Outbox) EndAttempt(ctx context.Context, delivery *models.WebhookDelivery, a models.WebhookAttempt) error {
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
		return wrap(tx.Create(&a).Error, "write the try of delivery %d", delivery.ID)
	})
}

// GiveUpDeliveries ends the deliveries that should have been given up before then,
// and were not tried since.
func (s *Outbox) GiveUpDeliveries(ctx context.Context, before, now time.Time, limit int) error {
	err := s.orm.WithContext(ctx).Exec(`
		UPDATE webhook_deliveries SET status = 'failed', next_at = NULL, settled_at = ? WHERE id IN (
			SELECT id FROM webhook_deliveries WHERE status = 'pending' AND give_up_at < ? ORDER BY give_up_at LIMIT ?)`, now, before, limit).Error
	return wrap(err, "give up deliveries")
}

// PruneDeliveries deletes deliveries that were made before then, and endpoints that
// were deleted, limit deliveries of each at most.
func (s *Outbox) PruneDeliveries(ctx context.Context, before time.Time, limit int) error {
	orm := s.orm.WithContext(ctx)
	err := orm.Exec(`DELETE FROM webhook_deliveries WHERE id IN (
		SELECT id FROM webhook_deliveries WHERE created_at < ? ORDER BY created_at LIMIT ?)`, before, limit).Error
	if err == nil {
		err = orm.Exec(`DELETE FROM webhook_deliveries WHERE id IN (
			SELECT d.id FROM webhook_deliveries d JOIN webhook_endpoints e ON e.id = d.endpoint_id
			WHERE e.deleted_at IS NOT NULL ORDER BY d.id LIMIT ?)`, limit).Error
	}
	if err == nil {
		err = orm.Exec(`DELETE FROM webhook_endpoints WHERE deleted_at IS NOT NULL
			AND NOT EXISTS (SELECT 1 FROM webhook_deliveries d WHERE d.endpoint_id = webhook_endpoints.id)`).Error
	}
	return wrap(err, "prune webhook deliveries")
}
