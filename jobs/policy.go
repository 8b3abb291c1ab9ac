package jobs

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hibiken/asynq"
	"github.com/sirupsen/logrus"

	"socialqueue/observe"
)

// laterError postpones a task. It is no failure and uses no attempt.
type laterError struct {
	in    time.Duration
	cause error
}

// Error returns the wait and its cause.
func (e *laterError) Error() string { return fmt.Sprintf("again in %s: %v", e.in, e.cause) }

// Unwrap returns the cause.
func (e *laterError) Unwrap() error { return e.cause }

func later(in time.Duration, cause error) error { return &laterError{in: in, cause: cause} }

// errorDelays are the waits between the attempts of a task that met an internal error, such
// as a database that does not answer.
var errorDelays = []time.Duration{time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second, 30 * time.Second}

// isFailure reports whether Asynq counts an error as a failure.
func isFailure(err error) bool {
	var wait *laterError
	return err != nil && !errors.As(err, &wait) && !errors.Is(err, asynq.ErrLeaseExpired)
}

// retryDelay returns when Asynq retries a task. It retries a task whose worker died at
// once: the fence of the post says whether there is still work to do.
func retryDelay(n int, err error, _ *asynq.Task) time.Duration {
	var wait *laterError
	switch {
	case errors.As(err, &wait):
		return wait.in
	case errors.Is(err, asynq.ErrLeaseExpired):
		return 0
	default:
		return errorDelays[min(n, len(errorDelays)-1)]
	}
}

// hooks are the functions that Asynq calls on its own goroutines, where a panic
// would end the process.
type hooks struct {
	log     logrus.FieldLogger
	metrics *observe.Metrics
	kinds   *Kinds
}

func (h hooks) isFailure(err error) (failed bool) {
	defer h.recover("IsFailure", func() { failed = true })
	return isFailure(err)
}

func (h hooks) retryDelay(n int, err error, t *asynq.Task) (d time.Duration) {
	defer h.recover("RetryDelayFunc", func() { d = errorDelays[0] })
	return retryDelay(n, err, t)
}

// handleError logs a failed task. Nothing else depends on it, because Asynq does not call
// it for every task that ends.
func (h hooks) handleError(_ context.Context, t *asynq.Task, err error) {
	defer h.recover("ErrorHandler", func() {})
	if errors.Is(err, asynq.ErrLeaseExpired) { // the job itself cannot know this
		h.metrics.TaskError(h.kinds.label(t), observe.ClassLeaseLost)
	}
	entry := h.log.WithFields(logrus.Fields{observe.FieldAction: t.Type(), observe.FieldCorrelationID: t.Headers()[headerCorrelation]}).WithError(err)
	if isFailure(err) {
		entry.Error("task failed")
		return
	}
	entry.Info("task postponed")
}

func (h hooks) recover(hook string, fallback func()) {
	if r := recover(); r != nil {
		h.log.WithFields(logrus.Fields{"hook": hook, "panic": fmt.Sprint(r)}).Error("a hook panicked")
		fallback()
	}
}
