package crash_test

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the "pgx" driver
	"github.com/redis/go-redis/v9"

	"socialqueue/config"
	"socialqueue/db"
	"socialqueue/db/dbtest"
	"socialqueue/jobs"
	"socialqueue/jobs/redistest"
	"socialqueue/models"
	"socialqueue/oauth"
	"socialqueue/sandbox"
	"socialqueue/sandbox/sample"
	"socialqueue/secrets"
	"socialqueue/tenants"
	"socialqueue/test/testkit"
)

const (
	// accountsEach is how many accounts of each platform take the posts.
	accountsEach     = 12
	operatorPassword = "crash-operator-password"
	shutdownTimeout  = 10 * time.Second
)

// system is the three processes with the platforms behind them.
type system struct {
	sim       *sandbox.Server
	wire      *wire
	api       *child
	worker    *child
	scheduler *child
	url       string
	key       secrets.Secret
	client    *http.Client
	redis     redis.UniversalClient
	dir       string   // of logs
	env       []string // of every process
	database  string   // its URL
	rows      *sql.DB
	tiktok    []int64
	insta     []int64
	video     string
	picture   string

	posts   []accepted
	reached map[point]int

	mu          sync.Mutex
	kills       int
	interrupted []interruption
	unsettled   int // posts of photos that only a person can settle
}

type accepted struct {
	id, caption string
	kind        models.Kind
}

type held struct {
	id    string
	fence int64
}

// interruption is a post that a worker held when it died.
type interruption struct {
	post  string
	fence int64
	at    time.Time
}

// setup is what a test wants otherwise.
type setup struct {
	redisURL    string          // of servers of the test's own
	databaseURL string          // likewise; it is migrated
	delays      *sandbox.Delays // of the platforms
	env         map[string]string
}

func newSystem(t *testing.T, want setup) *system {
	t.Helper()
	s := &system{
		wire: newWire(t), reached: map[point]int{}, dir: t.TempDir(),
		client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}, Timeout: time.Minute},
	}
	t.Cleanup(s.client.CloseIdleConnections)
	s.sim = sandbox.New(sandbox.Options{BaseURL: s.wire.url, Limits: &sandbox.Limits{}, Delays: want.delays})
	s.sim.SetDoublePublish(sandbox.DoublePost) // so that a call that is repeated without proof shows
	platforms := httptest.NewServer(s.sim.Handler())
	t.Cleanup(func() {
		_ = s.sim.Close()
		platforms.Close()
	})
	s.wire.target = mustURL(t, platforms.URL)
	databaseURL := want.databaseURL
	if databaseURL == "" {
		databaseURL = dbtest.PostgresURL(t)
	}
	s.database = databaseURL
	key := secrets.NewRandomKey()
	s.connect(t, databaseURL, key)
	if want.redisURL == "" {
		want.redisURL = redistest.URL(t)
	}
	s.redis = redisClient(t, want.redisURL)
	s.startProcesses(t, databaseURL, key, want)
	s.video, s.picture = s.upload(t, sample.Video), s.upload(t, sample.Picture)
	return s
}

// redisClient is a client as our processes have it.
func redisClient(t *testing.T, url string) redis.UniversalClient {
	t.Helper()
	settings, err := config.ParseRedisURL(secrets.Secret(url))
	if err != nil {
		t.Fatal(err)
	}
	client := jobs.NewRedis(settings)
	t.Cleanup(func() { _ = client.Close() })
	return client
}

func (s *system) connect(t *testing.T, databaseURL, key string) {
	t.Helper()
	ctx := t.Context()
	d, err := db.OpenPostgres(ctx, secrets.Secret(databaseURL), 2)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if _, err := d.Migrate(ctx); err != nil {
		t.Fatal(err)
	}
	appID, apiKey, err := tenants.New(tenants.Deps{DB: d, Now: time.Now}).CreateApp(ctx, "crash")
	if err != nil {
		t.Fatal(err)
	}
	s.key = apiKey
	now := func() time.Time { return models.Time(time.Now()) }
	user := testkit.NewUser(t, d, models.App{ID: appID}, "u", now())
	s.connectAccounts(t, testkit.Importer(d, testkit.Keyring(t, key), now), user)
	if s.rows, err = sql.Open("pgx", databaseURL); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.rows.Close() })
}

func (s *system) connectAccounts(t *testing.T, accounts *oauth.Service, user models.User) {
	t.Helper()
	for i := range accountsEach {
		tt := s.sim.AddTikTokAccount(sandbox.TikTokAccount{
			OpenID: fmt.Sprint("-000crash", i), Username: fmt.Sprint("cafe", i), PostsCap: -1, ExpiresAt: time.Now().Add(24 * time.Hour),
		})
		s.tiktok = append(s.tiktok, testkit.Connect(t, accounts, user, oauth.Import{
			Platform: models.TikTok, ProviderAccountID: tt.OpenID, Username: tt.Username, Access: secrets.Secret(tt.AccessToken),
		}))
		ig := s.sim.AddInstagramAccount(sandbox.InstagramAccount{
			IGID: fmt.Sprint(17841400000000000 + i), Username: fmt.Sprint("bakery", i), QuotaTotal: 100_000,
		})
		s.insta = append(s.insta, testkit.Connect(t, accounts, user, oauth.Import{
			Platform: models.Instagram, ProviderAccountID: ig.IGID, Username: ig.Username, Access: secrets.Secret(ig.PageToken),
		}))
	}
}

func (s *system) startProcesses(t *testing.T, databaseURL, key string, want setup) {
	t.Helper()
	addr := testkit.FreeAddr(t)
	s.url = "http://" + addr
	env := map[string]string{
		"DATABASE_URL": databaseURL, "REDIS_URL": want.redisURL, "TOKEN_ENCRYPTION_KEY": key,
		"HTTP_ADDR": addr, "PUBLIC_URL": s.url, "OPS_ADDR": "127.0.0.1:0", "OPERATOR_PASSWORD": operatorPassword,
		"MEDIA_BUCKET_URL": "file://" + filepath.Join(s.dir, "media") + "?create_dir=true",
		"LOG_LEVEL":        "warn",
		"SHUTDOWN_TIMEOUT": shutdownTimeout.String(),
	}
	maps.Copy(env, testkit.SandboxEnv(s.sim))
	maps.Copy(env, want.env)
	s.env = settings(env)
	s.api = newChild(t, s.dir, "api", "api", s.env)
	s.scheduler = newChild(t, s.dir, "scheduler", "scheduler", s.env)
	s.worker = s.anotherWorker(t, "worker")
	t.Cleanup(func() {
		if t.Failed() {
			s.showLogs(t)
		}
	})
}

// anotherWorker starts one more worker.
func (s *system) anotherWorker(t *testing.T, name string) *child {
	t.Helper()
	return newChild(t, s.dir, "worker", name, s.env)
}

func (s *system) showLogs(t *testing.T) {
	t.Helper()
	logs, err := filepath.Glob(filepath.Join(s.dir, "*.log"))
	if err != nil {
		t.Error(err)
	}
	for _, name := range logs {
		log, err := os.ReadFile(name)
		if err == nil {
			t.Logf("the end of %s:\n%s", filepath.Base(name), log[max(0, len(log)-4000):])
		}
	}
}

// accept makes posts of every kind, within two rounds. It asks again, with the same
// Idempotency-Key, until it has an answer: the api may die under it.
func (s *system) accept(t *testing.T, round int) []accepted {
	t.Helper()
	i := round % accountsEach
	video, picture := map[string]any{"media_id": s.video}, map[string]any{"media_id": s.picture}
	orders := append(s.quickOrders(round), order{"/api/posts", models.Photo, map[string]any{
		"content": map[string]any{"text": nameOf(models.Photo, round), "media": []any{picture, picture}},
		"targets": []any{map[string]any{"platform": "tiktok", "kind": "photo", "account_id": s.tiktok[i], "privacy_level": "PUBLIC_TO_EVERYONE"}},
	}})
	if round%2 == 0 {
		orders = append(orders, order{"/api/instagram/publish", models.Carousel, map[string]any{
			"account_id": s.insta[i], "children": []any{picture, video, picture}, "media_type": "CAROUSEL", "caption": nameOf(models.Carousel, round),
		}})
	} else {
		orders = append(orders, order{"/api/instagram/publish", models.Story, map[string]any{
			"account_id": s.insta[i], "media_id": s.picture, "media_type": "STORIES",
		}})
	}
	posts, err := s.acceptAll(t.Context(), orders, round)
	if err != nil {
		t.Fatal(err)
	}
	return posts
}

// tryAccept is accept for a load, and for where the test cannot be ended.
func (s *system) tryAccept(ctx context.Context, round int) ([]accepted, error) {
	return s.acceptAll(ctx, s.quickOrders(round), round)
}

// quickOrders are a video, an image with a first comment, and a reel.
func (s *system) quickOrders(round int) []order {
	i := round % accountsEach
	return []order{
		{"/api/tiktok/upload", models.Video, map[string]any{
			"account_id": s.tiktok[i], "media_id": s.video, "title": nameOf(models.Video, round), "privacy_level": "PUBLIC_TO_EVERYONE",
		}},
		{"/api/posts", models.Image, map[string]any{"targets": []any{map[string]any{
			"platform": "instagram", "account_id": s.insta[i], "kind": "image", "caption": nameOf(models.Image, round),
			"first_comment": commentOf(nameOf(models.Image, round)), "media": []any{map[string]any{"media_id": s.picture}},
		}}}},
		{"/api/instagram/publish", models.Reel, map[string]any{
			"account_id": s.insta[i], "media_id": s.video, "media_type": "REELS", "caption": nameOf(models.Reel, round),
		}},
	}
}

func commentOf(caption string) string { return "the comment of " + caption }

func nameOf(k models.Kind, round int) string { return fmt.Sprint(k, "-", round) }

func (s *system) acceptAll(ctx context.Context, orders []order, round int) (posts []accepted, err error) {
	for _, o := range orders {
		data, err := json.Marshal(o.body)
		if err != nil {
			return posts, err
		}
		id, err := s.create(ctx, o.path, "application/json", nameOf(o.kind, round), data)
		if err != nil {
			return posts, err
		}
		posts = append(posts, accepted{id, nameOf(o.kind, round), o.kind})
	}
	return posts, nil
}

// order is a post to be accepted.
type order struct {
	path string
	kind models.Kind
	body map[string]any
}

func (s *system) upload(t *testing.T, file []byte) string {
	t.Helper()
	id, err := s.create(t.Context(), "/api/media", "application/octet-stream", "", file)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func (s *system) create(ctx context.Context, path, contentType, idempotencyKey string, body []byte) (string, error) {
	var id string
	err := testkit.Poll(ctx, 2*time.Minute, "POST "+path+" is accepted", func() (bool, string) {
		created, answer, ok := s.tryCreate(ctx, path, contentType, idempotencyKey, body)
		id = created
		return ok, answer
	})
	return id, err
}

func (s *system) tryCreate(ctx context.Context, path, contentType, idempotencyKey string, body []byte) (id, answer string, ok bool) {
	return s.send(ctx, path, contentType, idempotencyKey, bytes.NewReader(body), int64(len(body)))
}

func (s *system) send(ctx context.Context, path, contentType, idempotencyKey string, body io.Reader, length int64) (id, answer string, ok bool) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url+path, body)
	if err != nil {
		return "", err.Error(), false
	}
	req.ContentLength = length
	req.Header.Set("Authorization", "Bearer "+s.key.Reveal())
	req.Header.Set("Content-Type", contentType)
	if idempotencyKey != "" {
		req.Header.Set("Idempotency-Key", idempotencyKey)
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return "", err.Error(), false
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil || resp.StatusCode >= http.StatusBadRequest {
		return "", string(data), false
	}
	var created struct {
		ID    string `json:"id"`
		Posts []struct {
			ID string `json:"id"`
		} `json:"posts"`
	}
	err = json.Unmarshal(data, &created)
	if len(created.Posts) > 0 {
		created.ID = created.Posts[0].ID
	}
	return created.ID, string(data), err == nil && created.ID != ""
}

// heldBy lists the posts that a worker held when it died.
func (s *system) heldBy(pid int) []held {
	rows, err := s.rows.Query(`SELECT id, fence FROM posts WHERE lease_until IS NOT NULL AND lease_owner LIKE '%:' || $1::text`, fmt.Sprint(pid))
	if err != nil {
		return nil
	}
	defer rows.Close()
	var list []held
	for rows.Next() {
		var h held
		if rows.Scan(&h.id, &h.fence) == nil {
			list = append(list, h)
		}
	}
	if rows.Err() != nil {
		return nil // what was not seen is not measured
	}
	return list
}

// nextRun is when a post was first worked on after it was interrupted.
func (s *system) nextRun(t *testing.T, i interruption) (time.Time, bool) {
	t.Helper()
	var at sql.NullTime
	err := s.rows.QueryRow(`SELECT MIN(at) FROM post_events WHERE post_id = $1 AND fence > $2`, i.post, i.fence).Scan(&at)
	if err != nil {
		t.Error(err)
	}
	return at.Time, at.Valid
}

func (s *system) statusOf(t *testing.T, id string) string {
	t.Helper()
	var status string
	if err := s.rows.QueryRow(`SELECT status FROM posts WHERE id = $1`, id).Scan(&status); err != nil {
		t.Error(err)
	}
	return status
}

// story tells a post's life, for failures.
func (s *system) story(t *testing.T, id string) string {
	t.Helper()
	rows, err := s.rows.Query(`SELECT at, fence, from_status, to_status, op, http_status, message FROM post_events WHERE post_id = $1 ORDER BY id`, id)
	if err != nil {
		return err.Error()
	}
	defer rows.Close()
	var b strings.Builder
	for rows.Next() {
		var at time.Time
		var fence, status int
		var from, to, op, message string
		if err := rows.Scan(&at, &fence, &from, &to, &op, &status, &message); err != nil {
			return err.Error()
		}
		fmt.Fprintf(&b, "  %s fence %d %s>%s %s %d %s\n", at.Format("15:04:05.000"), fence, from, to, op, status, message)
	}
	if err := rows.Err(); err != nil {
		return err.Error()
	}
	return b.String()
}

// await waits until every post has ended.
func (s *system) await(t *testing.T, timeout time.Duration) {
	t.Helper()
	err := testkit.Poll(t.Context(), timeout, "every post has ended", func() (bool, string) {
		open := -1
		// TikTok can be asked about photos only by the id in the answer that was lost.
		err := s.rows.QueryRow(`SELECT (SELECT COUNT(*) FROM posts WHERE status NOT IN ('published', 'failed') AND NOT (kind = 'photo' AND status = 'uncertain'))
			+ (SELECT COUNT(*) FROM first_comments WHERE due_at IS NOT NULL)`).Scan(&open)
		return err == nil && open == 0, fmt.Sprintf("%d posts or first comments have not ended (%v)", open, err)
	})
	if err != nil {
		t.Errorf("after the last kill: %v", err)
	}
}
