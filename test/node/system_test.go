//go:build node

package node

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"socialqueue/app"
	"socialqueue/config"
	"socialqueue/observe"
	"socialqueue/sandbox"
	"socialqueue/secrets"
)

const stopTimeout = 20 * time.Second

// world is the whole system in one process, with the simulated platforms behind it,
// and an app with one user.
type world struct {
	t      *testing.T
	sim    *sandbox.Server
	system *app.AllInOne
	http   *http.Client

	key    secrets.Secret
	userID int64
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, sim: sandbox.New(sandbox.Options{})}
	t.Cleanup(func() { _ = w.sim.Close() })
	w.must(w.sim.Start("127.0.0.1:0"))
	transport := &http.Transport{}
	w.http = &http.Client{Transport: transport}
	t.Cleanup(transport.CloseIdleConnections)
	w.start(t.TempDir())
	var err error
	_, w.key, err = w.system.CreateApp(t.Context(), "node")
	w.must(err)
	var user struct{ ID int64 }
	w.call("POST", "/api/users", map[string]string{"external_id": "u1"}, &user)
	w.userID = user.ID
	return w
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// start starts the system, with its data in dir.
func (w *world) start(dir string) {
	w.t.Helper()
	addr, sim := w.freeAddr(), w.sim.Options()
	env := map[string]string{
		"HTTP_ADDR": addr, "PUBLIC_URL": "http://" + addr, "TOKEN_ENCRYPTION_KEY": secrets.NewRandomKey(),
		"MEDIA_BUCKET_URL": "file://" + w.t.TempDir(), "WEBHOOK_ALLOW_PRIVATE_HOSTS": "true",
		"TIKTOK_AUTH_URL": w.sim.TikTokAuthURL(), "TIKTOK_API_URL": w.sim.TikTokURL(),
		"FACEBOOK_DIALOG_URL": w.sim.FacebookDialogURL(), "FACEBOOK_GRAPH_URL": w.sim.GraphURL(), "INSTAGRAM_UPLOAD_URL": w.sim.RuploadURL(),
		"TIKTOK_CLIENT_KEY": sim.TikTokClientKey, "TIKTOK_CLIENT_SECRET": sim.TikTokClientSecret,
		"FACEBOOK_APP_ID": sim.FacebookAppID, "FACEBOOK_APP_SECRET": sim.FacebookAppSecret,
	}
	cfg, err := config.Load(config.Dev, func(name string) string { return env[name] })
	w.must(err)
	w.system, err = app.NewEmbedded(w.t.Context(), cfg, dir, app.Options{Log: observe.NewLogger("node", "warning", "text", w.t.Output())})
	w.must(err)
	w.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
		defer cancel()
		if err := w.system.Stop(ctx); err != nil {
			w.t.Errorf("stop: %v", err)
		}
	})
	w.must(w.system.Start(w.t.Context()))
}

// freeAddr finds a port that is free now: PUBLIC_URL has to be known before the
// api listens.
func (w *world) freeAddr() string {
	w.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	w.must(err)
	defer l.Close()
	return l.Addr().String()
}

// call asks the api as the app does and reads the answer into v.
func (w *world) call(method, path string, body, v any) {
	w.t.Helper()
	var encoded bytes.Buffer
	if body != nil {
		w.must(json.NewEncoder(&encoded).Encode(body))
	}
	req, err := http.NewRequestWithContext(w.t.Context(), method, "http://"+w.system.Addr()+path, &encoded)
	w.must(err)
	req.Header.Set("Authorization", "Bearer "+w.key.Reveal())
	req.Header.Set("Accept", "application/json")
	req.Header.Set("Content-Type", "application/json")
	w.send(req, v)
}

// send makes a request that has to work; v may be nil.
func (w *world) send(req *http.Request, v any) {
	w.t.Helper()
	resp, err := w.http.Do(req)
	w.must(err)
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	w.must(err)
	if resp.StatusCode/100 != 2 {
		w.t.Fatalf("%s %s: %s %s", req.Method, req.URL.Path, resp.Status, answer)
	}
	if v != nil {
		w.must(json.Unmarshal(answer, v))
	}
}

// connect connects an account at TikTok: somebody allows it on the consent page, and
// their browser goes back to us.
func (w *world) connect(openID string) {
	w.t.Helper()
	var page struct {
		URL string `json:"authorization_url"`
	}
	w.call("GET", "/api/auth/tiktok?user_id="+strconv.FormatInt(w.userID, 10), nil, &page)
	form := url.Values{"decision": {"allow"}, "account": {openID}}
	req, err := http.NewRequestWithContext(w.t.Context(), http.MethodPost, page.URL, strings.NewReader(form.Encode()))
	w.must(err)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w.send(req, nil)
}

// endpoint is a webhook endpoint with its secret.
type endpoint struct {
	ID, Secret string
}

func (w *world) test(e endpoint) {
	w.t.Helper()
	w.call("POST", "/api/webhook-endpoints/"+e.ID+"/test", nil, nil)
}
