package sandbox

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// tiktokScopes are the scopes an app may ask for, as the consent page words them (Scopes Overview).
var tiktokScopes = map[string]string{
	scopeBasic:      "Access your profile info: avatar, display name",
	scopeProfile:    "Access your profile links, bio and verification",
	scopeStats:      "Access your counts of followers, likes and videos",
	"video.list":    "Read your public videos",
	"video.publish": "Post content to TikTok",
	"video.upload":  "Send drafts to your TikTok inbox",
}

// tiktokAsk is an authorize request that passed its checks.
type tiktokAsk struct {
	redirectURI string
	state       string
	challenge   string
	scopes      []string
}

// serveAuth is the consent page of www.tiktok.com (Login Kit for Web). There are no sessions here, so the page is
// shown whatever disable_auto_auth says.
func (t *tiktok) serveAuth(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/v2/auth/authorize/" {
		http.NotFound(w, r)
		return
	}
	ask, wrong := t.readAsk(r.URL.Query())
	if len(wrong) > 0 {
		renderRefused(w, refusedPage{platformTitles[TikTok], "Something went wrong",
			"We couldn't log in with TikTok. This may be due to specific app settings. If you're a developer, correct the following and try again:", wrong})
		return
	}
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		renderConsent(w, t.consentPage(ask))
	case http.MethodPost:
		t.decide(w, r, ask)
	default:
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
	}
}

// readAsk checks an authorize request and names the parameters that are wrong.
func (t *tiktok) readAsk(q url.Values) (ask tiktokAsk, wrong []string) {
	ask = tiktokAsk{q.Get("redirect_uri"), q.Get("state"), q.Get("code_challenge"), strings.Split(q.Get("scope"), ",")}
	unknown := func(scope string) bool { return tiktokScopes[scope] == "" }
	method := q.Get("code_challenge_method")
	for _, check := range []struct {
		name string
		ok   bool
	}{
		{"client_key", q.Get("client_key") == t.s.opts.TikTokClientKey},
		{"response_type", q.Get("response_type") == "code"},
		{"scope", !slices.ContainsFunc(ask.scopes, unknown)},
		{"redirect_uri", isRegistered(ask.redirectURI, t.s.opts.TikTokRedirectURIs)},
		{"state", ask.state != ""},
		{"code_challenge", ask.challenge != "" || method == ""},
		{"code_challenge_method", method == "S256" || method == "" && ask.challenge == ""},
	} {
		if !check.ok {
			wrong = append(wrong, check.name)
		}
	}
	return ask, wrong
}

func (t *tiktok) consentPage(ask tiktokAsk) consentPage {
	t.mu.Lock()
	defer t.mu.Unlock()
	page := consentPage{Platform: platformTitles[TikTok], App: t.s.opts.TikTokClientKey}
	for _, acc := range t.byUsername() {
		page.Accounts = append(page.Accounts, consentAccount{ID: acc.OpenID, Name: acc.Nickname, Detail: "@" + acc.Username})
	}
	for _, scope := range ask.scopes {
		page.Scopes = append(page.Scopes, consentScope{consentItem{scope, tiktokScopes[scope]}, scope == scopeBasic})
	}
	return page
}

// decide answers the form of the consent page with the way back to the app.
func (t *tiktok) decide(w http.ResponseWriter, r *http.Request, ask tiktokAsk) {
	form, err := readConsent(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	outcome := url.Values{"state": {ask.state}}
	if !form.allow {
		outcome.Set("error", "access_denied")
		outcome.Set("error_description", "User cancelled the authorization")
		redirectBack(w, ask.redirectURI, outcome, "")
		return
	}
	code, granted, err := t.consent(form, ask)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	outcome.Set("code", code)
	outcome.Set("scopes", strings.Join(granted, ","))
	redirectBack(w, ask.redirectURI, outcome, "")
}

// consent notes what the chosen account grants. Its tokens change only when the code is exchanged.
func (t *tiktok) consent(form consentForm, ask tiktokAsk) (code string, granted []string, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	var known []string
	for _, acc := range t.byUsername() {
		known = append(known, acc.OpenID)
	}
	openID, err := form.choose(known)
	if err != nil {
		return "", nil, err
	}
	now := t.s.clock.now()
	if openID == newAccount {
		openID = t.add(TikTokAccount{}, now).OpenID
	}
	ticked := form.ticked("scope", ask.scopes)
	granted = slices.DeleteFunc(slices.Clone(ask.scopes), func(scope string) bool {
		return scope != scopeBasic && !slices.Contains(ticked, scope)
	})
	code = t.s.ids.secret("SIM") + "*0!6410" // such signs are in the sample of Display API, Get Started
	t.codes[code] = &tiktokCode{openID: openID, scopes: granted, redirectURI: ask.redirectURI, challenge: ask.challenge,
		endsAt: now.Add(tiktokCodeLife)}
	return code, granted, nil
}
