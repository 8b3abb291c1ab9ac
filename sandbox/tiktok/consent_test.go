package tiktok_test

import (
	"net/url"
	"strings"
	"testing"

	"socialqueue/sandbox"
	"socialqueue/sandbox/sandboxtest"
)

func TestTikTokConsentPage(t *testing.T) {
	w := sandboxtest.New(t, sandbox.Options{})
	w.WantPage(w.AuthorizeURL(), 200, "Sim Cafe", "@simcafe", `value="-000Sim"`, `value="new"`, `name="form" value="1"`,
		`value="video.publish" checked>`, `value="user.info.basic" checked disabled>`)
	w.WantPage(w.AuthorizeURL("code_challenge", "", "code_challenge_method", ""), 200)
	w.WantPage(w.TikTokAuthURL()+"/v2/auth/authorize?"+strings.SplitN(w.AuthorizeURL(), "?", 2)[1], 404)
}

// A wrong request never leads back to the app: what waits there has to time out.
func TestTikTokAuthorizeRefusals(t *testing.T) {
	w := sandboxtest.New(t, sandbox.Options{TikTokRedirectURIs: []string{"https://app.test/callback", "http://localhost:*/cb", "http://app.test:*/cb"}})
	fits := []string{"redirect_uri", "https://app.test/callback"}
	w.WantPage(w.AuthorizeURL(fits...), 200)
	w.WantPage(w.AuthorizeURL("redirect_uri", "http://localhost:4711/cb"), 200)
	for name, kv := range map[string][]string{
		"other key":              {"client_key", "another"},
		"no key":                 {"client_key", ""},
		"token response":         {"response_type", "token"},
		"no scope":               {"scope", ""},
		"space separated":        {"scope", "user.info.basic video.publish"},
		"space after the comma":  {"scope", "user.info.basic, video.publish"},
		"unknown scope":          {"scope", "user.info.basic,video.delete"},
		"trailing slash":         {"redirect_uri", "https://app.test/callback/"},
		"other host":             {"redirect_uri", "https://evil.test/callback"},
		"a query":                {"redirect_uri", "https://app.test/callback?a=b"},
		"no port":                {"redirect_uri", "http://localhost/cb"},
		"a literal star":         {"redirect_uri", "http://localhost:*/cb"},
		"any port of a web host": {"redirect_uri", "http://app.test:8080/cb"},
		"the other loopback":     {"redirect_uri", "http://127.0.0.1:4711/cb"},
		"a password":             {"redirect_uri", "http://localhost:4711@evil.test/cb"},
		"no redirect":            {"redirect_uri", ""},
		"no state":               {"state", ""},
		"method without":         {"code_challenge", ""},
		"plain":                  {"code_challenge_method", "plain"},
		"no method":              {"code_challenge_method", ""},
	} {
		t.Run(name, func(t *testing.T) {
			w.T = t
			page := w.AuthorizeURL(append(fits, kv...)...)
			w.WantPage(page, 400, "correct the following", "<code>"+kv[0]+"</code>")
			if to, a := w.PostConsent(page, sandboxtest.Allow); a.HTTPStatus != 400 || to.String() != "" {
				t.Errorf("POST: %d, to %s", a.HTTPStatus, to)
			}
		})
	}
}

func TestTikTokConsentOutcomes(t *testing.T) {
	w := sandboxtest.New(t, sandbox.Options{})
	to, a := w.PostConsent(w.AuthorizeURL(), sandboxtest.Allow)
	if got := to.Query(); a.HTTPStatus != 302 || !strings.HasPrefix(to.String(), sandboxtest.TikTokRedirect+"?") || got.Get("state") != "st&1" ||
		got.Get("scopes") != sandboxtest.TikTokScopes || !strings.Contains(got.Get("code"), "*0!6410") || strings.ContainsAny(to.RawQuery, "*!") {
		t.Errorf("allow: %d %s", a.HTTPStatus, to)
	}
	got := w.WantConsent(w.AuthorizeURL(), url.Values{"decision": {"deny"}})
	if got.Get("error") != "access_denied" || got.Get("error_description") == "" || got.Get("state") != "st&1" || got.Has("code") {
		t.Errorf("deny: %v", got)
	}
	for name, tc := range map[string]struct {
		form url.Values
		want string
	}{
		"one box":           {url.Values{"form": {"1"}, "scope": {"video.upload"}}, "user.info.basic,video.upload"},
		"no box":            {url.Values{"form": {"1"}}, "user.info.basic"},
		"not asked for":     {url.Values{"form": {"1"}, "scope": {"video.list", "video.publish"}}, "user.info.basic,video.publish"},
		"a script with one": {url.Values{"scope": {"video.upload"}}, "user.info.basic,video.upload"},
		"a script":          {url.Values{}, sandboxtest.TikTokScopes},
	} {
		tc.form.Set("decision", "allow")
		if got := w.WantConsent(w.AuthorizeURL(), tc.form).Get("scopes"); got != tc.want {
			t.Errorf("%s: scopes %q, want %q", name, got, tc.want)
		}
	}
}

func TestTikTokConsentChoosesTheAccount(t *testing.T) {
	w := sandboxtest.New(t, sandbox.Options{})
	first, second := w.TikTok, w.AddTikTokAccount(sandbox.TikTokAccount{Username: "second"})
	for name, form := range map[string]url.Values{
		"several":     {"decision": {"allow"}},
		"unknown":     {"decision": {"allow"}, "account": {"-000Nobody"}},
		"no decision": {"account": {second.OpenID}},
		"other":       {"decision": {"perhaps"}},
	} {
		if to, a := w.PostConsent(w.AuthorizeURL(), form); a.HTTPStatus != 400 || to.String() != "" {
			t.Errorf("%s: %d, to %s", name, a.HTTPStatus, to)
		}
	}
	got := w.ExchangeTikTok(w.TikTokCode(url.Values{"account": {second.OpenID}}))
	if got.OpenID != second.OpenID {
		t.Errorf("open_id %s, want %s", got.OpenID, second.OpenID)
	}
	made := w.ExchangeTikTok(w.TikTokCode(url.Values{"account": {"new"}}))
	if made.OpenID == "" || made.OpenID == second.OpenID || made.OpenID == first.OpenID {
		t.Errorf("the new account is %s", made.OpenID)
	}

	empty := sandbox.New(sandbox.Options{})
	if err := empty.Start("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	defer empty.Close()
	alone := &sandboxtest.Env{Server: empty, T: t, HTTP: w.HTTP}
	if made := alone.ExchangeTikTok(alone.TikTokCode(url.Values{})); made.OpenID == "" {
		t.Error("without an account the consent makes one")
	}
}
