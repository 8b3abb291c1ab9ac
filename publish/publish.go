// Package publish is the engine of posts: it accepts them, runs their steps, settles the
// uncertain ones, and makes sure that every due post has a task. It knows no platform; a
// Publisher for each platform declares the steps (publisher.go).
//
// Accept commits the post and enqueues its first task. A task claims the post (a new fence
// and a lease), reads the ledger, makes the next call, writes the result together with the
// time of the next run, and enqueues that run. After a power cut at any line, the post and
// its ledger tell the next run where to go on, and the sweep enqueues every post that lost
// its task.
package publish

import (
	"cmp"
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/sirupsen/logrus"

	"socialqueue/db"
	"socialqueue/highwater"
	"socialqueue/media"
	"socialqueue/models"
	"socialqueue/oauth"
	"socialqueue/observe"
	"socialqueue/secrets"
)

// ErrConflict: the post's state does not allow what was asked.
var ErrConflict = errors.New("conflict")

// Task asks for one run of a post. It holds ids only; the run reads the row.
type Task struct {
	PostID string
	// Fence is the one the row had when the task was made. A task whose fence
	// is no longer the row's has nothing to do.
	Fence         int64
	AppID         int64
	Platform      models.Platform
	AccountID     int64
	Step          models.Step
	At            time.Time
	CorrelationID string
	// TraceParent is the post's.
	TraceParent string
}

// TaskOf is the task that a post's next run needs.
func TaskOf(p *models.Post) Task {
	t := Task{PostID: p.ID, Fence: p.Fence, AppID: p.AppID, Platform: p.Platform, AccountID: p.AccountID(), Step: p.Step, CorrelationID: p.CorrelationID, TraceParent: p.TraceParent}
	if p.RunAt != nil {
		t.At = *p.RunAt
	}
	return t
}

// TaskState is what the queue knows of a task.
type TaskState uint8

const (
	// TaskMissing: the queue does not have it.
	TaskMissing TaskState = iota
	// TaskPending: it waits for its time or for a worker.
	TaskPending
	// TaskActive: a worker has taken it.
	TaskActive
	// TaskDead: it is archived or completed; it will not run again.
	TaskDead
)

// Queue is where tasks go.
type Queue interface {
	// Enqueue puts a task in. That it is in already is success.
	Enqueue(ctx context.Context, t Task) error
	// EnqueueFetch puts the task of a fetch in. That it is in already is success.
	EnqueueFetch(ctx context.Context, t FetchTask) error
	// EnqueueComment puts the task of a first comment in. That it is in already is success.
	EnqueueComment(ctx context.Context, t CommentTask) error
	// Places returns how many posts the workers can run at once, by the step that they begin with.
	Places(ctx context.Context) (map[models.Step]int, error)
	// State looks a task up.
	State(ctx context.Context, t Task) (TaskState, error)
	// Lost reports whether the queue lost its content since it was last asked.
	Lost(ctx context.Context) (bool, error)
	// Refilled notes that everything that should be in the queue is in it.
	Refilled(ctx context.Context) error
}

// Timings are the durations that shape a post's life.
type Timings struct {
	// Lease is how long after its last renewal a run may be replaced by another one.
	Lease time.Duration
	// Stall is the time without progress after which a run gives up its lease. No call takes
	// that long without moving bytes.
	Stall time.Duration
	// Horizon is how far ahead posts move into Asynq.
	Horizon time.Duration
	// CheckAfter is how long a due post may go unseen in Asynq before the sweep
	// looks for its task.
	CheckAfter time.Duration
	// Arrival is how long after it was made a call may still take effect at the platform:
	// its time-out, a lease, and a margin for clocks that differ. A read which shows no
	// effect is proof only if it began later than that.
	Arrival time.Duration
	// Looks are the intervals between polls of the platform; the last one repeats.
	Looks []time.Duration
	// Resumes spaces the tries of one run to resume a broken transfer. After the last the
	// run ends, and Retries take over.
	Resumes []time.Duration
	// Retries spaces the attempts after failures; a post fails after the last.
	Retries []time.Duration
}

// DefaultTimings are those of production. The intervals between polls follow the advice for
// status/fetch: 5 s, 10 s, 20 s ... up to 5 min (TikTok, Content Posting API, Get Post Status).
func DefaultTimings() Timings {
	return Timings{
		Lease:      20 * time.Second,
		Stall:      2 * time.Minute,
		Horizon:    2 * time.Minute,
		CheckAfter: 15 * time.Second,
		Arrival:    3 * time.Minute,
		Looks: []time.Duration{
			5 * time.Second, 10 * time.Second, 20 * time.Second, 40 * time.Second, 80 * time.Second, 160 * time.Second, 5 * time.Minute,
		},
		Resumes: []time.Duration{time.Second, 2 * time.Second, 4 * time.Second},
		Retries: []time.Duration{
			5 * time.Second, 15 * time.Second, 45 * time.Second, 2 * time.Minute,
			5 * time.Minute, 15 * time.Minute, 30 * time.Minute, time.Hour,
		},
	}
}

// Deps is what the use cases work with.
type Deps struct {
	DB     *db.DB
	Queue  Queue
	Tokens *oauth.Service
	// Marks keeps the high-water mark of sending.
	Marks   highwater.Store
	Keys    *secrets.Keyring
	Store   *media.Store
	Links   *media.Signer
	Fetcher *media.Fetcher
	// Room returns *models.QuotaError if an app may store no more bytes. Nil: there is no
	// limit.
	Room func(ctx context.Context, appID, bytes int64) error
	// Publishers are the platforms that posts can go to.
	Publishers []Publisher
	// Metrics may be nil.
	Metrics *observe.Metrics
	Log     logrus.FieldLogger
	Now     func() time.Time
	Timings Timings
	// Owner names this process in leases.
	Owner string
	// Ahead is how many posts are in Asynq for each that the workers can run at once; 0 means 2,
	// so that none of them has to wait for the next post.
	Ahead int
	// Rand returns numbers from 0 to 1 that spread retries. Nil means math/rand.
	Rand func() float64
}

// Service carries out the use cases. It is safe for concurrent use.
type Service struct {
	Deps
	publishers   publishers
	platforms    models.Platforms
	destinations *destinations
	limitReaders map[models.Platform]LimitReader
	limits       limitsCache
	watch        watch
	turns        *turns
	breakers     breakers
}

// New makes a Service. An error means that a publisher declares something that the engine
// cannot keep its promises with.
func New(deps Deps) (*Service, error) {
	all, err := newPublishers(deps.Publishers)
	if err != nil {
		return nil, err
	}
	if deps.Marks == nil {
		return nil, errors.New("a store for the high-water mark of sending is missing")
	}
	now := deps.Now
	deps.Now = func() time.Time { return models.Time(now()) }
	if deps.Metrics == nil {
		deps.Metrics = observe.NewMetrics()
	}
	deps.Ahead = cmp.Or(deps.Ahead, 2)
	if deps.Rand == nil {
		deps.Rand = rand.Float64
	}
	s := &Service{Deps: deps, publishers: all, destinations: newDestinations(deps.DB), limitReaders: map[models.Platform]LimitReader{}, turns: newTurns()}
	s.limits.known = map[string]keptLimits{}
	for _, p := range deps.Publishers {
		s.platforms = append(s.platforms, p.Platform())
		if reader, ok := p.(LimitReader); ok {
			s.limitReaders[p.Platform()] = reader
		}
	}
	return s, nil
}

const (
	// lanePlaces is how many posts of one account are in Asynq at once.
	lanePlaces = 3
	// enqueueTimeout bounds the fast path. The sweep is the guarantee.
	enqueueTimeout = 2 * time.Second
)

// enqueue is the fast path of every task. A failure is noted in the database, so that the
// next sweep enqueues the task; the caller need not care. reached reports whether all tasks
// are in Asynq.
//
// After the first failure, or once ctx is done, the other tasks are only noted: with a Redis
// that hangs, each would wait for the whole time-out.
func (s *Service) enqueue(ctx context.Context, posts ...models.Post) (reached bool) {
	for i := range posts {
		var err error
		if i > 0 {
			err = ctx.Err()
		}
		if err == nil {
			err = s.enqueueOne(ctx, &posts[i])
		}
		if err != nil {
			s.noteMissing(ctx, posts[i:], err)
			return false
		}
	}
	return true
}

func (s *Service) enqueueOne(ctx context.Context, p *models.Post) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), enqueueTimeout)
	defer cancel()
	return s.Queue.Enqueue(ctx, TaskOf(p))
}

// noteMissing notes that the tasks of posts are not in Asynq. The log names the first.
func (s *Service) noteMissing(ctx context.Context, posts []models.Post, err error) {
	log := observe.OfPost(s.Log, &posts[0]).WithField("posts", len(posts))
	log.WithError(err).Warn("tasks did not reach Redis; the sweep will enqueue them")
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), writeTimeout) // Redis may have used up its time
	defer cancel()
	if err := s.DB.Admission.NotInAsynq(ctx, posts); err != nil {
		log.WithError(err).Warn("could not note the missing tasks; the sweep will find them by their age")
	}
}
