package oauth_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/sirupsen/logrus"
	logtest "github.com/sirupsen/logrus/hooks/test"
	"go.uber.org/goleak"

	"socialqueue/config"
	"socialqueue/db"
	"socialqueue/db/dbtest"
	"socialqueue/jobs"
	"socialqueue/jobs/redistest"
	"socialqueue/models"
	"socialqueue/oauth"
	instagramlogin "socialqueue/oauth/instagram"
	tiktoklogin "socialqueue/oauth/tiktok"
	"socialqueue/platform/instagram"
	"socialqueue/platform/tiktok"
	"socialqueue/sandbox"
	"socialqueue/secrets"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var epoch = time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)

const (
	publicURL = "http://localhost:3000"
	testKey   = "0123456789abcdef0123456789abcdef"
)

// clock stands still unless a test moves it. The platforms go by it too.
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

// queue keeps the accounts that are to be seen to.
type queue struct {
	mu  sync.Mutex
	ids []int64
}

func (q *queue) EnqueueUpkeep(_ context.Context, id, _ int64) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.ids = append(q.ids, id)
	return nil
}

func (q *queue) take() []int64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	ids := q.ids
	q.ids = nil
	return ids
}

// lossy can lose a request before it is sent, which the simulated platforms
// cannot.
type lossy struct {
	mu   sync.Mutex
	next http.RoundTripper
	dead bool
	late *lateAnswer // nil: none
}

// lateAnswer is the answer to the next request to a path, by its end, kept back until it
// is let go.
type lateAnswer struct {
	path       string
	come, gone chan struct{}
}

func (l *lossy) RoundTrip(r *http.Request) (*http.Response, error) {
	l.mu.Lock()
	dead, late := l.dead, l.late
	if late != nil && strings.HasSuffix(r.URL.Path, late.path) {
		l.late = nil
	} else {
		late = nil
	}
	l.mu.Unlock()
	if dead {
		r.URL.Host = "127.0.0.1:1" // nothing listens there
	}
	resp, err := l.next.RoundTrip(r)
	if late != nil {
		close(late.come)
		<-late.gone
	}
	return resp, err
}

// late keeps back the answer to the next request to a path, which has its effect. It
// runs call beside the test and, once the answer has come, meanwhile; then it lets the
// answer go, and returns what became of the call.
func (w *world) late(path string, call func() error, meanwhile func()) error {
	w.t.Helper()
	late := &lateAnswer{path, make(chan struct{}), make(chan struct{})}
	letGo := sync.OnceFunc(func() { close(late.gone) })
	w.t.Cleanup(letGo)
	w.wire.mu.Lock()
	w.wire.late = late
	w.wire.mu.Unlock()
	done := make(chan error, 1)
	go func() { done <- call() }()
	w.until("the answer of "+path+" has come", func() bool {
		select {
		case <-late.come:
			return true
		default:
			return false
		}
	})
	meanwhile()
	letGo()
	return <-done
}

func (l *lossy) cut(dead bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.dead = dead
}

// world is the service with the platforms and a browser around it.
type world struct {
	*oauth.Service
	t       *testing.T
	ctx     context.Context
	db      *db.DB
	sim     *sandbox.Server
	clock   *clock
	queue   *queue
	wire    *lossy
	redis   redis.UniversalClient
	logs    *logtest.Hook
	app     models.App
	user    models.User
	browser *http.Client
	deps    oauth.Deps
	tiktok  *tiktok.Client
	meta    *instagram.Client
}

// each runs test on both databases.
func each(t *testing.T, test func(*world)) {
	t.Helper()
	dbtest.Each(t, func(t *testing.T, d *db.DB) { test(newWorld(t, d, sandbox.Options{})) })
}

func newWorld(t *testing.T, d *db.DB, o sandbox.Options) *world {
	t.Helper()
	w := &world{t: t, ctx: t.Context(), db: d, clock: &clock{now: epoch}, queue: &queue{}}
	o.Now, o.Limits = w.clock.Now, &sandbox.Limits{}
	w.sim = sandbox.New(o)
	w.must(w.sim.Start("127.0.0.1:0"))
	t.Cleanup(func() { w.must(w.sim.Close()) })
	transport := &http.Transport{MaxIdleConnsPerHost: 64}
	t.Cleanup(transport.CloseIdleConnections)
	w.browser = &http.Client{
		Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	w.wire = &lossy{next: transport}
	settings, err := config.ParseRedisURL(secrets.Secret(redistest.URL(t)))
	w.must(err)
	w.redis = jobs.NewRedis(settings)
	t.Cleanup(func() { w.must(w.redis.Close()) })
	w.build(testKey)
	w.app, w.user = w.tenant("shop")
	return w
}

// build makes the service with the given keys.
func (w *world) build(keys string) {
	w.t.Helper()
	ring, err := secrets.ParseKeyring(keys)
	w.must(err)
	log, hook := logtest.NewNullLogger()
	log.SetLevel(logrus.DebugLevel)
	w.logs = hook
	o := w.sim.Options()
	client := &http.Client{Transport: w.wire}
	w.tiktok, err = tiktok.New(tiktok.Config{
		APIURL: w.sim.TikTokURL(), AuthURL: w.sim.TikTokAuthURL(), ClientKey: o.TikTokClientKey,
		ClientSecret: secrets.Secret(o.TikTokClientSecret), HTTP: client, Now: w.clock.Now,
	})
	w.must(err)
	w.meta, err = instagram.New(instagram.Config{
		GraphURL: w.sim.GraphURL(), UploadURL: w.sim.RuploadURL(), DialogURL: w.sim.FacebookDialogURL(),
		AppID: o.FacebookAppID, AppSecret: secrets.Secret(o.FacebookAppSecret), HTTP: client, Now: w.clock.Now,
	})
	w.must(err)
	w.deps = oauth.Deps{
		DB: w.db, Keys: ring, Redis: w.redis, Queue: w.queue, PublicURL: publicURL, Log: log, Now: w.clock.Now,
		Connectors: []oauth.Connector{
			tiktoklogin.New(w.tiktok, w.clock.Now), instagramlogin.New(w.meta, secrets.Secret(o.FacebookAppSecret), w.clock.Now),
		},
	}
	w.Service = oauth.New(w.deps)
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) tenant(name string) (models.App, models.User) {
	w.t.Helper()
	app := models.App{Name: name, CreatedAt: w.clock.Now()}
	w.must(w.db.Tenants.CreateApp(w.ctx, &app, &models.APIKey{Prefix: models.NewID()[24:], Hash: []byte("x"), CreatedAt: w.clock.Now()}))
	return app, w.newUser(app, "u")
}

func (w *world) newUser(app models.App, name string) models.User {
	w.t.Helper()
	user := models.User{AppID: app.ID, ExternalID: name, CreatedAt: w.clock.Now(), UpdatedAt: w.clock.Now()}
	_, err := w.db.Tenants.EnsureUser(w.ctx, &user)
	w.must(err)
	return user
}

// begin starts a connect for the world's user.
func (w *world) begin(p models.Platform) (address string) {
	w.t.Helper()
	return w.beginFor(w.user, p, "")
}

func (w *world) beginFor(user models.User, p models.Platform, returnURL string) string {
	w.t.Helper()
	address, err := w.Begin(w.ctx, oauth.Start{AppID: user.AppID, UserID: user.ID, Platform: p, ReturnURL: returnURL})
	w.must(err)
	return address
}

// allow goes through the consent page, as changed by choose, and gives what the
// platform's redirect brings back.
func (w *world) allow(p models.Platform, address, person string, choose ...func(url.Values)) oauth.Callback {
	w.t.Helper()
	form := url.Values{"decision": {"allow"}, "account": {person}}
	for _, c := range choose {
		c(form)
	}
	req, err := http.NewRequestWithContext(w.ctx, http.MethodPost, address, strings.NewReader(form.Encode()))
	w.must(err)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := w.browser.Do(req)
	w.must(err)
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusFound {
		w.t.Fatalf("the consent page answered %s", resp.Status)
	}
	back, err := resp.Location()
	w.must(err)
	if got := back.Scheme + "://" + back.Host + back.Path; got != publicURL+"/api/auth/"+string(p)+"/callback" {
		w.t.Fatalf("the platform leads back to %s", got)
	}
	q := back.Query()
	return oauth.Callback{Platform: p, State: q.Get("state"), Code: secrets.Secret(q.Get("code")), Error: q.Get("error")}
}

// only ticks nothing but these scopes.
func only(scopes ...string) func(url.Values) {
	return func(form url.Values) { form["form"], form["scope"] = []string{"1"}, scopes }
}

func (w *world) finish(cb oauth.Callback) oauth.Outcome {
	w.t.Helper()
	o, err := w.Finish(w.ctx, cb)
	w.must(err)
	return o
}

// person makes a TikTok account at the platform.
func (w *world) person(openID string) sandbox.TikTokAccount {
	return w.sim.AddTikTokAccount(sandbox.TikTokAccount{OpenID: openID, Username: "user" + strings.Trim(openID, "-_"), Nickname: "Nick " + openID})
}

// connectTikTok connects an account of the world's user through the consent page.
func (w *world) connectTikTok(openID string) *models.OAuthAccount {
	w.t.Helper()
	w.person(openID)
	o := w.finish(w.allow(models.TikTok, w.begin(models.TikTok), openID))
	if o.Code != "" || len(o.Accounts) != 1 {
		w.t.Fatalf("outcome %+v", o)
	}
	return w.account(o.Accounts[0].ID)
}

// connectFacebook connects a login of the world's user, with one Page for each of
// the Instagram accounts.
func (w *world) connectFacebook(userID string, igIDs ...string) []*models.InstagramAccount {
	w.t.Helper()
	user := sandbox.FacebookUser{ID: userID, Name: "Person " + userID}
	for _, ig := range igIDs {
		w.sim.AddInstagramAccount(sandbox.InstagramAccount{IGID: ig, Username: "ig" + ig})
		user.Pages = append(user.Pages, sandbox.FacebookPage{ID: "10" + ig, Name: "Page of " + ig, InstagramID: ig})
	}
	w.sim.AddFacebookUser(user)
	o := w.finish(w.allow(models.Instagram, w.begin(models.Instagram), userID))
	if o.Code != "" || len(o.Accounts) != len(igIDs) {
		w.t.Fatalf("outcome %+v", o)
	}
	accounts := make([]*models.InstagramAccount, len(o.Accounts))
	for i, a := range o.Accounts {
		accounts[i] = w.instagram(a.ID)
	}
	return accounts
}

func (w *world) account(id int64) *models.OAuthAccount {
	w.t.Helper()
	a, err := w.db.Accounts.OAuthAccount(w.ctx, id)
	w.must(err)
	return a
}

func (w *world) instagram(id int64) *models.InstagramAccount {
	w.t.Helper()
	a, err := w.db.Accounts.InstagramAccount(w.ctx, id)
	w.must(err)
	return a
}

// post stores a post of a TikTok or Instagram account, changed by change.
func (w *world) post(p models.Platform, accountID int64, change func(*models.Post)) *models.Post {
	w.t.Helper()
	now := models.Time(w.clock.Now())
	post := &models.Post{
		ID: models.NewID(), AppID: w.app.ID, UserID: w.user.ID, Platform: p, OAuthAccountID: accountID, Kind: models.Video,
		Content:   models.Content{p: json.RawMessage(`{"title":"hi","privacy_level":"SELF_ONLY"}`)},
		PublishAt: now, CreatedAt: now, UpdatedAt: now, Lane: models.Lane(p, accountID),
		Status: models.Queued, Step: models.StepTransfer, Admission: models.AdmissionWaiting, RunAt: &now,
	}
	if p == models.Instagram {
		post.InstagramAccountID, post.OAuthAccountID = &accountID, w.instagram(accountID).OAuthAccountID
	}
	if change != nil {
		change(post)
	}
	w.must(w.db.Posts.Insert(w.ctx, post, nil, 3, nil))
	return post
}

// inHalfAnHour schedules a post.
func (w *world) inHalfAnHour(p *models.Post) {
	at := w.clock.Now().Add(30 * time.Minute)
	p.Status, p.RunAt, p.PublishAt = models.Scheduled, &at, at
}

func (w *world) reload(p *models.Post) *models.Post {
	w.t.Helper()
	got, err := w.db.Posts.ByID(w.ctx, p.ID)
	w.must(err)
	return got
}

func (w *world) timeline(p *models.Post) string {
	w.t.Helper()
	events, err := w.db.Posts.Events(w.ctx, p.ID)
	w.must(err)
	var b strings.Builder
	for _, e := range events {
		fmt.Fprintf(&b, "%s %s>%s %s\n", e.Type, e.From, e.To, e.Message)
	}
	return b.String()
}

// token is what a post of the account would use.
func (w *world) token(p *models.Post) oauth.Token {
	w.t.Helper()
	token, err := w.For(w.ctx, p)
	w.must(err)
	return token
}

// refused makes a call with a post's token, which the platform refuses, and has the
// token renewed as a run does.
func (w *world) refused(p *models.Post) error {
	w.t.Helper()
	token := w.token(p)
	var refusal error
	if p.Platform == models.TikTok {
		_, refusal = w.tiktok.CreatorInfo(w.ctx, token.Access)
	} else {
		_, refusal = w.meta.Quota(w.ctx, token.Access, token.ProviderAccountID)
	}
	if refusal == nil {
		w.t.Fatal("the platform took the token")
	}
	return w.Renew(w.ctx, token, refusal)
}

// tick is one round of the scheduler, and of the worker after it.
func (w *world) tick() {
	w.t.Helper()
	w.must(w.EnqueueDue(w.ctx))
	for _, id := range w.queue.take() {
		w.must(w.Upkeep(w.ctx, id))
	}
}

// live runs the world for a time, in steps.
func (w *world) live(d, step time.Duration) {
	w.t.Helper()
	for end := w.clock.Now().Add(d); w.clock.Now().Before(end); {
		w.clock.advance(step)
		w.tick()
	}
}

func (w *world) wantStatus(id int64, want models.AccountStatus) {
	w.t.Helper()
	if a := w.account(id); a.Status != want {
		w.t.Errorf("account %d is %s (%s), want %s", id, a.Status, a.StatusReason, want)
	}
}

func (w *world) wantCalls(op string, want int) {
	w.t.Helper()
	if got := w.sim.CountCalls(op); got != want {
		w.t.Errorf("%d calls of %s, want %d", got, op, want)
	}
}

// warned reports whether something was logged as a warning or worse.
func (w *world) warned(part string) bool {
	for _, e := range w.logs.AllEntries() {
		if e.Level <= logrus.WarnLevel && strings.Contains(e.Message, part) {
			return true
		}
	}
	return false
}
