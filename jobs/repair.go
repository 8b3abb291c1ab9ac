package jobs

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
)

const (
	// archiveAge and archiveSize limit the archived tasks, which are only copies: Asynq's
	// own trimming fails for good once it meets about 8,000 old ones.
	archiveAge  = 14 * 24 * time.Hour
	archiveSize = 5000
)

// TrimArchive deletes archived tasks that are too old or too many, and returns their
// number. Without fix it only counts them.
func (q *Queue) TrimArchive(ctx context.Context, now time.Time, fix bool) (int, error) {
	total := 0
	for _, queue := range Queues {
		all, old, err := q.keys.archived(ctx, queue, now.Add(-archiveAge))
		if err != nil {
			return total, fmt.Errorf("count the archive of queue %s: %w", queue, err)
		}
		n := max(old, all-archiveSize, 0)
		total += int(n)
		if fix {
			if err := q.deleteOldest(ctx, queue, n); err != nil {
				return total, err
			}
		}
	}
	return total, nil
}

func (q *Queue) deleteOldest(ctx context.Context, queue string, n int64) error {
	if n <= 0 {
		return nil
	}
	ids, err := q.keys.ids(ctx, queue, stateArchived, 0, n) // Asynq itself keeps no more than 10,000
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

// DeleteTask deletes a task that is not running. A task that is already gone is no error.
func (q *Queue) DeleteTask(queue, id string) error {
	err := q.inspector.DeleteTask(queue, id)
	if err != nil && !errors.Is(err, asynq.ErrTaskNotFound) && !errors.Is(err, asynq.ErrQueueNotFound) {
		return fmt.Errorf("delete task %s: %w", id, err)
	}
	return nil
}

// schedulerKey exists while a scheduler is alive. Its value says where it runs.
const schedulerKey = "socialqueue:scheduler"

// schedulerLife is how long a scheduler counts as alive after its last repair tick.
const schedulerLife = time.Minute

// Repair repairs what does not need a person, and returns the number of orphans and
// archived tasks that it repaired. It is one tick of the scheduler.
func (q *Queue) Repair(ctx context.Context, scheduler string) (int, error) {
	if err := q.NameQueues(ctx); err != nil {
		return 0, err
	}
	if err := q.redis.Set(ctx, schedulerKey, scheduler, schedulerLife).Err(); err != nil {
		return 0, fmt.Errorf("record in Redis that a scheduler is alive: %w", err)
	}
	orphans, err := q.Orphans(ctx, true, true)
	orphans = slices.DeleteFunc(orphans, func(o Orphan) bool { return o.NoSince }) // any worker that stops may leave some
	if err != nil {
		return len(orphans), err
	}
	trimmed, err := q.TrimArchive(ctx, time.Now(), true)
	return len(orphans) + trimmed, err
}

// Scheduler returns where a live scheduler runs; empty if there is none.
func (q *Queue) Scheduler(ctx context.Context) (string, error) {
	where, err := q.redis.Get(ctx, schedulerKey).Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		return "", fmt.Errorf("read from Redis where the scheduler runs: %w", err)
	}
	return where, nil
}
