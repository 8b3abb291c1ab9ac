package oauth_test

import (
	"errors"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"socialqueue/db"
	"socialqueue/db/dbtest"
	"socialqueue/models"
	"socialqueue/oauth"
	"socialqueue/sandbox"
	"socialqueue/test/testkit"
)

func TestConnectTikTok(t *testing.T) {
	each(t, func(w *fixture) {
		a := w.connectTikTok("-000one")
		if a.Username != "user000one" || a.DisplayName != "Nick -000one" || a.PictureURL == "" || a.Status != models.AccountActive ||
			a.UserID != w.user.ID || *a.Scope != "user.info.basic,video.publish,video.upload" {
			w.t.Errorf("stored %+v", a)
		}
		if got := a.ExpiresAt.Sub(testkit.Epoch); got != 2*time.Hour {
			w.t.Errorf("the token lives %s", got)
		}
		if got := a.ReconnectBy.Sub(testkit.Epoch); got != 180*24*time.Hour {
			w.t.Errorf("the consent lives %s", got)
		}
		if got := a.MaintenanceAt.Sub(testkit.Epoch); got != 90*time.Minute {
			w.t.Errorf("refreshed after %s", got)
		}
		if !strings.HasPrefix(a.AccessToken, "v1.") || !strings.HasPrefix(*a.RefreshToken, "v1.") {
			w.t.Error("tokens are stored in clear")
		}
		token := w.token(w.post(models.TikTok, a.ID, nil))
		if _, err := w.tiktok.CreatorInfo(w.ctx, token.Access); err != nil {
			w.t.Errorf("the token does not work: %v", err)
		}
	})
}

// A name that is too long for the column is truncated; the account is connected all the
// same.
func TestLongName(t *testing.T) {
	each(t, func(w *fixture) {
		w.sim.AddTikTokAccount(sandbox.TikTokAccount{OpenID: "-000long", Username: "long", Nickname: strings.Repeat("ä", 300)})
		o := w.finish(w.allow(models.TikTok, w.begin(models.TikTok), "-000long"))
		if o.Code != "" {
			w.t.Fatalf("outcome %+v", o)
		}
		if got := w.account(o.Accounts[0].ID).DisplayName; got != strings.Repeat("ä", 255) {
			w.t.Errorf("stored %q", got)
		}
	})
}

// A second consent keeps the account's data and resumes its posts.
func TestReconnect(t *testing.T) {
	each(t, func(w *fixture) {
		a := w.connectTikTok("-000one")
		w.sim.InvalidateTikTok("-000one")
		p := w.post(models.TikTok, a.ID, nil)
		w.clock.Advance(2 * time.Minute)
		if err := w.refused(p); !errors.Is(err, oauth.ErrReauthorize) {
			w.t.Fatalf("renew: %v", err)
		}
		if got := w.reload(p); got.DeferredReason != models.DeferredReauthorize || got.RunAt.Sub(w.clock.Now()) < time.Hour {
			w.t.Fatalf("the post waits for %q until %v", got.DeferredReason, got.RunAt)
		}

		other := w.post(models.TikTok, a.ID, nil)
		at := w.clock.Now().Add(30 * time.Minute)
		other.RunAt, other.DeferredUntil, other.DeferredReason = &at, &at, models.DeferredToken
		w.must(w.db.Posts.ChangeUnsent(w.ctx, other, models.PostEvent{PostID: other.ID, At: w.clock.Now(), Type: models.EventNote, Message: "no token now"}))

		// Fields that TikTok does not return this time must keep their values.
		w.sim.Script(sandbox.Fault{Op: sandbox.OpTikTokUserInfo, Mode: sandbox.ModeReset}, sandbox.Fault{Op: sandbox.OpTikTokCreatorInfo, Mode: sandbox.ModeReset})
		o := w.finish(w.allow(models.TikTok, w.begin(models.TikTok), "-000one"))
		if o.Code != "" || o.Accounts[0].ID != a.ID || o.Accounts[0].Name != "Nick -000one" {
			w.t.Fatalf("outcome %+v", o)
		}
		b := w.account(a.ID)
		if b.Status != models.AccountActive || b.StatusReason != "" || b.Username != a.Username || b.PictureURL != a.PictureURL || b.RefreshFence <= a.RefreshFence {
			w.t.Errorf("stored %+v", b)
		}
		for _, p := range []*models.Post{p, other} {
			if got := w.reload(p); got.DeferredReason != "" || got.RunAt.After(w.clock.Now()) {
				w.t.Errorf("the post still waits: %q until %v", got.DeferredReason, got.RunAt)
			}
		}
		if _, err := w.tiktok.CreatorInfo(w.ctx, w.token(p).Access); err != nil {
			w.t.Errorf("the new token does not work: %v", err)
		}
	})
}

func TestConnectRefusals(t *testing.T) {
	w := newFixture(t, dbtest.SQLite(t), sandbox.Options{})
	w.person("-000one")
	w.must(w.AllowReturn(w.ctx, w.app.ID, "app.example.com"))
	const back = "https://app.example.com/done?page=2&status=x"
	start := func() string { return w.beginFor(w.user, models.TikTok, back) }
	allowed := func() oauth.Callback { return w.allow(models.TikTok, start(), "-000one") }
	for name, tc := range map[string]struct {
		callback func() oauth.Callback
		code     string
		returns  bool
	}{
		"consent denied": {func() oauth.Callback {
			return w.allow(models.TikTok, start(), "-000one", func(f url.Values) { f.Set("decision", "deny") })
		}, oauth.CodeDenied, true},
		"needed scope not given": {func() oauth.Callback {
			return w.allow(models.TikTok, start(), "-000one", only("user.info.basic", "video.upload"))
		}, oauth.CodeScopesMissing, true},
		"neither code nor error": {func() oauth.Callback {
			cb := allowed()
			cb.Code = ""
			return cb
		}, oauth.CodeRefusedThere, true},
		"a code that TikTok did not give": {func() oauth.Callback {
			cb := allowed()
			cb.Code = "made-up"
			return cb
		}, oauth.CodeRefused, true},
		"a code that was used for another state": {func() oauth.Callback {
			used := allowed()
			if o := w.finish(used); o.Code != "" {
				t.Fatalf("outcome %+v", o)
			}
			cb := allowed()
			cb.Code = used.Code
			return cb
		}, oauth.CodeRefused, true},
		"a code of another consent": {func() oauth.Callback { // bound to that one's PKCE challenge
			other, cb := allowed(), allowed()
			cb.Code = other.Code
			return cb
		}, oauth.CodeRefused, true},
		"too late": {func() oauth.Callback {
			cb := allowed()
			w.clock.Advance(15*time.Minute + time.Second)
			return cb
		}, oauth.CodeStateExpired, true},
		"no state": {func() oauth.Callback {
			cb := allowed()
			cb.State = ""
			return cb
		}, oauth.CodeStateInvalid, false},
		"a state that we never gave": {func() oauth.Callback {
			cb := allowed()
			cb.State = "forged" + cb.State
			return cb
		}, oauth.CodeStateInvalid, false},
		"the state of the other platform": {func() oauth.Callback {
			cb := allowed()
			cb.Platform = models.Instagram
			return cb
		}, oauth.CodeStateInvalid, false},
		"TikTok is down": {func() oauth.Callback {
			cb := allowed()
			w.sim.Script(sandbox.Fault{Op: sandbox.OpTikTokExchangeCode, Mode: sandbox.ModeStatus})
			return cb
		}, oauth.CodePlatform, true},
	} {
		t.Run(name, func(t *testing.T) {
			cb := tc.callback()
			stored, err := w.db.Accounts.List(w.ctx, db.AccountFilter{AppID: w.app.ID, Limit: 10})
			w.must(err)
			o := w.finish(cb)
			if o.Code != tc.code || o.Detail == "" {
				t.Errorf("outcome %+v, want %s", o, tc.code)
			}
			to, err := url.Parse(o.Redirect())
			w.must(err)
			q := to.Query()
			if tc.returns && (to.Host != "app.example.com" || q.Get("status") != "error" || q.Get("code") != tc.code || q.Get("page") != "2") ||
				!tc.returns && o.Redirect() != "" {
				t.Errorf("leads to %q", o.Redirect())
			}
			now, err := w.db.Accounts.List(w.ctx, db.AccountFilter{AppID: w.app.ID, Limit: 10})
			w.must(err)
			if len(now) != len(stored) || len(now) == 1 && now[0].OAuth.AccessToken != stored[0].OAuth.AccessToken {
				t.Errorf("something was stored: %+v", now)
			}
			if left := w.sim.PendingFaults(); len(left) > 0 {
				t.Errorf("faults left: %v", left)
			}
		})
	}
}

// A browser or a proxy may send the callback twice, at once or later: the code is exchanged
// once and both get the same outcome.
func TestCallbackTwice(t *testing.T) {
	each(t, func(w *fixture) {
		w.person("-000one")
		w.must(w.AllowReturn(w.ctx, w.app.ID, "app.example.com"))
		cb := w.allow(models.TikTok, w.beginFor(w.user, models.TikTok, "https://app.example.com/done"), "-000one")
		w.sim.Script(sandbox.Fault{Op: sandbox.OpTikTokExchangeCode, Mode: sandbox.ModeSlow, Delay: 200 * time.Millisecond})
		answers := make([]string, 10)
		var all sync.WaitGroup
		for i := range answers {
			all.Go(func() {
				o, err := w.Finish(w.ctx, cb)
				if err != nil {
					w.t.Error(err)
				}
				answers[i] = o.Redirect()
			})
		}
		all.Wait()
		answers = append(answers, w.finish(cb).Redirect())
		for _, a := range answers {
			if a != answers[0] || !strings.Contains(a, "account_id=1&") || !strings.Contains(a, "status=connected") {
				w.t.Errorf("answers %q", answers)
				break
			}
		}
		w.wantCalls(sandbox.OpTikTokExchangeCode, 1)
	})
}

// The account belongs to the user for whom the connect was begun, whoever completes it.
func TestStateIsBoundToItsUser(t *testing.T) {
	each(t, func(w *fixture) {
		otherApp, otherUser := w.tenant("other")
		w.person("-000one")
		o := w.finish(w.allow(models.TikTok, w.beginFor(otherUser, models.TikTok, ""), "-000one"))
		if o.UserID != otherUser.ID {
			w.t.Errorf("outcome %+v", o)
		}
		for _, tc := range []struct {
			app  int64
			want int
		}{{w.app.ID, 0}, {otherApp.ID, 1}} {
			accounts, err := w.db.Accounts.List(w.ctx, db.AccountFilter{AppID: tc.app, Limit: 10})
			w.must(err)
			if len(accounts) != tc.want {
				w.t.Errorf("app %d has %d accounts, want %d", tc.app, len(accounts), tc.want)
			}
		}
		_, err := w.Begin(w.ctx, oauth.Start{AppID: w.app.ID, UserID: otherUser.ID, Platform: models.TikTok})
		if !errors.Is(err, db.ErrNotFound) {
			w.t.Errorf("a connect for another app's user: %v", err)
		}
	})
}

// A browser is sent back only to registered hosts.
func TestReturnURL(t *testing.T) {
	w := newFixture(t, dbtest.SQLite(t), sandbox.Options{})
	other, _ := w.tenant("other")
	for app, hosts := range map[int64][]string{
		w.app.ID: {"app.example.com", "app.example.com:8443", "localhost:8080", "[::1]:8080"}, other.ID: {"other.example.com"},
	} {
		for _, host := range hosts {
			w.must(w.AllowReturn(w.ctx, app, host))
			w.must(w.AllowReturn(w.ctx, app, host)) // twice is no error
		}
	}
	for raw, ok := range map[string]bool{
		"https://app.example.com":                              true,
		"https://APP.example.com/done?x=1":                     true,
		"https://app.example.com:8443/done":                    true,
		"http://localhost:8080/done":                           true,
		"http://[::1]:8080/":                                   true,
		"https://app.example.com:444/":                         false,
		"http://app.example.com/":                              false,
		"https://other.example.com/":                           false,
		"https://evil.example/":                                false,
		"https://app.example.com.evil.example/":                false,
		"https://evil.example/app.example.com":                 false,
		"https://app.example.com@evil.example/":                false,
		"https://user@app.example.com/":                        false,
		"https://evil.example\\@app.example.com/":              false,
		"https://app.example.com\\.evil.example/":              false,
		"https://app.example.com/#fragment":                    false,
		"//app.example.com/":                                   false,
		"/done":                                                false,
		"javascript:alert(1)//app.example.com":                 false,
		"javascript://app.example.com/%0aalert(1)":             false,
		"data:text/html,x":                                     false,
		"https:app.example.com":                                false,
		"https:///app.example.com":                             false,
		" https://app.example.com/":                            false,
		"https://app.example.com/\r\nSet-Cookie:x=1":           false,
		"https://äpp.example.com/":                             false,
		"https://app.example.com%2eevil.example/":              false,
		"https://app.example.com/" + strings.Repeat("x", 2000): false,
	} {
		_, err := w.Begin(w.ctx, oauth.Start{AppID: w.app.ID, UserID: w.user.ID, Platform: models.TikTok, ReturnURL: raw})
		var fields models.FieldErrors
		if ok != (err == nil) || !ok && (!errors.As(err, &fields) || fields[0].Field != "return_url") {
			t.Errorf("%q: %v", raw, err)
		}
	}
	for _, host := range []string{"", "https://app.example.com", "app.example.com/path", "app example.com", "user@app.example.com", "app.example.com?x", "*"} {
		if err := w.AllowReturn(w.ctx, w.app.ID, host); host != "*" && err == nil {
			t.Errorf("host %q was registered", host)
		}
	}
	if err := w.AllowReturn(w.ctx, 999, "app.example.com"); !errors.Is(err, db.ErrNotFound) {
		t.Errorf("a host of no app: %v", err)
	}
}

// The data in Redis is not enough to finish a connect.
func TestConnectsAreSealed(t *testing.T) {
	w := newFixture(t, dbtest.SQLite(t), sandbox.Options{})
	address, err := url.Parse(w.begin(models.TikTok))
	w.must(err)
	state := address.Query().Get("state")
	if len(state) < 26 {
		t.Errorf("state %q has too little in it", state)
	}
	keys, err := w.redis.Keys(w.ctx, "*").Result()
	w.must(err)
	records := 0
	for _, key := range keys {
		ttl, err := w.redis.TTL(w.ctx, key).Result()
		w.must(err)
		if ttl <= 0 || ttl > time.Hour || strings.Contains(key, state) {
			t.Errorf("Redis keeps %s for %s", key, ttl)
		}
		if strings.Contains(key, ":open:") {
			counted, err := w.redis.ZRange(w.ctx, key, 0, -1).Result()
			w.must(err)
			if len(counted) != 1 || strings.Contains(counted[0], state) {
				t.Errorf("Redis shows %s = %q", key, counted)
			}
			continue
		}
		records++
		value, err := w.redis.Get(w.ctx, key).Result()
		w.must(err)
		if strings.Contains(value, state) || strings.Contains(value, "Verifier") || !strings.HasPrefix(value, "v1.") {
			t.Errorf("Redis shows %s = %s", key, value)
		}
	}
	if records != 1 {
		t.Errorf("keys %q", keys)
	}
}
