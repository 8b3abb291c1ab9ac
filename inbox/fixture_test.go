package inbox_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	logtest "github.com/sirupsen/logrus/hooks/test"

	"socialqueue/db"
	"socialqueue/db/dbtest"
	"socialqueue/highwater"
	"socialqueue/inbox"
	instagramwebhooks "socialqueue/inbox/instagram"
	tiktokwebhooks "socialqueue/inbox/tiktok"
	"socialqueue/media"
	"socialqueue/models"
	"socialqueue/oauth"
	"socialqueue/publish"
	instagramposts "socialqueue/publish/instagram"
	tiktokposts "socialqueue/publish/tiktok"
	"socialqueue/sandbox"
	"socialqueue/sandbox/sample"
	"socialqueue/secrets"
	"socialqueue/test/testkit"
)

const (
	tiktokSecret = "sim-client-secret"
	metaSecret   = "sim-app-secret"
	igID         = "17841400000000001"
	openID       = "-000tt"
)

// fixture is the inbox with all that it works on, and the platforms behind it. It is
// driven by hand.
type fixture struct {
	*inbox.Service
	t        *testing.T
	ctx      context.Context
	db       *db.DB
	sim      *testkit.Sandbox
	clock    *testkit.Clock
	logs     *logtest.Hook
	queue    *testkit.Queue
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
	wire       *testkit.Wire
}

func each(t *testing.T, test func(t *testing.T, w *fixture)) {
	t.Helper()
	dbtest.Each(t, func(t *testing.T, d *db.DB) { test(t, newFixture(t, d)) })
}

func newFixture(t *testing.T, d *db.DB) *fixture {
	t.Helper()
	w := &fixture{
		t: t, ctx: t.Context(), db: d, clock: testkit.NewClock(), queue: &testkit.Queue{}, wire: testkit.NewWire(http.DefaultTransport),
	}
	w.sim = testkit.NewSandbox(t, sandbox.Options{
		Now: w.clock.Now, Limits: &sandbox.Limits{}, TikTokClientSecret: tiktokSecret, FacebookAppSecret: metaSecret, DiscardBytes: true,
	})
	w.build()
	w.connect()
	return w
}

func (w *fixture) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *fixture) build() {
	keys, store := testkit.Keyring(w.t, testkit.Key), testkit.OpenStore(w.t)
	links, err := media.NewSigner(keys, testkit.ServeFiles(w.t, store))
	w.must(err)
	client := &http.Client{Transport: w.wire, Timeout: 5 * time.Second}
	tt, ig := w.sim.TikTok(client, w.clock.Now), w.sim.Instagram(client, w.clock.Now)
	log, hook := logtest.NewNullLogger()
	w.logs = hook
	log.SetLevel(logrus.DebugLevel)
	tokens := oauth.New(oauth.Deps{
		DB: w.db, Keys: keys, Log: log, Now: w.clock.Now,
		Connectors: w.sim.Connectors(tt, ig, w.clock.Now),
	})
	w.posts, err = publish.New(publish.Deps{
		Marks: highwater.NewFile(w.t.TempDir()), DB: w.db, Queue: w.queue, Tokens: tokens, Keys: keys, Store: store, Links: links, Fetcher: media.NewFetcher(media.FetchOptions{AllowPrivate: true}),
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

// inbox creates a service with its current sources.
func (w *fixture) inbox() *inbox.Service {
	deps := w.deps
	deps.Sources = []inbox.Source{tiktokwebhooks.New(w.fromTikTok), instagramwebhooks.New(w.fromMeta)}
	return inbox.New(deps)
}

func (w *fixture) connect() {
	now := w.clock.Now()
	tenant := testkit.NewTenant(w.t, w.db, "shop", now)
	w.app, w.user = tenant.App, tenant.User
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

func (w *fixture) importAccount(p models.Platform, external, token string) int64 {
	w.t.Helper()
	return testkit.Connect(w.t, w.accounts, w.user, oauth.Import{
		Platform: p, ProviderAccountID: external, Username: "sim" + string(p), Access: secrets.Secret(token),
	})
}

func (w *fixture) upload(file []byte) string {
	w.t.Helper()
	m, err := w.posts.StoreFile(w.ctx, w.app.ID, bytes.NewReader(file), nil)
	w.must(err)
	return m.ID
}

// acceptVideo accepts a TikTok video.
func (w *fixture) acceptVideo(title, privacy string, at *time.Time) *models.Post {
	w.t.Helper()
	return w.accept(publish.Request{
		AccountID: w.tiktok, PublishAt: at, Options: &tiktokposts.Options{Title: title, PrivacyLevel: privacy},
	})
}

func (w *fixture) accept(r publish.Request) *models.Post {
	w.t.Helper()
	r.AppID, r.Platform, r.Kind, r.Files = w.app.ID, models.TikTok, models.Video, []publish.File{{MediaID: w.video}}
	p, err := w.posts.Accept(w.ctx, r)
	w.must(err)
	return p
}

func (w *fixture) acceptImage(caption string) *models.Post {
	w.t.Helper()
	p, err := w.posts.Accept(w.ctx, publish.Request{
		AppID: w.app.ID, Platform: models.Instagram, Kind: models.Image, AccountID: w.insta, Files: []publish.File{{MediaID: w.picture}},
		Options: &instagramposts.Options{Caption: caption},
	})
	w.must(err)
	return p
}

func (w *fixture) post(id string) *models.Post {
	w.t.Helper()
	p, err := w.db.Posts.ByID(w.ctx, id)
	w.must(err)
	return p
}

// runPost runs the post's task that is due first, at its time. It reports false if
// there is none.
func (w *fixture) runPost() bool {
	w.t.Helper()
	t, ok := w.queue.Posts.Take()
	if !ok {
		return false
	}
	w.clock.Reach(t.At)
	w.must(w.posts.RunStep(w.ctx, t, nil))
	return true
}

// runEvents processes every event that has a task.
func (w *fixture) runEvents() {
	w.t.Helper()
	for {
		e, ok := w.queue.Events.Take()
		if !ok {
			return
		}
		w.must(w.Process(w.ctx, e.ID))
	}
}

func (w *fixture) tick() {
	w.t.Helper()
	w.must(w.posts.AdmitDue(w.ctx))
	w.must(w.posts.MissLate(w.ctx))
	w.must(w.posts.Sweep(w.ctx))
	w.must(w.Sweep(w.ctx))
}

// until runs posts until one is as wanted.
func (w *fixture) until(id, what string, reached func(*models.Post) bool) *models.Post {
	w.t.Helper()
	for range 300 {
		if p := w.post(id); reached(p) {
			return p
		}
		if !w.runPost() {
			w.clock.Advance(5 * time.Second)
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
func (w *fixture) sendTikTok(body string) {
	w.t.Helper()
	at := w.clock.Now().Unix()
	w.must(w.receiveTikTok(w.Service, fmt.Sprintf("t=%d,s=%s", at, hmacHex(tiktokSecret, fmt.Sprintf("%d.%s", at, body))), body))
}

func (w *fixture) receiveTikTok(s *inbox.Service, signature, body string) error {
	return s.Receive(w.ctx, models.TikTok, http.Header{"Tiktok-Signature": {signature}}, []byte(body))
}

// sendMeta receives a webhook of Meta's.
func (w *fixture) sendMeta(body string) {
	w.t.Helper()
	w.must(w.receiveMeta(body))
}

func (w *fixture) receiveMeta(body string) error {
	return w.Receive(w.ctx, models.Instagram, http.Header{"X-Hub-Signature-256": {"sha256=" + hmacHex(metaSecret, body)}}, []byte(body))
}

// tiktokEvent returns an event of TikTok about an upload.
func tiktokEvent(event, publishID, postID string, at time.Time) string {
	content := map[string]string{"publish_id": publishID, "publish_type": "DIRECT_PUBLISH"}
	if postID != "" {
		content["post_id"] = postID
	}
	inner, _ := json.Marshal(content)
	body, _ := json.Marshal(map[string]any{"client_key": "k", "event": event, "create_time": at.Unix(), "user_openid": openID, "content": string(inner)})
	return string(body)
}

// events lists the stored events, oldest first.
func (w *fixture) events() []models.WebhookEvent {
	w.t.Helper()
	all, err := w.db.Inbox.List(w.ctx, db.WebhookFilter{Limit: 10_000})
	w.must(err)
	slices.Reverse(all)
	return all
}

// wantEvents compares the states of the stored events.
func (w *fixture) wantEvents(want ...models.WebhookStatus) {
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
func (w *fixture) commentsReported() []models.WebhookDelivery {
	w.t.Helper()
	all, err := w.db.Outbox.Deliveries(w.ctx, db.DeliveryFilter{EndpointID: w.endpoint.ID, Limit: 10_000})
	w.must(err)
	return slices.DeleteFunc(all, func(d models.WebhookDelivery) bool { return d.EventType != models.EventCommentReceived })
}
