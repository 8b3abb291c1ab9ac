package db

import (
	"context"
	"fmt"
	"time"

	"gorm.io/gorm"

	"socialqueue/models"
)

// laneBatch is how many posts of a lane one transaction changes: what happens to
// an account happens to all of its posts, which may be very many.
const laneBatch = 500

// laneChange changes posts of a lane that no worker has, behind their backs.
type laneChange struct {
	lane string
	// where and set are SQL; args are theirs.
	where, set string
	args       map[string]any
	// event is written into the timeline of each.
	event *models.PostEvent
	now   time.Time
}

// forUpdate locks the rows of a query in their order, so that two that change the
// same posts wait for each other and never deadlock.
func (d *DB) forUpdate() string {
	if d.dialect == SQLite {
		return "" // has one writer at a time
	}
	return "FOR UPDATE"
}

// changeLane makes a change to one batch and reports whether there may be more.
func (d *DB) changeLane(tx *gorm.DB, c laneChange) (more bool, err error) {
	args := map[string]any{"lane": c.lane, "now": c.now, "limit": laneBatch}
	for name, value := range c.args {
		args[name] = value
	}
	var changed []struct {
		ID    string
		Fence int64
	}
	err = tx.Raw(fmt.Sprintf(`
		UPDATE posts SET %s, updated_at = @now WHERE id IN (
			SELECT id FROM posts WHERE lane = @lane AND lease_until IS NULL AND %s ORDER BY id LIMIT @limit %s)
		RETURNING id, fence`, c.set, c.where, d.forUpdate()), args).Scan(&changed).Error
	if err != nil {
		return false, fmt.Errorf("change the posts of %s: %w", c.lane, err)
	}
	if c.event != nil && len(changed) > 0 {
		events := make([]models.PostEvent, len(changed))
		for i, p := range changed {
			events[i] = *c.event
			events[i].PostID, events[i].Fence = p.ID, p.Fence
		}
		if err := tx.Create(&events).Error; err != nil {
			return false, fmt.Errorf("write the timelines of %s: %w", c.lane, err)
		}
	}
	return len(changed) == laneBatch, nil
}

// changeRest makes changes to all batches that are left, each in a transaction of
// its own.
func (d *DB) changeRest(ctx context.Context, changes ...laneChange) error {
	for _, c := range changes {
		for more := true; more; {
			err := d.orm.WithContext(ctx).Transaction(func(tx *gorm.DB) (err error) {
				more, err = d.changeLane(tx, c)
				return err
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// changeFirst makes the first batch of changes within tx.
func (d *DB) changeFirst(tx *gorm.DB, changes ...laneChange) error {
	for _, c := range changes {
		if _, err := d.changeLane(tx, c); err != nil {
			return err
		}
	}
	return nil
}

// waking makes the posts of a lane due that were put off for reason, in the order
// of their own times.
func waking(lane, reason string, now time.Time) laneChange {
	return laneChange{
		lane: lane, now: now, where: "admission = 'waiting' AND deferred_reason = @reason",
		set:  "run_at = CASE WHEN publish_at < @now THEN publish_at ELSE @now END, deferred_until = NULL, deferred_reason = ''",
		args: map[string]any{"reason": reason},
	}
}

// WakeLane makes the posts of a lane due that were put off for reason.
func (d *DB) WakeLane(ctx context.Context, lane, reason string, now time.Time) error {
	return d.changeRest(ctx, waking(lane, reason, now))
}

// deferring puts off the posts of a lane that are due.
func deferring(e Ending, until, now time.Time) laneChange {
	return laneChange{
		lane: e.lane(), now: now, where: "status = 'queued' AND run_at <= @now",
		set:  "admission = 'waiting', enqueued_at = NULL, run_at = @until, deferred_until = @until, deferred_reason = @reason, fence = fence + 1",
		args: map[string]any{"until": until, "reason": models.DeferredReauthorize},
		event: &models.PostEvent{
			At: now, Type: models.EventNote, Message: "waits until the account is connected again: " + e.Reason,
		},
	}
}

// canceling cancels the posts of a lane whose sending has not begun.
func canceling(e Ending, now time.Time) []laneChange {
	var changes []laneChange
	for _, from := range []models.Status{models.Scheduled, models.Queued} {
		changes = append(changes, laneChange{
			lane: e.lane(), now: now, where: "status = @from",
			set:  "status = 'canceled', admission = '', enqueued_at = NULL, run_at = NULL, deferred_until = NULL, deferred_reason = '', fence = fence + 1",
			args: map[string]any{"from": from},
			event: &models.PostEvent{
				At: now, Type: models.EventState, From: from, To: models.Canceled, Message: "canceled: " + e.Reason,
			},
		})
	}
	return changes
}
