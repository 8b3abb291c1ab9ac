package app

import (
	"context"
	"errors"

	"socialqueue/config"
	"socialqueue/doctor"
)

// Examine checks the installation of the settings, even if the database or Redis does not
// answer. An error means that the check could not start.
func Examine(ctx context.Context, cfg config.Config, opts Options, how doctor.Options) (found []doctor.Finding, err error) {
	c := newCore(cfg, opts)
	defer func() { err = errors.Join(err, c.Stop(context.WithoutCancel(ctx))) }()
	dbErr := c.openDB(ctx, apiConns)
	if err := c.build(ctx); err != nil {
		return nil, err
	}
	return doctor.Examine(ctx, doctor.Deps{
		Config: cfg, DB: c.db, DBErr: dbErr, Queue: c.queue, Posts: c.posts, Tokens: c.tokens, Store: c.store, TextFiles: c.textFiles(), Now: c.opts.Now,
		WorkerConns: workerConns(cfg), ProcessConns: apiConns,
	}, how), nil
}
