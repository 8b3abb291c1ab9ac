package observe

import (
	"context"
	"errors"

	"socialqueue/platform"
)

// What comes of a run of a task.
const (
	// AttemptSuccess: it did what there was to do.
	AttemptSuccess = "success"
	// AttemptRetry: it failed and is tried again.
	AttemptRetry = "retry"
	// AttemptSnooze: it is put off, which uses no attempt.
	AttemptSnooze = "snooze"
	// AttemptDead: what it was for ended without it.
	AttemptDead = "dead"
	// AttemptRevoked: there was nothing to do for it any more.
	AttemptRevoked = "revoked"
	// AttemptUnknown: it is not known what it did at the platform.
	AttemptUnknown = "unknown"
)

// What kind of error a run met.
const (
	ClassRateLimited = "rate_limited"
	ClassAuth        = "auth"
	ClassTransient   = "transient"
	ClassPermanent   = "permanent"
	// ClassTimeout: no answer came in time, or it got lost.
	ClassTimeout   = "timeout"
	ClassLeaseLost = "lease_lost"
	ClassPanic     = "panic"
)

// Attempt is what came of one run of a task.
type Attempt struct {
	// Outcome is one of the constants Attempt…, Class one of Class…; empty: it met no error.
	Outcome, Class string
	// Exhausted: that was the last try. Quarantined: it is set aside, as its runs keep dying.
	Exhausted, Quarantined bool
}

type attemptKey struct{}

// WithAttempt returns a context in which whoever does the work can note what came of it.
// What nobody notes is told by the error that the work returns.
func WithAttempt(ctx context.Context) (context.Context, *Attempt) {
	a := &Attempt{}
	return context.WithValue(ctx, attemptKey{}, a), a
}

// AttemptOf is where to note it. Only the goroutine that does the work does so.
func AttemptOf(ctx context.Context) *Attempt {
	if a, ok := ctx.Value(attemptKey{}).(*Attempt); ok {
		return a
	}
	return &Attempt{}
}

// ClassOf is the class of an error of which nobody knows more than itself says.
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
