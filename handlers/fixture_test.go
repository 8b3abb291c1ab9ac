package handlers_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"socialqueue/db"
	"socialqueue/db/dbtest"
	"socialqueue/egress"
	"socialqueue/handlers"
	"socialqueue/highwater"
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
	"socialqueue/observe"
	"socialqueue/publish"
	instagramposts "socialqueue/publish/instagram"
	tiktokposts "socialqueue/publish/tiktok"
	"socialqueue/sandbox"
	"socialqueue/secrets"
	"socialqueue/tenants"
	"socialqueue/test/testkit"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	maxFile   = 256 << 10
	publicURL = "http://localhost:3000"
	// The keys of the platforms' signatures.
	tiktokSecret   = "sim_client_secret"
	facebookSecret = "sim_app_secret"
	// The verify token of Meta's handshake.
	verifyToken = "sim_verify_token"
)

// fixture is the API on real stores, with two apps that must be isolated.
type fixture struct {
	t     testing.TB
	db    *db.DB
	dir   string // where files are stored
	store *media.Store
	links *media.Signer
	queue *queue
	posts *publish.Service
	// accounts has no platforms, unless addPlatforms added both.
	accounts *oauth.Service
	log      *testkit.Logs
	deps     handlers.Deps
	oauth    oauth.Deps
	inbox    inbox.Deps
	// fromTikTok and fromMeta are the dependencies of the webhook sources; sources are those
	// of other platforms.
	fromTikTok tiktokwebhooks.Deps
	fromMeta   instagramwebhooks.Deps
	sources    []inbox.Source
	api        *echo.Echo
	clock      *testkit.Clock

	ours, theirs tenant

	// Set by addPlatforms.
	sim     *testkit.Sandbox
	redis   redis.UniversalClient
	browser *http.Client
}

type tenant struct {
	key, prefix       string
	appID, userID     int64
	tiktok, instagram int64
}

func each(t *testing.T, test func(t *testing.T, w *fixture)) {
	t.Helper()
	dbtest.Each(t, func(t *testing.T, d *db.DB) { test(t, newFixture(t, d)) })
}

// eachWithPlatforms runs test on both databases, with both platforms.
func eachWithPlatforms(t *testing.T, test func(t *testing.T, w *fixture)) {
	t.Helper()
	each(t, func(t *testing.T, w *fixture) {
		w.addPlatforms()
		test(t, w)
	})
}

func newFixture(t testing.TB, d *db.DB) *fixture {
	t.Helper()
	w := &fixture{t: t, db: d, dir: t.TempDir(), queue: &queue{}, log: &testkit.Logs{}, clock: testkit.NewClock()}
	ring := testkit.Keyring(t, testkit.Key)
	var err error
	w.store, err = media.OpenStore(t.Context(), "file://"+w.dir, maxFile)
	w.must(err)
	t.Cleanup(func() { w.store.Close() })
	w.links, err = media.NewSigner(ring, publicURL)
	w.must(err)
	log := observe.NewLogger("api", "debug", "json", w.log)
	w.posts, err = publish.New(publish.Deps{
		Publishers: []publish.Publisher{tiktokposts.New(nil), instagramposts.New(nil)},
		Marks:      highwater.NewFile(w.t.TempDir()), DB: d, Queue: w.queue, Keys: ring, Store: w.store, Links: w.links, Fetcher: media.NewFetcher(media.FetchOptions{}),
		Log: log, Now: w.clock.Now, Timings: publish.DefaultTimings(), Owner: "test",
	})
	w.must(err)
	w.oauth = oauth.Deps{
		DB: d, Keys: ring, PublicURL: publicURL, Log: log, Now: w.clock.Now,
		Connectors: []oauth.Connector{verifying{oauth.Unconfigured(models.Instagram, "settings"), instagramlogin.New(nil, facebookSecret, w.clock.Now)}},
	}
	w.fromTikTok = tiktokwebhooks.Deps{DB: d, Posts: w.posts, Secret: tiktokSecret, Tolerance: 5 * time.Minute, Now: w.clock.Now}
	w.fromMeta = instagramwebhooks.Deps{DB: d, Secret: facebookSecret, VerifyToken: verifyToken, Now: w.clock.Now}
	w.inbox = inbox.Deps{DB: d, Queue: w.queue, Log: log, Now: w.clock.Now}
	w.deps = handlers.Deps{
		Notify:  notify.New(notify.Deps{DB: d, Keys: ring, Guard: egress.New(false), Log: log, Now: w.clock.Now}),
		Tenants: tenants.New(tenants.Deps{DB: d, Log: log, Now: w.clock.Now}),
		Posts:   w.posts, Store: w.store, Links: w.links, Log: log, Now: w.clock.Now, MediaMaxBytes: maxFile,
		Platforms: models.PlatformTitles{{Name: models.TikTok, Title: "TikTok"}, {Name: models.Instagram, Title: "Instagram"}},
		Health:    map[string]handlers.Check{"database": d.Ping},
		Ready:     map[string]handlers.Check{"database": d.Ping},
	}
	w.build()
	w.ours, w.theirs = w.tenant("ours"), w.tenant("theirs")
	return w
}

// build creates the API from w.deps and w.oauth.
func (w *fixture) build() {
	w.accounts = oauth.New(w.oauth)
	w.deps.Accounts = w.accounts
	w.fromTikTok.Accounts = w.accounts
	w.inbox.Sources = append([]inbox.Source{tiktokwebhooks.New(w.fromTikTok), instagramwebhooks.New(w.fromMeta)}, w.sources...)
	w.deps.Inbox = inbox.New(w.inbox)
	w.queue.process = w.deps.Inbox.Process
	w.api = handlers.New(w.deps)
}

// addPlatforms adds both platforms with their consent pages, and a Redis for pending
// connects.
func (w *fixture) addPlatforms() {
	w.t.Helper()
	w.sim = testkit.NewSandbox(w.t, sandbox.Options{
		Now: w.clock.Now, Limits: &sandbox.Limits{}, TikTokClientSecret: tiktokSecret, FacebookAppSecret: facebookSecret,
	})
	w.browser = testkit.NewBrowser(w.t)
	w.redis = jobs.NewRedis(redistest.Settings(w.t))
	w.t.Cleanup(func() { w.must(w.redis.Close()) })
	w.oauth.Redis = w.redis
	w.callPlatforms(w.browser.Transport)
}

// callPlatforms builds the API with clients that use this transport.
func (w *fixture) callPlatforms(way http.RoundTripper) {
	w.t.Helper()
	client := &http.Client{Transport: way}
	w.oauth.Connectors = w.sim.Connectors(w.sim.TikTok(client, w.clock.Now), w.sim.Instagram(client, w.clock.Now), w.clock.Now)
	w.build()
}

// verifying is a Connector that makes no calls and verifies the platform's requests.
type verifying struct {
	oauth.Connector
	oauth.Verifier
}

func (w *fixture) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *fixture) tenant(name string) tenant {
	w.t.Helper()
	n := testkit.NewTenant(w.t, w.db, name, testkit.Epoch)
	token := "token-of-" + secrets.Secret(name)
	return tenant{
		key: n.Key.Reveal(), prefix: n.Prefix, appID: n.App.ID, userID: n.User.ID,
		tiktok:    n.Connect(w.t, w.accounts, oauth.Import{Platform: models.TikTok, ProviderAccountID: name, Access: token}),
		instagram: n.Connect(w.t, w.accounts, oauth.Import{Platform: models.Instagram, ProviderAccountID: "ig-" + name, Access: token}),
	}
}

// queue stores the tasks of posts. A platform's event is processed at once.
type queue struct {
	testkit.Queue
	process func(ctx context.Context, eventID int64) error
}

func (q *queue) EnqueueWebhook(ctx context.Context, e *models.WebhookEvent) error {
	return q.process(ctx, e.ID)
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

func (w *fixture) client() *testkit.Client {
	return &testkit.Client{T: w.t, Handler: w.api, Key: secrets.Secret(w.ours.key)}
}

func (c call) forClient() testkit.Call {
	out := testkit.Call{
		Method: c.method, Path: c.path, JSON: c.json, Body: c.body, ContentType: c.contentType, Headers: c.headers, NoKey: c.noKey, From: c.from,
	}
	if c.as != nil {
		out.Key = secrets.Secret(c.as.key)
	}
	return out
}

func (w *fixture) request(c call) *http.Request {
	w.t.Helper()
	r, err := w.client().Request(c.forClient())
	w.must(err)
	return r
}

func (w *fixture) do(c call) *reply {
	w.t.Helper()
	return &reply{w.client().Do(c.forClient())}
}

// reply is an answer of the API, with checks of pages and webhooks in addition to those of
// testkit.
type reply struct{ *testkit.Reply }

func (r *reply) want(status int) *reply {
	r.T.Helper()
	r.Want(status)
	return r
}

// stored counts everything that a request may store.
type stored struct {
	posts, unusedMedia, files, tasks int
	accounts                         string // each with its status
	connects                         int64  // entries in Redis
}

func (w *fixture) stored() stored {
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
	unused, err := w.db.Media.Unused(w.t.Context(), testkit.Epoch.AddDate(10, 0, 0), 10_000)
	w.must(err)
	files, err := os.ReadDir(w.dir)
	w.must(err)
	s.unusedMedia, s.files, s.tasks = len(unused), len(files), w.queue.Posts.Len()
	return s
}

func (w *fixture) wantUnchanged(before stored) {
	w.t.Helper()
	if after := w.stored(); after != before {
		w.t.Errorf("stored %+v, want %+v", after, before)
	}
}

func testFile(t testing.TB, name string) []byte {
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

// upload stores a test file and returns its media id.
func (w *fixture) upload(name string) string {
	w.t.Helper()
	return w.do(call{method: "POST", path: "/api/media", body: bytes.NewReader(testFile(w.t, name))}).want(201).Text("id")
}

// tiktok returns a valid body of POST /api/tiktok/upload, changed by change.
func (w *fixture) tiktok(mediaID string, change map[string]any) map[string]any {
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

func (w *fixture) post(mediaID string, change map[string]any) *reply {
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

func (w *fixture) formFields(change map[string]string) []field {
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
