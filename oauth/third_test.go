package oauth_test

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"socialqueue/db"
	"socialqueue/models"
	"socialqueue/oauth"
	"socialqueue/platform"
	"socialqueue/secrets"
	"socialqueue/test/testkit"
)

const third models.Platform = "third"

// thirdPlatform is the Connector of a platform that no other code names. It gives access
// tokens only, and prolongs them.
type thirdPlatform struct {
	mu      sync.Mutex
	now     func() time.Time
	live    secrets.Secret // the newest token; "" if the person left
	given   int
	revoked []secrets.Secret
	down    bool
}

var errThird = &platform.Error{Provider: third, Op: "third.call", Kind: platform.AuthExpired, PlatformCode: "gone"}

func (p *thirdPlatform) Platform() models.Platform { return third }

func (p *thirdPlatform) Traits() oauth.Traits {
	return oauth.Traits{Name: "Third", Needed: []string{"write"}, Prolongs: true}
}

func (p *thirdPlatform) Configured() error { return nil }

func (p *thirdPlatform) AuthorizeURL(a oauth.Authorization) string {
	return "https://third.example/?" + url.Values{"state": {a.State}, "redirect_uri": {a.RedirectURI}}.Encode()
}

func (p *thirdPlatform) Exchange(context.Context, secrets.Secret, secrets.Secret, string) (oauth.Grant, error) {
	grant, err := p.give()
	grant.ProviderAccountID, grant.Scopes = "person", []string{"read", "write"}
	return grant, err
}

func (p *thirdPlatform) Accounts(context.Context, oauth.Grant) (oauth.Reach, error) {
	return oauth.Reach{Profile: oauth.Profile{Username: "person"}}, nil
}

func (p *thirdPlatform) Refresh(_ context.Context, token secrets.Secret) (oauth.Grant, error) {
	p.mu.Lock()
	down, dead := p.down, token != p.live
	p.mu.Unlock()
	switch {
	case down:
		return oauth.Grant{}, &platform.Error{Provider: third, Op: "third.refresh", Kind: platform.Unknown}
	case dead:
		return oauth.Grant{}, errThird
	}
	return p.give()
}

func (p *thirdPlatform) give() (oauth.Grant, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.given++
	p.live = secrets.Secret(strings.Repeat("t", p.given))
	return oauth.Grant{Access: p.live, ExpiresAt: p.now().Add(60 * day)}, nil
}

func (p *thirdPlatform) Check(_ context.Context, access secrets.Secret) (bool, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return access != p.live, nil
}

func (p *thirdPlatform) Revoke(_ context.Context, access secrets.Secret, _ string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.revoked = append(p.revoked, access)
	return nil
}

func (p *thirdPlatform) IsDead(err error) bool { return errors.Is(err, errThird) }

func (p *thirdPlatform) set(change func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change()
}

// connectThird adds the third platform to the connectors and connects an account.
func (w *fixture) connectThird() (*thirdPlatform, int64) {
	w.t.Helper()
	p := &thirdPlatform{now: w.clock.Now}
	w.deps.Connectors = append(w.deps.Connectors, p)
	w.Service = oauth.New(w.deps)
	address, err := url.Parse(w.begin(third))
	w.must(err)
	o := w.finish(oauth.Callback{Platform: third, State: address.Query().Get("state"), Code: "code"})
	if o.Code != "" || len(o.Accounts) != 1 || o.Accounts[0].Name != "person" {
		w.t.Fatalf("outcome %+v", o)
	}
	return p, o.Accounts[0].ID
}

// Accounts of a platform that is only a Connector can be connected, refreshed and
// disconnected.
func TestThirdPlatform(t *testing.T) {
	each(t, func(w *fixture) {
		p, id := w.connectThird()
		post := w.post(third, id, nil)
		first := w.token(post)
		p.set(func() { p.down = true })
		w.live(46*day, 12*time.Hour)
		if a := w.account(id); a.RefreshFailures == 0 || a.RefreshUnsettled {
			w.t.Errorf("after lost answers, which consume nothing: %+v", a)
		}
		p.set(func() { p.down = false })
		w.live(12*time.Hour, 5*time.Minute)
		second := w.token(post)
		if a := w.account(id); second.Access == first.Access || a.RefreshFailures != 0 || a.ExpiresAt.Sub(w.clock.Now()) < 59*day {
			w.t.Errorf("the token was not prolonged: %+v", a)
		}
		w.connectFacebook("9001", "17841400000000001")
		accounts, err := w.db.Accounts.List(w.ctx, db.AccountFilter{AppID: w.app.ID, Limit: 10})
		w.must(err)
		if len(accounts) != 2 || accounts[0].Platform != models.Instagram || accounts[1].Platform != third || accounts[1].ID() != id {
			w.t.Errorf("accounts %+v", accounts)
		}
		posts, err := w.db.Posts.List(w.ctx, db.PostFilter{AppID: w.app.ID, AccountID: id, Limit: 10})
		w.must(err)
		if len(posts) != 1 || posts[0].ID != post.ID {
			w.t.Errorf("posts %+v", posts)
		}
		account, err := w.Disconnect(w.ctx, w.app.ID, third, id)
		w.must(err)
		if account.OAuth.Status != models.AccountDisconnected || account.OAuth.AccessToken != "" || len(p.revoked) != 1 || p.revoked[0] != second.Access {
			w.t.Errorf("account %+v, revoked %d", account.OAuth, len(p.revoked))
		}
		if got := w.reload(post); got.Status != models.Canceled {
			w.t.Errorf("its post is %s", got.Status)
		}
	})
}

// Only the third platform's own code for a dead token makes its account reauth_required,
// and its posts wait.
func TestThirdPlatformRefuses(t *testing.T) {
	each(t, func(w *fixture) {
		p, id := w.connectThird()
		due := w.post(third, id, nil)
		w.post(third, id, w.inHalfAnHour)
		w.clock.Advance(2 * time.Hour)
		p.set(func() { p.live = "" })
		vague := &platform.Error{Provider: third, Kind: platform.AuthExpired}
		if err := w.Renew(w.ctx, w.token(due), vague); !errors.Is(err, oauth.ErrReauthorize) {
			w.t.Errorf("renew: %v", err) // the refresh was refused with the code for a dead token
		}
		w.wantStatus(id, models.AccountReauthorize)
		if got := w.reload(due); got.DeferredReason != models.DeferredReauthorize {
			w.t.Errorf("the post waits for %q", got.DeferredReason)
		}
		if got := w.account(id).StatusReason; got != "Third no longer accepts the access token" {
			w.t.Errorf("reason %q", got)
		}
	})
}

// An account of a platform without a Connector stays as it is, and is checked again.
func TestNoConnector(t *testing.T) {
	each(t, func(w *fixture) {
		_, id := w.connectThird()
		post := w.post(third, id, nil)
		w.build(testkit.Key)
		w.live(61*day, 12*time.Hour)
		w.wantStatus(id, models.AccountActive)
		if err := w.Renew(w.ctx, oauth.Token{}, errThird); err == nil {
			w.t.Error("a token of no platform was renewed")
		}
		_, err := w.For(w.ctx, post)
		w.must(err)
		_, err = w.Begin(w.ctx, oauth.Start{AppID: w.app.ID, UserID: w.user.ID, Platform: third})
		if !errors.Is(err, oauth.ErrNotConfigured) {
			w.t.Errorf("begin: %v", err)
		}
	})
}
