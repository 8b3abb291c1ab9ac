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

// Persist runs a write that must not be lost to a passing trouble of the database,
// and that the end of ctx must not stop: of something that happened outside and
// cannot be asked for again. It gives up when no try worked for that long, or the
// database says what trying again does not change. Any try may be the one that was
// done, and its answer lost: the write has to bear that. failed is told of each try
// that failed; it may be nil.
func Persist(ctx context.Context, atMost time.Duration, write func(context.Context) error, failed func(error)) error {
	ctx = context.WithoutCancel(ctx)
	deadline := time.Now().Add(atMost)
	for {
		try, cancel := context.WithTimeout(ctx, persistTry)
		err := write(try)
		cancel()
		if err == nil || isVerdict(err) || time.Now().After(deadline) {
			return err
		}
		if failed != nil {
			failed(err)
		}
		time.Sleep(persistPause)
	}
}

// isVerdict tells what the database says of a write from trouble on the way to it.
func isVerdict(err error) bool {
	for _, verdict := range []error{ErrStale, ErrNoSuchMove, ErrNotFound, ErrErasing, ErrNoAccounts} {
		if errors.Is(err, verdict) {
			return true
		}
	}
	return false
}
