package db_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"testing"
	"time"

	"socialqueue/db"
	"socialqueue/db/dbtest"
	"socialqueue/models"
	"socialqueue/secrets"
	"socialqueue/test/testkit"
)

// TestQueueDueAgainstClaim checks a claim while the tick that queues due posts has locked the
// row. The claim must wait and then succeed: if it were rejected as outdated, the post would
// have no task.
func TestQueueDueAgainstClaim(t *testing.T) {
	url := dbtest.PostgresURL(t)
	d, err := db.OpenPostgres(t.Context(), secrets.Secret(url), 5)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	raw, err := sql.Open("pgx", url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = raw.Close() })
	f := newFixture(t, d)
	p := f.post(func(p *models.Post) { p.Status = models.Scheduled })

	tick, err := raw.BeginTx(t.Context(), nil)
	f.must(err)
	_, err = tick.ExecContext(t.Context(), "UPDATE posts SET status = 'queued' WHERE status = 'scheduled' AND run_at <= $1 AND lease_until IS NULL", epoch)
	f.must(err)
	claimed := make(chan error, 1)
	go func() {
		_, err := d.Runs.Claim(context.Background(), p.ID, 0, "w", epoch, time.Minute)
		claimed <- err
	}()
	testkit.Eventually(f.t, "the claim waits", func() bool {
		var waiting int
		f.must(raw.QueryRowContext(t.Context(), "SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'").Scan(&waiting))
		return waiting == 1
	})
	f.must(tick.Commit())
	if err := <-claimed; err != nil {
		t.Errorf("claim: %v", err)
	}
	if got := f.reload(p); got.Status != models.Publishing || got.Fence != 1 {
		t.Errorf("%s, fence %d; want publishing, 1", got.Status, got.Fence)
	}
	f.must(d.Admission.QueueDue(t.Context(), epoch)) // the next tick must leave it alone
	if got := f.reload(p); got.Status != models.Publishing {
		t.Errorf("the tick changed a claimed post: %s", got.Status)
	}
}

// TestQueueDueBurst runs ticks and claims of many due posts at once. Every claim must
// succeed.
func TestQueueDueBurst(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		const posts, workers = 120, 8
		ids := make(chan string, posts)
		for n := range posts {
			ids <- f.post(func(p *models.Post) { p.Status, p.Lane = models.Scheduled, fmt.Sprint("lane ", n) }).ID
		}
		close(ids)
		done := make(chan struct{})
		for range workers {
			go func() {
				defer func() { done <- struct{}{} }()
				for id := range ids {
					if _, err := f.Runs.Claim(context.Background(), id, 0, "w", epoch, time.Minute); err != nil {
						t.Error(err)
					}
				}
			}()
		}
		for left := workers; left > 0; {
			select {
			case <-done:
				left--
			default:
				f.must(f.Admission.QueueDue(t.Context(), epoch))
			}
		}
	})
}

// TestEarlyClaim checks the claim of a due post by a worker whose clock is behind. It gets
// the time to wait; the post and the fence of its task do not change.
func TestEarlyClaim(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		p := f.post(nil)
		for behind, want := range map[time.Duration]bool{45 * time.Second: true, 1001 * time.Millisecond: true, time.Second: false} {
			_, err := f.Runs.Claim(t.Context(), p.ID, 0, "w", epoch.Add(-behind), time.Minute)
			var early *db.EarlyError
			if got := errors.As(err, &early); got != want {
				t.Fatalf("%s behind: err = %v, want EarlyError %v", behind, err, want)
			}
			if want && early.In != behind {
				t.Errorf("%s behind: EarlyError says %s", behind, early.In)
			}
			if !want {
				p = f.post(nil) // the claim succeeded
			} else if got := f.reload(p); got.Fence != 0 || got.LeaseUntil != nil || got.UnfinishedRuns != 0 {
				t.Errorf("%s behind: the row changed: %+v", behind, got)
			}
		}
		if _, err := f.Runs.Claim(t.Context(), p.ID, 7, "w", epoch.Add(-time.Minute), time.Minute); !errors.Is(err, db.ErrStale) {
			t.Errorf("an old task that is early: %v, want ErrStale", err)
		}
	})
}

// TestWritesOfARunLeaveItsLease checks that the writes of a run do not overwrite the lease,
// which is renewed in the background. Only the end of the run clears it.
func TestWritesOfARunLeaveItsLease(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		ctx, p := t.Context(), f.post(nil)
		run, err := f.Runs.Claim(ctx, p.ID, 0, "w", epoch, time.Minute)
		f.must(err)
		renewed := epoch.Add(5 * time.Minute)
		f.must(f.Runs.Renew(ctx, p.ID, 1, renewed))
		f.must(f.Runs.Write(ctx, db.RunWrite{Post: run, From: models.Publishing}))
		if got := f.reload(p); got.LeaseUntil == nil || !got.LeaseUntil.Equal(renewed) || got.LeaseOwner != "w" {
			t.Errorf("lease of %q until %v, want of w until %s", got.LeaseOwner, got.LeaseUntil, renewed)
		}
		run.LeaseUntil, run.LeaseOwner = nil, ""
		f.must(f.Runs.Write(ctx, db.RunWrite{Post: run, From: models.Publishing, Release: true}))
		if got := f.reload(p); got.LeaseUntil != nil || got.LeaseOwner != "" {
			t.Errorf("lease of %q until %v after the end of the run", got.LeaseOwner, got.LeaseUntil)
		}
	})
}

// TestWriteRunTwice checks that a write whose commit got no response can be repeated, with
// its events and its record.
func TestWriteRunTwice(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		ctx, p := t.Context(), f.post(nil)
		run, err := f.Runs.Claim(ctx, p.ID, 0, "w", epoch, time.Minute)
		f.must(err)
		w := db.RunWrite{
			Post: run, From: models.Publishing,
			Events: []models.PostEvent{{PostID: p.ID, At: epoch, Type: models.EventNote}},
			Record: &models.TikTokPost{UserID: f.user.ID, OAuthAccountID: run.OAuthAccountID, PublishID: "v1", Status: "processing", CreatedAt: epoch, UpdatedAt: epoch},
		}
		f.must(f.Runs.Write(ctx, w))
		f.must(f.Runs.Write(ctx, w))
	})
}

// TestSettleKeepsToItsOwn checks that Settle does not change the entry of another post. An
// entry whose transaction was rolled back may have an id that another post's entry has now.
func TestSettleKeepsToItsOwn(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		ctx, p := t.Context(), f.post(nil)
		_, err := f.Runs.Claim(ctx, p.ID, 0, "w", epoch, time.Minute)
		f.must(err)
		entry := models.LedgerEntry{PostID: p.ID, Op: "instagram.publish", State: models.Intended, Fence: 1, CreatedAt: epoch}
		err = f.Runs.Intend(ctx, db.Intent{Entry: &entry, Check: anywhere}, epoch)
		f.must(err)
		foreign := entry
		foreign.PostID, foreign.State = f.post(nil).ID, models.Void
		f.must(f.Runs.Settle(ctx, &foreign))
		ledger, err := f.Runs.Ledger(ctx, p.ID)
		f.must(err)
		if ledger[0].State != models.Intended {
			t.Errorf("another post's entry was settled: %s", ledger[0].State)
		}
	})
}

// TestUnattendedOrder checks that posts whose task was never seen in Asynq come first, then
// those that were checked longest ago, so that the sweep reaches every post.
func TestUnattendedOrder(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		now := epoch.Add(time.Hour)
		seen := func(ago time.Duration) *models.Post {
			return f.post(func(p *models.Post) { at := now.Add(-ago); p.EnqueuedAt = &at })
		}
		recent, old, oldest := seen(time.Minute), seen(10*time.Minute), seen(50*time.Minute)
		never := f.post(func(p *models.Post) { p.EnqueuedAt = nil })
		want := []*models.Post{never, oldest, old, recent}
		for range 3 {
			posts, err := f.Admission.Unattended(t.Context(), now, 15*time.Second, 2)
			f.must(err)
			for i, got := range posts {
				if got.ID != want[i].ID {
					t.Fatalf("the post at position %d is wrong", i)
				}
				f.must(f.Admission.SeenInAsynq(t.Context(), got.ID, got.Fence, now.Add(time.Duration(i)*time.Millisecond)))
			}
			want = append(want[2:], want[:2]...) // the two that were seen are last now
			now = now.Add(time.Minute)
		}
	})
}

// TestTooLate checks that exactly the waiting posts that may no longer start are listed, the
// most overdue first.
func TestTooLate(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		now := epoch.Add(time.Hour)
		lease := now.Add(time.Minute)
		miss := func(ago time.Duration) func(*models.Post) {
			return func(p *models.Post) { at := now.Add(-ago); p.MissAt = &at }
		}
		with := func(first func(*models.Post), then func(*models.Post)) *models.Post {
			return f.post(func(p *models.Post) { first(p); then(p) })
		}
		late := f.post(miss(time.Second))
		later := with(miss(time.Minute), func(p *models.Post) { p.Status, p.Admission = models.Scheduled, models.AdmissionWaiting })
		parked := with(miss(time.Hour), func(p *models.Post) { p.Admission = models.AdmissionParked })
		f.post(nil)                   // has no limit
		f.post(miss(0))               // is just in time
		f.post(miss(-24 * time.Hour)) // has a day left
		with(miss(time.Hour), func(p *models.Post) { p.LeaseUntil = &lease })
		for _, s := range []models.Status{models.Publishing, models.Processing, models.Uncertain, models.Published, models.Failed, models.Missed} {
			with(miss(time.Hour), func(p *models.Post) { p.Status = s })
		}
		posts, err := f.Admission.TooLate(t.Context(), nil, now, 10)
		f.must(err)
		if len(posts) != 3 || posts[0].ID != parked.ID || posts[1].ID != later.ID || posts[2].ID != late.ID {
			t.Errorf("%d posts, want the parked, the scheduled, the queued one", len(posts))
		}
	})
}
