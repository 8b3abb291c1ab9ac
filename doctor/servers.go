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
	err := d.NoDB
	if err == nil {
		server, err = d.DB.Operators.Server(ctx)
	}
	if err != nil {
		d.unanswered(database, err, "see to it that Postgres runs, and that DATABASE_URL is right; api, workers and scheduler go on by themselves when it answers")
		return nil
	}
	if err := d.DB.CheckMigrated(ctx); errors.Is(err, db.ErrMigrationsMissing) {
		d.oldSchema = true
		d.bad("run `socialqueue migrate`, before the processes of this version start", "%s, its schema is older than this program: posts and accounts are not looked at", server.Version)
		return nil
	} else if err != nil {
		return err
	}
	missing, err := d.DB.Operators.MissingIndices(ctx)
	if err != nil {
		return err
	}
	if len(missing) > 0 {
		d.bad("DROP INDEX CONCURRENTLY IF EXISTS each, and make it again as db/migrations has it, with CREATE INDEX CONCURRENTLY", "%s lacks the indices %s, or their making was broken off", server.Version, strings.Join(missing, ", "))
		return nil
	}
	d.ok("%s, its schema and indices are this version's", server.Version)
	return nil
}

// maxSkew is how far clocks may be apart: leases are written and judged with the clock of
// each process, with seconds to spare.
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
			d.bad("let NTP set the clock of every machine", "the clock of %s is %s off from that of this machine", who, skew.Round(time.Millisecond))
		}
	}
	if !wrong {
		d.ok("this machine, the database and Redis agree within %s", maxSkew)
	}
	return nil
}

const (
	// leastRedis has what Asynq's scripts and ours use.
	leastRedisMajor, leastRedisMinor = 6, 2
	// memoryShare of maxmemory is where Redis should be given more.
	memoryShare = 0.8
)

// pingTime bounds how long Redis may take for a sign of life.
const pingTime = 10 * time.Second

func (d *doctor) redis(ctx context.Context) error {
	pingCtx, cancel := context.WithTimeout(ctx, pingTime)
	defer cancel()
	if err := d.Queue.Ping(pingCtx); err != nil {
		d.unanswered(redis, err, "see to it that Redis runs, and that REDIS_URL is right; no post is lost meanwhile, and each gets its task again by itself")
		return nil
	}
	nodes, err := d.Queue.RedisNodes(ctx)
	if err != nil {
		return err
	}
	before := len(d.found)
	for _, n := range nodes {
		var major, minor int
		_, _ = fmt.Sscanf(n.Version, "%d.%d", &major, &minor) // one that does not tell is taken as it is
		if major > 0 && (major < leastRedisMajor || (major == leastRedisMajor && minor < leastRedisMinor)) {
			d.bad("use 7.0 or newer", "Redis %s is too old", n.Version)
		}
		if n.Policy != "" && n.Policy != "noeviction" {
			d.bad("set maxmemory-policy noeviction: by CONFIG SET at once, and in its configuration for the next start", "Redis may throw tasks away when its memory is full: its maxmemory-policy is %s", n.Policy)
		}
		if n.Evicted > 0 {
			d.warn("the sweep gives every post its task again; set maxmemory-policy noeviction and restart Redis, which sets the count back", "Redis threw %d keys away since it started", n.Evicted)
		}
		if n.Max > 0 && float64(n.Used) > memoryShare*float64(n.Max) {
			d.warn("give it more memory", "Redis uses %d MB of the %d MB that it may", n.Used>>20, n.Max>>20)
		}
		if n.Broken != "" {
			d.bad("look at its disk and its log", "of Redis, %s failed", n.Broken)
		}
	}
	if len(d.found) == before {
		d.ok("Redis %s (masters: %d) keeps what it is given", nodes[0].Version, len(nodes))
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
		d.bad("start a worker, and look at its log", "no worker is alive that serves every queue: posts wait in the database")
	case n == 1 && d.Production:
		d.warn("run two, on two machines", "one worker is alive; while it is replaced nothing is sent")
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
		d.bad("start a scheduler, and look at its log", "none was heard of for a minute: posts whose time comes are not queued")
		return nil
	}
	d.ok("alive, last heard of at %s", where)
	return nil
}
