package oauth_test

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"socialqueue/db"
	"socialqueue/db/dbtest"
	"socialqueue/models"
	"socialqueue/oauth"
	"socialqueue/sandbox"
	"socialqueue/test/testkit"
)

func TestConnectInstagram(t *testing.T) {
	each(t, func(w *fixture) {
		w.sim.AddInstagramAccount(sandbox.InstagramAccount{IGID: "17841400000000001", Username: "bakery", Name: "The Bakery", FollowersCount: 1204})
		w.sim.AddFacebookUser(sandbox.FacebookUser{ID: "9001", Name: "Person 9001", Pages: []sandbox.FacebookPage{{ID: "1001", Name: "Bakery", InstagramID: "17841400000000001"}}})
		ig := w.instagram(w.finish(w.allow(models.Instagram, w.begin(models.Instagram), "9001")).Accounts[0].ID)
		if ig.IGBusinessID != "17841400000000001" || *ig.Username != "bakery" || *ig.Name != "The Bakery" || ig.FollowersCount != 1204 || *ig.ProfilePictureURL == "" ||
			ig.AccountType != nil || ig.PageID == "" || ig.UserID != w.user.ID {
			w.t.Errorf("stored %+v", ig)
		}
		for _, call := range w.sim.Calls() {
			if call.Code != "ok" {
				w.t.Errorf("%s was refused with %s: a connect asks for nothing that Meta does not have", call.Op, call.Code)
			}
		}
		login := w.account(ig.OAuthAccountID)
		if login.ProviderAccountID != "9001" || login.Provider != models.Instagram || login.DisplayName != "Person 9001" {
			w.t.Errorf("login %+v", login)
		}
		if got := login.ExpiresAt.Sub(testkit.Epoch); got < 59*day || got > 61*day {
			w.t.Errorf("the user token lives %s: it is no long-lived one", got)
		}
		if got := login.ReconnectBy.Sub(testkit.Epoch); got < 89*day || got > 91*day {
			w.t.Errorf("the access to data lasts %s", got)
		}
		// A Page token of a long-lived user token does not expire, even when the user token
		// does.
		w.clock.Advance(61 * day)
		token := w.token(w.post(models.Instagram, ig.ID, nil))
		if _, err := w.meta.Quota(w.ctx, token.Access, token.ProviderAccountID); err != nil {
			w.t.Errorf("the Page token does not work after 61 days: %v", err)
		}
	})
}

// Pages that can be posted to are connected; each of the others is reported with its
// reason.
func TestOddPages(t *testing.T) {
	each(t, func(w *fixture) {
		other := w.newUser(w.app, "colleague")
		w.sim.AddFacebookUser(sandbox.FacebookUser{ID: "9002", Pages: []sandbox.FacebookPage{{ID: "1090", Name: "Theirs", InstagramID: "17841400000000090"}}})
		if o := w.finish(w.allow(models.Instagram, w.beginFor(other, models.Instagram, ""), "9002")); o.Code != "" {
			w.t.Fatalf("outcome %+v", o)
		}
		w.sim.AddFacebookUser(sandbox.FacebookUser{ID: "9001", Name: "Baker", Pages: []sandbox.FacebookPage{
			{ID: "1001", Name: "Good", InstagramID: "17841400000000001"},
			{ID: "1002", Name: "No Instagram"},
			{ID: "1003", Name: "View only", InstagramID: "17841400000000003", Tasks: []string{"ANALYZE", "ADVERTISE"}},
			{ID: "1004", Name: "Portfolio", InstagramID: "17841400000000004", Business: "5001"},
			{ID: "1005", Name: "Client's", InstagramID: "17841400000000005", Business: "5001", Client: true},
			{ID: "1006", Name: "Without token", InstagramID: "17841400000000006", Business: "5002", NoToken: true},
			{ID: "1007", Name: "Unticked", InstagramID: "17841400000000007"},
			{ID: "1090", Name: "Theirs", InstagramID: "17841400000000090"},
		}})
		o := w.finish(w.allow(models.Instagram, w.begin(models.Instagram), "9001", func(f url.Values) {
			f["form"], f["scope"] = []string{"1"}, []string{"pages_show_list", "pages_read_engagement", "business_management", "instagram_basic", "instagram_content_publish"}
			f["page"] = []string{"1001", "1002", "1003", "1004", "1005", "1006", "1090"}
		}))
		if o.Code != "" || len(o.Accounts) != 3 {
			w.t.Fatalf("outcome %+v", o)
		}
		pages, err := w.db.Accounts.FacebookPages(w.ctx, w.app.ID, w.user.ID, 100)
		w.must(err)
		got := map[string]string{}
		for _, p := range pages {
			got[p.Name] = p.Reason
			if (p.Reason == "") != (p.InstagramAccountID != nil) {
				w.t.Errorf("Page %+v", p)
			}
		}
		want := map[string]string{
			"Good": "", "Portfolio": "", "Client's": "", "No Instagram": models.PageNoInstagram, "View only": models.PageNoPermission,
			"Without token": models.PageNoToken, "Theirs": models.PageElsewhere,
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			w.t.Errorf("got  %v\nwant %v", got, want)
		}
		if len(o.Unusable) != 4 || !strings.Contains(o.Redirect()+"&unusable_pages=4", "unusable_pages=4") {
			w.t.Errorf("unusable %+v", o.Unusable)
		}
		for _, a := range o.Accounts {
			token := w.token(w.post(models.Instagram, a.ID, nil))
			if _, err := w.meta.Quota(w.ctx, token.Access, token.ProviderAccountID); err != nil {
				w.t.Errorf("the token of %s does not work: %v", a.Name, err)
			}
		}
	})
}

func TestHundredsOfPages(t *testing.T) {
	w := newFixture(t, dbtest.SQLite(t), sandbox.Options{NoExpiresIn: true})
	user := sandbox.FacebookUser{ID: "9001"}
	for i := range 230 {
		user.Pages = append(user.Pages, sandbox.FacebookPage{ID: fmt.Sprintf("1%03d", i), InstagramID: fmt.Sprintf("17841400000000%03d", i)})
	}
	w.sim.AddFacebookUser(user)
	o := w.finish(w.allow(models.Instagram, w.begin(models.Instagram), "9001"))
	if o.Code != "" || len(o.Accounts) != 230 {
		t.Fatalf("%d accounts, code %q", len(o.Accounts), o.Code)
	}
	login := w.account(w.instagram(o.Accounts[0].ID).OAuthAccountID)
	if got := login.ExpiresAt.Sub(testkit.Epoch); got != 59*day {
		t.Errorf("without expires_in the token is taken to live %s", got)
	}
}

func TestConnectInstagramRefusals(t *testing.T) {
	for name, tc := range map[string]struct {
		pages  []sandbox.FacebookPage
		choose func(url.Values)
		fault  *sandbox.Fault
		code   string
	}{
		"no Page at all":       {nil, nil, nil, oauth.CodeNoAccounts},
		"nothing to post to":   {[]sandbox.FacebookPage{{ID: "1", Name: "Bare"}}, nil, nil, oauth.CodeNoAccounts},
		"denied":               {nil, func(f url.Values) { f.Set("decision", "deny") }, nil, oauth.CodeDenied},
		"a permission missing": {nil, only("pages_show_list", "pages_read_engagement", "instagram_basic"), nil, oauth.CodeScopesMissing},
		"Meta is down":         {nil, nil, &sandbox.Fault{Op: sandbox.OpInstagramExchangeCode, Mode: sandbox.ModeStatus}, oauth.CodePlatform},
		"the short token is not prolonged": {nil, nil,
			&sandbox.Fault{Op: sandbox.OpInstagramExchangeToken, Mode: sandbox.ModeStatus}, oauth.CodePlatform},
		"the Pages cannot be read": {nil, nil,
			&sandbox.Fault{Op: sandbox.OpInstagramPages, Mode: sandbox.ModeError, Code: "2"}, oauth.CodePlatform},
	} {
		t.Run(name, func(t *testing.T) {
			w := newFixture(t, dbtest.SQLite(t), sandbox.Options{})
			w.sim.AddFacebookUser(sandbox.FacebookUser{ID: "9001", Pages: tc.pages})
			choose := tc.choose
			if choose == nil {
				choose = func(url.Values) {}
			}
			cb := w.allow(models.Instagram, w.begin(models.Instagram), "9001", choose)
			if tc.fault != nil {
				w.sim.Script(*tc.fault)
			}
			o := w.finish(cb)
			if o.Code != tc.code || o.Detail == "" {
				t.Errorf("outcome %+v, want %s", o, tc.code)
			}
			logins, err := w.db.Accounts.OAuthAccountsOf(w.ctx, models.Instagram, "9001")
			w.must(err)
			if len(logins) != 0 {
				t.Errorf("a login was stored: %+v", logins)
			}
			if left := w.sim.PendingFaults(); len(left) > 0 {
				t.Errorf("faults left: %v", left)
			}
		})
	}
}

// A second login keeps the accounts' ids, posts and history. One without any Page changes
// nothing.
func TestReconnectInstagram(t *testing.T) {
	each(t, func(w *fixture) {
		ig := w.connectFacebook("9001", "17841400000000001", "17841400000000002")
		p := w.post(models.Instagram, ig[0].ID, nil)
		w.sim.InvalidateFacebook("9001", 460) // the password was changed
		w.clock.Advance(2 * time.Minute)
		if err := w.refused(p); !errors.Is(err, oauth.ErrReauthorize) {
			w.t.Fatalf("renew: %v", err)
		}
		if got := w.instagram(ig[1].ID); got.Status != models.AccountActive {
			w.t.Errorf("the other account is %s before anybody asked for it", got.Status)
		}
		nothing := w.finish(w.allow(models.Instagram, w.begin(models.Instagram), "9001", func(f url.Values) {
			f["form"], f["scope"] = []string{"1"}, []string{"pages_show_list", "pages_read_engagement", "instagram_basic", "instagram_content_publish"}
		}))
		if nothing.Code != oauth.CodeNoAccounts || w.instagram(ig[1].ID).Status != models.AccountActive {
			w.t.Errorf("outcome %+v", nothing)
		}
		again := w.connectFacebook("9001", "17841400000000001", "17841400000000002")
		if again[0].ID != ig[0].ID || again[1].ID != ig[1].ID || again[0].Status != models.AccountActive || again[0].StatusReason != "" {
			w.t.Errorf("accounts %+v, were %+v", again, ig)
		}
		if got := w.reload(p); got.DeferredReason != "" || got.RunAt.After(w.clock.Now()) {
			w.t.Errorf("the post still waits for %q", got.DeferredReason)
		}
		w.token(p)
	})
}

// An account cannot belong to two users at once. After the first user disconnects it, the
// second may connect it.
func TestAccountChangesHands(t *testing.T) {
	each(t, func(w *fixture) {
		first := w.connectFacebook("9001", "17841400000000001")[0]
		p := w.post(models.Instagram, first.ID, func(p *models.Post) { p.Status, p.Admission, p.RunAt = models.Published, models.AdmissionNone, nil })
		_, other := w.tenant("other")
		connect := func() oauth.Outcome {
			return w.finish(w.allow(models.Instagram, w.beginFor(other, models.Instagram, ""), "9001"))
		}
		if o := connect(); o.Code != oauth.CodeNoAccounts || len(o.Unusable) != 1 || o.Unusable[0].Reason != models.PageElsewhere {
			w.t.Fatalf("outcome %+v", o)
		}
		if got := w.instagram(first.ID); got.Status != models.AccountActive || got.UserID != w.user.ID {
			w.t.Fatalf("the first holder has %+v", got)
		}
		_, err := w.Disconnect(w.ctx, w.app.ID, models.Instagram, first.ID)
		w.must(err)
		o := connect()
		if o.Code != "" || o.Accounts[0].ID == first.ID {
			w.t.Fatalf("outcome %+v", o)
		}
		if got := w.reload(p); *got.InstagramAccountID != first.ID {
			w.t.Errorf("the first holder's post went along: %+v", got)
		}
		accounts, err := w.db.Accounts.List(w.ctx, db.AccountFilter{AppID: w.app.ID, Limit: 10})
		w.must(err)
		if !slices.ContainsFunc(accounts, func(a db.Account) bool { return a.ID() == first.ID && a.Instagram.Status == models.AccountDisconnected }) {
			w.t.Errorf("the first holder sees %+v", accounts)
		}
	})
}

// A login is disconnected when all its accounts are reached through another login, because
// no user could see or disconnect it.
func TestLoginLeftEmpty(t *testing.T) {
	each(t, func(w *fixture) {
		ig := w.connectFacebook("9001", "17841400000000001")[0]
		w.sim.AddFacebookUser(sandbox.FacebookUser{ID: "9002", Pages: []sandbox.FacebookPage{{ID: ig.PageID, Name: "Page", InstagramID: "17841400000000001"}}})
		o := w.finish(w.allow(models.Instagram, w.begin(models.Instagram), "9002"))
		if o.Code != "" || o.Accounts[0].ID != ig.ID {
			w.t.Fatalf("outcome %+v", o)
		}
		w.wantStatus(ig.OAuthAccountID, models.AccountDisconnected)
		w.tick()
		if former := w.account(ig.OAuthAccountID); former.AccessToken != "" {
			w.t.Error("its token is kept")
		}
		if now := w.instagram(ig.ID); now.Status != models.AccountActive || now.OAuthAccountID == ig.OAuthAccountID {
			w.t.Errorf("the account is %+v", now)
		}
		w.token(w.post(models.Instagram, ig.ID, nil))
	})
}

// Importing an account that its owner connected does not revoke the owner's consent,
// because the imported token may come from it.
func TestImportOverAConsent(t *testing.T) {
	each(t, func(w *fixture) {
		ig := w.connectFacebook("9001", "17841400000000001")[0]
		token := w.token(w.post(models.Instagram, ig.ID, nil))
		id, err := w.Import(w.ctx, oauth.Import{
			AppID: w.app.ID, UserID: w.user.ID, Platform: models.Instagram, ProviderAccountID: "17841400000000001", Access: token.Access,
		})
		w.must(err)
		if id != ig.ID {
			w.t.Errorf("imported as %d, was %d", id, ig.ID)
		}
		w.live(time.Minute, 5*time.Second)
		w.wantStatus(ig.OAuthAccountID, models.AccountDisconnected)
		w.wantCalls(sandbox.OpInstagramRevoke, 0)
		if old := w.account(ig.OAuthAccountID); old.AccessToken != "" {
			w.t.Error("the old login keeps its token")
		}
		if _, err := w.meta.Quota(w.ctx, token.Access, token.ProviderAccountID); err != nil {
			w.t.Errorf("the imported token: %v", err)
		}
	})
}
