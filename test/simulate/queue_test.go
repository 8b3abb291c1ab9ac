package simulate

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"socialqueue/db"
	"socialqueue/models"
	"socialqueue/publish"
)

const (
	// redelivered is how long after the death of its worker the queue gives a task to another one.
	redelivered = 90 * time.Second
	// retried is how soon it gives a task again that returned an error.
	retried = time.Second
	// atOnce is how many tasks the workers run at the same time.
	atOnce = 4
)

// queue takes the place of Asynq. It keeps a task under its id, loses some, and gives some twice or out of order.
type queue struct {
	h *history

	mu    sync.Mutex
	tasks []*task
	lost  bool
}

// task is one task in the queue.
type task struct {
	id    string
	post  int
	state publish.TaskState
	at    time.Time
	run   func(context.Context, *host, *actor) error
	tries int
}

// put keeps a task whose id is free. A task for an actor that dies or fails meanwhile may be in all the same.
func (q *queue) put(ctx context.Context, t task) error {
	a := q.h.actorOf(ctx)
	if err := q.h.pass(ctx, a, "enqueue "+t.id, false); err != nil {
		return err
	}
	what := "enqueue " + t.id
	if q.h.happens(a, "dies before "+what, q.h.rates.die) {
		q.h.kill(a, "before "+what)
		return q.h.die(a)
	}
	if q.h.happens(a, "fails: "+what, q.h.rates.queue) {
		return errAway
	}
	q.add(t)
	if q.h.happens(a, "gets no answer: "+what, q.h.rates.queue) {
		return errAway
	}
	if q.h.happens(a, "is lost: "+what, q.h.rates.queue/4) {
		q.remove(t.id)
	}
	return nil
}

func (q *queue) add(t task) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.find(t.id) == nil {
		t.state = publish.TaskPending
		t.at = later(t.at, time.Now())
		q.tasks = append(q.tasks, &t)
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// find needs the lock.
func (q *queue) find(id string) *task {
	i := slices.IndexFunc(q.tasks, func(t *task) bool { return t.id == id })
	if i < 0 {
		return nil
	}
	return q.tasks[i]
}

func (q *queue) remove(id string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.tasks = slices.DeleteFunc(q.tasks, func(t *task) bool { return t.id == id })
}

func (q *queue) state(ctx context.Context, id string) (publish.TaskState, error) {
	a := q.h.actorOf(ctx)
	if err := q.h.pass(ctx, a, "look up "+id, false); err != nil {
		return 0, err
	}
	if q.h.happens(a, "fails: look up "+id, q.h.rates.queue) {
		return 0, errAway
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if t := q.find(id); t != nil {
		return t.state, nil
	}
	return publish.TaskMissing, nil
}

// due takes the pending task that is due first, or another one that is due.
func (q *queue) due() *task {
	q.mu.Lock()
	now := time.Now()
	var due []*task
	for _, t := range q.tasks {
		if t.state != publish.TaskDead && !t.at.After(now) && (t.state == publish.TaskPending || t.tries > 0) {
			due = append(due, t)
		}
	}
	q.mu.Unlock()
	if len(due) == 0 {
		return nil
	}
	slices.SortStableFunc(due, func(a, b *task) int { return a.at.Compare(b.at) })
	if len(due) > 1 && q.h.happens(queueActor, "reorders "+due[0].id, q.h.rates.queue) {
		return due[q.h.pick(len(due))]
	}
	return due[0]
}

// queueActor is the queue where it decides by itself.
var queueActor = &actor{name: "queue"}

// next returns when the next task is due.
func (q *queue) next() (at time.Time, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, t := range q.tasks {
		if t.state != publish.TaskDead && t.at.Before(far) && (!ok || t.at.Before(at)) {
			at, ok = t.at, true
		}
	}
	return at, ok
}

// far is when nothing is due any more.
var far = time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC)

// start gives a task to a worker.
func (h *history) start(t *task) {
	q := h.queue
	q.mu.Lock()
	t.tries++
	t.state = publish.TaskActive
	t.at = far
	tries := t.tries
	q.mu.Unlock()
	a := &actor{name: fmt.Sprintf("run %s", t.id), post: t.post}
	if tries > 1 {
		a.name += fmt.Sprintf(" again (%d)", tries)
	}
	if h.happens(queueActor, "repeats "+a.name, h.rates.queue) { // another worker gets it too
		q.mu.Lock()
		t.at = time.Now()
		q.mu.Unlock()
	}
	on := h.workers[(h.sched.steps+tries)%len(h.workers)]
	a.on = on
	h.spawn(a, func(ctx context.Context) error { return t.run(ctx, on, a) }, func(err error) { q.finished(t, err) })
}

// finished settles a task whose run ended.
func (q *queue) finished(t *task, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	early, isEarly := errors.AsType[*db.EarlyError](err)
	switch {
	case err == nil:
		q.tasks = slices.DeleteFunc(q.tasks, func(other *task) bool { return other == t })
	case errors.Is(err, errDead):
		t.at = time.Now().Add(redelivered)
	case isEarly:
		t.state, t.at = publish.TaskPending, time.Now().Add(early.In)
	default:
		t.state, t.at = publish.TaskPending, time.Now().Add(retried)
	}
}

// flush loses everything, as a Redis that restarts empty.
func (q *queue) flush() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.tasks, q.lost = nil, true
}

func postTask(t publish.Task) string {
	return fmt.Sprintf("%s fence %d", t.CorrelationID, t.Fence)
}

func (q *queue) Enqueue(ctx context.Context, t publish.Task) error {
	return q.put(ctx, task{id: postTask(t), post: ordinal(t.CorrelationID), at: t.At, run: func(ctx context.Context, on *host, a *actor) error {
		return on.posts.RunStep(ctx, publish.Task{PostID: t.PostID, Fence: t.Fence, CorrelationID: t.CorrelationID}, a.drain)
	}})
}

func (q *queue) EnqueueFetch(ctx context.Context, t publish.FetchTask) error {
	return q.put(ctx, task{id: fmt.Sprintf("fetch %s %d fence %d", t.PostID, t.Position, t.Fence), run: func(ctx context.Context, on *host, a *actor) error {
		return on.posts.Fetch(ctx, t, a.drain)
	}})
}

func (q *queue) EnqueueComment(ctx context.Context, t publish.CommentTask) error {
	return q.put(ctx, task{id: fmt.Sprintf("comment of %s fence %d", t.CorrelationID, t.Fence), run: func(ctx context.Context, on *host, a *actor) error {
		return on.posts.Comment(ctx, t, a.drain)
	}})
}

func (q *queue) Places(context.Context) (map[models.Step]int, error) {
	return map[models.Step]int{models.StepPublish: 1, models.StepTransfer: 1}, nil
}

func (q *queue) State(ctx context.Context, t publish.Task) (publish.TaskState, error) {
	return q.state(ctx, postTask(t))
}

func (q *queue) Lost(context.Context) (bool, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.lost, nil
}

func (q *queue) Refilled(context.Context) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.lost = false
	return nil
}

func eventTask(e *models.WebhookEvent) string { return fmt.Sprintf("event %d fence %d", e.ID, e.Fence) }

func (q *queue) EnqueueWebhook(ctx context.Context, e *models.WebhookEvent) error {
	id := e.ID
	return q.put(ctx, task{id: eventTask(e), run: func(ctx context.Context, on *host, _ *actor) error { return on.inbox.Process(ctx, id) }})
}

func (q *queue) WebhookState(ctx context.Context, e *models.WebhookEvent) (publish.TaskState, error) {
	return q.state(ctx, eventTask(e))
}

func (q *queue) EnqueueDeliver(ctx context.Context, r db.EndpointRun) error {
	turn := time.Now().Unix() / 5
	return q.put(ctx, task{id: fmt.Sprintf("delivery fence %d turn %d", r.Fence, turn), run: func(ctx context.Context, on *host, a *actor) error {
		return on.notify.Deliver(ctx, r, a.drain)
	}})
}

func (q *queue) EnqueueMaintenance(ctx context.Context, accountID, fence int64) error {
	id := fmt.Sprintf("upkeep %d fence %d", accountID, fence)
	return q.put(ctx, task{id: id, run: func(ctx context.Context, on *host, _ *actor) error { return on.tokens.Maintain(ctx, accountID) }})
}

// ordinal reads the number of a post from its correlation id.
func ordinal(correlationID string) (n int) {
	_, _ = fmt.Sscanf(strings.TrimPrefix(correlationID, "post "), "%d", &n)
	return n
}
