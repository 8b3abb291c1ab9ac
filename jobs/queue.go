package jobs

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"socialqueue/db"
	"socialqueue/inbox"
	"socialqueue/models"
	"socialqueue/notify"
	"socialqueue/oauth"
	"socialqueue/observe"
	"socialqueue/publish"
)

const (
	// maxRetry is out of reach: the attempt budget lives in the post's row, and
	// Asynq archives a task on its last attempt whatever the reason.
	maxRetry = math.MaxInt32
	// The time-outs of runs end a run that hangs; every call has its own, much
	// shorter ones.
	transferTimeout = 6 * time.Hour
	publishTimeout  = 10 * time.Minute
	upkeepTimeout   = 5 * time.Minute
	webhookTimeout  = time.Minute
	deliverTimeout  = 2 * time.Minute
	// refilledKey is lost whenever Redis loses its content.
	refilledKey = "socialqueue:refilled"
)

// Queue puts tasks into Asynq. It is safe for concurrent use.
type Queue struct {
	redis     redis.UniversalClient
	keys      asynqKeys
	client    *asynq.Client
	inspector *asynq.Inspector
}

var (
	_ publish.Queue = (*Queue)(nil)
	_ oauth.Queue   = (*Queue)(nil)
	_ inbox.Queue   = (*Queue)(nil)
	_ notify.Queue  = (*Queue)(nil)
)

// NewQueue makes a Queue on a client that stays the caller's.
func NewQueue(client redis.UniversalClient) *Queue {
	return &Queue{
		redis:     client,
		keys:      asynqKeys{client},
		client:    asynq.NewClientFromRedisClient(client),
		inspector: asynq.NewInspectorFromRedisClient(client),
	}
}

// Enqueue puts a task in, to run at its time. A task with its id that is in
// already is the same task, put in by an earlier try whose answer was lost, or
// by somebody else: success.
func (q *Queue) Enqueue(ctx context.Context, t publish.Task) error {
	task, err := encode(t)
	if err != nil {
		return err
	}
	timeout := publishTimeout
	if queueOf(t) == QueueUpload {
		timeout = transferTimeout
	}
	return q.put(ctx, task, taskID(t), asynq.Queue(queueOf(t)), asynq.Timeout(timeout), asynq.ProcessAt(t.At))
}

// EnqueueUpkeep puts in a task that sees to an account. Its id names the fence of
// the account's tokens, so that one which was left behind by a worker's death
// holds up no other than that very refresh.
func (q *Queue) EnqueueUpkeep(ctx context.Context, accountID, fence int64) error {
	task, err := newTask(TypeTokenRefresh, upkeepPayload{Version: payloadVersion, AccountID: accountID}, time.Now(), models.NewID(), observe.TraceParent(ctx))
	if err != nil {
		return err
	}
	id := fmt.Sprintf("account-%d:%d", accountID, fence)
	if err := q.removeDead(id); err != nil {
		return err
	}
	return q.put(ctx, task, id, asynq.Queue(QueueTokens), asynq.Timeout(upkeepTimeout))
}

// EnqueueWebhook puts in a task that gives a platform's event its effect.
func (q *Queue) EnqueueWebhook(ctx context.Context, e *models.WebhookEvent) error {
	due := time.Now()
	if e.RunAt != nil {
		due = *e.RunAt
	}
	task, err := newTask(TypeWebhookProcess, webhookPayload{Version: payloadVersion, EventID: e.ID}, due, e.CorrelationID, observe.TraceParent(ctx))
	if err != nil {
		return err
	}
	return q.put(ctx, task, webhookTaskID(e), asynq.Queue(QueueWebhooks), asynq.Timeout(webhookTimeout))
}

func webhookTaskID(e *models.WebhookEvent) string { return fmt.Sprintf("webhook-%d:%d", e.ID, e.Fence) }

// WebhookState looks the task of a platform's event up.
func (q *Queue) WebhookState(ctx context.Context, e *models.WebhookEvent) (publish.TaskState, error) {
	return q.stateOf(ctx, QueueWebhooks, webhookTaskID(e))
}

// deliverAgain is how soon another task may follow one that did not claim its
// endpoint.
const deliverAgain = 5 * time.Second

// EnqueueDeliver puts in a task that tells an endpoint what is due. Its id names the
// endpoint's fence, and the time in steps: a task whose worker died before it claimed
// the endpoint keeps its id for minutes. Of two tasks with the same fence one finds
// nothing to do.
func (q *Queue) EnqueueDeliver(ctx context.Context, r db.EndpointRun) error {
	task, err := newTask(TypeNotifyDeliver, deliverPayload{Version: payloadVersion, EndpointID: r.ID, Fence: r.Fence}, time.Now(), models.NewID(), observe.TraceParent(ctx))
	if err != nil {
		return err
	}
	id := fmt.Sprintf("endpoint-%s:%d:%d", r.ID, r.Fence, time.Now().Unix()/int64(deliverAgain/time.Second))
	return q.put(ctx, task, id, asynq.Queue(QueueNotify), asynq.Timeout(deliverTimeout))
}

// removeDead removes a task of an account that was archived, by hand as nobody
// else does it: its id would stay taken, and the account alone.
func (q *Queue) removeDead(id string) error {
	info, err := q.inspector.GetTaskInfo(QueueTokens, id)
	if err == nil && info.State == asynq.TaskStateArchived {
		err = q.inspector.DeleteTask(QueueTokens, id)
	}
	if err != nil && !errors.Is(err, asynq.ErrTaskNotFound) && !errors.Is(err, asynq.ErrQueueNotFound) {
		return fmt.Errorf("look for %s: %w", id, err)
	}
	return nil
}

// put enqueues a task under an id of ours. That it is in already is success.
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

// State looks a task up.
func (q *Queue) State(ctx context.Context, t publish.Task) (publish.TaskState, error) {
	return q.stateOf(ctx, queueOf(t), taskID(t))
}

func (q *Queue) stateOf(ctx context.Context, queue, id string) (publish.TaskState, error) {
	info, err := q.inspector.GetTaskInfo(queue, id)
	if errors.Is(err, asynq.ErrTaskNotFound) || errors.Is(err, asynq.ErrQueueNotFound) {
		return publish.TaskMissing, nil
	}
	if err != nil {
		return 0, fmt.Errorf("look up %s: %w", id, err)
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

// waiting returns the state of a task that says it waits. A Redis that evicts can lose
// its place in the list that workers take from, and keep the task: it would never run,
// and its id would stay taken.
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

// UnnamedQueues lists the queues that no tool would show, as their names are not in
// Redis.
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

// serving counts the live servers that serve each queue, and all of them.
func (q *Queue) serving() (byQueue map[string]int, all int, err error) {
	servers, err := q.inspector.Servers()
	if err != nil {
		return nil, 0, fmt.Errorf("list workers: %w", err)
	}
	byQueue = map[string]int{}
	for _, s := range servers {
		for name := range s.Queues {
			byQueue[name]++
		}
	}
	return byQueue, len(servers), nil
}

// Pause pauses a queue: workers take no more tasks of it. Pausing a paused queue is no
// error.
func (q *Queue) Pause(queue string) error {
	return q.setPaused(queue, true, q.inspector.PauseQueue)
}

// Resume resumes a queue: workers take tasks of it again. Resuming a queue that is not
// paused is no error.
func (q *Queue) Resume(queue string) error {
	return q.setPaused(queue, false, q.inspector.UnpauseQueue)
}

// pausedTimeout bounds Paused, as a person waits for the page that shows it.
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

// setPaused pauses or resumes a queue unless it is so already, which Asynq calls an
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
