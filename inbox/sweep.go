package inbox

import (
	"context"
	"errors"
	"fmt"
	"time"

	"socialqueue/db"
	"socialqueue/models"
	"socialqueue/observe"
	"socialqueue/publish"
)

const (
	// checkAfter is how long a due event may wait before the sweep looks for its task in
	// Asynq.
	checkAfter = 15 * time.Second
	// sweepBatch limits the events of one sweep.
	sweepBatch = 1000
	// keepFor is how long settled events are stored, for operators to read and replay.
	// Platforms stop repeating an event long before that.
	keepFor = 30 * 24 * time.Hour
	// pruneBatch limits the events that one clean-up deletes.
	pruneBatch = 10_000
)

// Sweep enqueues a task for every due event without a live one. It makes up for lost
// enqueues. It is one tick of the scheduler.
func (s *Service) Sweep(ctx context.Context) error {
	now := s.Now()
	events, err := s.DB.Inbox.Unattended(ctx, now, now.Add(-checkAfter), sweepBatch)
	if err != nil || len(events) == 0 {
		return err
	}
	ids := make([]int64, 0, len(events))
	for i := range events {
		if err := s.ensureTask(ctx, &events[i]); err != nil {
			return errors.Join(err, s.DB.Inbox.Seen(ctx, ids, &now))
		}
		ids = append(ids, events[i].ID)
	}
	return s.DB.Inbox.Seen(ctx, ids, &now)
}

// ensureTask makes sure that an event has a task that will run. A task that is still active
// belongs to a dead worker, and a dead task keeps its id taken. In both cases the event
// gets a new fence, and so a task with a new id.
func (s *Service) ensureTask(ctx context.Context, e *models.WebhookEvent) error {
	state, err := s.Queue.WebhookState(ctx, e)
	if err != nil {
		return fmt.Errorf("find the task of webhook event %d: %w", e.ID, err)
	}
	switch state {
	case publish.TaskPending:
		return nil
	case publish.TaskActive, publish.TaskDead:
		if err := s.DB.Inbox.Refence(ctx, e); err != nil {
			if errors.Is(err, db.ErrStale) {
				return nil // another process moved it
			}
			return err
		}
		e.Fence++
	}
	s.Metrics.Repaired(observe.RepairWebhookEvent, 1)
	return s.Queue.EnqueueWebhook(ctx, e)
}

// Prune deletes a batch of the events that were received more than 30 days ago and are
// settled. It reports whether there may be more. It is one tick of the scheduler.
func (s *Service) Prune(ctx context.Context) (more bool, err error) {
	deleted, err := s.DB.Inbox.Prune(ctx, s.Now().Add(-keepFor), pruneBatch)
	return deleted == pruneBatch, err
}

// PruneOverdue returns for how long Prune could have deleted the oldest event that it has not;
// 0 if it is up to date.
func (s *Service) PruneOverdue(ctx context.Context) (time.Duration, error) {
	return s.DB.Inbox.PruneOverdue(ctx, s.Now().Add(-keepFor))
}
