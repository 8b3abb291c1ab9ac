package sandbox_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"socialqueue/sandbox"
)

const (
	ttRedirect = "http://127.0.0.1:8080/api/auth/tiktok/callback"
	ttScopes   = "user.info.basic,video.publish,video.upload"
	verifier   = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFG"
	challenge  = "834b6e67aab8d76ccef4846478052cf0737a3107973ec19c7b7ec9dd1b1cf304" // its SHA-256 in hex
)

// pairs sets names and values on q; an empty value removes the name.
func pairs(q url.Values, kv []string) url.Values {
	for i := 0; i < len(kv); i += 2 {
		q.Set(kv[i], kv[i+1])
		if kv[i+1] == "" {
			q.Del(kv[i])
		}
	}
	return q
}

func (w *world) authorizeURL(kv ...string) string {
	return w.TikTokAuthURL() + "/v2/auth/authorize/?" + pairs(url.Values{
		"client_key": {"sim-client-key"}, "response_type": {"code"}, "scope": {ttScopes}, "redirect_uri": {ttRedirect},
		"state": {"st&1"}, "code_challenge": {challenge}, "code_challenge_method": {"S256"},
	}, kv).Encode()
}

// consent posts a consent page's form and returns where it leads, without going there.
func (w *world) consent(page string, form url.Values) (*url.URL, answer) {
	w.t.Helper()
	client := *w.http
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	following := w.http
	w.http = &client
	defer func() { w.http = following }()
	a := w.mustDo(w.request("POST", page, form.Encode(), "Content-Type", "application/x-www-form-urlencoded"))
	to, err := url.Parse(a.header.Get("Location"))
	if err != nil {
		w.t.Fatal(err)
	}
	return to, a
}

// wantConsent posts a form that is answered with a redirect and returns its parameters.
func (w *world) wantConsent(page string, form url.Values) url.Values {
	w.t.Helper()
	to, a := w.consent(page, form)
	if a.status != http.StatusFound {
		w.t.Fatalf("consent: %d %s", a.status, a.body)
	}
	return to.Query()
}

// wantPage is an answer that keeps the browser on the platform.
func (w *world) wantPage(target string, status int, parts ...string) {
	w.t.Helper()
	a := w.mustDo(w.request("GET", target, ""))
	if a.status != status || a.header.Get("Location") != "" {
		w.t.Errorf("%s: %d, want %d", target, a.status, status)
	}
	for _, part := range parts {
		if !strings.Contains(string(a.body), part) {
			w.t.Errorf("%s: the page lacks %q", target, part)
		}
	}
}

var allow = url.Values{"decision": {"allow"}}

func TestTikTokConsentPage(t *testing.T) {
	w := newWorld(t, sandbox.Options{})
	w.wantPage(w.authorizeURL(), 200, "Sim Cafe", "@simcafe", `value="-000Sim"`, `value="new"`, `name="form" value="1"`,
		`value="video.publish" checked>`, `value="user.info.basic" checked disabled>`)
	w.wantPage(w.authorizeURL("code_challenge", "", "code_challenge_method", ""), 200)
	w.wantPage(w.TikTokAuthURL()+"/v2/auth/authorize?"+strings.SplitN(w.authorizeURL(), "?", 2)[1], 404)
}

// A wrong request never leads back to the app: what waits there has to time out.
func TestTikTokAuthorizeRefusals(t *testing.T) {
	w := newWorld(t, sandbox.Options{TikTokRedirectURIs: []string{"https://app.test/callback", "http://localhost:*/cb", "http://app.test:*/cb"}})
	fits := []string{"redirect_uri", "https://app.test/callback"}
	w.wantPage(w.authorizeURL(fits...), 200)
	w.wantPage(w.authorizeURL("redirect_uri", "http://localhost:4711/cb"), 200)
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
			w.t = t
			page := w.authorizeURL(append(fits, kv...)...)
			w.wantPage(page, 400, "correct the following", "<code>"+kv[0]+"</code>")
			if to, a := w.consent(page, allow); a.status != 400 || to.String() != "" {
				t.Errorf("POST: %d, to %s", a.status, to)
			}
		})
	}
}

func TestTikTokConsentOutcomes(t *testing.T) {
	w := newWorld(t, sandbox.Options{})
	to, a := w.consent(w.authorizeURL(), allow)
	if got := to.Query(); a.status != 302 || !strings.HasPrefix(to.String(), ttRedirect+"?") || got.Get("state") != "st&1" ||
		got.Get("scopes") != ttScopes || !strings.Contains(got.Get("code"), "*0!6410") || strings.ContainsAny(to.RawQuery, "*!") {
		t.Errorf("allow: %d %s", a.status, to)
	}
	got := w.wantConsent(w.authorizeURL(), url.Values{"decision": {"deny"}})
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
		"a script":          {url.Values{}, ttScopes},
	} {
		tc.form.Set("decision", "allow")
		if got := w.wantConsent(w.authorizeURL(), tc.form).Get("scopes"); got != tc.want {
			t.Errorf("%s: scopes %q, want %q", name, got, tc.want)
		}
	}
}

func TestTikTokConsentChoosesTheAccount(t *testing.T) {
	w := newWorld(t, sandbox.Options{})
	first, second := w.tt, w.AddTikTokAccount(sandbox.TikTokAccount{Username: "second"})
	for name, form := range map[string]url.Values{
		"several":     {"decision": {"allow"}},
		"unknown":     {"decision": {"allow"}, "account": {"-000Nobody"}},
		"no decision": {"account": {second.OpenID}},
		"other":       {"decision": {"perhaps"}},
	} {
		if to, a := w.consent(w.authorizeURL(), form); a.status != 400 || to.String() != "" {
			t.Errorf("%s: %d, to %s", name, a.status, to)
		}
	}
	got := w.exchange(w.code(url.Values{"account": {second.OpenID}}))
	if got.OpenID != second.OpenID {
		t.Errorf("open_id %s, want %s", got.OpenID, second.OpenID)
	}
	made := w.exchange(w.code(url.Values{"account": {"new"}}))
	if made.OpenID == "" || made.OpenID == second.OpenID || made.OpenID == first.OpenID {
		t.Errorf("the new account is %s", made.OpenID)
	}

	empty := sandbox.New(sandbox.Options{})
	if err := empty.Start("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	defer empty.Close()
	alone := &world{Server: empty, t: t, http: w.http}
	if made := alone.exchange(alone.code(url.Values{})); made.OpenID == "" {
		t.Error("without an account the consent makes one")
	}
}
