// Package doctor looks at an installation and says in words what is wrong with it, and
// what to do. It changes nothing unless it is told to, and then only what loses and
// doubles no post.
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

// Level says how bad it is.
type Level string

// The levels. Bad makes an installation sick, and so does Unseen: what was not looked at
// may be bad.
const (
	OK     Level = "ok"
	Warn   Level = "warn"
	Bad    Level = "bad"
	Unseen Level = "unseen"
)

// Finding is something that was found.
type Finding struct {
	Level Level  `json:"level"`
	Check string `json:"check"`
	// What says what it is, Do what to do about it; empty where nothing has to be done.
	What string `json:"what"`
	Do   string `json:"do,omitempty"`
	// Fixable is what Fix would mend, Fixed what it did: a second look finds it no more.
	Fixable bool `json:"fixable,omitempty"`
	Fixed   bool `json:"fixed,omitempty"`
	// kind tells which one of a check it is, and n how much of it there is.
	kind string
	n    int
}

// Deps is what is looked at.
type Deps struct {
	Config config.Config
	// DB is nil where it could not be opened; NoDB says why.
	DB     *db.DB
	NoDB   error
	Queue  *jobs.Queue
	Posts  *publish.Service
	Tokens *oauth.Service
	// Store is where files are kept.
	Store *media.Store
	Now   func() time.Time
	// WorkerConns is how many connections to the database a worker may open, and
	// ProcessConns how many each other process.
	WorkerConns, ProcessConns int
}

// Options say how it is looked.
type Options struct {
	// Fix mends what is safe to mend.
	Fix bool
	// Production looks at what only matters there.
	Production bool
}

// doctor is one examination.
type doctor struct {
	Deps
	Options
	check string
	found []Finding
	// oldSchema: the database has not what most checks ask for.
	oldSchema bool
	// down are the servers that do not answer.
	down map[server]bool
}

// server is what checks need.
type server string

const (
	database server = "the database"
	redis    server = "Redis"
)

// checkTime bounds each check.
const checkTime = time.Minute

// Examine looks at everything. A check that cannot be made is a finding too.
func Examine(ctx context.Context, deps Deps, opts Options) []Finding {
	d := &doctor{Deps: deps, Options: opts, down: map[server]bool{}}
	onDB, onRedis, onBoth := []server{database}, []server{redis}, []server{database, redis}
	d.all(ctx, []check{
		{name: "database", look: d.database}, {name: "redis", look: d.redis}, // first, as they tell who does not answer
		{name: "clock", needs: onBoth, look: d.clocks}, {name: "workers", needs: onRedis, look: d.workers},
		{name: "scheduler", needs: onRedis, look: d.scheduler}, {name: "queues", needs: onRedis, look: d.queues, mend: d.Queue.NameQueues},
		{name: "orphans", needs: onRedis, look: d.orphans, mend: d.mendOrphans}, {name: "archive", needs: onRedis, look: d.archive, mend: d.trimArchive},
		{name: "media", look: d.media},
	})
	if !d.oldSchema {
		d.all(ctx, []check{
			{name: "posts", needs: onBoth, look: d.posts, mend: d.Posts.Sweep}, {name: "tasks", needs: onBoth, look: d.tasks, mend: d.deleteStale},
			{name: "stuck", needs: onDB, look: d.stuck}, {name: "uncertain", needs: onDB, look: d.uncertain}, {name: "accounts", needs: onDB, look: d.accounts},
			{name: "secrets", needs: onDB, look: d.secrets}, {name: "endpoints", needs: onDB, look: d.endpoints}, {name: "pauses", needs: onDB, look: d.pauses},
		})
	}
	if opts.Production {
		d.all(ctx, []check{
			{name: "settings", look: d.settings}, {name: "durability", needs: onBoth, look: d.durability},
			{name: "connections", needs: onBoth, look: d.connections},
		})
	}
	return d.found
}

// check is something that is looked at, and may be mended, while the servers answer that
// it needs.
type check struct {
	name       string
	needs      []server
	look, mend func(context.Context) error
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
			d.add(Unseen, "", "not looked at: %s does not answer", []any{s})
			return
		}
	}
	first := len(d.found)
	if err := c.look(ctx); err != nil {
		d.unseen(err)
		return
	}
	if d.Fix && c.mend != nil {
		d.mend(ctx, c, first)
	}
}

func (d *doctor) unseen(err error) {
	d.bad("see to what that names, then run this again", "cannot be looked at: %v", err)
}

// unanswered tells once that a server does not answer, for all the checks that need it.
func (d *doctor) unanswered(s server, err error, do string) {
	d.down[s] = true
	d.bad(do, "does not answer: %v", err)
}

func (d *doctor) ok(what string, args ...any) { d.add(OK, "", what, args) }

func (d *doctor) warn(do, what string, args ...any) { d.add(Warn, do, what, args) }

func (d *doctor) bad(do, what string, args ...any) { d.add(Bad, do, what, args) }

func (d *doctor) add(level Level, do, what string, args []any) {
	d.found = append(d.found, Finding{Level: level, Check: d.check, What: fmt.Sprintf(what, args...), Do: do})
}

// Sick reports whether something is bad that was not mended, or was not looked at.
func Sick(found []Finding) bool {
	for _, f := range found {
		if f.Level == Unseen || (f.Level == Bad && !f.Fixed) {
			return true
		}
	}
	return false
}
