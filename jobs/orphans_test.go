package jobs

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
)

// All orphans of a long list are repaired in one call, although the list gets shorter
// meanwhile. An intact task stays.
func TestManyOrphans(t *testing.T) {
	client := newClient(t)
	q := NewQueue(client, testKinds())
	task := aTask()
	if err := q.Enqueue(t.Context(), task); err != nil {
		t.Fatal(err)
	}
	key := queueKey(QueuePublish, "pending")
	const lost = 2*orphanPage + 7
	ids := make([]any, lost)
	for i := range ids {
		ids[i] = fmt.Sprint("lost-", i)
	}
	if err := client.LPush(t.Context(), key, ids...).Err(); err != nil {
		t.Fatal(err)
	}
	next, err := q.Orphans(t.Context(), true, false)
	if err != nil || len(next) != orphanPage-1 { // the task that is whole is the very next
		t.Errorf("quick: %d found, want %d: %v", len(next), orphanPage-1, err)
	}
	for _, fix := range []bool{false, true} {
		found, err := q.Orphans(t.Context(), false, fix)
		if err != nil || len(found) != lost {
			t.Fatalf("fix %v: %d found, want %d: %v", fix, len(found), lost, err)
		}
	}
	left, err := client.LRange(t.Context(), key, 0, -1).Result()
	if err != nil || len(left) != 1 || left[0] != postID(task) {
		t.Errorf("left in the list: %d ids, %v", len(left), err)
	}
	if again, err := q.Orphans(t.Context(), false, false); err != nil || len(again) != 0 {
		t.Errorf("found again: %v, %v", again, err)
	}
}

// Tasks that a stopping worker hands back are next in line and have no pending_since. The
// wait of the others is measured all the same, and the time is set, except on a task that a
// worker took meanwhile.
func TestHandedBackTasksGetATime(t *testing.T) {
	client := newClient(t)
	q := NewQueue(client, testKinds())
	ctx := t.Context()
	first, old := aTask(), aTask()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(q.Enqueue(ctx, first))
	handBack(t, client, QueuePublish)
	must(q.Enqueue(ctx, old))
	task := func(id string) string { return queueKey(QueuePublish, "t:"+id) }
	must(client.HSet(ctx, task(postID(old)), "pending_since", time.Now().Add(-10*time.Minute).UnixNano()).Err())
	must(client.RPush(ctx, queueKey(QueuePublish, "pending"), "lost").Err())

	wantAge := func() {
		t.Helper()
		if age := pendingAge(t, q, QueuePublish); age < 10*time.Minute || age > 11*time.Minute {
			t.Errorf("the oldest task waits for %s, want 10m", age)
		}
	}
	wantAge()
	untimed := Orphan{Queue: QueuePublish, State: "pending", ID: postID(first), NoSince: true}
	found, err := q.Orphans(ctx, true, false)
	must(err)
	if lost := (Orphan{Queue: QueuePublish, State: "pending", ID: "lost"}); !slices.Equal(found, []Orphan{untimed, lost}) {
		t.Errorf("found %+v", found)
	}

	must(client.HSet(ctx, task(postID(first)), "state", "active").Err())
	if is, err := q.keys.repair(ctx, untimed, true); err != nil || is || client.HExists(ctx, task(postID(first)), "pending_since").Val() {
		t.Errorf("a task that runs got a time at which it began to wait: %v, %v", is, err)
	}
	must(client.HSet(ctx, task(postID(first)), "state", "pending").Err())
	if n, err := q.Repair(ctx, "here"); err != nil || n != 1 {
		t.Errorf("repaired %d, want the lost one only: %v", n, err)
	}
	if since, err := client.HGet(ctx, task(postID(first)), "pending_since").Int64(); err != nil || time.Since(time.Unix(0, since)).Abs() > time.Minute {
		t.Errorf("it is pending since %d, %v", since, err)
	}
	if again, err := q.Orphans(ctx, false, false); err != nil || len(again) != 0 {
		t.Errorf("left: %+v, %v", again, err)
	}
	wantAge()
}

// handBack runs a stock Asynq server that takes the task of a queue and stops while it
// runs.
func handBack(t *testing.T, client redis.UniversalClient, queue string) {
	t.Helper()
	running, end := make(chan struct{}), make(chan struct{})
	server := asynq.NewServerFromRedisClient(client, asynq.Config{
		Concurrency: 1, Queues: map[string]int{queue: 1}, ShutdownTimeout: time.Millisecond, Logger: asynqLog{quiet()},
	})
	err := server.Start(asynq.HandlerFunc(func(context.Context, *asynq.Task) error {
		close(running)
		<-end
		return nil
	}))
	if err != nil {
		t.Fatal(err)
	}
	<-running
	server.Shutdown()
	close(end)
}

func pendingAge(t *testing.T, q *Queue, queue string) time.Duration {
	t.Helper()
	gauges, err := q.Gauges(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range gauges {
		if g.Name == "queue_oldest_pending_age_seconds" && slices.Contains(g.Labels, queue) {
			return time.Duration(g.Value * float64(time.Second))
		}
	}
	t.Fatalf("no age of queue %s", queue)
	return 0
}
