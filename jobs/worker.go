package jobs

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
	"github.com/sirupsen/logrus"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"socialqueue/observe"
)

const (
	// How often Asynq polls: for pending tasks when idle, and for scheduled tasks that are
	// due. Both delay the start of a post.
	taskCheckInterval    = 100 * time.Millisecond
	delayedCheckInterval = 200 * time.Millisecond
	// notifyConcurrency is how many endpoints get webhooks at once. They have their own
	// pool, so that a slow endpoint delays no post.
	notifyConcurrency = 64
	// newerWait is how long a task of a newer release waits here before it is offered
	// again.
	newerWait = time.Minute
)

// WorkerOptions size a worker.
type WorkerOptions struct {
	// Concurrency is how many light jobs run at once, and UploadConcurrency how many
	// transfers to platforms, and how many from customers' links, each in their own pool.
	Concurrency       int
	UploadConcurrency int
	// ShutdownTimeout is how long Stop waits for jobs. Those that still run shortly
	// before its end are canceled, so that they can hand back what they hold.
	ShutdownTimeout time.Duration
	// Metrics may be nil if nobody reads them.
	Metrics *observe.Metrics
}

// Worker runs tasks until it is stopped.
type Worker struct {
	kinds   *Kinds
	work    Work
	metrics *observe.Metrics
	log     logrus.FieldLogger
	servers []*asynq.Server
	pools   []*pool
	beats   *heartbeat
	drain   chan struct{}
	stop    sync.Once
	// uncut is canceled to stop jobs that ignored drain.
	uncut    context.Context
	cut      context.CancelFunc
	cutAfter time.Duration
}

// NewWorker returns a Worker for some kinds of tasks. The caller closes the client after
// Stop.
func NewWorker(client redis.UniversalClient, kinds *Kinds, work Work, log logrus.FieldLogger, opts WorkerOptions) *Worker {
	w := &Worker{kinds: kinds, work: work, metrics: opts.Metrics, log: log, beats: newHeartbeat(client), drain: make(chan struct{}), cutAfter: opts.ShutdownTimeout * 9 / 10}
	w.uncut, w.cut = context.WithCancel(context.Background())
	if w.metrics == nil {
		w.metrics = observe.NewMetrics()
	}
	w.addPool(poolLight, client, opts.Concurrency, opts.ShutdownTimeout)
	w.addPool(poolUpload, client, opts.UploadConcurrency, opts.ShutdownTimeout)
	w.addPool(poolFetch, client, opts.UploadConcurrency, opts.ShutdownTimeout)
	w.addPool(poolNotify, client, notifyConcurrency, opts.ShutdownTimeout)
	return w
}

func (w *Worker) addPool(name string, client redis.UniversalClient, concurrency int, shutdown time.Duration) {
	weights := map[string]int{}
	for _, q := range queues {
		if q.pool == name {
			weights[q.name] = q.weight
			w.metrics.HandlersStuck(q.name, 0)
		}
	}
	h := hooks{log: w.log, metrics: w.metrics, kinds: w.kinds}
	workers := concurrency + reserve(concurrency)
	slots := make(chan struct{}, workers)
	w.pools = append(w.pools, &pool{worker: w, slots: slots, share: newShare(concurrency)})
	// Without the reserve: an installation with one app is busy when that app's share is.
	w.metrics.WorkerSlots(name, concurrency, func() int { return len(slots) })
	w.servers = append(w.servers, asynq.NewServerFromRedisClient(client, asynq.Config{
		Concurrency:              workers,
		Queues:                   weights,
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

// Start starts to take tasks. It does not wait for Redis; readiness checks that.
func (w *Worker) Start() error {
	w.beats.start()
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
			server.Stop() // stop all before any is waited for, so that none takes new tasks
		}
		var ended sync.WaitGroup
		for _, server := range w.servers {
			ended.Go(server.Shutdown)
		}
		ended.Wait()
		w.beats.stop()
	})
}

// pool is the handler of one server.
type pool struct {
	worker *Worker
	// slots has one entry for each running job. Asynq frees its worker slot when a job's
	// context ends, although the job may still be busy.
	slots chan struct{}
	// share keeps workers free for other apps.
	share *share
}

// ProcessTask runs one task.
func (p *pool) ProcessTask(ctx context.Context, t *asynq.Task) error {
	app := appOf(t)
	if !p.share.wait(ctx, app) {
		return later(shareWait, errShareUsed)
	}
	defer p.share.give(app)
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
	// Asynq itself cancels a job only after it pushed its task back, and does not wait for
	// the job: the process would exit before the job has released its post.
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(p.worker.uncut, cancel)()
	ctx, attempt := observe.WithAttempt(ctx)
	err := errPanicked // until it returns
	began := time.Now()
	defer func() { p.worker.count(ctx, t, *attempt, err, began) }()
	err = p.worker.kinds.run(ctx, p.worker.work, t, p.worker.drain)
	if err != nil && p.worker.uncut.Err() != nil {
		err = later(0, err)
	}
	if isFailure(err) {
		observe.Fail(span, "failed")
	}
	return err
}

// watch counts a job as stuck from the end of its context until it returns.
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

// spanOf continues the trace of the request that caused the task.
func spanOf(ctx context.Context, t *asynq.Task) (context.Context, trace.Span) {
	ctx = observe.WithCorrelationID(observe.WithTraceParent(ctx, t.Headers()[headerTrace]), t.Headers()[headerCorrelation])
	queue, _ := asynq.GetQueueName(ctx)
	id, _ := asynq.GetTaskID(ctx)
	return observe.Span(ctx, "process "+t.Type(), trace.SpanKindConsumer, attribute.String("messaging.system", "asynq"),
		attribute.String("messaging.destination.name", queue), attribute.String("messaging.message.id", id))
}

// errPanicked is the result of a job that never returned.
var errPanicked = errors.New("the job panicked")

// count records the result of a run, and how long its task had been waiting if the run
// did its work.
func (w *Worker) count(ctx context.Context, t *asynq.Task, a observe.Attempt, err error, began time.Time) {
	name := w.kinds.label(t)
	a = attemptOf(a, err)
	w.metrics.TaskRan(name, a, time.Since(began))
	if due, known := dueOf(t); known && err == nil && a.Outcome != observe.AttemptRevoked {
		queue, _ := asynq.GetQueueName(ctx)
		w.metrics.TaskWaited(queue, name, began.Sub(due))
	}
}

// attemptOf returns the result of a run: from the error if there is one, else what the work
// recorded.
func attemptOf(recorded observe.Attempt, err error) observe.Attempt {
	switch {
	case err == nil && recorded.Outcome == "":
		recorded.Outcome = observe.AttemptSuccess
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
	return recorded
}

// asynqLog makes Asynq use our log.
type asynqLog struct{ logrus.FieldLogger }

// Fatal logs an error. Asynq does not decide whether the process ends.
func (l asynqLog) Fatal(args ...any) { l.Error(args...) }
