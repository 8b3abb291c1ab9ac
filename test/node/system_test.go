//go:build node

package node

import (
	"maps"
	"net/http"
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

// system is the whole system in one process, with the simulated platforms behind it,
// and an app with one user.
type system struct {
	t      *testing.T
	sim    *sandbox.Server
	system *app.AllInOne
	http   *http.Client

	key    secrets.Secret
	userID int64
}

func newSystem(t *testing.T) *system {
	t.Helper()
	w := &system{t: t, sim: sandbox.New(sandbox.Options{})}
	t.Cleanup(func() { _ = w.sim.Close() })
	w.must(w.sim.Start("127.0.0.1:0"))
	w.http = testkit.NewHTTP(t)
	w.start(t.TempDir())
	var err error
	_, w.key, err = w.system.CreateApp(t.Context(), "node")
	w.must(err)
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

// start starts the system, with its data in dir.
func (w *system) start(dir string) {
	w.t.Helper()
	addr := testkit.FreeAddr(w.t)
	env := map[string]string{
		"HTTP_ADDR": addr, "PUBLIC_URL": "http://" + addr, "TOKEN_ENCRYPTION_KEY": secrets.NewRandomKey(),
		"MEDIA_BUCKET_URL": "file://" + w.t.TempDir(), "WEBHOOK_ALLOW_PRIVATE_HOSTS": "true",
	}
	maps.Copy(env, testkit.SandboxEnv(w.sim))
	cfg, err := config.Load(config.Dev, func(name string) string { return env[name] })
	w.must(err)
	w.system, err = app.NewEmbedded(w.t.Context(), cfg, dir, app.Options{Log: observe.NewLogger("node", "warning", "text", w.t.Output())})
	w.must(err)
	testkit.Run(w.t, w.system)
}

func (w *system) client() *testkit.Client {
	return &testkit.Client{T: w.t, URL: "http://" + w.system.Addr(), HTTP: w.http, Key: w.key}
}

// call makes a call of the API that has to work and reads the answer into v, which may be nil.
func (w *system) call(method, path string, body, v any) {
	w.t.Helper()
	reply := w.client().Do(testkit.Call{Method: method, Path: path, JSON: body, Headers: map[string]string{"Accept": "application/json"}}).WantOK()
	if v != nil {
		reply.Into(v)
	}
}

// connect connects an account at TikTok: somebody allows it on the consent page, and
// their browser goes back to us.
func (w *system) connect(openID string) {
	w.t.Helper()
	var page struct {
		URL string `json:"authorization_url"`
	}
	w.call("GET", "/api/auth/tiktok?user_id="+strconv.FormatInt(w.userID, 10), nil, &page)
	form := url.Values{"decision": {"allow"}, "account": {openID}}
	req, err := http.NewRequestWithContext(w.t.Context(), http.MethodPost, page.URL, strings.NewReader(form.Encode()))
	w.must(err)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	reply, err := w.client().Send(req)
	w.must(err)
	reply.WantOK()
}

// endpoint is a webhook endpoint with its secret.
type endpoint struct {
	ID, Secret string
}

func (w *system) test(e endpoint) {
	w.t.Helper()
	w.call("POST", "/api/webhook-endpoints/"+e.ID+"/test", nil, nil)
}
