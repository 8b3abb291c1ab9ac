package inbox_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	logtest "github.com/sirupsen/logrus/hooks/test"

	"socialqueue/db"
	"socialqueue/db/dbtest"
	"socialqueue/inbox"
	instagramwebhooks "socialqueue/inbox/instagram"
	tiktokwebhooks "socialqueue/inbox/tiktok"
	"socialqueue/media"
	"socialqueue/models"
	"socialqueue/oauth"
	instagramlogin "socialqueue/oauth/instagram"
	tiktoklogin "socialqueue/oauth/tiktok"
	"socialqueue/platform/instagram"
	"socialqueue/platform/tiktok"
	"socialqueue/publish"
	instagramposts "socialqueue/publish/instagram"
	tiktokposts "socialqueue/publish/tiktok"
	"socialqueue/sandbox"
	"socialqueue/sandbox/sample"
	"socialqueue/secrets"
)

const (
	testKey      = "0123456789abcdef0123456789abcdef"
	tiktokSecret = "sim-client-secret"
	metaSecret   = "sim-app-secret"
	igID         = "17841400000000001"
	openID       = "-000tt"
)

// clock stands still unless a test moves it.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// queue keeps its tasks until the test runs them.
type queue struct {
	mu     sync.Mutex
	posts  []publish.Task
	events []models.WebhookEvent
	states map[string]publish.TaskState // of events' tasks; pending if it is not here
	broken bool
}

var errQueueDown = errors.New("redis is away")

func (q *queue) Enqueue(_ context.Context, t publish.Task) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !slices.ContainsFunc(q.posts, func(o publish.Task) bool { return o.PostID == t.PostID && o.Fence == t.Fence }) {
		q.posts = append(q.posts, t)
	}
	return nil
}

func (q *queue) State(_ context.Context, t publish.Task) (publish.TaskState, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if slices.ContainsFunc(q.posts, func(o publish.Task) bool { return o.PostID == t.PostID && o.Fence == t.Fence }) {
		return publish.TaskPending, nil
	}
	return publish.TaskMissing, nil
}

func (q *queue) Lost(context.Context) (bool, error) { return false, nil }
func (q *queue) Refilled(context.Context) error     { return nil }

func eventTask(e *models.WebhookEvent) string { return fmt.Sprintf("%d:%d", e.ID, e.Fence) }

func (q *queue) EnqueueWebhook(_ context.Context, e *models.WebhookEvent) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.broken {
		return errQueueDown
	}
	if q.states[eventTask(e)] == publish.TaskMissing {
		q.events = append(q.events, *e)
		q.states[eventTask(e)] = publish.TaskPending
	}
	return nil
}

func (q *queue) WebhookState(_ context.Context, e *models.WebhookEvent) (publish.TaskState, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.states[eventTask(e)], nil
}

// takePost takes the task that is due first.
func (q *queue) takePost() (publish.Task, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.posts) == 0 {
		return publish.Task{}, false
	}
	slices.SortStableFunc(q.posts, func(a, b publish.Task) int { return a.At.Compare(b.At) })
	t := q.posts[0]
	q.posts = q.posts[1:]
	return t, true
}

func (q *queue) takeEvent() (models.WebhookEvent, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.events) == 0 {
		return models.WebhookEvent{}, false
	}
	e := q.events[0]
	q.events = q.events[1:]
	delete(q.states, eventTask(&e))
	return e, true
}

// forget loses an event's task, as Redis may.
func (q *queue) forget() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.events = nil
	clear(q.states)
}

func (q *queue) setState(e *models.WebhookEvent, s publish.TaskState) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.events = nil
	q.states[eventTask(e)] = s
}

func (q *queue) len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.events)
}

// world is the inbox with all that it works on, and the platforms behind it. It is
// driven by hand.
type world struct {
	*inbox.Service
	t        *testing.T
	ctx      context.Context
	db       *db.DB
	sim      *sandbox.Server
	clock    *clock
	logs     *logtest.Hook
	queue    *queue
	posts    *publish.Service
	deps     inbox.Deps
	accounts *oauth.Service
	// fromTikTok and fromMeta are what the sources work with.
	fromTikTok tiktokwebhooks.Deps
	fromMeta   instagramwebhooks.Deps
	endpoint   *models.WebhookEndpoint
	app        models.App
	user       models.User
	tiktok     int64
	insta      int64
	video      string
	picture    string
	// onAnswer, if set, sees each answer of a platform before the system does.
	onAnswer func(path string, body []byte)
}

func each(t *testing.T, test func(t *testing.T, w *world)) {
	t.Helper()
	dbtest.Each(t, func(t *testing.T, d *db.DB) { test(t, newWorld(t, d)) })
}

func newWorld(t *testing.T, d *db.DB) *world {
	t.Helper()
	w := &world{
		t: t, ctx: t.Context(), db: d, clock: &clock{now: time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)},
		queue: &queue{states: map[string]publish.TaskState{}},
	}
	w.sim = sandbox.New(sandbox.Options{
		Now: w.clock.Now, Limits: &sandbox.Limits{}, TikTokClientSecret: tiktokSecret, FacebookAppSecret: metaSecret, DiscardBytes: true,
	})
	w.must(w.sim.Start("127.0.0.1:0"))
	t.Cleanup(func() { w.must(w.sim.Close()) })
	w.build()
	w.connect()
	return w
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// RoundTrip carries the calls to the platforms.
func (w *world) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil || w.onAnswer == nil {
		return resp, err
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	_ = resp.Body.Close()
	w.onAnswer(r.URL.Path, body)
	resp.Body = io.NopCloser(bytes.NewReader(body))
	return resp, nil
}

func (w *world) build() {
	keys, err := secrets.ParseKeyring(testKey)
	w.must(err)
	store, err := media.OpenStore(w.ctx, "mem://", 1<<30)
	w.must(err)
	w.t.Cleanup(func() { w.must(store.Close()) })
	links, err := media.NewSigner(keys, w.serveFiles(store))
	w.must(err)
	client, o := &http.Client{Transport: w, Timeout: 5 * time.Second}, w.sim.Options()
	tt, err := tiktok.New(tiktok.Config{APIURL: w.sim.TikTokURL(), ClientKey: o.TikTokClientKey, ClientSecret: tiktokSecret, HTTP: client, Now: w.clock.Now})
	w.must(err)
	ig, err := instagram.New(instagram.Config{
		GraphURL: w.sim.GraphURL(), UploadURL: w.sim.RuploadURL(), Version: "v25.0", AppID: o.FacebookAppID, AppSecret: metaSecret, HTTP: client, Now: w.clock.Now,
	})
	w.must(err)
	log, hook := logtest.NewNullLogger()
	w.logs = hook
	log.SetLevel(logrus.DebugLevel)
	tokens := oauth.New(oauth.Deps{
		DB: w.db, Keys: keys, Log: log, Now: w.clock.Now,
		Connectors: []oauth.Connector{tiktoklogin.New(tt, w.clock.Now), instagramlogin.New(ig, metaSecret, w.clock.Now)},
	})
	w.posts, err = publish.New(publish.Deps{
		DB: w.db, Queue: w.queue, Tokens: tokens, Keys: keys, Store: store, Links: links, Fetcher: media.NewFetcher(media.FetchOptions{AllowPrivate: true}),
		Publishers: []publish.Publisher{tiktokposts.New(tt), instagramposts.New(ig)},
		Log:        log, Now: w.clock.Now, Timings: publish.DefaultTimings(), Owner: "test",
	})
	w.must(err)
	w.accounts = tokens
	w.fromTikTok = tiktokwebhooks.Deps{
		DB: w.db, Posts: w.posts, Accounts: tokens, Secret: tiktokSecret, Tolerance: 5 * time.Minute, Now: w.clock.Now,
	}
	w.fromMeta = instagramwebhooks.Deps{DB: w.db, Secret: metaSecret, VerifyToken: "token", Now: w.clock.Now}
	w.deps = inbox.Deps{DB: w.db, Queue: w.queue, Log: log, Now: w.clock.Now}
	w.Service = w.inbox()
}

// inbox makes a service of its sources as they are set up now.
func (w *world) inbox() *inbox.Service {
	deps := w.deps
	deps.Sources = []inbox.Source{tiktokwebhooks.New(w.fromTikTok), instagramwebhooks.New(w.fromMeta)}
	return inbox.New(deps)
}

// serveFiles serves what is stored to Instagram.
func (w *world) serveFiles(store *media.Store) string {
	files := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		body, err := store.NewRangeReader(r.Context(), strings.Split(r.URL.Path, "/")[2], 0, -1) // /media/{id}/{signature}
		if err != nil {
			http.NotFound(rw, r)
			return
		}
		defer body.Close()
		rw.Header().Set("Content-Type", "image/jpeg")
		_, _ = io.Copy(rw, body)
	}))
	w.t.Cleanup(files.Close)
	return files.URL
}

func (w *world) connect() {
	now := w.clock.Now()
	w.app = models.App{Name: "shop", CreatedAt: now}
	w.must(w.db.Tenants.CreateApp(w.ctx, &w.app, &models.APIKey{Prefix: models.NewID()[24:], Hash: []byte("x"), CreatedAt: now}))
	w.user = models.User{AppID: w.app.ID, ExternalID: "u", CreatedAt: now, UpdatedAt: now}
	_, err := w.db.Tenants.EnsureUser(w.ctx, &w.user)
	w.must(err)
	tt := w.sim.AddTikTokAccount(sandbox.TikTokAccount{OpenID: openID, Username: "simcafe", PostsCap: -1, ExpiresAt: now.Add(365 * 24 * time.Hour)})
	ig := w.sim.AddInstagramAccount(sandbox.InstagramAccount{IGID: igID, Username: "simbakery", QuotaTotal: 10_000})
	w.tiktok = w.importAccount(models.TikTok, tt.OpenID, tt.AccessToken)
	w.insta = w.importAccount(models.Instagram, ig.IGID, ig.PageToken)
	w.video, w.picture = w.upload(sample.Video), w.upload(sample.Picture)
	w.endpoint = &models.WebhookEndpoint{
		ID: models.NewID(), AppID: w.app.ID, URL: "https://app.example.com", Secret: "sealed", Status: models.EndpointEnabled, CreatedAt: now, UpdatedAt: now,
	}
	w.must(w.db.Outbox.CreateEndpoint(w.ctx, w.endpoint, 1, nil))
}

func (w *world) importAccount(p models.Platform, external, token string) int64 {
	w.t.Helper()
	id, err := w.accounts.Import(w.ctx, oauth.Import{
		AppID: w.app.ID, UserID: w.user.ID, Platform: p, ProviderAccountID: external, Username: "sim" + string(p), Access: secrets.Secret(token),
	})
	w.must(err)
	return id
}

func (w *world) upload(file []byte) string {
	w.t.Helper()
	m, err := w.posts.StoreFile(w.ctx, w.app.ID, bytes.NewReader(file), nil)
	w.must(err)
	return m.ID
}

// acceptVideo accepts a TikTok video.
func (w *world) acceptVideo(title, privacy string, at *time.Time) *models.Post {
	w.t.Helper()
	return w.accept(publish.Request{
		AccountID: w.tiktok, PublishAt: at, Options: &tiktokposts.Options{Title: title, PrivacyLevel: privacy},
	})
}

func (w *world) accept(r publish.Request) *models.Post {
	w.t.Helper()
	r.AppID, r.Platform, r.Kind, r.Files = w.app.ID, models.TikTok, models.Video, []publish.File{{MediaID: w.video}}
	p, err := w.posts.Accept(w.ctx, r)
	w.must(err)
	return p
}

func (w *world) acceptImage(caption string) *models.Post {
	w.t.Helper()
	p, err := w.posts.Accept(w.ctx, publish.Request{
		AppID: w.app.ID, Platform: models.Instagram, Kind: models.Image, AccountID: w.insta, Files: []publish.File{{MediaID: w.picture}},
		Options: &instagramposts.Options{Caption: caption},
	})
	w.must(err)
	return p
}

func (w *world) post(id string) *models.Post {
	w.t.Helper()
	p, err := w.db.Posts.ByID(w.ctx, id)
	w.must(err)
	return p
}

// runPost runs the post's task that is due first, at its time. It reports false if
// there is none.
func (w *world) runPost() bool {
	w.t.Helper()
	t, ok := w.queue.takePost()
	if !ok {
		return false
	}
	if ahead := t.At.Sub(w.clock.Now()); ahead > 0 {
		w.clock.advance(ahead)
	}
	w.must(w.posts.RunStep(w.ctx, t, nil))
	return true
}

// runEvents processes every event that has a task.
func (w *world) runEvents() {
	w.t.Helper()
	for {
		e, ok := w.queue.takeEvent()
		if !ok {
			return
		}
		w.must(w.Process(w.ctx, e.ID))
	}
}

func (w *world) tick() {
	w.t.Helper()
	w.must(w.posts.AdmitDue(w.ctx))
	w.must(w.posts.MissLate(w.ctx))
	w.must(w.posts.Sweep(w.ctx))
	w.must(w.Sweep(w.ctx))
}

// until runs posts until one is as wanted.
func (w *world) until(id, what string, reached func(*models.Post) bool) *models.Post {
	w.t.Helper()
	for range 300 {
		if p := w.post(id); reached(p) {
			return p
		}
		if !w.runPost() {
			w.clock.advance(5 * time.Second)
			w.tick()
		}
	}
	w.t.Fatalf("the post never was %s: %+v", what, w.post(id))
	return nil
}

func is(s models.Status) func(*models.Post) bool {
	return func(p *models.Post) bool { return p.Status == s }
}

func hmacHex(secret, message string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(message))
	return hex.EncodeToString(mac.Sum(nil))
}

// sendTikTok receives a webhook of TikTok's, signed now.
func (w *world) sendTikTok(body string) {
	w.t.Helper()
	at := w.clock.Now().Unix()
	w.must(w.receiveTikTok(w.Service, fmt.Sprintf("t=%d,s=%s", at, hmacHex(tiktokSecret, fmt.Sprintf("%d.%s", at, body))), body))
}

func (w *world) receiveTikTok(s *inbox.Service, signature, body string) error {
	return s.Receive(w.ctx, models.TikTok, http.Header{"Tiktok-Signature": {signature}}, []byte(body))
}

// sendMeta receives a webhook of Meta's.
func (w *world) sendMeta(body string) {
	w.t.Helper()
	w.must(w.receiveMeta(body))
}

func (w *world) receiveMeta(body string) error {
	return w.Receive(w.ctx, models.Instagram, http.Header{"X-Hub-Signature-256": {"sha256=" + hmacHex(metaSecret, body)}}, []byte(body))
}

// tiktokEvent makes an event of TikTok's about an upload.
func tiktokEvent(event, publishID, postID string, at time.Time) string {
	content := map[string]string{"publish_id": publishID, "publish_type": "DIRECT_PUBLISH"}
	if postID != "" {
		content["post_id"] = postID
	}
	inner, _ := json.Marshal(content)
	body, _ := json.Marshal(map[string]any{"client_key": "k", "event": event, "create_time": at.Unix(), "user_openid": openID, "content": string(inner)})
	return string(body)
}

// events lists what is stored, the oldest first.
func (w *world) events() []models.WebhookEvent {
	w.t.Helper()
	all, err := w.db.Inbox.List(w.ctx, db.WebhookFilter{Limit: 10_000})
	w.must(err)
	slices.Reverse(all)
	return all
}

// wantEvents compares the states of what is stored.
func (w *world) wantEvents(want ...models.WebhookStatus) {
	w.t.Helper()
	var got []models.WebhookStatus
	for _, e := range w.events() {
		got = append(got, e.Status)
	}
	if !slices.Equal(got, want) {
		w.t.Errorf("events are %v, want %v: %+v", got, want, w.events())
	}
}

// commentsReported lists the events about comments that the app gets.
func (w *world) commentsReported() []models.WebhookDelivery {
	w.t.Helper()
	all, err := w.db.Outbox.Deliveries(w.ctx, db.DeliveryFilter{EndpointID: w.endpoint.ID, Limit: 10_000})
	w.must(err)
	return slices.DeleteFunc(all, func(d models.WebhookDelivery) bool { return d.EventType != models.EventCommentReceived })
}
