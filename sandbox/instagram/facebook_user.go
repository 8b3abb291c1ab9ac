package instagram

import (
	"slices"
	"strings"
	"time"

	"socialqueue/sandbox/engine"
)

// FacebookUser is a person who logs in with Facebook and holds Pages.
type FacebookUser struct {
	ID    string         `json:"id"`
	Name  string         `json:"name"`
	Pages []FacebookPage `json:"pages"`
}

// FacebookPage is a Page as one user holds it.
type FacebookPage struct {
	ID          string   `json:"id"`
	Name        string   `json:"name"`
	Tasks       []string `json:"tasks"`        // default CREATE_CONTENT, MODERATE, ANALYZE
	InstagramID string   `json:"instagram_id"` // ig-id of the account behind it, made if it is not there; "": none
	Business    string   `json:"business"`     // portfolio id: the Page is listed there and not in /me/accounts
	Client      bool     `json:"client"`       // in the portfolio's client_pages instead of its owned_pages
	NoToken     bool     `json:"no_token"`     // listed without access_token
}

// facebook is the login side of the Graph API. Platform.mu guards it: both sides share their tokens.
type facebook struct {
	users map[string]*facebookUser
	codes map[string]*facebookCode // used and expired ones too
	// subscriptions are the webhook fields of the Pages that the app is subscribed to, by Page id.
	subscriptions map[string][]string
}

type facebookUser struct {
	FacebookUser
	permissions []facebookPermission // what the user answered; empty without a consent
	pages       []string             // those the app may use
	consentAt   time.Time
}

// facebookPermission is a row of /me/permissions.
type facebookPermission struct {
	Name   string `json:"permission"`
	Status string `json:"status"`
}

const (
	statusGranted  = "granted"
	statusDeclined = "declined"
)

// AddFacebookUser adds a user and returns it with its defaults filled in. Adding an id again changes the name and the
// Pages, and keeps the consent and the tokens.
func (ig *Platform) AddFacebookUser(u FacebookUser) FacebookUser {
	ig.mu.Lock()
	defer ig.mu.Unlock()
	added := ig.addUser(u, ig.host.Now()).FacebookUser
	added.Pages = slices.Clone(added.Pages)
	return added
}

func (ig *Platform) addUser(u FacebookUser, now time.Time) *facebookUser {
	engine.SetDefault(&u.ID, ig.newID("122"))
	user := ig.facebook.users[u.ID]
	if user == nil {
		user = &facebookUser{}
		ig.facebook.users[u.ID] = user
	}
	engine.SetDefault(&u.Name, user.Name)
	engine.SetDefault(&u.Name, "Sim Person "+lastDigits(u.ID))
	u.Pages = slices.Clone(u.Pages)
	for i := range u.Pages {
		ig.completePage(&u.Pages[i], now)
	}
	user.FacebookUser = u
	return user
}

func (ig *Platform) completePage(p *FacebookPage, now time.Time) {
	engine.SetDefault(&p.ID, ig.newID("10"))
	engine.SetDefault(&p.Name, "Sim Page "+lastDigits(p.ID))
	if p.Tasks == nil {
		p.Tasks = []string{"CREATE_CONTENT", "MODERATE", "ANALYZE"}
	}
	if p.InstagramID != "" && ig.accounts[p.InstagramID] == nil {
		ig.add(Account{IGID: p.InstagramID, Name: p.Name, PageID: p.ID}, now)
	}
}

// newUser creates the user for "a new account" of the dialog: one Page with an Instagram account.
func (ig *Platform) newUser(now time.Time) *facebookUser {
	return ig.addUser(FacebookUser{Pages: []FacebookPage{{InstagramID: ig.newID("178")}}}, now)
}

func lastDigits(id string) string { return id[len(id)-min(4, len(id)):] }

// usersByName returns the users in the order of the login dialog.
func (ig *Platform) usersByName() []*facebookUser {
	users := make([]*facebookUser, 0, len(ig.facebook.users))
	for _, u := range ig.facebook.users {
		users = append(users, u)
	}
	slices.SortFunc(users, func(a, b *facebookUser) int { return strings.Compare(a.Name+a.ID, b.Name+b.ID) })
	return users
}

// consent applies the user's answer to the dialog. Scopes of an earlier consent that were not requested stay; a
// declined scope is asked again only with auth_type=rerequest (Facebook Login, manual flow).
func (u *facebookUser) consent(asked, ticked []string, rerequest bool, now time.Time) {
	u.consentAt = now
	for _, scope := range asked {
		if u.status(scope) == statusDeclined && !rerequest {
			continue
		}
		status := statusDeclined
		if slices.Contains(ticked, scope) {
			status = statusGranted
		}
		u.setStatus(scope, status)
	}
}

func (u *facebookUser) status(scope string) string {
	for _, p := range u.permissions {
		if p.Name == scope {
			return p.Status
		}
	}
	return ""
}

func (u *facebookUser) setStatus(scope, status string) {
	u.permissions = slices.DeleteFunc(u.permissions, func(p facebookPermission) bool { return p.Name == scope })
	u.permissions = append(u.permissions, facebookPermission{scope, status})
}

// granted returns the scopes that are granted.
func (u *facebookUser) granted() []string {
	scopes := []string{}
	for _, p := range u.permissions {
		if p.Status == statusGranted {
			scopes = append(scopes, p.Name)
		}
	}
	return scopes
}

// withdraw deletes the consent, as when the user removes the app.
func (u *facebookUser) withdraw() { u.permissions, u.pages = nil, nil }

// page returns a Page that the user holds and lets the app use, or nil.
func (u *facebookUser) page(id string) *FacebookPage {
	i := slices.IndexFunc(u.Pages, func(p FacebookPage) bool { return p.ID == id })
	if i < 0 || !slices.Contains(u.pages, id) {
		return nil
	}
	return &u.Pages[i]
}

// visible returns the Pages that page would return and keep accepts, in the user's order.
func (u *facebookUser) visible(keep func(FacebookPage) bool) []FacebookPage {
	var pages []FacebookPage
	for _, p := range u.Pages {
		if u.page(p.ID) != nil && keep(p) {
			pages = append(pages, p)
		}
	}
	return pages
}

// mayPublish reports whether the user's role on the Page suffices: CREATE_CONTENT or MANAGE, in either naming (Content
// Publishing, 2026-03).
func (p FacebookPage) mayPublish() bool {
	return slices.ContainsFunc(p.Tasks, func(task string) bool {
		task = strings.TrimPrefix(task, "PROFILE_PLUS_")
		return task == "CREATE_CONTENT" || task == "MANAGE"
	})
}
