package oauth

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"socialqueue/db"
)

var errAway = errors.New("the database is away")

// A pair of tokens outlasts a database that is away for minutes, also when whoever
// asked for it has left; and the lease of the refresh outlasts both.
func TestAPairOutlastsTheDatabase(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		began := time.Now()
		err := persist(ctx, keepPairFor, func(ctx context.Context) error {
			if time.Since(began) < 2*time.Minute {
				return errAway
			}
			return ctx.Err()
		})
		if err != nil || time.Since(began) > 2*time.Minute+time.Second {
			t.Errorf("after %s: %v", time.Since(began), err)
		}
	})
	if refreshCall+keepPairFor+persistTry >= refreshLease {
		t.Error("another refresh could begin while a pair is still to be stored")
	}
	if persistFor >= answerWait-finishTime+time.Second {
		t.Error("a second callback gives up before the first one has ended")
	}
}

// A write hangs for no longer than its share, and what the database says of it is
// not argued with.
func TestPersistEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began, tries := time.Now(), 0
		err := persist(t.Context(), persistFor, func(ctx context.Context) error {
			tries++
			<-ctx.Done()
			return ctx.Err()
		})
		if !errors.Is(err, context.DeadlineExceeded) || tries < 4 || time.Since(began) > persistFor+persistTry+time.Second {
			t.Errorf("after %s and %d tries: %v", time.Since(began), tries, err)
		}
		for _, verdict := range []error{db.ErrStale, db.ErrErasing, db.ErrNoAccounts} {
			tries = 0
			err := persist(t.Context(), persistFor, func(context.Context) error {
				tries++
				return verdict
			})
			if !errors.Is(err, verdict) || tries != 1 {
				t.Errorf("%d tries: %v", tries, err)
			}
		}
	})
}

// When tokens of every life are refreshed.
func TestRefreshTime(t *testing.T) {
	issued := time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	for life, want := range map[time.Duration]time.Duration{
		2 * time.Minute:      time.Minute,
		20 * time.Minute:     10 * time.Minute,
		time.Hour:            45 * time.Minute,
		2 * time.Hour:        90 * time.Minute,
		24 * time.Hour:       18 * time.Hour,
		60 * 24 * time.Hour:  45 * 24 * time.Hour,
		180 * 24 * time.Hour: 135 * 24 * time.Hour,
	} {
		if got := refreshTime(issued, issued.Add(life)).Sub(issued); got != want {
			t.Errorf("a token of %s is refreshed after %s, want %s", life, got, want)
		}
	}
}
