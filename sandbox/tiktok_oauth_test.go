package sandbox_test

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"socialqueue/sandbox"
)

const (
	pathToken  = "/v2/oauth/token/"
	pathRevoke = "/v2/oauth/revoke/"
	invalid    = "access_token_invalid"
)

type oauthAnswer struct {
	AccessToken      string `json:"access_token"`
	ExpiresIn        int64  `json:"expires_in"`
	OpenID           string `json:"open_id"`
	RefreshExpiresIn int64  `json:"refresh_expires_in"`
	RefreshToken     string `json:"refresh_token"`
	Scope            string `json:"scope"`
	TokenType        string `json:"token_type"`
	Error            string `json:"error"`
	Description      string `json:"error_description"`
	LogID            string `json:"log_id"`
	status           int
}

// code consents to all scopes and returns the code.
func (w *world) code(form url.Values, kv ...string) string {
	w.t.Helper()
	form.Set("decision", "allow")
	return w.wantConsent(w.authorizeURL(kv...), form).Get("code")
}

// oauth posts a form with the app's credentials.
func (w *world) oauth(path string, kv ...string) oauthAnswer {
	w.t.Helper()
	form := pairs(url.Values{"client_key": {"sim-client-key"}, "client_secret": {"sim-client-secret"}}, kv)
	a := w.mustDo(w.request("POST", w.TikTokURL()+path, form.Encode(), "Content-Type", "application/x-www-form-urlencoded"))
	var out oauthAnswer
	a.json(w.t, &out)
	out.status = a.status
	if id := a.header.Get("X-Tt-Logid"); id == "" || out.Error != "" && id != out.LogID {
		w.t.Errorf("log id: header %q, body %q", id, out.LogID)
	}
	if strings.Contains(string(a.body), `"data"`) {
		w.t.Errorf("the answer has an envelope: %s", a.body)
	}
	return out
}

func (w *world) tryExchange(code string, kv ...string) oauthAnswer {
	w.t.Helper()
	return w.oauth(pathToken, append([]string{"grant_type", "authorization_code", "code", code,
		"redirect_uri", ttRedirect, "code_verifier", verifier}, kv...)...)
}

// exchange makes the account of a code the world's.
func (w *world) exchange(code string) oauthAnswer {
	w.t.Helper()
	a := w.tryExchange(code)
	if a.status != 200 || a.AccessToken == "" || a.Error != "" || a.TokenType != "Bearer" {
		w.t.Fatalf("exchange: %+v", a)
	}
	w.tt.OpenID, w.tt.AccessToken = a.OpenID, a.AccessToken
	return a
}

func (w *world) tryRefresh(token string) oauthAnswer {
	w.t.Helper()
	return w.oauth(pathToken, "grant_type", "refresh_token", "refresh_token", token)
}

func (w *world) refresh(token string) oauthAnswer {
	w.t.Helper()
	a := w.tryRefresh(token)
	if a.status != 200 || a.AccessToken == "" || a.Error != "" {
		w.t.Fatalf("refresh: %+v", a)
	}
	return a
}

func (w *world) wantOAuthError(a oauthAnswer, code, description string) {
	w.t.Helper()
	if a.status != 200 || a.Error != code || !strings.Contains(a.Description, description) || a.AccessToken != "" {
		w.t.Errorf("got %+v, want %s (%s)", a, code, description)
	}
}

// wantAccess tells whether an access token works.
func (w *world) wantAccess(token string, works bool) {
	w.t.Helper()
	w.tt.AccessToken = token
	if works {
		w.wantTikTok(pathInfo, "", 200, "ok")
	} else {
		w.wantTikTok(pathInfo, "", 401, invalid)
	}
}

func TestCodeExchange(t *testing.T) {
	w := newWorld(t, sandbox.Options{})
	old := w.tt.AccessToken
	code := w.code(url.Values{})
	w.wantAccess(old, true)
	a := w.exchange(code)
	if a.ExpiresIn != 7200 || a.RefreshExpiresIn != 15552000 || a.OpenID != "-000Sim" || a.Scope != ttScopes {
		t.Errorf("tokens: %+v", a)
	}
	w.wantAccess(a.AccessToken, true)
	w.wantAccess(old, false)
	w.wantOAuthError(w.tryExchange(code), "invalid_grant", "")
	if w.CountCalls(sandbox.OpTikTokExchangeCode) != 2 {
		t.Errorf("counted %d", w.CountCalls(sandbox.OpTikTokExchangeCode))
	}
}

func TestCodeExchangeRefusals(t *testing.T) {
	w := newWorld(t, sandbox.Options{Limits: noLimits})
	malformed := "The request parameters are malformed."
	for name, tc := range map[string]struct {
		kv                 []string
		error, description string
	}{
		"no key":           {[]string{"client_key", ""}, "invalid_request", malformed},
		"other key":        {[]string{"client_key", "another"}, "invalid_client", ""},
		"no secret":        {[]string{"client_secret", ""}, "invalid_request", "Client secret is missed in request."},
		"other secret":     {[]string{"client_secret", "another"}, "invalid_client", ""},
		"no grant":         {[]string{"grant_type", ""}, "invalid_request", malformed},
		"other grant":      {[]string{"grant_type", "client_credentials"}, "unsupported_grant_type", ""},
		"no code":          {[]string{"code", ""}, "invalid_request", malformed},
		"encoded twice":    {[]string{"code", "SIM%2A0%216410"}, "invalid_grant", ""},
		"no redirect":      {[]string{"redirect_uri", ""}, "invalid_request", malformed},
		"other port":       {[]string{"redirect_uri", "http://127.0.0.1:8081/api/auth/tiktok/callback"}, "invalid_request", "Redirect_uri is not matched with the uri when requesting code."},
		"other loopback":   {[]string{"redirect_uri", "http://localhost:8080/api/auth/tiktok/callback"}, "invalid_request", "Redirect_uri is not matched"},
		"no verifier":      {[]string{"code_verifier", ""}, "invalid_request", "Code verifier or code challenge is invalid."},
		"other verifier":   {[]string{"code_verifier", verifier + "x"}, "invalid_request", "Code verifier or code challenge is invalid."},
		"verifier too odd": {[]string{"code_verifier", verifier + "+"}, "invalid_request", "Code verifier or code challenge is invalid."},
	} {
		t.Run(name, func(t *testing.T) {
			w.t = t
			w.wantOAuthError(w.tryExchange(w.code(url.Values{}), tc.kv...), tc.error, tc.description)
		})
	}
}

// TikTok's challenge is the hex of the hash: what every other provider takes is refused, at the exchange.
func TestPKCEIsHex(t *testing.T) {
	w := newWorld(t, sandbox.Options{})
	for _, wrong := range []string{"g0tuZ6q412zO9IRkeAUs8HN6MQeXPsGce37J3Rsc8wQ", strings.ToUpper(challenge)} {
		code := w.code(url.Values{}, "code_challenge", wrong)
		w.wantOAuthError(w.tryExchange(code), "invalid_request", "Code verifier or code challenge is invalid.")
		w.wantOAuthError(w.tryExchange(code), "invalid_grant", "") // the first try used it up
	}
	short := w.code(url.Values{}, "code_challenge", sum([]byte(verifier[:42])))
	w.wantOAuthError(w.tryExchange(short, "code_verifier", verifier[:42]), "invalid_request", "Code verifier or code challenge is invalid.")
	w.exchange(w.code(url.Values{}, "code_challenge", "", "code_challenge_method", "")) // a verifier nobody asked for
}

func TestCodeLivesTenMinutes(t *testing.T) {
	w := newWorld(t, sandbox.Options{})
	young, old := w.code(url.Values{}), w.code(url.Values{})
	w.Advance(10*time.Minute - time.Second)
	w.exchange(young)
	w.Advance(time.Second)
	w.wantOAuthError(w.tryExchange(old), "invalid_grant", "")
}

func TestTokenEndpointTakesOnlyForms(t *testing.T) {
	w := newWorld(t, sandbox.Options{})
	fields := []string{"client_key", "sim-client-key", "client_secret", "sim-client-secret", "grant_type", "refresh_token",
		"refresh_token", w.tt.RefreshToken}
	form := pairs(url.Values{}, fields).Encode()
	for contentType, body := range map[string]string{
		"application/json":                `{"` + strings.ReplaceAll(strings.ReplaceAll(form, "=", `":"`), "&", `","`) + `"}`,
		"application/json; charset=UTF-8": form,
		"":                                form,
	} {
		var out oauthAnswer
		w.mustDo(w.request("POST", w.TikTokURL()+pathToken, body, "Content-Type", contentType)).json(t, &out)
		if out.Error != "invalid_request" || out.AccessToken != "" {
			t.Errorf("%q: %+v", contentType, out)
		}
	}
	query := w.mustDo(w.request("POST", w.TikTokURL()+pathToken+"?"+form, "", "Content-Type", "application/x-www-form-urlencoded"))
	if !strings.Contains(string(query.body), "invalid_request") {
		t.Errorf("in the query: %s", query.body)
	}
	for method, path := range map[string]string{"POST": "/v2/oauth/token", "GET": pathToken, "PUT": pathRevoke} {
		a := w.mustDo(w.request(method, w.TikTokURL()+path, ""))
		if a.status != 404 || string(a.body) != "Unsupported path(Janus)" || a.header.Get("X-Tt-Logid") == "" {
			t.Errorf("%s %s: %d %s", method, path, a.status, a.body)
		}
	}
}

func TestOAuthErrorStatus(t *testing.T) {
	w := newWorld(t, sandbox.Options{OAuthErrorStatus: 400})
	if a := w.tryRefresh("rft.nothing"); a.status != 400 || a.Error != "invalid_grant" {
		t.Errorf("%+v", a)
	}
	w.refresh(w.tt.RefreshToken)
}

func TestCurrentProfileRotates(t *testing.T) {
	w := newWorld(t, sandbox.Options{Limits: noLimits})
	first := w.exchange(w.code(url.Values{}))
	w.Advance(2*time.Hour - time.Second)
	w.wantAccess(first.AccessToken, true)
	w.Advance(time.Second)
	w.wantAccess(first.AccessToken, false)

	second := w.refresh(first.RefreshToken)
	if second.RefreshToken == first.RefreshToken || second.AccessToken == first.AccessToken || second.ExpiresIn != 7200 ||
		second.RefreshExpiresIn != 15552000-7200 || second.Scope != ttScopes || second.OpenID != first.OpenID {
		t.Errorf("refresh: %+v", second)
	}
	w.wantOAuthError(w.tryRefresh(first.RefreshToken), "invalid_grant", "Refresh token is invalid or expired.")
	third := w.refresh(second.RefreshToken)
	w.wantAccess(third.AccessToken, true)
	w.wantAccess(second.AccessToken, false) // before its time

	w.Advance(180*24*time.Hour - 2*time.Hour - time.Second)
	last := w.refresh(third.RefreshToken)
	if last.RefreshExpiresIn != 1 {
		t.Errorf("the 180 days restarted: %d", last.RefreshExpiresIn)
	}
	w.Advance(time.Second)
	w.wantOAuthError(w.tryRefresh(last.RefreshToken), "invalid_grant", "")
	w.wantAccess(last.AccessToken, true)
}

func TestLegacyProfileKeepsTheRefreshToken(t *testing.T) {
	w := newWorld(t, sandbox.Options{TikTokProfile: sandbox.ProfileLegacy, Limits: noLimits})
	first := w.exchange(w.code(url.Values{}))
	if first.ExpiresIn != 86400 || first.RefreshExpiresIn != 31536000 {
		t.Errorf("lives: %+v", first)
	}
	w.Advance(23 * time.Hour)
	second := w.refresh(first.RefreshToken)
	if second.RefreshToken != first.RefreshToken || second.AccessToken == first.AccessToken {
		t.Errorf("refresh: %+v", second)
	}
	w.wantAccess(first.AccessToken, true)
	w.Advance(time.Hour)
	w.wantAccess(first.AccessToken, false)
	w.wantAccess(second.AccessToken, true)
	w.Advance(364*24*time.Hour - time.Second)
	w.refresh(first.RefreshToken)
	w.Advance(time.Second)
	w.wantOAuthError(w.tryRefresh(first.RefreshToken), "invalid_grant", "")
}

func TestAddedAccountsRefreshToo(t *testing.T) {
	w := newWorld(t, sandbox.Options{})
	added := w.tt
	a := w.refresh(added.RefreshToken)
	w.wantAccess(added.AccessToken, false)
	w.wantAccess(a.AccessToken, true)
	again := w.AddTikTokAccount(sandbox.TikTokAccount{OpenID: added.OpenID, Private: true})
	if again.AccessToken != a.AccessToken || again.RefreshToken != a.RefreshToken || !again.RefreshExpiresAt.Equal(start.Add(180*24*time.Hour)) {
		t.Errorf("new settings changed the tokens: %+v", again)
	}
	w.AddTikTokAccount(sandbox.TikTokAccount{OpenID: added.OpenID, AccessToken: "act.SIMgiven", RefreshToken: "rft.SIMgiven"})
	w.wantAccess(a.AccessToken, false)
	w.wantOAuthError(w.tryRefresh(a.RefreshToken), "invalid_grant", "")
	w.wantAccess("act.SIMgiven", true)
	w.refresh("rft.SIMgiven")
}

func TestTikTokRevokeKillsBothTokens(t *testing.T) {
	for _, profile := range []sandbox.TikTokProfile{sandbox.ProfileCurrent, sandbox.ProfileLegacy} {
		w := newWorld(t, sandbox.Options{TikTokProfile: profile})
		first := w.exchange(w.code(url.Values{}))
		second := w.refresh(first.RefreshToken)
		w.wantOAuthError(w.oauth(pathRevoke), "invalid_request", "")
		w.wantOAuthError(w.oauth(pathRevoke, "token", second.RefreshToken), "invalid_grant", "")
		w.wantOAuthError(w.oauth(pathRevoke, "token", second.AccessToken, "client_secret", "another"), "invalid_client", "")
		if a := w.oauth(pathRevoke, "token", second.AccessToken); a != (oauthAnswer{status: 200}) {
			t.Errorf("revoke: %+v", a)
		}
		w.wantAccess(first.AccessToken, false)
		w.wantAccess(second.AccessToken, false)
		w.wantOAuthError(w.tryRefresh(second.RefreshToken), "invalid_grant", "")
		w.wantOAuthError(w.oauth(pathRevoke, "token", second.AccessToken), "invalid_grant", "")
		w.wantAccess(w.exchange(w.code(url.Values{})).AccessToken, true)
	}
}

func TestGrantedScopesHold(t *testing.T) {
	w := newWorld(t, sandbox.Options{})
	a := w.exchange(w.code(url.Values{"form": {"1"}, "scope": {"video.upload"}}))
	if a.Scope != "user.info.basic,video.upload" {
		t.Errorf("scope %q", a.Scope)
	}
	w.wantTikTok(pathInfo, "", 401, "scope_not_authorized")
	w.wantTikTok(pathInbox, initBody("null", 100, 100, 1), 200, "ok")
	if b := w.refresh(a.RefreshToken); b.Scope != a.Scope {
		t.Errorf("scope after a refresh %q", b.Scope)
	}
}
