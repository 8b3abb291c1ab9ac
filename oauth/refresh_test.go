package oauth_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"socialqueue/db"
	"socialqueue/db/dbtest"
	"socialqueue/models"
	"socialqueue/oauth"
	"socialqueue/sandbox"
	"socialqueue/secrets"
	"socialqueue/test/testkit"
)

// Fifty workers get the same dead token refused at once, on a platform that ends both old
// tokens when it issues a new pair: one refresh, and all continue.
func TestFiftyWorkersRefreshOnce(t *testing.T) {
	each(t, func(w *fixture) {
		a := w.connectTikTok("-000one")
		w.clock.Advance(2 * time.Minute)
		w.sim.ExpireTikTokAccess("-000one")
		p := w.post(models.TikTok, a.ID, nil)
		dead := w.token(p)
		_, refusal := w.tiktok.CreatorInfo(w.ctx, dead.Access)
		w.sim.Script(sandbox.Fault{Op: sandbox.OpTikTokRefreshToken, Mode: sandbox.ModeSlow, Delay: 300 * time.Millisecond})

		var all sync.WaitGroup
		start := make(chan struct{})
		for range 50 {
			all.Go(func() {
				<-start
				w.renewAndUse(p, dead, refusal)
			})
		}
		close(start)
		all.Wait()
		w.wantCalls(sandbox.OpTikTokRefreshToken, 1)
		w.wantStatus(a.ID, models.AccountActive)
	})
}

// renewAndUse renews and uses a token as a worker does, and waits while it has to.
func (w *fixture) renewAndUse(p *models.Post, refused oauth.Token, refusal error) {
	var renewed error
	ended := testkit.Poll(w.ctx, testkit.Patience, "the refresh has ended", func() (bool, string) {
		renewed = w.Renew(w.ctx, refused, refusal)
		_, later := errors.AsType[*oauth.LaterError](renewed)
		return !later, fmt.Sprint(renewed) // the next poll stands for the task that runs again
	})
	if err := errors.Join(ended, renewed); err != nil {
		w.t.Errorf("renew: %v", err)
		return
	}
	token, err := w.For(w.ctx, p)
	if err == nil {
		_, err = w.tiktok.CreatorInfo(w.ctx, token.Access)
	}
	if err != nil {
		w.t.Errorf("the renewed token does not work: %v", err)
	}
}

// The result of a refresh decides what may be done next.
func TestRefreshAnswers(t *testing.T) {
	for name, tc := range map[string]struct {
		prepare func(*fixture)
		// unsettled: the refresh token may be consumed, so it is not used while the access
		// token lives.
		unsettled bool
		// after is the account's status once the access token has expired and the platform
		// works again.
		after models.AccountStatus
		calls int
	}{
		"not sent":                   {func(w *fixture) { w.wire.SetLost(true) }, false, models.AccountActive, 1},
		"lost on its way there":      {fault(sandbox.Fault{Mode: sandbox.ModeReset}), true, models.AccountActive, 2},
		"lost on its way back":       {fault(sandbox.Fault{Mode: sandbox.ModeReset, After: true}), true, models.AccountReauthorize, 2},
		"cut short":                  {fault(sandbox.Fault{Mode: sandbox.ModeTruncate}), true, models.AccountReauthorize, 2},
		"a gateway's page":           {fault(sandbox.Fault{Mode: sandbox.ModeStatus, Status: 502}), true, models.AccountActive, 2},
		"refused, server_error":      {fault(sandbox.Fault{Mode: sandbox.ModeError, Code: "server_error"}), false, models.AccountActive, 2},
		"refused, unavailable":       {fault(sandbox.Fault{Mode: sandbox.ModeError, Code: "temporarily_unavailable"}), false, models.AccountActive, 2},
		"refused, too many calls":    {fault(sandbox.Fault{Mode: sandbox.ModeRateLimit}), false, models.AccountActive, 2},
		"refused, our own secret":    {fault(sandbox.Fault{Mode: sandbox.ModeError, Code: "invalid_client"}), false, models.AccountActive, 2},
		"refused, unauthorized":      {fault(sandbox.Fault{Mode: sandbox.ModeError, Code: "unauthorized_client"}), false, models.AccountActive, 2},
		"refused, malformed":         {fault(sandbox.Fault{Mode: sandbox.ModeError, Code: "invalid_request"}), false, models.AccountActive, 2},
		"refused, access_denied":     {fault(sandbox.Fault{Mode: sandbox.ModeError, Code: "access_denied"}), false, models.AccountActive, 2},
		"refused, an unknown code":   {fault(sandbox.Fault{Mode: sandbox.ModeError, Code: "new_in_2027"}), true, models.AccountActive, 2},
		"refused for good":           {fault(sandbox.Fault{Mode: sandbox.ModeError, Code: "invalid_grant"}), false, models.AccountReauthorize, 1},
		"refused for good, HTTP 400": {fault(sandbox.Fault{Mode: sandbox.ModeError, Code: "invalid_grant", Status: 400}), false, models.AccountReauthorize, 1},
	} {
		t.Run(name, func(t *testing.T) {
			each(t, func(w *fixture) {
				a := w.connectTikTok("-000one")
				tc.prepare(w)
				w.clock.Advance(91 * time.Minute)
				w.tick()
				b := w.account(a.ID)
				if b.RefreshUnsettled != tc.unsettled || b.RefreshLeaseUntil != nil {
					w.t.Errorf("unsettled %t, lease %v; want %t and none", b.RefreshUnsettled, b.RefreshLeaseUntil, tc.unsettled)
				}
				if tc.unsettled {
					w.wantStatus(a.ID, models.AccountActive)
					w.live(20*time.Minute, 5*time.Minute)
					w.wantCalls(sandbox.OpTikTokRefreshToken, 1)
				}
				w.wire.SetLost(false)
				w.live(time.Hour, 5*time.Minute)
				w.wantStatus(a.ID, tc.after)
				w.wantCalls(sandbox.OpTikTokRefreshToken, tc.calls)
				if tc.after == models.AccountActive {
					if _, err := w.tiktok.CreatorInfo(w.ctx, w.token(w.post(models.TikTok, a.ID, nil)).Access); err != nil {
						w.t.Errorf("the token does not work: %v", err)
					}
				}
			})
		})
	}
}

func fault(f sandbox.Fault) func(*fixture) {
	f.Op = sandbox.OpTikTokRefreshToken
	return func(w *fixture) { w.sim.Script(f) }
}

// A worker that dies after the claim and before storing leaves a row that says so.
func TestDeathInsideARefresh(t *testing.T) {
	each(t, func(w *fixture) {
		a := w.connectTikTok("-000one")
		w.clock.Advance(91 * time.Minute)
		_, err := w.db.Tokens.ClaimRefresh(w.ctx, a.ID, w.clock.Now(), time.Minute, func(*models.OAuthAccount) error { return nil })
		w.must(err)
		w.tick()
		w.wantCalls(sandbox.OpTikTokRefreshToken, 0) // the dead worker has the claim
		w.live(20*time.Minute, time.Minute)
		w.wantCalls(sandbox.OpTikTokRefreshToken, 0) // the refresh token may be consumed
		w.live(20*time.Minute, time.Minute)
		w.wantCalls(sandbox.OpTikTokRefreshToken, 1) // the access token has expired
		if b := w.account(a.ID); b.RefreshUnsettled || b.Status != models.AccountActive || !b.ExpiresAt.After(w.clock.Now()) {
			w.t.Errorf("account %+v", b)
		}
	})
}

// However often and however long a refresh fails for a temporary reason, the account stays
// connected, and is refreshed when the platform works again.
func TestLongOutageKeepsAccounts(t *testing.T) {
	each(t, func(w *fixture) {
		a := w.connectTikTok("-000one")
		w.sim.Script(sandbox.Fault{Op: sandbox.OpTikTokRefreshToken, Mode: sandbox.ModeError, Code: "server_error", Times: -1})
		w.live(72*time.Hour, 10*time.Minute)
		w.wantStatus(a.ID, models.AccountActive)
		b := w.account(a.ID)
		if b.RefreshFailures < 50 {
			w.t.Errorf("only %d attempts", b.RefreshFailures)
		}
		p := w.post(models.TikTok, a.ID, nil)
		var later *oauth.LaterError
		if _, err := w.For(w.ctx, p); !errors.As(err, &later) || later.In <= 0 || later.In > 31*time.Minute {
			w.t.Errorf("For returned %v", err)
		}
		w.sim.ClearFaults()
		w.live(time.Hour, 10*time.Minute)
		w.token(p)
		if b := w.account(a.ID); b.RefreshFailures != 0 {
			w.t.Errorf("%d failures are kept after a success", b.RefreshFailures)
		}
	})
}

// Tokens are refreshed by the lifetimes that the platform reports.
func TestLifetimes(t *testing.T) {
	for _, tc := range []struct {
		profile sandbox.TikTokProfile
		life    time.Duration
		step    time.Duration
		// least and most bound the number of refreshes.
		least, most int
	}{
		{sandbox.ProfileCurrent, 24 * time.Hour, 5 * time.Minute, 12, 17},
		{sandbox.ProfileLegacy, 10 * 24 * time.Hour, time.Hour, 10, 14},
	} {
		t.Run(string(tc.profile), func(t *testing.T) {
			w := newFixture(t, dbtest.SQLite(t), sandbox.Options{TikTokProfile: tc.profile})
			a := w.connectTikTok("-000one")
			p := w.post(models.TikTok, a.ID, nil)
			for range int(tc.life / (6 * time.Hour)) {
				w.live(6*time.Hour, tc.step)
				if _, err := w.tiktok.CreatorInfo(w.ctx, w.token(p).Access); err != nil {
					t.Fatalf("after %s: %v", w.clock.Now().Sub(testkit.Epoch), err)
				}
			}
			if n := w.sim.CountCalls(sandbox.OpTikTokRefreshToken); n < tc.least || n > tc.most {
				t.Errorf("%d refreshes in %s, want %d to %d", n, tc.life, tc.least, tc.most)
			}
		})
	}
}

// A TikTok consent ends after 180 days, whatever was refreshed in between. A warning is
// logged before; then the account waits for its owner.
func TestConsentEnds(t *testing.T) {
	w := newFixture(t, dbtest.SQLite(t), sandbox.Options{})
	a := w.connectTikTok("-000one")
	w.live(165*24*time.Hour, 6*time.Hour)
	if w.warned("connected again soon") {
		t.Error("logged too early")
	}
	w.live(14*24*time.Hour, 6*time.Hour)
	w.wantStatus(a.ID, models.AccountActive)
	if !w.warned("connected again soon") {
		t.Error("the end of the consent was not logged")
	}
	w.live(2*24*time.Hour, 6*time.Hour)
	w.wantStatus(a.ID, models.AccountReauthorize)
}

// A token that expires while no scheduler runs is refreshed by the first post that needs
// it.
func TestRefreshOnDemand(t *testing.T) {
	for _, sleep := range []time.Duration{2*time.Hour - 30*time.Second, 2 * time.Hour, 24 * time.Hour, 179 * 24 * time.Hour} {
		t.Run(sleep.String(), func(t *testing.T) {
			each(t, func(w *fixture) {
				a := w.connectTikTok("-000one")
				p := w.post(models.TikTok, a.ID, nil)
				w.clock.Advance(sleep)
				if _, err := w.tiktok.CreatorInfo(w.ctx, w.token(p).Access); err != nil {
					w.t.Error(err)
				}
				w.wantCalls(sandbox.OpTikTokRefreshToken, 1)
			})
		})
	}
}

// The platform ends a consent: the account's posts wait, each says why, and they continue
// when the account is connected again.
func TestDeadAccount(t *testing.T) {
	each(t, func(w *fixture) {
		a := w.connectTikTok("-000one")
		due := w.post(models.TikTok, a.ID, nil)
		later := w.post(models.TikTok, a.ID, func(p *models.Post) {
			at := w.clock.Now().Add(24 * time.Hour)
			p.Status, p.RunAt, p.PublishAt = models.Scheduled, &at, at
		})
		w.clock.Advance(91 * time.Minute)
		w.sim.InvalidateTikTok("-000one")
		w.tick()
		w.wantStatus(a.ID, models.AccountReauthorize)
		if got := w.reload(due); got.DeferredReason != models.DeferredReauthorize || got.Status != models.Queued {
			w.t.Errorf("the due post is %s, deferred for %q", got.Status, got.DeferredReason)
		}
		if got := w.timeline(due); got != "note > waits until the account is connected again: TikTok no longer accepts the refresh token\n" {
			w.t.Errorf("timeline %q", got)
		}
		if got := w.reload(later); got.DeferredReason != "" || got.Status != models.Scheduled {
			w.t.Errorf("the later post is %s, deferred for %q", got.Status, got.DeferredReason)
		}
		if !w.warned("needs to be connected again") {
			w.t.Error("nothing was logged")
		}
		if _, err := w.For(w.ctx, due); !errors.Is(err, oauth.ErrReauthorize) {
			w.t.Errorf("For returned %v", err)
		}
		calls := w.sim.CountCalls(sandbox.OpTikTokRefreshToken)
		w.live(48*time.Hour, time.Hour)
		w.wantCalls(sandbox.OpTikTokRefreshToken, calls) // a dead account is left alone

		w.connectTikTok("-000one")
		if got := w.reload(due); got.DeferredReason != "" || got.RunAt.After(w.clock.Now()) {
			w.t.Errorf("the post still waits for %q until %v", got.DeferredReason, got.RunAt)
		}
	})
}

// An account with a post due soon is checked ahead, so that its owner has time.
func TestCheckedBeforePosts(t *testing.T) {
	each(t, func(w *fixture) {
		a := w.connectTikTok("-000one")
		quiet := w.connectTikTok("-000two")
		calls := w.sim.CountCalls(sandbox.OpTikTokUserInfo)
		scheduled := func(in time.Duration) {
			w.post(models.TikTok, a.ID, func(p *models.Post) {
				at := w.clock.Now().Add(in)
				p.Status, p.RunAt, p.PublishAt = models.Scheduled, &at, at
			})
		}
		scheduled(70 * time.Minute)
		w.clock.Advance(5 * time.Minute)
		w.tick()
		w.wantCalls(sandbox.OpTikTokUserInfo, calls) // not yet within the hour, and just connected
		w.clock.Advance(60 * time.Minute)
		w.tick()
		w.tick()
		w.wantCalls(sandbox.OpTikTokUserInfo, calls+1) // once an hour is enough
		w.sim.InvalidateTikTok("-000one")
		w.clock.Advance(20 * time.Minute)
		w.tick()
		w.wantStatus(a.ID, models.AccountActive) // it was not checked since
		w.wantStatus(quiet.ID, models.AccountActive)
		scheduled(50 * time.Minute)
		w.clock.Advance(45 * time.Minute)
		w.tick()
		w.wantStatus(a.ID, models.AccountReauthorize)
		w.wantStatus(quiet.ID, models.AccountActive)
	})
}

// Without the right key the error names the key, and the account stays connected.
func TestWrongKey(t *testing.T) {
	each(t, func(w *fixture) {
		a := w.connectTikTok("-000one")
		ig := w.connectFacebook("9001", "17841400000000001")[0]
		id := a.AccessToken[3:11]
		w.build("another-key-another-key-another-")
		p := w.post(models.TikTok, a.ID, nil)
		if _, err := w.For(w.ctx, p); err == nil || !strings.Contains(err.Error(), "key id "+id) {
			w.t.Errorf("For returned %v, which names no key", err)
		}
		w.live(70*24*time.Hour, 12*time.Hour)
		w.wantStatus(a.ID, models.AccountActive)
		w.wantStatus(ig.OAuthAccountID, models.AccountActive)
		if got := w.instagram(ig.ID); got.Status != models.AccountActive {
			w.t.Errorf("the Instagram account is %s", got.Status)
		}
		w.wantCalls(sandbox.OpTikTokRefreshToken, 0)
		if !w.warned("cannot decrypt a token with TOKEN_ENCRYPTION_KEY") {
			w.t.Error("nothing was logged")
		}
		w.build(testkit.Key)
		w.clock.Advance(time.Hour)
		w.tick()
		w.token(p)
	})
}

// A token that is refused right after it was issued does not cause one refresh after
// another.
func TestFreshTokenRefused(t *testing.T) {
	each(t, func(w *fixture) {
		a := w.connectTikTok("-000one")
		w.sim.ExpireTikTokAccess("-000one")
		err := w.refused(w.post(models.TikTok, a.ID, nil))
		if later, ok := errors.AsType[*oauth.LaterError](err); !ok || later.In != time.Minute {
			w.t.Errorf("renew: %v", err)
		}
		w.wantCalls(sandbox.OpTikTokRefreshToken, 0)
	})
}

// An account that is connected again, or disconnected, during a refresh keeps the newer
// state.
func TestRefreshOvertaken(t *testing.T) {
	each(t, func(w *fixture) {
		for i, tc := range []struct {
			overtake func(*models.OAuthAccount)
			want     models.AccountStatus
			revoked  int
		}{
			{func(a *models.OAuthAccount) { w.connectTikTok(a.ProviderAccountID) }, models.AccountActive, 0},
			{func(a *models.OAuthAccount) {
				_, err := w.Disconnect(w.ctx, w.app.ID, models.TikTok, a.ID)
				w.must(err)
			}, models.AccountDisconnected, 2},
		} {
			a := w.connectTikTok(fmt.Sprintf("-000n%d", i))
			w.clock.Advance(91 * time.Minute)
			revoked := w.sim.CountCalls(sandbox.OpTikTokRevoke)
			var sealed string
			w.must(w.late("/v2/oauth/token/", func() error { return w.Maintain(w.ctx, a.ID) }, func() {
				tc.overtake(a)
				sealed = w.account(a.ID).AccessToken
			}))
			if b := w.account(a.ID); b.Status != tc.want || b.AccessToken != sealed {
				w.t.Errorf("account %+v", b)
			}
			w.wantCalls(sandbox.OpTikTokRevoke, revoked+tc.revoked)
		}
	})
}

// A failed refresh is retried at its own pace, whatever posts are due and however many need
// it.
func TestPostsDoNotHurryARefresh(t *testing.T) {
	each(t, func(w *fixture) {
		a := w.connectTikTok("-000one")
		w.sim.Script(sandbox.Fault{Op: sandbox.OpTikTokRefreshToken, Mode: sandbox.ModeRateLimit, Times: -1})
		w.post(models.TikTok, a.ID, func(p *models.Post) {
			at := w.clock.Now().Add(140 * time.Minute)
			p.Status, p.RunAt, p.PublishAt = models.Scheduled, &at, at
		})
		w.clock.Advance(90 * time.Minute)
		w.live(10*time.Minute, 5*time.Second)
		if n := w.sim.CountCalls(sandbox.OpTikTokRefreshToken); n > 5 {
			w.t.Errorf("%d refreshes in ten minutes", n)
		}
		w.clock.Advance(time.Hour) // the token has ended
		p := w.post(models.TikTok, a.ID, nil)
		before := w.sim.CountCalls(sandbox.OpTikTokRefreshToken)
		for range 100 {
			if _, err := w.For(w.ctx, p); err == nil {
				w.t.Fatal("For returned an expired token")
			}
		}
		w.wantCalls(sandbox.OpTikTokRefreshToken, before+1)
	})
}

// An unknown error code does not make an account reauth_required, even if there is no
// refresh token.
func TestUnknownRefusalKeepsAccounts(t *testing.T) {
	each(t, func(w *fixture) {
		account := w.person("-000one")
		id, err := w.Import(w.ctx, oauth.Import{
			AppID: w.app.ID, UserID: w.user.ID, Platform: models.TikTok, ProviderAccountID: "-000one", Access: secrets.Secret(account.AccessToken),
		})
		w.must(err)
		p := w.post(models.TikTok, id, nil)
		w.sim.Script(sandbox.Fault{Op: sandbox.OpTikTokCreatorInfo, Mode: sandbox.ModeStatus, Status: 401, Body: `{"error":{"code":"new_in_2027"}}`})
		if _, later := errors.AsType[*oauth.LaterError](w.refused(p)); !later {
			w.t.Error("the post is not deferred")
		}
		w.wantStatus(id, models.AccountActive)
		w.sim.ExpireTikTokAccess("-000one")
		if err := w.refused(p); !errors.Is(err, oauth.ErrReauthorize) {
			w.t.Errorf("renew: %v", err)
		}
		w.wantStatus(id, models.AccountReauthorize)
	})
}

// After a failed refresh, a check without a result does not postpone the next attempt until
// the planned refresh.
func TestFailureIsFollowedUp(t *testing.T) {
	each(t, func(w *fixture) {
		a := w.connectTikTok("-000one")
		p := w.post(models.TikTok, a.ID, nil)
		w.clock.Advance(5 * time.Minute)
		w.sim.ExpireTikTokAccess("-000one")
		w.sim.Script(sandbox.Fault{Op: sandbox.OpTikTokRefreshToken, Mode: sandbox.ModeError, Code: "temporarily_unavailable"})
		if _, later := errors.AsType[*oauth.LaterError](w.refused(p)); !later {
			w.t.Fatal("the refresh was not deferred")
		}
		w.sim.Script(sandbox.Fault{Op: sandbox.OpTikTokUserInfo, Mode: sandbox.ModeStatus, Status: 503})
		w.live(10*time.Minute, 30*time.Second)
		if left := w.sim.PendingFaults(); len(left) > 0 {
			w.t.Errorf("faults left: %v", left)
		}
		if _, err := w.tiktok.CreatorInfo(w.ctx, w.token(p).Access); err != nil {
			w.t.Errorf("ten minutes later: %v", err)
		}
		if b := w.account(a.ID); b.RefreshFailures != 0 {
			w.t.Errorf("%d failures are kept", b.RefreshFailures)
		}
	})
}

// The writes that mark an account dead can be repeated, since their answer may have been
// lost.
func TestEndsAreRepeatable(t *testing.T) {
	each(t, func(w *fixture) {
		a, ig := w.connectTikTok("-000one"), w.connectFacebook("9001", "17841400000000001")[0]
		login := w.account(ig.OAuthAccountID)
		now := w.clock.Now()
		for range 2 {
			w.must(w.db.Connections.Reauthorize(w.ctx, db.Deactivation{Platform: models.TikTok, AccountID: a.ID, Reason: "dead"}, db.Refused{Fence: a.RefreshFence}, now, now))
			w.must(w.db.Connections.Reauthorize(w.ctx, db.Deactivation{Platform: models.Instagram, AccountID: ig.ID, Reason: "dead"}, db.Refused{Sealed: ig.AccessToken}, now, now))
			w.must(w.db.Tokens.ReauthorizeLogin(w.ctx, login.ID, login.RefreshFence, "dead", now))
		}
		w.wantStatus(a.ID, models.AccountReauthorize)
		w.wantStatus(login.ID, models.AccountReauthorize)
	})
}
