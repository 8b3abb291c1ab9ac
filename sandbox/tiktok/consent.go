package tiktok

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"socialqueue/sandbox/engine"
)

// scopeTexts maps the scopes that an app may request to their texts on the consent page (Scopes Overview).
var scopeTexts = map[string]string{
	scopeBasic:      "Access your profile info: avatar, display name",
	scopeProfile:    "Access your profile links, bio and verification",
	scopeStats:      "Access your counts of followers, likes and videos",
	"video.list":    "Read your public videos",
	"video.publish": "Post content to TikTok",
	"video.upload":  "Send drafts to your TikTok inbox",
}

// authorizeRequest is a valid request for the consent page.
type authorizeRequest struct {
	redirectURI string
	state       string
	challenge   string
	scopes      []string
}

// serveAuth serves the consent page of www.tiktok.com (Login Kit for Web). The sandbox has no sessions, so it shows the
// page whatever disable_auto_auth says.
func (t *Platform) serveAuth(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/v2/auth/authorize/" {
		http.NotFound(w, r)
		return
	}
	ask, wrong := t.readAuthorizeRequest(r.URL.Query())
	if len(wrong) > 0 {
		engine.RenderRefused(w, engine.RefusedPage{Platform: title, Title: "Something went wrong", Names: wrong,
			Text: "We couldn't log in with TikTok. This may be due to specific app settings. If you're a developer, correct the following and try again:"})
		return
	}
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		engine.RenderConsent(w, t.consentPage(ask))
	case http.MethodPost:
		t.decide(w, r, ask)
	default:
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
	}
}

// readAuthorizeRequest checks a request for the consent page and returns the names of its wrong parameters.
func (t *Platform) readAuthorizeRequest(q url.Values) (ask authorizeRequest, wrong []string) {
	ask = authorizeRequest{q.Get("redirect_uri"), q.Get("state"), q.Get("code_challenge"), strings.Split(q.Get("scope"), ",")}
	unknown := func(scope string) bool { return scopeTexts[scope] == "" }
	method := q.Get("code_challenge_method")
	for _, check := range []struct {
		name string
		ok   bool
	}{
		{"client_key", q.Get("client_key") == t.opts.ClientKey},
		{"response_type", q.Get("response_type") == "code"},
		{"scope", !slices.ContainsFunc(ask.scopes, unknown)},
		{"redirect_uri", engine.IsRegistered(ask.redirectURI, t.opts.RedirectURIs)},
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

func (t *Platform) consentPage(ask authorizeRequest) engine.ConsentPage {
	t.mu.Lock()
	defer t.mu.Unlock()
	page := engine.ConsentPage{Platform: title, App: t.opts.ClientKey}
	for _, acc := range t.byUsername() {
		page.Accounts = append(page.Accounts, engine.ConsentAccount{ID: acc.OpenID, Name: acc.Nickname, Detail: "@" + acc.Username})
	}
	for _, scope := range ask.scopes {
		page.Scopes = append(page.Scopes, engine.ConsentScope{
			ConsentItem: engine.ConsentItem{Value: scope, Text: scopeTexts[scope]}, Required: scope == scopeBasic})
	}
	return page
}

// decide handles the form of the consent page and redirects to the app.
func (t *Platform) decide(w http.ResponseWriter, r *http.Request, ask authorizeRequest) {
	form, err := engine.ReadConsent(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	outcome := url.Values{"state": {ask.state}}
	if !form.Allowed {
		outcome.Set("error", "access_denied")
		outcome.Set("error_description", "User cancelled the authorization")
		engine.RedirectBack(w, ask.redirectURI, outcome, "")
		return
	}
	code, granted, err := t.consent(form, ask)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	outcome.Set("code", code)
	outcome.Set("scopes", strings.Join(granted, ","))
	engine.RedirectBack(w, ask.redirectURI, outcome, "")
}

// consent stores what the chosen account grants. Its tokens change only when the code is exchanged.
func (t *Platform) consent(form engine.ConsentForm, ask authorizeRequest) (code string, granted []string, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	var known []string
	for _, acc := range t.byUsername() {
		known = append(known, acc.OpenID)
	}
	openID, err := form.Choose(known)
	if err != nil {
		return "", nil, err
	}
	now := t.host.Now()
	if openID == engine.NewAccount {
		openID = t.add(Account{}, now).OpenID
	}
	ticked := form.Ticked("scope", ask.scopes)
	granted = slices.DeleteFunc(slices.Clone(ask.scopes), func(scope string) bool {
		return scope != scopeBasic && !slices.Contains(ticked, scope)
	})
	code = t.host.Secret("SIM") + "*0!6410" // such signs are in the sample of Display API, Get Started
	t.codes[code] = &authCode{openID: openID, scopes: granted, redirectURI: ask.redirectURI, challenge: ask.challenge,
		endsAt: now.Add(codeLife)}
	return code, granted, nil
}
