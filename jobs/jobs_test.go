package jobs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
	"github.com/sirupsen/logrus"
	logtest "github.com/sirupsen/logrus/hooks/test"
	"go.uber.org/goleak"

	"socialqueue/jobs/redistest"
	"socialqueue/models"
	"socialqueue/observe"
	"socialqueue/publish"
	"socialqueue/test/testkit"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// runnerFunc is the PostRunner of tests.
type runnerFunc func(ctx context.Context, t publish.Task, drain <-chan struct{}) error

func (f runnerFunc) RunStep(ctx context.Context, t publish.Task, drain <-chan struct{}) error {
	return f(ctx, t, drain)
}

// testKinds are all kinds of tasks, with the names that the program gives to those of
// posts.
func testKinds() *Kinds {
	return NewKinds(PostTypesOf(models.TikTok), PostTypes{Platform: models.Instagram, Transfer: "instagram:publish", Publish: "instagram:publish"})
}

// postID is the id of a post's task.
func postID(t publish.Task) string { return fmt.Sprintf("%s:%d", t.PostID, t.Fence) }

func quiet() *logrus.Logger {
	log, _ := logtest.NewNullLogger()
	return log
}

func newClient(t *testing.T) redis.UniversalClient {
	t.Helper()
	client := NewRedis(redistest.Settings(t))
	t.Cleanup(func() { _ = client.Close() })
	return client
}

func startWorker(t *testing.T, client redis.UniversalClient, opts WorkerOptions, run runnerFunc) *Worker {
	t.Helper()
	if opts.Concurrency == 0 {
		opts.Concurrency = 4
	}
	opts.UploadConcurrency = max(opts.UploadConcurrency, 1)
	if opts.ShutdownTimeout == 0 {
		opts.ShutdownTimeout = 5 * time.Second
	}
	w := NewWorker(client, testKinds(), Work{Posts: run}, quiet(), opts)
	if err := w.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Stop)
	return w
}

func aTask() publish.Task {
	return publish.Task{
		PostID: models.NewID(), Fence: 3, Platform: models.TikTok, Step: models.StepPublish,
		At: time.Now(), CorrelationID: "req-1",
	}
}

// patience is how long a machine that runs other tests may take.
const patience = time.Minute

// eventually polls until ok holds.
func eventually(t *testing.T, within time.Duration, what string, ok func() bool) {
	t.Helper()
	testkit.Await(t, within, what, func() (bool, string) { return ok(), "not yet" })
}

func stateOf(t *testing.T, q *Queue, task publish.Task) publish.TaskState {
	t.Helper()
	state, err := q.State(t.Context(), task)
	if err != nil {
		t.Fatal(err)
	}
	return state
}

func TestRoundTrip(t *testing.T) {
	client := newClient(t)
	q := NewQueue(client, testKinds())
	got := make(chan publish.Task, 1)
	startWorker(t, client, WorkerOptions{}, func(_ context.Context, task publish.Task, _ <-chan struct{}) error {
		got <- task
		return nil
	})
	for name, tc := range map[string]struct {
		platform models.Platform
		step     models.Step
	}{
		"upload":    {models.TikTok, models.StepTransfer},
		"publish":   {models.TikTok, models.StepPublish},
		"instagram": {models.Instagram, models.StepPublish},
		"reel":      {models.Instagram, models.StepTransfer},
	} {
		task := aTask()
		task.Platform, task.Step = tc.platform, tc.step
		if err := q.Enqueue(t.Context(), task); err != nil {
			t.Fatal(err)
		}
		select {
		case seen := <-got:
			if seen.PostID != task.PostID || seen.Fence != task.Fence || seen.CorrelationID != "req-1" {
				t.Errorf("%s: got %+v", name, seen)
			}
		case <-time.After(patience):
			t.Fatalf("%s: the task did not run", name)
		}
	}
}

// TestSecondEnqueueIsSuccess checks that enqueuing a run twice gives one task.
func TestSecondEnqueueIsSuccess(t *testing.T) {
	q := NewQueue(newClient(t), testKinds())
	task := aTask()
	for range 3 {
		if err := q.Enqueue(t.Context(), task); err != nil {
			t.Fatal(err)
		}
	}
	if info, err := q.inspector.GetQueueInfo(QueuePublish); err != nil || info.Size != 1 {
		t.Errorf("queue = %+v, %v; want one task", info, err)
	}
}

type refresherFunc func(ctx context.Context, accountID int64) error

func (f refresherFunc) Maintain(ctx context.Context, accountID int64) error { return f(ctx, accountID) }

// TestMaintenance checks that an account is maintained once per fence of its tokens,
// however often it is enqueued, and again if it is enqueued after that.
func TestMaintenance(t *testing.T) {
	client := newClient(t)
	q := NewQueue(client, testKinds())
	for range 3 {
		if err := q.EnqueueMaintenance(t.Context(), 7, 1); err != nil {
			t.Fatal(err)
		}
	}
	if info, err := q.inspector.GetQueueInfo(QueueTokens); err != nil || info.Size != 1 {
		t.Fatalf("queue = %+v, %v; want one task", info, err)
	}
	seen := make(chan int64, 10)
	w := NewWorker(client, testKinds(), Work{Accounts: refresherFunc(func(ctx context.Context, id int64) error {
		if observe.CorrelationID(ctx) == "" {
			t.Error("the task has no correlation id")
		}
		seen <- id
		return nil
	})}, quiet(), WorkerOptions{Concurrency: 2, UploadConcurrency: 1, ShutdownTimeout: 5 * time.Second})
	if err := w.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Stop)
	for range 2 {
		select {
		case id := <-seen:
			if id != 7 {
				t.Errorf("account %d was seen to, want 7", id)
			}
		case <-time.After(patience):
			t.Fatal("the account was not maintained")
		}
		eventually(t, patience, "the task is gone", func() bool {
			info, err := q.inspector.GetQueueInfo(QueueTokens)
			return err == nil && info.Size == 0
		})
		if err := q.EnqueueMaintenance(t.Context(), 7, 1); err != nil {
			t.Fatal(err)
		}
	}
}

// TestArchivedMaintenanceIsReplaced checks that a task that a person archived does not
// block its account.
func TestArchivedMaintenanceIsReplaced(t *testing.T) {
	q := NewQueue(newClient(t), testKinds())
	if err := q.EnqueueMaintenance(t.Context(), 7, 3); err != nil {
		t.Fatal(err)
	}
	if err := q.inspector.ArchiveTask(QueueTokens, "account-7:3"); err != nil {
		t.Fatal(err)
	}
	if err := q.EnqueueMaintenance(t.Context(), 7, 3); err != nil {
		t.Fatal(err)
	}
	if info, err := q.inspector.GetQueueInfo(QueueTokens); err != nil || info.Pending != 1 || info.Archived != 0 {
		t.Errorf("queue = %+v, %v; want one pending task", info, err)
	}
}

// TestLostAnswerOfEnqueue loses the answer of a real Redis: go-redis sends the script
// again, and Asynq reports a conflict with the existing task.
func TestLostAnswerOfEnqueue(t *testing.T) {
	settings := redistest.Settings(t)
	proxy := redistest.NewProxy(t, settings.Addrs[0])
	settings.Addrs = []string{proxy.Addr()}
	client := NewRedis(settings)
	defer client.Close()
	q := NewQueue(client, testKinds())
	if err := q.Enqueue(t.Context(), aTask()); err != nil { // the connection is up
		t.Fatal(err)
	}
	proxy.LoseNextAnswer()
	if err := q.Enqueue(t.Context(), aTask()); err != nil {
		t.Fatalf("a lost answer became an error: %v", err)
	}
	if info, err := q.inspector.GetQueueInfo(QueuePublish); err != nil || info.Size != 2 {
		t.Errorf("queue = %+v, %v; want two tasks", info, err)
	}
}

// TestEndOfTaskSurvivesAnOutage cuts the connection to Redis while a task ends. With the
// hook the end is recorded once the connection is back; without it the task stays active
// and runs again after its lease.
func TestEndOfTaskSurvivesAnOutage(t *testing.T) {
	t.Parallel() // it mostly waits
	for _, hooked := range []bool{true, false} {
		t.Run(fmt.Sprintf("hook %v", hooked), func(t *testing.T) {
			settings := redistest.Settings(t)
			direct := NewQueue(NewRedis(settings), testKinds())
			defer direct.redis.Close()
			proxy := redistest.NewProxy(t, settings.Addrs[0])
			settings.Addrs = []string{proxy.Addr()}
			client := NewRedis(settings)
			if !hooked {
				defer client.Close()
				client = redis.NewClient(&redis.Options{
					Addr: proxy.Addr(), DB: settings.DB, MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
				})
			}
			defer client.Close()
			var runs atomic.Int32
			worker := startWorker(t, client, WorkerOptions{ShutdownTimeout: time.Second}, func(context.Context, publish.Task, <-chan struct{}) error {
				runs.Add(1)
				proxy.Cut()
				time.AfterFunc(2*time.Second, proxy.Mend)
				return nil
			})
			task := aTask()
			if err := direct.Enqueue(t.Context(), task); err != nil {
				t.Fatal(err)
			}
			eventually(t, patience, "the task runs", func() bool { return runs.Load() == 1 })
			gone := func() bool { return stateOf(t, direct, task) == publish.TaskMissing }
			if hooked {
				eventually(t, 15*time.Second, "the end of the task reaches Redis", gone) // half of its lease
			} else {
				time.Sleep(6 * time.Second) // the control: nothing must happen in this time
				if gone() {
					t.Error("the end of the task was recorded without the hook: it is no longer needed")
				}
			}
			worker.Stop()
			if runs.Load() != 1 {
				t.Errorf("the task ran %d times", runs.Load())
			}
		})
	}
}

// TestPostponingNeverEndsATask checks that a task can be postponed without limit: Asynq
// archives a task on its last attempt, even one that only waits.
func TestPostponingNeverEndsATask(t *testing.T) {
	client := newClient(t)
	q := NewQueue(client, testKinds())
	var runs atomic.Int32
	startWorker(t, client, WorkerOptions{}, func(context.Context, publish.Task, <-chan struct{}) error {
		if runs.Add(1) < 4 {
			return later(time.Millisecond, errors.New("not yet"))
		}
		return nil
	})
	task := aTask()
	if err := q.Enqueue(t.Context(), task); err != nil {
		t.Fatal(err)
	}
	info, err := q.inspector.GetTaskInfo(QueuePublish, postID(task))
	if err != nil || info.MaxRetry < 1_000_000 {
		t.Fatalf("MaxRetry = %+v, %v; want one out of reach", info, err)
	}
	eventually(t, patience, "the task runs four times", func() bool { return runs.Load() == 4 })
	eventually(t, patience, "the task ends", func() bool { return stateOf(t, q, task) == publish.TaskMissing })
}

// TestPolicy checks what counts as a failure, and when a task runs again.
func TestPolicy(t *testing.T) {
	trouble := errors.New("database is away")
	for name, tc := range map[string]struct {
		err     error
		n       int
		failure bool
		delay   time.Duration
	}{
		"put off":                    {later(time.Minute, trouble), 0, false, time.Minute},
		"wrapped":                    {fmt.Errorf("x: %w", later(time.Minute, trouble)), 9, false, time.Minute},
		"worker lost":                {asynq.ErrLeaseExpired, 3, false, 0},
		"trouble":                    {trouble, 0, true, time.Second},
		"trouble again":              {trouble, 1, true, 2 * time.Second},
		"trouble for long, no limit": {trouble, 1_000_000, true, 30 * time.Second},
	} {
		h := hooks{log: quiet(), kinds: testKinds()}
		if got := h.isFailure(tc.err); got != tc.failure {
			t.Errorf("%s: failure = %v", name, got)
		}
		if got := h.retryDelay(tc.n, tc.err, nil); got != tc.delay {
			t.Errorf("%s: delay = %s, want %s", name, got, tc.delay)
		}
	}
}

// panicking is an error that panics when a hook reads it.
type panicking struct{}

func (panicking) Error() string { return "panicking" }

func (panicking) As(any) bool { panic("boom") }

// TestPanicInAHookEndsNothing checks that a panic in a hook does not end the process: Asynq
// calls the hooks on its own goroutines.
func TestPanicInAHookEndsNothing(t *testing.T) {
	client := newClient(t)
	q := NewQueue(client, testKinds())
	var runs atomic.Int32
	startWorker(t, client, WorkerOptions{}, func(_ context.Context, task publish.Task, _ <-chan struct{}) error {
		if runs.Add(1) == 1 {
			return panicking{}
		}
		return nil
	})
	task := aTask()
	if err := q.Enqueue(t.Context(), task); err != nil {
		t.Fatal(err)
	}
	eventually(t, patience, "the process lives and runs another task", func() bool {
		next := aTask()
		return q.Enqueue(t.Context(), next) == nil && runs.Load() > 1
	})
}

// TestSharedClientOutlivesTheWorker checks that the worker stops first and leaves the
// client open: Asynq crashes if its client is closed.
func TestSharedClientOutlivesTheWorker(t *testing.T) {
	client := newClient(t)
	worker := startWorker(t, client, WorkerOptions{}, func(context.Context, publish.Task, <-chan struct{}) error { return nil })
	worker.Stop()
	worker.Stop() // twice does no harm
	if err := client.Ping(t.Context()).Err(); err != nil {
		t.Errorf("the worker closed a client that is not its own: %v", err)
	}
}

// TestDrainHandsWorkBackAtOnce checks that a running job is notified of the stop at once,
// not after the timeout.
func TestDrainHandsWorkBackAtOnce(t *testing.T) {
	client := newClient(t)
	q := NewQueue(client, testKinds())
	running := make(chan struct{})
	worker := startWorker(t, client, WorkerOptions{ShutdownTimeout: time.Minute}, func(ctx context.Context, _ publish.Task, drain <-chan struct{}) error {
		close(running)
		select {
		case <-drain:
		case <-ctx.Done():
		}
		return nil
	})
	if err := q.Enqueue(t.Context(), aTask()); err != nil {
		t.Fatal(err)
	}
	<-running
	begin := time.Now()
	worker.Stop()
	if took := time.Since(begin); took > 10*time.Second {
		t.Errorf("stopping took %s", took)
	}
}

// TestDeafJobIsCutOffInTime checks that a job that ignores the stop is canceled while there
// is time to hand back its post, and that Stop waits for that.
func TestDeafJobIsCutOffInTime(t *testing.T) {
	client := newClient(t)
	q := NewQueue(client, testKinds())
	t.Parallel()                     // it mostly waits
	const shutdown = 8 * time.Second // it is cut off at nine tenths of it
	running := make(chan struct{})
	var handedBack atomic.Bool
	worker := startWorker(t, client, WorkerOptions{ShutdownTimeout: shutdown}, func(ctx context.Context, _ publish.Task, _ <-chan struct{}) error {
		close(running)
		<-ctx.Done()
		time.Sleep(50 * time.Millisecond) // what it takes to write
		handedBack.Store(true)
		return ctx.Err()
	})
	task := aTask()
	if err := q.Enqueue(t.Context(), task); err != nil {
		t.Fatal(err)
	}
	<-running
	begin := time.Now()
	worker.Stop()
	if took := time.Since(begin); !handedBack.Load() || took > shutdown {
		t.Errorf("after %s the job had let go: %v", took, handedBack.Load())
	}
	if state := stateOf(t, q, task); state != publish.TaskPending {
		t.Errorf("its task is %s", state)
	}
}

// TestSlotIsHeldUntilTheJobReturns checks that a busy job keeps its slot, though Asynq
// frees it when the job's context ends.
func TestSlotIsHeldUntilTheJobReturns(t *testing.T) {
	t.Parallel() // it mostly waits
	client := newClient(t)
	q := NewQueue(client, testKinds())
	var now, most, runs atomic.Int32
	release := make(chan struct{})
	startWorker(t, client, WorkerOptions{Concurrency: 1}, func(context.Context, publish.Task, <-chan struct{}) error {
		runs.Add(1)
		most.Store(max(most.Load(), now.Add(1)))
		defer now.Add(-1)
		<-release // deaf to its context
		return nil
	})
	data, _ := json.Marshal(map[string]any{"v": 1, "post_id": models.NewID()})
	const workers = 2 // with the one beyond an app's share
	for i := range workers + 2 {
		_, err := q.client.EnqueueContext(t.Context(), asynq.NewTask("tiktok:publish", data),
			asynq.Queue(QueuePublish), asynq.TaskID(fmt.Sprint("deaf", i)), asynq.MaxRetry(maxRetry), asynq.Timeout(time.Second))
		if err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, patience, "the first jobs run", func() bool { return runs.Load() == workers })
	eventually(t, patience, "Asynq gives the slot away", func() bool {
		info, err := q.inspector.GetQueueInfo(QueuePublish)
		return err == nil && info.Retry > 0
	})
	time.Sleep(2 * time.Second) // time enough for another job to begin, which must not
	if most.Load() != workers {
		t.Errorf("%d jobs ran at once with %d slots", most.Load(), workers)
	}
	close(release)
}

// TestUnknownTaskWaits checks that a task of a newer program is postponed, not failed.
func TestUnknownTaskWaits(t *testing.T) {
	client := newClient(t)
	q := NewQueue(client, testKinds())
	var runs atomic.Int32
	startWorker(t, client, WorkerOptions{}, func(context.Context, publish.Task, <-chan struct{}) error {
		runs.Add(1)
		return nil
	})
	newer, _ := json.Marshal(map[string]any{"v": payloadVersion + 1, "post_id": models.NewID()})
	for id, task := range map[string]*asynq.Task{
		"type":    asynq.NewTask("tiktok:carousel", newer),
		"version": asynq.NewTask("tiktok:publish", newer),
		"account": asynq.NewTask("token:refresh", newer),
	} {
		if _, err := q.client.EnqueueContext(t.Context(), task, asynq.Queue(QueuePublish), asynq.TaskID(id), asynq.MaxRetry(1)); err != nil {
			t.Fatal(err)
		}
		eventually(t, patience, id+" waits", func() bool {
			info, err := q.inspector.GetTaskInfo(QueuePublish, id)
			return err == nil && info.State == asynq.TaskStateRetry && info.Retried == 0 && time.Until(info.NextProcessAt) > 30*time.Second
		})
	}
	if runs.Load() != 0 {
		t.Error("a task of another version was run")
	}
}

// TestBrokenPayloadEnds checks that a task with an invalid payload is archived, once.
func TestBrokenPayloadEnds(t *testing.T) {
	client := newClient(t)
	q := NewQueue(client, testKinds())
	startWorker(t, client, WorkerOptions{}, func(context.Context, publish.Task, <-chan struct{}) error { return nil })
	for id, data := range map[string]string{"not json": "{", "no post": `{"v":1}`} {
		if _, err := q.client.EnqueueContext(t.Context(), asynq.NewTask("tiktok:publish", []byte(data)), asynq.Queue(QueuePublish), asynq.TaskID(id)); err != nil {
			t.Fatal(err)
		}
		eventually(t, patience, id+" is archived", func() bool {
			info, err := q.inspector.GetTaskInfo(QueuePublish, id)
			return err == nil && info.State == asynq.TaskStateArchived
		})
	}
}

// TestDeadTaskIsSeen checks that an archived task is reported to the sweep, because it
// keeps its id.
func TestDeadTaskIsSeen(t *testing.T) {
	q := NewQueue(newClient(t), testKinds())
	task := aTask()
	if got := stateOf(t, q, task); got != publish.TaskMissing {
		t.Errorf("before: %s", got)
	}
	if err := q.Enqueue(t.Context(), task); err != nil {
		t.Fatal(err)
	}
	if got := stateOf(t, q, task); got != publish.TaskPending {
		t.Errorf("enqueued: %s", got)
	}
	if err := q.inspector.ArchiveTask(QueuePublish, postID(task)); err != nil {
		t.Fatal(err)
	}
	if got := stateOf(t, q, task); got != publish.TaskDead {
		t.Errorf("archived: %s", got)
	}
}

func TestLostAndRefilled(t *testing.T) {
	client := newClient(t)
	q := NewQueue(client, testKinds())
	want := func(want bool) {
		t.Helper()
		if lost, err := q.Lost(t.Context()); err != nil || lost != want {
			t.Errorf("lost = %v, %v; want %v", lost, err, want)
		}
	}
	want(true)
	if err := q.Refilled(t.Context()); err != nil {
		t.Fatal(err)
	}
	want(false)
	if names := client.SMembers(t.Context(), asynqQueues).Val(); len(names) != len(Queues) {
		t.Errorf("queues known to tools: %v", names)
	}
	client.FlushDB(t.Context())
	want(true)
}

func TestCheckNoEviction(t *testing.T) {
	client := newClient(t)
	if err := CheckNoEviction(t.Context(), client); err != nil {
		t.Errorf("noeviction is refused: %v", err)
	}
	client.AddHook(otherPolicy{})
	if err := CheckNoEviction(t.Context(), client); !errors.Is(err, ErrEvicts) {
		t.Errorf("err = %v, want ErrEvicts", err)
	}
}

// otherPolicy makes Redis report another policy than it has. All tests share the server,
// and those of the doctor would find one that really evicts. test/crash, which has its own
// servers, checks a real change.
type otherPolicy struct{}

func (otherPolicy) DialHook(next redis.DialHook) redis.DialHook { return next }

func (otherPolicy) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := next(ctx, cmd)
		if info, ok := cmd.(*redis.StringCmd); ok {
			info.SetVal(strings.Replace(info.Val(), "maxmemory_policy:noeviction", "maxmemory_policy:allkeys-lru", 1))
		}
		return err
	}
}

func (otherPolicy) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func TestWorkersAreSeen(t *testing.T) {
	client := newClient(t)
	q := NewQueue(client, testKinds())
	if n, err := q.Workers(); err != nil || n != 0 {
		t.Errorf("workers = %d, %v; want none", n, err)
	}
	startWorker(t, client, WorkerOptions{}, func(context.Context, publish.Task, <-chan struct{}) error { return nil })
	eventually(t, patience, "the worker is seen", func() bool {
		n, err := q.Workers()
		return err == nil && n == 1
	})
}

func FuzzDecode(f *testing.F) {
	k := postKind("tiktok:publish")
	f.Add([]byte(`{"v":1,"post_id":"01","fence":3}`))
	f.Add([]byte(`{"v":2}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		args, err := k.decode(asynq.NewTask(k.name, data))
		if err == nil && args.PostID == "" {
			t.Error("a task without a post was decoded")
		}
	})
}
