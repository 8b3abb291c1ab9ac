package db_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"socialqueue/db"
)

// TestPersist checks that a write succeeds after an outage of the database, even if the
// caller's context is canceled.
func TestPersist(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		began, failures := time.Now(), 0
		err := db.Persist(ctx, 3*time.Minute, func(ctx context.Context) error {
			if time.Since(began) < 2*time.Minute {
				return errors.New("the database is down")
			}
			return ctx.Err()
		}, func(error) { failures++ })
		if took := time.Since(began); err != nil || took > 2*time.Minute+time.Second || failures < 100 {
			t.Errorf("after %s and %d failures: %v", took, failures, err)
		}
	})
}

// TestPersistEnds checks that an attempt that hangs times out, that Persist gives up, and
// that a final error is not retried.
func TestPersistEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began, tries := time.Now(), 0
		err := db.Persist(t.Context(), 20*time.Second, func(ctx context.Context) error {
			tries++
			<-ctx.Done()
			return ctx.Err()
		}, nil)
		if took := time.Since(began); !errors.Is(err, context.DeadlineExceeded) || tries != 4 || took > 26*time.Second {
			t.Errorf("after %s and %d tries: %v", took, tries, err)
		}
		for _, final := range []error{db.ErrStale, db.ErrNoSuchMove, db.ErrNotFound, db.ErrErasing, db.ErrNoAccounts} {
			tries = 0
			err := db.Persist(t.Context(), 20*time.Second, func(context.Context) error {
				tries++
				return final
			}, nil)
			if !errors.Is(err, final) || tries != 1 {
				t.Errorf("%d tries: %v", tries, err)
			}
		}
	})
}
