package jobs

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"socialqueue/observe"
)

// queueStates are Asynq's states with the key of each in a queue. Lengths are asked
// for, never contents: a million tasks cost what ten do.
var queueStates = []struct {
	name, key string
	list      bool
}{
	{"pending", "pending", true}, {"active", "active", true}, {"scheduled", "scheduled", false},
	{"retry", "retry", false}, {"archived", "archived", false},
}

// queueKey is a key of a queue in Redis, as Asynq v0.26 names it.
func queueKey(queue, key string) string { return "asynq:{" + queue + "}:" + key }

// Gauges tells how many tasks there are, how long the oldest waits, which queues are
// paused, how many active tasks nobody will see to, and how many workers there are.
func (q *Queue) Gauges(ctx context.Context) ([]observe.Gauge, error) {
	var gauges []observe.Gauge
	for _, name := range Queues {
		more, err := q.gaugesOf(ctx, name)
		if err != nil {
			return nil, fmt.Errorf("look at queue %s: %w", name, err)
		}
		gauges = append(gauges, more...)
	}
	orphaned, err := q.orphaned(ctx)
	if err != nil {
		return nil, err
	}
	gauges = append(gauges, orphaned...)
	servers, err := q.inspector.Servers()
	if err != nil {
		return nil, fmt.Errorf("list workers: %w", err)
	}
	serving := map[string]int{}
	for _, s := range servers {
		for name := range s.Queues {
			serving[name]++
		}
	}
	for _, name := range Queues {
		gauges = append(gauges, observe.Gauge{
			Name: "queue_workers", Help: "Worker processes that serve a queue.", Labels: []string{"queue", name}, Value: float64(serving[name]),
		})
	}
	return gauges, nil
}

// orphaned looks for them now. What the scheduler's repair found is mended already, and
// only the scheduler that ran it would know.
func (q *Queue) orphaned(ctx context.Context) ([]observe.Gauge, error) {
	gauges := make([]observe.Gauge, len(Queues))
	for i, name := range Queues {
		orphans, err := q.orphansOf(ctx, name, "active", true, orphanLook, false)
		if err != nil {
			return nil, fmt.Errorf("look for orphans in queue %s: %w", name, err)
		}
		gauges[i] = observe.Gauge{
			Name: "tasks_orphaned", Help: "Active tasks that no worker runs and nobody takes back, until the next repair.", Labels: []string{"queue", name}, Value: float64(len(orphans)),
		}
	}
	return gauges, nil
}

func (q *Queue) gaugesOf(ctx context.Context, queue string) ([]observe.Gauge, error) {
	pipe := q.redis.Pipeline()
	lengths := make([]*redis.IntCmd, len(queueStates))
	for i, s := range queueStates {
		if s.list {
			lengths[i] = pipe.LLen(ctx, queueKey(queue, s.key))
		} else {
			lengths[i] = pipe.ZCard(ctx, queueKey(queue, s.key))
		}
	}
	paused, next := pipe.Exists(ctx, queueKey(queue, "paused")), pipe.LRange(ctx, queueKey(queue, "pending"), -nextLook, -1)
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, err
	}
	gauges := make([]observe.Gauge, 0, len(queueStates)+2)
	for i, s := range queueStates {
		gauges = append(gauges, observe.Gauge{
			Name: "queue_tasks", Help: "Tasks in Asynq.", Labels: []string{"queue", queue, "state", s.name}, Value: float64(lengths[i].Val()),
		})
	}
	age, err := q.waiting(ctx, queue, next.Val())
	return append(gauges,
		observe.Gauge{Name: "queue_paused", Help: "Whether a queue is paused.", Labels: []string{"queue", queue}, Value: float64(paused.Val())},
		observe.Gauge{
			Name: "queue_oldest_pending_age_seconds", Help: "How long the oldest of the tasks has been waiting that are next.", Labels: []string{"queue", queue}, Value: age.Seconds(),
		}), err
}

// nextLook is how many of the tasks that are next are asked how long they wait. It is
// more than a worker hands back when it stops.
const nextLook = 100

// waiting is how long the oldest of the tasks has been pending that are next. The very
// next may not tell: Asynq v0.26 notes no time when it takes a task back from a worker
// that stops, and the task of an id may be lost.
func (q *Queue) waiting(ctx context.Context, queue string, ids []string) (time.Duration, error) {
	pipe := q.redis.Pipeline()
	since := make([]*redis.StringCmd, len(ids))
	for i, id := range ids {
		since[i] = pipe.HGet(ctx, queueKey(queue, "t:"+id), "pending_since")
	}
	if _, err := pipe.Exec(ctx); err != nil && !errors.Is(err, redis.Nil) {
		return 0, err
	}
	longest := time.Duration(0)
	for i, id := range ids {
		if errors.Is(since[i].Err(), redis.Nil) {
			continue // or a worker took it in this moment
		}
		nanos, err := since[i].Int64()
		if err != nil {
			return 0, fmt.Errorf("read since when task %s is pending: %w", id, err)
		}
		longest = max(longest, time.Since(time.Unix(0, nanos)))
	}
	return longest, nil
}
