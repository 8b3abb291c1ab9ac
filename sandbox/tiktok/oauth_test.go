package tiktok_test

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"socialqueue/sandbox"
	"socialqueue/sandbox/sandboxtest"
)

func TestCodeExchange(t *testing.T) {
	w := sandboxtest.New(t, sandbox.Options{})
	old := w.TikTok.AccessToken
	code := w.TikTokCode(url.Values{})
	w.WantAccess(old, true)
	a := w.ExchangeTikTok(code)
	if a.ExpiresIn != 7200 || a.RefreshExpiresIn != 15552000 || a.OpenID != "-000Sim" || a.Scope != sandboxtest.TikTokScopes {
		t.Errorf("tokens: %+v", a)
	}
	w.WantAccess(a.AccessToken, true)
	w.WantAccess(old, false)
	w.WantOAuthError(w.TryExchangeTikTok(code), "invalid_grant", "")
	if w.CountCalls(sandbox.OpTikTokExchangeCode) != 2 {
		t.Errorf("counted %d", w.CountCalls(sandbox.OpTikTokExchangeCode))
	}
}

func TestCodeExchangeRefusals(t *testing.T) {
	w := sandboxtest.New(t, sandbox.Options{Limits: sandboxtest.NoLimits})
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
		"other verifier":   {[]string{"code_verifier", sandboxtest.Verifier + "x"}, "invalid_request", "Code verifier or code challenge is invalid."},
		"verifier too odd": {[]string{"code_verifier", sandboxtest.Verifier + "+"}, "invalid_request", "Code verifier or code challenge is invalid."},
	} {
		t.Run(name, func(t *testing.T) {
			w.T = t
			w.WantOAuthError(w.TryExchangeTikTok(w.TikTokCode(url.Values{}), tc.kv...), tc.error, tc.description)
		})
	}
}

// TikTok's challenge is the hex of the hash: what every other provider takes is refused, at the exchange.
func TestPKCEIsHex(t *testing.T) {
	w := sandboxtest.New(t, sandbox.Options{})
	for _, wrong := range []string{"g0tuZ6q412zO9IRkeAUs8HN6MQeXPsGce37J3Rsc8wQ", strings.ToUpper(sandboxtest.Challenge)} {
		code := w.TikTokCode(url.Values{}, "code_challenge", wrong)
		w.WantOAuthError(w.TryExchangeTikTok(code), "invalid_request", "Code verifier or code challenge is invalid.")
		w.WantOAuthError(w.TryExchangeTikTok(code), "invalid_grant", "") // the first try used it up
	}
	short := w.TikTokCode(url.Values{}, "code_challenge", sandboxtest.SHA256([]byte(sandboxtest.Verifier[:42])))
	w.WantOAuthError(w.TryExchangeTikTok(short, "code_verifier", sandboxtest.Verifier[:42]), "invalid_request", "Code verifier or code challenge is invalid.")
	w.ExchangeTikTok(w.TikTokCode(url.Values{}, "code_challenge", "", "code_challenge_method", "")) // a verifier nobody asked for
}

func TestCodeLivesTenMinutes(t *testing.T) {
	w := sandboxtest.New(t, sandbox.Options{})
	young, old := w.TikTokCode(url.Values{}), w.TikTokCode(url.Values{})
	w.Advance(10*time.Minute - time.Second)
	w.ExchangeTikTok(young)
	w.Advance(time.Second)
	w.WantOAuthError(w.TryExchangeTikTok(old), "invalid_grant", "")
}

func TestTokenEndpointTakesOnlyForms(t *testing.T) {
	w := sandboxtest.New(t, sandbox.Options{})
	fields := []string{"client_key", "sim-client-key", "client_secret", "sim-client-secret", "grant_type", "refresh_token",
		"refresh_token", w.TikTok.RefreshToken}
	form := sandboxtest.SetPairs(url.Values{}, fields).Encode()
	for contentType, body := range map[string]string{
		"application/json":                `{"` + strings.ReplaceAll(strings.ReplaceAll(form, "=", `":"`), "&", `","`) + `"}`,
		"application/json; charset=UTF-8": form,
		"":                                form,
	} {
		var out sandboxtest.OAuthAnswer
		w.MustDo(w.Request("POST", w.TikTokURL()+sandboxtest.PathToken, body, "Content-Type", contentType)).JSON(t, &out)
		if out.Error != "invalid_request" || out.AccessToken != "" {
			t.Errorf("%q: %+v", contentType, out)
		}
	}
	query := w.MustDo(w.Request("POST", w.TikTokURL()+sandboxtest.PathToken+"?"+form, "", "Content-Type", "application/x-www-form-urlencoded"))
	if !strings.Contains(string(query.Body), "invalid_request") {
		t.Errorf("in the query: %s", query.Body)
	}
	for method, path := range map[string]string{"POST": "/v2/oauth/token", "GET": sandboxtest.PathToken, "PUT": sandboxtest.PathRevoke} {
		a := w.MustDo(w.Request(method, w.TikTokURL()+path, ""))
		if a.HTTPStatus != 404 || string(a.Body) != "Unsupported path(Janus)" || a.Header.Get("X-Tt-Logid") == "" {
			t.Errorf("%s %s: %d %s", method, path, a.HTTPStatus, a.Body)
		}
	}
}

func TestOAuthErrorStatus(t *testing.T) {
	w := sandboxtest.New(t, sandbox.Options{OAuthErrorStatus: 400})
	if a := w.TryRefreshTikTok("rft.nothing"); a.HTTPStatus != 400 || a.Error != "invalid_grant" {
		t.Errorf("%+v", a)
	}
	w.RefreshTikTok(w.TikTok.RefreshToken)
}

func TestCurrentProfileRotates(t *testing.T) {
	w := sandboxtest.New(t, sandbox.Options{Limits: sandboxtest.NoLimits})
	first := w.ExchangeTikTok(w.TikTokCode(url.Values{}))
	w.Advance(2*time.Hour - time.Second)
	w.WantAccess(first.AccessToken, true)
	w.Advance(time.Second)
	w.WantAccess(first.AccessToken, false)

	second := w.RefreshTikTok(first.RefreshToken)
	if second.RefreshToken == first.RefreshToken || second.AccessToken == first.AccessToken || second.ExpiresIn != 7200 ||
		second.RefreshExpiresIn != 15552000-7200 || second.Scope != sandboxtest.TikTokScopes || second.OpenID != first.OpenID {
		t.Errorf("refresh: %+v", second)
	}
	w.WantOAuthError(w.TryRefreshTikTok(first.RefreshToken), "invalid_grant", "Refresh token is invalid or expired.")
	third := w.RefreshTikTok(second.RefreshToken)
	w.WantAccess(third.AccessToken, true)
	w.WantAccess(second.AccessToken, false) // before its time

	w.Advance(180*24*time.Hour - 2*time.Hour - time.Second)
	last := w.RefreshTikTok(third.RefreshToken)
	if last.RefreshExpiresIn != 1 {
		t.Errorf("the 180 days restarted: %d", last.RefreshExpiresIn)
	}
	w.Advance(time.Second)
	w.WantOAuthError(w.TryRefreshTikTok(last.RefreshToken), "invalid_grant", "")
	w.WantAccess(last.AccessToken, true)
}

func TestLegacyProfileKeepsTheRefreshToken(t *testing.T) {
	w := sandboxtest.New(t, sandbox.Options{TikTokProfile: sandbox.ProfileLegacy, Limits: sandboxtest.NoLimits})
	first := w.ExchangeTikTok(w.TikTokCode(url.Values{}))
	if first.ExpiresIn != 86400 || first.RefreshExpiresIn != 31536000 {
		t.Errorf("lives: %+v", first)
	}
	w.Advance(23 * time.Hour)
	second := w.RefreshTikTok(first.RefreshToken)
	if second.RefreshToken != first.RefreshToken || second.AccessToken == first.AccessToken {
		t.Errorf("refresh: %+v", second)
	}
	w.WantAccess(first.AccessToken, true)
	w.Advance(time.Hour)
	w.WantAccess(first.AccessToken, false)
	w.WantAccess(second.AccessToken, true)
	w.Advance(364*24*time.Hour - time.Second)
	w.RefreshTikTok(first.RefreshToken)
	w.Advance(time.Second)
	w.WantOAuthError(w.TryRefreshTikTok(first.RefreshToken), "invalid_grant", "")
}

func TestAddedAccountsRefreshToo(t *testing.T) {
	w := sandboxtest.New(t, sandbox.Options{})
	added := w.TikTok
	a := w.RefreshTikTok(added.RefreshToken)
	w.WantAccess(added.AccessToken, false)
	w.WantAccess(a.AccessToken, true)
	again := w.AddTikTokAccount(sandbox.TikTokAccount{OpenID: added.OpenID, Private: true})
	if again.AccessToken != a.AccessToken || again.RefreshToken != a.RefreshToken || !again.RefreshExpiresAt.Equal(sandboxtest.StartTime.Add(180*24*time.Hour)) {
		t.Errorf("new settings changed the tokens: %+v", again)
	}
	w.AddTikTokAccount(sandbox.TikTokAccount{OpenID: added.OpenID, AccessToken: "act.SIMgiven", RefreshToken: "rft.SIMgiven"})
	w.WantAccess(a.AccessToken, false)
	w.WantOAuthError(w.TryRefreshTikTok(a.RefreshToken), "invalid_grant", "")
	w.WantAccess("act.SIMgiven", true)
	w.RefreshTikTok("rft.SIMgiven")
}

func TestTikTokRevokeKillsBothTokens(t *testing.T) {
	for _, profile := range []sandbox.TikTokProfile{sandbox.ProfileCurrent, sandbox.ProfileLegacy} {
		w := sandboxtest.New(t, sandbox.Options{TikTokProfile: profile})
		first := w.ExchangeTikTok(w.TikTokCode(url.Values{}))
		second := w.RefreshTikTok(first.RefreshToken)
		w.WantOAuthError(w.OAuth(sandboxtest.PathRevoke), "invalid_request", "")
		w.WantOAuthError(w.OAuth(sandboxtest.PathRevoke, "token", second.RefreshToken), "invalid_grant", "")
		w.WantOAuthError(w.OAuth(sandboxtest.PathRevoke, "token", second.AccessToken, "client_secret", "another"), "invalid_client", "")
		if a := w.OAuth(sandboxtest.PathRevoke, "token", second.AccessToken); a != (sandboxtest.OAuthAnswer{HTTPStatus: 200}) {
			t.Errorf("revoke: %+v", a)
		}
		w.WantAccess(first.AccessToken, false)
		w.WantAccess(second.AccessToken, false)
		w.WantOAuthError(w.TryRefreshTikTok(second.RefreshToken), "invalid_grant", "")
		w.WantOAuthError(w.OAuth(sandboxtest.PathRevoke, "token", second.AccessToken), "invalid_grant", "")
		w.WantAccess(w.ExchangeTikTok(w.TikTokCode(url.Values{})).AccessToken, true)
	}
}

func TestGrantedScopesHold(t *testing.T) {
	w := sandboxtest.New(t, sandbox.Options{})
	a := w.ExchangeTikTok(w.TikTokCode(url.Values{"form": {"1"}, "scope": {"video.upload"}}))
	if a.Scope != "user.info.basic,video.upload" {
		t.Errorf("scope %q", a.Scope)
	}
	w.WantTikTok(sandboxtest.PathInfo, "", 401, "scope_not_authorized")
	w.WantTikTok(sandboxtest.PathInbox, sandboxtest.InitBody("null", 100, 100, 1), 200, "ok")
	if b := w.RefreshTikTok(a.RefreshToken); b.Scope != a.Scope {
		t.Errorf("scope after a refresh %q", b.Scope)
	}
}
