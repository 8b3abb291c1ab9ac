package publish_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"socialqueue/config"
	"socialqueue/db"
	"socialqueue/db/dbtest"
	"socialqueue/jobs"
	"socialqueue/jobs/redistest"
	"socialqueue/models"
	"socialqueue/oauth"
	"socialqueue/publish"
	tiktokposts "socialqueue/publish/tiktok"
	"socialqueue/sandbox"
	"socialqueue/secrets"
	"socialqueue/test/testkit"
)

// TestSameTaskTwice delivers every task twice, at once and again later, as
// Asynq may.
func TestSameTaskTwice(t *testing.T) {
	for _, f := range flows {
		t.Run(f.name, func(t *testing.T) {
			dbtest.Each(t, func(t *testing.T, d *db.DB) {
				w := newFixture(t, d)
				p := w.accept(f)
				for !w.post(p).Status.Ended() {
					w.stepTwice()
				}
				w.wantLive(1)
				w.wantStatus(p, models.Published)
			})
		})
	}
}

// stepTwice runs the next task twice at once, and once more after that.
func (w *fixture) stepTwice() {
	w.t.Helper()
	task, ok := w.queue.Posts.Take()
	if !ok {
		w.clock.Advance(5 * time.Second)
		w.tick()
		return
	}
	if ahead := task.At.Sub(w.clock.Now()); ahead > 0 {
		w.clock.Advance(ahead)
	}
	var both sync.WaitGroup
	for range 2 {
		both.Go(func() {
			if err := w.RunStep(w.ctx, task, w.drain); err != nil {
				w.t.Error(err)
			}
		})
	}
	both.Wait()
	w.must(w.RunStep(w.ctx, task, w.drain))
}

// TestRedisLosesEverything: 40 posts wait, Redis is emptied, all go live.
func TestRedisLosesEverything(t *testing.T) {
	w := onSQLite(t)
	var posts []*models.Post
	for range 10 {
		for _, f := range flows {
			posts = append(posts, w.accept(f))
		}
	}
	for range 5 {
		w.step()
	}
	w.queue.Flush()
	for _, p := range posts {
		w.wantStatus(w.settle(p), models.Published)
	}
	w.wantLive(len(posts))
}

// TestRedisAwayAtAccept: the answer is 202 all the same, and the sweep makes up
// for it at once.
func TestRedisAwayAtAccept(t *testing.T) {
	for name, away := range map[string]func(q *testkit.Queue, is bool){
		"refuses":       func(q *testkit.Queue, is bool) { q.Posts.SetDown(is) },
		"never answers": func(q *testkit.Queue, is bool) { q.Posts.SetSilent(is) },
	} {
		t.Run(name, func(t *testing.T) {
			w := onSQLite(t)
			away(w.queue, true)
			p := w.accept(tiktokVideo)
			away(w.queue, false)
			w.tick()
			if w.queue.Posts.Len() != 1 {
				t.Fatalf("%d tasks after the sweep, want 1", w.queue.Posts.Len())
			}
			w.wantStatus(w.settle(p), models.Published)
			w.wantLive(1)
		})
	}
}

// TestSweepReplacesDeadTasks: a task that will not run any more, or that a
// worker took and never claimed, gets a successor.
func TestSweepReplacesDeadTasks(t *testing.T) {
	for _, state := range []publish.TaskState{publish.TaskDead, publish.TaskActive, publish.TaskMissing} {
		t.Run(state.String(), func(t *testing.T) {
			w := onSQLite(t)
			p := w.accept(tiktokVideo)
			task, _ := w.queue.Posts.Take()
			if state != publish.TaskMissing {
				w.queue.PutPost(task, state)
			}
			w.tick()
			if _, ok := w.queue.Posts.Take(); ok {
				t.Error("the sweep did not wait before it looked")
			}
			w.clock.Advance(time.Minute)
			w.tick()
			w.wantStatus(w.settle(p), models.Published)
			w.must(w.RunStep(w.ctx, task, w.drain)) // the old one comes back
			w.wantLive(1)
		})
	}
}

// TestPendingTaskIsLeftAlone: a backlog in Asynq is no reason for new tasks.
func TestPendingTaskIsLeftAlone(t *testing.T) {
	w := onSQLite(t)
	p := w.accept(tiktokVideo)
	for range 10 {
		w.clock.Advance(time.Minute)
		w.tick()
	}
	if got := w.post(p); w.queue.Posts.Len() != 1 || got.Fence != 0 {
		t.Errorf("%d tasks, fence %d; want the one, untouched", w.queue.Posts.Len(), got.Fence)
	}
}

// TestLanes: of one account's backlog only a few posts are in Asynq at once, in
// order, and another account's post is not behind them.
func TestLanes(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := newFixture(t, d)
		var backlog []*models.Post
		for i := range 12 {
			backlog = append(backlog, w.accept(tiktokVideo, func(r *publish.Request) { r.Options.(*tiktokposts.Options).Title = fmt.Sprint("part ", i) }))
			w.clock.Advance(time.Millisecond)
		}
		if w.queue.Posts.Len() != 3 {
			t.Errorf("%d tasks of one account are in Asynq, want 3", w.queue.Posts.Len())
		}
		other := w.accept(instagramImage)
		if w.post(other).Admission != models.AdmissionAdmitted {
			t.Error("another account's post waits behind the backlog")
		}
		w.tick()
		if w.queue.Posts.Len() != 4 {
			t.Errorf("%d tasks after a tick, want 4", w.queue.Posts.Len())
		}
		for _, p := range append(backlog, other) {
			w.wantStatus(w.settle(p), models.Published)
		}
		w.wantLive(13)
	})
}

// TestBacklogDoesNotStarveOthers: a thousand waiting posts of one account do
// not keep the tick from another's.
func TestBacklogDoesNotStarveOthers(t *testing.T) {
	w := newFixture(t, dbtest.Postgres(t))
	soon := w.clock.Now().Add(time.Minute)
	at := func(r *publish.Request) { r.PublishAt = &soon }
	for range 1000 {
		w.accept(tiktokVideo, at)
	}
	later := soon.Add(time.Second)
	other := w.accept(instagramImage, func(r *publish.Request) { r.PublishAt = &later })
	for range 3 {
		w.tick()
	}
	if got := w.post(other); got.Admission != models.AdmissionAdmitted {
		t.Errorf("the other account's post is %q after three ticks", got.Admission)
	}
	if n := w.queue.Posts.Len(); n > 4 {
		t.Errorf("%d tasks in Asynq", n)
	}
}

// TestScheduledStartsOnTime: a post waits in Postgres, moves ahead of its time
// and starts at it.
func TestScheduledStartsOnTime(t *testing.T) {
	w := onSQLite(t)
	at := w.clock.Now().Add(3 * time.Hour)
	p := w.accept(tiktokVideo, func(r *publish.Request) { r.PublishAt = &at })
	w.tick()
	if got := w.post(p); got.Status != models.Scheduled || w.queue.Posts.Len() != 0 {
		t.Fatalf("far ahead: %s, %d tasks", got.Status, w.queue.Posts.Len())
	}
	w.clock.Advance(3*time.Hour - time.Minute)
	w.tick()
	if got := w.post(p); got.Status != models.Scheduled || w.queue.Posts.Len() != 1 {
		t.Fatalf("near: %s, %d tasks", got.Status, w.queue.Posts.Len())
	}
	p = w.settle(p)
	if late := p.StartedAt.Sub(at); late < 0 || late > time.Second {
		t.Errorf("started %s late", late)
	}
	w.wantLive(1)
}

// TestEarlyTaskDoesNothing: an operator who runs a scheduled task by hand does
// not make the post go out early.
func TestEarlyTaskDoesNothing(t *testing.T) {
	w := onSQLite(t)
	at := w.clock.Now().Add(time.Minute)
	p := w.accept(tiktokVideo, func(r *publish.Request) { r.PublishAt = &at })
	w.tick()
	task, _ := w.queue.Posts.Take()
	var early *db.EarlyError
	if err := w.RunStep(w.ctx, task, w.drain); !errors.As(err, &early) || early.In != time.Minute {
		t.Errorf("err = %v, want EarlyError of a minute", err)
	}
	w.wantStatus(p, models.Scheduled)
	w.wantLive(0)
	p = w.settle(p)
	if p.StartedAt.Before(at) {
		t.Errorf("started %s early", at.Sub(*p.StartedAt))
	}
	w.wantLive(1)
}

// TestMissed: a post that may not be late is not sent late.
func TestMissed(t *testing.T) {
	minute := time.Minute
	w := onSQLite(t)
	p := w.accept(tiktokVideo, func(r *publish.Request) { r.MaxLateness = &minute })
	task, _ := w.queue.Posts.Take()
	w.clock.Advance(2 * time.Minute)
	w.must(w.RunStep(w.ctx, task, w.drain))
	w.wantStatus(p, models.Missed)

	byTick := w.accept(tiktokVideo, func(r *publish.Request) { r.MaxLateness = &minute })
	w.clock.Advance(2 * time.Minute)
	w.must(w.MissLate(w.ctx))
	w.wantStatus(byTick, models.Missed)
	if len(w.sim.Calls()) != 0 {
		t.Errorf("%d calls were made for missed posts", len(w.sim.Calls()))
	}
	_, err := w.Retry(w.ctx, w.app.ID, p.ID)
	w.must(err)
	w.wantStatus(w.settle(p), models.Published)
	w.wantLive(1)
}

func TestCancel(t *testing.T) {
	w := onSQLite(t)
	p := w.accept(tiktokVideo)
	_, err := w.Cancel(w.ctx, w.app.ID, p.ID)
	w.must(err)
	_, err = w.Cancel(w.ctx, w.app.ID, p.ID) // twice is once
	w.must(err)
	for range 5 {
		w.step()
	}
	w.wantStatus(p, models.Canceled)
	if len(w.sim.Calls()) != 0 {
		t.Error("a canceled post was worked on")
	}

	sent := w.settle(w.accept(tiktokVideo))
	if _, err := w.Cancel(w.ctx, w.app.ID, sent.ID); !errors.Is(err, publish.ErrConflict) {
		t.Errorf("cancel of a live post: %v, want ErrConflict", err)
	}
	if _, err := w.Cancel(w.ctx, w.app.ID+1, sent.ID); !errors.Is(err, db.ErrNotFound) {
		t.Errorf("cancel of another app's post: %v, want ErrNotFound", err)
	}
}

// TestCancelFreesThePlace: the next post of the lane moves up.
func TestCancelFreesThePlace(t *testing.T) {
	w := onSQLite(t)
	first := w.accept(tiktokVideo)
	for range 3 {
		w.accept(tiktokVideo)
	}
	_, err := w.Cancel(w.ctx, w.app.ID, first.ID)
	w.must(err)
	var parked int
	w.must(w.db.Pool().QueryRowContext(w.ctx, "SELECT COUNT(*) FROM posts WHERE admission = 'parked'").Scan(&parked))
	if parked != 0 {
		t.Errorf("%d posts still wait for their lane", parked)
	}
}

func TestReschedule(t *testing.T) {
	w := onSQLite(t)
	at := w.clock.Now().Add(time.Minute)
	p := w.accept(tiktokVideo, func(r *publish.Request) { r.PublishAt = &at })
	w.tick() // its task is in Asynq already
	later := at.Add(time.Hour)
	got, err := w.Reschedule(w.ctx, w.app.ID, p.ID, later)
	w.must(err)
	if got.Status != models.Scheduled || !got.PublishAt.Equal(later) {
		t.Errorf("rescheduled: %+v", got)
	}
	task, _ := w.queue.Posts.Take()
	w.clock.Advance(2 * time.Minute)
	w.must(w.RunStep(w.ctx, task, w.drain)) // the old task
	w.wantStatus(p, models.Scheduled)
	p = w.settle(p)
	if p.StartedAt.Before(later) {
		t.Error("started at the old time")
	}
	w.wantLive(1)
	if _, err := w.Reschedule(w.ctx, w.app.ID, p.ID, later.Add(time.Hour)); !errors.Is(err, publish.ErrConflict) && !isFieldError(err) {
		t.Errorf("reschedule of a live post: %v", err)
	}
}

func isFieldError(err error) bool {
	var errs models.FieldErrors
	return errors.As(err, &errs)
}

// TestDrainUsesNoAttempt: a worker that stops hands the post back, and another
// goes on.
func TestDrainUsesNoAttempt(t *testing.T) {
	for _, f := range flows {
		t.Run(f.name, func(t *testing.T) {
			w := onSQLite(t)
			p := w.accept(f)
			stop := make(chan struct{})
			w.wire.OnCall(func(*http.Request) {
				if w.wire.Calls() == 2 {
					close(stop)
				}
			})
			task, _ := w.queue.Posts.Take()
			w.must(w.RunStep(w.ctx, task, stop))
			if got := w.post(p); got.Attempts != 0 || got.LeaseUntil != nil || got.UnfinishedRuns != 0 {
				t.Errorf("after the drain: %s", w.story(p))
			}
			w.wantStatus(w.settle(p), models.Published)
			w.wantLive(1)
		})
	}
}

// TestAcceptChecks: what is refused before anything is stored. The handlers'
// tests go through the whole list.
func TestAcceptChecks(t *testing.T) {
	w := onSQLite(t)
	for name, tc := range map[string]struct {
		change func(*publish.Request)
		field  string
		is     error
	}{
		"no account":            {func(r *publish.Request) { r.AccountID = 0 }, "account_id", nil},
		"another app's account": {func(r *publish.Request) { r.AppID++ }, "", db.ErrNotFound},
		"another platform's id": {func(r *publish.Request) { r.AccountID += 1000 }, "", db.ErrNotFound},
		"no file":               {func(r *publish.Request) { r.Files[0].MediaID = "" }, "media_id", nil},
		"two files":             {func(r *publish.Request) { r.Files[0].URL = "https://a.example/x.mp4" }, "media_id", nil},
		"unknown file":          {func(r *publish.Request) { r.Files[0].MediaID = models.NewID() }, "", db.ErrNotFound},
		"a picture as video":    {func(r *publish.Request) { r.Files[0].MediaID = w.picture }, "media_id", nil},
		"long title":            {func(r *publish.Request) { r.Options.(*tiktokposts.Options).Title = strings.Repeat("🙂", 1101) }, "title", nil},
		"past":                  {func(r *publish.Request) { at := w.clock.Now().Add(-time.Hour); r.PublishAt = &at }, "publish_at", nil},
		"endless lateness":      {func(r *publish.Request) { d := 1000 * time.Hour; r.MaxLateness = &d }, "max_lateness", nil},
		"file scheme":           {func(r *publish.Request) { r.Files[0].MediaID, r.Files[0].URL = "", "file:///etc/passwd" }, "media_url", nil},
	} {
		r := tiktokVideo.request(w)
		tc.change(&r)
		_, err := w.Accept(w.ctx, r)
		var errs models.FieldErrors
		switch {
		case tc.is != nil && !errors.Is(err, tc.is):
			t.Errorf("%s: err = %v, want %v", name, err, tc.is)
		case tc.is == nil && (!errors.As(err, &errs) || errs[0].Field != tc.field):
			t.Errorf("%s: err = %v, want field %s", name, err, tc.field)
		}
	}
	posts, err := w.db.Posts.List(w.ctx, db.PostFilter{AppID: w.app.ID, Limit: 10})
	w.must(err)
	if len(posts) != 0 || w.queue.Posts.Len() != 0 {
		t.Errorf("%d posts and %d tasks after refusals", len(posts), w.queue.Posts.Len())
	}
}

// TestTimelineTellsEveryCall: one entry a call, with the platform's log id.
func TestTimelineTellsEveryCall(t *testing.T) {
	for _, f := range flows {
		w := onSQLite(t)
		w.sim.Script(sandbox.Fault{Op: sandbox.OpTikTokInit, Mode: sandbox.ModeError, Code: "rate_limit_exceeded", Status: 429})
		p := w.settle(w.accept(f))
		events, err := w.db.Posts.Events(w.ctx, p.ID)
		w.must(err)
		told := 0
		for _, e := range events {
			if e.Type != models.EventCall {
				continue
			}
			told++
			if e.LogID == "" && e.Op != "tiktok.chunk" || e.HTTPStatus == 0 {
				t.Errorf("%s: entry without log id or status: %+v", f.name, e)
			}
		}
		if told != w.wire.Calls() {
			t.Errorf("%s: %d calls in the timeline, %d were made", f.name, told, w.wire.Calls())
		}
	}
}

// TestAdmitWhileRedisHangs: a tick tries a Redis that never answers once, not once a
// post; the sweep makes up for all of them when it is back.
func TestAdmitWhileRedisHangs(t *testing.T) {
	w := onSQLite(t)
	due := w.clock.Now().Add(time.Hour)
	var posts []*models.Post
	for _, account := range w.moreTikTok(100) {
		posts = append(posts, w.accept(tiktokVideo, func(r *publish.Request) { r.AccountID, r.PublishAt = account, &due }))
	}
	w.clock.Advance(time.Hour)
	w.Queue = w.silentRedis()
	began := time.Now()
	w.must(w.AdmitDue(w.ctx))
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("the tick took %s", took)
	}
	w.Queue = w.queue
	w.must(w.Sweep(w.ctx))
	if w.queue.Posts.Len() != len(posts) {
		t.Errorf("%d tasks after the sweep, want %d", w.queue.Posts.Len(), len(posts))
	}
	for _, p := range posts {
		w.wantStatus(w.settle(p), models.Published)
	}
	w.wantLive(len(posts))
}

// TestLanesWhileRedisHangs: nor does it try once a lane; the lanes wait for a tick that
// Redis answers.
func TestLanesWhileRedisHangs(t *testing.T) {
	w := onSQLite(t)
	for _, account := range w.moreTikTok(10) {
		for range 4 { // one more than a lane has places
			w.accept(tiktokVideo, func(r *publish.Request) { r.AccountID = account })
		}
	}
	_, err := w.db.Pool().ExecContext(w.ctx, "UPDATE posts SET admission = '', status = 'canceled', run_at = NULL WHERE admission = 'admitted'")
	w.must(err)
	w.queue.Posts.Clear()
	w.Queue = w.silentRedis()
	began := time.Now()
	w.must(w.AdmitDue(w.ctx))
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("the tick took %s", took)
	}
	w.Queue = w.queue
	w.tick()
	if w.queue.Posts.Len() != 10 {
		t.Errorf("%d tasks once Redis is back, want one of each lane", w.queue.Posts.Len())
	}
}

// TestAdmitHeedsTheEnd: a tick that is told to stop goes through no batch.
func TestAdmitHeedsTheEnd(t *testing.T) {
	w := onSQLite(t)
	due := w.clock.Now().Add(time.Hour)
	for _, account := range w.moreTikTok(5) {
		w.accept(tiktokVideo, func(r *publish.Request) { r.AccountID, r.PublishAt = account, &due })
	}
	w.clock.Advance(time.Hour)
	ctx, stop := context.WithCancel(w.ctx)
	w.Queue = &stopping{w.queue, stop}
	w.must(w.AdmitDue(ctx))
	if w.queue.Posts.Len() != 1 {
		t.Errorf("%d tasks were enqueued after the tick was told to stop at the first", w.queue.Posts.Len())
	}
	w.Queue = w.queue
	w.must(w.Sweep(w.ctx))
	if w.queue.Posts.Len() != 5 {
		t.Errorf("%d tasks after the sweep, want 5", w.queue.Posts.Len())
	}
}

// stopping is a queue at whose first task the process is told to stop.
type stopping struct {
	*testkit.Queue
	stop context.CancelFunc
}

func (q *stopping) Enqueue(ctx context.Context, t publish.Task) error {
	q.stop()
	return q.Queue.Enqueue(ctx, t)
}

// moreTikTok connects TikTok accounts.
func (w *fixture) moreTikTok(n int) []int64 {
	w.t.Helper()
	accounts := make([]int64, n)
	for i := range accounts {
		a := w.sim.AddTikTokAccount(sandbox.TikTokAccount{PostsCap: -1, ExpiresAt: w.clock.Now().Add(30 * 24 * time.Hour)})
		accounts[i] = testkit.Connect(w.t, w.tokens, w.user, oauth.Import{
			Platform: models.TikTok, ProviderAccountID: a.OpenID, Username: a.Username, Access: secrets.Secret(a.AccessToken),
		})
	}
	return accounts
}

// silent is Asynq on a Redis that hangs since the workers were counted.
type silent struct {
	*jobs.Queue
	before *testkit.Queue
}

// Places are those that were known before.
func (q silent) Places(ctx context.Context) (map[models.Step]int, error) { return q.before.Places(ctx) }

func (w *fixture) silentRedis() publish.Queue {
	w.t.Helper()
	client := jobs.NewRedis(config.Redis{Mode: config.RedisSingle, Addrs: []string{redistest.Silent(w.t)}})
	w.t.Cleanup(func() { _ = client.Close() })
	return silent{jobs.NewQueue(client, jobs.NewKinds(jobs.PostTypesOf(models.TikTok), jobs.PostTypesOf(models.Instagram))), w.queue}
}
