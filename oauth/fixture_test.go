package oauth_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/sirupsen/logrus"
	logtest "github.com/sirupsen/logrus/hooks/test"
	"go.uber.org/goleak"

	"socialqueue/db"
	"socialqueue/db/dbtest"
	"socialqueue/jobs"
	"socialqueue/jobs/redistest"
	"socialqueue/models"
	"socialqueue/oauth"
	"socialqueue/platform/instagram"
	"socialqueue/platform/tiktok"
	"socialqueue/sandbox"
	"socialqueue/secrets"
	"socialqueue/test/testkit"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const publicURL = "http://localhost:3000"

// late delays the answer to the next request to a path; the request itself takes effect. It
// runs call in the background and, once the answer has arrived, meanwhile. Then it delivers
// the answer and returns the result of call.
func (w *fixture) late(path string, call func() error, meanwhile func()) error {
	w.t.Helper()
	arrived, deliver := w.wire.HoldAnswer(path)
	w.t.Cleanup(deliver)
	done := make(chan error, 1)
	go func() { done <- call() }()
	testkit.Receive(w.t, "the answer of "+path+" arrives", arrived)
	meanwhile()
	deliver()
	return <-done
}

// fixture is the service with the platforms and a browser around it.
type fixture struct {
	*oauth.Service
	t       *testing.T
	ctx     context.Context
	db      *db.DB
	sim     *testkit.Sandbox
	clock   *testkit.Clock
	queue   *testkit.Queue
	wire    *testkit.Wire
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
func each(t *testing.T, test func(*fixture)) {
	t.Helper()
	dbtest.Each(t, func(t *testing.T, d *db.DB) { test(newFixture(t, d, sandbox.Options{})) })
}

func newFixture(t *testing.T, d *db.DB, o sandbox.Options) *fixture {
	t.Helper()
	w := &fixture{t: t, ctx: t.Context(), db: d, clock: testkit.NewClock(), queue: &testkit.Queue{}}
	o.Now, o.Limits = w.clock.Now, &sandbox.Limits{}
	w.sim = testkit.NewSandbox(t, o)
	w.browser = testkit.NewBrowser(t)
	w.wire = testkit.NewWire(w.browser.Transport)
	w.redis = jobs.NewRedis(redistest.Settings(t))
	t.Cleanup(func() { w.must(w.redis.Close()) })
	w.build(testkit.Key)
	w.app, w.user = w.tenant("shop")
	return w
}

// build makes the service with the given keys.
func (w *fixture) build(keys string) {
	w.t.Helper()
	log, hook := logtest.NewNullLogger()
	log.SetLevel(logrus.DebugLevel)
	w.logs = hook
	client := &http.Client{Transport: w.wire}
	w.tiktok, w.meta = w.sim.TikTok(client, w.clock.Now), w.sim.Instagram(client, w.clock.Now)
	w.deps = oauth.Deps{
		DB: w.db, Keys: testkit.Keyring(w.t, keys), Redis: w.redis, Queue: w.queue, PublicURL: publicURL, Log: log, Now: w.clock.Now,
		Connectors: w.sim.Connectors(w.tiktok, w.meta, w.clock.Now),
	}
	w.Service = oauth.New(w.deps)
}

func (w *fixture) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *fixture) tenant(name string) (models.App, models.User) {
	w.t.Helper()
	n := testkit.NewTenant(w.t, w.db, name, w.clock.Now())
	return n.App, n.User
}

func (w *fixture) newUser(app models.App, name string) models.User {
	w.t.Helper()
	return testkit.NewUser(w.t, w.db, app, name, w.clock.Now())
}

// begin starts a connect for the user of the fixture.
func (w *fixture) begin(p models.Platform) (address string) {
	w.t.Helper()
	return w.beginFor(w.user, p, "")
}

func (w *fixture) beginFor(user models.User, p models.Platform, returnURL string) string {
	w.t.Helper()
	address, err := w.Begin(w.ctx, oauth.Start{AppID: user.AppID, UserID: user.ID, Platform: p, ReturnURL: returnURL})
	w.must(err)
	return address
}

// allow submits the consent page, as changed by choose, and returns the platform's
// callback.
func (w *fixture) allow(p models.Platform, address, person string, choose ...func(url.Values)) oauth.Callback {
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
	cb := oauth.Callback{Platform: p, State: q.Get("state"), Code: secrets.Secret(q.Get("code"))}
	if said := q.Get("error"); said != "" {
		cb.Refusal = &oauth.Refusal{Error: said, Words: []string{said}}
	}
	return cb
}

// only grants these scopes and no others.
func only(scopes ...string) func(url.Values) {
	return func(form url.Values) { form["form"], form["scope"] = []string{"1"}, scopes }
}

func (w *fixture) finish(cb oauth.Callback) oauth.Outcome {
	w.t.Helper()
	o, err := w.Finish(w.ctx, cb)
	w.must(err)
	return o
}

// person makes a TikTok account at the platform.
func (w *fixture) person(openID string) sandbox.TikTokAccount {
	return w.sim.AddTikTokAccount(sandbox.TikTokAccount{OpenID: openID, Username: "user" + strings.Trim(openID, "-_"), Nickname: "Nick " + openID})
}

// connectTikTok connects an account of the user of the fixture through the consent page.
func (w *fixture) connectTikTok(openID string) *models.OAuthAccount {
	w.t.Helper()
	w.person(openID)
	o := w.finish(w.allow(models.TikTok, w.begin(models.TikTok), openID))
	if o.Code != "" || len(o.Accounts) != 1 {
		w.t.Fatalf("outcome %+v", o)
	}
	return w.account(o.Accounts[0].ID)
}

// connectFacebook connects a login of the user of the fixture, with one Page for each of
// the Instagram accounts.
func (w *fixture) connectFacebook(userID string, igIDs ...string) []*models.InstagramAccount {
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

func (w *fixture) account(id int64) *models.OAuthAccount {
	w.t.Helper()
	a, err := w.db.Accounts.OAuthAccount(w.ctx, id)
	w.must(err)
	return a
}

func (w *fixture) instagram(id int64) *models.InstagramAccount {
	w.t.Helper()
	a, err := w.db.Accounts.InstagramAccount(w.ctx, id)
	w.must(err)
	return a
}

// post stores a post of a TikTok or Instagram account, changed by change.
func (w *fixture) post(p models.Platform, accountID int64, change func(*models.Post)) *models.Post {
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
	w.must(w.db.Posts.Insert(w.ctx, []db.NewPost{{Post: post}}, 3, nil))
	return post
}

// inHalfAnHour schedules a post.
func (w *fixture) inHalfAnHour(p *models.Post) {
	at := w.clock.Now().Add(30 * time.Minute)
	p.Status, p.RunAt, p.PublishAt = models.Scheduled, &at, at
}

func (w *fixture) reload(p *models.Post) *models.Post {
	w.t.Helper()
	got, err := w.db.Posts.ByID(w.ctx, p.ID)
	w.must(err)
	return got
}

func (w *fixture) timeline(p *models.Post) string {
	w.t.Helper()
	events, err := w.db.Posts.Events(w.ctx, p.ID)
	w.must(err)
	var b strings.Builder
	for _, e := range events {
		fmt.Fprintf(&b, "%s %s>%s %s\n", e.Type, e.From, e.To, e.Message)
	}
	return b.String()
}

// token returns the token that a run of the post would use.
func (w *fixture) token(p *models.Post) oauth.Token {
	w.t.Helper()
	token, err := w.For(w.ctx, p)
	w.must(err)
	return token
}

// refused makes a call with a post's token, which the platform must refuse, and renews the
// token as a run does.
func (w *fixture) refused(p *models.Post) error {
	w.t.Helper()
	token := w.token(p)
	var refusal error
	if p.Platform == models.TikTok {
		_, refusal = w.tiktok.CreatorInfo(w.ctx, token.Access)
	} else {
		_, refusal = w.meta.Quota(w.ctx, token.Access, token.ProviderAccountID)
	}
	if refusal == nil {
		w.t.Fatal("the platform accepted the token")
	}
	return w.Renew(w.ctx, token, refusal)
}

// tick is one round of the scheduler, and of the worker after it.
func (w *fixture) tick() {
	w.t.Helper()
	w.must(w.EnqueueDue(w.ctx))
	for _, id := range w.queue.Accounts.TakeAll() {
		w.must(w.Maintain(w.ctx, id))
	}
}

// live runs the service for a time, in steps.
func (w *fixture) live(d, step time.Duration) {
	w.t.Helper()
	for end := w.clock.Now().Add(d); w.clock.Now().Before(end); {
		w.clock.Advance(step)
		w.tick()
	}
}

func (w *fixture) wantStatus(id int64, want models.AccountStatus) {
	w.t.Helper()
	if a := w.account(id); a.Status != want {
		w.t.Errorf("account %d is %s (%s), want %s", id, a.Status, a.StatusReason, want)
	}
}

func (w *fixture) wantCalls(op string, want int) {
	w.t.Helper()
	if got := w.sim.CountCalls(op); got != want {
		w.t.Errorf("%d calls of %s, want %d", got, op, want)
	}
}

// warned reports whether something was logged as a warning or worse.
func (w *fixture) warned(part string) bool {
	for _, e := range w.logs.AllEntries() {
		if e.Level <= logrus.WarnLevel && strings.Contains(e.Message, part) {
			return true
		}
	}
	return false
}
