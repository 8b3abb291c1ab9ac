package handlers_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/labstack/echo/v4"

	"socialqueue/db"
	"socialqueue/db/dbtest"
	"socialqueue/handlers"
	"socialqueue/models"
	"socialqueue/secrets"
)

func onSQLite(t *testing.T) *fixture {
	t.Helper()
	return newFixture(t, dbtest.SQLite(t))
}

func TestRequestID(t *testing.T) {
	w := onSQLite(t)
	for _, id := range []string{"a", "req-1:2.3_x", strings.Repeat("x", 128)} {
		if got := w.do(call{method: "GET", path: "/livez", headers: map[string]string{"X-Request-ID": id}}).Header.Get("X-Request-ID"); got != id {
			t.Errorf("X-Request-ID = %q, want %q", got, id)
		}
	}
	for _, bad := range []string{"", "a b", "<script>", strings.Repeat("x", 129), "é", "a\nb"} {
		got := w.do(call{method: "GET", path: "/livez", headers: map[string]string{"X-Request-ID": bad}}).Header.Get("X-Request-ID")
		if len(got) != 36 || got[14] != '7' {
			t.Errorf("for %q an id of ours was due, got %q", bad, got)
		}
	}
}

func TestUnknownAddresses(t *testing.T) {
	w := onSQLite(t)
	for path, status := range map[string]int{
		"GET /": 404, "GET /api/nosuch": 404, "GET /nosuch": 404, "PUT /api/posts": 405, "POST /livez": 405, "GET /api/users": 405,
		"POST /api/auth/tiktok": 405, "DELETE /api/auth/instagram": 405, "POST /api/auth/tiktok/callback": 405, "PUT /api/auth/instagram/callback": 405,
		"GET /api/auth/instagram/deauthorize": 405, "GET /api/auth/instagram/delete-data": 405, "POST /api/auth/instagram/deletions/x": 405,
		"POST /api/accounts": 405, "POST /api/accounts/tiktok/1": 405, "POST /api/groups/1": 405, "DELETE /api/accounts/instagram/pages": 404, "GET /api/webhooks/tiktok": 405,
		"GET /api/accounts/tiktok": 404, "GET /api/webhooks": 404,
	} {
		method, path, _ := strings.Cut(path, " ")
		r := w.do(call{method: method, path: path})
		r.WantProblem(status, "NOT_FOUND", "")
		if status == 405 && r.Header.Get("Allow") == "" {
			t.Errorf("%s %s: no Allow", method, path)
		}
	}
}

func TestAccessLog(t *testing.T) {
	w := onSQLite(t)
	w.do(call{method: "GET", path: "/api/posts?cursor=topsecret", headers: map[string]string{"X-Request-ID": "rid"}})
	line := w.log.Last(t)
	meta := line["metadata"].(map[string]any)
	if line["action"] != "GET /api/posts" || line["correlationId"] != "rid" || line["service"] != "api" || meta["status"] != 422.0 || meta["app_id"] != float64(w.ours.appID) {
		t.Errorf("line %v", line)
	}
	if _, ok := line["duration"].(float64); !ok {
		t.Errorf("duration = %v", line["duration"])
	}
	w.do(call{method: "GET", path: "/mistyped/topsecret"})
	if got := w.log.Last(t)["action"]; got != "GET (no route)" {
		t.Errorf("action = %v", got)
	}
	if log := w.log.String(); strings.Contains(log, "topsecret") || strings.Contains(log, w.ours.key[16:]) {
		t.Errorf("the log tells a secret: %s", log)
	}
	n := strings.Count(w.log.String(), "\n")
	w.do(call{method: "GET", path: "/api/posts"})
	if got := strings.Count(w.log.String(), "\n"); got != n+1 {
		t.Errorf("%d lines for one request", got-n)
	}
}

func TestPanicTellsNothing(t *testing.T) {
	w := onSQLite(t)
	w.api.GET("/boom", func(echo.Context) error { panic("the password is hunter2") })
	r := w.do(call{method: "GET", path: "/boom"})
	r.WantProblem(500, "INTERNAL", "")
	if strings.Contains(string(r.Body), "hunter2") || strings.Contains(string(r.Body), "goroutine") {
		t.Errorf("answer tells too much: %s", r.Body)
	}
	e := w.log.Last(t)["error"].(map[string]any)
	if !strings.Contains(e["message"].(string), "hunter2") || !strings.Contains(e["stack"].(string), "http_test.go") {
		t.Errorf("log misses the cause: %v", e)
	}
	w.api.GET("/odd", func(echo.Context) error { return errors.New("pq: secret detail") })
	r = w.do(call{method: "GET", path: "/odd"})
	r.WantProblem(500, "INTERNAL", "")
	if strings.Contains(string(r.Body), "secret") {
		t.Errorf("answer tells too much: %s", r.Body)
	}
}

func TestDatabaseAway(t *testing.T) {
	wire := countStatements(t, dbtest.PostgresURL(t))
	d, err := db.OpenPostgres(t.Context(), secrets.Secret(wire.url), 2)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	w := newFixture(t, d)
	post := w.tiktok(w.upload("upright.mp4"), nil)
	files := w.stored().files
	gone := removed("ours", w.clock.Now(), 1)
	removal := "signed_request=" + signedRequest(facebookSecret, `{"algorithm":"HMAC-SHA256","user_id":"ig-ours"}`)
	wire.cut()
	for _, c := range []call{
		{method: "GET", path: "/api/posts"}, {method: "POST", path: "/api/tiktok/upload", json: post},
		{method: "POST", path: "/api/tiktok/upload", json: post, headers: keyed("k")},
		{method: "POST", path: "/api/media", body: bytes.NewReader(testFile(t, "upright.mp4"))},
		{method: "GET", path: "/api/accounts"}, {method: "DELETE", path: accountPath(models.TikTok, w.ours.tiktok)},
		{method: "GET", path: fmt.Sprintf("/api/accounts/instagram/pages?user_id=%d", w.ours.userID)},
		{method: "GET", path: "/api/auth/instagram/deletions/x", noKey: true},
		// Platforms' events are not acknowledged before they are stored, because the platform
		// repeats them.
		{method: "POST", path: webhookPath, noKey: true, json: gone, headers: map[string]string{"TikTok-Signature": tiktokSignature(tiktokSecret, w.clock.Now(), gone)}},
		{method: "POST", path: deauthorizePath, noKey: true, body: strings.NewReader(removal)},
		{method: "POST", path: deletePath, noKey: true, body: strings.NewReader(removal)},
	} {
		r := w.do(c) // the key is cached
		r.WantProblem(503, "UNAVAILABLE", "")
		if r.Header.Get("Retry-After") == "" {
			t.Error("no Retry-After")
		}
	}
	w.clock.Advance(5 * time.Second) // now the key has to be looked up
	w.do(call{method: "GET", path: "/api/posts"}).WantProblem(503, "UNAVAILABLE", "")
	// It is unknown whether the upload's row was committed, so its file stays until the
	// scheduler finds that it has no row.
	if stored, err := os.ReadDir(w.dir); err != nil || len(stored) > files+1 {
		t.Errorf("%d files, want %d at most (%v)", len(stored), files+1, err)
	}
}

func TestClientGone(t *testing.T) {
	w := onSQLite(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	rec := httptest.NewRecorder()
	w.api.ServeHTTP(rec, w.request(call{method: "GET", path: "/api/posts"}).WithContext(ctx))
	if rec.Code == 200 {
		t.Error("a client that closed its half reads a success")
	}
	if meta := w.log.Last(t)["metadata"].(map[string]any); meta["status"] != 499.0 {
		t.Errorf("status in the log = %v", meta["status"])
	}
}

func TestAnswersAreNotSniffedNorCached(t *testing.T) {
	w := onSQLite(t)
	for _, path := range []string{"/api/posts", "/nosuch", "/livez", "/api/accounts", "/api/auth/tiktok", "/api/auth/tiktok/callback", "/api/auth/instagram/deletions/x"} {
		h := w.do(call{method: "GET", path: path}).Header
		if h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %v", path, h)
		}
	}
}

func TestHealth(t *testing.T) {
	w := onSQLite(t)
	var asked atomic.Int32
	w.deps.Health = map[string]handlers.Check{
		"database": w.db.Ping,
		"redis":    func(context.Context) error { return errors.New("dial tcp: redis://user:hunter2@10.0.0.5") },
		"tiktok":   func(context.Context) error { asked.Add(1); return nil },
	}
	w.deps.Ready = map[string]handlers.Check{
		"database": w.db.Ping,
		"worker":   func(context.Context) error { return handlers.Unhealthy("no worker is alive") },
		"broken":   func(context.Context) error { panic("oops") },
	}
	w.api = handlers.New(w.deps)
	get := func(path string) *reply { return w.do(call{method: "GET", path: path, noKey: true}) }

	ok := get("/api/health/database").want(200).Object()
	if _, isNumber := ok["latency_ms"].(float64); ok["status"] != "ok" || !isNumber || ok["error"] != nil {
		t.Errorf("database: %v", ok)
	}
	down := get("/api/health/redis").want(503)
	if got := down.Object(); got["status"] != "down" || got["error"] != "not reachable" || strings.Contains(string(down.Body), "hunter2") {
		t.Errorf("redis: %v", got)
	}
	if got := get("/api/health/instagram").want(503).Object(); got["error"] != "not configured" {
		t.Errorf("instagram: %v", got)
	}
	for range 10 {
		get("/api/health/tiktok").want(200)
	}
	if n := asked.Load(); n != 1 {
		t.Errorf("the platform was asked %d times", n)
	}
	get("/api/health/nosuch").WantProblem(404, "NOT_FOUND", "")

	get("/livez").want(200)
	w.wantLine("GET /livez", 200, "debug")
	w.wantLine("GET /api/health/:check", 200, "debug")
	w.wantLine("GET /api/health/:check", 503, "info")
	ready := get("/readyz").want(503).Object()["checks"].(map[string]any)
	if ready["worker"].(map[string]any)["error"] != "no worker is alive" || ready["database"].(map[string]any)["status"] != "ok" ||
		ready["broken"].(map[string]any)["status"] != "down" {
		t.Errorf("readyz: %v", ready)
	}
	w.wantLine("GET /readyz", 503, "info")
	w.deps.Ready = nil
	w.api = handlers.New(w.deps)
	get("/readyz").want(200)
	w.wantLine("GET /readyz", 200, "debug")
}

// wantLine checks that every log line about requests of an action with a status has a
// level, and that there is one.
func (w *fixture) wantLine(action string, status int, level string) {
	w.t.Helper()
	found := false
	for text := range strings.Lines(w.log.String()) {
		var line struct {
			Level, Action string
			Metadata      struct{ Status int }
		}
		w.must(json.Unmarshal([]byte(text), &line))
		if line.Action != action || line.Metadata.Status != status {
			continue
		}
		if found = true; line.Level != level {
			w.t.Errorf("the level is not %s: %s", level, text)
		}
	}
	if !found {
		w.t.Errorf("no line about %s with %d", action, status)
	}
}

func TestHealthIsBoundedInTime(t *testing.T) {
	w := onSQLite(t)
	release := make(chan struct{})
	var running atomic.Int32
	w.deps.Health = map[string]handlers.Check{"redis": func(context.Context) error { running.Add(1); <-release; return nil }}
	w.api = handlers.New(w.deps)
	began := time.Now()
	results := make(chan *reply)
	for range 5 {
		go func() { results <- w.do(call{method: "GET", path: "/api/health/redis", noKey: true}) }()
	}
	for range 5 {
		if r := <-results; r.Status != 503 || r.Text("error") != "no answer in time" {
			t.Errorf("%d %s", r.Status, r.Body)
		}
	}
	if took := time.Since(began); took > 4*time.Second || running.Load() != 1 {
		t.Errorf("took %s with %d checks at once", took, running.Load())
	}
	close(release)
}
