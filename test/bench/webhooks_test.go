package bench

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
	"net"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/labstack/echo/v4"

	"socialqueue/app"
	"socialqueue/config"
	"socialqueue/db/dbtest"
	"socialqueue/jobs"
	"socialqueue/jobs/redistest"
	"socialqueue/observe"
	"socialqueue/secrets"
)

const (
	// webhookConns are the platform's connections. Each round sends perRound webhooks
	// to either server; ten rounds make 20,000 to each.
	webhookConns  = 16
	webhookRounds = 10
	perRound      = 2000
)

// BenchmarkWebhooks sends signed notices of Instagram's to the api, and the same to a
// bare handler that does one INSERT and one Enqueue without looking at the signature.
// They take turns, so that they see the same machine.
func BenchmarkWebhooks(b *testing.B) {
	ctx := context.Background()
	databaseURL, redisURL := dbtest.PostgresURL(b), redistest.URL(b)
	sim := startSandbox(b)
	env := settings(sim, databaseURL, redisURL, b.TempDir())
	api, err := app.NewAPI(ctx, load(b, config.API, env), app.Options{Log: observe.NewLogger("api", "info", "json", devNull(b))})
	must(b, err)
	b.Cleanup(func() { _ = api.Stop(context.Background()) })
	must(b, api.Start(ctx))

	s := &flood{b: b, client: newClient(b, webhookConns), secret: sim.Options().FacebookAppSecret}
	urls := []string{"http://" + api.Addr() + "/api/webhooks/instagram", s.bare(databaseURL, redisURL)}
	var took [2]time.Duration
	var waits [2][]time.Duration
	var ratios []float64
	for b.Loop() {
		for round := range webhookRounds {
			var slice [2]time.Duration
			for k := range urls {
				i := (round + k) % len(urls)
				began := time.Now()
				waits[i] = append(waits[i], s.send(urls[i])...)
				slice[i] = time.Since(began)
				took[i] += slice[i]
			}
			ratios = append(ratios, slice[1].Seconds()/slice[0].Seconds())
		}
	}
	ours, bare := p99(waits[0]), p99(waits[1])
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(median(ratios), "ratio")
	b.Logf("MEASURED webhooks api=%.0f/s bare=%.0f/s ratio=%.2f (median of %d rounds, %.2f to %.2f); p99 api=%s bare=%s ratio=%.2f",
		float64(len(waits[0]))/took[0].Seconds(), float64(len(waits[1]))/took[1].Seconds(), median(ratios), len(ratios), slices.Min(ratios), slices.Max(ratios),
		ours.Round(10*time.Microsecond), bare.Round(10*time.Microsecond), ours.Seconds()/bare.Seconds())
}

func p99(waits []time.Duration) time.Duration {
	sorted := slices.Sorted(slices.Values(waits))
	return sorted[len(sorted)*99/100]
}

// flood sends webhooks.
type flood struct {
	b      *testing.B
	client *http.Client
	secret string
	next   atomic.Int64
}

// send sends one round, and returns how long each took.
func (s *flood) send(url string) []time.Duration {
	all := make([]time.Duration, perRound)
	var left atomic.Int64
	left.Store(perRound)
	var senders sync.WaitGroup
	for range webhookConns {
		senders.Go(func() {
			for i := left.Add(-1); i >= 0; i = left.Add(-1) {
				began := time.Now()
				s.sendOne(url)
				all[i] = time.Since(began)
			}
		})
	}
	senders.Wait()
	return all
}

func (s *flood) sendOne(url string) {
	body := fmt.Appendf(nil, `{"object":"instagram","entry":[{"id":"17841400000000001","time":1788000100,"changes":[{"field":"comments","value":{"id":"c%d","text":"Lovely!","from":{"id":"684","username":"ann"},"media":{"id":"1801","media_product_type":"FEED"}}}]}]}`, s.next.Add(1))
	mac := hmac.New(sha256.New, []byte(s.secret))
	mac.Write(body)
	req, err := http.NewRequest(http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		s.b.Error(err)
		return
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Hub-Signature-256", "sha256="+hex.EncodeToString(mac.Sum(nil)))
	resp, err := s.client.Do(req)
	if err != nil {
		s.b.Error(err)
		return
	}
	defer resp.Body.Close()
	if _, _ = io.Copy(io.Discard, resp.Body); resp.StatusCode != http.StatusOK {
		s.b.Errorf("%s answers %d", url, resp.StatusCode)
	}
}

// bare serves the least that keeps a webhook: read, one INSERT into a table like ours,
// one Enqueue, answer.
func (s *flood) bare(databaseURL, redisURL string) (url string) {
	conn, err := sql.Open("pgx", databaseURL)
	must(s.b, err)
	s.b.Cleanup(func() { _ = conn.Close() })
	conn.SetMaxOpenConns(20) // as many as the api has
	conn.SetMaxIdleConns(20)
	_, err = conn.Exec("CREATE TABLE bare_events (LIKE webhook_events INCLUDING ALL)")
	must(s.b, err)
	redisSettings, err := config.ParseRedisURL(secrets.Secret(redisURL))
	must(s.b, err)
	client := jobs.NewRedis(redisSettings)
	s.b.Cleanup(func() { _ = client.Close() })
	tasks := asynq.NewClientFromRedisClient(client)
	e := echo.New()
	e.HideBanner, e.HidePort = true, true
	e.POST("/webhook", func(c echo.Context) error {
		body, err := io.ReadAll(c.Request().Body)
		if err != nil {
			return err
		}
		ctx, now, sum := c.Request().Context(), time.Now().UTC(), sha256.Sum256(body)
		var id int64
		err = conn.QueryRowContext(ctx, `INSERT INTO bare_events (platform, dedupe_key, name, payload, received_at, status, run_at, enqueued_at)
			VALUES ('instagram', $1, 'comments', $2, $3, 'pending', $3, $3) RETURNING id`, hex.EncodeToString(sum[:]), body, now).Scan(&id)
		if err != nil {
			return err
		}
		payload, err := json.Marshal(map[string]int64{"v": 1, "webhook_event_id": id})
		if err != nil {
			return err
		}
		if _, err := tasks.EnqueueContext(ctx, asynq.NewTask("webhook:process", payload), asynq.Queue("bare"), asynq.TaskID("bare-"+strconv.FormatInt(id, 10))); err != nil {
			return err
		}
		return c.JSON(http.StatusOK, map[string]string{"status": "ok"})
	})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(s.b, err)
	server := &http.Server{Handler: e}
	go func() { _ = server.Serve(l) }()
	s.b.Cleanup(func() { _ = server.Shutdown(context.Background()) })
	return "http://" + l.Addr().String() + "/webhook"
}
