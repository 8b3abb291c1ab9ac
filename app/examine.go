package app

import (
	"context"
	"errors"

	"socialqueue/config"
	"socialqueue/doctor"
)

// Examine looks at the installation of the settings. An error means that it could not
// even begin.
func Examine(ctx context.Context, cfg config.Config, opts Options, how doctor.Options) (found []doctor.Finding, err error) {
	c, err := openCore(ctx, cfg, opts, apiConns)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, c.Stop(context.WithoutCancel(ctx))) }()
	return doctor.Examine(ctx, doctor.Deps{
		Config: cfg, DB: c.db, Queue: c.queue, Posts: c.posts, Tokens: c.tokens, Store: c.store, Now: c.opts.Now,
		WorkerConns: workerConns(cfg), ProcessConns: apiConns,
	}, how), nil
}
