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
	// earlyWaits are when an event is tried again that came before what it tells of
	// was known here. After the last it is unmatched.
	earlyWaits = []time.Duration{2 * time.Second, 5 * time.Second, 15 * time.Second, time.Minute, 5 * time.Minute, 15 * time.Minute, time.Hour}
	// busyWaits are the same for one whose post a worker has just now, which ends.
	busyWaits = []time.Duration{time.Second, time.Second, 2 * time.Second, 5 * time.Second, 30 * time.Second}
	// troubleWaits are the same for trouble of our own. After the last it is unmatched,
	// with the trouble as its outcome, for an operator to replay.
	troubleWaits = []time.Duration{
		time.Second, 5 * time.Second, 30 * time.Second, 2 * time.Minute, 10 * time.Minute, 30 * time.Minute, time.Hour, 6 * time.Hour,
	}
)

// outcome is what came of processing an event.
type outcome struct {
	status models.WebhookStatus
	text   string
	// in is when it is tried again, while it is pending.
	in time.Duration
	// whose tells the log whose the event is, where that is known.
	whose logrus.Fields
}

func (o outcome) about(p *models.Post) outcome {
	o.whose = observe.Post(p)
	return o
}

func processed(text string) outcome { return outcome{status: models.WebhookProcessed, text: text} }
func unmatched(text string) outcome { return outcome{status: models.WebhookUnmatched, text: text} }
func unknown(text string) outcome   { return outcome{status: models.WebhookUnknown, text: text} }

func again(in time.Duration, text string) outcome {
	return outcome{status: models.WebhookPending, text: text, in: in}
}

// early is for an event that tells of what is not known here, and may be soon.
func early(e *models.WebhookEvent, text string) outcome {
	if e.Attempts >= len(earlyWaits) {
		return unmatched(text)
	}
	return again(earlyWaits[e.Attempts], text)
}

// Process gives an event its effect. One that is settled has had it. An error means
// that nothing is known to be written; the task may be tried again.
func (s *Service) Process(ctx context.Context, id int64) error {
	e, err := s.DB.Inbox.Event(ctx, id)
	if err != nil && !errors.Is(err, db.ErrNotFound) {
		return err
	}
	if err != nil || e.Status != models.WebhookPending { // it was deleted, or is settled
		observe.AttemptOf(ctx).Outcome = observe.AttemptRevoked
		return nil
	}
	ctx = observe.WithCorrelationID(ctx, e.CorrelationID)
	o, err := s.handle(ctx, e)
	if err != nil {
		o = s.trouble(e, err)
	}
	s.settle(e, o)
	note(ctx, e, err)
	if e.SettledAt != nil {
		s.Metrics.WebhookSettled(string(e.Platform), string(e.Status), e.SettledAt.Sub(e.ReceivedAt))
	}
	observe.OfEvent(s.Log, e).WithFields(o.whose).WithFields(logrus.Fields{"status": e.Status, "outcome": e.Outcome}).Info("webhook event")
	return s.DB.Inbox.End(ctx, e)
}

// note notes for the metrics what came of an event's processing, which met err.
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

func (s *Service) handle(ctx context.Context, e *models.WebhookEvent) (outcome, error) {
	if e.Platform == models.TikTok {
		return s.tiktok(ctx, e)
	}
	return s.instagram(ctx, e)
}

// trouble has an event tried again that could not be processed. If it is the database
// that does not answer, writing that fails as well, and the task is tried again.
func (s *Service) trouble(e *models.WebhookEvent, err error) outcome {
	observe.OfEvent(s.Log, e).WithError(err).Error("a webhook event could not be processed")
	if !strings.HasPrefix(e.Outcome, toBeTriedAgain) {
		e.Attempts = 0 // waiting for a worker, or for its post, were no tries at this
	}
	if e.Attempts >= len(troubleWaits) {
		return unmatched("given up: " + err.Error())
	}
	return again(troubleWaits[e.Attempts], toBeTriedAgain+err.Error())
}

// toBeTriedAgain begins the outcome of an event that met trouble.
const toBeTriedAgain = "to be tried again: "

// settle puts an outcome into an event.
func (s *Service) settle(e *models.WebhookEvent, o outcome) {
	now := s.Now()
	e.Status, e.Outcome, e.EnqueuedAt = o.status, cut(o.text, maxOutcome), nil
	e.Attempts++
	if o.status == models.WebhookPending {
		at := models.Time(now.Add(o.in))
		e.RunAt = &at
		return
	}
	e.RunAt, e.SettledAt = nil, &now
}

// maxOutcome bounds what is kept of an outcome, in characters.
const maxOutcome = 1000
