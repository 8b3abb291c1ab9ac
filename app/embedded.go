package app

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/alicebob/miniredis/v2"

	"socialqueue/config"
	"socialqueue/db"
	"socialqueue/highwater"
	"socialqueue/jobs"
)

// NewEmbedded builds the whole system in one process on SQLite and an embedded Redis, with
// its data in dir. It is for trying and developing: one process, no replication, and lower
// speed.
func NewEmbedded(ctx context.Context, cfg config.Config, dir string, opts Options) (*AllInOne, error) {
	c := newCore(cfg, opts)
	err := c.openEmbedded(ctx, dir)
	if err == nil {
		err = c.openStore(ctx)
	}
	if err == nil {
		err = c.buildService()
	}
	if err != nil {
		return nil, errors.Join(err, c.Stop(context.WithoutCancel(ctx)))
	}
	return newAllInOne(c), nil
}

func (c *core) openEmbedded(ctx context.Context, dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("create data folder: %w", err)
	}
	database, err := db.OpenSQLite(ctx, filepath.Join(dir, "socialqueue.db"))
	if err != nil {
		return err
	}
	c.setDB(database)
	if _, err := database.Migrate(ctx); err != nil {
		return err
	}
	c.marks = highwater.NewFile(dir) // the embedded Redis forgets everything when the process ends
	server := miniredis.NewMiniRedis()
	if err := server.Start(); err != nil {
		return fmt.Errorf("start embedded redis: %w", err)
	}
	c.onStop("embedded redis", closing(func() error { server.Close(); return nil }))
	c.onStop("embedded redis clock", tickClock(server))
	c.setRedis(jobs.NewRedis(config.Redis{Mode: config.RedisSingle, Addrs: []string{server.Addr()}}))
	return nil
}

// clockStep is how often the clock of the embedded Redis is advanced. It has no clock of
// its own, so keys would never expire.
const clockStep = 250 * time.Millisecond

func tickClock(server *miniredis.Miniredis) func(context.Context) error {
	quit, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		every := time.NewTicker(clockStep)
		defer every.Stop()
		for {
			select {
			case <-quit:
				return
			case <-every.C:
				server.FastForward(clockStep)
			}
		}
	}()
	return waiting(func() {
		close(quit)
		<-done
	})
}
