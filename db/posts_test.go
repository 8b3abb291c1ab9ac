package db_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"socialqueue/db"
	"socialqueue/db/dbtest"
	"socialqueue/models"
)

var epoch = time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)

// fixture is one app with one user and one TikTok account.
type fixture struct {
	*db.DB
	t       *testing.T
	app     models.App
	user    models.User
	account models.OAuthAccount
}

func newFixture(t *testing.T, d *db.DB) *fixture {
	t.Helper()
	f := &fixture{DB: d, t: t}
	f.app = models.App{Name: "shop", CreatedAt: epoch}
	f.must(d.Tenants.CreateApp(t.Context(), &f.app, &models.APIKey{Prefix: "p-" + models.NewID()[24:], Hash: []byte("h"), CreatedAt: epoch}))
	f.user = models.User{AppID: f.app.ID, ExternalID: "u1", CreatedAt: epoch, UpdatedAt: epoch}
	_, err := d.Tenants.EnsureUser(t.Context(), &f.user)
	f.must(err)
	connection := db.Connection{Account: &models.OAuthAccount{
		UserID: f.user.ID, Provider: models.TikTok, ProviderAccountID: "open-1", AccessToken: "sealed-1",
		TokenType: "Bearer", Status: models.AccountActive, ConnectedAt: epoch, CreatedAt: epoch, UpdatedAt: epoch,
	}}
	f.must(d.Connections.Connect(t.Context(), &connection, epoch))
	f.account = *connection.Account
	return f
}

func (f *fixture) must(err error) {
	f.t.Helper()
	if err != nil {
		f.t.Fatal(err)
	}
}

// post stores an admitted post that is due at epoch, after applying change.
func (f *fixture) post(change func(*models.Post)) *models.Post {
	f.t.Helper()
	p := f.unstored(change)
	f.must(f.StorePost(p))
	return p
}

func (f *fixture) unstored(change func(*models.Post)) *models.Post {
	at := epoch
	p := &models.Post{
		ID: models.NewID(), AppID: f.app.ID, UserID: f.user.ID, Platform: models.TikTok, OAuthAccountID: f.account.ID,
		Kind: models.Video, Content: models.Content{models.TikTok: json.RawMessage(`{"title":"hi","privacy_level":"SELF_ONLY"}`)},
		PublishAt: at, CreatedAt: at, UpdatedAt: at, Lane: models.Lane(models.TikTok, f.account.ID),
		Status: models.Queued, Step: models.StepTransfer, Admission: models.AdmissionAdmitted, RunAt: &at, EnqueuedAt: &at,
	}
	if change != nil {
		change(p)
	}
	return p
}

func (f *fixture) reload(p *models.Post) *models.Post {
	f.t.Helper()
	got, err := f.Posts.ByID(f.t.Context(), p.ID)
	f.must(err)
	return got
}

func each(t *testing.T, test func(t *testing.T, f *fixture)) {
	t.Helper()
	dbtest.Each(t, func(t *testing.T, d *db.DB) { test(t, newFixture(t, d)) })
}

func wantStale(t *testing.T, err error) {
	t.Helper()
	if !errors.Is(err, db.ErrStale) {
		t.Errorf("err = %v, want ErrStale", err)
	}
}

func TestPostComesBackAsStored(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		late := int64(1500)
		at := epoch.Add(123456 * time.Microsecond)
		p := f.post(func(p *models.Post) { p.MaxLatenessMs, p.PublishAt, p.RunAt = &late, at, &at })
		got := f.reload(p)
		if !got.PublishAt.Equal(at) || got.PublishAt.Location() != time.UTC || !got.RunAt.Equal(at) {
			t.Errorf("times = %v, %v; want %v in UTC", got.PublishAt, got.RunAt, at)
		}
		if titleOf(t, got) != "hi" || *got.MaxLatenessMs != late {
			t.Errorf("got %+v", got)
		}
	})
}

func TestClaim(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		ctx, p := t.Context(), f.post(nil)
		run, err := f.Runs.Claim(ctx, p.ID, 0, "w1", epoch, time.Minute)
		f.must(err)
		if run.Fence != 1 || run.Status != models.Publishing || run.UnfinishedRuns != 1 {
			t.Errorf("claimed %+v", run)
		}
		stored := f.reload(p)
		if stored.Fence != 1 || stored.Status != models.Publishing || !stored.LeaseUntil.Equal(epoch.Add(time.Minute)) || stored.LeaseOwner != "w1" {
			t.Errorf("stored %+v", stored)
		}
		for name, try := range map[string]struct {
			fence int64
			now   time.Time
		}{
			"the same task again":                  {0, epoch},
			"the new fence, lease alive":           {1, epoch.Add(time.Minute)},
			"the old task after the lease ran out": {0, epoch.Add(2 * time.Minute)},
		} {
			if _, err := f.Runs.Claim(ctx, p.ID, try.fence, "w2", try.now, time.Minute); !errors.Is(err, db.ErrStale) {
				t.Errorf("%s: err = %v, want ErrStale", name, err)
			}
		}
		if run, err = f.Runs.Claim(ctx, p.ID, 1, "w2", epoch.Add(2*time.Minute), time.Minute); err != nil || run.Fence != 2 {
			t.Errorf("takeover: fence %d, %v", run.Fence, err)
		}
	})
}

func TestClaimRefuses(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		later := epoch.Add(time.Hour)
		ahead := f.post(func(p *models.Post) { p.RunAt = &later })
		var early *db.EarlyError
		if _, err := f.Runs.Claim(t.Context(), ahead.ID, 0, "w", epoch, time.Minute); !errors.As(err, &early) || early.In != time.Hour {
			t.Errorf("not due: err = %v, want EarlyError of an hour", err)
		}
		for name, change := range map[string]func(*models.Post){
			"canceled": func(p *models.Post) { p.Status, p.Admission, p.RunAt = models.Canceled, "", nil },
			"parked":   func(p *models.Post) { p.Admission = models.AdmissionParked },
		} {
			p := f.post(change)
			if _, err := f.Runs.Claim(t.Context(), p.ID, 0, "w", epoch, time.Minute); !errors.Is(err, db.ErrStale) {
				t.Errorf("%s: err = %v, want ErrStale", name, err)
			}
		}
		if _, err := f.Runs.Claim(t.Context(), models.NewID(), 0, "w", epoch, time.Minute); !errors.Is(err, db.ErrNotFound) {
			t.Errorf("no such post: err = %v, want ErrNotFound", err)
		}
	})
}

// TestClaimRace checks that only one of many workers can claim a run.
func TestClaimRace(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		p := f.post(nil)
		won := make(chan bool)
		const workers = 16
		for i := range workers {
			go func() {
				_, err := f.Runs.Claim(context.Background(), p.ID, 0, fmt.Sprint("w", i), epoch, time.Minute)
				if err != nil && !errors.Is(err, db.ErrStale) {
					t.Error(err)
				}
				won <- err == nil
			}()
		}
		winners := 0
		for range workers {
			if <-won {
				winners++
			}
		}
		if winners != 1 {
			t.Errorf("%d workers claimed the run, want 1", winners)
		}
	})
}

// TestOldRunChangesNothing checks that a run that lost the post can neither renew its lease,
// nor write the ledger, nor write the post.
func TestOldRunChangesNothing(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		ctx, p := t.Context(), f.post(nil)
		old, err := f.Runs.Claim(ctx, p.ID, 0, "w1", epoch, time.Minute)
		f.must(err)
		now := epoch.Add(2 * time.Minute)
		_, err = f.Runs.Claim(ctx, p.ID, 1, "w2", now, time.Minute)
		f.must(err)

		wantStale(t, f.Runs.Renew(ctx, p.ID, old.Fence, now.Add(time.Minute)))
		err = f.Runs.Intend(ctx, db.Intent{Entry: &models.LedgerEntry{PostID: p.ID, Op: "tiktok.init", Harmless: true, State: models.Intended, Fence: old.Fence, CreatedAt: now}, Check: anywhere}, now)
		wantStale(t, err)
		old.Status = models.Published
		wantStale(t, f.Runs.Write(ctx, db.RunWrite{Post: old, From: models.Publishing}))
		if got := f.reload(p); got.Status != models.Publishing || got.Fence != 2 {
			t.Errorf("the old run changed the post: %+v", got)
		}
		if ledger, err := f.Runs.Ledger(ctx, p.ID); err != nil || len(ledger) != 0 {
			t.Errorf("ledger = %v, %v", ledger, err)
		}
	})
}

func TestIntendNeedsALiveLease(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		ctx, p := t.Context(), f.post(nil)
		_, err := f.Runs.Claim(ctx, p.ID, 0, "w1", epoch, time.Minute)
		f.must(err)
		entry := &models.LedgerEntry{PostID: p.ID, Op: "tiktok.init", Harmless: true, State: models.Intended, Fence: 1, CreatedAt: epoch}
		err = f.Runs.Intend(ctx, db.Intent{Entry: entry, Check: anywhere}, epoch.Add(time.Minute))
		wantStale(t, err)
		elsewhere := errors.New("another database")
		err = f.Runs.Intend(ctx, db.Intent{Entry: entry, Check: func(db.Place) error { return elsewhere }}, epoch.Add(time.Second))
		if ledger, readErr := f.Runs.Ledger(ctx, p.ID); !errors.Is(err, elsewhere) || readErr != nil || len(ledger) != 0 {
			t.Errorf("in another database: %v, and the ledger is %v, %v", err, ledger, readErr)
		}
		err = f.Runs.Intend(ctx, db.Intent{Entry: entry, Check: anywhere}, epoch.Add(time.Second))
		f.must(err)

		id, settled := "v_pub_1", epoch.Add(2*time.Second)
		entry.State, entry.ExternalID, entry.SettledAt = models.Done, &id, &settled
		f.must(f.Runs.Settle(ctx, entry))
		ledger, err := f.Runs.Ledger(ctx, p.ID)
		f.must(err)
		if len(ledger) != 1 || ledger[0].State != models.Done || *ledger[0].ExternalID != id || !ledger[0].SettledAt.Equal(settled) {
			t.Errorf("ledger = %+v", ledger)
		}
	})
}

func TestWriteRunIsAllOrNothing(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		ctx, p := t.Context(), f.post(nil)
		run, err := f.Runs.Claim(ctx, p.ID, 0, "w1", epoch, time.Minute)
		f.must(err)
		run.Status = models.Canceled
		if err := f.Runs.Write(ctx, db.RunWrite{Post: run, From: models.Publishing}); err == nil {
			t.Error("a change that the transition table does not allow was written")
		}
		run.Status = models.Processing
		bad := &models.TikTokPost{UserID: -1, OAuthAccountID: run.OAuthAccountID, PublishID: "v1", Status: "processing", CreatedAt: epoch, UpdatedAt: epoch}
		event := models.PostEvent{PostID: p.ID, At: epoch, Type: models.EventState}
		if err := f.Runs.Write(ctx, db.RunWrite{Post: run, From: models.Publishing, Record: bad, Events: []models.PostEvent{event}}); err == nil {
			t.Error("a row without a user was written")
		}
		if got := f.reload(p); got.Status != models.Publishing {
			t.Errorf("a part of the failed write was committed: %s", got.Status)
		}
		good := &models.TikTokPost{UserID: f.user.ID, OAuthAccountID: run.OAuthAccountID, PublishID: "v1", Status: "processing", CreatedAt: epoch, UpdatedAt: epoch}
		f.must(f.Runs.Write(ctx, db.RunWrite{Post: run, From: models.Publishing, Record: good, Events: []models.PostEvent{event}}))
		if got := f.reload(p); got.Status != models.Processing {
			t.Errorf("status = %s", got.Status)
		}
		events, err := f.Posts.Events(ctx, p.ID)
		f.must(err)
		if len(events) != 2 { // the claim's and this one's, not the failed write's
			t.Errorf("%d events, want 2: %+v", len(events), events)
		}
	})
}

func TestChangeUnsent(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		ctx := t.Context()
		p := f.post(nil)
		seen := *p
		seen.Status, seen.Admission, seen.RunAt = models.Canceled, models.AdmissionNone, nil
		f.must(f.Posts.ChangeUnsent(ctx, &seen, models.PostEvent{PostID: p.ID, At: epoch, Type: models.EventState}))
		if got := f.reload(p); got.Status != models.Canceled || got.Fence != 1 {
			t.Errorf("got %+v", got)
		}
		if _, err := f.Runs.Claim(ctx, p.ID, 0, "w", epoch, time.Minute); !errors.Is(err, db.ErrStale) {
			t.Errorf("the canceled post's task claimed it: %v", err)
		}

		sent := f.post(nil)
		_, err := f.Runs.Claim(ctx, sent.ID, 0, "w", epoch, time.Minute)
		f.must(err)
		late := *sent
		late.Status = models.Canceled
		wantStale(t, f.Posts.ChangeUnsent(ctx, &late, models.PostEvent{PostID: sent.ID, At: epoch, Type: models.EventState}))
	})
}

func TestUnattended(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		const check = 15 * time.Second
		now := epoch.Add(time.Minute)
		ago := func(d time.Duration) *time.Time { at := now.Add(-d); return &at }
		ahead := now.Add(10 * time.Second)
		for name, tc := range map[string]struct {
			change func(*models.Post)
			want   bool
		}{
			"just enqueued":            {func(p *models.Post) { p.RunAt, p.EnqueuedAt = ago(time.Second), ago(time.Second) }, false},
			"not seen for long":        {func(p *models.Post) { p.RunAt, p.EnqueuedAt = ago(20*time.Second), ago(20*time.Second) }, true},
			"enqueued early, just due": {func(p *models.Post) { p.RunAt, p.EnqueuedAt = ago(time.Second), ago(time.Minute) }, false},
			"enqueue failed":           {func(p *models.Post) { p.RunAt, p.EnqueuedAt = ago(0), nil }, true},
			"runs":                     {func(p *models.Post) { p.RunAt, p.EnqueuedAt, p.LeaseUntil = ago(time.Hour), ago(time.Hour), &ahead }, false},
			"lease ran out": {func(p *models.Post) {
				p.RunAt, p.EnqueuedAt, p.LeaseUntil = ago(time.Minute), ago(time.Minute), ago(time.Second)
			}, true},
			"lease ran out, enqueued since": {func(p *models.Post) {
				p.RunAt, p.EnqueuedAt, p.LeaseUntil = ago(time.Minute), ago(time.Second), ago(2*time.Second)
			}, false},
			"not due": {func(p *models.Post) { p.RunAt, p.EnqueuedAt = &ahead, nil }, false},
			"ended":   {func(p *models.Post) { p.Admission, p.RunAt = models.AdmissionNone, nil }, false},
		} {
			p := f.post(tc.change)
			posts, err := f.Admission.Unattended(t.Context(), now, check, 100)
			f.must(err)
			found := false
			for _, got := range posts {
				found = found || got.ID == p.ID
			}
			if found != tc.want {
				t.Errorf("%s: unattended = %v, want %v", name, found, tc.want)
			}
		}
	})
}

func TestRefence(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		p := f.post(nil)
		stuck := *p
		f.must(f.Admission.Refence(t.Context(), &stuck, epoch))
		if _, err := f.Runs.Claim(t.Context(), p.ID, 0, "w", epoch, time.Minute); !errors.Is(err, db.ErrStale) {
			t.Errorf("the replaced task still claims: %v", err)
		}
		_, err := f.Runs.Claim(t.Context(), p.ID, stuck.Fence, "w", epoch, time.Minute)
		f.must(err)
		claimed := *p
		claimed.Fence = stuck.Fence + 1
		wantStale(t, f.Admission.Refence(t.Context(), &claimed, epoch)) // it runs
	})
}

// TestInsert checks that an accepted post is stored as it was given, and is admitted to
// Asynq only if its lane is not full.
func TestInsert(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		const laneLimit = 2
		late, late5 := int64(5000), epoch.Add(5*time.Second)
		insert := func(change func(*models.Post)) *models.Post {
			at := epoch
			p := &models.Post{
				ID: models.NewID(), AppID: f.app.ID, UserID: f.user.ID, Platform: models.TikTok, OAuthAccountID: f.account.ID,
				Kind: models.Video, Content: models.Content{models.TikTok: json.RawMessage(`{"title":"hi"}`)}, SourceURL: "sealed",
				PublishAt: at, MaxLatenessMs: &late, MissAt: &late5, CorrelationID: "c", CreatedAt: at, UpdatedAt: at,
				Lane: models.Lane(models.TikTok, f.account.ID), Status: models.Queued, Step: models.StepTransfer,
				Admission: models.AdmissionAdmitted, RunAt: &at, EnqueuedAt: &at,
			}
			change(p)
			f.must(f.Posts.Insert(t.Context(), []db.NewPost{{Post: p}}, laneLimit, nil))
			return p
		}
		var got []models.Admission
		for range 3 {
			got = append(got, insert(func(*models.Post) {}).Admission)
		}
		waiting := insert(func(p *models.Post) { p.Admission, p.Status = models.AdmissionWaiting, models.Scheduled })
		other := insert(func(p *models.Post) { p.Lane = "another" })
		got = append(got, waiting.Admission, other.Admission)
		if fmt.Sprint(got) != "[admitted admitted parked waiting admitted]" {
			t.Errorf("admissions = %v", got)
		}
		stored := f.reload(waiting)
		if titleOf(t, stored) != titleOf(t, waiting) || !stored.MissAt.Equal(late5) ||
			stored.SourceURL != "sealed" || stored.CorrelationID != "c" || !stored.RunAt.Equal(epoch) || stored.Status != models.Scheduled {
			t.Errorf("stored %+v", stored)
		}
		gone := models.NewID()
		p := *waiting
		p.ID, p.MediaID = models.NewID(), &gone
		if err := f.Posts.Insert(t.Context(), []db.NewPost{{Post: &p}}, laneLimit, nil); !errors.Is(err, db.ErrNotFound) {
			t.Errorf("file that is gone: err = %v, want ErrNotFound", err)
		}
	})
}

func titleOf(t *testing.T, p *models.Post) string {
	t.Helper()
	var options struct{ Title string }
	if err := json.Unmarshal(p.Options(), &options); err != nil {
		t.Fatal(err)
	}
	return options.Title
}
