package db_test

import (
	"reflect"
	"slices"
	"testing"
	"time"

	"socialqueue/db"
	"socialqueue/models"
)

// TestBacklog checks that pending work and its age are counted, and finished work is not.
func TestBacklog(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		now := epoch.Add(time.Minute)
		empty, err := f.Operators.Backlog(t.Context(), now)
		f.must(err)
		accounts := []db.AccountCount{{Platform: models.TikTok, Status: models.AccountActive, N: 1}}
		if want := (db.Backlog{Accounts: accounts}); !reflect.DeepEqual(empty, want) {
			t.Errorf("empty database: %+v, want %+v", empty, want)
		}
		f.post(nil)
		f.post(func(p *models.Post) { p.Status, p.Admission = models.Published, models.AdmissionNone })
		endpoint := f.subscribe(f.app.ID)
		f.run(f.post(nil), func(p *models.Post) { p.Status, p.Admission, p.RunAt = models.Failed, models.AdmissionNone, nil })
		f.must(f.Inbox.Store(t.Context(), []models.WebhookEvent{
			{Platform: models.TikTok, DedupeKey: "a", Payload: []byte("{}"), Status: models.WebhookPending, ReceivedAt: epoch, RunAt: &epoch},
			{Platform: models.TikTok, DedupeKey: "b", Payload: []byte("{}"), Status: models.WebhookProcessed, ReceivedAt: epoch},
		}))
		_, err = f.Outbox.TestEndpoint(t.Context(), endpoint, epoch)
		f.must(err)
		got, err := f.Operators.Backlog(t.Context(), now)
		f.must(err)
		want := db.Backlog{
			Posts:   []db.PostCount{{Platform: models.TikTok, Status: models.Queued, N: 1}},
			Overdue: time.Minute, Accounts: accounts, WebhookEvents: 1, OldestEvent: time.Minute, Deliveries: 2, OldestDelivery: time.Minute,
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("got  %+v\nwant %+v", got, want)
		}
		_, err = f.Pool().ExecContext(t.Context(), "UPDATE webhook_endpoints SET status = 'disabled'")
		f.must(err)
		got, err = f.Operators.Backlog(t.Context(), now)
		f.must(err)
		if got.Deliveries != 0 || got.OldestDelivery != 0 || got.DisabledEndpoints != 1 {
			t.Errorf("with a disabled endpoint: %+v", got)
		}
		_, err = f.Pool().ExecContext(t.Context(), "UPDATE webhook_endpoints SET status_reason = '"+models.DisabledByApp+"'")
		f.must(err)
		got, err = f.Operators.Backlog(t.Context(), now)
		f.must(err)
		if got.DisabledEndpoints != 0 {
			t.Errorf("an endpoint that its app disabled is counted: %+v", got)
		}
	})
}

// TestTokensEnding checks that a token that expires soon counts only if no refresh will
// renew it.
func TestTokensEnding(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		for _, c := range []struct {
			set  string
			args []any
			want int64
		}{
			{"expires_at = NULL, refresh_token = NULL", nil, 0},
			{"expires_at = $1, refresh_token = 'sealed'", []any{epoch.Add(23 * time.Hour)}, 0},
			{"refresh_failures = 1", nil, 1},
			{"expires_at = $1", []any{epoch.Add(25 * time.Hour)}, 0},
			{"expires_at = $1", []any{epoch.Add(-time.Hour)}, 1},
			{"status = 'reauth_required'", nil, 0},
			{"status = 'active', refresh_failures = 0, refresh_token = NULL", nil, 1},
		} {
			_, err := f.Pool().ExecContext(t.Context(), "UPDATE oauth_accounts SET "+c.set, c.args...)
			f.must(err)
			got, err := f.Operators.Backlog(t.Context(), epoch)
			f.must(err)
			var want []db.PlatformCount
			if c.want > 0 {
				want = []db.PlatformCount{{Platform: models.TikTok, N: c.want}}
			}
			if !slices.Equal(got.TokensEnding, want) {
				t.Errorf("after %s: %v, want %v", c.set, got.TokensEnding, want)
			}
		}
	})
}

// TestOverdueCountsWaitingPosts checks that a due post that was not admitted to Asynq is
// overdue too. A post that is not due, that waits for its lane or for the end of a pause, or
// that is held, is not, but it is counted among the posts that have not ended.
func TestOverdueCountsWaitingPosts(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		now := epoch.Add(time.Hour)
		at := func(d time.Duration, admission models.Admission) {
			f.post(func(p *models.Post) { due := now.Add(d); p.RunAt, p.Admission = &due, admission })
		}
		wantOverdue := func(want time.Duration) {
			t.Helper()
			got, err := f.Operators.Backlog(t.Context(), now)
			f.must(err)
			if got.Overdue != want {
				t.Errorf("overdue for %s, want %s", got.Overdue, want)
			}
		}
		at(time.Minute, models.AdmissionWaiting)
		at(-time.Hour, models.AdmissionParked)
		at(-time.Hour, models.AdmissionHeld)
		wantOverdue(0)
		if b, err := f.Operators.Backlog(t.Context(), now); err != nil || len(b.Posts) != 1 || b.Posts[0].N != 3 {
			t.Errorf("posts that have not ended: %+v, %v, want 3", b.Posts, err)
		}
		at(-2*time.Minute, models.AdmissionWaiting)
		at(-90*time.Second, models.AdmissionWaiting)
		wantOverdue(2 * time.Minute)
		at(-time.Minute, models.AdmissionAdmitted) // the workers have something to do: the others wait for their turn
		wantOverdue(time.Minute)
		at(-3*time.Minute, models.AdmissionAdmitted)
		wantOverdue(3 * time.Minute)
	})
}

// TestOverdueCleanUps checks that what a clean-up should have removed counts from the moment
// from which it could, and that what is kept does not count.
func TestOverdueCleanUps(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		ctx, hour := t.Context(), epoch.Add(time.Hour)
		want := func(events, deliveries, keys, files time.Duration) {
			t.Helper()
			for _, c := range []struct {
				what string
				want time.Duration
				read func() (time.Duration, error)
			}{
				{"events", events, func() (time.Duration, error) { return f.Inbox.PruneOverdue(ctx, hour) }},
				{"deliveries", deliveries, func() (time.Duration, error) { return f.Outbox.PruneOverdue(ctx, hour, hour) }},
				{"idempotency keys", keys, func() (time.Duration, error) { return f.Tenants.ExpiredKeysOverdue(ctx, hour) }},
				{"files", files, func() (time.Duration, error) { return f.Media.UnusedOverdue(ctx, hour) }},
			} {
				if got, err := c.read(); err != nil || got != c.want {
					t.Errorf("%s are overdue for %s, %v; want %s", c.what, got, err, c.want)
				}
			}
		}
		event := func(key string, received time.Time, runAt *time.Time) models.WebhookEvent {
			return models.WebhookEvent{Platform: models.TikTok, DedupeKey: key, Payload: []byte("{}"), Status: models.WebhookPending, ReceivedAt: received, RunAt: runAt}
		}
		key := func(name string, made time.Time) {
			t.Helper()
			_, _, err := f.Tenants.TakeKey(ctx, &models.IdempotencyKey{AppID: f.app.ID, Key: name, Request: "r", Owner: "o", LockedUntil: made, CreatedAt: made}, made)
			f.must(err)
		}
		endpoint := f.subscribe(f.app.ID)
		used := f.file()
		p := f.accept(models.PostMedia{MediaID: &used})
		f.must(f.Inbox.Store(ctx, []models.WebhookEvent{event("pending", epoch, &epoch), event("new", hour, nil)}))
		key("new", hour)
		_, err := f.Outbox.TestEndpoint(ctx, endpoint, hour)
		f.must(err)
		want(0, 0, 0, 0)

		f.must(f.Inbox.Store(ctx, []models.WebhookEvent{event("settled", epoch.Add(20*time.Minute), nil), event("later", epoch.Add(40*time.Minute), nil)}))
		_, err = f.Outbox.TestEndpoint(ctx, endpoint, epoch.Add(30*time.Minute))
		f.must(err)
		key("old", epoch.Add(10*time.Minute))
		ended := func(at time.Time) {
			t.Helper()
			_, err := f.Pool().ExecContext(ctx, "UPDATE posts SET admission = '', status = 'published', updated_at = $1 WHERE id = $2", at, p.ID)
			f.must(err)
		}
		ended(epoch.Add(45 * time.Minute)) // the file is needed until then
		want(40*time.Minute, 30*time.Minute, 50*time.Minute, 15*time.Minute)
		ended(hour)
		want(40*time.Minute, 30*time.Minute, 50*time.Minute, 0)
		f.file()
		f.must(f.Outbox.DeleteEndpoint(ctx, f.app.ID, endpoint.ID, epoch.Add(5*time.Minute)))
		want(40*time.Minute, 55*time.Minute, 50*time.Minute, time.Hour)
	})
}
