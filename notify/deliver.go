package notify

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/sirupsen/logrus"

	"socialqueue/db"
	"socialqueue/models"
	"socialqueue/observe"
	"socialqueue/secrets"
)

const (
	// parallel is how many deliveries to one endpoint are made at once.
	parallel = 8
	// lease is how long a claim lasts without renewal. It is renewed between batches, each
	// of which ends within callTimeout. If it expires anyway, something may be delivered
	// twice, which is allowed.
	lease = 20 * time.Second
	// turn is how long one run may last. An endpoint that still has due deliveries then
	// waits for its next run.
	turn = 30 * time.Second
	// writeFor is how long storing an attempt is retried. A delivery whose attempt is not
	// stored is made again.
	writeFor = 20 * time.Second
	// failingFor is how long an endpoint may fail before it is disabled.
	failingFor = 5 * 24 * time.Hour
	// jitter spreads waits by up to this share.
	jitter = 0.1
)

// waits are the waits between the attempts of a delivery; the last one repeats until
// GiveUpAt.
var waits = []time.Duration{
	5 * time.Second, 30 * time.Second, 2 * time.Minute, 10 * time.Minute, 30 * time.Minute,
	time.Hour, 2 * time.Hour, 4 * time.Hour, 8 * time.Hour, 12 * time.Hour,
}

// rests are the pauses of an endpoint after consecutive failures of any of its deliveries;
// the last one repeats. After a pause one delivery is tried, and the others only if it
// succeeds, so an endpoint that is down costs one call each time.
var rests = []time.Duration{2 * time.Second, 10 * time.Second, 30 * time.Second, 2 * time.Minute, 5 * time.Minute}

// Deliver sends an endpoint its due deliveries, for one turn at most. A task whose fence is
// no longer current does nothing and returns nil. Deliver ends soon after drain is closed,
// and leaves the rest to the next run.
func (s *Service) Deliver(ctx context.Context, r db.EndpointRun, drain <-chan struct{}) error {
	now := s.Now()
	endpoint, err := s.DB.Outbox.ClaimEndpoint(ctx, r, now, lease)
	if errors.Is(err, db.ErrStale) || errors.Is(err, db.ErrNotFound) {
		observe.AttemptOf(ctx).Outcome = observe.AttemptRevoked
		return nil
	}
	if err != nil {
		return err
	}
	run := &run{
		Service: s, endpoint: endpoint, drain: drain, until: now.Add(turn),
		log: observe.In(ctx, s.Log).WithFields(logrus.Fields{observe.FieldAction: "notify:deliver", "endpoint_id": endpoint.ID}),
	}
	return run.deliver(ctx)
}

// run is one turn of an endpoint.
type run struct {
	*Service
	endpoint *models.WebhookEndpoint
	drain    <-chan struct{}
	until    time.Time
	log      logrus.FieldLogger
}

func (r *run) deliver(ctx context.Context) error {
	for {
		keys, err := r.keys()
		if err != nil {
			return errors.Join(err, r.end(ctx, db.EndpointHealth{Failures: r.endpoint.Failures + 1, BackoffUntil: r.in(rests[len(rests)-1])}))
		}
		due, err := r.DB.Outbox.DueDeliveries(ctx, r.endpoint.ID, r.Now(), r.width())
		if err != nil {
			return err
		}
		if len(due) == 0 || r.over() {
			return r.end(ctx, r.health())
		}
		health := r.judge(r.all(ctx, due, keys))
		if health.Failures > 0 || health.Disable != "" {
			note(ctx, health)
			return r.end(ctx, health)
		}
		if err := r.keep(ctx, health, r.in(lease)); err != nil {
			return unlessStale(err)
		}
	}
}

// note records for the metrics that a turn ended with a failure.
func note(ctx context.Context, h db.EndpointHealth) {
	a := observe.AttemptOf(ctx)
	a.Outcome, a.Class = observe.AttemptRetry, observe.ClassTransient
	if h.Disable != "" {
		a.Outcome, a.Class = observe.AttemptDead, observe.ClassPermanent
	}
}

// width returns how many deliveries are tried at once: one if the endpoint failed last.
func (r *run) width() int {
	if r.endpoint.Failures > 0 {
		return 1
	}
	return parallel
}

func (r *run) over() bool {
	select {
	case <-r.drain:
		return true
	default:
		return r.Now().After(r.until)
	}
}

func (r *run) in(d time.Duration) *time.Time {
	at := models.Time(r.Now().Add(d))
	return &at
}

// health returns the stored health of the endpoint.
func (r *run) health() db.EndpointHealth {
	e := r.endpoint
	return db.EndpointHealth{Failures: e.Failures, FailingSince: e.FailingSince, BackoffUntil: e.BackoffUntil}
}

// keep stores the endpoint's health, and renews the claim until then.
func (r *run) keep(ctx context.Context, h db.EndpointHealth, until *time.Time) error {
	return db.Persist(ctx, writeFor, func(ctx context.Context) error {
		return r.DB.Outbox.SaveHealth(ctx, r.endpoint, h, until, r.Now())
	}, nil)
}

// end stores the endpoint's health and releases the claim.
func (r *run) end(ctx context.Context, h db.EndpointHealth) error {
	if h.Disable != "" {
		r.log.WithField(observe.FieldReason, h.Disable).Warn("webhook endpoint disabled")
	}
	return unlessStale(r.keep(ctx, h, nil))
}

// unlessStale drops ErrStale: another run has claimed the endpoint, or it was deleted.
func unlessStale(err error) error {
	if errors.Is(err, db.ErrStale) {
		return nil
	}
	return err
}

// keys returns the secrets to sign with.
func (r *run) keys() ([]secrets.Secret, error) {
	e := r.endpoint
	secret, err := r.Keys.Open(e.Secret, e.SealedIn(models.ColumnSecret))
	if err != nil {
		return nil, fmt.Errorf("open the secret of webhook endpoint %s: %w", e.ID, err)
	}
	keys := []secrets.Secret{secret}
	if e.OldSecretUntil == nil || r.Now().After(*e.OldSecretUntil) {
		return keys, nil
	}
	old, err := r.Keys.Open(e.OldSecret, e.SealedIn(models.ColumnOldSecret))
	if err != nil {
		return nil, fmt.Errorf("open the old secret of webhook endpoint %s: %w", e.ID, err)
	}
	return append(keys, old), nil
}

// all tries deliveries in parallel.
func (r *run) all(ctx context.Context, due []models.WebhookDelivery, keys []secrets.Secret) []answer {
	answers := make([]answer, len(due))
	var calls sync.WaitGroup
	for i := range due {
		calls.Go(func() { answers[i] = r.try(ctx, &due[i], keys) })
	}
	calls.Wait()
	return answers
}

// try makes one attempt and stores its result.
func (r *run) try(ctx context.Context, d *models.WebhookDelivery, keys []secrets.Secret) answer {
	began := r.Now()
	a := r.sender.send(ctx, r.endpoint.URL, d, keys, began)
	if ctx.Err() != nil {
		return answer{} // our own shutdown: this says nothing about the endpoint
	}
	attempt := models.WebhookAttempt{At: began, DurationMs: r.Now().Sub(began).Milliseconds(), StatusCode: a.status, Response: a.body}
	if a.err != nil {
		attempt.Error = text([]byte(a.err.Error()))
	}
	r.settle(d, a)
	r.Metrics.NotifyAttempt(a.err == nil, r.Now().Sub(began))
	log := r.log.WithFields(logrus.Fields{
		observe.FieldCorrelationID: d.CorrelationID, observe.FieldDuration: attempt.DurationMs, observe.FieldHTTPStatus: a.status,
		observe.FieldEvent: d.EventType, "event_id": d.EventID, "delivery_id": d.ID, "subject": d.Subject,
	})
	if a.err != nil {
		log.WithField(observe.FieldReason, attempt.Error).Info("webhook not delivered")
	} else {
		log.Info("webhook delivered")
	}
	err := db.Persist(ctx, writeFor, func(ctx context.Context) error { return r.DB.Outbox.RecordAttempt(ctx, d, attempt) }, nil)
	if err != nil {
		log.WithError(err).Warn("cannot store the attempt of a delivery; it is made again")
	}
	return a
}

// settle updates a delivery with the result of an attempt.
func (r *run) settle(d *models.WebhookDelivery, a answer) {
	now := r.Now()
	d.Attempts++
	switch {
	case a.err == nil:
		d.Status, d.NextAt, d.SettledAt = models.DeliveryDelivered, nil, &now
	case !now.Before(d.GiveUpAt):
		d.Status, d.NextAt, d.SettledAt = models.DeliveryFailed, nil, &now
	default:
		next := models.Time(now.Add(max(r.spread(waits[min(d.Attempts, len(waits))-1]), a.retryAfter)))
		if next.After(d.GiveUpAt) {
			next = d.GiveUpAt // the last attempt
		}
		d.NextAt = &next
	}
}

// judge derives the endpoint's health from the answers of a batch. One success outweighs
// all failures, because those then depend on what was delivered, not on the endpoint. 410
// disables the endpoint whatever the other answers are.
func (r *run) judge(answers []answer) db.EndpointHealth {
	now, h := r.Now(), r.health()
	h.BackoffUntil = nil
	if slices.ContainsFunc(answers, func(a answer) bool { return a.status == http.StatusGone }) {
		h.Disable = "the endpoint answered 410 Gone"
		return h
	}
	var failed *answer
	for i := range answers {
		switch a := &answers[i]; {
		case a.err == nil && a.status != 0:
			return db.EndpointHealth{}
		case a.err != nil && (failed == nil || a.retryAfter > failed.retryAfter):
			failed = a
		}
	}
	if failed == nil {
		return h
	}
	h.Failures++
	if h.FailingSince == nil {
		h.FailingSince = &now
	}
	if now.Sub(*h.FailingSince) >= failingFor {
		h.Disable = "nothing could be delivered for 5 days; the last time: " + failed.err.Error()
	}
	rest := models.Time(now.Add(max(r.spread(rests[min(h.Failures, len(rests))-1]), failed.retryAfter)))
	h.BackoffUntil = &rest
	return h
}

func (s *Service) spread(d time.Duration) time.Duration {
	return d + time.Duration(jitter*s.Rand()*float64(d))
}
