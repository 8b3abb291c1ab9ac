package crash_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"socialqueue/db"
	"socialqueue/models"
	"socialqueue/oauth"
	"socialqueue/secrets"
	"socialqueue/tenants"
	"socialqueue/test/testkit"
)

const (
	defaultWebhooks = 1500
	// connections are the platform's.
	connections = 16
	metaSecret  = "crash-app-secret"
	crashIGID   = "17841400000000001"
	// commentedPosts is how many of the account's posts are commented on.
	commentedPosts = 20
)

// flood is the system while a platform sends it more than it can take, and its
// servers die.
type flood struct {
	t        *testing.T
	url      string
	key      secrets.Secret
	postgres *server
	redis    *server
	children map[string]*child
	rows     *sql.DB
	client   *http.Client

	mu    sync.Mutex
	heard map[string]int // by the id of the comment that the app was told of
	kills map[string]int

	refused atomic.Int64 // answers that were not 200
	again   atomic.Int64 // notices that were sent although they had been answered 200
}

// TestWebhooksSurvive: every notice that was answered with 200 has its effect once,
// whatever dies meanwhile.
func TestWebhooksSurvive(t *testing.T) {
	f := newFlood(t)
	f.listen()
	n := wanted(t, "WEBHOOK_EVENTS", defaultWebhooks)
	began := time.Now()
	stop := f.killInTurn(time.Duration(n/10) * time.Millisecond)
	f.send(n)
	sent := time.Since(began)
	stop()
	f.await(n, 5*time.Minute)
	f.report(n, sent, time.Since(began))
}

func newFlood(t *testing.T) *flood {
	t.Helper()
	f := &flood{
		t: t, postgres: ownPostgres(t), redis: ownRedis(t), children: map[string]*child{}, heard: map[string]int{}, kills: map[string]int{},
		client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: connections}, Timeout: 20 * time.Second},
	}
	t.Cleanup(f.client.CloseIdleConnections)
	key := secrets.NewRandomKey()
	f.connect(key)
	dir, addr := t.TempDir(), testkit.FreeAddr(t)
	f.url = "http://" + addr
	env := settings(map[string]string{
		"DATABASE_URL": f.postgres.url, "REDIS_URL": f.redis.url, "TOKEN_ENCRYPTION_KEY": key, "HTTP_ADDR": addr, "PUBLIC_URL": f.url, "OPS_ADDR": "127.0.0.1:0",
		"MEDIA_BUCKET_URL": "file://" + filepath.Join(dir, "media") + "?create_dir=true", "FACEBOOK_APP_ID": "1", "FACEBOOK_APP_SECRET": metaSecret,
		"WEBHOOK_ALLOW_PRIVATE_HOSTS": "true", "LOG_LEVEL": "warn",
	})
	for _, name := range []string{"api", "worker", "scheduler"} {
		f.children[name] = newChild(t, dir, name, name, env)
	}
	return f
}

// connect makes the app and its Instagram account.
func (f *flood) connect(key string) {
	f.t.Helper()
	ctx := f.t.Context()
	d, err := db.OpenPostgres(ctx, secrets.Secret(f.postgres.url), 2)
	f.must(err)
	defer d.Close()
	_, err = d.Migrate(ctx)
	f.must(err)
	appID, apiKey, err := tenants.New(tenants.Deps{DB: d, Now: time.Now}).CreateApp(ctx, "flood")
	f.must(err)
	f.key = apiKey
	user := testkit.NewUser(f.t, d, models.App{ID: appID}, "u", models.Time(time.Now()))
	testkit.Connect(f.t, testkit.Importer(d, testkit.Keyring(f.t, key), time.Now), user, oauth.Import{
		Platform: models.Instagram, ProviderAccountID: crashIGID, Access: "crash-page-token",
	})
	f.rows, err = sql.Open("pgx", f.postgres.url)
	f.must(err)
	f.t.Cleanup(func() { _ = f.rows.Close() })
}

func (f *flood) must(err error) {
	f.t.Helper()
	if err != nil {
		f.t.Fatal(err)
	}
}

// listen is the app: it is told of comments, and notes which.
func (f *flood) listen() {
	f.t.Helper()
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var event struct {
			Comment struct {
				ID string `json:"id"`
			} `json:"comment"`
		}
		if json.NewDecoder(r.Body).Decode(&event) == nil {
			f.mu.Lock()
			f.heard[event.Comment.ID]++
			f.mu.Unlock()
		}
	}))
	f.t.Cleanup(receiver.Close)
	body := fmt.Sprintf(`{"url":%q,"events":["comment.received"]}`, receiver.URL)
	testkit.Await(f.t, testkit.Patience, "the endpoint is made", func() (bool, string) {
		status, err := f.post("/api/webhook-endpoints", []byte(body), http.Header{"Authorization": {"Bearer " + f.key.Reveal()}})
		return status == http.StatusCreated, fmt.Sprint(status, err)
	})
}

func (f *flood) post(path string, body []byte, header http.Header) (status int, err error) {
	req, err := http.NewRequestWithContext(f.t.Context(), http.MethodPost, f.url+path, bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	req.Header = header
	req.Header.Set("Content-Type", "application/json")
	resp, err := f.client.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode, nil
}

// send sends n comments from several connections at once, some of them together,
// each until it is answered with 200; and some of those once more.
func (f *flood) send(n int) {
	batches := make(chan []int)
	var senders sync.WaitGroup
	for range connections {
		senders.Go(func() {
			for batch := range batches {
				f.sendUntilTaken(batch)
				if rand.IntN(10) == 0 {
					f.again.Add(int64(len(batch)))
					f.sendUntilTaken(batch)
				}
			}
		})
	}
	for next := 0; next < n; {
		size := 1
		if rand.IntN(10) == 0 {
			size = 1 + rand.IntN(20)
		}
		var batch []int
		for ; size > 0 && next < n; size-- {
			batch = append(batch, next)
			next++
		}
		batches <- batch
	}
	close(batches)
	senders.Wait()
}

func (f *flood) sendUntilTaken(comments []int) {
	var entries []string
	for _, c := range comments {
		entries = append(entries, fmt.Sprintf(
			`{"id":%q,"time":1795687009,"changes":[{"field":"comments","value":{"id":"c%d","text":"x","from":{"id":"684"},"media":{"id":"m%d"}}}]}`, crashIGID, c, c%commentedPosts))
	}
	body := []byte(`{"object":"instagram","entry":[` + strings.Join(entries, ",") + `]}`)
	mac := hmac.New(sha256.New, []byte(metaSecret))
	mac.Write(body)
	header := http.Header{"X-Hub-Signature-256": {"sha256=" + hex.EncodeToString(mac.Sum(nil))}}
	err := testkit.Poll(f.t.Context(), 3*time.Minute, "the comments are taken", func() (bool, string) {
		status, err := f.post("/api/webhooks/instagram", body, header.Clone())
		if err == nil && status == http.StatusOK {
			return true, ""
		}
		f.refused.Add(1)
		return false, fmt.Sprint(status, err)
	})
	if err != nil {
		f.t.Errorf("comments %v: %v", comments, err)
	}
}

// killInTurn kills one after the other, each at a random moment within a pause, until
// it is stopped and each was killed.
func (f *flood) killInTurn(pause time.Duration) (stop func()) {
	ctx, cancel := context.WithCancel(f.t.Context())
	turns := []struct {
		name string
		kill func()
	}{
		{"worker", func() { f.children["worker"].kill(true) }}, {"redis", f.redis.kill}, {"postgres", f.postgres.kill},
		{"api", func() { f.children["api"].kill(true) }}, {"scheduler", func() { f.children["scheduler"].kill(true) }},
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := 0; ctx.Err() == nil || i < len(turns); i++ {
			time.Sleep(pause/10 + rand.N(2*pause))
			turns[i%len(turns)].kill()
			f.kills[turns[i%len(turns)].name]++
		}
	}()
	return func() {
		cancel()
		<-done
	}
}

// await waits until everything that was taken has had its effect, and the app knows.
func (f *flood) await(n int, timeout time.Duration) {
	f.t.Helper()
	err := testkit.Poll(f.t.Context(), timeout, "all events have had their effect, and the app knows", func() (bool, string) {
		var waiting, untold int
		err := f.rows.QueryRow(`SELECT (SELECT COUNT(*) FROM webhook_events WHERE run_at IS NOT NULL), (SELECT COUNT(*) FROM webhook_deliveries WHERE status = 'pending')`).Scan(&waiting, &untold)
		done := err == nil && waiting == 0 && untold == 0 && f.count(`SELECT COUNT(*) FROM webhook_events`) == n
		return done, fmt.Sprintf("%d events wait, %d deliveries are pending (%v)", waiting, untold, err)
	})
	if err != nil {
		f.t.Errorf("after the last kill: %v", err)
	}
}

func (f *flood) count(query string) int {
	var n int
	if err := f.rows.QueryRow(query).Scan(&n); err != nil {
		return -1
	}
	return n
}

// report compares what was taken with what came of it.
func (f *flood) report(n int, sent, took time.Duration) {
	f.t.Helper()
	f.mu.Lock()
	heard, twice := len(f.heard), 0
	for _, times := range f.heard {
		if times > 1 {
			twice++
		}
	}
	f.mu.Unlock()
	comments := f.count(`SELECT COUNT(*) FROM instagram_comments`)
	counted := f.count(`SELECT COALESCE(SUM(comments_count), 0) FROM ig_media`)
	told := f.count(`SELECT COUNT(*) FROM webhook_deliveries`)
	subjects := f.count(`SELECT COUNT(DISTINCT subject) FROM webhook_deliveries WHERE status = 'delivered'`)
	fmt.Printf("webhooks: sent=%d (and %d of them again, %d answers were not 200) in %s; kills=%v; comments=%d counted=%d told=%d heard=%d (%d more than once); all settled after %s: %.0f/s\n",
		n, f.again.Load(), f.refused.Load(), sent.Round(time.Millisecond), f.kills, comments, counted, told, heard, twice, took.Round(time.Millisecond), float64(n)/took.Seconds())
	for what, got := range map[string]int{
		"comments are stored": comments, "comments are counted at their posts": counted, "events were written for the app": told,
		"different ones were delivered": subjects, "the app heard of": heard,
	} {
		if got != n {
			f.t.Errorf("%d %s, of %d", got, what, n)
		}
	}
}
