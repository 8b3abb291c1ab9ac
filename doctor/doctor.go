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
	// Fixable is what Fix would mend, Fixed what it did.
	Fixable bool `json:"fixable,omitempty"`
	Fixed   bool `json:"fixed,omitempty"`
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
		{"database", d.database}, {"clock", d.clocks}, {"redis", d.redis}, {"workers", d.workers}, {"scheduler", d.scheduler},
		{"queues", d.queues}, {"orphans", d.orphans}, {"archive", d.archive}, {"media", d.media},
	})
	if !d.oldSchema {
		d.all(ctx, []check{
			{"posts", d.posts}, {"tasks", d.tasks}, {"stuck", d.stuck}, {"uncertain", d.uncertain}, {"accounts", d.accounts}, {"secrets", d.secrets},
			{"endpoints", d.endpoints}, {"pauses", d.pauses},
		})
	}
	if opts.Production {
		d.all(ctx, []check{{"settings", d.settings}, {"durability", d.durability}, {"connections", d.connections}})
	}
	return d.found
}

type check struct {
	name string
	look func(context.Context) error
}

func (d *doctor) all(ctx context.Context, checks []check) {
	for _, c := range checks {
		d.run(ctx, c.name, c.look)
	}
}

func (d *doctor) run(ctx context.Context, name string, look func(context.Context) error) {
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	d.check = name
	if err := look(ctx); err != nil {
		d.bad("see to it that this can be asked; what else is wrong may follow from it", "cannot be looked at: %v", err)
	}
}

func (d *doctor) ok(what string, args ...any) { d.add(OK, "", what, args) }

func (d *doctor) warn(do, what string, args ...any) { d.add(Warn, do, what, args) }

func (d *doctor) bad(do, what string, args ...any) { d.add(Bad, do, what, args) }

func (d *doctor) add(level Level, do, what string, args []any) {
	d.found = append(d.found, Finding{Level: level, Check: d.check, What: fmt.Sprintf(what, args...), Do: do})
}

// mends adds something that --fix mends, or just mended.
func (d *doctor) mends(level Level, what string, args ...any) {
	d.add(level, "run `socialqueue doctor --fix`", what, args)
	f := &d.found[len(d.found)-1]
	f.Fixable = true
	if d.Fix {
		f.Fixed, f.Do = true, ""
	}
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
