// Package doctor checks an installation and reports what is wrong with it and what to do. It
// changes nothing unless Options.Fix is set, and then makes only repairs that can neither
// lose nor duplicate a post.
package doctor

import (
	"context"
	"fmt"
	"time"

	"socialqueue/config"
	"socialqueue/db"
	"socialqueue/jobs"
	"socialqueue/media"
	"socialqueue/oauth"
	"socialqueue/publish"
)

// Level is the severity of a finding.
type Level string

// The levels. An installation with a Bad finding is unhealthy. So is one with an Unchecked
// finding, as what was not checked may be bad.
const (
	OK        Level = "ok"
	Warn      Level = "warn"
	Bad       Level = "bad"
	Unchecked Level = "unseen"
)

// Finding is one result of a check.
type Finding struct {
	Level Level  `json:"level"`
	Check string `json:"check"`
	// What describes the finding. Do says what to do about it; empty if nothing has to be
	// done.
	What string `json:"what"`
	Do   string `json:"do,omitempty"`
	// Fixable is true if Options.Fix can repair it. Fixed is true if it did: the check no
	// longer finds it.
	Fixable bool `json:"fixable,omitempty"`
	Fixed   bool `json:"fixed,omitempty"`
	// kind identifies the finding among those of its check; n is its size.
	kind string
	n    int
}

// Deps is the installation to check.
type Deps struct {
	Config config.Config
	// DB is nil if it could not be opened; DBErr is then the error.
	DB     *db.DB
	DBErr  error
	Queue  *jobs.Queue
	Posts  *publish.Service
	Tokens *oauth.Service
	// Store stores the media files.
	Store *media.Store
	// TextFiles are what the api serves so that platforms verify its host, by path.
	TextFiles map[string]string
	Now       func() time.Time
	// WorkerConns is the maximum number of database connections of a worker, ProcessConns
	// that of each other process.
	WorkerConns, ProcessConns int
}

// Options select what Examine does.
type Options struct {
	// Fix repairs findings that are safe to repair.
	Fix bool
	// Production adds the checks that matter only in production.
	Production bool
}

// doctor is one run of the checks.
type doctor struct {
	Deps
	Options
	// check is the name of the current check.
	check string
	found []Finding
	// oldSchema means that migrations are missing, so most database checks cannot run.
	oldSchema bool
	// down are the servers that do not answer.
	down map[server]bool
}

// server is a server that a check needs.
type server string

const (
	database server = "the database"
	redis    server = "Redis"
)

// checkTime is the timeout of each check.
const checkTime = time.Minute

// Examine runs the checks. A check that cannot run is reported as a finding.
func Examine(ctx context.Context, deps Deps, opts Options) []Finding {
	d := &doctor{Deps: deps, Options: opts, down: map[server]bool{}}
	onDB, onRedis, onBoth := []server{database}, []server{redis}, []server{database, redis}
	d.all(ctx, []check{
		{name: "database", run: d.database}, {name: "redis", run: d.redis}, // first, as they set d.down
		{name: "clock", needs: onBoth, run: d.clocks}, {name: "workers", needs: onRedis, run: d.workers},
		{name: "scheduler", needs: onRedis, run: d.scheduler}, {name: "queues", needs: onRedis, run: d.queues, fix: d.Queue.NameQueues},
		{name: "orphans", needs: onRedis, run: d.orphans, fix: d.fixOrphans}, {name: "archive", needs: onRedis, run: d.archive, fix: d.trimArchive},
		{name: "media", run: d.media},
	})
	if !d.oldSchema {
		d.all(ctx, []check{
			{name: "posts", needs: onBoth, run: d.posts, fix: d.Posts.Sweep}, {name: "tasks", needs: onBoth, run: d.tasks, fix: d.deleteStale},
			{name: "stuck", needs: onDB, run: d.stuck}, {name: "uncertain", needs: onDB, run: d.uncertain}, {name: "accounts", needs: onDB, run: d.accounts},
			{name: "subscriptions", needs: onDB, run: d.subscriptions},
			{name: "secrets", needs: onDB, run: d.secrets}, {name: "endpoints", needs: onDB, run: d.endpoints}, {name: "breakers", needs: onDB, run: d.breakers}, {name: "pauses", needs: onDB, run: d.pauses},
			{name: "highwater", needs: onBoth, run: d.highwater}, {name: "restored", needs: onDB, run: d.restored},
		})
	}
	if opts.Production {
		d.all(ctx, []check{
			{name: "settings", run: d.settings}, {name: "reach", run: d.reach}, {name: "durability", needs: onBoth, run: d.durability},
			{name: "connections", needs: onBoth, run: d.connections},
		})
	}
	return d.found
}

// check is a named check. It is skipped if one of the servers that it needs is down. run adds
// findings; fix, which may be nil, repairs those that are fixable.
type check struct {
	name     string
	needs    []server
	run, fix func(context.Context) error
}

func (d *doctor) all(ctx context.Context, checks []check) {
	for _, c := range checks {
		d.run(ctx, c)
	}
}

func (d *doctor) run(ctx context.Context, c check) {
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	d.check = c.name
	for _, s := range c.needs {
		if d.down[s] {
			d.add(Unchecked, "", "not checked: %s does not answer", []any{s})
			return
		}
	}
	first := len(d.found)
	if err := c.run(ctx); err != nil {
		d.failed(err)
		return
	}
	if d.Fix && c.fix != nil {
		d.fix(ctx, c, first)
	}
}

func (d *doctor) failed(err error) {
	d.bad("resolve this error, then run the doctor again", "the check failed: %v", err)
}

// unreachable reports that a server does not answer, once for all checks that need it.
func (d *doctor) unreachable(s server, err error, do string) {
	d.down[s] = true
	d.bad(do, "does not answer: %v", err)
}

func (d *doctor) ok(what string, args ...any) { d.add(OK, "", what, args) }

func (d *doctor) warn(do, what string, args ...any) { d.add(Warn, do, what, args) }

func (d *doctor) bad(do, what string, args ...any) { d.add(Bad, do, what, args) }

func (d *doctor) add(level Level, do, what string, args []any) {
	d.found = append(d.found, Finding{Level: level, Check: d.check, What: fmt.Sprintf(what, args...), Do: do})
}

// Unhealthy reports whether a finding is bad and was not fixed, or was not checked.
func Unhealthy(found []Finding) bool {
	for _, f := range found {
		if f.Level == Unchecked || (f.Level == Bad && !f.Fixed) {
			return true
		}
	}
	return false
}
