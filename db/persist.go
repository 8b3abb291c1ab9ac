package db

import (
	"context"
	"errors"
	"time"
)

const (
	persistTry   = 5 * time.Second
	persistPause = 250 * time.Millisecond
)

// Persist retries a write until it succeeds. It is for facts that happened outside and
// cannot be read again, so a temporary failure of the database must not lose them. It
// ignores the cancellation of ctx. It gives up after atMost, or when the write returns an
// error that a retry cannot change. The write must be idempotent: an attempt that returned
// an error may still have been committed. onError is called for each failed attempt that is
// retried; it may be nil.
func Persist(ctx context.Context, atMost time.Duration, write func(context.Context) error, onError func(error)) error {
	ctx = context.WithoutCancel(ctx)
	deadline := time.Now().Add(atMost)
	for {
		try, cancel := context.WithTimeout(ctx, persistTry)
		err := write(try)
		cancel()
		if err == nil || isFinal(err) || time.Now().After(deadline) {
			return err
		}
		if onError != nil {
			onError(err)
		}
		time.Sleep(persistPause)
	}
}

// isFinal reports whether an error is a result that a retry cannot change.
func isFinal(err error) bool {
	for _, final := range []error{ErrStale, ErrNoSuchMove, ErrNotFound, ErrErasing, ErrNoAccounts} {
		if errors.Is(err, final) {
			return true
		}
	}
	return false
}
