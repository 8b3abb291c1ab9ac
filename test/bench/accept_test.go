package bench

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the "pgx" driver, to empty the tables between slices
	"github.com/redis/go-redis/v9"

	"socialqueue/app"
	"socialqueue/config"
	"socialqueue/db"
	"socialqueue/db/dbtest"
	"socialqueue/jobs"
	"socialqueue/jobs/redistest"
	"socialqueue/observe"
	"socialqueue/sandbox/sample"
	"socialqueue/secrets"
	"socialqueue/tenants"
)

const (
	senders = 32
	// accounts are so many that no lane gets full: a parked post is accepted
	// without an Enqueue and would flatter us.
	accounts = 20_000
	rounds   = 10
	slice    = time.Second
	warmUp   = 200 * time.Millisecond
	// unlimited has each post enqueued. One that waits for its turn, as no worker runs, would
	// flatter us too.
	unlimited = 1_000_000
)

// BenchmarkAccept posts videos by media_id over HTTP, 32 at a time, to the api
// and to a bare handler that does one INSERT and one Enqueue, once into a table
// without foreign keys and once into one with those of ours. All run in short
// slices that take turns, so that they see the same machine.
func BenchmarkAccept(b *testing.B) {
	s := newStand(b)
	targets := []target{s.ours, s.bare, s.keyed}
	total := make([]rate, len(targets))
	var bare, keyed []float64
	for b.Loop() {
		s.empty(b)
		for round := range rounds {
			took := make([]rate, len(targets))
			for k := range targets {
				i := (round + k) % len(targets)
				took[i] = s.drive(b, targets[i])
				total[i] = total[i].plus(took[i])
			}
			bare = append(bare, took[0].perSecond()/took[1].perSecond())
			keyed = append(keyed, took[0].perSecond()/took[2].perSecond())
		}
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(total[0].perSecond(), "api_req/s")
	b.ReportMetric(total[1].perSecond(), "bare_req/s")
	b.ReportMetric(total[2].perSecond(), "bare_with_keys_req/s")
	b.ReportMetric(median(bare), "ratio")
	b.ReportMetric(median(keyed), "ratio_with_keys")
	b.Logf("MEASURED accept api=%.0f/s bare=%.0f/s ratio=%.2f (median of %d rounds, %.2f to %.2f) bare_with_foreign_keys=%.0f/s ratio=%.2f (%.2f to %.2f)",
		total[0].perSecond(), total[1].perSecond(), median(bare), len(bare), slices.Min(bare), slices.Max(bare),
		total[2].perSecond(), median(keyed), slices.Min(keyed), slices.Max(keyed))
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}

type rate struct {
	n    int64
	took time.Duration
}

func (r rate) plus(o rate) rate   { return rate{r.n + o.n, r.took + o.took} }
func (r rate) perSecond() float64 { return float64(r.n) / r.took.Seconds() }

// stand is both servers and what their clients send.
type stand struct {
	client            *http.Client
	sql               *sql.DB
	redis             redis.UniversalClient
	ours, bare, keyed target
	next              atomic.Int64
}

// target is one server under load.
type target struct {
	url, key string
	body     func(account int64) []byte
	ids      []int64
}

func newStand(b *testing.B) *stand {
	b.Helper()
	ctx := context.Background()
	databaseURL, redisURL := dbtest.PostgresURL(b), redistest.URL(b)
	sim := startSandbox(b)
	env := settings(sim, databaseURL, redisURL, b.TempDir())

	api, err := app.NewAPI(ctx, load(b, config.API, env), app.Options{Log: observe.NewLogger("api", "info", "json", devNull(b)), Ahead: unlimited})
	must(b, err)
	b.Cleanup(func() { _ = api.Stop(context.Background()) })
	must(b, api.Start(ctx))

	d, err := db.OpenPostgres(ctx, secrets.Secret(databaseURL), 2)
	must(b, err)
	b.Cleanup(func() { _ = d.Close() })
	appID, key, err := tenants.New(tenants.Deps{DB: d, Now: time.Now}).CreateApp(ctx, "bench")
	must(b, err)
	userID := makeUser(b, d, appID)

	s := &stand{client: newClient(b, senders)}
	s.sql, err = sql.Open("pgx", databaseURL)
	must(b, err)
	b.Cleanup(func() { _ = s.sql.Close() })
	redisSettings, err := config.ParseRedisURL(secrets.Secret(redisURL))
	must(b, err)
	s.redis = jobs.NewRedis(redisSettings)
	b.Cleanup(func() { _ = s.redis.Close() })

	s.ours = target{url: "http://" + api.Addr() + "/api/tiktok/upload", key: key.Reveal()}
	s.ours.ids = s.accounts(b, userID)
	mediaID := s.upload(b, "http://"+api.Addr()+"/api/media")
	s.ours.body = func(account int64) []byte {
		return []byte(fmt.Sprintf(`{"account_id":%d,"media_id":%q,"title":"A title of the usual length #bench","privacy_level":"PUBLIC_TO_EVERYONE"}`, account, mediaID))
	}
	makeBareTables(b, s.sql)
	owner := bareOwner{appID, userID}
	s.bare = target{url: startBare(b, databaseURL, barePosts, s.redis, owner), body: s.ours.body, ids: s.ours.ids}
	s.keyed = target{url: startBare(b, databaseURL, keyedPosts, s.redis, owner), body: s.ours.body, ids: s.ours.ids}
	return s
}

// accounts stores accounts that are never posted to: no worker runs.
func (s *stand) accounts(b *testing.B, userID int64) []int64 {
	b.Helper()
	rows, err := s.sql.Query(`INSERT INTO oauth_accounts (user_id, provider, provider_account_id, access_token)
		SELECT $1, 'tiktok', 'bench-' || n, 'sealed' FROM generate_series(1, $2) n RETURNING id`, userID, accounts)
	must(b, err)
	defer rows.Close()
	var ids []int64
	for rows.Next() {
		var id int64
		must(b, rows.Scan(&id))
		ids = append(ids, id)
	}
	must(b, rows.Err())
	_, err = s.sql.Exec("ANALYZE oauth_accounts")
	must(b, err)
	return ids
}

func (s *stand) upload(b *testing.B, url string) string {
	b.Helper()
	body, err := s.post(url, s.ours.key, sample.Video, http.StatusCreated)
	must(b, err)
	var m struct{ ID string }
	must(b, json.Unmarshal(body, &m))
	return m.ID
}

// drive sends to one target for a slice.
func (s *stand) drive(b *testing.B, t target) rate {
	b.Helper()
	s.send(b, t, warmUp)
	return s.send(b, t, slice)
}

func (s *stand) send(b *testing.B, t target, d time.Duration) rate {
	b.Helper()
	var n atomic.Int64
	var wg sync.WaitGroup
	began := time.Now()
	for range senders {
		wg.Go(func() {
			for time.Since(began) < d {
				account := t.ids[s.next.Add(1)%accounts]
				if _, err := s.post(t.url, t.key, t.body(account), http.StatusAccepted); err != nil {
					b.Error(err)
					return
				}
				n.Add(1)
			}
		})
	}
	wg.Wait()
	return rate{n.Load(), time.Since(began)}
}

// empty makes rounds begin alike, with lanes that have room.
func (s *stand) empty(b *testing.B) {
	b.Helper()
	_, err := s.sql.Exec("TRUNCATE posts, post_media, fetches, post_events, ledger, " + barePosts + ", " + keyedPosts)
	must(b, err)
	must(b, s.redis.FlushDB(context.Background()).Err())
}

func (s *stand) post(url, key string, body []byte, want int) ([]byte, error) {
	req, err := http.NewRequest(http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	if want == http.StatusCreated {
		req.Header.Set("Content-Type", "video/mp4")
	}
	if key != "" {
		req.Header.Set("Authorization", "Bearer "+key)
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != want {
		err = fmt.Errorf("%s: %s: %s", url, resp.Status, answer)
	}
	return answer, err
}
