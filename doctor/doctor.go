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

// The levels. Only Bad makes an installation sick.
const (
	OK   Level = "ok"
	Warn Level = "warn"
	Bad  Level = "bad"
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
	DB     *db.DB
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
}

// checkTime bounds each check.
const checkTime = time.Minute

// Examine looks at everything. A check that cannot be made is a finding too.
func Examine(ctx context.Context, deps Deps, opts Options) []Finding {
	d := &doctor{Deps: deps, Options: opts}
	d.all(ctx, []check{
		{name: "database", look: d.database}, {name: "clock", look: d.clocks}, {name: "redis", look: d.redis}, {name: "workers", look: d.workers},
		{name: "scheduler", look: d.scheduler}, {name: "queues", look: d.queues, mend: d.Queue.NameQueues},
		{name: "orphans", look: d.orphans, mend: d.mendOrphans}, {name: "archive", look: d.archive, mend: d.trimArchive}, {name: "media", look: d.media},
	})
	if !d.oldSchema {
		d.all(ctx, []check{
			{name: "posts", look: d.posts, mend: d.Posts.Sweep}, {name: "tasks", look: d.tasks, mend: d.deleteStale}, {name: "stuck", look: d.stuck},
			{name: "uncertain", look: d.uncertain}, {name: "accounts", look: d.accounts}, {name: "secrets", look: d.secrets},
			{name: "endpoints", look: d.endpoints}, {name: "pauses", look: d.pauses},
		})
	}
	if opts.Production {
		d.all(ctx, []check{{name: "settings", look: d.settings}, {name: "durability", look: d.durability}, {name: "connections", look: d.connections}})
	}
	return d.found
}

// check is something that is looked at, and may be mended.
type check struct {
	name       string
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
	d.bad("see to it that this can be asked; what else is wrong may follow from it", "cannot be looked at: %v", err)
}

func (d *doctor) ok(what string, args ...any) { d.add(OK, "", what, args) }

func (d *doctor) warn(do, what string, args ...any) { d.add(Warn, do, what, args) }

func (d *doctor) bad(do, what string, args ...any) { d.add(Bad, do, what, args) }

func (d *doctor) add(level Level, do, what string, args []any) {
	d.found = append(d.found, Finding{Level: level, Check: d.check, What: fmt.Sprintf(what, args...), Do: do})
}

// Sick reports whether something is bad that was not mended.
func Sick(found []Finding) bool {
	for _, f := range found {
		if f.Level == Bad && !f.Fixed {
			return true
		}
	}
	return false
}
