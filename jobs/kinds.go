package jobs

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/hibiken/asynq"

	"socialqueue/models"
)

// Work holds the services that run the tasks of each kind.
type Work struct {
	Posts      PostRunner
	Files      FileFetcher
	Comments   Commenter
	Accounts   AccountRefresher
	Webhooks   WebhookProcessor
	Deliveries Deliverer
}

// kindsOfTasks lists every kind of task except those of posts, which differ by platform.
var kindsOfTasks = []registration{register(tokenRefresh), register(webhookProcess), register(notifyDeliver), register(mediaFetch), register(postComment)}

// kind describes one kind of task. A is its payload: ids only, because the rows are read
// again when it runs. Fields of A that JSON leaves out serve the id and the queue of a new
// task, and are zero when it runs.
type kind[A any] struct {
	// name is the task type in Redis, the type in metrics and the action in logs.
	// Workers of two releases run side by side during an upgrade: never rename one.
	name string
	// queue is where tasks of the kind wait, timeout how long one run may take. It
	// ends a run that hangs; each call within it has its own, much shorter one.
	queue   string
	timeout time.Duration
	// heavy, unless nil, reports whether a task moves a file. Such a task waits in
	// QueueUpload and has transferTimeout instead.
	heavy func(A) bool
	// shown lists the fields of a payload that operators may see. A payload has no others.
	shown []string
	// id returns the id of a task. Two tasks for the same run have the same id.
	id func(A) string
	// check returns an error for a payload without the needed ids.
	check func(A) error
	// run does the work. drain is closed when the worker stops: run then hands the
	// work back.
	run func(ctx context.Context, w Work, args A, drain <-chan struct{}) error
}

// transferTimeout is how long one run may take that moves a file.
const transferTimeout = 6 * time.Hour

// route returns the queue of a task and how long one run of it may take.
func (k *kind[A]) route(args A) (queue string, timeout time.Duration) {
	if k.heavy != nil && k.heavy(args) {
		return QueueUpload, transferTimeout
	}
	return k.queue, k.timeout
}

func (k *kind[A]) decode(t *asynq.Task) (A, error) {
	var args A
	if err := decodeInto(t, &args); err != nil {
		return args, err
	}
	if err := k.check(args); err != nil {
		return args, fmt.Errorf("decode task %s: %w", t.Type(), err)
	}
	return args, nil
}

// registration is a kind without its type parameter, as the worker needs it.
type registration struct {
	name, queue string
	shown       []string
	run         func(ctx context.Context, w Work, t *asynq.Task, drain <-chan struct{}) error
}

func register[A any](k kind[A]) registration {
	return registration{name: k.name, queue: k.queue, shown: k.shown, run: func(ctx context.Context, w Work, t *asynq.Task, drain <-chan struct{}) error {
		args, err := k.decode(t)
		if err != nil {
			return undecoded(err)
		}
		return k.run(ctx, w, args, drain)
	}}
}

// undecoded postpones a task of a newer release, and ends one with an invalid payload.
func undecoded(err error) error {
	if errors.Is(err, errNewer) {
		return later(newerWait, err)
	}
	return fmt.Errorf("%w: %w", err, asynq.SkipRetry)
}

// Kinds is the table of all kinds of tasks. The client, the worker, the metrics and
// the monitor read it.
type Kinds struct {
	byName map[string]registration
	posts  map[models.Platform]PostTypes
}

// NewKinds returns the table for the given platforms. It panics if a kind has no name, the
// name of another kind, or a queue that no worker serves: these are mistakes in the
// program.
func NewKinds(platforms ...PostTypes) *Kinds {
	k := &Kinds{byName: map[string]registration{}, posts: map[models.Platform]PostTypes{}}
	for _, r := range kindsOfTasks {
		k.add(r)
	}
	for _, p := range platforms {
		if _, known := k.posts[p.Platform]; known {
			panic(fmt.Sprintf("jobs: platform %s is registered twice", p.Platform))
		}
		k.posts[p.Platform] = p
		k.add(register(postKind(p.Publish)))
		if p.Transfer != p.Publish {
			k.add(register(postKind(p.Transfer)))
		}
	}
	return k
}

func (k *Kinds) add(r registration) {
	if r.name == "" {
		panic("jobs: a task type without a name")
	}
	if _, known := k.byName[r.name]; known {
		panic(fmt.Sprintf("jobs: task type %s is registered twice", r.name))
	}
	if !slices.Contains(Queues, r.queue) {
		panic(fmt.Sprintf("jobs: task type %s has queue %q, which no worker serves", r.name, r.queue))
	}
	k.byName[r.name] = r
}

// run runs a task. A task of an unknown type is left to a newer release.
func (k *Kinds) run(ctx context.Context, w Work, t *asynq.Task, drain <-chan struct{}) error {
	r, known := k.byName[t.Type()]
	if !known {
		return later(newerWait, fmt.Errorf("unknown task type %q: %w", t.Type(), errNewer))
	}
	return r.run(ctx, w, t, drain)
}

// label returns the type of a task for metrics. All unknown types share one label, because
// anyone with access to Redis can invent them.
func (k *Kinds) label(t *asynq.Task) string {
	if _, known := k.byName[t.Type()]; known {
		return t.Type()
	}
	return "other"
}

// shown lists the fields of payloads that operators may see, of all kinds.
func (k *Kinds) shown() []string {
	fields := []string{"v"}
	for _, r := range k.byName {
		fields = append(fields, r.shown...)
	}
	return fields
}
