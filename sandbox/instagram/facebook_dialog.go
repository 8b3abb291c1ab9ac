package instagram

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"socialqueue/sandbox/engine"
)

// facebookCodeLife is the lifetime of a code (Instagram Platform, Overview).
const facebookCodeLife = time.Hour

// facebookScopes maps the scopes that an app may request to their texts in the dialog (Permissions Reference). The
// names of Instagram Login, instagram_business_*, are not among them.
var facebookScopes = map[string]string{
	"public_profile":            "Receive your name and profile picture",
	"email":                     "Receive your email address",
	"pages_show_list":           "Show a list of the Pages you manage",
	"pages_read_engagement":     "Read content posted on your Pages",
	"pages_manage_metadata":     "Manage settings and webhooks of your Pages",
	"business_management":       "Manage your business portfolios",
	"instagram_basic":           "Access profile and posts of your Instagram accounts",
	"instagram_content_publish": "Upload media and create posts on your Instagram accounts",
	"instagram_manage_comments": "Manage comments on your Instagram accounts",
	"instagram_manage_insights": "Access insights of your Instagram accounts",
	"instagram_manage_contents": "Delete media of your Instagram accounts",
	"ads_management":            "Manage ads of the ad accounts you have access to",
	"ads_read":                  "Read ads of the ad accounts you have access to",
}

// facebookCode is an authorization code. The granted scopes and Pages are stored with the user.
type facebookCode struct {
	userID      string
	redirectURI string
	endsAt      time.Time
	used        bool
}

// dialogRequest is a valid request for the login dialog.
type dialogRequest struct {
	redirectURI string
	state       string
	scopes      []string
	rerequest   bool
}

// serveDialog serves the login dialog of www.facebook.com (Facebook Login, manual flow).
func (ig *Platform) serveDialog(w http.ResponseWriter, r *http.Request) {
	version, ok := strings.CutSuffix(strings.TrimPrefix(r.URL.Path, "/"), "/dialog/oauth")
	if !ok || !versionExists(version) {
		http.NotFound(w, r)
		return
	}
	ask, refused := ig.readDialog(r.URL.Query())
	if refused != nil {
		refused.Platform = "Facebook"
		engine.RenderRefused(w, *refused)
		return
	}
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		engine.RenderConsent(w, ig.dialogPage(ask))
	case http.MethodPost:
		ig.decide(w, r, ask)
	default:
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
	}
}

// readDialog checks a request in the order in which Facebook shows its error pages.
func (ig *Platform) readDialog(q url.Values) (dialogRequest, *engine.RefusedPage) {
	ask := dialogRequest{q.Get("redirect_uri"), q.Get("state"), strings.Split(q.Get("scope"), ","), q.Get("auth_type") == "rerequest"}
	invalid := slices.DeleteFunc(slices.Clone(ask.scopes), func(scope string) bool { return facebookScopes[scope] != "" })
	switch {
	case q.Get("client_id") != ig.opts.AppID:
		return ask, &engine.RefusedPage{Title: "Invalid App ID", Names: []string{"client_id"},
			Text: "The provided app ID does not look like a valid app ID."}
	case !engine.IsRegistered(ask.redirectURI, ig.opts.RedirectURIs):
		return ask, &engine.RefusedPage{Title: "URL Blocked", Names: []string{"redirect_uri"},
			Text: "This redirect failed because the redirect URI is not whitelisted in the app's Client OAuth Settings."}
	case q.Get("response_type") != "code":
		return ask, &engine.RefusedPage{Title: "Invalid parameter", Names: []string{"response_type"},
			Text: "The parameter response_type must be code."}
	case len(invalid) > 0:
		return ask, &engine.RefusedPage{Title: "Invalid Scopes", Names: invalid,
			Text: "This message is only shown to developers. Users of your app will ignore these permissions if present."}
	}
	return ask, nil
}

func (ig *Platform) dialogPage(ask dialogRequest) engine.ConsentPage {
	ig.mu.Lock()
	defer ig.mu.Unlock()
	page := engine.ConsentPage{Platform: "Facebook", App: ig.opts.AppID}
	for _, u := range ig.usersByName() {
		account := engine.ConsentAccount{ID: u.ID, Name: u.Name, Detail: u.ID}
		for _, p := range u.Pages {
			item := engine.ConsentItem{Value: p.ID, Text: p.Name}
			if acc := ig.professional(p.InstagramID); acc != nil {
				item.Text += ", with @" + acc.Username
			}
			account.Pages = append(account.Pages, item)
		}
		page.Accounts = append(page.Accounts, account)
	}
	for _, scope := range ask.scopes {
		page.Scopes = append(page.Scopes, engine.ConsentScope{ConsentItem: engine.ConsentItem{Value: scope, Text: facebookScopes[scope]}})
	}
	return page
}

// decide handles the form of the dialog and redirects to the app.
func (ig *Platform) decide(w http.ResponseWriter, r *http.Request, ask dialogRequest) {
	form, err := engine.ReadConsent(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	outcome := url.Values{}
	if ask.state != "" {
		outcome.Set("state", ask.state)
	}
	if !form.Allowed {
		outcome.Set("error", "access_denied")
		outcome.Set("error_code", "200")
		outcome.Set("error_reason", "user_denied")
		outcome.Set("error_description", "Permissions error")
		engine.RedirectBack(w, ask.redirectURI, outcome, "")
		return
	}
	code, err := ig.consent(form, ask)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	outcome.Set("code", code)
	engine.RedirectBack(w, ask.redirectURI, outcome, "#_=_")
}

// consent stores what the chosen user grants. It applies at once, also to tokens of earlier consents.
func (ig *Platform) consent(form engine.ConsentForm, ask dialogRequest) (code string, err error) {
	ig.mu.Lock()
	defer ig.mu.Unlock()
	var known []string
	for _, u := range ig.usersByName() {
		known = append(known, u.ID)
	}
	id, err := form.Choose(known)
	if err != nil {
		return "", err
	}
	now := ig.host.Now()
	user := ig.facebook.users[id]
	if id == engine.NewAccount {
		user = ig.newUser(now)
	}
	var pages []string
	for _, p := range user.Pages {
		pages = append(pages, p.ID)
	}
	if id != engine.NewAccount { // a new one's Page was not on the page to be unticked
		pages = form.Ticked("page", pages)
	}
	user.pages = pages
	user.consent(ask.scopes, form.Ticked("scope", ask.scopes), ask.rerequest, now)
	code = ig.host.Secret("AQSIM")
	ig.facebook.codes[code] = &facebookCode{userID: user.ID, redirectURI: ask.redirectURI, endsAt: now.Add(facebookCodeLife)}
	return code, nil
}
