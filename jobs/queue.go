package jobs

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"socialqueue/inbox"
	"socialqueue/models"
	"socialqueue/notify"
	"socialqueue/oauth"
	"socialqueue/observe"
	"socialqueue/publish"
)

const (
	// maxRetry is never reached: the attempts of a post are counted in its row, and Asynq
	// would archive a task on its last attempt whatever the reason.
	maxRetry = math.MaxInt32
	// refilledKey is lost whenever Redis loses its content.
	refilledKey = "socialqueue:refilled"
)

// Queue puts tasks into Asynq. It is safe for concurrent use.
type Queue struct {
	kinds     *Kinds
	redis     redis.UniversalClient
	keys      asynqKeys
	client    *asynq.Client
	inspector *asynq.Inspector

	placesMu sync.Mutex
	places   map[models.Step]int
	placesAt time.Time
}

var (
	_ publish.Queue = (*Queue)(nil)
	_ oauth.Queue   = (*Queue)(nil)
	_ inbox.Queue   = (*Queue)(nil)
	_ notify.Queue  = (*Queue)(nil)
)

// NewQueue returns a Queue for some kinds of tasks. The caller closes the client.
func NewQueue(client redis.UniversalClient, kinds *Kinds) *Queue {
	return &Queue{
		kinds:     kinds,
		redis:     client,
		keys:      asynqKeys{client},
		client:    asynq.NewClientFromRedisClient(client),
		inspector: asynq.NewInspectorFromRedisClient(client),
	}
}

// enqueue enqueues a task of a kind.
func enqueue[A any](ctx context.Context, q *Queue, k kind[A], args A, e envelope) error {
	task, err := newTask(k.name, args, e)
	if err != nil {
		return err
	}
	queue, timeout := k.route(args)
	return q.put(ctx, task, k.id(args), asynq.Queue(queue), asynq.Timeout(timeout), asynq.ProcessAt(e.notBefore))
}

// put enqueues a task under our own id. If the id exists already, it returns nil.
func (q *Queue) put(ctx context.Context, task *asynq.Task, id string, opts ...asynq.Option) error {
	ctx = observe.WithCorrelationID(observe.WithTraceParent(ctx, task.Headers()[headerTrace]), task.Headers()[headerCorrelation])
	ctx, span := observe.Span(ctx, "enqueue "+task.Type(), trace.SpanKindProducer,
		attribute.String("messaging.system", "asynq"), attribute.String("messaging.message.id", id))
	defer span.End()
	_, err := q.client.EnqueueContext(ctx, task, append(opts, asynq.TaskID(id), asynq.MaxRetry(maxRetry))...)
	if err != nil && !errors.Is(err, asynq.ErrTaskIDConflict) {
		return fmt.Errorf("enqueue %s: %w", id, err)
	}
	return nil
}

// stateOfTask returns the state of a task of a kind.
func stateOfTask[A any](ctx context.Context, q *Queue, k kind[A], args A) (publish.TaskState, error) {
	queue, _ := k.route(args)
	id := k.id(args)
	info, err := q.inspector.GetTaskInfo(queue, id)
	if errors.Is(err, asynq.ErrTaskNotFound) || errors.Is(err, asynq.ErrQueueNotFound) {
		return publish.TaskMissing, nil
	}
	if err != nil {
		return 0, fmt.Errorf("read the state of task %s: %w", id, err)
	}
	switch info.State {
	case asynq.TaskStateActive:
		return publish.TaskActive, nil
	case asynq.TaskStateArchived, asynq.TaskStateCompleted:
		return publish.TaskDead, nil
	default:
		return q.waiting(ctx, queue, info)
	}
}

// waiting returns the state of a task that is marked as waiting. A Redis that evicts keys
// can lose the list or set that workers take it from, and keep the task: it would never
// run, and its id would stay taken.
func (q *Queue) waiting(ctx context.Context, queue string, info *asynq.TaskInfo) (publish.TaskState, error) {
	listed, err := q.keys.isListed(ctx, queue, info.State.String(), info.ID)
	if err != nil {
		return 0, fmt.Errorf("find task %s in queue %s: %w", info.ID, queue, err)
	}
	if !listed {
		return publish.TaskDead, nil
	}
	return publish.TaskPending, nil
}

// Lost reports whether Redis lost its content since Refilled was called.
func (q *Queue) Lost(ctx context.Context) (bool, error) {
	n, err := q.redis.Exists(ctx, refilledKey).Result()
	if err != nil {
		return false, fmt.Errorf("read the marker in Redis: %w", err)
	}
	return n == 0, nil
}

// Refilled records that every task that should be in Redis is in it.
func (q *Queue) Refilled(ctx context.Context) error {
	if err := q.NameQueues(ctx); err != nil {
		return err
	}
	if err := q.redis.Set(ctx, refilledKey, "1", 0).Err(); err != nil {
		return fmt.Errorf("set the marker in Redis: %w", err)
	}
	return nil
}

// NameQueues makes the queues visible to every tool.
func (q *Queue) NameQueues(ctx context.Context) error {
	if err := q.keys.name(ctx, Queues...); err != nil {
		return fmt.Errorf("name the queues in Redis: %w", err)
	}
	return nil
}

// UnnamedQueues lists the queues whose names are missing in Redis, so that no tool shows
// them.
func (q *Queue) UnnamedQueues(ctx context.Context) ([]string, error) {
	var unnamed []string
	for _, name := range Queues {
		named, err := q.keys.isNamed(ctx, name)
		if err != nil {
			return nil, fmt.Errorf("find the name of queue %s in Redis: %w", name, err)
		}
		if !named {
			unnamed = append(unnamed, name)
		}
	}
	return unnamed, nil
}

// Workers returns how many live worker processes serve the queue with the fewest.
func (q *Queue) Workers() (int, error) {
	serving, least, err := q.serving()
	for _, name := range Queues {
		least = min(least, serving[name])
	}
	return least, err
}

// Places returns how many posts the workers can run at once, by the step that they begin with. The
// answer may be placesFresh old. Where no worker is alive, it is that of one.
func (q *Queue) Places(ctx context.Context) (map[models.Step]int, error) {
	q.placesMu.Lock()
	defer q.placesMu.Unlock()
	if q.places != nil && time.Since(q.placesAt) < placesFresh {
		return q.places, nil
	}
	servers, err := q.inspector.Servers()
	if err != nil {
		return nil, fmt.Errorf("list workers: %w", err)
	}
	if servers, err = living(ctx, q.redis, servers); err != nil {
		return nil, err
	}
	places := map[models.Step]int{}
	for step, queue := range map[models.Step]string{models.StepPublish: QueuePublish, models.StepTransfer: QueueUpload} {
		for _, s := range servers {
			if s.Queues[queue] > 0 {
				places[step] += s.Concurrency
			}
		}
		if places[step] == 0 {
			places[step] = placesAlone[step]
		}
	}
	q.places, q.placesAt = places, time.Now()
	return places, nil
}

const placesFresh = 2 * time.Second

// placesAlone are those of one worker with the usual settings.
var placesAlone = map[models.Step]int{models.StepPublish: 64, models.StepTransfer: 8}

// serving counts the live servers that serve each queue, and all of them. A server whose
// process was killed is not counted after beatLate.
func (q *Queue) serving() (byQueue map[string]int, all int, err error) {
	servers, err := q.inspector.Servers()
	if err != nil {
		return nil, 0, fmt.Errorf("list workers: %w", err)
	}
	if servers, err = living(context.Background(), q.redis, servers); err != nil {
		return nil, 0, err
	}
	byQueue = map[string]int{}
	for _, s := range servers {
		for name := range s.Queues {
			byQueue[name]++
		}
	}
	return byQueue, len(servers), nil
}

// Pause pauses a queue: workers take no tasks from it. Pausing a paused queue is no error.
func (q *Queue) Pause(queue string) error {
	return q.setPaused(queue, true, q.inspector.PauseQueue)
}

// Resume resumes a queue: workers take tasks from it again. Resuming a queue that is not
// paused is no error.
func (q *Queue) Resume(queue string) error {
	return q.setPaused(queue, false, q.inspector.UnpauseQueue)
}

// pausedTimeout limits Paused, because a person waits for the page that shows it.
const pausedTimeout = 2 * time.Second

// Paused lists the queues that are paused.
func (q *Queue) Paused() ([]string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), pausedTimeout)
	defer cancel()
	var paused []string
	for _, name := range Queues {
		is, err := q.keys.isPaused(ctx, name)
		if err != nil {
			return nil, fmt.Errorf("read whether queue %s is paused: %w", name, err)
		}
		if is {
			paused = append(paused, name)
		}
	}
	return paused, nil
}

// setPaused pauses or resumes a queue unless that is done already, which Asynq treats as an
// error. Asynq knows a queue only once it was named.
func (q *Queue) setPaused(queue string, paused bool, change func(string) error) error {
	if err := q.keys.name(context.Background(), queue); err != nil {
		return fmt.Errorf("name queue %s in Redis: %w", queue, err)
	}
	info, err := q.inspector.GetQueueInfo(queue)
	if err == nil && info.Paused == paused {
		return nil
	}
	if err == nil {
		err = change(queue)
	}
	if err != nil {
		return fmt.Errorf("pause or resume queue %s: %w", queue, err)
	}
	return nil
}
