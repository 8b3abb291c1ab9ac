package db_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"socialqueue/db"
	"socialqueue/models"
)

// TestBudgets: of twenty runs that record a call at the same moment, as many as the budget has
// calls may make it. The others learn when the next one is free.
func TestBudgets(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		ctx, budget := t.Context(), db.Budget{Name: "tiktok:1/init", Most: 6, Within: time.Minute}
		record := func(ctx context.Context, p *models.Post, b db.Budget, at time.Time) error {
			e := &models.LedgerEntry{PostID: p.ID, Op: "tiktok.init", Harmless: true, State: models.Intended, Fence: 1, CreatedAt: at, Budget: &b.Name}
			return f.Runs.Intend(ctx, db.Intent{Entry: e, Check: anywhere, Budget: b}, at)
		}
		claimed := func() *models.Post {
			p := f.post(nil)
			_, err := f.Runs.Claim(ctx, p.ID, 0, "w", epoch, 10*time.Minute)
			f.must(err)
			return p
		}
		var mu sync.Mutex
		var runs sync.WaitGroup
		made := 0
		posts := make([]*models.Post, 20)
		for i := range posts {
			posts[i] = claimed()
		}
		for _, p := range posts {
			runs.Go(func() {
				err := record(ctx, p, budget, epoch)
				spent, isSpent := errors.AsType[*db.SpentError](err)
				mu.Lock()
				defer mu.Unlock()
				switch {
				case err == nil:
					made++
				case !isSpent || !spent.Until.Equal(epoch.Add(time.Minute)):
					t.Errorf("want a spent budget until a minute later: %v", err)
				}
			})
		}
		runs.Wait()
		if made != budget.Most {
			t.Errorf("%d calls were made, want %d", made, budget.Most)
		}

		other := budget
		other.Name = "tiktok:2/init"
		f.must(record(ctx, claimed(), other, epoch))
		if err := f.Runs.Free(ctx, budget, epoch.Add(time.Minute-time.Millisecond)); err == nil {
			t.Error("free too early")
		}
		f.must(f.Runs.Free(ctx, budget, epoch.Add(time.Minute)))
		f.must(record(ctx, claimed(), budget, epoch.Add(time.Minute)))
	})
}

// Of a pace of a read every three seconds and four at once, each time t has at most 4 + t/3s reads.
func TestPace(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		const every, burst = 3 * time.Second, 4
		var taken []time.Time
		for now := epoch; now.Before(epoch.Add(2 * time.Minute)); now = now.Add(250 * time.Millisecond) {
			free, err := f.Runs.TakePace(t.Context(), "tiktok:7/status", every, burst, now)
			f.must(err)
			if free.IsZero() {
				taken = append(taken, now)
				continue
			}
			if wait := free.Sub(now); wait <= 0 || wait > every {
				t.Fatalf("the next read waits %s", wait)
			}
		}
		for i := range taken {
			n := 0
			for _, at := range taken[i:] {
				if at.Sub(taken[i]) < time.Minute {
					n++
				}
			}
			if n > burst+20 {
				t.Errorf("%d reads in the minute from %s", n, taken[i])
			}
		}
		if len(taken) < 40 {
			t.Errorf("only %d reads in two minutes", len(taken))
		}
		if free, err := f.Runs.TakePace(t.Context(), "tiktok:8/status", every, burst, epoch); err != nil || !free.IsZero() {
			t.Errorf("another account waits: %s, %v", free, err)
		}
	})
}
