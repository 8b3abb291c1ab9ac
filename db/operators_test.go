package db_test

import (
	"slices"
	"testing"
	"time"

	"socialqueue/db"
	"socialqueue/models"
)

// second creates another app with a post.
func (f *fixture) second(change func(*models.Post)) *models.Post {
	f.t.Helper()
	other := newFixture(f.t, f.DB)
	return other.post(change)
}

func idsOf(posts []models.Post) []string {
	ids := make([]string, len(posts))
	for i, p := range posts {
		ids[i] = p.ID
	}
	return ids
}

// TestOperatorsSeeAllApps checks that operators see the posts and accounts of all apps, and
// an app only its own.
func TestOperatorsSeeAllApps(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		ctx, publishID := t.Context(), "v_pub_1"
		mine := f.post(func(p *models.Post) { p.PublishID = &publishID })
		theirs := f.second(func(p *models.Post) { p.Status, p.ErrorCode = models.Failed, "PUBLISH_FAILED" })
		for _, c := range []struct {
			filter db.PostFilter
			want   []string
		}{
			{db.PostFilter{Limit: 10}, []string{theirs.ID, mine.ID}},
			{db.PostFilter{Limit: 1}, []string{theirs.ID}},
			{db.PostFilter{AppID: mine.AppID, Limit: 10}, []string{mine.ID}},
			{db.PostFilter{Status: models.Queued, Limit: 10}, []string{mine.ID}},
			{db.PostFilter{Before: theirs.ID, Limit: 10}, []string{mine.ID}},
		} {
			got, err := f.Operators.AllPosts(ctx, c.filter)
			f.must(err)
			if !slices.Equal(idsOf(got), c.want) {
				t.Errorf("%+v lists %v, want %v", c.filter, idsOf(got), c.want)
			}
		}
		withoutApp, err := f.Posts.List(ctx, db.PostFilter{Limit: 10})
		f.must(err)
		accounts, err := f.Accounts.List(ctx, db.AccountFilter{Limit: 10})
		f.must(err)
		if len(withoutApp) != 0 || len(accounts) != 0 {
			t.Errorf("an app without an id sees %d posts and %d accounts", len(withoutApp), len(accounts))
		}
		all, err := f.Operators.AllAccounts(ctx, db.AccountFilter{Limit: 10, Status: models.AccountActive})
		f.must(err)
		if len(all) != 2 {
			t.Errorf("operators see %d accounts, want 2", len(all))
		}
		if none, err := f.Operators.AllAccounts(ctx, db.AccountFilter{Limit: 10, Status: models.AccountReauthorize}); err != nil || len(none) != 0 {
			t.Errorf("accounts to connect again: %v, %v", none, err)
		}
		account, err := f.Operators.AccountByID(ctx, models.TikTok, f.account.ID)
		f.must(err)
		if account.ID() != f.account.ID {
			t.Errorf("account %d", account.ID())
		}
		for _, id := range []string{mine.ID, publishID} {
			found, err := f.Operators.FindPosts(ctx, id, 5)
			f.must(err)
			if !slices.Equal(idsOf(found), []string{mine.ID}) {
				t.Errorf("%s finds %v", id, idsOf(found))
			}
		}
		names, err := f.Tenants.Apps(ctx, []int64{mine.AppID, mine.AppID, theirs.AppID})
		f.must(err)
		if len(names) != 2 || names[mine.AppID] != "shop" {
			t.Errorf("names = %v", names)
		}
	})
}

// TestOutcomes checks that only posts accepted since a time are counted, up to the limit.
func TestOutcomes(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.post(nil)
		for range 2 {
			f.post(func(p *models.Post) { p.Status, p.ErrorCode = models.Failed, "UPLOAD_FAILED" })
		}
		f.post(func(p *models.Post) { p.Status = models.Published })
		counts, more, err := f.Operators.Outcomes(t.Context(), time.Now().Add(-time.Hour), 100)
		f.must(err)
		want := db.OutcomeCount{Platform: models.TikTok, Status: models.Failed, ErrorCode: "UPLOAD_FAILED", N: 2}
		if more || len(counts) != 3 || counts[0] != want {
			t.Errorf("counts = %+v (more: %v), want %+v first of three", counts, more, want)
		}
		counts, more, err = f.Operators.Outcomes(t.Context(), time.Now().Add(-time.Hour), 1)
		f.must(err)
		if !more || len(counts) == 0 {
			t.Errorf("with a limit of 1: %+v (more: %v)", counts, more)
		}
		counts, _, err = f.Operators.Outcomes(t.Context(), time.Now().Add(time.Hour), 100)
		f.must(err)
		if len(counts) != 0 {
			t.Errorf("of later posts: %+v", counts)
		}
	})
}

func TestLaneState(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		soon, yesterday := epoch.Add(time.Hour), epoch.Add(-25*time.Hour)
		f.post(nil)
		f.post(func(p *models.Post) { p.Status, p.Admission, p.PublishedAt = models.Published, "", &epoch })
		f.post(func(p *models.Post) { p.Status, p.Admission, p.PublishedAt = models.Published, "", &yesterday })
		p := f.post(func(p *models.Post) { p.DeferredReason, p.DeferredUntil = models.DeferredDailyCap, &soon })
		f.second(func(p *models.Post) { p.DeferredReason, p.DeferredUntil = models.DeferredDailyCap, &soon })
		s, err := f.Operators.LaneState(t.Context(), p.Lane, epoch.Add(time.Minute))
		f.must(err)
		if len(s.Posts) != 1 || s.Posts[0].N != 2 || s.PublishedToday != 1 || s.Deferred != 1 || s.LongestDeferred == nil || s.LongestDeferred.ID != p.ID {
			t.Errorf("state = %+v", s)
		}
	})
}

func TestPauses(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		ctx := t.Context()
		for _, reason := range []string{"first", "second"} {
			f.must(f.Admission.Pause(ctx, models.Pause{Scope: "tiktok", Reason: reason, PausedBy: "anna", CreatedAt: epoch}))
		}
		f.must(f.Admission.Pause(ctx, models.Pause{Scope: "instagram:7", PausedBy: "anna", CreatedAt: epoch}))
		all, err := f.Admission.Pauses(ctx)
		f.must(err)
		if len(all) != 2 || all.Of("tiktok:1").Reason != "second" || all.Of("instagram:7") == nil || all.Of("instagram:70") != nil || all.Of("instagram") != nil {
			t.Errorf("pauses = %+v", all)
		}
		for _, want := range []bool{true, false} {
			if was, err := f.Admission.Resume(ctx, "tiktok"); err != nil || was != want {
				t.Errorf("resumed: %v, %v; want %v", was, err, want)
			}
		}
		for account, want := range map[int64]bool{f.account.ID: true, f.account.ID + 100: false} {
			if has, err := f.Admission.HasAccount(ctx, models.TikTok, account); err != nil || has != want {
				t.Errorf("account %d: %v, %v", account, has, err)
			}
		}
		if has, err := f.Admission.HasAccount(ctx, models.Instagram, f.account.ID); err != nil || has {
			t.Errorf("a TikTok account is taken for Instagram's: %v, %v", has, err)
		}
	})
}
