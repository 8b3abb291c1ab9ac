package oauth_test

import (
	"errors"
	"sync"
	"testing"
	"time"

	"socialqueue/db"
	"socialqueue/db/dbtest"
	"socialqueue/models"
	"socialqueue/oauth"
	"socialqueue/platform"
	"socialqueue/sandbox"
)

const day = 24 * time.Hour

// A login is prolonged before it expires, as Meta reports its lifetime, and its Page tokens
// are read again.
func TestLoginIsProlonged(t *testing.T) {
	w := newFixture(t, dbtest.SQLite(t), sandbox.Options{})
	ig := w.connectFacebook("9001", "17841400000000001")[0]
	w.live(44*day, 12*time.Hour)
	w.wantCalls(sandbox.OpInstagramExchangeToken, 1) // that of the connect
	w.live(2*day, 12*time.Hour)
	w.wantCalls(sandbox.OpInstagramExchangeToken, 2)
	w.wantCalls(sandbox.OpInstagramPage, 1)
	w.live(180*day, 12*time.Hour)
	w.wantStatus(ig.OAuthAccountID, models.AccountActive)
	login := w.account(ig.OAuthAccountID)
	if !login.ExpiresAt.After(w.clock.Now()) {
		t.Errorf("the login ended at %v", login.ExpiresAt)
	}
	if !w.warned("connected again soon") {
		t.Error("the end of data access was not logged")
	}
	token := w.token(w.post(models.Instagram, ig.ID, nil))
	if _, err := w.meta.Quota(w.ctx, token.Access, token.ProviderAccountID); err != nil {
		t.Error(err)
	}
}

// Errors of Meta, and internal errors, leave a login connected. A lost answer counts as no
// answer, since a refresh consumes nothing.
func TestProlongErrors(t *testing.T) {
	for name, f := range map[string]sandbox.Fault{
		"lost there":     {Mode: sandbox.ModeReset},
		"lost back":      {Mode: sandbox.ModeReset, After: true},
		"unknown error":  {Mode: sandbox.ModeError, Code: "1"},
		"unavailable":    {Mode: sandbox.ModeError, Code: "2"},
		"throttled":      {Mode: sandbox.ModeError, Code: "4"},
		"our app id":     {Mode: sandbox.ModeError, Code: "101"},
		"a gateway page": {Mode: sandbox.ModeStatus},
	} {
		t.Run(name, func(t *testing.T) {
			each(t, func(w *fixture) {
				ig := w.connectFacebook("9001", "17841400000000001")[0]
				f.Op, f.Times = sandbox.OpInstagramExchangeToken, 3
				w.sim.Script(f)
				w.clock.Advance(46 * day)
				w.live(12*time.Hour, 5*time.Minute)
				w.wantStatus(ig.OAuthAccountID, models.AccountActive)
				if login := w.account(ig.OAuthAccountID); login.RefreshFailures != 0 || login.ExpiresAt.Sub(w.clock.Now()) < 50*day {
					w.t.Errorf("login %+v", login)
				}
				if left := w.sim.PendingFaults(); len(left) > 0 {
					w.t.Errorf("faults left: %v", left)
				}
			})
		})
	}
}

// A login that expired while the service was down leaves its accounts connected: their Page
// tokens do not expire.
func TestLoginRunsOut(t *testing.T) {
	each(t, func(w *fixture) {
		ig := w.connectFacebook("9001", "17841400000000001")[0]
		w.clock.Advance(70 * day)
		w.tick()
		w.wantStatus(ig.OAuthAccountID, models.AccountReauthorize)
		if got := w.instagram(ig.ID); got.Status != models.AccountActive {
			w.t.Errorf("the account is %s: %s", got.Status, got.StatusReason)
		}
		if !w.warned("the token of a login is dead") {
			w.t.Error("nothing was logged")
		}
		w.token(w.post(models.Instagram, ig.ID, nil))
	})
}

// A changed password makes every token of the login invalid. This is found before the posts
// are due, for all accounts of the login.
func TestPasswordChanged(t *testing.T) {
	each(t, func(w *fixture) {
		ig := w.connectFacebook("9001", "17841400000000001", "17841400000000002")
		w.clock.Advance(2 * time.Hour)
		w.sim.InvalidateFacebook("9001", 460)
		for _, a := range ig {
			w.post(models.Instagram, a.ID, w.inHalfAnHour)
		}
		w.tick()
		for _, a := range ig {
			if got := w.instagram(a.ID); got.Status != models.AccountReauthorize || got.StatusReason == "" {
				w.t.Errorf("account %d is %s: %s", a.ID, got.Status, got.StatusReason)
			}
		}
	})
}

// A person who loses their role on one Page loses that account only.
func TestPageRoleLost(t *testing.T) {
	each(t, func(w *fixture) {
		ig := w.connectFacebook("9001", "17841400000000001", "17841400000000002")
		p := w.post(models.Instagram, ig[0].ID, nil)
		w.clock.Advance(2 * time.Minute)
		w.sim.LosePage("9001", ig[0].PageID)
		if err := w.refused(p); !errors.Is(err, oauth.ErrReauthorize) {
			w.t.Errorf("renew: %v", err)
		}
		if got := w.instagram(ig[1].ID); got.Status != models.AccountActive {
			w.t.Errorf("the other account is %s", got.Status)
		}
		w.wantStatus(ig[0].OAuthAccountID, models.AccountActive)
	})
}

// Fifty workers get a dead Page token refused at once: it is read again once.
func TestFiftyWorkersReadOnePage(t *testing.T) {
	each(t, func(w *fixture) {
		ig := w.connectFacebook("9001", "17841400000000001")[0]
		p := w.post(models.Instagram, ig.ID, nil)
		dead, refusal := w.token(p), &platform.Error{Kind: platform.AuthExpired, PlatformCode: "190/460"}
		w.clock.Advance(2 * time.Minute)
		// Long enough for all fifty to have asked, on a busy machine too: one that comes later
		// reads the page again.
		w.sim.Script(sandbox.Fault{Op: sandbox.OpInstagramPage, Mode: sandbox.ModeSlow, Delay: 3 * time.Second})
		var all sync.WaitGroup
		answers := make([]error, 50)
		for i := range answers {
			all.Go(func() { answers[i] = w.Renew(w.ctx, dead, refusal) })
		}
		all.Wait()
		w.wantCalls(sandbox.OpInstagramPage, 1)
		waiting := 0
		for _, err := range answers {
			if _, later := errors.AsType[*oauth.LaterError](err); later {
				waiting++
			} else if err != nil {
				w.t.Errorf("renew: %v", err)
			}
		}
		if waiting != 50 { // also the one that asked: Meta contradicts itself
			w.t.Errorf("%d wait, want all 50", waiting)
		}
	})
}

// Only one of Meta's codes for a dead token makes an account reauth_required, not an answer
// without a code or without a token.
func TestUnclearAnswersKeepAccounts(t *testing.T) {
	for name, faults := range map[string][]sandbox.Fault{
		"not valid, for no reason": {{Op: sandbox.OpInstagramDebugToken, Body: `{"data":{"is_valid":false}}`}},
		"not valid, by an unknown code": {
			{Op: sandbox.OpInstagramDebugToken, Body: `{"data":{"is_valid":false,"error":{"code":77777,"message":"new"}}}`},
		},
		"no token given": {
			{Op: sandbox.OpInstagramDebugToken, Body: `{"data":{"is_valid":false}}`}, {Op: sandbox.OpInstagramPage, Body: `{"id":"1"}`},
		},
	} {
		t.Run(name, func(t *testing.T) {
			each(t, func(w *fixture) {
				ig := w.connectFacebook("9001", "17841400000000001")[0]
				w.clock.Advance(2 * time.Hour)
				w.post(models.Instagram, ig.ID, func(p *models.Post) {
					at := w.clock.Now().Add(50 * time.Minute)
					p.Status, p.RunAt, p.PublishAt = models.Scheduled, &at, at
				})
				for _, f := range faults {
					f.Mode, f.Status, f.Times = sandbox.ModeStatus, 200, -1
					w.sim.Script(f)
				}
				w.live(30*time.Minute, time.Minute)
				if got := w.instagram(ig.ID); got.Status != models.AccountActive {
					w.t.Errorf("the account is %s: %s", got.Status, got.StatusReason)
				}
			})
		})
	}
}

// Pages that cannot be read now are retried at their own pace, even if a post is due soon.
func TestPostsDoNotHurryPages(t *testing.T) {
	each(t, func(w *fixture) {
		ig := w.connectFacebook("9001", "17841400000000001")[0]
		w.clock.Advance(2 * time.Hour)
		w.post(models.Instagram, ig.ID, func(p *models.Post) {
			at := w.clock.Now().Add(50 * time.Minute)
			p.Status, p.RunAt, p.PublishAt = models.Scheduled, &at, at
		})
		w.sim.InvalidateFacebook("9001", 460)
		w.sim.Script(sandbox.Fault{Op: sandbox.OpInstagramPage, Mode: sandbox.ModeError, Code: "4", Times: -1})
		w.live(10*time.Minute, 5*time.Second)
		if n := w.sim.CountCalls(sandbox.OpInstagramPage); n == 0 || n > 11 {
			w.t.Errorf("%d calls in ten minutes", n)
		}
	})
}

// The end of a consent is logged two weeks ahead.
func TestEndOfDataAccessIsLogged(t *testing.T) {
	w := newFixture(t, dbtest.SQLite(t), sandbox.Options{})
	w.connectFacebook("9001", "17841400000000001")
	w.live(75*day, 6*time.Hour)
	if w.warned("connected again soon") {
		t.Error("logged too early")
	}
	w.live(2*day, 6*time.Hour)
	if !w.warned("connected again soon") {
		t.Error("not logged")
	}
}

// The accounts of an ended login stay active, and are still checked before their posts.
func TestAccountsOfAnEndedLogin(t *testing.T) {
	each(t, func(w *fixture) {
		ig := w.connectFacebook("9001", "17841400000000001")[0]
		w.clock.Advance(70 * day)
		w.tick()
		w.wantStatus(ig.OAuthAccountID, models.AccountReauthorize)
		w.sim.InvalidateFacebook("9001", 460)
		w.post(models.Instagram, ig.ID, w.inHalfAnHour)
		w.clock.Advance(time.Minute)
		w.tick()
		if got := w.instagram(ig.ID); got.Status != models.AccountReauthorize {
			w.t.Errorf("the account is %s: %s", got.Status, got.StatusReason)
		}
	})
}

// A worker that dies while it reads a Page's token consumes nothing: the login is prolonged
// when it is due.
func TestDeathInsideARereading(t *testing.T) {
	each(t, func(w *fixture) {
		ig := w.connectFacebook("9001", "17841400000000001")[0]
		_, err := w.db.Tokens.ClaimRefresh(w.ctx, ig.OAuthAccountID, w.clock.Now(), time.Minute, func(*models.OAuthAccount) error { return nil })
		w.must(err)
		w.clock.Advance(2 * time.Hour)
		now := w.clock.Now()
		w.must(w.db.Tokens.SetMaintenance(w.ctx, w.account(ig.OAuthAccountID), 0, &now))
		w.live(46*day, 12*time.Hour)
		if login := w.account(ig.OAuthAccountID); login.ExpiresAt.Sub(w.clock.Now()) < 50*day {
			w.t.Errorf("the login ends at %v, now is %v", login.ExpiresAt, w.clock.Now())
		}
	})
}

// A Page whose token can be read again after its account was given up resumes the posts.
func TestRereadPageWakesPosts(t *testing.T) {
	each(t, func(w *fixture) {
		ig := w.connectFacebook("9001", "17841400000000001")[0]
		p := w.post(models.Instagram, ig.ID, nil)
		w.must(w.db.Connections.Reauthorize(w.ctx, db.Deactivation{Platform: models.Instagram, AccountID: ig.ID, Reason: "it was"},
			db.Refused{Sealed: ig.AccessToken}, w.clock.Now().Add(400*day), w.clock.Now()))
		w.live(46*day, 12*time.Hour)
		if got := w.instagram(ig.ID); got.Status != models.AccountActive {
			w.t.Errorf("the account is %s", got.Status)
		}
		if got := w.reload(p); got.DeferredReason != "" || got.RunAt.After(w.clock.Now()) {
			w.t.Errorf("the post waits for %q until %v", got.DeferredReason, got.RunAt)
		}
	})
}
