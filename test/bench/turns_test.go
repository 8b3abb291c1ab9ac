package bench

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"slices"
	"testing"
	"time"

	"socialqueue/app"
	"socialqueue/config"
	"socialqueue/db"
	"socialqueue/db/dbtest"
	"socialqueue/highwater"
	"socialqueue/jobs/redistest"
	"socialqueue/models"
	"socialqueue/observe"
	"socialqueue/publish"
	"socialqueue/sandbox"
	"socialqueue/sandbox/sample"
	"socialqueue/secrets"
	"socialqueue/tenants"
	"socialqueue/test/testkit"
)

const (
	backlog      = 6000
	turnSlice    = 20 * time.Second
	turnSlices   = 3 // of each kind
	postEvery    = 2 * time.Second
	startedUntil = 30 * time.Second
)

// BenchmarkTurns gives one app a backlog on many accounts, and has another app post every two
// seconds. It tells how late the posts of the second start, and how much the first gets done
// compared with slices in which it is alone. The slices take turns.
func BenchmarkTurns(b *testing.B) {
	for _, accounts := range []int{300, 10_000} {
		b.Run(fmt.Sprint(accounts), func(b *testing.B) { benchTurns(b, accounts) })
	}
}

func benchTurns(b *testing.B, accounts int) {
	s := newCrowd(b, accounts)
	var alone, beside rate
	var late []time.Duration
	for b.Loop() {
		for range turnSlices {
			s.refill(b)
			alone = alone.plus(s.published(b, func() { time.Sleep(turnSlice) }))
			s.refill(b)
			beside = beside.plus(s.published(b, func() { late = append(late, s.post(b)...) }))
		}
	}
	slices.Sort(late)
	p99 := late[len(late)*99/100]
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(alone.perSecond(), "alone_posts/s")
	b.ReportMetric(beside.perSecond()/alone.perSecond(), "ratio")
	b.ReportMetric(p99.Seconds(), "late_p99_s")
	b.Logf("MEASURED turns accounts=%d backlog=%d alone=%.0f posts/s beside=%.0f posts/s ratio=%.2f; the other app's %d posts started late by median %s, p99 %s, most %s",
		accounts, backlog, alone.perSecond(), beside.perSecond(), beside.perSecond()/alone.perSecond(),
		len(late), late[len(late)/2].Round(time.Millisecond), p99.Round(time.Millisecond), late[len(late)-1].Round(time.Millisecond))
}

// crowd is the system with an app that has a backlog, and another one.
type crowd struct {
	sql   *sql.DB
	db    *db.DB
	busy  int64
	other caller
	body  string
}

func newCrowd(b *testing.B, accounts int) *crowd {
	b.Helper()
	ctx := context.Background()
	databaseURL, redisURL := dbtest.PostgresURL(b), redistest.URL(b)
	sim := startSandbox(b)
	env := settings(sim, databaseURL, redisURL, b.TempDir())
	log := observe.NewLogger("bench", "warning", "json", devNull(b))
	api, err := app.NewAPI(ctx, load(b, config.API, env), app.Options{Log: log})
	must(b, err)
	worker, err := app.NewWorker(ctx, load(b, config.Worker, env), app.Options{Log: log})
	must(b, err)
	scheduler, err := app.NewScheduler(ctx, load(b, config.Scheduler, env), app.Options{Log: log})
	must(b, err)
	for _, p := range []interface {
		Start(context.Context) error
		Stop(context.Context) error
	}{api, worker, scheduler} {
		b.Cleanup(func() { _ = p.Stop(context.Background()) })
		must(b, p.Start(ctx))
	}
	c := &crowd{}
	c.db, err = db.OpenPostgres(ctx, secrets.Secret(databaseURL), 4)
	must(b, err)
	b.Cleanup(func() { _ = c.db.Close() })
	c.sql = c.db.Pool()
	c.busy = c.tenant(b, "http://"+api.Addr(), sim, accounts)
	c.tenant(b, "http://"+api.Addr(), sim, 1)
	return c
}

// tenant makes an app with accounts and a post that is never due, which is what the posts of the
// backlog are copies of.
func (c *crowd) tenant(b *testing.B, url string, sim *sandbox.Server, accounts int) int64 {
	b.Helper()
	appID, key, err := tenants.New(tenants.Deps{DB: c.db, Now: time.Now}).CreateApp(context.Background(), fmt.Sprint("app with ", accounts))
	must(b, err)
	userID := makeUser(b, c.db, appID)
	var account int64
	for range accounts {
		account, _ = connect(b, c.db, sim, appID, userID)
	}
	c.other = caller{url: url, key: key.Reveal(), http: newClient(b, 4)}
	var m struct{ ID string }
	c.other.send(b, "/api/media", "video/mp4", bytes.NewReader(sample.Video), int64(len(sample.Video)), &m)
	c.body = fmt.Sprintf(`{"account_id":%d,"media_id":%q,"title":"A title","privacy_level":"SELF_ONLY"`, account, m.ID)
	template := fmt.Sprintf(`%s,"publish_at":%q}`, c.body, time.Now().Add(48*time.Hour).UTC().Format(time.RFC3339))
	c.other.send(b, "/api/tiktok/upload", "application/json", bytes.NewReader([]byte(template)), int64(len(template)), &m)
	return appID
}

// refill fills the backlog of the busy app up.
func (c *crowd) refill(b *testing.B) {
	b.Helper()
	_, err := c.sql.Exec(`
		WITH template AS (SELECT * FROM posts WHERE app_id = $1 AND status = 'scheduled' LIMIT 1),
		accounts AS (SELECT a.id, ROW_NUMBER() OVER (ORDER BY a.id) - 1 AS n, COUNT(*) OVER () AS of FROM oauth_accounts a JOIN users u ON u.id = a.user_id WHERE u.app_id = $1),
		due AS (INSERT INTO posts (id, app_id, user_id, platform, oauth_account_id, kind, content, publish_at, created_at, updated_at, lane, status, step, media_id, run_at, admission)
			SELECT gen_random_uuid()::text, t.app_id, t.user_id, t.platform, a.id, t.kind, t.content, now(), now(), now(), 'tiktok:' || a.id, 'queued', t.step, t.media_id, now(), 'waiting'
			FROM template t, generate_series(1, $2 - (SELECT COUNT(*) FROM posts WHERE app_id = $1 AND status = 'queued')) i JOIN accounts a ON a.n = i % a.of
			RETURNING id, media_id)
		INSERT INTO post_media (post_id, position, media_id) SELECT id, 0, media_id FROM due`, c.busy, backlog)
	must(b, err)
}

// published counts the busy app's posts that went live during a slice.
func (c *crowd) published(b *testing.B, slice func()) rate {
	b.Helper()
	count := func() (n int64) {
		must(b, c.sql.QueryRow("SELECT COUNT(*) FROM posts WHERE app_id = $1 AND status IN ('processing', 'published')", c.busy).Scan(&n))
		return n
	}
	began, before := time.Now(), count()
	slice()
	return rate{count() - before, time.Since(began)}
}

// post posts as the other app for a slice, and returns how late each post started.
func (c *crowd) post(b *testing.B) []time.Duration {
	b.Helper()
	var ids []string
	for began := time.Now(); time.Since(began) < turnSlice; time.Sleep(postEvery) {
		var p struct{ ID string }
		c.other.send(b, "/api/tiktok/upload", "application/json", bytes.NewReader([]byte(c.body+"}")), int64(len(c.body)+1), &p)
		ids = append(ids, p.ID)
	}
	late := make([]time.Duration, len(ids))
	for i, id := range ids {
		testkit.Await(b, startedUntil, "the post starts", func() (bool, string) {
			p, err := c.db.Posts.ByID(context.Background(), id)
			must(b, err)
			if p.StartedAt != nil {
				late[i] = p.StartedAt.Sub(p.PublishAt)
			}
			return p.StartedAt != nil, string(p.Status)
		})
	}
	return late
}

// BenchmarkAdmission tells what a tick costs while the workers have all that they can do: with
// posts that wait for their time, and with posts that wait behind their lanes.
func BenchmarkAdmission(b *testing.B) {
	for _, c := range []struct{ scheduled, lanes int }{{0, 0}, {10_000, 0}, {1_000_000, 0}, {0, 10}, {0, 10_000}, {0, 100_000}} {
		b.Run(fmt.Sprintf("waiting=%d/lanes=%d", c.scheduled, c.lanes), func(b *testing.B) { benchAdmission(b, c.scheduled, c.lanes) })
	}
}

func benchAdmission(b *testing.B, scheduled, lanes int) {
	const places = 64
	ctx := context.Background()
	d, err := db.OpenPostgres(ctx, secrets.Secret(dbtest.PostgresURL(b)), 4)
	must(b, err)
	b.Cleanup(func() { _ = d.Close() })
	_, _, err = tenants.New(tenants.Deps{DB: d, Now: time.Now}).CreateApp(ctx, "bench")
	must(b, err)
	queue := &testkit.Queue{}
	queue.SetPlaces(places)
	s, err := publish.New(publish.Deps{DB: d, Queue: queue, Marks: highwater.NewFile(b.TempDir()), Log: observe.NewLogger("bench", "warning", "json", devNull(b)), Now: time.Now, Timings: publish.DefaultTimings()})
	must(b, err)
	fillPosts(b, d, scheduled, "1", "'waiting'", "'scheduled'", "now() + INTERVAL '1 day' + i * INTERVAL '1 second'")
	fillPosts(b, d, 2*places, "1", "'admitted'", "'queued'", "now()") // the workers have these
	fillPosts(b, d, 4*lanes, "4", "CASE WHEN i % 4 = 0 THEN 'parked' ELSE 'waiting' END", "'queued'", "now() - INTERVAL '1 minute'")
	_, err = d.Pool().Exec("VACUUM ANALYZE posts")
	must(b, err)
	b.ResetTimer()
	for b.Loop() {
		must(b, s.AdmitDue(ctx))
	}
	var parked, admitted int
	must(b, d.Pool().QueryRow("SELECT COUNT(*) FILTER (WHERE admission = 'parked'), COUNT(*) FILTER (WHERE admission = 'admitted') FROM posts").Scan(&parked, &admitted))
	b.Logf("MEASURED tick waiting=%d lanes=%d: %s each (%d ticks; then %d parked, %d admitted)", scheduled, lanes, (b.Elapsed() / time.Duration(b.N)).Round(10*time.Microsecond), b.N, parked, admitted)
}

// fillPosts stores posts i from 1 to n, so many in each lane.
func fillPosts(b *testing.B, d *db.DB, n int, perLane, admission, status, runAt string) {
	b.Helper()
	if n == 0 {
		return
	}
	_, err := d.Pool().Exec(`
		WITH person AS (INSERT INTO users (app_id, external_id, created_at, updated_at) SELECT id, gen_random_uuid()::text, now(), now() FROM apps RETURNING id, app_id),
		account AS (INSERT INTO oauth_accounts (user_id, provider, provider_account_id, access_token) SELECT id, 'tiktok', gen_random_uuid()::text, 'sealed' FROM person RETURNING id, user_id)
		INSERT INTO posts (id, app_id, user_id, platform, oauth_account_id, kind, content, publish_at, created_at, updated_at, lane, status, step, run_at, admission)
		SELECT gen_random_uuid()::text, p.app_id, p.id, 'tiktok', a.id, 'video', '{"tiktok":{}}', now(), now(), now(), `+fmt.Sprintf("'%s ' || i / %s", models.NewID()[24:], perLane)+`, `+status+`, 'publish', `+runAt+`, `+admission+`
		FROM person p JOIN account a ON a.user_id = p.id, generate_series(1, $1::int) i`, n)
	must(b, err)
}
