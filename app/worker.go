package app

import (
	"context"

	"socialqueue/config"
	"socialqueue/jobs"
)

// Worker is the process that runs tasks.
type Worker struct {
	*core
	worker *jobs.Worker
	ops    *opsServer
}

// NewWorker builds a worker and connects it to its servers.
func NewWorker(ctx context.Context, cfg config.Config, opts Options) (*Worker, error) {
	c, err := openCore(ctx, cfg, opts, workerConns(cfg))
	if err != nil {
		return nil, err
	}
	w := &Worker{core: c}
	w.worker = c.newWorker()
	w.ops = newOpsServer(cfg.OpsAddr, c.log, c.metrics.Handler(), func() bool { return true }, c.ready)
	return w, nil
}

// workerConns is the largest number of database connections of a worker.
func workerConns(cfg config.Config) int {
	return cfg.WorkerConcurrency/2 + 2*cfg.UploadConcurrency + apiConns
}

func (c *core) newWorker() *jobs.Worker {
	work := jobs.Work{Posts: c.posts, Files: c.posts, Comments: c.posts, Accounts: c.tokens, Webhooks: c.inbox, Deliveries: c.notify}
	return jobs.NewWorker(c.redis, TaskKinds(c.opts.Platforms...), work, c.log, jobs.WorkerOptions{
		Concurrency: c.cfg.WorkerConcurrency, UploadConcurrency: c.cfg.UploadConcurrency, ShutdownTimeout: c.cfg.ShutdownTimeout,
		Metrics: c.metrics,
	})
}

// Start starts the worker.
func (w *Worker) Start(ctx context.Context) error {
	w.warnUnlessReady(ctx)
	if err := w.ops.start(ctx, &w.lifecycle); err != nil {
		return err
	}
	w.startTurns()
	w.onStop("worker", waiting(w.worker.Stop))
	return w.worker.Start()
}

// Addr returns the address of the worker's operators' server.
func (w *Worker) Addr() string { return w.ops.addr() }
