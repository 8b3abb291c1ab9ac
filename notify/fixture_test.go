package notify_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"go.uber.org/goleak"

	"socialqueue/db"
	"socialqueue/db/dbtest"
	"socialqueue/egress"
	"socialqueue/models"
	"socialqueue/notify"
	"socialqueue/oauth"
	"socialqueue/observe"
	"socialqueue/secrets"
	"socialqueue/test/testkit"
	"socialqueue/view"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const newKeys = "new-key-new-key-new-key-new-key-"

// fixture is the service on a real database, with two apps that have one account each.
type fixture struct {
	*notify.Service
	t     *testing.T
	ctx   context.Context
	db    *db.DB
	clock *testkit.Clock
	queue *testkit.Queue
	logs  *testkit.Logs

	ours, theirs tenant
}

type tenant struct {
	appID, userID, accountID int64
}

// each runs test on both databases.
func each(t *testing.T, test func(*fixture)) {
	t.Helper()
	dbtest.Each(t, func(t *testing.T, d *db.DB) { test(newFixture(t, d)) })
}

func newFixture(t *testing.T, d *db.DB) *fixture {
	t.Helper()
	w := &fixture{t: t, ctx: t.Context(), db: d, clock: testkit.NewClock(), queue: &testkit.Queue{}, logs: &testkit.Logs{}}
	w.build(testkit.Key, egress.New(true))
	w.ours, w.theirs = w.tenant("ours"), w.tenant("theirs")
	return w
}

// build creates the service with these keys and this guard.
func (w *fixture) build(keys string, guard *egress.Guard) {
	w.t.Helper()
	w.Service = notify.New(notify.Deps{
		DB: w.db, Keys: testkit.Keyring(w.t, keys), Queue: w.queue, Guard: guard, Log: observe.NewLogger("worker", "trace", "json", w.logs), Now: w.clock.Now,
	})
	w.t.Cleanup(func() { _ = w.Close() })
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
	accounts := testkit.Importer(w.db, testkit.Keyring(w.t, testkit.Key), w.clock.Now)
	id := n.Connect(w.t, accounts, oauth.Import{Platform: models.TikTok, ProviderAccountID: name, Access: "token"})
	return tenant{n.App.ID, n.User.ID, id}
}

// receiver is an app's server. It stores the webhooks and answers as configured, at first
// with 204.
type receiver struct {
	*httptest.Server
	t      *testing.T
	mu     sync.Mutex
	got    []message
	answer func(http.ResponseWriter, message)
	came   chan message
}

// message is one received webhook.
type message struct {
	header http.Header
	body   []byte
	event  view.Event
}

func (w *fixture) receiver(answer func(http.ResponseWriter, message)) *receiver {
	w.t.Helper()
	r := &receiver{t: w.t, came: make(chan message, 1000)}
	r.answers(answer)
	r.Server = httptest.NewServer(r)
	w.t.Cleanup(r.Close)
	return r
}

// answers sets the answer to later messages; nil is 204.
func (r *receiver) answers(answer func(http.ResponseWriter, message)) {
	if answer == nil {
		answer = status(http.StatusNoContent)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = answer
}

func status(code int) func(http.ResponseWriter, message) {
	return func(rw http.ResponseWriter, _ message) { rw.WriteHeader(code) }
}

func (r *receiver) ServeHTTP(rw http.ResponseWriter, req *http.Request) {
	m := message{header: req.Header}
	var err error
	if m.body, err = io.ReadAll(req.Body); err == nil {
		err = json.Unmarshal(m.body, &m.event)
	}
	if err != nil || req.Method != http.MethodPost {
		r.t.Errorf("%s %s: %v", req.Method, m.body, err)
	}
	r.mu.Lock()
	r.got = append(r.got, m)
	answer := r.answer
	r.mu.Unlock()
	r.came <- m
	answer(rw, m)
}

// messages returns the messages received so far.
func (r *receiver) messages() []message {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.got)
}

func (r *receiver) wantCalls(want int) {
	r.t.Helper()
	if got := len(r.messages()); got != want {
		r.t.Fatalf("%d calls, want %d", got, want)
	}
}

// gate blocks answers until it is opened. A test must also open it in its own cleanup,
// before the receiver's, which waits for every answer.
func gate() (opened <-chan struct{}, open func()) {
	held := make(chan struct{})
	return held, sync.OnceFunc(func() { close(held) })
}

// next waits for the next message.
func (r *receiver) next() message {
	r.t.Helper()
	return testkit.Receive(r.t, "a webhook comes", r.came)
}

// id returns the webhook-id.
func (m message) id() string { return m.header.Get(standardwebhooks.HeaderWebhookID) }

// sent returns the webhook-timestamp.
func (m message) sent() time.Time {
	seconds, _ := strconv.ParseInt(m.header.Get(standardwebhooks.HeaderWebhookTimestamp), 10, 64)
	return time.Unix(seconds, 0).UTC()
}

// verifies reports whether the message was signed with a secret. The library would compare
// its time with the wall clock, which the tests do not use.
func (m message) verifies(secret secrets.Secret) bool {
	hook, err := standardwebhooks.NewWebhook(secret.Reveal())
	return err == nil && hook.VerifyIgnoringTimestamp(m.body, m.header) == nil
}

// endpoint creates an endpoint of our app for all events.
func (w *fixture) endpoint(url string) (*models.WebhookEndpoint, secrets.Secret) {
	w.t.Helper()
	return w.endpointOf(w.ours, url)
}

func (w *fixture) endpointOf(who tenant, url string) (*models.WebhookEndpoint, secrets.Secret) {
	w.t.Helper()
	e, secret, err := w.Create(w.ctx, who.appID, notify.Request{URL: &url}, nil)
	w.must(err)
	return e, secret
}

// stored reads an endpoint.
func (w *fixture) stored(e *models.WebhookEndpoint) *models.WebhookEndpoint {
	w.t.Helper()
	now, err := w.db.Outbox.Endpoint(w.ctx, e.AppID, e.ID)
	w.must(err)
	return now
}

// post creates a post of our app without events.
func (w *fixture) post() *models.Post {
	w.t.Helper()
	return w.postOf(w.ours)
}

func (w *fixture) postOf(who tenant) *models.Post {
	w.t.Helper()
	now := models.Time(w.clock.Now())
	p := &models.Post{
		ID: models.NewID(), AppID: who.appID, UserID: who.userID, Platform: models.TikTok, OAuthAccountID: who.accountID, Kind: models.Video,
		Content:   models.Content{models.TikTok: json.RawMessage(`{"title":"hi","privacy_level":"SELF_ONLY"}`)},
		PublishAt: now, CreatedAt: now, UpdatedAt: now, Lane: models.Lane(models.TikTok, who.accountID), CorrelationID: "req-1",
		Status: models.Queued, Step: models.StepTransfer, Admission: models.AdmissionWaiting, RunAt: &now,
	}
	const places = 1000
	w.must(w.db.Posts.Insert(w.ctx, []db.NewPost{{Post: p}}, places, nil))
	admitted, err := w.db.Admission.Admit(w.ctx, []models.Post{*p}, now)
	w.must(err)
	if len(admitted) == 0 && w.reload(p).Admission != models.AdmissionAdmitted {
		w.t.Fatal("the post was not admitted")
	}
	return p
}

func (w *fixture) reload(p *models.Post) *models.Post {
	w.t.Helper()
	now, err := w.db.Posts.ByID(w.ctx, p.ID)
	w.must(err)
	return now
}

// happens creates that many events of a post: it is deferred for another reason each time.
func (w *fixture) happens(p *models.Post, times int) {
	w.t.Helper()
	for range times {
		stored, err := w.db.Posts.ByID(w.ctx, p.ID)
		w.must(err)
		reason := models.DeferredRateLimit
		if stored.DeferredReason == reason {
			reason = models.DeferredRetry
		}
		claimed, err := w.db.Runs.Claim(w.ctx, p.ID, stored.Fence, "w", w.clock.Now(), time.Minute)
		w.must(err)
		from, now := claimed.Status, models.Time(w.clock.Now())
		claimed.Status, claimed.DeferredReason, claimed.DeferredUntil, claimed.UpdatedAt = models.Queued, reason, &now, now
		claimed.LeaseUntil, claimed.LeaseOwner = nil, ""
		w.must(w.db.Runs.Write(w.ctx, db.RunWrite{Post: claimed, From: from, Release: true}))
	}
}

// news creates an event of a new post, and returns the post.
func (w *fixture) news() *models.Post {
	w.t.Helper()
	p := w.post()
	w.happens(p, 1)
	return p
}

// tick runs one round of the scheduler and the workers. It returns the number of runs.
func (w *fixture) tick() int {
	w.t.Helper()
	w.must(w.EnqueueDue(w.ctx))
	runs := w.queue.Deliveries.TakeAll()
	for _, r := range runs {
		w.must(w.Deliver(w.ctx, r, nil))
	}
	return len(runs)
}

// run returns the due run of an endpoint.
func (w *fixture) run(e *models.WebhookEndpoint) db.EndpointRun {
	w.t.Helper()
	w.must(w.EnqueueDue(w.ctx))
	for _, r := range w.queue.Deliveries.TakeAll() {
		if r.ID == e.ID {
			return r
		}
	}
	w.t.Fatalf("endpoint %s has nothing due", e.ID)
	return db.EndpointRun{}
}

// nextTick advances the clock until an endpoint has a due delivery, and ticks.
func (w *fixture) nextTick(e *models.WebhookEndpoint) {
	w.t.Helper()
	var at time.Time
	waiting := map[string]bool{} // of these something goes first
	for _, d := range w.deliveries(e) {
		if d.NextAt != nil && !waiting[d.Subject] && (at.IsZero() || d.NextAt.Before(at)) {
			at = *d.NextAt
		}
		waiting[d.Subject] = waiting[d.Subject] || d.NextAt != nil
	}
	if at.IsZero() {
		w.t.Fatalf("endpoint %s has no pending delivery", e.ID)
	}
	if rest := w.stored(e).BackoffUntil; rest != nil && rest.After(at) {
		at = *rest
	}
	w.clock.Reach(at)
	w.tick()
}

// deliveries returns the deliveries of an endpoint, oldest first.
func (w *fixture) deliveries(e *models.WebhookEndpoint) []models.WebhookDelivery {
	w.t.Helper()
	all, err := w.db.Outbox.Deliveries(w.ctx, db.DeliveryFilter{EndpointID: e.ID, Limit: 10_000})
	w.must(err)
	slices.Reverse(all)
	return all
}

// only returns the only delivery of an endpoint.
func (w *fixture) only(e *models.WebhookEndpoint) models.WebhookDelivery {
	w.t.Helper()
	all := w.deliveries(e)
	if len(all) != 1 {
		w.t.Fatalf("%d deliveries, want 1", len(all))
	}
	return all[0]
}

func (w *fixture) attempts(d models.WebhookDelivery) []models.WebhookAttempt {
	w.t.Helper()
	of, err := w.db.Outbox.Attempts(w.ctx, []int64{d.ID})
	w.must(err)
	return of[d.ID]
}

// last returns the last attempt of an endpoint's only delivery.
func (w *fixture) last(e *models.WebhookEndpoint) models.WebhookAttempt {
	w.t.Helper()
	attempts := w.attempts(w.only(e))
	if len(attempts) == 0 {
		w.t.Fatal("nothing was tried")
	}
	return attempts[len(attempts)-1]
}

// wantStates compares the states of an endpoint's deliveries, the oldest first.
func (w *fixture) wantStates(e *models.WebhookEndpoint, want ...models.DeliveryStatus) {
	w.t.Helper()
	var got []models.DeliveryStatus
	for _, d := range w.deliveries(e) {
		got = append(got, d.Status)
	}
	if !slices.Equal(got, want) {
		w.t.Errorf("the deliveries are %v, want %v", got, want)
	}
}

func (w *fixture) wantEnabled(e *models.WebhookEndpoint) {
	w.t.Helper()
	if now := w.stored(e); now.Status != models.EndpointEnabled || now.StatusReason != "" {
		w.t.Errorf("the endpoint is %s (%s)", now.Status, now.StatusReason)
	}
}

func (w *fixture) wantDisabled(e *models.WebhookEndpoint, why string) {
	w.t.Helper()
	if now := w.stored(e); now.Status != models.EndpointDisabled || !strings.Contains(now.StatusReason, why) {
		w.t.Errorf("the endpoint is %s (%s), want disabled (%s)", now.Status, now.StatusReason, why)
	}
}

// change is a PATCH by the app.
func (w *fixture) change(e *models.WebhookEndpoint, r notify.Request) {
	w.t.Helper()
	_, err := w.Change(w.ctx, e.AppID, e.ID, r)
	w.must(err)
}

func (w *fixture) enable(e *models.WebhookEndpoint) {
	w.t.Helper()
	enabled := models.EndpointEnabled
	w.change(e, notify.Request{Status: &enabled})
}

// goDeliver runs Deliver as a worker does, and closes done after it.
func (w *fixture) goDeliver(r db.EndpointRun, drain <-chan struct{}) (done <-chan struct{}) {
	finished := make(chan struct{})
	go func() {
		defer close(finished)
		if err := w.Deliver(w.ctx, r, drain); err != nil {
			w.t.Error(err)
		}
	}()
	return finished
}
