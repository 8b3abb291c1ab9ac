package doctor

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"socialqueue/db"
)

func (d *doctor) database(ctx context.Context) error {
	var server db.Server
	err := d.DBErr
	if err == nil {
		server, err = d.DB.Operators.Server(ctx)
	}
	if err != nil {
		d.unreachable(database, err, "check that Postgres runs and that DATABASE_URL is right; api, workers and scheduler recover by themselves once it answers")
		return nil
	}
	if err := d.DB.CheckMigrated(ctx); errors.Is(err, db.ErrMigrationsMissing) {
		d.oldSchema = true
		d.bad("run `socialqueue migrate` before you start the processes of this version", "%s: the schema is older than this program, so posts and accounts are not checked", server.Version)
		return nil
	} else if err != nil {
		return err
	}
	if refused, ok := errors.AsType[*db.NoWritesError](d.DB.Operators.TryWrite(ctx)); ok {
		d.bad(refused.Do+"; requests are refused with 503 meanwhile, and posts go on by themselves", "%s takes no writes: %v", server.Version, refused.Err)
		return nil
	}
	missing, err := d.DB.Operators.MissingIndices(ctx)
	if err != nil {
		return err
	}
	if len(missing) > 0 {
		d.bad("run DROP INDEX CONCURRENTLY IF EXISTS for each, then create it as in db/migrations, with CREATE INDEX CONCURRENTLY", "%s: these indexes are missing or invalid: %s", server.Version, strings.Join(missing, ", "))
		return nil
	}
	d.ok("%s, with the schema and indexes of this version", server.Version)
	if d.DB.Pooled() {
		d.ok("it is behind a pooler such as PgBouncer: no statement is prepared")
	}
	return nil
}

// maxSkew is the tolerated difference between clocks. Each process uses its own clock for
// leases, which have some seconds of margin.
const maxSkew = 2 * time.Second

func (d *doctor) clocks(ctx context.Context) error {
	began := time.Now()
	server, err := d.DB.Operators.Server(ctx)
	if err != nil {
		return err
	}
	skews := map[string]time.Duration{"the database": server.Time.Sub(began.Add(time.Since(began) / 2))}
	nodes, err := d.Queue.RedisNodes(ctx)
	if err != nil {
		return err
	}
	for _, n := range nodes {
		skews[strings.TrimSpace("Redis "+n.Addr)] = n.Skew
	}
	wrong := false
	for who, skew := range skews {
		if skew.Abs() > maxSkew {
			wrong = true
			d.bad("synchronize the clocks of all machines with NTP", "the clock of %s differs from this machine's by %s", who, skew.Round(time.Millisecond))
		}
	}
	if !wrong {
		d.ok("the clocks of this machine, the database and Redis agree within %s", maxSkew)
	}
	return nil
}

const (
	// leastRedisMajor and leastRedisMinor are the oldest version that has all commands of
	// Asynq's scripts and ours.
	leastRedisMajor, leastRedisMinor = 6, 2
	// memoryShare is the share of maxmemory from which on Redis needs more memory.
	memoryShare = 0.8
)

// pingTime is how long Redis may take to answer a PING.
const pingTime = 10 * time.Second

func (d *doctor) redis(ctx context.Context) error {
	pingCtx, cancel := context.WithTimeout(ctx, pingTime)
	defer cancel()
	if err := d.Queue.Ping(pingCtx); err != nil {
		d.unreachable(redis, err, "check that Redis runs and that REDIS_URL is right; no post is lost meanwhile, and the sweep enqueues their tasks again")
		return nil
	}
	nodes, err := d.Queue.RedisNodes(ctx)
	if err != nil {
		return err
	}
	before := len(d.found)
	for _, n := range nodes {
		var major, minor int
		_, _ = fmt.Sscanf(n.Version, "%d.%d", &major, &minor) // an unknown version passes
		if major > 0 && (major < leastRedisMajor || (major == leastRedisMajor && minor < leastRedisMinor)) {
			d.bad("use 7.0 or newer", "Redis %s is too old", n.Version)
		}
		if n.Policy != "" && n.Policy != "noeviction" {
			d.bad("set maxmemory-policy noeviction, now with CONFIG SET and for the next start in its configuration", "Redis may evict tasks when its memory is full: its maxmemory-policy is %s", n.Policy)
		}
		if n.Evicted > 0 {
			d.warn("set maxmemory-policy noeviction and restart Redis, which resets the count; the sweep enqueues the lost tasks again", "Redis evicted %d keys since it started", n.Evicted)
		}
		if n.Max > 0 && float64(n.Used) > memoryShare*float64(n.Max) {
			d.warn("give it more memory", "Redis uses %d MB of its %d MB", n.Used>>20, n.Max>>20)
		}
		if n.Broken != "" {
			d.bad("check its disk and read its log", "Redis: %s failed", n.Broken)
		}
	}
	if len(d.found) == before {
		d.ok("Redis %s (masters: %d) evicts nothing and has no write errors", nodes[0].Version, len(nodes))
	}
	return nil
}

func (d *doctor) workers(context.Context) error {
	n, err := d.Queue.Workers()
	if err != nil {
		return err
	}
	switch {
	case n == 0:
		d.bad("start a worker, and read its log", "no worker is alive that serves every queue: posts wait in the database")
	case n == 1 && d.Production:
		d.warn("run two, on two machines", "only one worker is alive: while it restarts, nothing is sent")
	default:
		d.ok("%d alive", n)
	}
	return nil
}

func (d *doctor) scheduler(ctx context.Context) error {
	where, err := d.Queue.Scheduler(ctx)
	if err != nil {
		return err
	}
	if where == "" {
		d.bad("start a scheduler, and read its log", "no scheduler was active in the last minute: posts that become due are not queued")
		return nil
	}
	d.ok("alive, last active at %s", where)
	return nil
}
