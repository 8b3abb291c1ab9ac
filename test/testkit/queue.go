package testkit

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"socialqueue/db"
	"socialqueue/models"
	"socialqueue/publish"
)

// errQueueDown is the answer of a queue that is down.
var errQueueDown = errors.New("redis is away")

// Queue takes the place of Asynq behind the services. It keeps each kind of task until the test takes it. The zero
// value is ready to use.
type Queue struct {
	Posts      Tasks[publish.Task]
	Fetches    Tasks[publish.FetchTask]
	Comments   Tasks[publish.CommentTask]
	Events     Tasks[models.WebhookEvent] // of platforms
	Deliveries Tasks[db.EndpointRun]      // to apps
	Accounts   Tasks[int64]               // whose tokens need maintenance

	mu     sync.Mutex
	lost   bool
	places int
}

// Enqueue takes the task of a post.
func (q *Queue) Enqueue(ctx context.Context, t publish.Task) error {
	return q.Posts.enqueue(ctx, postTaskID(t), t.At, t)
}

// EnqueueFetch takes the task of a fetch.
func (q *Queue) EnqueueFetch(ctx context.Context, t publish.FetchTask) error {
	return q.Fetches.enqueue(ctx, fmt.Sprintf("%s:%d:%d", t.PostID, t.Position, t.Fence), time.Time{}, t)
}

// EnqueueComment takes the task of a first comment.
func (q *Queue) EnqueueComment(ctx context.Context, t publish.CommentTask) error {
	return q.Comments.enqueue(ctx, fmt.Sprintf("%s:%d", t.PostID, t.Fence), time.Time{}, t)
}

// SetPlaces sets how many posts of each first step the workers run at once; at first there is no limit to speak of.
func (q *Queue) SetPlaces(n int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.places = n
}

// Places returns how many posts the workers run at once.
func (q *Queue) Places(context.Context) (map[models.Step]int, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := cmp.Or(q.places, 100_000)
	return map[models.Step]int{models.StepPublish: n, models.StepTransfer: n}, nil
}

// State returns the state of a post's task.
func (q *Queue) State(_ context.Context, t publish.Task) (publish.TaskState, error) {
	return q.Posts.state(postTaskID(t)), nil
}

// Lost reports whether the queue was flushed and not refilled since.
func (q *Queue) Lost(context.Context) (bool, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.lost, nil
}

// Refilled ends what Flush began.
func (q *Queue) Refilled(context.Context) error {
	q.setLost(false)
	return nil
}

// Flush loses all tasks of posts, as FLUSHALL does.
func (q *Queue) Flush() {
	q.Posts.Clear()
	q.Fetches.Clear()
	q.Comments.Clear()
	q.setLost(true)
}

func (q *Queue) setLost(lost bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.lost = lost
}

// EnqueueWebhook takes the task of a platform's event.
func (q *Queue) EnqueueWebhook(ctx context.Context, e *models.WebhookEvent) error {
	return q.Events.enqueue(ctx, eventTaskID(e), time.Time{}, *e)
}

// WebhookState returns the state of an event's task.
func (q *Queue) WebhookState(_ context.Context, e *models.WebhookEvent) (publish.TaskState, error) {
	return q.Events.state(eventTaskID(e)), nil
}

// EnqueueDeliver takes the task of a webhook endpoint.
func (q *Queue) EnqueueDeliver(ctx context.Context, r db.EndpointRun) error {
	return q.Deliveries.enqueue(ctx, fmt.Sprintf("%s:%d", r.ID, r.Fence), time.Time{}, r)
}

// EnqueueMaintenance takes the task of an account.
func (q *Queue) EnqueueMaintenance(ctx context.Context, accountID, fence int64) error {
	return q.Accounts.enqueue(ctx, fmt.Sprintf("%d:%d", accountID, fence), time.Time{}, accountID)
}

// PutPost keeps the task of a post in a state, whatever the queue held of it.
func (q *Queue) PutPost(t publish.Task, s publish.TaskState) { q.Posts.set(postTaskID(t), t.At, t, s) }

// PutEvent keeps the task of an event in a state, whatever the queue held of it.
func (q *Queue) PutEvent(e *models.WebhookEvent, s publish.TaskState) {
	q.Events.set(eventTaskID(e), time.Time{}, *e, s)
}

func postTaskID(t publish.Task) string { return fmt.Sprintf("%s:%d", t.PostID, t.Fence) }

func eventTaskID(e *models.WebhookEvent) string { return fmt.Sprintf("%d:%d", e.ID, e.Fence) }

// Tasks keeps the tasks of one kind, each under its id. A task whose id is taken is not kept again. It is safe for
// concurrent use.
type Tasks[T any] struct {
	mu     sync.Mutex
	kept   map[string]kept[T]
	added  int // counts the tasks, so that they are taken in order
	down   bool
	silent bool
}

type kept[T any] struct {
	task  T
	at    time.Time
	order int
	state publish.TaskState
}

func (k *Tasks[T]) enqueue(ctx context.Context, id string, at time.Time, task T) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.silent {
		<-ctx.Done()
		return ctx.Err()
	}
	if k.down {
		return errQueueDown
	}
	if _, taken := k.kept[id]; !taken {
		k.put(id, at, task, publish.TaskPending)
	}
	return nil
}

func (k *Tasks[T]) put(id string, at time.Time, task T, s publish.TaskState) {
	if k.kept == nil {
		k.kept = map[string]kept[T]{}
	}
	k.added++
	k.kept[id] = kept[T]{task: task, at: at, order: k.added, state: s}
}

func (k *Tasks[T]) set(id string, at time.Time, task T, s publish.TaskState) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.put(id, at, task, s)
}

// Take removes and returns the pending task that is due first.
func (k *Tasks[T]) Take() (task T, ok bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	first := ""
	for id, t := range k.kept {
		if t.state == publish.TaskPending && (first == "" || t.before(k.kept[first])) {
			first = id
		}
	}
	if first == "" {
		return task, false
	}
	task = k.kept[first].task
	delete(k.kept, first)
	return task, true
}

func (t kept[T]) before(other kept[T]) bool {
	return cmp.Or(t.at.Compare(other.at), cmp.Compare(t.order, other.order)) < 0
}

// TakeAll removes and returns all pending tasks in the order in which they are due.
func (k *Tasks[T]) TakeAll() []T {
	var all []T
	for task, ok := k.Take(); ok; task, ok = k.Take() {
		all = append(all, task)
	}
	return all
}

func (k *Tasks[T]) state(id string) publish.TaskState {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.kept[id].state
}

// Len returns how many tasks are pending.
func (k *Tasks[T]) Len() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	n := 0
	for _, t := range k.kept {
		if t.state == publish.TaskPending {
			n++
		}
	}
	return n
}

// Clear loses all tasks.
func (k *Tasks[T]) Clear() {
	k.mu.Lock()
	defer k.mu.Unlock()
	clear(k.kept)
}

// SetDown has the queue refuse every further task, or take them again.
func (k *Tasks[T]) SetDown(down bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.down = down
}

// SetSilent has the queue not answer until the caller gives up, or answer again.
func (k *Tasks[T]) SetSilent(silent bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.silent = silent
}
