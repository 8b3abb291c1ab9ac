package inbox

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/sirupsen/logrus"

	"socialqueue/db"
	"socialqueue/models"
	"socialqueue/observe"
)

var (
	// earlyWaits are the waits of an event that arrived before its post or account was known
	// here. After the last one the event is unmatched.
	earlyWaits = []time.Duration{2 * time.Second, 5 * time.Second, 15 * time.Second, time.Minute, 5 * time.Minute, 15 * time.Minute, time.Hour}
	// busyWaits are the waits of an event whose post a worker holds. The last one repeats,
	// because a lease always ends.
	busyWaits = []time.Duration{time.Second, time.Second, 2 * time.Second, 5 * time.Second, 30 * time.Second}
	// errorWaits are the waits after internal errors. After the last one the event is
	// unmatched, with the error as its outcome, and an operator can replay it.
	errorWaits = []time.Duration{
		time.Second, 5 * time.Second, 30 * time.Second, 2 * time.Minute, 10 * time.Minute, 30 * time.Minute, time.Hour, 6 * time.Hour,
	}
)

// Process applies an event. It does nothing for a settled event. After an error the event
// may be unchanged, and the task may be tried again.
func (s *Service) Process(ctx context.Context, id int64) error {
	e, err := s.DB.Inbox.Event(ctx, id)
	if err != nil && !errors.Is(err, db.ErrNotFound) {
		return err
	}
	if err != nil || e.Status != models.WebhookPending { // deleted or settled
		observe.AttemptOf(ctx).Outcome = observe.AttemptRevoked
		return nil
	}
	ctx = observe.WithCorrelationID(ctx, e.CorrelationID)
	o, err := s.apply(ctx, e)
	next := nextOf(e, o)
	if err != nil {
		next = s.afterError(e, err)
	}
	s.set(e, next)
	note(ctx, e, err)
	if e.SettledAt != nil {
		s.Metrics.WebhookSettled(string(e.Platform), string(e.Status), e.SettledAt.Sub(e.ReceivedAt))
	}
	observe.OfEvent(s.Log, e).WithFields(o.fields).WithFields(logrus.Fields{"status": e.Status, "outcome": e.Outcome}).Info("webhook event")
	return s.DB.Inbox.End(ctx, e)
}

// apply applies an event with its platform's source. A process without that source leaves
// the event to one that has it.
func (s *Service) apply(ctx context.Context, e *models.WebhookEvent) (Outcome, error) {
	source, err := s.source(e.Platform)
	if err != nil {
		return Outcome{}, err
	}
	return source.Apply(ctx, e)
}

// note records the result of an attempt for the metrics. err is the error of the attempt.
func note(ctx context.Context, e *models.WebhookEvent, err error) {
	a, waits := observe.AttemptOf(ctx), e.Status == models.WebhookPending
	if err != nil {
		a.Class = observe.ClassOf(err)
	}
	switch {
	case waits && err != nil:
		a.Outcome = observe.AttemptRetry
	case waits:
		a.Outcome = observe.AttemptSnooze
	case err != nil:
		a.Outcome, a.Exhausted = observe.AttemptDead, true
	default:
		a.Outcome = observe.AttemptSuccess
	}
}

// next is the state of an event after an attempt.
type next struct {
	status models.WebhookStatus
	text   string
	// in is the wait before the next attempt, while the event is pending.
	in time.Duration
}

func tryAgain(in time.Duration, text string) next {
	return next{status: models.WebhookPending, text: text, in: in}
}

// nextOf returns the state of an event after an attempt with this outcome.
func nextOf(e *models.WebhookEvent, o Outcome) next {
	switch o.kind {
	case outcomeProcessed:
		return next{status: models.WebhookProcessed, text: o.text}
	case outcomeUnknown:
		return next{status: models.WebhookUnknown, text: o.text}
	case outcomeBusy:
		return tryAgain(busyWaits[min(e.Attempts, len(busyWaits)-1)], o.text)
	case outcomeEarly:
		if e.Attempts < len(earlyWaits) {
			return tryAgain(earlyWaits[e.Attempts], o.text)
		}
	}
	return next{status: models.WebhookUnmatched, text: o.text}
}

// afterError returns the state of an event after a failed attempt. If the database does not
// answer, storing that state fails as well, and the task is tried again.
func (s *Service) afterError(e *models.WebhookEvent, err error) next {
	observe.OfEvent(s.Log, e).WithError(err).Error("cannot process a webhook event")
	if !strings.HasPrefix(e.Outcome, toBeTriedAgain) {
		e.Attempts = 0 // waits for a worker or for a post do not count
	}
	if e.Attempts >= len(errorWaits) {
		return next{status: models.WebhookUnmatched, text: "given up: " + err.Error()}
	}
	return tryAgain(errorWaits[e.Attempts], toBeTriedAgain+err.Error())
}

// toBeTriedAgain is the prefix of the outcome of an event whose last attempt failed.
const toBeTriedAgain = "to be tried again: "

// set stores the state after an attempt in an event.
func (s *Service) set(e *models.WebhookEvent, n next) {
	now := s.Now()
	e.Status, e.Outcome, e.EnqueuedAt = n.status, models.Cut(n.text, maxOutcome), nil
	e.Attempts++
	if n.status == models.WebhookPending {
		at := models.Time(now.Add(n.in))
		e.RunAt = &at
		return
	}
	e.RunAt, e.SettledAt = nil, &now
}

// maxOutcome limits the stored text of an outcome, in characters.
const maxOutcome = 1000
