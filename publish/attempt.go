package publish

import (
	"context"
	"errors"

	"socialqueue/db"
	"socialqueue/models"
	"socialqueue/oauth"
	"socialqueue/observe"
)

// noteOutcome counts the result of a run, once it is written.
func noteOutcome(ctx context.Context, o outcome) {
	a := observe.AttemptOf(ctx)
	a.Exhausted = o.exhausted
	switch {
	case o.last && (o.status == models.Failed || o.status == models.Missed):
		a.Outcome = observe.AttemptDead
	case o.status == models.Uncertain, a.Quarantined:
		a.Outcome = observe.AttemptUnknown
	case o.attempt:
		a.Outcome = observe.AttemptRetry
	case o.parked, o.reason != "", a.Class != "", o.handedBack:
		a.Outcome = observe.AttemptSnooze
	default:
		a.Outcome = observe.AttemptSuccess
	}
}

// noteLostLease counts a run that another one replaced.
func noteLostLease(ctx context.Context) {
	a := observe.AttemptOf(ctx)
	a.Outcome, a.Class = observe.AttemptRetry, observe.ClassLeaseLost
}

// noteError counts the error of a step. A stop of the process is no error.
func noteError(ctx context.Context, err error) {
	if cause := context.Cause(ctx); cause != nil {
		err = cause // the step's own error only follows from it
	}
	if !errors.Is(err, errDraining) && !errors.Is(err, context.Canceled) {
		observe.AttemptOf(ctx).Class = classOf(err)
	}
}

func classOf(err error) string {
	_, later := errors.AsType[*oauth.LaterError](err)
	var checks models.FieldErrors
	switch {
	case errors.Is(err, errLostLease), errors.Is(err, db.ErrStale):
		return observe.ClassLeaseLost
	case later, errors.Is(err, oauth.ErrReauthorize), errors.Is(err, oauth.ErrDisconnected):
		return observe.ClassAuth
	case errors.As(err, &checks), unusable(err):
		return observe.ClassPermanent
	}
	return observe.ClassOf(err)
}
