package db

import (
	"context"
	"errors"
	"fmt"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"socialqueue/models"
	"socialqueue/view"
)

// ErrTooMany means that an app has reached a limit.
var ErrTooMany = errors.New("the limit is reached")

// CreateEndpoint stores an endpoint and completes the request's idempotency key, if it has
// one, in the same transaction. It returns ErrTooMany if the app already has most endpoints.
func (s *Outbox) CreateEndpoint(ctx context.Context, e *models.WebhookEndpoint, most int, done *Completion) error {
	return s.completing(ctx, done, func(tx *gorm.DB) error {
		return tx.Transaction(func(tx *gorm.DB) error { return createEndpoint(tx, e, most) })
	})
}

func createEndpoint(tx *gorm.DB, e *models.WebhookEndpoint, most int) error {
	// The lock on the app's row serializes the count and the insert.
	err := tx.Clauses(clause.Locking{Strength: lockAccount}).Take(&models.App{}, e.AppID).Error
	if err := first(err, fmt.Sprintf("app %d", e.AppID)); err != nil {
		return err
	}
	var n int64
	if err := tx.Model(e).Where("app_id = ? AND deleted_at IS NULL", e.AppID).Count(&n).Error; err != nil {
		return fmt.Errorf("count webhook endpoints: %w", err)
	}
	if n >= int64(most) {
		return ErrTooMany
	}
	if err := tx.Create(e).Error; err != nil {
		return fmt.Errorf("store webhook endpoint: %w", err)
	}
	return nil
}

// Endpoint reads an endpoint of an app. It returns ErrNotFound if there is none.
func (s *Outbox) Endpoint(ctx context.Context, appID int64, id string) (*models.WebhookEndpoint, error) {
	var e models.WebhookEndpoint
	err := s.orm.WithContext(ctx).Where("app_id = ? AND id = ? AND deleted_at IS NULL", appID, id).Take(&e).Error
	return &e, first(err, "webhook endpoint "+id)
}

// Endpoints lists the endpoints of an app, oldest first.
func (s *Outbox) Endpoints(ctx context.Context, appID int64) ([]models.WebhookEndpoint, error) {
	var all []models.WebhookEndpoint
	if err := s.orm.WithContext(ctx).Where("app_id = ? AND deleted_at IS NULL", appID).Order("id").Find(&all).Error; err != nil {
		return nil, fmt.Errorf("list webhook endpoints: %w", err)
	}
	return all, nil
}

// EndpointChange is an app's change of an endpoint. Nil fields stay as they are.
type EndpointChange struct {
	URL, Description, Events *string
	Status                   *models.EndpointStatus
	// StatusReason is written with Status.
	StatusReason string
}

// ChangeEndpoint changes an endpoint of an app. Enabling the endpoint or changing its URL
// resets its failures and makes its pending deliveries due.
func (s *Outbox) ChangeEndpoint(ctx context.Context, appID int64, id string, c EndpointChange, now time.Time) error {
	set := map[string]any{"updated_at": now}
	for column, value := range map[string]*string{"url": c.URL, "description": c.Description, "events": c.Events} {
		if value != nil {
			set[column] = *value
		}
	}
	if c.Status != nil {
		set["status"], set["status_reason"] = *c.Status, c.StatusReason
	}
	reset := c.Status != nil && *c.Status == models.EndpointEnabled || c.URL != nil
	if reset {
		set["failures"], set["failing_since"], set["rest_until"] = 0, nil, nil
	}
	return s.orm.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		if err := setEndpoint(tx, appID, id, set); err != nil || !reset {
			return err
		}
		err := tx.Model(&models.WebhookDelivery{}).Where("endpoint_id = ? AND status = ?", id, models.DeliveryPending).UpdateColumn("next_at", now).Error
		return wrap(err, "make the deliveries of webhook endpoint %s due", id)
	})
}

// RotateSecret gives an endpoint a new secret. Deliveries are signed with the old one too
// until then. Both are encrypted, each for its own column. It returns ErrStale if the
// secret was changed meanwhile.
func (s *Outbox) RotateSecret(ctx context.Context, e *models.WebhookEndpoint, secret, old string, until, now time.Time) error {
	res := s.orm.WithContext(ctx).Model(e).Where("secret = ? AND deleted_at IS NULL", e.Secret).UpdateColumns(map[string]any{
		"secret": secret, "old_secret": old, "old_secret_until": until, "updated_at": now,
	})
	return changedOne(res, "rotate the secret of webhook endpoint "+e.ID)
}

// DeleteEndpoint marks an endpoint of an app as deleted. PruneDeliveries later deletes the
// row and its deliveries.
func (s *Outbox) DeleteEndpoint(ctx context.Context, appID int64, id string, now time.Time) error {
	return setEndpoint(s.orm.WithContext(ctx), appID, id, map[string]any{"deleted_at": now, "secret": "", "old_secret": "", "updated_at": now})
}

func setEndpoint(tx *gorm.DB, appID int64, id string, set map[string]any) error {
	res := tx.Model(&models.WebhookEndpoint{}).
		Where("app_id = ? AND id = ? AND deleted_at IS NULL", appID, id).UpdateColumns(set)
	ok, err := changedAny(res, "change webhook endpoint "+id)
	if err == nil && !ok {
		err = fmt.Errorf("webhook endpoint %s: %w", id, ErrNotFound)
	}
	return err
}

// DeliveryFilter selects deliveries of an endpoint. Zero values do not filter.
type DeliveryFilter struct {
	EndpointID string
	Status     models.DeliveryStatus
	// Before is the cursor: the id of the last delivery of the previous page.
	Before int64
	Limit  int
}

// Deliveries lists the deliveries of an endpoint, newest first.
func (s *Outbox) Deliveries(ctx context.Context, f DeliveryFilter) ([]models.WebhookDelivery, error) {
	q := s.orm.WithContext(ctx).Where("endpoint_id = ?", f.EndpointID)
	if f.Status != "" {
		q = q.Where("status = ?", f.Status)
	}
	if f.Before != 0 {
		q = q.Where("id < ?", f.Before)
	}
	var all []models.WebhookDelivery
	if err := q.Order("id DESC").Limit(f.Limit).Find(&all).Error; err != nil {
		return nil, fmt.Errorf("list the deliveries of webhook endpoint %s: %w", f.EndpointID, err)
	}
	return all, nil
}

// Attempts lists the attempts of deliveries, oldest first, by the delivery's id.
func (s *Outbox) Attempts(ctx context.Context, deliveries []int64) (map[int64][]models.WebhookAttempt, error) {
	var all []models.WebhookAttempt
	if err := s.orm.WithContext(ctx).Where("delivery_id IN ?", deliveries).Order("id").Find(&all).Error; err != nil {
		return nil, fmt.Errorf("list the attempts of deliveries: %w", err)
	}
	of := make(map[int64][]models.WebhookAttempt, len(deliveries))
	for _, a := range all {
		of[a.DeliveryID] = append(of[a.DeliveryID], a)
	}
	return of, nil
}

// Delivery reads a delivery of an app. It returns ErrNotFound if there is none.
func (s *Outbox) Delivery(ctx context.Context, appID, id int64) (*models.WebhookDelivery, error) {
	var found models.WebhookDelivery
	err := s.orm.WithContext(ctx).Joins("JOIN webhook_endpoints e ON e.id = webhook_deliveries.endpoint_id").
		Where("webhook_deliveries.id = ? AND e.app_id = ? AND e.deleted_at IS NULL", id, appID).Take(&found).Error
	return &found, first(err, fmt.Sprintf("webhook delivery %d", id))
}

// Redeliver makes a delivery due at once, ends its endpoint's backoff, and gives the
// delivery the full retry time again.
func (s *Outbox) Redeliver(ctx context.Context, delivery *models.WebhookDelivery, now time.Time) error {
	return s.orm.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		if err := endBackoff(tx, delivery.EndpointID); err != nil {
			return err
		}
		err := tx.Model(delivery).UpdateColumns(map[string]any{
			"status": models.DeliveryPending, "next_at": now, "give_up_at": now.Add(deliverFor), "settled_at": nil,
		}).Error
		return wrap(err, "requeue delivery %d", delivery.ID)
	})
}

func endBackoff(tx *gorm.DB, endpointID string) error {
	err := tx.Model(&models.WebhookEndpoint{}).Where("id = ?", endpointID).UpdateColumn("rest_until", nil).Error
	return wrap(err, "end the backoff of webhook endpoint %s", endpointID)
}

// recentDeliveries is how many deliveries of an endpoint CountTests looks at.
const recentDeliveries = 500

// CountTests counts the test events among the newest deliveries of an endpoint that were
// created since a time.
func (s *Outbox) CountTests(ctx context.Context, endpointID string, since time.Time) (int64, error) {
	var n int64
	err := s.orm.WithContext(ctx).Raw(`
		SELECT COUNT(*) FROM (SELECT event_type, created_at FROM webhook_deliveries WHERE endpoint_id = ? ORDER BY id DESC LIMIT ?) newest
		WHERE event_type = ? AND created_at > ?`, endpointID, recentDeliveries, models.EventEndpointTest, since).Scan(&n).Error
	return n, wrap(err, "count the test events of webhook endpoint %s", endpointID)
}

// TestEndpoint stores a delivery of an endpoint.test event.
func (s *Outbox) TestEndpoint(ctx context.Context, e *models.WebhookEndpoint, now time.Time) (*models.WebhookDelivery, error) {
	test := outboxEvent{kind: models.EventEndpointTest, subject: "test:" + models.NewID(), fill: func(*view.Event) {}}
	row, err := test.delivery(false, now)
	if err != nil {
		return nil, err
	}
	row.EndpointID = e.ID
	err = s.orm.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		if err := endBackoff(tx, e.ID); err != nil {
			return err
		}
		return wrap(tx.Create(&row).Error, "store the test of webhook endpoint %s", e.ID)
	})
	return &row, err
}
