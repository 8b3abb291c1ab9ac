package app

import (
	"context"
	"time"

	"socialqueue/config"
	"socialqueue/jobs"
	"socialqueue/observe"
)

// Scheduler is the process that moves due work into Asynq.
type Scheduler struct {
	*core
	scheduler *jobs.Scheduler
	ops       *opsServer
}

// NewScheduler builds a scheduler and connects it to its servers.
func NewScheduler(ctx context.Context, cfg config.Config, opts Options) (*Scheduler, error) {
	c, err := openCore(ctx, cfg, opts, apiConns)
	if err != nil {
		return nil, err
	}
	s := &Scheduler{core: c, scheduler: c.newScheduler()}
	c.ask()
	s.ops = newOpsServer(cfg.OpsAddr, c.log, c.metrics.Handler(), func() bool { return s.scheduler.Alive(time.Now()) }, c.ready)
	return s, nil
}

func (c *core) newScheduler() *jobs.Scheduler {
	return jobs.NewScheduler(c.db, c.log, c.metrics,
		jobs.Tick{Name: "admit", Every: 500 * time.Millisecond, Do: c.posts.AdmitDue},
		jobs.Tick{Name: "sweep", Every: time.Second, Do: c.posts.Sweep},
		jobs.Tick{Name: "repair", Every: 20 * time.Second, Do: c.repair},
		jobs.Tick{Name: "highwater", Every: 5 * time.Second, Do: c.posts.CompareMark},
		jobs.Tick{Name: "fetches", Every: time.Second, Do: c.posts.EnqueueFetches},
		jobs.Tick{Name: "first comments", Every: time.Second, Do: c.posts.EnqueueComments},
		jobs.Tick{Name: "late", Every: time.Second, Do: c.posts.MissLate},
		jobs.Tick{Name: "upkeep", Every: 5 * time.Second, Do: c.tokens.EnqueueDue},
		jobs.Tick{Name: "webhooks", Every: time.Second, Do: c.inbox.Sweep},
		jobs.Tick{Name: "notify", Every: 500 * time.Millisecond, Do: c.notify.EnqueueDue},
		jobs.Tick{Name: "erase", Every: 10 * time.Second, Do: c.tokens.Erase},
		jobs.Tick{Name: "clean-up", Every: 10 * time.Minute, Do: jobs.Batches(c.posts.CleanUp)},
		jobs.Tick{Name: "webhooks clean-up", Every: 10 * time.Minute, Do: jobs.Batches(c.inbox.Prune)},
		jobs.Tick{Name: "notify clean-up", Every: 10 * time.Minute, Do: jobs.Batches(c.notify.CleanUp)},
		jobs.Tick{Name: "orphans", Every: 24 * time.Hour, Do: c.posts.RemoveOrphans},
	)
}

// repair repairs tasks that Asynq left behind.
func (c *core) repair(ctx context.Context) error {
	n, err := c.queue.Repair(ctx, owner())
	if n > 0 {
		c.metrics.Repaired(observe.RepairAsynq, n)
		c.log.WithField("repaired", n).Warn("repaired tasks that Asynq had left behind")
	}
	return err
}

// Start starts the ticks.
func (s *Scheduler) Start(ctx context.Context) error {
	s.warnUnlessReady(ctx)
	if err := s.ops.start(ctx, &s.lifecycle); err != nil {
		return err
	}
	s.startTurns()
	s.onStop("scheduler", waiting(s.scheduler.Stop))
	s.scheduler.Start()
	return nil
}

// Addr returns the address of the scheduler's operators' server.
func (s *Scheduler) Addr() string { return s.ops.addr() }
