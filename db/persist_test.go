package db_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"socialqueue/db"
)

// A write outlasts a database that is away for a while, also when whoever asked for
// it has left.
func TestPersist(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		began, failures := time.Now(), 0
		err := db.Persist(ctx, 3*time.Minute, func(ctx context.Context) error {
			if time.Since(began) < 2*time.Minute {
				return errors.New("the database is away")
			}
			return ctx.Err()
		}, func(error) { failures++ })
		if took := time.Since(began); err != nil || took > 2*time.Minute+time.Second || failures < 100 {
			t.Errorf("after %s and %d failures: %v", took, failures, err)
		}
	})
}

// A try that hangs ends, and so does the trying; what the database says of a write
// is not argued with.
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
		for _, verdict := range []error{db.ErrStale, db.ErrNoSuchMove, db.ErrNotFound, db.ErrErasing, db.ErrNoAccounts} {
			tries = 0
			err := db.Persist(t.Context(), 20*time.Second, func(context.Context) error {
				tries++
				return verdict
			}, nil)
			if !errors.Is(err, verdict) || tries != 1 {
				t.Errorf("%d tries: %v", tries, err)
			}
		}
	})
}
