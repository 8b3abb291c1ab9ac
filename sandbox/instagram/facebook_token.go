package instagram

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"time"

	"socialqueue/sandbox/engine"
)

// The lives of user tokens, as in the samples of Facebook Login, manual flow: one to two hours, and about sixty days.
const (
	shortTokenLife = 5403 * time.Second
	longTokenLife  = 5_183_944 * time.Second
)

// dataAccessLife is how long a consent grants access to data. Only a new consent restarts it (Facebook Login).
const dataAccessLife = 90 * day

// graphToken is a user or Page token. The scopes and Pages of a token from the login dialog are those that its user
// grants at the time of the call.
type graphToken struct {
	user     *facebookUser   // nil for the tokens of AddAccount
	page     string          // of a Page token
	accounts map[string]bool // ig-ids; AddAccount only
	scopes   []string        // AddAccount only

	issuedAt  time.Time
	expiresAt time.Time // zero: never
	long      bool      // a long-lived user token: its Page tokens do not expire
	dead      *graphError

	pageTokens map[string]string // by Page id, those derived from this user token
}

func (t *graphToken) granted() []string {
	if t.user == nil {
		return t.scopes
	}
	return t.user.granted()
}

// lacks returns the error for the first scope that the token does not have, or nil.
func (t *graphToken) lacks(scopes []string) *graphError {
	for _, scope := range scopes {
		if !slices.Contains(t.granted(), scope) {
			return &graphError{Code: 200, Message: "(#200) Requires " + scope + " permission"}
		}
	}
	return nil
}

// reach reports whether a token has access to an Instagram account. For a token of the login dialog it returns the Page
// in between.
func (ig *Platform) reach(t *graphToken, igID string) (page *FacebookPage, ok bool) {
	switch {
	case ig.professional(igID) == nil:
		return nil, false
	case t.user == nil:
		return nil, t.accounts[igID]
	}
	for _, p := range t.pages() {
		if p.InstagramID == igID {
			return &p, true
		}
	}
	return nil, false
}

// pages returns the Pages that a token of the login dialog has access to.
func (t *graphToken) pages() []FacebookPage {
	return t.user.visible(func(p FacebookPage) bool { return t.covers(p.ID) })
}

// covers reports whether a token applies to a Page: a user token has all granted Pages, a Page token its own.
func (t *graphToken) covers(pageID string) bool { return t.page == "" || t.page == pageID }

// accessToken answers oauth/access_token, which serves both exchanges.
func (ig *Platform) accessToken(c *graphCall) engine.Reply {
	ig.mu.Lock()
	defer ig.mu.Unlock()
	switch {
	case c.params.Get("client_id") != ig.opts.AppID:
		return ig.fail(c.Exchange, graphError{Code: 101})
	case c.params.Get("client_secret") != ig.opts.AppSecret:
		return ig.failWith(c.Exchange, http.StatusBadRequest, graphError{Code: 1, Message: "Error validating client secret.", lasting: true})
	}
	switch c.params.Get("grant_type") {
	case "", "authorization_code":
		return ig.exchangeCode(c)
	case exchangeGrant:
		return ig.exchangeToken(c)
	}
	return ig.fail(c.Exchange, *param("The grant_type is not supported"))
}

const exchangeGrant = "fb_exchange_token"

// exchangeCode exchanges a code. A code can be used once, even if the exchange fails (strict reading).
func (ig *Platform) exchangeCode(c *graphCall) engine.Reply {
	code := ig.facebook.codes[c.params.Get("code")]
	if code == nil {
		return ig.fail(c.Exchange, graphError{Code: 100, Message: "Invalid verification code format."})
	}
	switch {
	case code.used:
		return ig.fail(c.Exchange, graphError{Code: 100, Subcode: 36009})
	case !c.Now.Before(code.endsAt):
		return ig.fail(c.Exchange, graphError{Code: 100, Subcode: 36007})
	}
	code.used = true
	if c.params.Get("redirect_uri") != code.redirectURI {
		return ig.fail(c.Exchange, graphError{Code: 100, Subcode: 36008})
	}
	return ig.grantUser(c, &graphToken{user: ig.facebook.users[code.userID], expiresAt: c.Now.Add(shortTokenLife)})
}

// exchangeToken answers fb_exchange_token. It takes any valid user token and leaves it valid.
func (ig *Platform) exchangeToken(c *graphCall) engine.Reply {
	old, e := ig.checkToken(c.params.Get(exchangeGrant), c.Now)
	if e != nil {
		return ig.fail(c.Exchange, *e)
	}
	if old.page != "" {
		return ig.fail(c.Exchange, *param("fb_exchange_token must be a user access token"))
	}
	return ig.grantUser(c, &graphToken{user: old.user, accounts: maps.Clone(old.accounts), scopes: slices.Clone(old.scopes),
		long: true, expiresAt: c.Now.Add(longTokenLife)})
}

func (ig *Platform) grantUser(c *graphCall, t *graphToken) engine.Reply {
	t.issuedAt, t.pageTokens = c.Now, map[string]string{}
	token := ig.host.Secret("EAASIMuser")
	ig.tokens[token] = t
	answer := map[string]any{"access_token": token, "token_type": "bearer", "expires_in": secondsTo(t.expiresAt, c.Now)}
	if ig.opts.NoExpiresIn {
		delete(answer, "expires_in")
	}
	return ig.ok(c, answer)
}

// pageToken returns the Page token that belongs to a user token. It expires with a short-lived user token; that of a
// long-lived one does not expire.
func (ig *Platform) pageToken(user *graphToken, pageID string) string {
	token := user.pageTokens[pageID]
	if known := ig.tokens[token]; known != nil && known.dead == nil {
		return token
	}
	t := &graphToken{user: user.user, page: pageID, issuedAt: user.issuedAt, expiresAt: user.expiresAt}
	if user.long {
		t.expiresAt = time.Time{}
	}
	token = ig.host.Secret("EAASIMpage")
	ig.tokens[token], user.pageTokens[pageID] = t, token
	return token
}

// callerOf returns the Facebook user that a login call is about, for faults and the call log.
func (ig *Platform) callerOf(token string, params url.Values) string {
	for _, candidate := range []string{params.Get(exchangeGrant), params.Get("input_token"), token} {
		if t := ig.tokens[candidate]; t != nil && t.user != nil {
			return t.user.ID
		}
	}
	if code := ig.facebook.codes[params.Get("code")]; code != nil {
		return code.userID
	}
	return ""
}

func secondsTo(end, now time.Time) int64 { return int64(end.Sub(now).Seconds()) }
