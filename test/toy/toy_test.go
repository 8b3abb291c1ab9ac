package toy_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"socialqueue/app"
	"socialqueue/config"
	"socialqueue/db"
	"socialqueue/db/dbtest"
	"socialqueue/jobs/redistest"
	"socialqueue/models"
	"socialqueue/oauth"
	"socialqueue/publish"
	"socialqueue/sandbox/sample"
	"socialqueue/secrets"
	"socialqueue/test/testkit"
)

const (
	envRole, envURL = "TOY_ROLE", "TOY_URL"
	accounts        = 8
	defaultRounds   = 10
	// callsOfANote is about how many calls a post takes: a trap springs within them.
	callsOfANote = 5
)

// TestMain runs one of the three processes if it is told to, and the tests otherwise.
func TestMain(m *testing.M) {
	if role := os.Getenv(envRole); role != "" {
		os.Exit(runProcess(role))
	}
	os.Exit(m.Run())
}

func runProcess(role string) int {
	timings := publish.DefaultTimings()
	timings.Arrival = 3 * time.Second // nothing arrives late on one machine
	// A test of many kills does not wait longer for each, and a post is hit several times.
	timings.Lease = 4 * time.Second
	timings.Looks = []time.Duration{time.Second, 2 * time.Second, 4 * time.Second}
	timings.Retries = slices.Repeat([]time.Duration{2 * time.Second}, 30)
	build := func(ctx context.Context, cfg config.Config, opts app.Options) (app.Process, error) {
		opts.Platforms, opts.Timings = []app.Platform{line}, &timings
		switch role {
		case "api":
			return app.NewAPI(ctx, cfg, opts)
		case "worker":
			return app.NewWorker(ctx, cfg, opts)
		default:
			return app.NewScheduler(ctx, cfg, opts)
		}
	}
	return app.Main(map[string]config.Role{"api": config.API, "worker": config.Worker, "scheduler": config.Scheduler}[role], role, build)
}

// system is the three processes beside the toy.
type system struct {
	toy      *server
	url      string
	key      secrets.Secret
	accounts []int64
	media    string
	db       *db.DB
	env      []string

	mu     sync.Mutex
	worker *exec.Cmd
	kills  int
}

// TestThirdPlatformNeverDoubles kills the worker at random calls of a platform that would
// publish twice, and loses answers. A call of which its author forgot to say that it makes
// something live is not made twice either: the post is uncertain instead.
func TestThirdPlatformNeverDoubles(t *testing.T) {
	rounds := defaultRounds
	if n, err := strconv.Atoi(os.Getenv("CRASH_ROUNDS")); err == nil {
		rounds = n
	}
	s := newSystem(t)
	posts := map[string]models.Kind{}
	for round := range rounds {
		for _, kind := range []models.Kind{note, careless} {
			text := fmt.Sprint(kind, "-", round)
			s.post(t, s.accounts[round%accounts], kind, text)
			posts[text] = kind
		}
		hit := make(chan struct{})
		kill := round%3 != 2
		s.toy.set(trap{in: 1 + rand.IntN(2*callsOfANote), after: round%2 == 0, spring: func() {
			if kill {
				s.killWorker(t)
			}
			close(hit)
		}})
		select {
		case <-hit:
		case <-time.After(8 * time.Second):
			s.toy.set(trap{})
		}
	}
	s.awaitEnds(t)
	s.check(t, posts)
}

func newSystem(t *testing.T) *system {
	t.Helper()
	s := &system{toy: &server{announced: map[string]int{}}}
	fake := httptest.NewServer(s.toy)
	t.Cleanup(fake.Close)
	databaseURL, key, addr := dbtest.PostgresURL(t), secrets.NewRandomKey(), testkit.FreeAddr(t)
	s.url = "http://" + addr
	var err error
	s.db, err = db.OpenPostgres(t.Context(), secrets.Secret(databaseURL), 4)
	testkit.Must(t, err)
	t.Cleanup(func() { _ = s.db.Close() })
	tenant := testkit.NewTenant(t, s.db, "toy", models.Time(time.Now()))
	s.key = tenant.Key
	importer := testkit.Importer(s.db, testkit.Keyring(t, key), time.Now)
	for i := range accounts {
		s.accounts = append(s.accounts, tenant.Connect(t, importer, oauth.Import{Platform: toy, ProviderAccountID: fmt.Sprint("toy-", i), Access: "a token"}))
	}
	s.env = append(os.Environ(), envURL+"="+fake.URL, "DATABASE_URL="+databaseURL, "REDIS_URL="+redistest.URL(t), "TOKEN_ENCRYPTION_KEY="+key,
		"HTTP_ADDR="+addr, "PUBLIC_URL="+s.url, "OPS_ADDR=127.0.0.1:0", "LOG_LEVEL=warn", "TIKTOK_CLIENT_KEY=k", "TIKTOK_CLIENT_SECRET=s",
		"FACEBOOK_APP_ID=1", "FACEBOOK_APP_SECRET=s", "MEDIA_BUCKET_URL=file://"+filepath.Join(t.TempDir(), "media")+"?create_dir=true")
	s.start(t, "api")
	s.start(t, "scheduler")
	s.worker = s.start(t, "worker")
	s.media = s.create(t, "/api/media", "application/octet-stream", "", sample.Video)
	return s
}

// start starts a process, which dies with the test.
func (s *system) start(t *testing.T, role string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env, cmd.Stderr = append(s.env, envRole+"="+role), t.Output()
	testkit.Must(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // it was killed: its exit status says nothing
	})
	return cmd
}

func (s *system) killWorker(t *testing.T) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_ = s.worker.Process.Kill()
	_ = s.worker.Wait()
	s.worker = s.start(t, "worker")
	s.kills++
}

func (s *system) post(t *testing.T, account int64, kind models.Kind, text string) {
	t.Helper()
	body, err := json.Marshal(map[string]any{"account_id": account, "media_id": s.media, "kind": kind, "text": text})
	testkit.Must(t, err)
	s.create(t, "/api/toy/posts", "application/json", text, body)
}

func (s *system) create(t *testing.T, path, contentType, idempotencyKey string, body []byte) (id string) {
	t.Helper()
	testkit.Await(t, testkit.Patience, "POST "+path+" is accepted", func() (bool, string) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+path, bytes.NewReader(body))
		testkit.Must(t, err)
		req.Header = http.Header{"Authorization": {"Bearer " + s.key.Reveal()}, "Content-Type": {contentType}, "Idempotency-Key": {idempotencyKey}}
		if idempotencyKey == "" {
			req.Header.Del("Idempotency-Key")
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return false, err.Error()
		}
		defer resp.Body.Close()
		answer, _ := io.ReadAll(resp.Body)
		var made struct{ ID string }
		ok := resp.StatusCode < 300 && json.Unmarshal(answer, &made) == nil
		id = made.ID
		return ok, string(answer)
	})
	return id
}

// awaitEnds waits until every note is published and every careless one that or uncertain.
func (s *system) awaitEnds(t *testing.T) {
	t.Helper()
	testkit.Await(t, 4*time.Minute, "every post has ended", func() (bool, string) {
		var open []models.Post
		for _, status := range models.Statuses {
			posts, err := s.db.Operators.AllPosts(t.Context(), db.PostFilter{Status: status, Limit: 1000})
			if err != nil {
				return false, err.Error()
			}
			for _, p := range posts {
				if status != models.Published && (p.Kind != careless || status != models.Uncertain) {
					open = append(open, p)
				}
			}
		}
		return len(open) == 0, s.stories(t, open)
	})
}

// stories tells the life of the first posts, for failures.
func (s *system) stories(t *testing.T, posts []models.Post) string {
	var b strings.Builder
	for _, p := range posts[:min(len(posts), 3)] {
		fmt.Fprintf(&b, "%s %s %s, attempts %d, runs at %v: %s\n", p.Kind, p.ID, p.Status, p.Attempts, p.RunAt, p.ErrorMessage)
		events, err := s.db.Posts.Events(t.Context(), p.ID)
		if err != nil {
			return err.Error()
		}
		for _, e := range events {
			fmt.Fprintf(&b, "  %s fence %d %s>%s %s %s\n", e.At.Format("15:04:05.000"), e.Fence, e.From, e.To, e.Op, e.Message)
		}
	}
	return b.String()
}

func (s *system) check(t *testing.T, posts map[string]models.Kind) {
	t.Helper()
	live, announced := s.toy.count()
	lost, doubled, uncertain := 0, 0, 0
	for text, kind := range posts {
		if live[text] > 1 || announced[text] > 1 {
			doubled++
			t.Errorf("%s is live %d times and was announced %d times", text, live[text], announced[text])
		}
		switch {
		case live[text] == 0 && kind == note:
			lost++
			t.Errorf("%s is not live", text)
		case live[text] == 0:
			uncertain++
		}
	}
	t.Logf("toy: rounds=%d kills=%d posts=%d lost=%d doubled=%d uncertain=%d (careless ones whose answer was lost)",
		len(posts)/2, s.kills, len(posts), lost, doubled, uncertain)
}
