package jobs

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
	"github.com/sirupsen/logrus"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"socialqueue/db"
	"socialqueue/observe"
	"socialqueue/publish"
)

const (
	// How often Asynq looks for work: for pending tasks when idle, and for tasks
	// whose time has come. Both bound how late a post starts.
	taskCheckInterval    = 100 * time.Millisecond
	delayedCheckInterval = 200 * time.Millisecond
	// notifyConcurrency is how many endpoints of apps are told something at once. They
	// have a pool of their own: whoever is slow to listen holds up no post.
	notifyConcurrency = 64
	// newerWait is how long a task of a newer program waits here before it is
	// offered again.
	newerWait = time.Minute
)

// Runner does the work of posts' tasks.
type Runner interface {
	RunStep(ctx context.Context, t publish.Task, drain <-chan struct{}) error
}

// Keeper does the work of accounts' tasks.
type Keeper interface {
	Upkeep(ctx context.Context, accountID int64) error
}

// Listener gives what platforms told its effect.
type Listener interface {
	Process(ctx context.Context, eventID int64) error
}

// Notifier tells apps.
type Notifier interface {
	Deliver(ctx context.Context, r db.EndpointRun, drain <-chan struct{}) error
}

// Work is who does the work of the tasks.
type Work struct {
	Runner   Runner
	Keeper   Keeper
	Listener Listener
	Notifier Notifier
}

// WorkerOptions size a worker.
type WorkerOptions struct {
	// Concurrency is how many light jobs run at once, UploadConcurrency how many
	// transfers, in a pool of their own.
	Concurrency       int
	UploadConcurrency int
	// ShutdownTimeout is how long Stop waits for jobs. Those that still run shortly
	// before its end are cut off, so that they can hand back what they hold.
	ShutdownTimeout time.Duration
	// Metrics may be nil, where nobody looks at them.
	Metrics *observe.Metrics
}

// Worker runs tasks until it is stopped.
type Worker struct {
	work    Work
	metrics *observe.Metrics
	log     logrus.FieldLogger
	servers []*asynq.Server
	pools   []*pool
	drain   chan struct{}
	stop    sync.Once
	// uncut ends when jobs that did not heed drain are cut off.
	uncut    context.Context
	cut      context.CancelFunc
	cutAfter time.Duration
}

// NewWorker makes a worker on a client that stays the caller's, who closes it
// after Stop.
func NewWorker(client redis.UniversalClient, work Work, log logrus.FieldLogger, opts WorkerOptions) *Worker {
	w := &Worker{work: work, metrics: opts.Metrics, log: log, drain: make(chan struct{}), cutAfter: opts.ShutdownTimeout * 9 / 10}
	w.uncut, w.cut = context.WithCancel(context.Background())
	if w.metrics == nil {
		w.metrics = observe.NewMetrics()
	}
	light := map[string]int{QueueWebhooks: 6, QueueTokens: 6, QueuePublish: 6, QueueSync: 1}
	w.addPool("light", client, light, opts.Concurrency, opts.ShutdownTimeout)
	w.addPool("upload", client, map[string]int{QueueUpload: 1}, opts.UploadConcurrency, opts.ShutdownTimeout)
	w.addPool("notify", client, map[string]int{QueueNotify: 1}, notifyConcurrency, opts.ShutdownTimeout)
	return w
}

func (w *Worker) addPool(name string, client redis.UniversalClient, queues map[string]int, concurrency int, shutdown time.Duration) {
	h := hooks{log: w.log, metrics: w.metrics}
	slots := make(chan struct{}, concurrency)
	w.pools = append(w.pools, &pool{worker: w, slots: slots})
	w.metrics.Places(name, concurrency, func() int { return len(slots) })
	for queue := range queues {
		w.metrics.HandlersStuck(queue, 0)
	}
	w.servers = append(w.servers, asynq.NewServerFromRedisClient(client, asynq.Config{
		Concurrency:              concurrency,
		Queues:                   queues,
		TaskCheckInterval:        taskCheckInterval,
		DelayedTaskCheckInterval: delayedCheckInterval,
		ShutdownTimeout:          shutdown,
		IsFailure:                h.isFailure,
		RetryDelayFunc:           h.retryDelay,
		ErrorHandler:             asynq.ErrorHandlerFunc(h.handleError),
		Logger:                   asynqLog{w.log},
		LogLevel:                 asynq.WarnLevel,
	}))
}

// Start begins to take tasks. It does not wait for Redis: readiness has to ask
// for itself.
func (w *Worker) Start() error {
	for i, server := range w.servers {
		if err := server.Start(w.pools[i]); err != nil {
			return fmt.Errorf("start worker: %w", err)
		}
	}
	return nil
}

// Stop hands running work back and waits for it to end. It may be called twice.
func (w *Worker) Stop() {
	w.stop.Do(func() {
		close(w.drain)
		defer time.AfterFunc(w.cutAfter, w.cut).Stop()
		for _, server := range w.servers {
			server.Stop() // none takes new tasks while another one is still ending
		}
		var ended sync.WaitGroup
		for _, server := range w.servers {
			ended.Go(server.Shutdown)
		}
		ended.Wait()
	})
}

// pool is the handler of one server.
type pool struct {
	worker *Worker
	// slots holds a place for each job that really runs. Asynq gives a slot away
	// when a job's context ends, although the job may still be busy.
	slots chan struct{}
}

// ProcessTask runs one task.
func (p *pool) ProcessTask(ctx context.Context, t *asynq.Task) error {
	select {
	case p.slots <- struct{}{}:
		defer func() { <-p.slots }()
	case <-ctx.Done():
		return later(0, context.Cause(ctx))
	case <-p.worker.drain:
		return later(0, errors.New("the worker is stopping"))
	}
	defer p.watch(ctx)()
	ctx, span := spanOf(ctx, t)
	defer span.End()
	// Asynq itself cancels a job only after it gave its task back, and does not wait
	// for it then: the process would be gone before the job has let go of its post.
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(p.worker.uncut, cancel)()
	ctx, attempt := observe.WithAttempt(ctx)
	err := errPanicked // until it returns
	began := time.Now()
	defer func() { p.worker.count(ctx, t, *attempt, err, began) }()
	err = p.worker.process(ctx, t)
	if err != nil && p.worker.uncut.Err() != nil {
		err = later(0, err)
	}
	if isFailure(err) {
		observe.Fail(span, "failed")
	}
	return err
}

// watch counts a job as stuck from the end of its context until its own.
func (p *pool) watch(ctx context.Context) (ended func()) {
	queue, _ := asynq.GetQueueName(ctx)
	done := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		p.worker.metrics.HandlersStuck(queue, 1)
		<-done
		p.worker.metrics.HandlersStuck(queue, -1)
	})
	return func() {
		stop()
		close(done)
	}
}

// spanOf goes on with the trace of the request that made the task.
func spanOf(ctx context.Context, t *asynq.Task) (context.Context, trace.Span) {
	ctx = observe.WithCorrelationID(observe.WithTraceParent(ctx, t.Headers()[headerTrace]), t.Headers()[headerCorrelation])
	queue, _ := asynq.GetQueueName(ctx)
	id, _ := asynq.GetTaskID(ctx)
	return observe.Span(ctx, "process "+t.Type(), trace.SpanKindConsumer, attribute.String("messaging.system", "asynq"),
		attribute.String("messaging.destination.name", queue), attribute.String("messaging.message.id", id))
}

// errPanicked is what comes of a job that never returned.
var errPanicked = errors.New("the job panicked")

// count notes what came of a run, and how long its task had been waiting if that was its
// work.
func (w *Worker) count(ctx context.Context, t *asynq.Task, a observe.Attempt, err error, began time.Time) {
	name := typeLabel(t)
	a = attemptOf(a, err)
	w.metrics.TaskRan(name, a, time.Since(began))
	if due, told := dueOf(t); told && err == nil && a.Outcome != observe.AttemptRevoked {
		queue, _ := asynq.GetQueueName(ctx)
		w.metrics.TaskWaited(queue, name, began.Sub(due))
	}
}

// typeLabel names a task's type. Names that anybody who reaches Redis can make up share one.
func typeLabel(t *asynq.Task) string {
	if slices.Contains(types, t.Type()) {
		return t.Type()
	}
	return "other"
}

// attemptOf is what came of a run: the error tells it, or else who did the work.
func attemptOf(noted observe.Attempt, err error) observe.Attempt {
	switch {
	case err == nil && noted.Outcome == "":
		noted.Outcome = observe.AttemptSuccess
	case err == nil:
	case errors.Is(err, errPanicked):
		return observe.Attempt{Outcome: observe.AttemptRetry, Class: observe.ClassPanic}
	case errors.Is(err, asynq.SkipRetry):
		return observe.Attempt{Outcome: observe.AttemptDead, Class: observe.ClassPermanent}
	case isFailure(err):
		return observe.Attempt{Outcome: observe.AttemptRetry, Class: observe.ClassOf(err)}
	default:
		return observe.Attempt{Outcome: observe.AttemptSnooze}
	}
	return noted
}

func (w *Worker) process(ctx context.Context, t *asynq.Task) error {
	switch t.Type() {
	case TypeTikTokUpload, TypeTikTokPublish, TypeInstagramPublish:
		return w.runPost(ctx, t)
	case TypeTokenRefresh:
		return w.keepAccount(ctx, t)
	case TypeWebhookProcess:
		return w.processWebhook(ctx, t)
	case TypeNotifyDeliver:
		return w.deliver(ctx, t)
	default:
		return later(newerWait, fmt.Errorf("task type %q is not known here: %w", t.Type(), errNewer))
	}
}

func (w *Worker) runPost(ctx context.Context, t *asynq.Task) error {
	task, err := decode(t)
	if err != nil {
		return undecoded(err)
	}
	err = w.work.Runner.RunStep(ctx, task, w.drain)
	if early, ok := errors.AsType[*db.EarlyError](err); ok {
		return later(early.In, err)
	}
	return err
}

func (w *Worker) keepAccount(ctx context.Context, t *asynq.Task) error {
	id, err := decodeUpkeep(t)
	if err != nil {
		return undecoded(err)
	}
	return w.work.Keeper.Upkeep(ctx, id)
}

func (w *Worker) processWebhook(ctx context.Context, t *asynq.Task) error {
	id, err := decodeWebhook(t)
	if err != nil {
		return undecoded(err)
	}
	return w.work.Listener.Process(ctx, id)
}

func (w *Worker) deliver(ctx context.Context, t *asynq.Task) error {
	run, err := decodeDeliver(t)
	if err != nil {
		return undecoded(err)
	}
	return w.work.Notifier.Deliver(ctx, run, w.drain)
}

// undecoded puts off what a newer program made, and ends what nobody can read.
func undecoded(err error) error {
	if errors.Is(err, errNewer) {
		return later(newerWait, err)
	}
	return fmt.Errorf("%w: %w", err, asynq.SkipRetry)
}

// asynqLog gives Asynq our log.
type asynqLog struct{ logrus.FieldLogger }

// Fatal logs as an error: whether the process ends is not Asynq's to say.
func (l asynqLog) Fatal(args ...any) { l.Error(args...) }
