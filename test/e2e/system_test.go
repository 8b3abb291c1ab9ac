package e2e

import (
	"maps"
	"net/http"
	"slices"
	"strings"
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
	"socialqueue/test/testkit"
)

const (
	encryptionKey = "e2e-key-e2e-key-e2e-key-e2e-key-"
)

// system is the whole system on servers of its own, with the simulated platforms
// behind it and one app that posts. The api runs from the start; workers and
// schedulers run when a test starts them.
type system struct {
	t        *testing.T
	sim      *sandbox.Server
	env      map[string]string
	redisURL string
	// db, ring and redis import accounts and let a test see what is stored. Faults
	// do not reach them.
	db    *db.DB
	ring  *secrets.Keyring
	redis redis.UniversalClient
	logs  *testkit.Logs
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
	// databaseVia, if set, gives the way to the database another address.
	databaseVia func(databaseURL string) string
}

// unlimited are platforms without budgets that answer at once, for tests of our
// own behaviour under load.
func unlimited() sandbox.Options {
	return sandbox.Options{Limits: &sandbox.Limits{}, Delays: &sandbox.Delays{}, DiscardBytes: true}
}

func newSystem(t *testing.T, s setup) *system {
	t.Helper()
	w := &system{t: t, redisURL: redistest.URL(t), logs: &testkit.Logs{}}
	databaseURL := dbtest.PostgresURL(t)
	w.startSandbox(s)
	w.env = map[string]string{
		"DATABASE_URL": databaseURL, "REDIS_URL": w.redisURL, "TOKEN_ENCRYPTION_KEY": encryptionKey,
		"HTTP_ADDR": "127.0.0.1:0", "OPS_ADDR": "127.0.0.1:0",
		"MEDIA_BUCKET_URL": "file://" + t.TempDir(), "MEDIA_ALLOW_PRIVATE_HOSTS": "true",
		"SHUTDOWN_TIMEOUT": "10s",
	}
	maps.Copy(w.env, testkit.SandboxEnv(w.sim))
	if s.redisVia != nil {
		w.env["REDIS_URL"] = throughAddr(w.redisURL, s.redisVia)
	}
	if s.databaseVia != nil {
		w.env["DATABASE_URL"] = s.databaseVia(databaseURL)
	}
	maps.Copy(w.env, s.env)

	w.ring = testkit.Keyring(t, encryptionKey)
	var err error
	w.db, err = db.OpenPostgres(t.Context(), secrets.Secret(databaseURL), 4)
	w.must(err)
	t.Cleanup(func() { _ = w.db.Close() })
	settings, err := config.ParseRedisURL(secrets.Secret(w.redisURL))
	w.must(err)
	w.redis = jobs.NewRedis(settings)
	t.Cleanup(func() { _ = w.redis.Close() })
	w.http = testkit.NewHTTP(t)

	w.startAPI()
	w.appID, w.key, err = tenants.New(tenants.Deps{DB: w.db, Now: time.Now}).CreateApp(t.Context(), "e2e")
	w.must(err)
	w.userID = w.call(testkit.Call{Method: "POST", Path: "/api/users", JSON: fields{"external_id": "u1"}}).Want(201).Number("id")
	w.logs.ShowOnFailure(t)
	return w
}

func (w *system) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *system) startSandbox(s setup) {
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

func (w *system) config(role config.Role, env map[string]string) config.Config {
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
func (w *system) options(service string) app.Options {
	timings := publish.DefaultTimings()
	timings.Arrival = 3 * time.Second                                           // nothing arrives late on one machine
	timings.Looks = slices.Repeat([]time.Duration{250 * time.Millisecond}, 200) // behind the last they get an hour apart
	return app.Options{Log: w.logger(service), Timings: &timings}
}

func (w *system) logger(service string) *logrus.Logger {
	return observe.NewLogger(service, "trace", "json", w.logs)
}

func (w *system) startAPI() {
	w.t.Helper()
	var err error
	w.api, err = app.NewAPI(w.t.Context(), w.config(config.API, nil), w.options("api"))
	w.must(err)
	testkit.Run(w.t, w.api)
	// The api only checks links; those who make them have to know where it is.
	w.env["PUBLIC_URL"] = w.url()
}

func (w *system) url() string { return "http://" + w.api.Addr() }

// startWorker starts a further worker and returns how to stop it, as SIGTERM
// would.
func (w *system) startWorker(env ...map[string]string) (stop func()) {
	w.t.Helper()
	p, err := app.NewWorker(w.t.Context(), w.config(config.Worker, merged(env)), w.options("worker"))
	w.must(err)
	return testkit.Run(w.t, p)
}

func (w *system) startScheduler() (stop func()) {
	w.t.Helper()
	p, err := app.NewScheduler(w.t.Context(), w.config(config.Scheduler, nil), w.options("scheduler"))
	w.must(err)
	return testkit.Run(w.t, p)
}

func merged(env []map[string]string) map[string]string {
	all := map[string]string{}
	for _, e := range env {
		maps.Copy(all, e)
	}
	return all
}

// account is one connected account, as both sides know it.
type account struct {
	id         int64  // ours
	external   string // the platform's: open_id or ig-id
	lane       string
	path       string // where it is posted to
	credential []string
}

func (w *system) tiktokAccount() account {
	w.t.Helper()
	expires := time.Now().Add(24 * time.Hour)
	a := w.sim.AddTikTokAccount(sandbox.TikTokAccount{PostsCap: -1, ExpiresAt: expires})
	id := w.connect(oauth.Import{
		Platform: models.TikTok, ProviderAccountID: a.OpenID, Username: a.Username,
		Access: secrets.Secret(a.AccessToken), Refresh: secrets.Secret(a.RefreshToken), ExpiresAt: &expires,
	})
	return account{id, a.OpenID, models.Lane(models.TikTok, id), "/api/tiktok/upload", []string{a.AccessToken, a.RefreshToken}}
}

func (w *system) instagramAccount() account {
	w.t.Helper()
	a := w.sim.AddInstagramAccount(sandbox.InstagramAccount{QuotaTotal: 10_000})
	id := w.connect(oauth.Import{
		Platform: models.Instagram, ProviderAccountID: a.IGID, Username: a.Username, Access: secrets.Secret(a.PageToken),
	})
	return account{id, a.IGID, models.Lane(models.Instagram, id), "/api/instagram/publish", []string{a.PageToken, a.UserToken}}
}

func (w *system) connect(in oauth.Import) int64 {
	w.t.Helper()
	user := models.User{ID: w.userID, AppID: w.appID}
	return testkit.Connect(w.t, testkit.Importer(w.db, w.ring, time.Now), user, in)
}

// link is the signed public link of a file, as a platform gets it.
func (w *system) link(mediaID string, life time.Duration) string {
	w.t.Helper()
	links, err := media.NewSigner(w.ring, w.url())
	w.must(err)
	return links.Link(mediaID, time.Now().Add(life)).Reveal()
}

// inspector is Asynq's own view of Redis.
func (w *system) inspector() *asynq.Inspector { return asynq.NewInspectorFromRedisClient(w.redis) }
