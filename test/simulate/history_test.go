package simulate

import (
	"bytes"
	"context"
	"fmt"
	"hash/fnv"
	"io"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/cryptotest"
	"testing/synctest"
	"time"

	"github.com/sirupsen/logrus"

	"socialqueue/egress"
	"socialqueue/inbox"
	instagramwebhooks "socialqueue/inbox/instagram"
	tiktokwebhooks "socialqueue/inbox/tiktok"
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
	"socialqueue/sandbox/sample"
	"socialqueue/secrets"
	"socialqueue/test/testkit"
)

const (
	sandboxURL = "http://sandbox.test"
	filesURL   = "http://files.test"
	appURL     = "https://203.0.113.7/hook" // of a documentation network
	openID     = "-000sim"
	igID       = "17841400000000001"

	// maxSteps and patience bound a history that does not end.
	maxSteps = 60_000
	patience = 6 * 24 * time.Hour
)

// world is what all histories of a test process share.
type world struct {
	t       *testing.T
	store   *store
	files   *media.Store
	keys    *secrets.Keyring
	links   *media.Signer
	metrics *observe.Metrics
	log     *logrus.Logger
	tenant  testkit.Tenant
	video   string
	picture string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, files: testkit.OpenStore(t), keys: testkit.Keyring(t, testkit.Key), metrics: observe.NewMetrics(), log: logrus.New()}
	w.log.SetOutput(io.Discard)
	w.log.SetLevel(logrus.PanicLevel)
	var err error
	w.links, err = media.NewSigner(w.keys, filesURL)
	testkit.Must(t, err)
	w.store, err = openStore(t.Context())
	testkit.Must(t, err)
	t.Cleanup(func() { testkit.Must(t, w.store.Close()) })
	w.tenant = testkit.NewTenant(t, w.store.DB, "shop", testkit.Epoch)
	upload, err := publish.New(publish.Deps{DB: w.store.DB, Marks: &marks{}, Store: w.files, Keys: w.keys, Metrics: w.metrics, Log: w.log, Now: time.Now})
	testkit.Must(t, err)
	for id, file := range map[*string][]byte{&w.video: sample.Video, &w.picture: sample.Picture} {
		m, err := upload.StoreFile(t.Context(), w.tenant.App.ID, bytes.NewReader(file), nil)
		testkit.Must(t, err)
		*id = m.ID
	}
	testkit.Must(t, w.store.copyTo("empty"))
	return w
}

// host is a process with a clock of its own.
type host struct {
	posts  *publish.Service
	tokens *oauth.Service
	inbox  *inbox.Service
	notify *notify.Service
	// awayUntil is how long it does not reach the database.
	awayUntil time.Time
}

// history is one run of the whole system.
type history struct {
	*world
	seed uint64
	// keep, unless nil, names the only decisions that stand.
	keep map[uint32]bool

	sched     *scheduler
	queue     *queue
	marks     *marks
	wire      *wire
	app       *app
	sim       *sandbox.Server
	api       *host
	workers   []*host
	schedules []*host
	plan      plan
	events    events
	rates     rates
	began     time.Time
	chaos     time.Duration
	// calm is set once faults stop.
	calm   atomic.Bool
	calmed time.Time
	ticked time.Duration
	nextAt time.Time
	// rounds counts the ticks, and consents how often the owner connected the account again.
	rounds, consents int

	// backedUp is when the last backup was made, and restored says that one was restored.
	backedUp time.Time
	restored bool

	deciding sync.Mutex
	chance   rand.PCG
	asked    map[string]int
	decided  []decision

	noting     sync.Mutex
	log        []string
	verbose    bool
	sum        uint64
	violations []string
}

// result is what a history came to.
type result struct {
	seed       uint64
	violations []string
	decided    []decision
	log        []string
	sum        uint64
	steps      int
	lasted     time.Duration
}

// run plays one history.
func (w *world) run(seed uint64, keep map[uint32]bool, verbose bool) (r result) {
	cryptotest.SetGlobalRandom(w.t, seed)
	testkit.Must(w.t, w.store.copyFrom("empty"))
	synctest.Test(w.t, func(t *testing.T) {
		h := &history{world: w, seed: seed, keep: keep, verbose: verbose, asked: map[string]int{}, began: time.Now()}
		h.build(t)
		h.play()
		r = result{h.seed, h.violations, h.decided, h.log, h.sum, h.sched.steps, time.Since(h.began)}
	})
	return r
}

// build makes the processes, the platforms and the accounts. No gate is shut yet.
func (h *history) build(t *testing.T) {
	r := rand.New(rand.NewPCG(h.seed, 0))
	h.rates = newRates(r)
	h.sched = newScheduler()
	h.queue, h.marks, h.wire = &queue{h: h}, &marks{h: h}, &wire{h: h, reads: map[string]read{}, made: map[string]int{}}
	h.app = &app{h: h, got: map[string][]string{}, seen: map[string]bool{}}
	h.sim = sandbox.New(h.platforms(r))
	outside := h.store.DB
	var err error
	h.store.DB, err = h.store.open(t.Context())
	testkit.Must(t, err)
	t.Cleanup(func() {
		testkit.Must(t, h.store.Close())
		h.store.DB = outside
		testkit.Must(t, h.sim.Close())
	})
	skew := func() time.Duration { return []time.Duration{0, -1, -5, 1, 5}[r.IntN(5)] * time.Second }
	h.api = h.newHost(t, "api", 0)
	h.workers = []*host{h.newHost(t, "worker 1", skew()), h.newHost(t, "worker 2", skew())}
	h.schedules = []*host{h.newHost(t, "scheduler 1", 0), h.newHost(t, "scheduler 2", skew())}
	h.connect(t, r)
	h.chaos = time.Duration(1+r.IntN(40)) * time.Minute
	h.plan = h.newPlan(r)
	h.nextAt, h.ticked = time.Now(), firstTick
	h.store.h = h
}

// platforms configures the sandbox.
func (h *history) platforms(r *rand.Rand) sandbox.Options {
	return sandbox.Options{
		BaseURL: sandboxURL, DiscardBytes: true, FetchTransport: files{h.files},
		DoublePublish: []sandbox.DoublePublish{
			sandbox.DoublePost, sandbox.DoublePost, sandbox.DoubleNotFound, sandbox.DoubleNotReady, sandbox.DoubleSameID, sandbox.DoubleGeneric,
		}[r.IntN(6)],
		Delays: &sandbox.Delays{
			TikTokProcessing: time.Duration(r.IntN(30)) * time.Second, TikTokModeration: time.Duration(r.IntN(120)) * time.Second,
			InstagramImage: time.Duration(r.IntN(10)) * time.Second, InstagramVideo: time.Duration(r.IntN(40)) * time.Second,
			InstagramPolls: r.IntN(3), InstagramQuotaLag: time.Duration(r.IntN(180)) * time.Second,
			InstagramMediaLag: time.Duration(r.IntN(int(lagBy/time.Second))) * time.Second,
		},
		OnWebhook: h.events.take,
	}
}

func (h *history) newHost(t *testing.T, name string, skew time.Duration) *host {
	t.Helper()
	now := func() time.Time { return time.Now().Add(skew) }
	client := &http.Client{Transport: h.wire}
	o := h.sim.Options()
	tt, err := tiktok.New(tiktok.Config{
		APIURL: h.sim.TikTokURL(), AuthURL: h.sim.TikTokAuthURL(), ClientKey: o.TikTokClientKey, ClientSecret: secrets.Secret(o.TikTokClientSecret),
		HTTP: client, Now: now,
	})
	testkit.Must(t, err)
	ig, err := instagram.New(instagram.Config{
		GraphURL: h.sim.GraphURL(), UploadURL: h.sim.RuploadURL(), DialogURL: h.sim.FacebookDialogURL(),
		AppID: o.FacebookAppID, AppSecret: secrets.Secret(o.FacebookAppSecret), HTTP: client, Now: now,
	})
	testkit.Must(t, err)
	half := func() float64 { return 0.5 }
	p := &host{}
	p.tokens = oauth.New(oauth.Deps{
		DB: h.store.DB, Keys: h.keys, Queue: h.queue, Metrics: h.metrics, Log: h.world.log, Now: now,
		Connectors: []oauth.Connector{tiktoklogin.New(tt, now), instagramlogin.New(ig, secrets.Secret(o.FacebookAppSecret), now)},
	})
	p.posts, err = publish.New(publish.Deps{
		DB: h.store.DB, Queue: h.queue, Marks: h.marks, Tokens: p.tokens, Keys: h.keys, Store: h.files, Links: h.links,
		Fetcher:    media.NewFetcher(media.FetchOptions{AllowPrivate: true}),
		Publishers: []publish.Publisher{tiktokposts.New(tt), instagramposts.New(ig)},
		Metrics:    h.metrics, Log: h.world.log, Now: now, Timings: publish.DefaultTimings(), Owner: name, Rand: half,
	})
	testkit.Must(t, err)
	p.inbox = inbox.New(inbox.Deps{
		DB: h.store.DB, Queue: h.queue, Metrics: h.metrics, Log: h.world.log, Now: now,
		Sources: []inbox.Source{tiktokwebhooks.New(tiktokwebhooks.Deps{
			DB: h.store.DB, Posts: p.posts, Accounts: p.tokens, Secret: secrets.Secret(o.TikTokClientSecret), Tolerance: 5 * time.Minute, Now: now,
		}), instagramwebhooks.New(instagramwebhooks.Deps{
			DB: h.store.DB, Secret: secrets.Secret(o.FacebookAppSecret), Now: now,
		})},
	})
	p.notify = notify.New(notify.Deps{
		DB: h.store.DB, Keys: h.keys, Queue: h.queue, Guard: egress.New(false, netip.MustParsePrefix("203.0.113.0/24")),
		Metrics: h.metrics, Log: h.world.log, Now: now, Transport: h.app, Rand: half,
	})
	return p
}

// connect makes an account on each platform, and an endpoint for webhooks.
func (h *history) connect(t *testing.T, r *rand.Rand) {
	life := []time.Duration{5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 30 * 24 * time.Hour}[r.IntN(4)]
	tt := h.sim.AddTikTokAccount(sandbox.TikTokAccount{OpenID: openID, Username: "simcafe", PostsCap: -1, ExpiresAt: time.Now().Add(life)})
	h.wire.gave(pair{tt.AccessToken, tt.RefreshToken})
	testkit.Must(t, h.importTikTok(t.Context(), tt))
	ig := h.sim.AddInstagramAccount(sandbox.InstagramAccount{IGID: igID, Username: "simbakery"})
	h.tenant.Connect(t, h.api.tokens, oauth.Import{
		Platform: models.Instagram, ProviderAccountID: ig.IGID, Username: ig.Username, Access: secrets.Secret(ig.PageToken),
	})
	url := appURL
	_, _, err := h.api.notify.Create(t.Context(), h.tenant.App.ID, notify.Request{URL: &url}, nil)
	testkit.Must(t, err)
}

func (h *history) importTikTok(ctx context.Context, a sandbox.TikTokAccount) error {
	_, err := h.api.tokens.Import(ctx, oauth.Import{
		AppID: h.tenant.App.ID, UserID: h.tenant.User.ID, Platform: models.TikTok, ProviderAccountID: a.OpenID, Username: a.Username, Access: secrets.Secret(a.AccessToken),
		Refresh: secrets.Secret(a.RefreshToken), ExpiresAt: &a.ExpiresAt,
	})
	return err
}

// play runs the history to its end and checks it.
func (h *history) play() {
	defer func() { h.store.h = nil }()
	for h.sched.steps < maxSteps && len(h.violations) == 0 {
		quiet := h.quiet()
		if h.calm.Load() && (quiet || time.Since(h.calmed) > patience) {
			break
		}
		if !h.calm.Load() && (quiet || time.Since(h.began) > h.chaos) {
			h.calmed = time.Now()
			h.calm.Store(true)
			h.note("faults stop")
		}
		h.step()
	}
	h.end()
	h.store.h = nil
	h.check()
}

// quiet reports whether nothing is going on and nothing is to come.
func (h *history) quiet() bool {
	h.sched.mu.Lock()
	actors := len(h.sched.actors)
	h.sched.mu.Unlock()
	h.wire.mu.Lock()
	late := len(h.wire.late)
	h.wire.mu.Unlock()
	_, tasks := h.queue.next()
	return actors == 0 && late == 0 && !tasks && len(h.plan.actions) == 0 && h.events.len() == 0 && h.ended()
}

// ended reports whether the rows say that nothing is left to do, except for what waits for a person.
func (h *history) ended() bool {
	left, err := h.store.ask(`SELECT (SELECT COUNT(*) FROM posts WHERE admission NOT IN ('', 'held') AND NOT (status = 'uncertain' AND deferred_reason = 'restored')) + (SELECT COUNT(*) FROM webhook_deliveries WHERE status = 'pending')
		+ (SELECT COUNT(*) FROM webhook_events WHERE status = 'pending') + (SELECT COUNT(*) FROM first_comments WHERE due_at IS NOT NULL)`)
	h.store.must(err)
	return left == int64(0)
}

// note writes a line of the history.
func (h *history) note(format string, args ...any) {
	h.noting.Lock()
	defer h.noting.Unlock()
	line := fmt.Sprintf("%s %s", time.Since(h.began).Round(time.Millisecond), fmt.Sprintf(format, args...))
	sum := fnv.New64a()
	_, _ = fmt.Fprintf(sum, "%d %s", h.sum, line)
	h.sum = sum.Sum64()
	if h.verbose {
		h.log = append(h.log, line)
	}
}

// violate notes a promise that was broken.
func (h *history) violate(format string, args ...any) {
	h.noting.Lock()
	defer h.noting.Unlock()
	h.violations = append(h.violations, fmt.Sprintf(format, args...))
}

// tick is work that the schedulers repeat.
type tick struct {
	name string
	// when is the condition on the database without which the tick finds nothing to do, so that it is left out. A minute
	// from now is {soon} in it.
	when string
	do   func(*host) func(context.Context) error
}

// The ticks come as often as these say, the faster the less it is since something happened.
const (
	firstTick   = 5 * time.Second
	longestTick = 2 * time.Minute
)

var ticks = []tick{
	{"admit", "EXISTS (SELECT 1 FROM posts WHERE admission IN ('waiting', 'parked') OR status = 'scheduled')", func(p *host) func(context.Context) error { return p.posts.AdmitDue }},
	{"sweep", "EXISTS (SELECT 1 FROM posts WHERE admission = 'admitted')", func(p *host) func(context.Context) error { return p.posts.Sweep }},
	{"highwater", "EXISTS (SELECT 1 FROM posts WHERE status IN ('scheduled', 'queued', 'publishing') AND admission <> 'held')", func(p *host) func(context.Context) error { return p.posts.CompareMark }},
	{"first comments", "EXISTS (SELECT 1 FROM first_comments WHERE due_at IS NOT NULL)", func(p *host) func(context.Context) error { return p.posts.EnqueueComments }},
	{"late", "EXISTS (SELECT 1 FROM posts WHERE miss_at IS NOT NULL AND status IN ('scheduled', 'queued'))", func(p *host) func(context.Context) error { return p.posts.MissLate }},
	{"upkeep", "EXISTS (SELECT 1 FROM posts WHERE status = 'scheduled') OR EXISTS (SELECT 1 FROM oauth_accounts WHERE upkeep_at < '{soon}')", func(p *host) func(context.Context) error { return p.tokens.EnqueueDue }},
	{"webhooks", "EXISTS (SELECT 1 FROM webhook_events WHERE status = 'pending')", func(p *host) func(context.Context) error { return p.inbox.Sweep }},
	{"notify", "EXISTS (SELECT 1 FROM webhook_deliveries WHERE status = 'pending')", func(p *host) func(context.Context) error { return p.notify.EnqueueDue }},
}

// useful reports, for each tick, whether there is anything that it could do.
func (h *history) useful() string {
	conditions := make([]string, len(ticks))
	for i, t := range ticks {
		conditions[i] = "(" + t.when + ")"
	}
	soon := time.Now().Add(time.Minute).UTC().Format(time.DateTime)
	found, err := h.store.ask(strings.ReplaceAll("SELECT "+strings.Join(conditions, " || "), "{soon}", soon))
	h.store.must(err)
	return fmt.Sprint(found)
}

// begin starts whatever is due: an action of an app, an event of a platform, a task, or the ticks. It reports whether
// anything was.
func (h *history) begin() bool {
	if h.plan.begin(h) || h.events.begin(h) {
		return true
	}
	if h.running("run ") < atOnce {
		if t := h.queue.due(); t != nil {
			h.start(t)
			return true
		}
	}
	if time.Now().Before(h.nextAt) || h.running("tick ") > 0 {
		return false
	}
	h.rounds++
	if h.happens(queueActor, "forgets everything", h.rates.flush) {
		h.queue.flush()
	}
	h.backup()
	h.reconnect()
	h.sim.LivePosts() // has the platforms bring everything up to now
	on := h.schedules[h.rounds%len(h.schedules)]
	useful := h.useful()
	for i, t := range ticks {
		if useful[i] == '0' {
			continue
		}
		h.spawn(&actor{name: fmt.Sprintf("tick %s %d", t.name, h.rounds)}, t.do(on), nil)
	}
	h.nextAt = h.nextRound()
	return true
}

// nextRound is when the schedulers tick again: soon, but where nothing happens only when something is due.
func (h *history) nextRound() time.Time {
	next := time.Now().Add(h.ticked)
	h.ticked = min(2*h.ticked, longestTick)
	if at, ok := h.dueInStore(); ok && at.After(next) && h.running("run ") == 0 {
		if task, waits := h.queue.next(); !waits || task.After(at) {
			return at
		}
	}
	return next
}

// dueInStore is when the next row is due.
func (h *history) dueInStore() (time.Time, bool) {
	at, err := h.store.ask(`SELECT MIN(at) FROM (SELECT MIN(run_at) AS at FROM posts WHERE admission <> '' UNION ALL
		SELECT MIN(next_at) FROM webhook_deliveries WHERE status = 'pending' UNION ALL
		SELECT MIN(run_at) FROM webhook_events WHERE status = 'pending' UNION ALL
		SELECT MIN(due_at) FROM first_comments UNION ALL
		SELECT MIN(upkeep_at) FROM oauth_accounts UNION ALL SELECT MIN(rest_until) FROM webhook_endpoints)`)
	h.store.must(err)
	text, ok := at.(string)
	if !ok {
		return time.Time{}, false
	}
	when, err := time.Parse("2006-01-02 15:04:05.999999999-07:00", text)
	return when, err == nil
}

// nextEvent is when something is due next.
func (h *history) nextEvent() time.Time {
	next := h.nextAt
	if at, ok := h.queue.next(); ok && h.running("run ") < atOnce && at.Before(next) {
		next = at
	}
	if len(h.plan.actions) > 0 {
		next = earlier(next, h.plan.actions[0].at)
	}
	next = h.events.next(next)
	h.wire.mu.Lock()
	defer h.wire.mu.Unlock()
	for _, l := range h.wire.late {
		if l.at.Before(next) {
			next = l.at
		}
	}
	return next
}

// plan is what the apps do, and what the platforms send.
type plan struct {
	// twins: all posts have the same text.
	twins   bool
	posts   []*posted
	actions []action
}

// posted is a post that an app asks for.
type posted struct {
	ordinal int
	request publish.Request
	id      string
	// accepted says that the app was told so.
	accepted bool
}

func (p *posted) name() string { return fmt.Sprintf("post %d", p.ordinal) }

type action struct {
	at   time.Time
	name string
	act  func(context.Context) error
}

// newPlan plans a few posts and what their app does to them.
func (h *history) newPlan(r *rand.Rand) plan {
	var p plan
	n := 1 + r.IntN(6)
	p.twins = r.IntN(3) == 0
	lane := r.IntN(3)
	for i := range n {
		post := &posted{ordinal: i + 1}
		post.request = h.request(r, lane, i, p.twins)
		post.request.CorrelationID = post.name()
		p.posts = append(p.posts, post)
		at := h.began.Add(time.Duration(r.IntN(90)) * time.Second)
		if r.IntN(3) == 0 {
			publishAt := at.Add(time.Duration(r.IntN(400)) * time.Second)
			post.request.PublishAt = &publishAt
		}
		if r.IntN(6) == 0 {
			lateness := time.Duration(1+r.IntN(60)) * time.Second
			post.request.MaxLateness = &lateness
		}
		p.actions = append(p.actions, action{at, "accept", func(ctx context.Context) error {
			accepted, err := h.api.posts.Accept(ctx, post.request)
			if err == nil {
				post.accepted, post.id = true, accepted.ID
			}
			return err
		}})
		p.actions[len(p.actions)-1].name = "app accepts " + post.name()
		for range r.IntN(2) {
			p.actions = append(p.actions, h.change(r, post, at))
		}
	}
	slices.SortStableFunc(p.actions, func(a, b action) int { return a.at.Compare(b.at) })
	return p
}

// request is a post of some kind. Where lane is 0 all posts are on one account; twins have the same text.
func (h *history) request(r *rand.Rand, lane, i int, twins bool) publish.Request {
	text := fmt.Sprintf("text %d", i+1)
	if twins {
		text = "the same text"
	}
	kinds := []models.Kind{models.Video, models.Image, models.Reel, models.Story, models.Carousel}
	kind := kinds[r.IntN(len(kinds))]
	if lane == 0 {
		kind = models.Image
	}
	options := &instagramposts.Options{Caption: text}
	if r.IntN(3) == 0 {
		options.Comment = "comment on " + text
	}
	req := publish.Request{AppID: h.tenant.App.ID, Platform: models.Instagram, Kind: kind, AccountID: 1, Options: options}
	req.Files = []publish.File{{MediaID: h.video}}
	switch kind {
	case models.Image:
		req.Files = []publish.File{{MediaID: h.picture}}
	case models.Story:
		req.Options = &instagramposts.Options{}
	case models.Carousel:
		req.Files = []publish.File{{MediaID: h.picture}, {MediaID: h.video}, {MediaID: h.picture}}
	case models.Video:
		req.Platform = models.TikTok
		req.Options = &tiktokposts.Options{Title: text, PrivacyLevel: "PUBLIC_TO_EVERYONE"}
	}
	return req
}

// change is something that an app does to its post.
func (h *history) change(r *rand.Rand, post *posted, accepted time.Time) action {
	at := accepted.Add(time.Duration(r.IntN(600)) * time.Second)
	do := func(name string, act func(context.Context, int64, string) (*models.Post, error)) action {
		return action{at, "app " + name + " " + post.name(), func(ctx context.Context) error {
			if post.id == "" {
				return nil
			}
			_, err := act(ctx, h.tenant.App.ID, post.id)
			return err
		}}
	}
	switch r.IntN(3) {
	case 0:
		return do("cancels", h.api.posts.Cancel)
	case 1:
		return do("runs again", h.api.posts.Retry)
	}
	later := time.Duration(r.IntN(300)) * time.Second
	return do("reschedules", func(ctx context.Context, app int64, id string) (*models.Post, error) {
		return h.api.posts.Reschedule(ctx, app, id, time.Now().Add(later))
	})
}

// begin starts the next action that is due.
func (p *plan) begin(h *history) bool {
	if len(p.actions) == 0 || p.actions[0].at.After(time.Now()) {
		return false
	}
	next := p.actions[0]
	p.actions = p.actions[1:]
	h.spawn(&actor{name: next.name}, next.act, nil)
	return true
}

// story tells what the history was, for people.
func (r result) story() string {
	var b strings.Builder
	for _, v := range r.violations {
		_, _ = fmt.Fprintln(&b, "BROKEN:", v)
	}
	for _, d := range r.decided {
		_, _ = fmt.Fprintf(&b, "  %08x %s\n", d.id, d.text)
	}
	for _, line := range r.log {
		_, _ = fmt.Fprintln(&b, "   ", line)
	}
	return b.String()
}
