//go:build alerts

package alerts

import (
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"socialqueue/app"
	"socialqueue/config"
	"socialqueue/db"
	"socialqueue/db/dbtest"
	"socialqueue/jobs"
	"socialqueue/jobs/redistest"
	"socialqueue/models"
	"socialqueue/oauth"
	"socialqueue/observe"
	"socialqueue/publish"
	"socialqueue/sandbox"
	"socialqueue/sandbox/sample"
	"socialqueue/secrets"
	"socialqueue/tenants"
	"socialqueue/test/testkit"
)

const (
	encryptionKey = "alerts-key-alerts-key-alerts-key"
	password      = "sesame"
	// uploadPlaces is how many transfers the worker runs at once: so few that an account
	// may have that many posts in the queue.
	uploadPlaces = 2
)

// system is the whole system on servers of its own: api, worker and scheduler, each at
// an address that it keeps, the simulated platforms, and an app that posts and is told
// of everything.
type system struct {
	t    *testing.T
	sim  *sandbox.Server
	env  map[string]string
	logs *testkit.Logs
	http *http.Client
	// addrs are where the processes answer Prometheus, by their names.
	addrs map[string]string
	// prometheus scrapes the processes, once a test has started it.
	prometheus *server
	// toPostgres and toRedis are the ways of the processes; db and redis are the test's
	// own, which nothing breaks.
	toPostgres, toRedis *redistest.Proxy
	db                  *db.DB
	redis               redis.UniversalClient
	ring                *secrets.Keyring

	stopAPI, stopWorker, stopScheduler func()

	appID, userID int64
	key           secrets.Secret
	tiktok        account
	instagram     account
	clip, still   string
	endpoint      *endpoint
}

// account is a connected account: its id here, and at the platform.
type account struct {
	id       int64
	external string
}

// newSystem starts everything.
func newSystem(t *testing.T) *system {
	t.Helper()
	w := &system{t: t, logs: &testkit.Logs{}, addrs: map[string]string{}}
	for _, name := range []string{"api", "worker", "scheduler"} {
		w.addrs[name] = testkit.FreeAddr(t)
	}
	w.startPlatforms()
	w.openServers()
	w.startProcesses()
	w.connectApp()
	w.logs.ShowOnFailure(t)
	return w
}

func (w *system) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *system) url() string           { return "http://" + w.addrs["api"] }
func (w *system) tiktokWebhook() string { return w.url() + "/api/webhooks/tiktok" }

// startPlatforms starts platforms that answer at once and send webhooks.
func (w *system) startPlatforms() {
	w.t.Helper()
	w.sim = sandbox.New(sandbox.Options{
		Limits: &sandbox.Limits{}, Delays: &sandbox.Delays{}, DiscardBytes: true,
		TikTokWebhookURL: w.tiktokWebhook(), MetaWebhookURL: w.url() + "/api/webhooks/instagram",
	})
	w.t.Cleanup(func() { _ = w.sim.Close() })
	w.must(w.sim.Start("127.0.0.1:0"))
}

// openServers makes a database and a Redis, with the ways to them.
func (w *system) openServers() {
	w.t.Helper()
	databaseURL, redisURL := dbtest.PostgresURL(w.t), redistest.URL(w.t)
	var throughDB, throughRedis string
	w.toPostgres, throughDB = w.proxy(databaseURL)
	w.toRedis, throughRedis = w.proxy(redisURL)
	w.env = map[string]string{
		"DATABASE_URL": throughDB, "REDIS_URL": throughRedis, "TOKEN_ENCRYPTION_KEY": encryptionKey,
		"PUBLIC_URL": w.url(), "OPERATOR_PASSWORD": password, "SHUTDOWN_TIMEOUT": "10s", "UPLOAD_CONCURRENCY": strconv.Itoa(uploadPlaces),
		"MEDIA_BUCKET_URL": "file://" + w.t.TempDir(), "MEDIA_ALLOW_PRIVATE_HOSTS": "true", "WEBHOOK_ALLOW_PRIVATE_HOSTS": "true",
		"INSTAGRAM_WEBHOOK_VERIFY_TOKEN": w.sim.Options().MetaVerifyToken,
	}
	maps.Copy(w.env, testkit.SandboxEnv(w.sim))
	w.ring = testkit.Keyring(w.t, encryptionKey)
	var err error
	w.db, err = db.OpenPostgres(w.t.Context(), secrets.Secret(databaseURL), 4)
	w.must(err)
	w.t.Cleanup(func() { _ = w.db.Close() })
	settings, err := config.ParseRedisURL(secrets.Secret(redisURL))
	w.must(err)
	w.redis = jobs.NewRedis(settings)
	w.t.Cleanup(func() { _ = w.redis.Close() })
}

// proxy puts a proxy in front of a server and returns the URL that leads through it.
func (w *system) proxy(serverURL string) (*redistest.Proxy, string) {
	w.t.Helper()
	u, err := url.Parse(serverURL)
	w.must(err)
	p := redistest.NewProxy(w.t, u.Host)
	u.Host = p.Addr()
	return p, u.String()
}

func (w *system) startProcesses() {
	w.t.Helper()
	w.startAPI()
	w.startWorker()
	w.startScheduler()
}

func (w *system) startAPI() {
	w.t.Helper()
	p, err := app.NewAPI(w.t.Context(), w.config(config.API, "api"), w.options("api"))
	w.must(err)
	w.stopAPI = testkit.Run(w.t, p)
}

func (w *system) startWorker() {
	w.t.Helper()
	p, err := app.NewWorker(w.t.Context(), w.config(config.Worker, "worker"), w.options("worker"))
	w.must(err)
	w.stopWorker = testkit.Run(w.t, p)
}

func (w *system) startScheduler() {
	w.t.Helper()
	p, err := app.NewScheduler(w.t.Context(), w.config(config.Scheduler, "scheduler"), w.options("scheduler"))
	w.must(err)
	w.stopScheduler = testkit.Run(w.t, p)
}

func (w *system) config(role config.Role, name string) config.Config {
	w.t.Helper()
	cfg, err := config.Load(role, func(variable string) string {
		if variable == "HTTP_ADDR" || variable == "OPS_ADDR" {
			return w.addrs[name]
		}
		return w.env[variable]
	})
	w.must(err)
	return cfg
}

// options are those of production, but that posts are looked at and tried again
// within fractions of a second.
func (w *system) options(service string) app.Options {
	timings := publish.DefaultTimings()
	timings.Arrival = 3 * time.Second // nothing arrives late on one machine
	timings.Looks = slices.Repeat([]time.Duration{250 * time.Millisecond}, 400)
	timings.Retries = slices.Repeat([]time.Duration{time.Second}, 100)
	return app.Options{Log: observe.NewLogger(service, "debug", "json", w.logs), Timings: &timings}
}

// connectApp makes an app with an account at each platform, files to post, and an
// endpoint that is told of everything.
func (w *system) connectApp() {
	w.t.Helper()
	w.http = testkit.NewHTTP(w.t)
	var err error
	w.appID, w.key, err = tenants.New(tenants.Deps{DB: w.db, Now: time.Now}).CreateApp(w.t.Context(), "alerts")
	w.must(err)
	var user struct{ ID int64 }
	w.call("POST", "/api/users", map[string]any{"external_id": "u1"}, &user)
	w.userID = user.ID
	w.tiktok = w.tiktokAccount(24 * time.Hour)
	ig := w.sim.AddInstagramAccount(sandbox.InstagramAccount{QuotaTotal: 10_000})
	w.instagram = account{w.connect(oauth.Import{
		Platform: models.Instagram, ProviderAccountID: ig.IGID, Username: ig.Username, Access: secrets.Secret(ig.PageToken),
	}), ig.IGID}
	w.clip, w.still = w.client().Upload("video/mp4", sample.Video), w.client().Upload("image/jpeg", sample.Picture)
	w.endpoint = newEndpoint(w.t)
	var made struct{ ID string }
	w.call("POST", "/api/webhook-endpoints", map[string]any{"url": w.endpoint.url}, &made)
	w.endpoint.id = made.ID
}

// tiktokAccount connects one whose access token lives that long. It is refreshed when
// half of a short life is over.
func (w *system) tiktokAccount(life time.Duration) account {
	w.t.Helper()
	expires := time.Now().Add(life)
	a := w.sim.AddTikTokAccount(sandbox.TikTokAccount{PostsCap: -1, ExpiresAt: expires})
	return account{w.connect(oauth.Import{
		Platform: models.TikTok, ProviderAccountID: a.OpenID, Username: a.Username,
		Access: secrets.Secret(a.AccessToken), Refresh: secrets.Secret(a.RefreshToken), ExpiresAt: &expires,
	}), a.OpenID}
}

func (w *system) connect(in oauth.Import) int64 {
	w.t.Helper()
	user := models.User{ID: w.userID, AppID: w.appID}
	return testkit.Connect(w.t, testkit.Importer(w.db, w.ring, time.Now), user, in)
}

// postVideo posts a video to TikTok, at once.
func (w *system) postVideo() (id string) { return w.postVideoLater(0) }

// postVideoLater posts a video to TikTok, at its time.
func (w *system) postVideoLater(in time.Duration) (id string) {
	w.t.Helper()
	return w.post("/api/tiktok/upload", map[string]any{
		"account_id": w.tiktok.id, "media_id": w.clip, "title": "a video", "privacy_level": "PUBLIC_TO_EVERYONE", "publish_at": time.Now().Add(in),
	})
}

// postPicture posts a picture to Instagram, at once.
func (w *system) postPicture() (id string) { return w.postLater(0) }

// postLater posts a picture to Instagram, at its time.
func (w *system) postLater(in time.Duration) (id string) {
	w.t.Helper()
	return w.post("/api/instagram/publish", map[string]any{
		"account_id": w.instagram.id, "media_id": w.still, "caption": "a picture", "media_type": "IMAGE", "publish_at": time.Now().Add(in),
	})
}

func (w *system) post(path string, body map[string]any) (id string) {
	w.t.Helper()
	var post struct{ ID string }
	w.call("POST", path, body, &post)
	return post.ID
}

func (w *system) untilStatus(id, status string) {
	w.t.Helper()
	testkit.Await(w.t, 30*time.Second, "post "+id+" is "+status, func() (bool, string) {
		var post struct{ Status string }
		w.call("GET", "/api/posts/"+id, nil, &post)
		return post.Status == status, post.Status
	})
}

// exec changes the database behind the system's back, for what would take hours.
func (w *system) exec(query string) (rows int64) {
	w.t.Helper()
	done, err := w.db.Pool().ExecContext(w.t.Context(), query)
	w.must(err)
	rows, err = done.RowsAffected()
	w.must(err)
	return rows
}

// refreshAgain has the tokens refreshed now of which a refresh failed; by itself that
// would be in minutes.
func (w *system) refreshAgain() {
	w.t.Helper()
	testkit.Await(w.t, 30*time.Second, "a refresh has failed", func() (bool, string) {
		return w.exec("UPDATE oauth_accounts SET upkeep_at = now() WHERE refresh_failures > 0 AND status = 'active'") > 0, ""
	})
}

// untilScheduled waits until a post's task waits in Redis for its time.
func (w *system) untilScheduled() {
	w.t.Helper()
	testkit.Await(w.t, 30*time.Second, "the task is in Redis", func() (bool, string) {
		info, err := w.inspector().GetQueueInfo(jobs.QueuePublish)
		return err == nil && info.Scheduled > 0, fmt.Sprint(info, err)
	})
}

// cancelJob cancels the next job of a queue that runs.
func (w *system) cancelJob(queue string) {
	w.t.Helper()
	testkit.Await(w.t, 30*time.Second, "a job of "+queue+" is canceled", func() (bool, string) {
		active, err := w.inspector().ListActiveTasks(queue)
		if err != nil || len(active) == 0 {
			return false, fmt.Sprint(err)
		}
		return w.inspector().CancelProcessing(active[0].ID) == nil, ""
	})
}

func (w *system) redisConfig(name, value string) {
	w.t.Helper()
	w.must(w.redis.ConfigSet(w.t.Context(), name, value).Err())
}

// redisMemory is how much memory Redis uses.
func (w *system) redisMemory() int64 {
	w.t.Helper()
	nodes, err := jobs.NewQueue(w.redis, app.TaskKinds()).RedisNodes(w.t.Context())
	w.must(err)
	return nodes[0].Used
}

// save has Redis write a snapshot, and waits for its end, good or bad.
func (w *system) save() {
	w.t.Helper()
	w.must(w.redis.BgSave(w.t.Context()).Err())
	testkit.Await(w.t, 30*time.Second, "the snapshot has ended", func() (bool, string) {
		info, err := w.redis.Info(w.t.Context(), "persistence").Result()
		return err == nil && strings.Contains(info, "rdb_bgsave_in_progress:0"), fmt.Sprint(err)
	})
}

// replica connects to Redis as one, until gone.
func (w *system) replica() (gone func()) {
	w.t.Helper()
	single, ok := w.redis.(*redis.Client)
	if !ok {
		w.t.Fatal("these tests want a single Redis")
	}
	conn, err := (&net.Dialer{}).DialContext(w.t.Context(), "tcp", single.Options().Addr)
	w.must(err)
	_, err = conn.Write([]byte("PSYNC ? -1\r\n"))
	w.must(err)
	return func() { _ = conn.Close() }
}

// inspector is Asynq's own view of Redis.
func (w *system) inspector() *asynq.Inspector { return asynq.NewInspectorFromRedisClient(w.redis) }

// queue pauses or resumes a queue, as an operator does at /monitoring.
func (w *system) queue(name, action string) {
	w.t.Helper()
	w.asOperator("POST", w.url()+"/monitoring/api/queues/"+name+":"+action)
}

// metrics is what a process shows at /metrics.
func (w *system) metrics(name string) []byte {
	w.t.Helper()
	return w.asOperator("GET", "http://"+w.addrs[name]+"/metrics")
}

// asOperator makes a request that has to work with the operator's password.
func (w *system) asOperator(method, url string) []byte {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), method, url, http.NoBody)
	w.must(err)
	req.SetBasicAuth("operator", password)
	reply, err := w.client().Send(req)
	w.must(err)
	return reply.WantOK().Body
}

// client calls the API with the key of the app.
func (w *system) client() *testkit.Client {
	return &testkit.Client{T: w.t, URL: w.url(), HTTP: w.http, Key: w.key}
}

// call makes a call of the API that has to work and reads the answer into v, which may be nil.
func (w *system) call(method, path string, body, v any) {
	w.t.Helper()
	reply := w.client().Do(testkit.Call{Method: method, Path: path, JSON: body}).WantOK()
	if v != nil {
		reply.Into(v)
	}
}

// endpoint is the app's own server, which is told of events.
type endpoint struct {
	id  string
	url string
	// answer is the status that it answers.
	answer atomic.Int64
	told   atomic.Int64
}

func newEndpoint(t *testing.T) *endpoint {
	t.Helper()
	e := &endpoint{}
	e.answer.Store(http.StatusNoContent)
	server := httptest.NewServer(e)
	t.Cleanup(server.Close)
	e.url = server.URL + "/hooks"
	return e
}

// ServeHTTP takes an event.
func (e *endpoint) ServeHTTP(rw http.ResponseWriter, _ *http.Request) {
	answer := int(e.answer.Load())
	if answer == http.StatusNoContent {
		e.told.Add(1)
	}
	rw.WriteHeader(answer)
}
