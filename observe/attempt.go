package observe

import (
	"context"
	"errors"

	"socialqueue/platform"
)

// The outcomes of a run of a task.
const (
	// AttemptSuccess: the run completed its work.
	AttemptSuccess = "success"
	// AttemptRetry: the run failed and will be retried.
	AttemptRetry = "retry"
	// AttemptSnooze: the run was deferred, which uses no attempt.
	AttemptSnooze = "snooze"
	// AttemptDead: the work failed permanently.
	AttemptDead = "dead"
	// AttemptRevoked: the task was outdated, so there was nothing to do.
	AttemptRevoked = "revoked"
	// AttemptUnknown: it is unknown whether the run had an effect at the platform.
	AttemptUnknown = "unknown"
)

// The classes of errors of a run.
const (
	ClassRateLimited = "rate_limited"
	ClassAuth        = "auth"
	ClassTransient   = "transient"
	ClassPermanent   = "permanent"
	// ClassTimeout: the response came too late or was lost.
	ClassTimeout   = "timeout"
	ClassLeaseLost = "lease_lost"
	ClassPanic     = "panic"
)

// Attempt is the result of one run of a task.
type Attempt struct {
	// Outcome is one of the constants Attempt…. Class is one of the constants Class…; empty
	// if there was no error.
	Outcome, Class string
	// Exhausted means that it was the last attempt. Quarantined means that the work is
	// quarantined, because its runs keep dying.
	Exhausted, Quarantined bool
}

type attemptKey struct{}

// WithAttempt returns a context with an Attempt that the work can fill in. Fields that the
// work leaves empty are derived from the error that it returns.
func WithAttempt(ctx context.Context) (context.Context, *Attempt) {
	a := &Attempt{}
	return context.WithValue(ctx, attemptKey{}, a), a
}

// AttemptOf returns the Attempt of ctx. Only the goroutine of the task may write to it.
func AttemptOf(ctx context.Context) *Attempt {
	if a, ok := ctx.Value(attemptKey{}).(*Attempt); ok {
		return a
	}
	return &Attempt{}
}

// ClassOf returns the class of an error.
func ClassOf(err error) string {
	e, ofPlatform := errors.AsType[*platform.Error](err)
	switch {
	case ofPlatform:
		return classOfKind(e.Kind)
	case errors.Is(err, context.DeadlineExceeded):
		return ClassTimeout
	}
	return ClassTransient
}

func classOfKind(kind platform.Kind) string {
	switch kind {
	case platform.RateLimited:
		return ClassRateLimited
	case platform.AuthExpired:
		return ClassAuth
	case platform.Rejected, platform.Gone:
		return ClassPermanent
	case platform.Unknown:
		return ClassTimeout
	case platform.Transient, platform.NotReady:
	}
	return ClassTransient
}
