package app

import (
	"context"

	"socialqueue/config"
	"socialqueue/jobs"
)

// AllInOne is api, worker and scheduler in one process.
type AllInOne struct {
	*core
	http      *httpServer
	worker    *jobs.Worker
	scheduler *jobs.Scheduler
}

// NewAllInOne builds all three processes on the servers of the settings.
func NewAllInOne(ctx context.Context, cfg config.Config, opts Options) (*AllInOne, error) {
	c, err := openCore(ctx, cfg, opts, workerConns(cfg))
	if err != nil {
		return nil, err
	}
	if _, err := c.db.Migrate(ctx); err != nil {
		_ = c.Stop(ctx) // the first error says more
		return nil, err
	}
	return newAllInOne(c), nil
}

func newAllInOne(c *core) *AllInOne {
	c.ask()
	return &AllInOne{core: c, http: c.newHTTPServer(), worker: c.newWorker(), scheduler: c.newScheduler()}
}

// Start starts all three. They stop in the reverse order, so that nothing new arrives while
// running work ends.
func (a *AllInOne) Start(ctx context.Context) error {
	a.startTurns()
	a.onStop("worker", waiting(a.worker.Stop))
	if err := a.worker.Start(); err != nil {
		return err
	}
	a.onStop("scheduler", waiting(a.scheduler.Stop))
	a.scheduler.Start()
	return a.http.start(ctx, &a.lifecycle)
}

// Addr returns the address of the api.
func (a *AllInOne) Addr() string { return a.http.addr() }
