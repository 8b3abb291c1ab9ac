package handlers_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"socialqueue/db"
	"socialqueue/db/dbtest"
	"socialqueue/egress"
	"socialqueue/handlers"
	"socialqueue/inbox"
	instagramwebhooks "socialqueue/inbox/instagram"
	tiktokwebhooks "socialqueue/inbox/tiktok"
	"socialqueue/jobs"
	"socialqueue/jobs/redistest"
	"socialqueue/media"
	"socialqueue/models"
	"socialqueue/notify"
	"socialqueue/oauth"
	instagramlogin "socialqueue/oauth/instagram"
	tiktoklogin "socialqueue/oauth/tiktok"
	"socialqueue/observe"
	"socialqueue/platform/instagram"
	"socialqueue/platform/tiktok"
	"socialqueue/publish"
	instagramposts "socialqueue/publish/instagram"
	tiktokposts "socialqueue/publish/tiktok"
	"socialqueue/sandbox"
	"socialqueue/secrets"
	"socialqueue/tenants"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var epoch = time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)

const (
	maxFile   = 256 << 10
	publicURL = "http://localhost:3000"
	// What platforms sign their messages with.
	tiktokSecret   = "sim_client_secret"
	facebookSecret = "sim_app_secret"
	// What Meta says when it asks whether this is the right address.
	verifyToken = "sim_verify_token"
)

// world is the API over real stores, with two apps that must not meet.
type world struct {
	t     testing.TB
	db    *db.DB
	dir   string // where files are stored
	store *media.Store
	links *media.Signer
	queue *queue
	posts *publish.Service
	// accounts has no platform behind it, unless addPlatforms put both there.
	accounts *oauth.Service
	log      *logLines
	deps     handlers.Deps
	oauth    oauth.Deps
	inbox    inbox.Deps
	// fromTikTok and fromMeta are what the sources of webhooks work with; sources are
	// those of other platforms.
	fromTikTok tiktokwebhooks.Deps
	fromMeta   instagramwebhooks.Deps
	sources    []inbox.Source
	api        *echo.Echo
	clock      *clock

	ours, theirs tenant

	// Only a world with platforms has these.
	sim     *sandbox.Server
	redis   redis.UniversalClient
	browser *http.Client
}

// clock stands still unless a test moves it. The platforms go by it too.
type clock struct {
	sync.Mutex
	now time.Time
}

type tenant struct {
	key, prefix       string
	appID, userID     int64
	tiktok, instagram int64
}

func each(t *testing.T, test func(t *testing.T, w *world)) {
	t.Helper()
	dbtest.Each(t, func(t *testing.T, d *db.DB) { test(t, newWorld(t, d)) })
}

// eachWithPlatforms runs test on both databases, with both platforms behind it.
func eachWithPlatforms(t *testing.T, test func(t *testing.T, w *world)) {
	t.Helper()
	each(t, func(t *testing.T, w *world) {
		w.addPlatforms()
		test(t, w)
	})
}

func newWorld(t testing.TB, d *db.DB) *world {
	t.Helper()
	w := &world{t: t, db: d, dir: t.TempDir(), queue: &queue{tasks: map[string]bool{}}, log: &logLines{}, clock: &clock{now: epoch}}
	ring, err := secrets.ParseKeyring(strings.Repeat("k", 32))
	w.must(err)
	w.store, err = media.OpenStore(t.Context(), "file://"+w.dir, maxFile)
	w.must(err)
	t.Cleanup(func() { w.store.Close() })
	w.links, err = media.NewSigner(ring, publicURL)
	w.must(err)
	log := observe.NewLogger("api", "debug", "json", w.log)
	w.posts, err = publish.New(publish.Deps{
		Publishers: []publish.Publisher{tiktokposts.New(nil), instagramposts.New(nil)},
		DB:         d, Queue: w.queue, Keys: ring, Store: w.store, Links: w.links, Fetcher: media.NewFetcher(media.FetchOptions{}),
		Log: log, Now: w.now, Timings: publish.DefaultTimings(), Owner: "test",
	})
	w.must(err)
	w.oauth = oauth.Deps{
		DB: d, Keys: ring, PublicURL: publicURL, Log: log, Now: w.now,
		Connectors: []oauth.Connector{verifying{oauth.Unconfigured(models.Instagram, "settings"), instagramlogin.New(nil, facebookSecret, w.now)}},
	}
	w.fromTikTok = tiktokwebhooks.Deps{DB: d, Posts: w.posts, Secret: tiktokSecret, Tolerance: 5 * time.Minute, Now: w.now}
	w.fromMeta = instagramwebhooks.Deps{DB: d, Secret: facebookSecret, VerifyToken: verifyToken, Now: w.now}
	w.inbox = inbox.Deps{DB: d, Queue: w.queue, Log: log, Now: w.now}
	w.deps = handlers.Deps{
		Notify:  notify.New(notify.Deps{DB: d, Keys: ring, Guard: egress.New(false), Log: log, Now: w.now}),
		Tenants: tenants.New(tenants.Deps{DB: d, Log: log, Now: w.now}),
		Posts:   w.posts, Store: w.store, Links: w.links, Log: log, Now: w.now, MediaMaxBytes: maxFile,
		Platforms: models.PlatformTitles{{Name: models.TikTok, Title: "TikTok"}, {Name: models.Instagram, Title: "Instagram"}},
		Health:    map[string]handlers.Check{"database": d.Ping},
		Ready:     map[string]handlers.Check{"database": d.Ping},
	}
	w.build()
	w.ours, w.theirs = w.tenant("ours"), w.tenant("theirs")
	return w
}

// build makes the API from w.deps and w.oauth.
func (w *world) build() {
	w.accounts = oauth.New(w.oauth)
	w.deps.Accounts = w.accounts
	w.fromTikTok.Accounts = w.accounts
	w.inbox.Sources = append([]inbox.Source{tiktokwebhooks.New(w.fromTikTok), instagramwebhooks.New(w.fromMeta)}, w.sources...)
	w.deps.Inbox = inbox.New(w.inbox)
	w.queue.process = w.deps.Inbox.Process
	w.api = handlers.New(w.deps)
}

// addPlatforms puts both platforms with their consent pages behind the API, and a
// Redis for the connects that are under way.
func (w *world) addPlatforms() {
	w.t.Helper()
	w.sim = sandbox.New(sandbox.Options{
		Now: w.now, Limits: &sandbox.Limits{}, TikTokClientSecret: tiktokSecret, FacebookAppSecret: facebookSecret,
	})
	w.must(w.sim.Start("127.0.0.1:0"))
	w.t.Cleanup(func() { w.must(w.sim.Close()) })
	transport := &http.Transport{}
	w.t.Cleanup(transport.CloseIdleConnections)
	w.browser = &http.Client{
		Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	w.redis = jobs.NewRedis(redistest.Settings(w.t))
	w.t.Cleanup(func() { w.must(w.redis.Close()) })
	w.oauth.Redis = w.redis
	w.callPlatforms(transport)
}

// callPlatforms builds the API with clients whose calls go that way.
func (w *world) callPlatforms(way http.RoundTripper) {
	w.t.Helper()
	o, client := w.sim.Options(), &http.Client{Transport: way}
	tt, err := tiktok.New(tiktok.Config{
		APIURL: w.sim.TikTokURL(), AuthURL: w.sim.TikTokAuthURL(), ClientKey: o.TikTokClientKey, ClientSecret: tiktokSecret, HTTP: client, Now: w.now,
	})
	w.must(err)
	ig, err := instagram.New(instagram.Config{
		GraphURL: w.sim.GraphURL(), UploadURL: w.sim.RuploadURL(), DialogURL: w.sim.FacebookDialogURL(),
		AppID: o.FacebookAppID, AppSecret: facebookSecret, HTTP: client, Now: w.now,
	})
	w.must(err)
	w.oauth.Connectors = []oauth.Connector{tiktoklogin.New(tt, w.now), instagramlogin.New(ig, facebookSecret, w.now)}
	w.build()
}

// verifying is a Connector that makes no calls and verifies the platform's requests.
type verifying struct {
	oauth.Connector
	oauth.Verifier
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) now() time.Time {
	w.clock.Lock()
	defer w.clock.Unlock()
	return w.clock.now
}

func (w *world) advance(d time.Duration) {
	w.clock.Lock()
	defer w.clock.Unlock()
	w.clock.now = w.clock.now.Add(d)
}

func (w *world) tenant(name string) tenant {
	w.t.Helper()
	ctx := w.t.Context()
	appID, key, err := w.deps.Tenants.CreateApp(ctx, name)
	w.must(err)
	user, _, err := w.deps.Tenants.EnsureUser(ctx, appID, "first", "")
	w.must(err)
	tiktok, err := w.accounts.Import(ctx, oauth.Import{
		AppID: appID, UserID: user.ID, Platform: models.TikTok, ProviderAccountID: name, Access: "token-of-" + secrets.Secret(name),
	})
	w.must(err)
	instagram, err := w.accounts.Import(ctx, oauth.Import{
		AppID: appID, UserID: user.ID, Platform: models.Instagram, ProviderAccountID: "ig-" + name, Access: "token-of-" + secrets.Secret(name),
	})
	w.must(err)
	return tenant{key: key.Reveal(), prefix: strings.Split(key.Reveal(), "_")[1], appID: appID, userID: user.ID, tiktok: tiktok, instagram: instagram}
}

// queue is the part of Asynq that the API sees: tasks with unique ids.
type queue struct {
	mu    sync.Mutex
	tasks map[string]bool
	// process does the work of a platform's event, which has its effect at once.
	process func(ctx context.Context, eventID int64) error
}

func (q *queue) EnqueueWebhook(ctx context.Context, e *models.WebhookEvent) error {
	return q.process(ctx, e.ID)
}

func (q *queue) WebhookState(context.Context, *models.WebhookEvent) (publish.TaskState, error) {
	return publish.TaskPending, nil
}

func (q *queue) Enqueue(_ context.Context, t publish.Task) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.tasks[fmt.Sprintf("%s:%d", t.PostID, t.Fence)] = true
	return nil
}
func (q *queue) State(context.Context, publish.Task) (publish.TaskState, error) {
	return publish.TaskPending, nil
}
func (q *queue) Lost(context.Context) (bool, error) { return false, nil }
func (q *queue) Refilled(context.Context) error     { return nil }

func (q *queue) len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.tasks)
}

// logLines collects what is logged.
type logLines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logLines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logLines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// with returns the lines that have one of these messages.
func (l *logLines) with(messages ...string) []string {
	var found []string
	for line := range strings.Lines(l.String()) {
		if slices.ContainsFunc(messages, func(m string) bool { return strings.Contains(line, `"message":"`+m+`"`) }) {
			found = append(found, line)
		}
	}
	return found
}

// call is one request; its zero value is a GET by our app.
type call struct {
	method, path string
	as           *tenant // nil: ours
	noKey        bool
	json         any // a string is sent as it is
	body         io.Reader
	contentType  string
	headers      map[string]string
	from         string // the caller's address; empty is one that is always the same
}

func (w *world) request(c call) *http.Request {
	w.t.Helper()
	body := c.body
	if c.json != nil {
		text, ok := c.json.(string)
		if !ok {
			encoded, err := json.Marshal(c.json)
			w.must(err)
			text = string(encoded)
		}
		body = strings.NewReader(text)
		if c.contentType == "" {
			c.contentType = "application/json"
		}
	}
	r := httptest.NewRequestWithContext(w.t.Context(), c.method, c.path, body)
	if c.contentType != "" {
		r.Header.Set("Content-Type", c.contentType)
	}
	if !c.noKey {
		who := c.as
		if who == nil {
			who = &w.ours
		}
		r.Header.Set("Authorization", "Bearer "+who.key)
	}
	for name, value := range c.headers {
		r.Header.Set(name, value)
	}
	if c.from != "" {
		r.RemoteAddr = c.from
	}
	return r
}

func (w *world) do(c call) *reply {
	w.t.Helper()
	rec := httptest.NewRecorder()
	w.api.ServeHTTP(rec, w.request(c))
	return &reply{t: w.t, status: rec.Code, header: rec.Header(), body: rec.Body.Bytes()}
}

type reply struct {
	t      testing.TB
	status int
	header http.Header
	body   []byte
}

func (r *reply) want(status int) *reply {
	r.t.Helper()
	if r.status != status {
		r.t.Fatalf("status = %d, want %d: %s", r.status, status, r.body)
	}
	return r
}

func (r *reply) object() map[string]any {
	r.t.Helper()
	var v map[string]any
	if err := json.Unmarshal(r.body, &v); err != nil {
		r.t.Fatalf("%v in %q", err, r.body)
	}
	return v
}

func (r *reply) text(name string) string {
	r.t.Helper()
	s, ok := r.object()[name].(string)
	if !ok {
		r.t.Fatalf("no text %q in %s", name, r.body)
	}
	return s
}

// wantProblem checks status, code and, where one is given, that a field is
// named; and that the form of all errors is kept.
func (r *reply) wantProblem(status int, code, field string) {
	r.t.Helper()
	r.want(status)
	if got := r.header.Get("Content-Type"); got != "application/problem+json" {
		r.t.Errorf("Content-Type = %q", got)
	}
	var p struct {
		Type, Title, Code, Detail string
		Status                    int
		Errors                    []models.FieldError
		CorrelationID             string `json:"correlation_id"`
	}
	if !bytes.HasSuffix(r.body, []byte("}\n")) {
		r.t.Errorf("the answer does not end with a newline: %q", r.body)
	}
	if err := json.Unmarshal(r.body, &p); err != nil {
		r.t.Fatal(err)
	}
	if p.Code != code || p.Status != status || p.Type == "" || p.Title == "" || p.Detail == "" || p.Errors == nil ||
		p.CorrelationID == "" || p.CorrelationID != r.header.Get("X-Request-ID") {
		r.t.Errorf("want code %s in a full problem, got %s", code, r.body)
	}
	if field != "" && !slices.ContainsFunc(p.Errors, func(e models.FieldError) bool { return e.Field == field && e.Message != "" }) {
		r.t.Errorf("want field %q named, got %s", field, r.body)
	}
}

// stored is everything that a request may leave behind.
type stored struct {
	posts, unusedMedia, files, tasks int
	accounts                         string // each with its status
	connects                         int64  // entries in Redis
}

func (w *world) stored() stored {
	w.t.Helper()
	var s stored
	for _, who := range []tenant{w.ours, w.theirs} {
		posts, err := w.db.Posts.List(w.t.Context(), db.PostFilter{AppID: who.appID, Limit: 10_000})
		w.must(err)
		s.posts += len(posts)
		accounts, err := w.db.Accounts.List(w.t.Context(), db.AccountFilter{AppID: who.appID, Limit: 10_000})
		w.must(err)
		for _, a := range accounts {
			status, reason := a.OAuth.Status, a.OAuth.StatusReason
			if a.Instagram != nil {
				status, reason = a.Instagram.Status, a.Instagram.StatusReason
			}
			s.accounts += fmt.Sprintf("%s %d %s %q; ", a.Platform, a.ID(), status, reason)
		}
	}
	if w.redis != nil {
		n, err := w.redis.DBSize(w.t.Context()).Result()
		w.must(err)
		s.connects = n
	}
	unused, err := w.db.Media.Unused(w.t.Context(), epoch.AddDate(10, 0, 0), 10_000)
	w.must(err)
	files, err := os.ReadDir(w.dir)
	w.must(err)
	s.unusedMedia, s.files, s.tasks = len(unused), len(files), w.queue.len()
	return s
}

func (w *world) wantUnchanged(before stored) {
	w.t.Helper()
	if after := w.stored(); after != before {
		w.t.Errorf("stored %+v, want %+v", after, before)
	}
}

func fixture(t testing.TB, name string) []byte {
	t.Helper()
	folder := filepath.Join("..", "media", "testdata")
	if strings.HasPrefix(name, "upright") {
		folder = "testdata"
	}
	raw, err := os.ReadFile(filepath.Join(folder, name))
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// upload stores a fixture and returns its media id.
func (w *world) upload(name string) string {
	w.t.Helper()
	return w.do(call{method: "POST", path: "/api/media", body: bytes.NewReader(fixture(w.t, name))}).want(201).text("id")
}

// tiktok is a good body of POST /api/tiktok/upload, changed by change.
func (w *world) tiktok(mediaID string, change map[string]any) map[string]any {
	body := map[string]any{"account_id": w.ours.tiktok, "title": "Hello", "privacy_level": "PUBLIC_TO_EVERYONE", "media_id": mediaID}
	for name, value := range change {
		if value == nil {
			delete(body, name)
		} else {
			body[name] = value
		}
	}
	return body
}

func (w *world) post(mediaID string, change map[string]any) *reply {
	w.t.Helper()
	return w.do(call{method: "POST", path: "/api/tiktok/upload", json: w.tiktok(mediaID, change)})
}

// field is one part of a form. One with a file name is a file.
type field struct {
	name, fileName string
	value          []byte
}

func formBody(t testing.TB, parts ...field) (contentType string, body []byte) {
	t.Helper()
	var b bytes.Buffer
	form := multipart.NewWriter(&b)
	for _, p := range parts {
		var part io.Writer
		var err error
		if p.fileName != "" {
			part, err = form.CreateFormFile(p.name, p.fileName)
		} else {
			part, err = form.CreateFormField(p.name)
		}
		if err != nil {
			t.Fatal(err)
		}
		if _, err := part.Write(p.value); err != nil {
			t.Fatal(err)
		}
	}
	if err := form.Close(); err != nil {
		t.Fatal(err)
	}
	return form.FormDataContentType(), b.Bytes()
}

func (w *world) formFields(change map[string]string) []field {
	values := map[string]string{"account_id": fmt.Sprint(w.ours.tiktok), "title": "Hello", "privacy_level": "SELF_ONLY", "disable_duet": "true"}
	for name, value := range change {
		values[name] = value
	}
	var fields []field
	for name, value := range values {
		fields = append(fields, field{name: name, value: []byte(value)})
	}
	return fields
}
