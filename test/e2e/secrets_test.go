package e2e

import (
	"bytes"
	"database/sql"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path"
	"strings"
	"sync"
	"testing"
	"time"

	"socialqueue/sandbox"
	"socialqueue/sandbox/sample"
	"socialqueue/test/testkit"
)

// What is secret is seen on the wire and nowhere else: not in logs, timelines,
// answers, Redis or, in clear, the database; also when calls go wrong, which is
// when errors quote URLs.
func TestSecretsStayOnTheWire(t *testing.T) {
	wire := &wiretap{found: map[string]string{}}
	w := newSystem(t, setup{sandbox: slowish(), inFront: wire.listen})
	answers := &answerTap{next: w.http.Transport}
	w.http.Transport = answers
	tt, ig := w.tiktokAccount(), w.instagramAccount()
	clip, still := w.upload("video/mp4", sample.Video), w.upload("image/jpeg", sample.Picture)
	const customer = "customers-presigned-signature"
	link := serveFile(t, "video/mp4", sample.Video) + "?X-Amz-Signature=" + customer
	w.scriptTroubles()

	w.startScheduler()
	bodies := []order{
		{tt, video(tt, clip, "one")}, {tt, video(tt, clip, "two")}, {tt, video(tt, clip, "three")},
		{tt, fields{"account_id": tt.id, "media_url": link, "title": "four", "privacy_level": "SELF_ONLY"}},
		{tt, fields{"account_id": tt.id, "media_url": link + "&gone=1", "title": "five", "privacy_level": "SELF_ONLY"}},
		{ig, picture(ig, still, "six")}, {ig, picture(ig, still, "seven")},
		{ig, picture(ig, clip, "eight").with(fields{"media_type": "REELS"})},
	}
	var ids []string
	for _, o := range bodies {
		ids = append(ids, w.accept(o.account, o.body).ID)
	}
	dump := w.redisDump() // with every task in it
	stopWorker := w.startWorker()
	testkit.Await(w.t, testkit.Patience, "all posts have ended", func() (bool, string) {
		dump += w.redisDump()
		var open []string
		for _, id := range ids {
			if p := w.post(id); p.Status != "published" && p.Status != "failed" {
				open = append(open, fmt.Sprintf("%+v\n%s", p, story(w.events(id))))
			}
		}
		return len(open) == 0, strings.Join(open, "\n")
	})
	if left := w.sim.PendingFaults(); len(left) > 0 {
		t.Errorf("troubles that never came: %+v", left)
	}
	for _, id := range ids {
		w.events(id)
	}
	w.call(testkit.Call{Method: "GET", Path: "/api/tiktok/status/" + ids[0]})
	w.fetch(w.link(still, time.Minute)+"x", "")
	w.call(testkit.Call{Method: "GET", Path: "/api/posts/nonsense?token=" + w.key.Reveal()})
	stopWorker()

	secrets := wire.secrets()
	for i, c := range append(tt.credential, ig.credential...) {
		secrets[fmt.Sprintf("credential %d", i)] = c
	}
	secrets["api key"], secrets["customer's link"], secrets["encryption key"] = w.key.Reveal(), customer, encryptionKey
	secrets["facebook app secret"], secrets["tiktok client secret"] = w.env["FACEBOOK_APP_SECRET"], w.env["TIKTOK_CLIENT_SECRET"]
	wantKinds(t, secrets, "access_token", "upload_token", "link signature", "appsecret_proof")
	for place, text := range map[string]string{
		"logs": w.logs.String(), "answers": answers.String(), "redis": dump + w.redisDump(), "database": w.databaseDump(),
	} {
		if len(text) < 1000 {
			t.Errorf("%s: only %q was seen", place, text)
		}
		wantNone(t, place, text, secrets)
	}
}

// scriptTroubles makes calls of every kind go wrong once.
func (w *system) scriptTroubles() {
	for _, op := range []string{
		sandbox.OpTikTokCreatorInfo, sandbox.OpTikTokInit, sandbox.OpTikTokChunk, sandbox.OpTikTokStatus,
		sandbox.OpInstagramContainer, sandbox.OpInstagramUpload, sandbox.OpInstagramContainerStatus, sandbox.OpInstagramQuota,
	} {
		w.sim.Script(sandbox.Fault{Op: op, Mode: sandbox.ModeReset})
	}
	w.sim.Script(
		sandbox.Fault{Op: sandbox.OpTikTokChunk, Mode: sandbox.ModeStatus, After: true},
		sandbox.Fault{Op: sandbox.OpTikTokStatus, Mode: sandbox.ModeTruncate},
		sandbox.Fault{Op: sandbox.OpInstagramPublish, Mode: sandbox.ModeReset, After: true},
		sandbox.Fault{Op: sandbox.OpInstagramContainerStatus, Mode: sandbox.ModeError, Code: "1"},
	)
}

func wantKinds(t *testing.T, secrets map[string]string, kinds ...string) {
	t.Helper()
	for _, kind := range kinds {
		found := false
		for name, value := range secrets {
			found = found || strings.HasPrefix(name, kind) && len(value) > 8
		}
		if !found {
			t.Errorf("no %s was seen on the wire: the test looks for nothing", kind)
		}
	}
}

func wantNone(t *testing.T, place, text string, secrets map[string]string) {
	t.Helper()
	for name, value := range secrets {
		for _, form := range []string{value, url.QueryEscape(value)} {
			if at := strings.Index(text, form); at >= 0 {
				t.Errorf("%s show the %s: ...%s...", place, name, text[max(at-200, 0):min(at+60, len(text))])
				break
			}
		}
	}
}

// wiretap collects the secrets of the requests that platforms get.
type wiretap struct {
	mu    sync.Mutex
	found map[string]string // by value
}

func (t *wiretap) listen(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		t.note("access_token", strings.TrimPrefix(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "), "OAuth "))
		t.noteAll(r.URL.Query())
		if r.Header.Get("Content-Type") == "application/x-www-form-urlencoded" {
			body, _ := io.ReadAll(r.Body)
			r.Body = io.NopCloser(bytes.NewReader(body))
			form, _ := url.ParseQuery(string(body))
			t.noteAll(form)
		}
		next.ServeHTTP(w, r)
	})
}

func (t *wiretap) noteAll(values url.Values) {
	for _, name := range []string{
		"access_token", "appsecret_proof", "upload_token", "code", "code_verifier", "refresh_token", "fb_exchange_token", "input_token", "token", "state",
	} {
		t.note(name, values.Get(name))
	}
	if link := values.Get("image_url"); link != "" {
		t.note("link signature", path.Base(link))
	}
}

func (t *wiretap) note(kind, value string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if value != "" {
		t.found[value] = kind
	}
}

// secrets gives them by a name that tells what each is.
func (t *wiretap) secrets() map[string]string {
	t.mu.Lock()
	defer t.mu.Unlock()
	named := map[string]string{}
	for value, kind := range t.found {
		named[fmt.Sprintf("%s %d", kind, len(named))] = value
	}
	return named
}

// answerTap keeps every answer of the api, headers and all.
type answerTap struct {
	next http.RoundTripper
	// skip is the address of the platforms, whose answers are not the api's.
	skip string
	mu   sync.Mutex
	text bytes.Buffer
}

func (a *answerTap) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := a.next.RoundTrip(r)
	if err != nil || a.skip != "" && strings.HasPrefix(r.URL.String(), a.skip) {
		return resp, err
	}
	body, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	resp.Body = io.NopCloser(bytes.NewReader(body))
	a.mu.Lock()
	defer a.mu.Unlock()
	fmt.Fprintf(&a.text, "%s %s\n%v\n%s\n", r.Method, r.URL.Path, resp.Header, body)
	return resp, err
}

func (a *answerTap) String() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.text.String()
}

// redisDump is every key of the Redis of the system with its value.
func (w *system) redisDump() string {
	w.t.Helper()
	ctx := w.t.Context()
	keys, err := w.redis.Keys(ctx, "*").Result()
	w.must(err)
	var b strings.Builder
	for _, key := range keys {
		// An error means that the key is gone by now, or of another type.
		text, _ := w.redis.Get(ctx, key).Result()
		hash, _ := w.redis.HGetAll(ctx, key).Result()
		list, _ := w.redis.LRange(ctx, key, 0, -1).Result()
		set, _ := w.redis.SMembers(ctx, key).Result()
		sorted, _ := w.redis.ZRange(ctx, key, 0, -1).Result()
		fmt.Fprintln(&b, key, text, hash, list, set, sorted)
	}
	return b.String()
}

// databaseDump is every row of every table.
func (w *system) databaseDump() string {
	w.t.Helper()
	conn, err := sql.Open("pgx", w.env["DATABASE_URL"])
	w.must(err)
	defer conn.Close()
	tables := w.column(conn, "SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
	var b strings.Builder
	for _, table := range tables {
		fmt.Fprintln(&b, table, w.column(conn, fmt.Sprintf("SELECT t::text FROM %q t", table)))
	}
	return b.String()
}

func (w *system) column(conn *sql.DB, query string) []string {
	w.t.Helper()
	rows, err := conn.QueryContext(w.t.Context(), query)
	w.must(err)
	defer rows.Close()
	var values []string
	for rows.Next() {
		var v string
		w.must(rows.Scan(&v))
		values = append(values, v)
	}
	w.must(rows.Err())
	return values
}
