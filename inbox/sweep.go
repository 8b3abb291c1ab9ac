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
	// checkAfter is how long an event may go unseen in Asynq before the sweep looks
	// for its task.
	checkAfter = 15 * time.Second
	// sweepBatch is how many events one sweep sees to.
	sweepBatch = 1000
	// keepFor is how long an event is kept that is settled, for operators to look at
	// and replay. After that a platform does not send it again either.
	keepFor = 30 * 24 * time.Hour
	// pruneBatch is how many events one clean-up deletes at most.
	pruneBatch = 10_000
)

// Sweep finds events that are due and have no live task, and gives them one. It is
// the guarantee behind every enqueue, and one tick of the scheduler.
func (s *Service) Sweep(ctx context.Context) error {
	now := s.Now()
	events, err := s.DB.Inbox.Unattended(ctx, now, now.Add(-checkAfter), sweepBatch)
	if err != nil || len(events) == 0 {
		return err
	}
	ids := make([]int64, 0, len(events))
	for i := range events {
		if err := s.attend(ctx, &events[i]); err != nil {
			return errors.Join(err, s.DB.Inbox.Seen(ctx, ids, &now))
		}
		ids = append(ids, events[i].ID)
	}
	return s.DB.Inbox.Seen(ctx, ids, &now)
}

// attend makes sure that an event has a task that will run. One that is active all
// this time was taken by a worker that died; one that is dead keeps its id taken.
// Both need a task of another name.
func (s *Service) attend(ctx context.Context, e *models.WebhookEvent) error {
	state, err := s.Queue.WebhookState(ctx, e)
	if err != nil {
		return fmt.Errorf("look for the task of webhook event %d: %w", e.ID, err)
	}
	switch state {
	case publish.TaskPending:
		return nil
	case publish.TaskActive, publish.TaskDead:
		if err := s.DB.Inbox.Refence(ctx, e); err != nil {
			if errors.Is(err, db.ErrStale) {
				return nil // it moved: no longer unattended
			}
			return err
		}
		e.Fence++
	}
	s.Metrics.Repaired(observe.RepairWebhookEvent, 1)
	return s.Queue.EnqueueWebhook(ctx, e)
}

// Prune deletes events that were settled long ago. It is one tick of the scheduler.
func (s *Service) Prune(ctx context.Context) error {
	return s.DB.Inbox.Prune(ctx, s.Now().Add(-keepFor), pruneBatch)
}
