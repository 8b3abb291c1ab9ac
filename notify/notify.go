// Package notify tells apps by webhooks what happened to their posts and accounts.
//
// What is to be told is written by package db, in the transaction of the change
// that it tells of: one row for each endpoint that asked for it. A tick finds the
// endpoints that have something due and enqueues a task for each. The task claims
// the endpoint (new fence, lease) and delivers what is due: side by side, but of
// one post one after the other. So an app that is slow takes one place in the queue,
// whatever waits for it.
//
// A delivery that is cut off is made again: the receiver tells by webhook-id. The
// signature is that of the Standard Webhooks specification (standardwebhooks.com).
package notify

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	"github.com/sirupsen/logrus"

	"socialqueue/db"
	"socialqueue/egress"
	"socialqueue/models"
	"socialqueue/observe"
	"socialqueue/secrets"
)

// ErrConflict: the state of the endpoint does not allow what was asked.
var ErrConflict = errors.New("conflict")

// Queue takes the tasks that deliver.
type Queue interface {
	// EnqueueDeliver asks for one Deliver. That it is asked already is success.
	EnqueueDeliver(ctx context.Context, r db.EndpointRun) error
}

// Deps is what the service works with.
type Deps struct {
	DB *db.DB
	// Keys may be nil in a process that only schedules.
	Keys *secrets.Keyring
	// Queue may be nil in a process that does not schedule.
	Queue Queue
	// Guard decides where endpoints may be.
	Guard *egress.Guard
	// Metrics may be nil, where nobody looks at them.
	Metrics *observe.Metrics
	Log     logrus.FieldLogger
	Now     func() time.Time
}

// Service carries out the use cases of webhook endpoints. It is safe for concurrent
// use.
type Service struct {
	Deps
	sender *sender
}

// New makes a Service.
func New(deps Deps) *Service {
	now := deps.Now
	deps.Now = func() time.Time { return models.Time(now()) }
	if deps.Metrics == nil {
		deps.Metrics = observe.NewMetrics()
	}
	return &Service{Deps: deps, sender: newSender(deps.Guard)}
}

// Close ends the connections that are idle.
func (s *Service) Close() error {
	s.sender.transport.CloseIdleConnections()
	return nil
}

const (
	// maxEndpoints is how many endpoints an app may have.
	maxEndpoints = 20
	// secretBytes is the length of a secret (specification: 24 to 64).
	secretBytes = 32
	// bothSecrets is how long the old secret of an endpoint is used beside the new.
	bothSecrets = 24 * time.Hour
)

// newSecret makes a secret in the form of the specification.
func newSecret() secrets.Secret {
	raw := make([]byte, secretBytes)
	_, _ = rand.Read(raw) // never fails: crypto/rand ends the process instead
	return secrets.Secret("whsec_" + base64.StdEncoding.EncodeToString(raw))
}

// Create makes an endpoint of an app, and returns its secret, which is shown this
// one time. Bad input is models.FieldErrors. complete tells what to write into the
// request's idempotency key; nil: it has none.
func (s *Service) Create(ctx context.Context, appID int64, r Request, complete func(*models.WebhookEndpoint) (*db.Completion, error)) (*models.WebhookEndpoint, secrets.Secret, error) {
	if err := s.check(ctx, &r); err != nil {
		return nil, "", err
	}
	now, secret := s.Now(), newSecret()
	e := &models.WebhookEndpoint{
		ID: models.NewID(), AppID: appID, URL: *r.URL, Status: models.EndpointEnabled, CreatedAt: now, UpdatedAt: now,
	}
	if r.Description != nil {
		e.Description = *r.Description
	}
	if r.Events != nil {
		e.Events = joined(*r.Events)
	}
	var err error
	if e.Secret, err = s.Keys.Seal(secret, e.SealedIn(models.ColumnSecret)); err != nil {
		return nil, "", fmt.Errorf("seal the secret of a webhook endpoint: %w", err)
	}
	var done *db.Completion
	if complete != nil {
		if done, err = complete(e); err != nil {
			return nil, "", err
		}
	}
	err = s.DB.Outbox.CreateEndpoint(ctx, e, maxEndpoints, done)
	if errors.Is(err, db.ErrTooMany) {
		err = fmt.Errorf("%w: an app has at most %d webhook endpoints; delete one first", ErrConflict, maxEndpoints)
	}
	return e, secret, err
}

// Change changes an endpoint of an app. Bad input is models.FieldErrors, one that
// the app does not have is db.ErrNotFound.
func (s *Service) Change(ctx context.Context, appID int64, id string, r Request) (*models.WebhookEndpoint, error) {
	if _, err := s.DB.Outbox.Endpoint(ctx, appID, id); err != nil {
		return nil, err
	}
	if err := s.check(ctx, &r); err != nil {
		return nil, err
	}
	change := db.EndpointChange{URL: r.URL, Description: r.Description, Status: r.Status}
	if r.Events != nil {
		list := joined(*r.Events)
		change.Events = &list
	}
	if r.Status != nil && *r.Status == models.EndpointDisabled {
		change.StatusReason = models.DisabledByApp
	}
	if err := s.DB.Outbox.ChangeEndpoint(ctx, appID, id, change, s.Now()); err != nil {
		return nil, err
	}
	return s.DB.Outbox.Endpoint(ctx, appID, id)
}

// Rotate gives an endpoint a new secret and returns it. For 24 hours, until the
// time in the endpoint, webhooks are signed with the old one too.
func (s *Service) Rotate(ctx context.Context, appID int64, id string) (*models.WebhookEndpoint, secrets.Secret, error) {
	e, err := s.DB.Outbox.Endpoint(ctx, appID, id)
	if err != nil {
		return nil, "", err
	}
	old, err := s.Keys.Open(e.Secret, e.SealedIn(models.ColumnSecret))
	if err != nil {
		return nil, "", fmt.Errorf("open the secret of webhook endpoint %s: %w", id, err)
	}
	secret, now := newSecret(), s.Now()
	sealed, err := s.Keys.Seal(secret, e.SealedIn(models.ColumnSecret))
	if err != nil {
		return nil, "", fmt.Errorf("seal the secret of webhook endpoint %s: %w", id, err)
	}
	sealedOld, err := s.Keys.Seal(old, e.SealedIn(models.ColumnOldSecret))
	if err != nil {
		return nil, "", fmt.Errorf("seal the secret of webhook endpoint %s: %w", id, err)
	}
	err = s.DB.Outbox.RotateSecret(ctx, e, sealed, sealedOld, now.Add(bothSecrets), now)
	if errors.Is(err, db.ErrStale) {
		return nil, "", fmt.Errorf("%w: the secret was rotated by another request in this moment", ErrConflict)
	}
	if err != nil {
		return nil, "", err
	}
	e, err = s.DB.Outbox.Endpoint(ctx, appID, id)
	return e, secret, err
}

// Test has an endpoint told that this is a test.
func (s *Service) Test(ctx context.Context, appID int64, id string) (*models.WebhookDelivery, error) {
	e, err := s.DB.Outbox.Endpoint(ctx, appID, id)
	if err != nil {
		return nil, err
	}
	if e.Status != models.EndpointEnabled {
		return nil, errDisabled(e)
	}
	return s.DB.Outbox.TestEndpoint(ctx, e, s.Now())
}

// Redeliver has a delivery tried at once, whatever came of it before.
func (s *Service) Redeliver(ctx context.Context, appID, id int64) (*models.WebhookDelivery, error) {
	delivery, err := s.DB.Outbox.Delivery(ctx, appID, id)
	if err != nil {
		return nil, err
	}
	e, err := s.DB.Outbox.Endpoint(ctx, appID, delivery.EndpointID)
	if err != nil {
		return nil, err
	}
	if e.Status != models.EndpointEnabled {
		return nil, errDisabled(e)
	}
	if err := s.DB.Outbox.Redeliver(ctx, delivery, s.Now()); err != nil {
		return nil, err
	}
	return s.DB.Outbox.Delivery(ctx, appID, id)
}

func errDisabled(e *models.WebhookEndpoint) error {
	return fmt.Errorf(`%w: the endpoint is disabled (%s); enable it first: PATCH /api/webhook-endpoints/%s {"status":"enabled"}`, ErrConflict, e.StatusReason, e.ID)
}

const (
	// dueBatch is how many endpoints one tick enqueues.
	dueBatch = 500
	// keepFor is how long deliveries are kept, whatever came of them.
	keepFor = 30 * 24 * time.Hour
	// givenUpFor is how much later than its time a delivery is given up that nobody
	// tried then, because its endpoint failed all the while or is disabled.
	givenUpFor = time.Hour
	// cleanBatch is how many deliveries one tick gives up, or deletes, at most.
	cleanBatch = 5000
)

// EnqueueDue enqueues a task for every endpoint that has something due. It is one
// tick of the scheduler.
func (s *Service) EnqueueDue(ctx context.Context) error {
	due, err := s.DB.Outbox.DueEndpoints(ctx, s.Now(), dueBatch)
	if err != nil {
		return err
	}
	for _, r := range due {
		if err := s.Queue.EnqueueDeliver(ctx, r); err != nil {
			return err
		}
	}
	return nil
}

// CleanUp gives up what was tried for too long, and deletes what is old. It is one
// tick of the scheduler.
func (s *Service) CleanUp(ctx context.Context) error {
	now := s.Now()
	if err := s.DB.Outbox.GiveUpDeliveries(ctx, now.Add(-givenUpFor), now, cleanBatch); err != nil {
		return err
	}
	return s.DB.Outbox.PruneDeliveries(ctx, now.Add(-keepFor), cleanBatch)
}
