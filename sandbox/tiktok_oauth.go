package sandbox

import (
	"crypto/sha256"
	"encoding/hex"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"
)

// tiktokCode is an authorization code. How long one lives is on no page of Login Kit; ten minutes is what the Business
// API says of its own.
type tiktokCode struct {
	openID      string
	scopes      []string // granted
	redirectURI string
	challenge   string // "" when none was sent
	endsAt      time.Time
	used        bool
}

const tiktokCodeLife = 10 * time.Minute

// tiktokGrant is the token answer: flat, unlike everything else of this API (Get a User Access Token, 2026-11-02).
type tiktokGrant struct {
	AccessToken      string `json:"access_token"`
	ExpiresIn        int64  `json:"expires_in"`
	OpenID           string `json:"open_id"`
	RefreshExpiresIn int64  `json:"refresh_expires_in"`
	RefreshToken     string `json:"refresh_token"`
	Scope            string `json:"scope"`
	TokenType        string `json:"token_type"`
}

// tiktokOAuthError is the flat failure: error is a string here.
type tiktokOAuthError struct {
	Error       string `json:"error"`
	Description string `json:"error_description"`
	LogID       string `json:"log_id"`
}

// The descriptions that are known (OAuth Error Handling, and the field for the verifier); others are worded alike.
const (
	textMalformed = "The request parameters are malformed."
	textNoSecret  = "Client secret is missed in request."
	textRedirect  = "Redirect_uri is not matched with the uri when requesting code."
	textVerifier  = "Code verifier or code challenge is invalid."
)

// tiktokOAuthCall serves a form whose client credentials are right, with t.mu held.
type tiktokOAuthCall func(*tiktok, *exchange, url.Values) reply

var tiktokOAuth = map[string]tiktokOAuthCall{
	"/v2/oauth/token/":  (*tiktok).token,
	"/v2/oauth/revoke/": (*tiktok).revokeToken,
}

// serveOAuth looks into the form first: which operation it is, and whose, stands only there.
func (t *tiktok) serveOAuth(w http.ResponseWriter, x *exchange, serve tiktokOAuthCall) {
	form, _ := url.ParseQuery(string(peekBody(x.r))) // a malformed one is refused below
	x.op, x.account = t.oauthOp(x.r.URL.Path, form)
	t.s.perform(w, x, t, func(x *exchange) reply { return t.oauth(x, serve) })
}

func (t *tiktok) oauthOp(path string, form url.Values) (op, openID string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case strings.HasSuffix(path, "/revoke/"):
		return OpTikTokRevoke, t.ownerOf(form.Get("token"))
	case form.Get("grant_type") == "refresh_token":
		return OpTikTokRefreshToken, t.refresh[form.Get("refresh_token")]
	}
	if code := t.codes[form.Get("code")]; code != nil {
		openID = code.openID
	}
	return OpTikTokExchangeCode, openID
}

func (t *tiktok) oauth(x *exchange, serve tiktokOAuthCall) reply {
	form, err := readForm(x.r)
	if err != nil {
		return t.oauthFail(x, "invalid_request", textMalformed)
	}
	switch {
	case form.Get("client_key") == "":
		return t.oauthFail(x, "invalid_request", textMalformed)
	case form.Get("client_secret") == "":
		return t.oauthFail(x, "invalid_request", textNoSecret)
	case form.Get("client_key") != t.s.opts.TikTokClientKey || form.Get("client_secret") != t.s.opts.TikTokClientSecret:
		return t.oauthFail(x, "invalid_client", "Client key or secret is incorrect.")
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return serve(t, x, form)
}

// readForm takes a form and nothing else: the token endpoint has no JSON.
func readForm(r *http.Request) (url.Values, error) {
	body, err := readBody(r)
	if err != nil {
		return nil, err
	}
	if mt, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); mt != "application/x-www-form-urlencoded" {
		return nil, apiText("Content-Type must be application/x-www-form-urlencoded")
	}
	return url.ParseQuery(string(body))
}

func (t *tiktok) token(x *exchange, form url.Values) reply {
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

// exchangeCode uses a code up, whatever comes of it: single use, read strictly.
func (t *tiktok) exchangeCode(x *exchange, form url.Values) reply {
	if form.Get("code") == "" || form.Get("redirect_uri") == "" {
		return t.oauthFail(x, "invalid_request", textMalformed)
	}
	code := t.codes[form.Get("code")]
	if code == nil || code.used || !x.now.Before(code.endsAt) {
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
	t.connect(acc, code.scopes, x.now)
	return t.grant(x, acc)
}

var verifierPattern = regexp.MustCompile(`^[A-Za-z0-9._~-]{43,128}$`)

// answersChallenge compares in lower-case hex: TikTok does not take the base64url of RFC 7636 (Login Kit for Desktop).
func answersChallenge(verifier, challenge string) bool {
	sum := sha256.Sum256([]byte(verifier))
	return verifierPattern.MatchString(verifier) && hex.EncodeToString(sum[:]) == challenge
}

func (t *tiktok) refreshToken(x *exchange, form url.Values) reply {
	token := form.Get("refresh_token")
	if token == "" {
		return t.oauthFail(x, "invalid_request", textMalformed)
	}
	acc := t.accounts[t.refresh[token]]
	if acc == nil || acc.RefreshToken != token || !x.now.Before(acc.RefreshExpiresAt) {
		return t.oauthFail(x, "invalid_grant", "Refresh token is invalid or expired.")
	}
	t.renew(acc, x.now)
	return t.grant(x, acc)
}

// revokeToken takes the access token and ends both (Revoke a User Access Token, 2026-11-02). The app hears of it by
// webhook, too (Webhooks Events).
func (t *tiktok) revokeToken(x *exchange, form url.Values) reply {
	token := form.Get("token")
	if token == "" {
		return t.oauthFail(x, "invalid_request", textMalformed)
	}
	acc := t.holder(token, x.now)
	if acc == nil {
		return t.oauthFail(x, "invalid_grant", "Access token is invalid or expired.")
	}
	t.disconnect(acc, x.now, removedByApp)
	return oauthOK(struct{}{})
}

func (t *tiktok) grant(x *exchange, acc *tiktokAccount) reply {
	return oauthOK(tiktokGrant{
		AccessToken: acc.AccessToken, ExpiresIn: secondsTo(acc.ExpiresAt, x.now), OpenID: acc.OpenID,
		RefreshToken: acc.RefreshToken, RefreshExpiresIn: secondsTo(acc.RefreshExpiresAt, x.now),
		Scope: strings.Join(acc.Scopes, ","), TokenType: "Bearer",
	})
}

func secondsTo(end, now time.Time) int64 { return int64(end.Sub(now).Seconds()) }

func oauthOK(v any) reply {
	rep := jsonReply(http.StatusOK, v)
	rep.code = "ok"
	return rep
}

func (t *tiktok) oauthFail(x *exchange, code, description string) reply {
	rep := jsonReply(t.s.opts.OAuthErrorStatus, tiktokOAuthError{code, description, x.logID})
	rep.code = code
	return rep
}

// refuseOAuth renders a scripted error; a throttle has no code of its own in OAuth Error Handling.
func (t *tiktok) refuseOAuth(x *exchange, f Fault) reply {
	code, description := f.Code, f.Message
	if f.Mode == ModeRateLimit {
		code = "temporarily_unavailable"
	}
	setDefault(&description, textMalformed)
	rep := t.oauthFail(x, code, description)
	if f.Status != 0 {
		rep.status = f.Status
	}
	return rep
}
