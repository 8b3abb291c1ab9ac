package jobs

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
)

// What Asynq v0.26 can leave behind when Redis loses a part of its content or a reply
// gets lost on the way: an id in a list without its task, which is taken and never ends,
// and an active task without a lease, which nobody takes back. Neither loses a post, as
// the sweep gives it another task; but they hold their ids, and can never be seen to.

// Orphan is an id in Asynq that nobody will see to.
type Orphan struct {
	Queue, State, ID string
	// NoLease: its task is there, but active without a lease. Otherwise its task is not
	// there.
	NoLease bool
}

// orphanPage is how many ids of a state are looked at in one go, and orphanLook at most.
const (
	orphanPage = 1000
	orphanLook = 100_000
)

// mendMessage tells whether an id is in a list or set without its task, and with ARGV[2]
// takes it out. KEYS: the task, the list or set, the leases.
var mendMessage = redis.NewScript(`
if redis.call("EXISTS", KEYS[1]) == 1 then return 0 end
local list = redis.call("TYPE", KEYS[2]).ok == "list"
if list and not redis.call("LPOS", KEYS[2], ARGV[1]) then return 0 end
if not list and not redis.call("ZSCORE", KEYS[2], ARGV[1]) then return 0 end
if ARGV[2] == "1" then
	if list then redis.call("LREM", KEYS[2], 0, ARGV[1]) else redis.call("ZREM", KEYS[2], ARGV[1]) end
	redis.call("ZREM", KEYS[3], ARGV[1])
end
return 1`)

// mendLease tells whether an id is active without a lease, and with ARGV[2] gives it one
// that is over, so that Asynq takes the task back. KEYS: the active ones, the leases.
var mendLease = redis.NewScript(`
if redis.call("ZSCORE", KEYS[2], ARGV[1]) or not redis.call("LPOS", KEYS[1], ARGV[1]) then return 0 end
if ARGV[2] == "1" then redis.call("ZADD", KEYS[2], ARGV[3], ARGV[1]) end
return 1`)

// Orphans finds them, in all states or in the active ones only, and with fix mends them.
func (q *Queue) Orphans(ctx context.Context, onlyActive, fix bool) ([]Orphan, error) {
	var found []Orphan
	for _, queue := range Queues {
		for _, state := range queueStates {
			if onlyActive && state.key != "active" {
				continue
			}
			more, err := q.orphansOf(ctx, queue, state.key, state.list, fix)
			if err != nil {
				return found, fmt.Errorf("look for orphans in queue %s: %w", queue, err)
			}
			found = append(found, more...)
		}
	}
	return found, nil
}

func (q *Queue) orphansOf(ctx context.Context, queue, state string, list, fix bool) ([]Orphan, error) {
	var found []Orphan
	taken := int64(0) // which moves the rest of the list up
	for from := int64(0); from < orphanLook; from += orphanPage {
		ids, err := q.ids(ctx, queueKey(queue, state), list, from-taken)
		if err != nil || len(ids) == 0 {
			return found, err
		}
		suspects, err := q.suspects(ctx, queue, state, ids)
		if err != nil {
			return found, err
		}
		for _, o := range suspects {
			is, err := q.mend(ctx, o, fix)
			if err != nil {
				return found, err
			}
			if is {
				found = append(found, o)
			}
			if is && fix && !o.NoLease {
				taken++
			}
		}
	}
	return found, nil
}

func (q *Queue) ids(ctx context.Context, key string, list bool, from int64) ([]string, error) {
	if list {
		return q.redis.LRange(ctx, key, from, from+orphanPage-1).Result()
	}
	return q.redis.ZRange(ctx, key, from, from+orphanPage-1).Result()
}

// suspects looks at ids without holding anybody up; what it sees may be over a moment
// later.
func (q *Queue) suspects(ctx context.Context, queue, state string, ids []string) ([]Orphan, error) {
	pipe := q.redis.Pipeline()
	tasks, leases := make([]*redis.IntCmd, len(ids)), make([]*redis.FloatCmd, len(ids))
	for i, id := range ids {
		tasks[i] = pipe.Exists(ctx, queueKey(queue, "t:"+id))
		leases[i] = pipe.ZScore(ctx, queueKey(queue, "lease"), id)
	}
	if _, err := pipe.Exec(ctx); err != nil && !errors.Is(err, redis.Nil) {
		return nil, err
	}
	var found []Orphan
	for i, id := range ids {
		o := Orphan{Queue: queue, State: state, ID: id}
		switch {
		case tasks[i].Val() == 0:
			found = append(found, o)
		case state == "active" && errors.Is(leases[i].Err(), redis.Nil):
			o.NoLease = true
			found = append(found, o)
		}
	}
	return found, nil
}

// mend looks again, in one step, and with fix mends it in the same.
func (q *Queue) mend(ctx context.Context, o Orphan, fix bool) (bool, error) {
	do := "0"
	if fix {
		do = "1"
	}
	lease := queueKey(o.Queue, "lease")
	if o.NoLease {
		over := time.Now().Add(-time.Minute).Unix()
		n, err := mendLease.Run(ctx, q.redis, []string{queueKey(o.Queue, "active"), lease}, o.ID, do, over).Int()
		return n == 1, err
	}
	n, err := mendMessage.Run(ctx, q.redis, []string{queueKey(o.Queue, "t:"+o.ID), queueKey(o.Queue, o.State), lease}, o.ID, do).Int()
	return n == 1, err
}

const (
	// archiveAge and archiveSize bound what is kept of archived tasks, which are copies:
	// Asynq's own trimming fails for ever once it meets some 8,000 old ones.
	archiveAge  = 14 * 24 * time.Hour
	archiveSize = 5000
)

// TrimArchive deletes the archived tasks that are too old or too many, and returns how
// many those are; without fix it only counts them.
func (q *Queue) TrimArchive(ctx context.Context, now time.Time, fix bool) (int, error) {
	all := 0
	for _, queue := range Queues {
		key := queueKey(queue, "archived")
		old, err := q.redis.ZCount(ctx, key, "-inf", fmt.Sprint(now.Add(-archiveAge).Unix())).Result()
		var size int64
		if err == nil {
			size, err = q.redis.ZCard(ctx, key).Result()
		}
		if err != nil {
			return all, fmt.Errorf("look at the archive of queue %s: %w", queue, err)
		}
		n := max(old, size-archiveSize, 0)
		all += int(n)
		if fix {
			if err := q.deleteOldest(ctx, queue, key, n); err != nil {
				return all, err
			}
		}
	}
	return all, nil
}

func (q *Queue) deleteOldest(ctx context.Context, queue, key string, n int64) error {
	if n <= 0 {
		return nil
	}
	ids, err := q.redis.ZRange(ctx, key, 0, n-1).Result() // Asynq itself keeps no more than 10,000
	if err != nil {
		return fmt.Errorf("list the archive of queue %s: %w", queue, err)
	}
	for _, id := range ids {
		if err := q.DeleteTask(queue, id); err != nil {
			return err
		}
	}
	return nil
}

// DeleteTask deletes a task that is not running. That it is gone already is no error.
func (q *Queue) DeleteTask(queue, id string) error {
	err := q.inspector.DeleteTask(queue, id)
	if err != nil && !errors.Is(err, asynq.ErrTaskNotFound) && !errors.Is(err, asynq.ErrQueueNotFound) {
		return fmt.Errorf("delete task %s: %w", id, err)
	}
	return nil
}

// schedulerKey is there while a scheduler is alive; its value says where.
const schedulerKey = "socialqueue:scheduler"

// schedulerLife is how long a scheduler counts as alive after it was last heard of.
const schedulerLife = time.Minute

// Repair mends what can be mended without a person, and returns how much that was. It is
// one tick of the scheduler.
func (q *Queue) Repair(ctx context.Context, scheduler string) (int, error) {
	if err := q.nameQueues(ctx); err != nil {
		return 0, err
	}
	if err := q.redis.Set(ctx, schedulerKey, scheduler, schedulerLife).Err(); err != nil {
		return 0, fmt.Errorf("tell Redis that a scheduler is alive: %w", err)
	}
	orphans, err := q.Orphans(ctx, true, true)
	if err != nil {
		return len(orphans), err
	}
	trimmed, err := q.TrimArchive(ctx, time.Now(), true)
	return len(orphans) + trimmed, err
}

// Scheduler tells where a scheduler was heard of lately; empty: nowhere.
func (q *Queue) Scheduler(ctx context.Context) (string, error) {
	where, err := q.redis.Get(ctx, schedulerKey).Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		return "", fmt.Errorf("ask Redis for a scheduler: %w", err)
	}
	return where, nil
}

// UnnamedQueues lists the queues that no tool would show, as their names are not in
// Redis.
func (q *Queue) UnnamedQueues(ctx context.Context) ([]string, error) {
	var unnamed []string
	for _, name := range Queues {
		named, err := q.redis.SIsMember(ctx, asynqQueues, name).Result()
		if err != nil {
			return nil, fmt.Errorf("look for queue %s: %w", name, err)
		}
		if !named {
			unnamed = append(unnamed, name)
		}
	}
	return unnamed, nil
}

// PostTask is a task of a post, wherever it stands in Asynq.
type PostTask struct {
	Queue, State, ID string
	PostID           string
	Fence            int64
}

// PostTasks lists the tasks of posts that wait or are archived, of each state at most
// orphanLook.
func (q *Queue) PostTasks(ctx context.Context) ([]PostTask, error) {
	var found []PostTask
	for _, queue := range []string{QueuePublish, QueueUpload} {
		for _, state := range queueStates {
			for from := int64(0); state.key != "active" && from < orphanLook; from += orphanPage {
				ids, err := q.ids(ctx, queueKey(queue, state.key), state.list, from)
				if err != nil {
					return nil, fmt.Errorf("list the tasks of queue %s: %w", queue, err)
				}
				for _, id := range ids {
					t := PostTask{Queue: queue, State: state.key, ID: id}
					post, fence, _ := strings.Cut(id, ":")
					if _, err := fmt.Sscan(fence, &t.Fence); err == nil {
						t.PostID = post
						found = append(found, t)
					}
				}
				if len(ids) < orphanPage {
					break
				}
			}
		}
	}
	return found, nil
}
