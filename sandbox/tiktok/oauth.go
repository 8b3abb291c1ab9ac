package tiktok

import (
	"crypto/sha256"
	"encoding/hex"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"socialqueue/sandbox/engine"
)

// authCode is an authorization code. Login Kit documents no lifetime; ten minutes is that of the Business API.
type authCode struct {
	openID      string
	scopes      []string // granted
	redirectURI string
	challenge   string // "" when none was sent
	endsAt      time.Time
	used        bool
}

const codeLife = 10 * time.Minute

// tokenGrant is the token answer. It is flat, unlike all other answers of this API (Get a User Access Token,
// 2026-11-02).
type tokenGrant struct {
	AccessToken      string `json:"access_token"`
	ExpiresIn        int64  `json:"expires_in"`
	OpenID           string `json:"open_id"`
	RefreshExpiresIn int64  `json:"refresh_expires_in"`
	RefreshToken     string `json:"refresh_token"`
	Scope            string `json:"scope"`
	TokenType        string `json:"token_type"`
}

// oauthError is the flat error answer; its error is a string.
type oauthError struct {
	Error       string `json:"error"`
	Description string `json:"error_description"`
	LogID       string `json:"log_id"`
}

// The descriptions that are known (OAuth Error Handling, and observed for the verifier); others are worded alike.
const (
	textMalformed = "The request parameters are malformed."
	textNoSecret  = "Client secret is missed in request."
	textRedirect  = "Redirect_uri is not matched with the uri when requesting code."
	textVerifier  = "Code verifier or code challenge is invalid."
)

// oauthCall serves a form with valid client credentials. t.mu is held.
type oauthCall func(*Platform, *engine.Exchange, url.Values) engine.Reply

var oauthCalls = map[string]oauthCall{
	"/v2/oauth/token/":  (*Platform).token,
	"/v2/oauth/revoke/": (*Platform).revokeToken,
}

// serveOAuth reads the form first, because only the form tells the operation and the account.
func (t *Platform) serveOAuth(w http.ResponseWriter, x *engine.Exchange, serve oauthCall) {
	form, _ := url.ParseQuery(string(engine.PeekBody(x.Request))) // a malformed one is refused below
	x.Op, x.Account = t.oauthOp(x.Request.URL.Path, form)
	t.host.Perform(w, x, t, func(x *engine.Exchange) engine.Reply { return t.oauth(x, serve) })
}

func (t *Platform) oauthOp(path string, form url.Values) (op, openID string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case strings.HasSuffix(path, "/revoke/"):
		return OpRevoke, t.ownerOf(form.Get("token"))
	case form.Get("grant_type") == "refresh_token":
		return OpRefreshToken, t.refresh[form.Get("refresh_token")]
	}
	if code := t.codes[form.Get("code")]; code != nil {
		openID = code.openID
	}
	return OpExchangeCode, openID
}

func (t *Platform) oauth(x *engine.Exchange, serve oauthCall) engine.Reply {
	form, err := readForm(x.Request)
	if err != nil {
		return t.oauthFail(x, "invalid_request", textMalformed)
	}
	switch {
	case form.Get("client_key") == "":
		return t.oauthFail(x, "invalid_request", textMalformed)
	case form.Get("client_secret") == "":
		return t.oauthFail(x, "invalid_request", textNoSecret)
	case form.Get("client_key") != t.opts.ClientKey || form.Get("client_secret") != t.opts.ClientSecret:
		return t.oauthFail(x, "invalid_client", "Client key or secret is incorrect.")
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return serve(t, x, form)
}

// readForm accepts a form only: the token endpoint takes no JSON.
func readForm(r *http.Request) (url.Values, error) {
	body, err := engine.ReadBody(r)
	if err != nil {
		return nil, err
	}
	if mt, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); mt != "application/x-www-form-urlencoded" {
		return nil, engine.ClientText("Content-Type must be application/x-www-form-urlencoded")
	}
	return url.ParseQuery(string(body))
}

func (t *Platform) token(x *engine.Exchange, form url.Values) engine.Reply {
	switch form.Get("grant_type") {
	case "authorization_code":
		return t.exchangeCode(x, form)
	case "refresh_token":
		return t.refreshToken(x, form)
	case "":
		return t.oauthFail(x, "invalid_request", textMalformed)
	}
	return t.oauthFail(x, "unsupported_grant_type", "The grant type is not supported.")
}

// exchangeCode exchanges a code. A code can be used once, even if the exchange fails (strict reading).
func (t *Platform) exchangeCode(x *engine.Exchange, form url.Values) engine.Reply {
	if form.Get("code") == "" || form.Get("redirect_uri") == "" {
		return t.oauthFail(x, "invalid_request", textMalformed)
	}
	code := t.codes[form.Get("code")]
	if code == nil || code.used || !x.Now.Before(code.endsAt) {
		return t.oauthFail(x, "invalid_grant", "Authorization code is invalid or expired.")
	}
	code.used = true
	switch {
	case form.Get("redirect_uri") != code.redirectURI:
		return t.oauthFail(x, "invalid_request", textRedirect)
	case code.challenge != "" && !answersChallenge(form.Get("code_verifier"), code.challenge):
		return t.oauthFail(x, "invalid_request", textVerifier)
	}
	acc := t.accounts[code.openID]
	t.connect(acc, code.scopes, x.Now)
	return t.grant(x, acc)
}

var verifierPattern = regexp.MustCompile(`^[A-Za-z0-9._~-]{43,128}$`)

// answersChallenge compares in lower-case hex. TikTok does not accept the base64url of RFC 7636 (Login Kit for
// Desktop).
func answersChallenge(verifier, challenge string) bool {
	sum := sha256.Sum256([]byte(verifier))
	return verifierPattern.MatchString(verifier) && hex.EncodeToString(sum[:]) == challenge
}

func (t *Platform) refreshToken(x *engine.Exchange, form url.Values) engine.Reply {
	token := form.Get("refresh_token")
	if token == "" {
		return t.oauthFail(x, "invalid_request", textMalformed)
	}
	acc := t.accounts[t.refresh[token]]
	if acc == nil || acc.RefreshToken != token || !x.Now.Before(acc.RefreshExpiresAt) {
		return t.oauthFail(x, "invalid_grant", "Refresh token is invalid or expired.")
	}
	t.renew(acc, x.Now)
	return t.grant(x, acc)
}

// revokeToken takes the access token and ends both tokens (Revoke a User Access Token, 2026-11-02). The app gets a
// webhook too (Webhooks Events).
func (t *Platform) revokeToken(x *engine.Exchange, form url.Values) engine.Reply {
	token := form.Get("token")
	if token == "" {
		return t.oauthFail(x, "invalid_request", textMalformed)
	}
	acc := t.holder(token, x.Now)
	if acc == nil {
		return t.oauthFail(x, "invalid_grant", "Access token is invalid or expired.")
	}
	t.disconnect(acc, x.Now, removedByApp)
	return oauthOK(struct{}{})
}

func (t *Platform) grant(x *engine.Exchange, acc *account) engine.Reply {
	return oauthOK(tokenGrant{
		AccessToken: acc.AccessToken, ExpiresIn: secondsTo(acc.ExpiresAt, x.Now), OpenID: acc.OpenID,
		RefreshToken: acc.RefreshToken, RefreshExpiresIn: secondsTo(acc.RefreshExpiresAt, x.Now),
		Scope: strings.Join(acc.Scopes, ","), TokenType: "Bearer",
	})
}

func secondsTo(end, now time.Time) int64 { return int64(end.Sub(now).Seconds()) }

func oauthOK(v any) engine.Reply {
	rep := engine.JSONReply(http.StatusOK, v)
	rep.Code = "ok"
	return rep
}

func (t *Platform) oauthFail(x *engine.Exchange, code, description string) engine.Reply {
	rep := engine.JSONReply(t.opts.OAuthErrorStatus, oauthError{code, description, x.LogID})
	rep.Code = code
	return rep
}

// refuseOAuth renders a scripted error. OAuth Error Handling has no code for a rate limit.
func (t *Platform) refuseOAuth(x *engine.Exchange, f engine.Fault) engine.Reply {
	code, description := f.Code, f.Message
	if f.Mode == engine.ModeRateLimit {
		code = "temporarily_unavailable"
	}
	engine.SetDefault(&description, textMalformed)
	rep := t.oauthFail(x, code, description)
	if f.Status != 0 {
		rep.Status = f.Status
	}
	return rep
}
