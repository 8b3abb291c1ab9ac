package db

import (
	"context"
	"fmt"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"socialqueue/models"
)

// laneBatch is how many posts of a lane one transaction changes: what happens to
// an account happens to all of its posts, which may be very many.
const laneBatch = 500

// laneChange changes posts of lanes that no worker has, behind their backs.
type laneChange struct {
	lanes []string
	// move is the change of status; nil if the posts keep theirs.
	move *move
	// where and set are SQL beside it; args are theirs.
	where, set string
	args       map[string]any
	// event is written into the timeline of each.
	event *models.PostEvent
	// told is what the app is told of each; empty is nothing. A deferral is told
	// once for each reason that is new.
	told models.AppEvent
	// reason is that of a deferral.
	reason string
	now    time.Time
}

// changeLane makes a change to one batch and reports whether there may be more.
func (d conn) changeLane(tx *gorm.DB, c laneChange) (more bool, err error) {
	args := map[string]any{"lanes": c.lanes, "now": c.now, "limit": laneBatch}
	for name, value := range c.args {
		args[name] = value
	}
	where, set := c.where, c.set
	if c.move != nil {
		if err := c.move.check(); err != nil {
			return false, fmt.Errorf("change the posts of %d accounts, %w", len(c.lanes), err)
		}
		where, set = c.move.where(), c.move.set()+", "+c.set
	}
	var changed []struct {
		ID    string
		Fence int64
	}
	err = tx.Raw(fmt.Sprintf(`
		UPDATE posts SET %s, updated_at = @now WHERE id IN (
			SELECT id FROM posts WHERE lane IN @lanes AND lease_until IS NULL AND %s ORDER BY id LIMIT @limit %s)
		RETURNING id, fence`, set, where, d.forUpdate()), args).Scan(&changed).Error
	if err != nil {
		return false, fmt.Errorf("change the posts of %d accounts: %w", len(c.lanes), err)
	}
	if c.event != nil && len(changed) > 0 {
		events := make([]models.PostEvent, len(changed))
		for i, p := range changed {
			events[i] = *c.event
			events[i].PostID, events[i].Fence = p.ID, p.Fence
		}
		if err := tx.Create(&events).Error; err != nil {
			return false, fmt.Errorf("write the timelines of the posts of %d accounts: %w", len(c.lanes), err)
		}
	}
	ids := make([]string, len(changed))
	for i, p := range changed {
		ids[i] = p.ID
	}
	return len(changed) == laneBatch, c.tell(tx, ids)
}

// tell tells apps of the posts that were changed.
func (c laneChange) tell(tx *gorm.DB, ids []string) error {
	if c.told == "" || len(ids) == 0 {
		return nil
	}
	if c.told == models.EventPostDeferred {
		var err error
		if ids, err = noteDeferral(tx, ids, c.reason); err != nil {
			return err
		}
	}
	return tellOfPosts(tx, ids, c.told, c.now)
}

// changeRest makes a change to all batches that are left, each in a transaction of
// its own.
func (d conn) changeRest(ctx context.Context, c laneChange) error {
	for more := true; more; {
		err := d.orm.WithContext(ctx).Transaction(func(tx *gorm.DB) (err error) {
			more, err = d.changeLane(tx, c)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// changeWhile makes changes to all batches that are left while an account has that
// status, of which it makes sure under the row's lock: one that is connected again
// has its posts woken, and others accepted, and these changes are none of theirs.
func (d conn) changeWhile(ctx context.Context, e Ending, status models.AccountStatus, changes ...laneChange) error {
	for _, c := range changes {
		for more := true; more; {
			err := d.orm.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
				var same []int64
				err := e.rows(tx).Clauses(clause.Locking{Strength: lockAccount}).Where("status = ?", status).Pluck("id", &same).Error
				if err != nil {
					return fmt.Errorf("read %s account %d: %w", e.Platform, e.AccountID, err)
				}
				if more = len(same) > 0; !more {
					return nil
				}
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
func (d conn) changeFirst(tx *gorm.DB, changes ...laneChange) error {
	for _, c := range changes {
		if _, err := d.changeLane(tx, c); err != nil {
			return err
		}
	}
	return nil
}

// waking makes the posts of lanes due that were put off for want of a token, in
// the order of their own times.
func waking(now time.Time, lanes ...string) laneChange {
	return laneChange{
		lanes: lanes, now: now, where: "admission = 'waiting' AND deferred_reason IN @reasons",
		set:  "run_at = CASE WHEN publish_at < @now THEN publish_at ELSE @now END, deferred_until = NULL, deferred_reason = ''",
		args: map[string]any{"reasons": []string{models.DeferredReauthorize, models.DeferredToken}},
	}
}

// deferring puts off the posts of a lane that are due.
func deferring(e Ending, until, now time.Time) laneChange {
	return laneChange{
		lanes: []string{e.lane()}, now: now, where: "status = 'queued' AND run_at <= @now",
		set:  "admission = 'waiting', enqueued_at = NULL, run_at = @until, deferred_until = @until, deferred_reason = @reason, fence = fence + 1",
		args: map[string]any{"until": until, "reason": models.DeferredReauthorize},
		told: models.EventPostDeferred, reason: models.DeferredReauthorize,
		event: &models.PostEvent{At: now, Type: models.EventNote, Message: e.Note},
	}
}

// canceling cancels the posts of a lane whose sending has not begun.
func canceling(e Ending, now time.Time) []laneChange {
	var changes []laneChange
	for _, from := range unsent {
		changes = append(changes, laneChange{
			lanes: []string{e.lane()}, now: now, move: &move{from: []models.Status{from}, to: models.Canceled, lease: leaseFree},
			set:   "admission = '', enqueued_at = NULL, run_at = NULL, deferred_until = NULL, deferred_reason = '', fence = fence + 1",
			told:  models.EventPostCanceled,
			event: &models.PostEvent{At: now, Type: models.EventState, From: from, To: models.Canceled, Message: e.Note},
		})
	}
	return changes
}
