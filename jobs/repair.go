package jobs

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
)

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

// Repair mends what can be mended without a person, and returns how much that was which
// nobody would have seen to. It is one tick of the scheduler.
func (q *Queue) Repair(ctx context.Context, scheduler string) (int, error) {
	if err := q.NameQueues(ctx); err != nil {
		return 0, err
	}
	if err := q.redis.Set(ctx, schedulerKey, scheduler, schedulerLife).Err(); err != nil {
		return 0, fmt.Errorf("tell Redis that a scheduler is alive: %w", err)
	}
	orphans, err := q.Orphans(ctx, true, true)
	orphans = slices.DeleteFunc(orphans, func(o Orphan) bool { return o.NoSince }) // a worker's every stop may leave some
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
