package oauth_test

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"socialqueue/db/dbtest"
	"socialqueue/models"
	"socialqueue/sandbox"
)

// unsubscribed returns why no webhooks come about the accounts, by username.
func (w *fixture) unsubscribed() map[string]string {
	w.t.Helper()
	n, missing, err := w.db.Subscriptions.Missing(w.ctx, 100)
	w.must(err)
	if int(n) != len(missing) {
		w.t.Errorf("%d are missing: %+v", n, missing)
	}
	reasons := map[string]string{}
	for _, m := range missing {
		reasons[m.Username] = m.Reason
	}
	return reasons
}

func (w *fixture) wantSubscribed(calls int) {
	w.t.Helper()
	w.wantCalls(sandbox.OpInstagramSubscribe, calls)
	if got := w.unsubscribed(); len(got) > 0 {
		w.t.Errorf("not subscribed: %v", got)
	}
}

// A consent subscribes the app to each Page, once, and a second one does so again.
func TestConnectSubscribes(t *testing.T) {
	each(t, func(w *fixture) {
		w.connectFacebook("9001", "17841400000000001", "17841400000000002")
		w.wantSubscribed(2)
		w.live(3*day, 6*time.Hour)
		w.wantSubscribed(2)
		w.sim.InvalidateFacebook("9001", 458)
		w.connectFacebook("9001", "17841400000000001", "17841400000000002")
		w.wantSubscribed(4)
	})
}

// A call that fails leaves the account connected, and is made again: after an hour, or after
// a day if Meta refused it.
func TestSubscribeAgain(t *testing.T) {
	for name, tt := range map[string]struct {
		fault sandbox.Fault
		wait  time.Duration
	}{
		"error of Meta": {sandbox.Fault{Mode: sandbox.ModeError, Code: "2"}, time.Hour},
		"gateway page":  {sandbox.Fault{Mode: sandbox.ModeStatus}, time.Hour},
		"lost answer":   {sandbox.Fault{Mode: sandbox.ModeReset, After: true}, time.Hour},
		"throttled":     {sandbox.Fault{Mode: sandbox.ModeRateLimit, Minutes: 180}, 3 * time.Hour},
		"dead token":    {sandbox.Fault{Mode: sandbox.ModeError, Code: "190", Subcode: 460}, day},
		"refused":       {sandbox.Fault{Mode: sandbox.ModeError, Code: "200"}, day},
	} {
		t.Run(name, func(t *testing.T) {
			each(t, func(w *fixture) {
				tt.fault.Op = sandbox.OpInstagramSubscribe
				w.sim.Script(tt.fault)
				ig := w.connectFacebook("9001", "17841400000000001")[0]
				if got := w.unsubscribed()[*ig.Username]; !strings.HasPrefix(got, "instagram.subscribe: ") {
					w.t.Errorf("the reason is %q", got)
				}
				w.live(tt.wait-10*time.Minute, 10*time.Minute)
				w.wantCalls(sandbox.OpInstagramSubscribe, 1)
				w.live(time.Hour, 10*time.Minute)
				w.wantSubscribed(2)
				w.wantStatus(ig.OAuthAccountID, models.AccountActive)
				if got := w.instagram(ig.ID); got.Status != models.AccountActive {
					w.t.Errorf("the account is %s: %s", got.Status, got.StatusReason)
				}
			})
		})
	}
}

// A platform that does not answer holds up no connect: the account is connected, and the
// call is made again.
func TestSubscribeTimesOut(t *testing.T) {
	w := newFixture(t, dbtest.SQLite(t), sandbox.Options{})
	w.sim.Script(sandbox.Fault{Op: sandbox.OpInstagramSubscribe, Mode: sandbox.ModeHang})
	began := time.Now()
	ig := w.connectFacebook("9001", "17841400000000001")[0]
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("the connect took %s", took)
	}
	if got := w.unsubscribed()[*ig.Username]; !strings.Contains(got, "deadline") {
		t.Errorf("the reason is %q", got)
	}
	w.live(2*time.Hour, 10*time.Minute)
	w.wantSubscribed(2)
}

// Without the permission nothing is called, however long the account is connected. It is
// subscribed when its owner allows it.
func TestSubscribeWithoutPermission(t *testing.T) {
	each(t, func(w *fixture) {
		w.sim.AddFacebookUser(sandbox.FacebookUser{ID: "9001", Pages: []sandbox.FacebookPage{{ID: "1001", InstagramID: "17841400000000001"}}})
		o := w.finish(w.allow(models.Instagram, w.begin(models.Instagram), "9001",
			only("pages_show_list", "pages_read_engagement", "instagram_basic", "instagram_content_publish", "instagram_manage_comments"),
			func(f url.Values) { f.Set("page", "1001") }))
		if len(o.Accounts) != 1 {
			w.t.Fatalf("outcome %+v", o)
		}
		ig := w.instagram(o.Accounts[0].ID)
		w.live(3*day, 6*time.Hour)
		w.wantCalls(sandbox.OpInstagramSubscribe, 0)
		if got := w.unsubscribed()[*ig.Username]; got != "the permission pages_manage_metadata was not allowed" {
			w.t.Errorf("the reason is %q", got)
		}
		w.finish(w.allow(models.Instagram, w.begin(models.Instagram), "9001"))
		w.wantSubscribed(1)
	})
}

// Accounts that the previous release connected are subscribed by the next maintenance, which
// is due at once, although it was planned for weeks later or not at all.
func TestSubscribeAfterAnUpgrade(t *testing.T) {
	each(t, func(w *fixture) {
		w.connectFacebook("9001", "17841400000000001")
		w.connectFacebook("9002", "17841400000000002", "17841400000000003")
		for _, change := range []string{
			"UPDATE facebook_pages SET subscribed_at = NULL",
			"UPDATE oauth_accounts SET upkeep_at = NULL WHERE provider_account_id = '9002'",
		} {
			_, err := w.db.Pool().ExecContext(w.ctx, change)
			w.must(err)
		}
		planned := w.account(w.instagramAt("17841400000000001").OAuthAccountID).MaintenanceAt
		w.clock.Advance(time.Minute)
		w.tick()
		w.wantSubscribed(6)
		if got := w.account(w.instagramAt("17841400000000001").OAuthAccountID).MaintenanceAt; !got.Equal(*planned) {
			w.t.Errorf("the next maintenance is at %s, want %s as planned", got, planned)
		}
		w.live(2*day, 6*time.Hour)
		w.wantSubscribed(6)
	})
}

// instagramAt reads the account with that id at Meta.
func (w *fixture) instagramAt(igID string) *models.InstagramAccount {
	w.t.Helper()
	a, err := w.db.Accounts.InstagramAccountOf(w.ctx, igID)
	w.must(err)
	return a
}
