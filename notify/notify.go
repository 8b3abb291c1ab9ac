// Package notify sends apps webhooks about their posts and accounts.
//
// Package db stores each event in the transaction of the change that it reports: one
// delivery for each endpoint that subscribed to it. A tick finds the endpoints with due
// deliveries and enqueues a task for each. The task claims the endpoint (new fence, lease)
// and sends the due deliveries: in parallel, but those of one post in order. So a slow app
// occupies one worker slot, however many deliveries wait.
//
// An interrupted delivery is made again; the receiver recognizes it by its webhook-id.
// Signatures follow the Standard Webhooks specification (standardwebhooks.com).
package notify

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"net/http"
	"time"

	"github.com/sirupsen/logrus"

	"socialqueue/db"
	"socialqueue/egress"
	"socialqueue/models"
	"socialqueue/observe"
	"socialqueue/secrets"
)

// ErrConflict means that the state of the endpoint does not allow the request.
var ErrConflict = errors.New("conflict")

// Queue enqueues deliveries.
type Queue interface {
	// EnqueueDeliver enqueues one Deliver. If the task exists already, it returns nil.
	EnqueueDeliver(ctx context.Context, r db.EndpointRun) error
}

// Deps holds the dependencies of a Service.
type Deps struct {
	DB *db.DB
	// Keys may be nil in a process that only schedules.
	Keys *secrets.Keyring
	// Queue may be nil in a process that does not schedule.
	Queue Queue
	// Guard decides which addresses endpoints may have.
	Guard *egress.Guard
	// Metrics may be nil if none are exported.
	Metrics *observe.Metrics
	Log     logrus.FieldLogger
	Now     func() time.Time
	// Transport carries the calls to apps. Nil means one that Guard guards.
	Transport Transport
	// Rand returns numbers from 0 to 1 that spread the waits. Nil means math/rand.
	Rand func() float64
}

// Transport carries HTTP, and can give up the connections that it keeps.
type Transport interface {
	http.RoundTripper
	CloseIdleConnections()
}

// Service implements the use cases of webhook endpoints. It is safe for concurrent use.
type Service struct {
	Deps
	sender *sender
}

// New returns a Service.
func New(deps Deps) *Service {
	now := deps.Now
	deps.Now = func() time.Time { return models.Time(now()) }
	if deps.Metrics == nil {
		deps.Metrics = observe.NewMetrics()
	}
	if deps.Transport == nil {
		deps.Transport = guarded(deps.Guard)
	}
	if deps.Rand == nil {
		deps.Rand = mathrand.Float64
	}
	return &Service{Deps: deps, sender: &sender{deps.Transport, callTimeout}}
}

// Close closes idle connections.
func (s *Service) Close() error {
	s.sender.transport.CloseIdleConnections()
	return nil
}

const (
	// maxEndpoints is how many endpoints an app may have.
	maxEndpoints = 20
	// secretBytes is the length of a secret (specification: 24 to 64).
	secretBytes = 32
	// bothSecrets is how long webhooks are also signed with the old secret after a rotation.
	bothSecrets = 24 * time.Hour
)

// newSecret returns a new secret in the form of the specification.
func newSecret() secrets.Secret {
	raw := make([]byte, secretBytes)
	_, _ = rand.Read(raw) // never fails: crypto/rand crashes the program instead
	return secrets.Secret("whsec_" + base64.StdEncoding.EncodeToString(raw))
}

// Create creates an endpoint of an app. It returns the endpoint and its secret, which is
// not shown again. Bad input is models.FieldErrors. complete returns what to store with the
// request's idempotency key; it is nil if there is none.
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

// Change changes an endpoint of an app. Bad input is models.FieldErrors; an endpoint that
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

// Rotate gives an endpoint a new secret and returns it. For 24 hours, until OldSecretUntil,
// webhooks are also signed with the old one.
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
		return nil, "", fmt.Errorf("%w: another request has just rotated the secret", ErrConflict)
	}
	if err != nil {
		return nil, "", err
	}
	e, err = s.DB.Outbox.Endpoint(ctx, appID, id)
	return e, secret, err
}

// Test enqueues a test event for an endpoint. It returns *models.QuotaError if the app sends
// too many: each is stored for weeks.
func (s *Service) Test(ctx context.Context, appID int64, id string) (*models.WebhookDelivery, error) {
	e, err := s.DB.Outbox.Endpoint(ctx, appID, id)
	if err != nil {
		return nil, err
	}
	if e.Status != models.EndpointEnabled {
		return nil, errDisabled(e)
	}
	sent, err := s.DB.Outbox.CountTests(ctx, e.ID, s.Now().Add(-time.Hour))
	if err != nil {
		return nil, err
	}
	if sent >= models.MaxEndpointTests {
		return nil, &models.QuotaError{Whose: "endpoint", Of: "test events within an hour", Most: models.MaxEndpointTests}
	}
	return s.DB.Outbox.TestEndpoint(ctx, e, s.Now())
}

// Redeliver makes a delivery due now, whatever its status.
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
	// keepFor is how long deliveries are stored, whatever their result.
	keepFor = 30 * 24 * time.Hour
	// givenUpFor is how long after GiveUpAt a delivery is given up that was not tried then,
	// because its endpoint was failing or disabled.
	givenUpFor = time.Hour
	// cleanBatch is how many deliveries one tick gives up, or deletes, at most.
	cleanBatch = 5000
)

// EnqueueDue enqueues a task for every endpoint with due deliveries. It is one tick of the
// scheduler.
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

// CleanUp gives up a batch of deliveries that failed for too long, and deletes a batch of old
// ones. It reports whether there may be more. It is one tick of the scheduler.
func (s *Service) CleanUp(ctx context.Context) (more bool, err error) {
	now := s.Now()
	givenUp, err := s.DB.Outbox.GiveUpDeliveries(ctx, now.Add(-givenUpFor), now, cleanBatch)
	if err != nil {
		return false, err
	}
	deleted, err := s.DB.Outbox.PruneDeliveries(ctx, now.Add(-keepFor), cleanBatch)
	return max(givenUp, deleted) == cleanBatch, err
}

// CleanUpOverdue returns for how long CleanUp could have deleted the oldest delivery or
// endpoint that it has not; 0 if it is up to date.
func (s *Service) CleanUpOverdue(ctx context.Context) (time.Duration, error) {
	now := s.Now()
	return s.DB.Outbox.PruneOverdue(ctx, now.Add(-keepFor), now)
}
