//go:build browser

package browser

import (
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"socialqueue/app"
	"socialqueue/config"
	"socialqueue/observe"
	"socialqueue/sandbox"
	"socialqueue/secrets"
	"socialqueue/test/testkit"
)

// system is the whole system in one process, the simulated platforms behind it,
// and an app with one user, who sits at the browser.
type system struct {
	t      *testing.T
	sim    *sandbox.Server
	system *app.AllInOne
	// app is the app's own site, where return_url leads.
	app  *httptest.Server
	http *http.Client

	key    secrets.Secret
	userID int64
}

func newSystem(t *testing.T) *system {
	t.Helper()
	w := &system{t: t, sim: sandbox.New(sandbox.Options{}), app: httptest.NewServer(http.HandlerFunc(welcomeBack))}
	t.Cleanup(w.app.Close)
	t.Cleanup(func() { _ = w.sim.Close() })
	w.must(w.sim.Start("127.0.0.1:0"))
	w.http = testkit.NewHTTP(t)

	w.start(t.TempDir())
	appID, key, err := w.system.CreateApp(t.Context(), "browser")
	w.must(err)
	w.key = key
	w.allowReturn(appID)
	var user struct{ ID int64 }
	w.call("POST", "/api/users", map[string]string{"external_id": "u1"}, &user)
	w.userID = user.ID
	return w
}

func (w *system) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// welcomeBack is the page at return_url.
func welcomeBack(rw http.ResponseWriter, _ *http.Request) {
	rw.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = io.WriteString(rw, `<!doctype html><html lang="en"><title>The app</title><h1>Back in the app</h1>`)
}

// start starts the system, with its data in dir.
func (w *system) start(dir string) {
	w.t.Helper()
	addr := testkit.FreeAddr(w.t)
	env := map[string]string{
		"HTTP_ADDR": addr, "PUBLIC_URL": "http://" + addr, "TOKEN_ENCRYPTION_KEY": secrets.NewRandomKey(),
		"MEDIA_BUCKET_URL": "file://" + w.t.TempDir(), "MEDIA_ALLOW_PRIVATE_HOSTS": "true",
		"OPERATOR_PASSWORD": operatorPassword, "OPERATOR_READONLY_PASSWORD": viewerPassword,
	}
	maps.Copy(env, testkit.SandboxEnv(w.sim))
	cfg, err := config.Load(config.Dev, func(name string) string { return env[name] })
	w.must(err)
	w.system, err = app.NewEmbedded(w.t.Context(), cfg, dir, app.Options{Log: observe.NewLogger("browser", "warning", "text", w.t.Output())})
	w.must(err)
	testkit.Run(w.t, w.system)
}

// allowReturn registers the app's site, as `socialqueue app allow-return` does.
func (w *system) allowReturn(appID int64) {
	w.t.Helper()
	site, err := url.Parse(w.app.URL)
	w.must(err)
	w.must(w.system.AllowReturn(w.t.Context(), appID, site.Host))
}

func (w *system) url() string { return "http://" + w.system.Addr() }

// call asks the api as the app does and reads the answer into v.
func (w *system) call(method, path string, body, v any) {
	w.t.Helper()
	client := testkit.Client{T: w.t, URL: w.url(), HTTP: w.http, Key: w.key}
	client.Do(testkit.Call{Method: method, Path: path, JSON: body, Headers: map[string]string{"Accept": "application/json"}}).WantOK().Into(v)
}

// returnURL leads to a page of the app that has a query of its own.
func (w *system) returnURL() string { return w.app.URL + "/accounts?tab=social" }

// consentPage asks the api where to send the user. An empty returnURL leaves the
// user on our own page afterwards.
func (w *system) consentPage(platform, returnURL string) string {
	w.t.Helper()
	q := url.Values{"user_id": {strconv.FormatInt(w.userID, 10)}}
	if returnURL != "" {
		q.Set("return_url", returnURL)
	}
	var answer struct {
		AuthorizationURL string `json:"authorization_url"`
	}
	w.call("GET", "/api/auth/"+platform+"?"+q.Encode(), nil, &answer)
	return answer.AuthorizationURL
}

// account is a connected account as the api shows it.
type account struct {
	ID         int64
	Platform   string
	UserID     int64  `json:"user_id"`
	ExternalID string `json:"external_id"`
	Username   string
	Status     string
	Scopes     []string
}

func (w *system) accounts() []account {
	w.t.Helper()
	var list []account
	w.call("GET", "/api/accounts", nil, &list)
	return list
}

// wantActive says that the accounts with these ids at their platform, and no
// others, are there and may be posted to. It returns their ids.
func (w *system) wantActive(platform string, external ...string) (ids []string) {
	w.t.Helper()
	list := w.accounts()
	if len(list) != len(external) {
		w.t.Fatalf("%d accounts, want %d: %+v", len(list), len(external), list)
	}
	for i, a := range list {
		if a.Platform != platform || a.UserID != w.userID || a.ExternalID != external[i] || a.Status != "active" {
			w.t.Errorf("account %+v, want %s %s of user %d, active", a, platform, external[i], w.userID)
		}
		ids = append(ids, strconv.FormatInt(a.ID, 10))
	}
	return ids
}

func (w *system) wantNoAccounts() {
	w.t.Helper()
	if list := w.accounts(); len(list) > 0 {
		w.t.Errorf("accounts %+v, want none", list)
	}
}

// wantReturned says that the browser is at return_url, and what the app reads
// there: without the #_=_ that Facebook sends along, and that no server sees.
func (w *system) wantReturned(v visit, platform string, outcome map[string]string) {
	w.t.Helper()
	want := url.Values{"platform": {platform}, "user_id": {strconv.FormatInt(w.userID, 10)}}
	for name, value := range outcome {
		want.Set(name, value)
	}
	address := strings.TrimSuffix(v.address.String(), "#")
	if expected := w.returnURL() + "&" + want.Encode(); address != expected || v.status != http.StatusOK {
		w.t.Fatalf("the browser is at %v,\nwant %s", v, expected)
	}
}

// cast are the people at the simulated platforms. The ones that are chosen have
// long names and are not the first of their list.
type cast struct {
	tiktok   sandbox.TikTokAccount
	facebook sandbox.FacebookUser
	other    sandbox.FacebookUser
}

func (w *system) hire() cast {
	w.sim.AddTikTokAccount(sandbox.TikTokAccount{Username: "simcafe", Nickname: "Sim Cafe"})
	return cast{
		tiktok: w.sim.AddTikTokAccount(sandbox.TikTokAccount{
			Username: "zuckerbaeckerei.sonne", Nickname: "Zuckerbäckerei Sonnenschein & Töchter",
		}),
		facebook: w.sim.AddFacebookUser(sandbox.FacebookUser{Name: "Zoë Sonnenschein", Pages: []sandbox.FacebookPage{
			{Name: "Zuckerbäckerei Sonnenschein & Töchter", InstagramID: "17841400000000001"},
			{Name: "Donaudampfschifffahrtsgesellschaftskapitänsmützen", InstagramID: "17841400000000002"},
			{Name: "Flohmarkt Nord"},
		}}),
		other: w.sim.AddFacebookUser(sandbox.FacebookUser{Name: "Ann Baker", Pages: []sandbox.FacebookPage{{Name: "Ann bakes"}}}),
	}
}
