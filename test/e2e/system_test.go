package e2e

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
	"github.com/sirupsen/logrus"

	"socialqueue/app"
	"socialqueue/config"
	"socialqueue/db"
	"socialqueue/db/dbtest"
	"socialqueue/jobs"
	"socialqueue/jobs/redistest"
	"socialqueue/media"
	"socialqueue/models"
	"socialqueue/oauth"
	"socialqueue/observe"
	"socialqueue/publish"
	"socialqueue/sandbox"
	"socialqueue/secrets"
	"socialqueue/tenants"
)

const (
	encryptionKey = "e2e-key-e2e-key-e2e-key-e2e-key-"
	stopTimeout   = 20 * time.Second
)

// world is the whole system on servers of its own, the simulated platforms
// behind it, and one app that posts. The api runs from the start; workers and
// schedulers run when a test starts them.
type world struct {
	t        *testing.T
	sim      *sandbox.Server
	env      map[string]string
	redisURL string
	// db, ring and redis are for what has no route yet, the import of accounts,
	// and for looks behind the front door. This client meets no fault.
	db    *db.DB
	ring  *secrets.Keyring
	redis redis.UniversalClient
	logs  *logLines
	http  *http.Client

	api    *app.API
	appID  int64
	userID int64
	key    secrets.Secret
}

// setup is what a test may have different.
type setup struct {
	sandbox sandbox.Options
	env     map[string]string
	// inFront, if set, stands between the system and the simulated platforms.
	inFront func(platforms http.Handler) http.Handler
	// redisVia, if set, gives the way to Redis another address.
	redisVia func(addr string) string
}

// unlimited are platforms without budgets that answer at once, for tests of our
// own behaviour under load.
func unlimited() sandbox.Options {
	return sandbox.Options{Limits: &sandbox.Limits{}, Delays: &sandbox.Delays{}, DiscardBytes: true}
}

func newWorld(t *testing.T, s setup) *world {
	t.Helper()
	w := &world{t: t, redisURL: redistest.URL(t), logs: &logLines{}}
	databaseURL := dbtest.PostgresURL(t)
	w.startSandbox(s)
	w.env = map[string]string{
		"DATABASE_URL": databaseURL, "REDIS_URL": w.redisURL, "TOKEN_ENCRYPTION_KEY": encryptionKey,
		"HTTP_ADDR": "127.0.0.1:0", "OPS_ADDR": "127.0.0.1:0",
		"MEDIA_BUCKET_URL": "file://" + t.TempDir(), "MEDIA_ALLOW_PRIVATE_HOSTS": "true",
		"TIKTOK_AUTH_URL": w.sim.TikTokAuthURL(), "TIKTOK_API_URL": w.sim.TikTokURL(),
		"FACEBOOK_DIALOG_URL": w.sim.FacebookDialogURL(), "FACEBOOK_GRAPH_URL": w.sim.GraphURL(), "INSTAGRAM_UPLOAD_URL": w.sim.RuploadURL(),
		"TIKTOK_CLIENT_KEY": w.sim.Options().TikTokClientKey, "TIKTOK_CLIENT_SECRET": w.sim.Options().TikTokClientSecret,
		"FACEBOOK_APP_ID": w.sim.Options().FacebookAppID, "FACEBOOK_APP_SECRET": w.sim.Options().FacebookAppSecret,
		"SHUTDOWN_TIMEOUT": "10s",
	}
	if s.redisVia != nil {
		w.env["REDIS_URL"] = throughAddr(w.redisURL, s.redisVia)
	}
	maps.Copy(w.env, s.env)

	var err error
	w.ring, err = secrets.ParseKeyring(encryptionKey)
	w.must(err)
	w.db, err = db.OpenPostgres(t.Context(), secrets.Secret(databaseURL), 4)
	w.must(err)
	t.Cleanup(func() { _ = w.db.Close() })
	settings, err := config.ParseRedisURL(secrets.Secret(w.redisURL))
	w.must(err)
	w.redis = jobs.NewRedis(settings)
	t.Cleanup(func() { _ = w.redis.Close() })
	transport := &http.Transport{MaxIdleConnsPerHost: 32}
	w.http = &http.Client{Transport: transport}
	t.Cleanup(transport.CloseIdleConnections)

	w.startAPI()
	w.appID, w.key, err = tenants.New(tenants.Deps{DB: w.db, Now: time.Now}).CreateApp(t.Context(), "e2e")
	w.must(err)
	w.userID = w.call(request{method: "POST", path: "/api/users", json: fields{"external_id": "u1"}}).want(201).number("id")
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("warnings and errors of the processes:\n%s", w.logs.troubles())
		}
	})
	return w
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) startSandbox(s setup) {
	w.t.Helper()
	if s.inFront == nil {
		w.sim = sandbox.New(s.sandbox)
		w.t.Cleanup(func() { _ = w.sim.Close() })
		w.must(w.sim.Start("127.0.0.1:0"))
		return
	}
	server, url := listen(w.t)
	s.sandbox.BaseURL = url
	w.sim = sandbox.New(s.sandbox)
	w.t.Cleanup(func() { _ = w.sim.Close() })
	server(s.inFront(w.sim.Handler()))
}

// throughAddr replaces the host of a Redis URL.
func throughAddr(redisURL string, via func(string) string) string {
	rest := strings.TrimPrefix(redisURL, "redis://")
	host, path, _ := strings.Cut(rest, "/")
	return "redis://" + via(host) + "/" + path
}

func (w *world) config(role config.Role, env map[string]string) config.Config {
	w.t.Helper()
	all := maps.Clone(w.env)
	maps.Copy(all, env)
	cfg, err := config.Load(role, func(name string) string { return all[name] })
	w.must(err)
	return cfg
}

// options are those of production, but for the looks at how a post fares: the
// simulated platforms need fractions of a second where the real ones need
// minutes.
func (w *world) options(service string) app.Options {
	timings := publish.DefaultTimings()
	timings.Looks = slices.Repeat([]time.Duration{250 * time.Millisecond}, 200) // behind the last they get an hour apart
	return app.Options{Log: w.logger(service), Timings: &timings}
}

func (w *world) logger(service string) *logrus.Logger {
	return observe.NewLogger(service, "trace", "json", w.logs)
}

func (w *world) startAPI() {
	w.t.Helper()
	var err error
	w.api, err = app.NewAPI(w.t.Context(), w.config(config.API, nil), w.options("api"))
	w.must(err)
	w.run(w.api)
	// The api only checks links; those who make them have to know where it is.
	w.env["PUBLIC_URL"] = w.url()
}

func (w *world) url() string { return "http://" + w.api.Addr() }

// startWorker starts a further worker and returns how to stop it, as SIGTERM
// would.
func (w *world) startWorker(env ...map[string]string) (stop func()) {
	w.t.Helper()
	p, err := app.NewWorker(w.t.Context(), w.config(config.Worker, merged(env)), w.options("worker"))
	w.must(err)
	return w.run(p)
}

func (w *world) startScheduler() (stop func()) {
	w.t.Helper()
	p, err := app.NewScheduler(w.t.Context(), w.config(config.Scheduler, nil), w.options("scheduler"))
	w.must(err)
	return w.run(p)
}

func merged(env []map[string]string) map[string]string {
	all := map[string]string{}
	for _, e := range env {
		maps.Copy(all, e)
	}
	return all
}

func (w *world) run(p app.Process) (stop func()) {
	w.t.Helper()
	stop = sync.OnceFunc(func() {
		ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
		defer cancel()
		if err := p.Stop(ctx); err != nil {
			w.t.Errorf("stop: %v", err)
		}
	})
	w.t.Cleanup(stop)
	w.must(p.Start(w.t.Context()))
	return stop
}

// account is one connected account, as both sides know it.
type account struct {
	id         int64  // ours
	external   string // the platform's: open_id or ig-id
	lane       string
	path       string // where it is posted to
	credential []string
}

func (w *world) tiktokAccount() account {
	w.t.Helper()
	expires := time.Now().Add(24 * time.Hour)
	a := w.sim.AddTikTokAccount(sandbox.TikTokAccount{PostsCap: -1, ExpiresAt: expires})
	id := w.connect(oauth.Import{
		Platform: models.TikTok, ProviderAccountID: a.OpenID, Username: a.Username,
		Access: secrets.Secret(a.AccessToken), Refresh: secrets.Secret(a.RefreshToken), ExpiresAt: &expires,
	})
	return account{id, a.OpenID, models.Lane(models.TikTok, id), "/api/tiktok/upload", []string{a.AccessToken, a.RefreshToken}}
}

func (w *world) instagramAccount() account {
	w.t.Helper()
	a := w.sim.AddInstagramAccount(sandbox.InstagramAccount{QuotaTotal: 10_000})
	id := w.connect(oauth.Import{
		Platform: models.Instagram, ProviderAccountID: a.IGID, Username: a.Username, Access: secrets.Secret(a.PageToken),
	})
	return account{id, a.IGID, models.Lane(models.Instagram, id), "/api/instagram/publish", []string{a.PageToken, a.UserToken}}
}

func (w *world) connect(in oauth.Import) int64 {
	w.t.Helper()
	in.AppID, in.UserID = w.appID, w.userID
	accounts := oauth.New(oauth.Deps{DB: w.db, Keys: w.ring, Now: time.Now})
	id, err := accounts.Import(w.t.Context(), in)
	w.must(err)
	return id
}

// link is the signed public link of a file, as a platform gets it.
func (w *world) link(mediaID string, life time.Duration) string {
	w.t.Helper()
	links, err := media.NewSigner(w.ring, w.url())
	w.must(err)
	return links.Link(mediaID, time.Now().Add(life)).Reveal()
}

// inspector is Asynq's own view of Redis.
func (w *world) inspector() *asynq.Inspector { return asynq.NewInspectorFromRedisClient(w.redis) }

// logLines collects what all processes log.
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

// troubles are the last lines that matter.
func (l *logLines) troubles() string {
	var found []string
	for line := range strings.Lines(l.String()) {
		if strings.Contains(line, `"level":"warn`) || strings.Contains(line, `"level":"error"`) {
			found = append(found, line)
		}
	}
	const most = 40
	if n := len(found); n > most {
		found = append([]string{fmt.Sprintf("(%d earlier ones)\n", n-most)}, found[n-most:]...)
	}
	return strings.Join(found, "")
}
