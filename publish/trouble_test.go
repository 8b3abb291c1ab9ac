package publish_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"socialqueue/db"
	"socialqueue/db/dbtest"
	"socialqueue/models"
	"socialqueue/publish"
	instagramposts "socialqueue/publish/instagram"
	tiktokposts "socialqueue/publish/tiktok"
	"socialqueue/sandbox"
	"socialqueue/sandbox/sample"
	"socialqueue/secrets"
	"socialqueue/test/testkit"
)

// onPostgres is the fixture on Postgres with a second way into its database.
func onPostgres(t *testing.T) (*fixture, *sql.DB) {
	t.Helper()
	address := dbtest.PostgresURL(t)
	raw, err := sql.Open("pgx", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = raw.Close() })
	return newFixture(t, openPostgres(t, address)), raw
}

func openPostgres(t *testing.T, address string) *db.DB {
	t.Helper()
	d, err := db.OpenPostgres(t.Context(), secrets.Secret(address), 6)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	return d
}

// TestLedgerUnreadable: a run that cannot read the ledger knows nothing of the
// post: it leaves it as it is, whatever that is, and uses no attempt.
func TestLedgerUnreadable(t *testing.T) {
	for name, tc := range map[string]struct {
		reach func(*fixture)
		want  models.Status
	}{
		"before anything was sent": {func(*fixture) {}, models.Publishing},
		"after a crash at the last chunk": {func(w *fixture) {
			w.wire.CutPower(2, true)
			w.step()
			w.clock.Advance(25 * time.Second)
			w.tick()
		}, models.Publishing},
		"in processing": {func(w *fixture) { w.step() }, models.Processing},
	} {
		t.Run(name, func(t *testing.T) {
			w, raw := onPostgres(t)
			p := w.accept(tiktokVideo)
			tc.reach(w)
			exec(t, raw, "ALTER TABLE ledger RENAME TO ledger_away")
			for range 4 {
				w.step()
			}
			exec(t, raw, "ALTER TABLE ledger_away RENAME TO ledger")
			got := w.post(p)
			if got.Status != tc.want || got.Attempts != 0 || got.DeferredReason != models.DeferredInternal {
				t.Errorf("want %s, put off for %s, no attempt: %s", tc.want, models.DeferredInternal, w.story(p))
			}
			if _, err := w.Cancel(w.ctx, w.app.ID, p.ID); !errors.Is(err, publish.ErrConflict) {
				t.Errorf("cancel of a post of which nothing is known: %v, want ErrConflict", err)
			}
			p = w.settle(p)
			w.wantLive(1)
			w.wantStatus(p, models.Published)
			if p.Attempts != 0 {
				t.Errorf("%d attempts for trouble of our own", p.Attempts)
			}
		})
	}
}

func exec(t *testing.T, raw *sql.DB, statement string, args ...any) {
	t.Helper()
	if _, err := raw.ExecContext(t.Context(), statement, args...); err != nil {
		t.Fatal(err)
	}
}

// pgProxy stands before Postgres and can cut a connection at one message.
type pgProxy struct {
	server string
	mu     sync.Mutex
	// at counts down to the message that is cut; negative never cuts. With after
	// Postgres gets it, and only its answer is lost. Match narrows the count.
	at    int
	after bool
	match string
	count int
	cut   string
	// stalled holds everything back until it is closed; nil holds nothing.
	stalled chan struct{}
}

// newPGProxy puts a proxy before the database of an address and gives the
// address of the proxy.
func newPGProxy(t *testing.T, address string) (*pgProxy, string) {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	p := &pgProxy{server: u.Host, at: -1}
	var listen net.ListenConfig
	ln, err := listen.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	go func() {
		for {
			client, err := ln.Accept()
			if err != nil {
				return
			}
			go p.serve(client)
		}
	}()
	u.Host = ln.Addr().String()
	return p, u.String()
}

// arm cuts the n-th message from now on that contains match.
func (p *pgProxy) arm(n int, after bool, match string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.at, p.after, p.match, p.count, p.cut = n, after, match, 0, ""
}

// stall holds everything back until the returned function is called.
func (p *pgProxy) stall() (resume func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	wait := make(chan struct{})
	p.stalled = wait
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.stalled = nil
		close(wait)
	}
}

// seen tells how many messages came since arm, and the one that was cut.
func (p *pgProxy) seen() (count int, cut string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.count, p.cut
}

// meets counts a message and tells what becomes of it.
func (p *pgProxy) meets(message []byte) (cut, after bool, stalled chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.match == "" || bytes.Contains(bytes.ToLower(message), []byte(p.match)) {
		cut = p.at == 0
		p.at--
		p.count++
	}
	if cut {
		p.cut = strings.ToValidUTF8(string(message[:min(len(message), 120)]), ".")
	}
	return cut, p.after, p.stalled
}

func (p *pgProxy) serve(client net.Conn) {
	defer client.Close()
	server, err := (&net.Dialer{}).DialContext(context.Background(), "tcp", p.server)
	if err != nil {
		return
	}
	defer server.Close()
	lost := make(chan struct{})
	answered := make(chan struct{})
	go p.answers(client, server, lost, answered)
	buf := make([]byte, 1<<20)
	for {
		n, err := client.Read(buf)
		if err != nil {
			return
		}
		cut, after, stalled := p.meets(buf[:n])
		if stalled != nil {
			<-stalled
		}
		if cut && !after {
			return
		}
		if cut {
			close(lost)
		}
		if _, err := server.Write(buf[:n]); err != nil {
			return
		}
		if cut {
			<-answered
			return
		}
	}
}

// answers passes on what Postgres says until that is to be lost.
func (p *pgProxy) answers(client, server net.Conn, lost, answered chan struct{}) {
	defer close(answered)
	defer client.Close()
	buf := make([]byte, 1<<16)
	for {
		n, err := server.Read(buf)
		if err != nil {
			return
		}
		select {
		case <-lost:
			return
		default:
		}
		if _, err := client.Write(buf[:n]); err != nil {
			return
		}
	}
}

// settleAsAsynq runs the service until the post has ended, where tasks and ticks
// may fail and tasks come back.
func (w *fixture) settleAsAsynq(p *models.Post) *models.Post {
	w.t.Helper()
	for range 200 {
		got, err := w.db.Posts.ByID(w.ctx, p.ID)
		if err != nil {
			continue
		}
		if got.Status.Ended() && got.Admission == models.AdmissionNone {
			return got
		}
		task, ok := w.queue.Posts.Take()
		if !ok {
			w.clock.Advance(5 * time.Second)
			_ = errors.Join(w.AdmitDue(w.ctx), w.MissLate(w.ctx), w.Sweep(w.ctx))
			continue
		}
		if ahead := task.At.Sub(w.clock.Now()); ahead > 0 {
			w.clock.Advance(ahead)
		}
		if err := w.RunStep(w.ctx, task, w.drain); err != nil {
			w.queue.PutPost(task, publish.TaskPending)
		}
	}
	w.t.Fatalf("the post did not end: %s", w.story(p))
	return nil
}

// TestEveryPostgresAnswerLost cuts the connection at every message to Postgres
// of every flow, before it arrived or before its answer: the post goes live
// once, soon, and pays no attempt for trouble of our own.
func TestEveryPostgresAnswerLost(t *testing.T) {
	for _, f := range flows {
		for _, after := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, arrived %v", f.name, after), func(t *testing.T) {
				t.Parallel()
				proxy, address := newPGProxy(t, dbtest.PostgresURL(t))
				w := newFixture(t, openPostgres(t, address))
				w.sim.AddInstagramAccount(sandbox.InstagramAccount{IGID: w.igSim.IGID, Username: w.igSim.Username, QuotaTotal: 10_000})
				w.settleAsAsynq(w.accept(f)) // from here on statements are prepared
				p := w.accept(f)
				proxy.arm(-1, after, "")
				w.settleAsAsynq(p)
				messages, _ := proxy.seen()
				for n := 0; n < messages; n += stride() {
					w.loseOne(proxy, f, n, after)
				}
			})
		}
	}
}

func (w *fixture) loseOne(proxy *pgProxy, f flow, n int, after bool) {
	w.t.Helper()
	live := len(w.sim.LivePosts())
	p := w.accept(f, func(r *publish.Request) {
		switch options := r.Options.(type) {
		case *tiktokposts.Options:
			options.Title = fmt.Sprint("message ", n)
		case *instagramposts.Options:
			if r.Kind != models.Story { // which has no text
				options.Caption = fmt.Sprint("message ", n)
			}
		}
	})
	begin, began := w.clock.Now(), time.Now()
	proxy.arm(n, after, "")
	p = w.settleAsAsynq(p)
	_, cut := proxy.seen()
	proxy.arm(-1, after, "")
	w.wantLive(live + 1)
	if took := w.clock.Now().Sub(begin); p.Status != models.Published || p.Attempts != 0 || took > 2*time.Minute {
		w.t.Errorf("message %d lost: %s after %s, %d attempts\ncut: %q\n%s", n, p.Status, took, p.Attempts, cut, w.story(p))
	}
	if held := time.Since(began); held > w.Timings.Lease/2 {
		w.t.Errorf("message %d lost: a worker was held for %s\ncut: %q", n, held, cut)
	}
}

// TestFileSurvivesALostCommit: the commit of an upload's row is answered by
// nobody. The app that asks again is told of the file, and the file is there.
func TestFileSurvivesALostCommit(t *testing.T) {
	proxy, address := newPGProxy(t, dbtest.PostgresURL(t))
	w := newFixture(t, openPostgres(t, address))
	now := w.clock.Now()
	key := models.IdempotencyKey{AppID: w.app.ID, Key: "k", Request: "POST /api/media", Owner: "first", LockedUntil: now.Add(time.Hour), CreatedAt: now}
	_, _, err := w.db.Tenants.TakeKey(w.ctx, &key, now)
	w.must(err)
	proxy.arm(0, true, "commit")
	_, err = w.StoreFile(w.ctx, w.app.ID, bytes.NewReader(sample.Video), func(m *models.Media) (*db.Completion, error) {
		return &db.Completion{AppID: w.app.ID, Key: "k", Owner: "first", Status: http.StatusCreated, Body: m.ID}, nil
	})
	if err == nil {
		t.Fatal("the commit's answer was not lost")
	}
	key.Owner = "second"
	held, taken, err := w.db.Tenants.TakeKey(w.ctx, &key, now)
	w.must(err)
	if taken || held.ResponseStatus != http.StatusCreated {
		t.Fatalf("taken again %v, answer %d; want the first answer", taken, held.ResponseStatus)
	}
	w.video = held.ResponseBody
	w.wantFile(w.video, true)
	w.wantStatus(w.settle(w.accept(tiktokVideo)), models.Published)
	w.wantLive(1)
}

// TestLongFetch: a customer's file takes a minute to come. Nobody else fetches it meanwhile,
// and it holds no worker of posts.
func TestLongFetch(t *testing.T) {
	for _, f := range []flow{tiktokVideo, instagramReel} {
		t.Run(f.name, func(t *testing.T) {
			w := onSQLite(t)
			var p *models.Post
			served := 0
			files := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
				served++
				for range 12 { // as the keeper does meanwhile
					w.clock.Advance(5 * time.Second)
					f := &models.Fetch{PostID: p.ID, Fence: 1}
					if err := w.db.Fetches.Renew(w.ctx, f, w.clock.Now().Add(20*time.Second)); err != nil {
						t.Error(err)
					}
					w.tick()
				}
				_, _ = rw.Write(sample.Video)
			}))
			defer files.Close()
			p = w.accept(f, func(r *publish.Request) { r.Files[0].MediaID, r.Files[0].URL = "", files.URL+"/v.mp4" })
			w.step()
			if got := w.post(p); got.Status != models.Queued || got.StartedAt != nil {
				t.Errorf("after the fetch: %s", w.story(p))
			}
			p = w.settle(p)
			w.wantLive(1)
			w.wantStatus(p, models.Published)
			if served != 1 || p.Fence > 6 || p.Attempts != 0 {
				t.Errorf("fetched %d times: %s", served, w.story(p))
			}
		})
	}
}

// TestRenewThatHangs: the network to Postgres swallows everything. The run ends
// its call when its lease is over, for by then another may send.
func TestRenewThatHangs(t *testing.T) {
	proxy, address := newPGProxy(t, dbtest.PostgresURL(t))
	w := newFixture(t, openPostgres(t, address))
	w.Timings.Lease = 400 * time.Millisecond
	p := w.accept(tiktokVideo)
	task, _ := w.queue.Posts.Take()
	var took time.Duration
	w.wire.Intercept(func(r *http.Request) (*http.Response, error) {
		if !strings.Contains(r.URL.Path, "tiktok-upload") {
			return nil, nil
		}
		resume := proxy.stall()
		defer resume()
		begin := time.Now()
		select {
		case <-r.Context().Done():
		case <-time.After(10 * time.Second):
			t.Error("25 leases later the call still runs")
		}
		took = time.Since(begin)
		return nil, r.Context().Err()
	})
	_ = w.RunStep(w.ctx, task, w.drain)
	w.wire.Intercept(nil)
	if took > 4*w.Timings.Lease {
		t.Errorf("the call ended after %s, the lease was %s", took, w.Timings.Lease)
	}
	w.Timings.Lease = 20 * time.Second
	w.clock.Advance(time.Minute)
	p = w.settleAsAsynq(p)
	w.wantLive(1)
	w.wantStatus(p, models.Published)
}

// TestRunWithoutProgress: a run makes no progress, as on a storage that hangs, while the
// database works. The run gives up its lease, and another run takes over.
func TestRunWithoutProgress(t *testing.T) {
	w := onSQLite(t)
	w.Timings.Lease, w.Timings.Stall = 400*time.Millisecond, 300*time.Millisecond
	p := w.accept(tiktokVideo)
	task, _ := w.queue.Posts.Take()
	w.wire.Intercept(func(r *http.Request) (*http.Response, error) {
		if !strings.Contains(r.URL.Path, "tiktok-upload") {
			return nil, nil
		}
		select {
		case <-r.Context().Done():
		case <-time.After(testkit.Patience):
			t.Error("the run keeps its lease")
		}
		return nil, r.Context().Err()
	})
	_ = w.RunStep(w.ctx, task, w.drain)
	w.wire.Intercept(nil)
	if got := w.post(p); got.LeaseUntil == nil || got.Status != models.Publishing {
		t.Errorf("the run wrote a result: %+v", got)
	}
	if story := w.story(w.post(p)); !strings.Contains(story, "nothing moved for 300ms") {
		t.Errorf("the timeline does not say that the run hangs: %s", story)
	}
	w.Timings.Lease, w.Timings.Stall = 20*time.Second, time.Minute
	w.clock.Advance(time.Minute)
	p = w.settleAsAsynq(p)
	w.wantLive(1)
	w.wantStatus(p, models.Published)
}

// TestPictureFromALinkSurvivesACut: the process ends right after the container
// of a fetched picture was noted, at a step that other kinds have bytes to send
// in; also when Instagram is slow with it.
func TestPictureFromALinkSurvivesACut(t *testing.T) {
	for _, slow := range []int{0, 6} {
		t.Run(fmt.Sprintf("%d reads in progress", slow), func(t *testing.T) {
			w := onSQLite(t)
			files := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) { _, _ = rw.Write(sample.Picture) }))
			defer files.Close()
			p := w.accept(instagramImage, func(r *publish.Request) { r.Files[0].MediaID, r.Files[0].URL = "", files.URL+"/p.jpg" })
			w.step() // the fetch
			w.onNow = func() {
				if got, err := w.db.Posts.ByID(w.ctx, p.ID); err == nil && got.ContainerID != nil {
					panic(testkit.PowerCut{})
				}
			}
			w.step()
			w.onNow = nil
			w.wantStatus(p, models.Publishing)
			w.wire.Intercept(func(r *http.Request) (*http.Response, error) {
				if r.Method != http.MethodGet || !strings.HasSuffix(r.URL.Path, *w.post(p).ContainerID) || slow == 0 {
					return nil, nil
				}
				slow--
				return answer(http.StatusOK, `{"status_code":"IN_PROGRESS","status":"In progress"}`), nil
			})
			w.clock.Advance(25 * time.Second)
			p = w.settle(p)
			w.wantLive(1)
			w.wantStatus(p, models.Published)
			if n := w.sim.CountCalls(sandbox.OpInstagramContainer); n != 1 || p.Attempts != 0 {
				t.Errorf("%d containers, %d attempts; want one and none: %s", n, p.Attempts, w.story(p))
			}
		})
	}
}

// TestClockBehind: a worker whose clock is behind the api's leaves the task in
// the queue, for it is what the post waits for.
func TestClockBehind(t *testing.T) {
	w := onSQLite(t)
	p := w.accept(tiktokVideo)
	task, _ := w.queue.Posts.Take()
	w.clock.Advance(-45 * time.Second)
	var early *db.EarlyError
	if err := w.RunStep(w.ctx, task, w.drain); !errors.As(err, &early) || early.In != 45*time.Second {
		t.Fatalf("err = %v, want EarlyError of 45 s", err)
	}
	w.wantStatus(p, models.Queued)
	w.clock.Advance(early.In)
	w.must(w.RunStep(w.ctx, task, w.drain)) // the same task comes back
	w.wantStatus(w.settle(p), models.Published)
	w.wantLive(1)
}

// TestSweepReachesEveryone: more posts than one sweep looks at wait in Asynq for
// a worker; a younger one that lost its task gets another all the same.
func TestSweepReachesEveryone(t *testing.T) {
	w, raw := onPostgres(t)
	const waiting = 1100
	lost := w.accept(tiktokVideo)
	w.queue.Posts.Take()
	exec(t, raw, `
		INSERT INTO posts (id, app_id, user_id, platform, oauth_account_id, kind, content, publish_at, created_at, lane, status, step, admission, run_at, enqueued_at, updated_at, media_id)
		SELECT 'waits-' || n, app_id, user_id, platform, oauth_account_id, kind, content, publish_at, created_at, 'tiktok:' || (1000 + n), status, step,
			admission, run_at - interval '1 hour', enqueued_at, updated_at, media_id
		FROM posts, generate_series(1, $1) n`, waiting)
	for n := range waiting {
		w.queue.PutPost(publish.Task{PostID: fmt.Sprint("waits-", n+1), At: w.clock.Now()}, publish.TaskPending)
	}
	task := publish.TaskOf(w.post(lost))
	w.clock.Advance(20 * time.Second)
	for range 4 {
		w.clock.Advance(time.Second)
		w.must(w.Sweep(w.ctx))
	}
	if state, _ := w.queue.State(w.ctx, task); state != publish.TaskPending {
		t.Errorf("after four sweeps over %d posts the lost task is %s", waiting, state)
	}
}

// TestCutRightBehindTheInit: the process ends between the ledger's word of an
// upload and the row's. The next run sends all of it and dies, and so do those
// that follow: the post is set aside, and the looks know what to look for.
func TestCutRightBehindTheInit(t *testing.T) {
	w := onSQLite(t)
	p := w.accept(tiktokVideo)
	w.onNow = func() {
		ledger, err := w.db.Runs.Ledger(w.ctx, p.ID)
		if opened := ledger.Latest("tiktok.init"); err == nil && opened != nil && opened.State == models.Done {
			panic(testkit.PowerCut{})
		}
	}
	w.step()
	w.onNow = nil
	w.clock.Advance(30 * time.Second)
	w.tick()
	w.wire.CutPower(1, true) // the status, then the chunk
	w.step()
	for dead := 0; dead < 40 && w.post(p).Status == models.Publishing; dead++ {
		w.wire.CutPower(0, false)
		w.step()
		w.clock.Advance(30 * time.Second)
	}
	w.wire.KeepPower()
	w.wantStatus(p, models.Uncertain)
	p = w.settle(p)
	w.wantLive(1)
	w.wantStatus(p, models.Published)
	w.wantOwnID(p)
}
