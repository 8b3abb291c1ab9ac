package publish_test

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	logtest "github.com/sirupsen/logrus/hooks/test"

	"socialqueue/db"
	"socialqueue/db/dbtest"
	"socialqueue/highwater"
	"socialqueue/media"
	"socialqueue/models"
	"socialqueue/oauth"
	"socialqueue/observe"
	"socialqueue/platform/instagram"
	"socialqueue/publish"
	instagramposts "socialqueue/publish/instagram"
	tiktokposts "socialqueue/publish/tiktok"
	"socialqueue/sandbox"
	"socialqueue/sandbox/sample"
	"socialqueue/secrets"
	"socialqueue/test/testkit"
)

// fixture is the service with the platforms around it, driven by hand.
type fixture struct {
	*publish.Service
	t      *testing.T
	ctx    context.Context
	db     *db.DB
	sim    *testkit.Sandbox
	clock  *testkit.Clock
	queue  *testkit.Queue
	wire   *testkit.Wire
	graph  *instagram.Client
	tokens *oauth.Service
	store  *media.Store
	links  *media.Signer
	// marks is the folder that holds the high-water mark.
	marks   string
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
	// inits is how many TikTok posts an account may start in a minute; 0 means TikTok's limit.
	inits int
	// attempts are what the metrics were told of each run.
	attempts []observe.Attempt
	// onNow, if set, is called whenever the service asks for the time: a place to
	// cut the power between two calls.
	onNow func()
}

func newFixture(t *testing.T, d *db.DB) *fixture {
	t.Helper()
	return newLimited(t, d, sandbox.Limits{})
}

// newLimited makes a fixture whose platforms have limits.
func newLimited(t *testing.T, d *db.DB, limits sandbox.Limits) *fixture {
	t.Helper()
	w := &fixture{
		t: t, ctx: t.Context(), db: d, clock: testkit.NewClock(), queue: &testkit.Queue{}, wire: testkit.NewWire(http.DefaultTransport),
		drain: make(chan struct{}),
	}
	w.sim = testkit.NewSandbox(t, sandbox.Options{Now: w.clock.Now, Limits: &limits})
	w.build()
	w.connect()
	w.video, w.picture = w.upload(sample.Video), w.upload(sample.Picture)
	return w
}

func (w *fixture) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *fixture) build() {
	w.store, w.marks = testkit.OpenStore(w.t), w.t.TempDir()
	var err error
	w.links, err = media.NewSigner(testkit.Keyring(w.t, testkit.Key), testkit.ServeFiles(w.t, w.store))
	w.must(err)
	w.start()
}

// containersPerDay is more than Instagram's limit: some tests make hundreds of posts in no time.
const containersPerDay = 10_000

// start makes the service, as a process does that starts on the database, the files and the
// mark that are there.
func (w *fixture) start() {
	keys := testkit.Keyring(w.t, testkit.Key)
	client := &http.Client{Transport: w.wire, Timeout: 5 * time.Second}
	tt := w.sim.TikTok(client, w.clock.Now)
	w.graph = w.sim.Instagram(client, w.clock.Now)
	log, hook := logtest.NewNullLogger()
	log.SetLevel(logrus.DebugLevel)
	w.logs = hook
	w.t.Cleanup(w.wantLinesTellWhose)
	w.tokens = oauth.New(oauth.Deps{
		DB: w.db, Keys: keys, Log: log, Now: w.clock.Now, Connectors: w.sim.Connectors(tt, w.graph, w.clock.Now),
	})
	timings := publish.DefaultTimings()
	for i := range timings.Resumes { // the clock is virtual; these pauses are not
		timings.Resumes[i] = time.Millisecond
	}
	pictures := instagramposts.New(w.graph)
	pictures.CaptionAddOns = true
	pictures.ContainersPerDay = containersPerDay
	videos := tiktokposts.New(tt)
	videos.InitsPerMinute = cmp.Or(w.inits, videos.InitsPerMinute)
	videos.PullHosts = []string{"127.0.0.1", "verified.example.com"}
	var err error
	w.Service, err = publish.New(publish.Deps{
		DB: w.db, Queue: w.queue, Marks: highwater.NewFile(w.marks), Tokens: w.tokens, Keys: keys, Store: w.store, Links: w.links,
		Fetcher:    media.NewFetcher(media.FetchOptions{AllowPrivate: true}),
		Publishers: []publish.Publisher{videos, pictures},
		Log:        log, Now: w.now, Timings: timings, Owner: "test",
	})
	w.must(err)
}

// wantLinesTellWhose wants all lines about posts to lead to the request and the user.
func (w *fixture) wantLinesTellWhose() {
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

func (w *fixture) now() time.Time {
	if w.onNow != nil {
		w.onNow()
	}
	return w.clock.Now()
}

func (w *fixture) connect() {
	tenant := testkit.NewTenant(w.t, w.db, "shop", w.clock.Now())
	w.app, w.user = tenant.App, tenant.User
	w.ttSim = w.sim.AddTikTokAccount(sandbox.TikTokAccount{
		OpenID: "-000tt", Username: "simcafe", PostsCap: -1, ExpiresAt: w.clock.Now().Add(30 * 24 * time.Hour),
	})
	w.igSim = w.sim.AddInstagramAccount(sandbox.InstagramAccount{IGID: "17841400000000001", Username: "simbakery"})
	w.tiktok = w.importTikTok(w.ttSim.AccessToken)
	w.insta = testkit.Connect(w.t, w.tokens, w.user, oauth.Import{
		Platform: models.Instagram, ProviderAccountID: w.igSim.IGID, Username: w.igSim.Username, Access: secrets.Secret(w.igSim.PageToken),
	})
}

func (w *fixture) importTikTok(token string) int64 {
	w.t.Helper()
	return testkit.Connect(w.t, w.tokens, w.user, oauth.Import{
		Platform: models.TikTok, ProviderAccountID: w.ttSim.OpenID, Username: w.ttSim.Username, Access: secrets.Secret(token),
	})
}

func (w *fixture) upload(file []byte) string {
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
	request func(*fixture) publish.Request
}

var (
	tiktokVideo = flow{"tiktok video", func(w *fixture) publish.Request {
		return publish.Request{
			AppID: w.app.ID, Platform: models.TikTok, Kind: models.Video, AccountID: w.tiktok, Files: []publish.File{{MediaID: w.video}},
			Options: &tiktokposts.Options{Title: "New roast #coffee", PrivacyLevel: "PUBLIC_TO_EVERYONE"},
		}
	}}
	instagramImage = flow{"instagram image", func(w *fixture) publish.Request {
		return publish.Request{
			AppID: w.app.ID, Platform: models.Instagram, Kind: models.Image, AccountID: w.insta, Files: []publish.File{{MediaID: w.picture}},
			Options: &instagramposts.Options{Caption: "Fresh bread"},
		}
	}}
	instagramReel = flow{"instagram reel", func(w *fixture) publish.Request {
		return publish.Request{
			AppID: w.app.ID, Platform: models.Instagram, Kind: models.Reel, AccountID: w.insta, Files: []publish.File{{MediaID: w.video}},
			Options: &instagramposts.Options{Caption: "Baking"},
		}
	}}
	instagramImageStory = flow{"instagram image story", func(w *fixture) publish.Request {
		return publish.Request{
			AppID: w.app.ID, Platform: models.Instagram, Kind: models.Story, AccountID: w.insta, Files: []publish.File{{MediaID: w.picture}},
			Options: &instagramposts.Options{},
		}
	}}
	instagramVideoStory = flow{"instagram video story", func(w *fixture) publish.Request {
		return publish.Request{
			AppID: w.app.ID, Platform: models.Instagram, Kind: models.Story, AccountID: w.insta, Files: []publish.File{{MediaID: w.video}},
			Options: &instagramposts.Options{},
		}
	}}
	instagramCarousel = flow{"instagram carousel", func(w *fixture) publish.Request {
		return publish.Request{
			AppID: w.app.ID, Platform: models.Instagram, Kind: models.Carousel, AccountID: w.insta, FilesField: "children",
			Files:   []publish.File{{MediaID: w.picture, AltText: "bread"}, {MediaID: w.video}, {MediaID: w.picture}},
			Options: &instagramposts.Options{Caption: "Our week"},
		}
	}}
	flows = []flow{tiktokVideo, instagramImage, instagramReel, instagramImageStory, instagramVideoStory, instagramCarousel}
)

func (w *fixture) accept(f flow, change ...func(*publish.Request)) *models.Post {
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

func (w *fixture) post(p *models.Post) *models.Post {
	w.t.Helper()
	got, err := w.db.Posts.ByID(w.ctx, p.ID)
	w.must(err)
	return got
}

// step runs what is due first: a task, or else a tick of the scheduler. It
// moves the clock there. A power cut ends the run, not the test.
func (w *fixture) step() {
	w.t.Helper()
	if f, ok := w.queue.Fetches.Take(); ok {
		w.must(w.fetch(f))
		return
	}
	if c, ok := w.queue.Comments.Take(); ok {
		w.must(w.cuttable(func() error { return w.Comment(w.ctx, c, w.drain) }))
		return
	}
	t, ok := w.queue.Posts.Take()
	if !ok {
		w.clock.Advance(5 * time.Second)
		w.tick()
		return
	}
	w.clock.Reach(t.At)
	w.must(w.run(t))
}

func (w *fixture) fetch(f publish.FetchTask) error {
	return w.cuttable(func() error { return w.Fetch(w.ctx, f, w.drain) })
}

// cuttable runs a job. If the power is cut, the job ends, and nobody says anything.
func (w *fixture) cuttable(job func() error) error {
	defer func() {
		if r := recover(); r != nil {
			if _, cut := r.(testkit.PowerCut); !cut {
				panic(r)
			}
		}
	}()
	return job()
}

func (w *fixture) run(t publish.Task) (err error) {
	defer func() {
		if r := recover(); r != nil {
			if _, cut := r.(testkit.PowerCut); !cut {
				panic(r)
			}
			w.queue.PutPost(t, publish.TaskActive) // nobody told Asynq
		}
	}()
	ctx, attempt := observe.WithAttempt(w.ctx)
	defer func() { w.attempts = append(w.attempts, *attempt) }()
	return w.RunStep(ctx, t, w.drain)
}

// lastAttempt is what the metrics are told of the last run.
func (w *fixture) lastAttempt() observe.Attempt { return w.attempts[len(w.attempts)-1] }

func (w *fixture) tick() {
	w.t.Helper()
	w.must(w.CompareMark(w.ctx))
	w.must(w.EnqueueFetches(w.ctx))
	w.must(w.EnqueueComments(w.ctx))
	w.must(w.AdmitDue(w.ctx))
	w.must(w.MissLate(w.ctx))
	w.must(w.Sweep(w.ctx))
}

// settle runs the service until the post has ended and nothing is left to do for
// it.
func (w *fixture) settle(p *models.Post) *models.Post {
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

// until runs the service until the post is as wanted.
func (w *fixture) until(p *models.Post, what string, reached func(*models.Post) bool) *models.Post {
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
func (w *fixture) moveTo(p *models.Post) {
	w.t.Helper()
	if w.queue.Fetches.Len() == 0 && p.Admission == models.AdmissionWaiting && p.RunAt.After(w.clock.Now()) {
		w.clock.Advance(p.RunAt.Sub(w.clock.Now()))
		w.tick()
	}
	w.step()
}

// story tells a post's life, for failures.
func (w *fixture) story(p *models.Post) string {
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
func (w *fixture) wantLive(n int) {
	w.t.Helper()
	if live := w.sim.LivePosts(); len(live) != n {
		w.t.Errorf("%d posts are live, want %d", len(live), n)
	}
}

func (w *fixture) wantStatus(p *models.Post, want models.Status) {
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

func onSQLite(t *testing.T) *fixture {
	t.Helper()
	return newFixture(t, dbtest.SQLite(t))
}
