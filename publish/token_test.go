package publish_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"socialqueue/models"
	"socialqueue/oauth"
	"socialqueue/sandbox"
	"socialqueue/secrets"
	"socialqueue/test/testkit"
)

// refreshable gives the TikTok account a refresh token, and an access token that is
// no new one any more.
func (w *fixture) refreshable() {
	w.t.Helper()
	expires := w.ttSim.ExpiresAt
	testkit.Connect(w.t, w.tokens, w.user, oauth.Import{
		Platform: models.TikTok, ProviderAccountID: w.ttSim.OpenID, Username: w.ttSim.Username,
		Access: secrets.Secret(w.ttSim.AccessToken), Refresh: secrets.Secret(w.ttSim.RefreshToken), ExpiresAt: &expires,
	})
}

// The token dies right before each call of a post's life in turn. It is refreshed
// once, the post goes on from where it was, and is live once: nothing is begun
// again for it.
func TestTokenDiesInTheMiddle(t *testing.T) {
	for n := range 4 {
		t.Run(fmt.Sprintf("before call %d", n), func(t *testing.T) {
			w := onSQLite(t)
			w.refreshable()
			calls := 0
			w.wire.OnCall(func(r *http.Request) {
				if strings.Contains(r.URL.Path, "/oauth/") {
					return
				}
				if calls == n {
					w.sim.ExpireTikTokAccess(w.ttSim.OpenID)
				}
				calls++
			})
			p := w.accept(tiktokVideo)
			got := w.settle(p)
			w.wantLive(1)
			if calls <= n {
				t.Fatalf("the post made %d calls only", calls)
			}
			if got.Status != models.Published || got.Attempts != 0 {
				t.Errorf("the post is %s after %d attempts: %s", got.Status, got.Attempts, w.story(p))
			}
			for op, most := range map[string]int{sandbox.OpTikTokInit: 2, sandbox.OpTikTokChunk: 1, sandbox.OpTikTokRefreshToken: 1} {
				// A refused init made nothing; every other call that counts is made once.
				if made := w.sim.CountCalls(op); made > most {
					t.Errorf("%d calls of %s: %s", made, op, w.story(p))
				}
			}
			events, err := w.db.Posts.Events(w.ctx, p.ID)
			w.must(err)
			refreshes := 0
			for _, e := range events {
				if e.Op == "tiktok.refresh_token" {
					refreshes++
				}
			}
			if want := w.sim.CountCalls(sandbox.OpTikTokRefreshToken); refreshes != want {
				t.Errorf("the timeline tells of %d refreshes, there were %d: %s", refreshes, want, w.story(p))
			}
		})
	}
}

// A refresh that cannot be had now puts the post off, without an attempt, and says
// so; the post goes on when the platform is back.
func TestTokenCannotBeRefreshedNow(t *testing.T) {
	w := onSQLite(t)
	w.refreshable()
	w.sim.ExpireTikTokAccess(w.ttSim.OpenID)
	w.sim.Script(sandbox.Fault{Op: sandbox.OpTikTokRefreshToken, Mode: sandbox.ModeError, Code: "server_error", Times: 2})
	p := w.accept(tiktokVideo)
	got := w.until(p, "put off", func(p *models.Post) bool { return p.DeferredReason != "" })
	if got.DeferredReason != models.DeferredToken || got.Status != models.Queued || got.Attempts != 0 || got.DeferredUntil == nil {
		t.Errorf("the post is %s, deferred for %q until %v", got.Status, got.DeferredReason, got.DeferredUntil)
	}
	if got := w.settle(p); got.Status != models.Published || got.Attempts != 0 {
		t.Errorf("the post is %s after %d attempts: %s", got.Status, got.Attempts, w.story(p))
	}
	w.wantLive(1)
}

// A consent that is taken back while the platform has the post leaves it to be
// looked at: it waits, and is settled after the account is connected again. It is
// never sent a second time.
func TestConsentTakenBackWhileProcessing(t *testing.T) {
	w := onSQLite(t)
	w.refreshable()
	p := w.accept(tiktokVideo)
	w.until(p, "at TikTok", func(p *models.Post) bool { return p.Status == models.Processing })
	w.sim.InvalidateTikTok(w.ttSim.OpenID)
	got := w.until(p, "put off", func(p *models.Post) bool { return p.DeferredReason != "" })
	if got.Status != models.Processing || got.DeferredReason != models.DeferredReauthorize {
		t.Errorf("the post is %s, deferred for %q: %s", got.Status, got.DeferredReason, w.story(p))
	}
	w.clock.Advance(26 * time.Hour)
	w.ttSim = w.sim.AddTikTokAccount(sandbox.TikTokAccount{
		OpenID: w.ttSim.OpenID, AccessToken: "act.SIMnew", RefreshToken: "rft.SIMnew", ExpiresAt: w.clock.Now().Add(2 * time.Hour), PostsCap: -1,
	})
	w.refreshable()
	if got := w.settle(p); got.Status != models.Published {
		t.Errorf("the post is %s: %s", got.Status, w.story(p))
	}
	w.wantLive(1)
	if made := w.sim.CountCalls(sandbox.OpTikTokInit); made != 1 {
		t.Errorf("%d inits", made)
	}
}

// The account is connected again in the moment between a run's finding that it is
// dead and the writing of that: the post does not wait for what has happened.
func TestConnectedAgainDuringTheRun(t *testing.T) {
	w := onSQLite(t)
	w.refreshable()
	w.sim.InvalidateTikTok(w.ttSim.OpenID)
	again := false
	w.onNow = func() {
		if account, err := w.db.Accounts.OAuthAccount(w.ctx, w.tiktok); again || err != nil || account.Status != models.AccountReauthorize {
			return
		}
		again = true
		w.ttSim = w.sim.AddTikTokAccount(sandbox.TikTokAccount{
			OpenID: w.ttSim.OpenID, AccessToken: "act.SIMnew", RefreshToken: "rft.SIMnew", ExpiresAt: w.clock.Now().Add(2 * time.Hour), PostsCap: -1,
		})
		w.refreshable()
	}
	p := w.accept(tiktokVideo)
	began := w.clock.Now()
	got := w.settle(p)
	if !again || got.Status != models.Published {
		t.Fatalf("connected again: %t; the post is %s: %s", again, got.Status, w.story(p))
	}
	if late := got.PublishedAt.Sub(began); late > 5*time.Minute {
		t.Errorf("live after %s: %s", late, w.story(p))
	}
	w.wantLive(1)
}
