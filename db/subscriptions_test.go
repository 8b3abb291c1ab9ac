package db_test

import (
	"slices"
	"testing"
	"time"

	"socialqueue/db"
	"socialqueue/models"
)

// login connects a Facebook login with one Page for each Instagram account.
func (f *fixture) login(igIDs ...string) int64 {
	f.t.Helper()
	c := db.Connection{Account: &models.OAuthAccount{
		UserID: f.user.ID, Provider: models.Instagram, ProviderAccountID: "9001", AccessToken: "sealed", TokenType: "Bearer",
		Status: models.AccountActive, ConnectedAt: epoch, CreatedAt: epoch, UpdatedAt: epoch,
	}}
	for _, id := range igIDs {
		name := "ig" + id
		c.Pages = append(c.Pages, db.PageConnection{
			Page: models.FacebookPage{PageID: "10" + id},
			Instagram: &models.InstagramAccount{
				UserID: f.user.ID, IGBusinessID: id, Username: &name, PageID: "10" + id, AccessToken: "sealed",
				Status: models.AccountActive, CreatedAt: epoch, UpdatedAt: epoch,
			},
		})
	}
	c.Pages = append(c.Pages, db.PageConnection{Page: models.FacebookPage{PageID: "1099", Reason: models.PageNoInstagram}})
	f.must(f.Connections.Connect(f.t.Context(), &c, epoch))
	return c.Account.ID
}

func (f *fixture) wantMaintenance(id int64, want *time.Time) {
	f.t.Helper()
	a, err := f.Accounts.OAuthAccount(f.t.Context(), id)
	f.must(err)
	if got := a.MaintenanceAt; (got == nil) != (want == nil) || got != nil && !got.Equal(*want) {
		f.t.Errorf("maintenance at %v, want %v", got, want)
	}
}

func TestSubscriptions(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		ctx, hour, day := t.Context(), epoch.Add(time.Hour), epoch.Add(24*time.Hour)
		login := f.login("1", "2", "3")
		claim := func(now, next time.Time, want ...string) {
			t.Helper()
			accounts, err := f.Subscriptions.Claim(ctx, login, now, next)
			f.must(err)
			var got []string
			for _, a := range accounts {
				got = append(got, a.IGBusinessID)
			}
			if !slices.Equal(got, want) {
				t.Errorf("claimed %q, want %q", got, want)
			}
		}
		due := func(now time.Time, want *time.Time) {
			t.Helper()
			f.must(f.Subscriptions.MakeDue(ctx, now, now.Add(time.Minute), 10))
			f.wantMaintenance(login, want)
			a, err := f.Accounts.OAuthAccount(ctx, login)
			f.must(err)
			f.must(f.Tokens.SetMaintenance(ctx, a, 0, nil))
		}
		record := func(pageID string, at *time.Time, reason string, next *time.Time) {
			t.Helper()
			f.must(f.Subscriptions.Record(ctx, []models.FacebookPage{
				{OAuthAccountID: login, PageID: pageID, SubscribedAt: at, SubscriptionError: reason, SubscribeAt: next},
				{OAuthAccountID: login, PageID: "gone", SubscribedAt: at},
			}))
		}
		missing := func(want ...db.Unsubscribed) {
			t.Helper()
			n, got, err := f.Subscriptions.Missing(ctx, 2)
			f.must(err)
			if int(n) != len(want) || !slices.Equal(got, want[:min(2, len(want))]) {
				t.Errorf("%d missing, %+v; want %+v", n, got, want)
			}
		}

		missing(db.Unsubscribed{Username: "ig1"}, db.Unsubscribed{Username: "ig2"}, db.Unsubscribed{Username: "ig3"})
		due(epoch, &epoch)
		claim(epoch, hour, "1", "2", "3")
		claim(epoch, hour)
		due(hour.Add(-time.Second), nil)
		record("101", &epoch, "", nil)
		record("102", nil, "it was refused", &day)
		record("101", nil, "a slower run failed", &day)
		missing(db.Unsubscribed{Username: "ig2", Reason: "it was refused"}, db.Unsubscribed{Username: "ig3"})
		due(hour, &hour)
		claim(hour, hour.Add(time.Hour), "3")
		record("103", &hour, "", nil)
		due(day.Add(-time.Second), nil)
		due(day, &day)

		// An account that cannot be used is not tried, nor one that is reached through another Page now.
		for _, change := range []string{"status = 'reauth_required'", "page_id = 'another'"} {
			_, err := f.Pool().ExecContext(ctx, "UPDATE instagram_accounts SET "+change+" WHERE ig_business_id = '2'")
			f.must(err)
			due(day, nil)
			claim(day, day.Add(time.Hour))
			missing()
			_, err = f.Pool().ExecContext(ctx, "UPDATE instagram_accounts SET status = 'active', page_id = '102' WHERE ig_business_id = '2'")
			f.must(err)
		}
		claim(day, day.Add(time.Hour), "2")
		record("102", &day, "", nil)
		missing()

		f.login("1", "2", "3") // a new consent subscribes again
		due(day, &day)
	})
}

// Maintenance that is due soon, or scheduled after a failed refresh, is not hurried. A
// disconnected login is left alone.
func TestSubscriptionsDoNotHurry(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		ctx, login := t.Context(), f.login("1")
		soon, later := epoch.Add(10*time.Minute), epoch.Add(50*time.Minute)
		for _, tt := range []struct {
			planned, want time.Time
			status        models.AccountStatus
			failures      int
		}{
			{soon, soon, models.AccountActive, 0}, {later, epoch, models.AccountActive, 0}, {later, later, models.AccountActive, 1},
			{later, epoch, models.AccountReauthorize, 0}, {later, later, models.AccountDisconnected, 0},
		} {
			_, err := f.Pool().ExecContext(ctx, "UPDATE oauth_accounts SET upkeep_at = $1, status = $2, refresh_failures = $3 WHERE id = $4",
				tt.planned, tt.status, tt.failures, login)
			f.must(err)
			f.must(f.Subscriptions.MakeDue(ctx, epoch, epoch.Add(30*time.Minute), 10))
			f.wantMaintenance(login, &tt.want)
		}
	})
}
