package publish_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sort"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	logtest "github.com/sirupsen/logrus/hooks/test"

	"socialqueue/db"
	"socialqueue/db/dbtest"
	"socialqueue/media"
	"socialqueue/models"
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
	"socialqueue/sandbox/sample"
	"socialqueue/secrets"
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

// queue is a queue that keeps its tasks until the test runs them.
type queue struct {
	mu     sync.Mutex
	tasks  map[string]publish.Task
	states map[string]publish.TaskState
	lost   bool
	broken bool
	silent bool // takes a call and never answers it
}

var errQueueDown = errors.New("redis is away")

func id(t publish.Task) string { return fmt.Sprintf("%s:%d", t.PostID, t.Fence) }

func (q *queue) Enqueue(ctx context.Context, t publish.Task) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.silent {
		<-ctx.Done()
		return ctx.Err()
	}
	if q.broken {
		return errQueueDown
	}
	if _, taken := q.tasks[id(t)]; !taken {
		q.tasks[id(t)] = t
		q.states[id(t)] = publish.TaskPending
	}
	return nil
}

func (q *queue) State(_ context.Context, t publish.Task) (publish.TaskState, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.states[id(t)], nil
}

func (q *queue) Lost(context.Context) (bool, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.lost, nil
}

func (q *queue) Refilled(context.Context) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.lost = false
	return nil
}

// flush loses everything, as FLUSHALL does.
func (q *queue) flush() {
	q.mu.Lock()
	defer q.mu.Unlock()
	clear(q.tasks)
	clear(q.states)
	q.lost = true
}

// take removes and returns the task that is due first.
func (q *queue) take() (publish.Task, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	var pending []publish.Task
	for key, t := range q.tasks {
		if q.states[key] == publish.TaskPending {
			pending = append(pending, t)
		}
	}
	if len(pending) == 0 {
		return publish.Task{}, false
	}
	sort.Slice(pending, func(i, j int) bool { return pending[i].At.Before(pending[j].At) })
	delete(q.tasks, id(pending[0]))
	delete(q.states, id(pending[0]))
	return pending[0], true
}

func (q *queue) setState(t publish.Task, s publish.TaskState) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.tasks[id(t)], q.states[id(t)] = t, s
}

func (q *queue) len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.tasks)
}

// cutter is a transport that can end the world around a request: a panic there
// is a process that dies there.
type cutter struct {
	mu sync.Mutex
	// at counts down to the request that is cut; negative never cuts.
	at     int
	after  bool
	calls  int
	onCall func(*http.Request)
	// intercept may answer a request in the platform's stead, or lose it; with
	// neither answer nor error the request goes on.
	intercept func(*http.Request) (*http.Response, error)
}

type powerCut struct{}

func (c *cutter) RoundTrip(r *http.Request) (*http.Response, error) {
	if strings.HasPrefix(r.URL.Path, "/media/") {
		return http.DefaultTransport.RoundTrip(r)
	}
	c.mu.Lock()
	cut := c.at == 0
	c.at--
	c.calls++
	after, onCall, intercept := c.after, c.onCall, c.intercept
	c.mu.Unlock()
	if onCall != nil {
		onCall(r)
	}
	if cut && !after {
		panic(powerCut{})
	}
	if intercept != nil {
		if resp, err := intercept(r); resp != nil || err != nil {
			return resp, err
		}
	}
	resp, err := http.DefaultTransport.RoundTrip(r)
	if cut {
		if err == nil {
			_ = resp.Body.Close()
		}
		panic(powerCut{})
	}
	return resp, err
}

func (c *cutter) interceptWith(f func(*http.Request) (*http.Response, error)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.intercept = f
}

// world is the system under test with the platforms around it, driven by hand.
type world struct {
	*publish.Service
	t       *testing.T
	ctx     context.Context
	db      *db.DB
	sim     *sandbox.Server
	clock   *clock
	queue   *queue
	wire    *cutter
	graph   *instagram.Client
	tokens  *oauth.Service
	store   *media.Store
	logs    *logtest.Hook
	app     models.App
	user    models.User
	tiktok  int64
	insta   int64
	ttSim   sandbox.TikTokAccount
	igSim   sandbox.InstagramAccount
	video   string
	picture string
	drain   chan struct{}
	// attempts are what the metrics were told of each run.
	attempts []observe.Attempt
	// onNow, if set, is called whenever the service asks for the time: a place to
	// end the world between two calls.
	onNow func()
}

const testKey = "0123456789abcdef0123456789abcdef"

func newWorld(t *testing.T, d *db.DB) *world {
	t.Helper()
	w := &world{
		t: t, ctx: t.Context(), db: d, clock: &clock{now: time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)},
		queue: &queue{tasks: map[string]publish.Task{}, states: map[string]publish.TaskState{}},
		wire:  &cutter{at: -1}, drain: make(chan struct{}),
	}
	w.sim = sandbox.New(sandbox.Options{Now: w.clock.Now, Limits: &sandbox.Limits{}})
	w.must(w.sim.Start("127.0.0.1:0"))
	t.Cleanup(func() { w.must(w.sim.Close()) })
	w.build()
	w.connect()
	w.video, w.picture = w.upload(sample.Video), w.upload(sample.Picture)
	return w
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) build() {
	keys, err := secrets.ParseKeyring(testKey)
	w.must(err)
	store, err := media.OpenStore(w.ctx, "mem://", 1<<30)
	w.must(err)
	w.store = store
	w.t.Cleanup(func() { w.must(store.Close()) })
	files := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		parts := strings.Split(r.URL.Path, "/") // /media/{id}/{signature}
		rw.Header().Set("Content-Type", "image/jpeg")
		body, err := store.NewRangeReader(r.Context(), parts[2], 0, -1)
		if err != nil {
			http.NotFound(rw, r)
			return
		}
		defer body.Close()
		var buf bytes.Buffer
		_, _ = buf.ReadFrom(body)
		http.ServeContent(rw, r, "", time.Time{}, bytes.NewReader(buf.Bytes()))
	}))
	w.t.Cleanup(files.Close)
	links, err := media.NewSigner(keys, files.URL)
	w.must(err)
	client := &http.Client{Transport: w.wire, Timeout: 5 * time.Second}
	tt, err := tiktok.New(tiktok.Config{
		APIURL: w.sim.TikTokURL(), ClientKey: w.sim.Options().TikTokClientKey, ClientSecret: secrets.Secret(w.sim.Options().TikTokClientSecret),
		HTTP: client, Now: w.clock.Now,
	})
	w.must(err)
	ig, err := instagram.New(instagram.Config{
		GraphURL: w.sim.GraphURL(), UploadURL: w.sim.RuploadURL(), Version: "v25.0",
		AppID: w.sim.Options().FacebookAppID, AppSecret: secrets.Secret(w.sim.Options().FacebookAppSecret), HTTP: client, Now: w.clock.Now,
	})
	w.must(err)
	w.graph = ig
	log, hook := logtest.NewNullLogger()
	log.SetLevel(logrus.DebugLevel)
	w.logs = hook
	w.t.Cleanup(w.wantLinesTellWhose)
	w.tokens = oauth.New(oauth.Deps{
		DB: w.db, Keys: keys, Log: log, Now: w.clock.Now,
		Connectors: []oauth.Connector{tiktoklogin.New(tt, w.clock.Now), instagramlogin.New(ig, secrets.Secret(w.sim.Options().FacebookAppSecret), w.clock.Now)},
	})
	timings := publish.DefaultTimings()
	for i := range timings.Resumes { // the clock is virtual; these pauses are not
		timings.Resumes[i] = time.Millisecond
	}
	w.Service, err = publish.New(publish.Deps{
		DB: w.db, Queue: w.queue, Tokens: w.tokens, Keys: keys, Store: store, Links: links,
		Fetcher:    media.NewFetcher(media.FetchOptions{AllowPrivate: true}),
		Publishers: []publish.Publisher{tiktokposts.New(tt), instagramposts.New(ig)},
		Log:        log, Now: w.now, Timings: timings, Owner: "test",
	})
	w.must(err)
}

// wantLinesTellWhose wants all lines about posts to lead to the request and the user.
func (w *world) wantLinesTellWhose() {
	for _, e := range w.logs.AllEntries() {
		_, ofPost := e.Data[observe.FieldPostID]
		if !ofPost || e.Message == "an old task found nothing to do" {
			continue
		}
		if e.Data[observe.FieldCorrelationID] != correlation || e.Data[observe.FieldUserID] == nil {
			w.t.Errorf("%q does not tell the correlation id and the user: %v", e.Message, e.Data)
		}
	}
}

func (w *world) now() time.Time {
	if w.onNow != nil {
		w.onNow()
	}
	return w.clock.Now()
}

func (w *world) connect() {
	w.app = models.App{Name: "shop", CreatedAt: w.clock.Now()}
	w.must(w.db.Tenants.CreateApp(w.ctx, &w.app, &models.APIKey{Prefix: models.NewID()[24:], Hash: []byte("x"), CreatedAt: w.clock.Now()}))
	w.user = models.User{AppID: w.app.ID, ExternalID: "u", CreatedAt: w.clock.Now(), UpdatedAt: w.clock.Now()}
	_, err := w.db.Tenants.EnsureUser(w.ctx, &w.user)
	w.must(err)
	w.ttSim = w.sim.AddTikTokAccount(sandbox.TikTokAccount{
		OpenID: "-000tt", Username: "simcafe", PostsCap: -1, ExpiresAt: w.clock.Now().Add(30 * 24 * time.Hour),
	})
	w.igSim = w.sim.AddInstagramAccount(sandbox.InstagramAccount{IGID: "17841400000000001", Username: "simbakery"})
	w.tiktok = w.importTikTok(w.ttSim.AccessToken)
	w.insta, err = w.tokens.Import(w.ctx, oauth.Import{
		AppID: w.app.ID, UserID: w.user.ID, Platform: models.Instagram, ProviderAccountID: w.igSim.IGID,
		Username: w.igSim.Username, Access: secrets.Secret(w.igSim.PageToken),
	})
	w.must(err)
}

func (w *world) importTikTok(token string) int64 {
	w.t.Helper()
	id, err := w.tokens.Import(w.ctx, oauth.Import{
		AppID: w.app.ID, UserID: w.user.ID, Platform: models.TikTok, ProviderAccountID: w.ttSim.OpenID,
		Username: w.ttSim.Username, Access: secrets.Secret(token),
	})
	w.must(err)
	return id
}

func (w *world) upload(file []byte) string {
	w.t.Helper()
	m, err := w.StoreFile(w.ctx, w.app.ID, bytes.NewReader(file), nil)
	w.must(err)
	return m.ID
}

// correlation is the correlation id of every post.
const correlation = "the request's"

// flow is one of the ways to publish.
type flow struct {
	name    string
	request func(*world) publish.Request
}

var (
	tiktokVideo = flow{"tiktok video", func(w *world) publish.Request {
		return publish.Request{
			AppID: w.app.ID, Platform: models.TikTok, Kind: models.Video, AccountID: w.tiktok, Files: []publish.File{{MediaID: w.video}},
			Options: &tiktokposts.Options{Title: "New roast #coffee", PrivacyLevel: "PUBLIC_TO_EVERYONE"},
		}
	}}
	instagramImage = flow{"instagram image", func(w *world) publish.Request {
		return publish.Request{
			AppID: w.app.ID, Platform: models.Instagram, Kind: models.Image, AccountID: w.insta, Files: []publish.File{{MediaID: w.picture}},
			Options: &instagramposts.Options{Caption: "Fresh bread"},
		}
	}}
	instagramReel = flow{"instagram reel", func(w *world) publish.Request {
		return publish.Request{
			AppID: w.app.ID, Platform: models.Instagram, Kind: models.Reel, AccountID: w.insta, Files: []publish.File{{MediaID: w.video}},
			Options: &instagramposts.Options{Caption: "Baking"},
		}
	}}
	flows = []flow{tiktokVideo, instagramImage, instagramReel}
)

func (w *world) accept(f flow, change ...func(*publish.Request)) *models.Post {
	w.t.Helper()
	r := f.request(w)
	r.CorrelationID = correlation
	for _, c := range change {
		c(&r)
	}
	p, err := w.Accept(w.ctx, r)
	w.must(err)
	return p
}

func (w *world) post(p *models.Post) *models.Post {
	w.t.Helper()
	got, err := w.db.Posts.ByID(w.ctx, p.ID)
	w.must(err)
	return got
}

// step runs what is due first: a task, or else a tick of the scheduler. It
// moves the clock there. A power cut ends the run, not the test.
func (w *world) step() {
	w.t.Helper()
	t, ok := w.queue.take()
	if !ok {
		w.clock.advance(5 * time.Second)
		w.tick()
		return
	}
	if ahead := t.At.Sub(w.clock.Now()); ahead > 0 {
		w.clock.advance(ahead)
	}
	w.must(w.run(t))
}

func (w *world) run(t publish.Task) (err error) {
	defer func() {
		if r := recover(); r != nil {
			if _, cut := r.(powerCut); !cut {
				panic(r)
			}
			w.queue.setState(t, publish.TaskActive) // nobody told Asynq
		}
	}()
	ctx, attempt := observe.WithAttempt(w.ctx)
	defer func() { w.attempts = append(w.attempts, *attempt) }()
	return w.RunStep(ctx, t, w.drain)
}

// lastAttempt is what the metrics are told of the last run.
func (w *world) lastAttempt() observe.Attempt { return w.attempts[len(w.attempts)-1] }

func (w *world) tick() {
	w.t.Helper()
	w.must(w.AdmitDue(w.ctx))
	w.must(w.MissLate(w.ctx))
	w.must(w.Sweep(w.ctx))
}

// settle runs the world until the post has ended and nothing is left to do for
// it.
func (w *world) settle(p *models.Post) *models.Post {
	w.t.Helper()
	for range 400 {
		got := w.post(p)
		if got.Status.Ended() && got.Admission == models.AdmissionNone {
			return got
		}
		w.moveTo(got)
	}
	w.t.Fatalf("the post did not end: %s", w.story(p))
	return nil
}

// until runs the world until the post is as wanted.
func (w *world) until(p *models.Post, what string, reached func(*models.Post) bool) *models.Post {
	w.t.Helper()
	for range 200 {
		got := w.post(p)
		if reached(got) {
			return got
		}
		if got.Status.Ended() && got.Admission == models.AdmissionNone {
			break
		}
		w.moveTo(got)
	}
	w.t.Fatalf("the post never was %s: %s", what, w.story(p))
	return nil
}

// moveTo runs what is due next, and if that is a long way off goes there first.
func (w *world) moveTo(p *models.Post) {
	w.t.Helper()
	if p.Admission == models.AdmissionWaiting && p.RunAt.After(w.clock.Now()) {
		w.clock.advance(p.RunAt.Sub(w.clock.Now()))
		w.tick()
	}
	w.step()
}

// story tells a post's life, for failures.
func (w *world) story(p *models.Post) string {
	got := w.post(p)
	var b strings.Builder
	fmt.Fprintf(&b, "%s, step %s, admission %q, attempts %d, error %s %s\n", got.Status, got.Step, got.Admission, got.Attempts, got.ErrorCode, got.ErrorMessage)
	events, err := w.db.Posts.Events(w.ctx, p.ID)
	w.must(err)
	for _, e := range events {
		fmt.Fprintf(&b, "  %s %s %s>%s %s %d %s %s\n", e.At.Format("15:04:05"), e.Type, e.From, e.To, e.Op, e.HTTPStatus, e.PlatformCode, e.Message)
	}
	ledger, err := w.db.Runs.Ledger(w.ctx, p.ID)
	w.must(err)
	for _, e := range ledger {
		fmt.Fprintf(&b, "  ledger %s %s fence %d\n", e.Op, e.State, e.Fence)
	}
	return b.String()
}

// wantLive is the first question of every test of publishing.
func (w *world) wantLive(n int) {
	w.t.Helper()
	if live := w.sim.LivePosts(); len(live) != n {
		w.t.Errorf("%d posts are live, want %d", len(live), n)
	}
}

func (w *world) wantStatus(p *models.Post, want models.Status) {
	w.t.Helper()
	if got := w.post(p); got.Status != want {
		w.t.Errorf("status = %s, want %s: %s", got.Status, want, w.story(p))
	}
}

// stride is how many cases a test goes on by that goes through all there are: tests
// that are to be short, as under the race detector, take one of three.
func stride() int {
	if testing.Short() {
		return 3
	}
	return 1
}

func sqliteWorld(t *testing.T) *world {
	t.Helper()
	return newWorld(t, dbtest.SQLite(t))
}
