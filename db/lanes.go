package db

import (
	"context"
	"fmt"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"socialqueue/models"
)

// laneBatch is how many posts one transaction changes. A change of an account can affect
// very many posts.
const laneBatch = 500

// laneChange is a bulk change of the posts of lanes. It skips posts that a worker has
// claimed.
type laneChange struct {
	lanes []string
	// move is the change of status; nil if the posts keep their status.
	move *move
	// where and set are additional SQL; args are its arguments.
	where, set string
	args       map[string]any
	// timeline is added to the timeline of each post; nil adds nothing.
	timeline *models.PostEvent
	// event is the app's event for each post; empty if there is none. A deferral is
	// reported only if its reason is new for the post.
	event models.AppEvent
	// reason is the reason of a deferral.
	reason string
	now    time.Time
}

// changeLane applies a change to one batch and reports whether there may be more.
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
	if c.timeline != nil && len(changed) > 0 {
		events := make([]models.PostEvent, len(changed))
		for i, p := range changed {
			events[i] = *c.timeline
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
	return len(changed) == laneBatch, c.emit(tx, ids)
}

// emit stores the app's events for the posts that were changed.
func (c laneChange) emit(tx *gorm.DB, ids []string) error {
	if c.event == "" || len(ids) == 0 {
		return nil
	}
	if c.event == models.EventPostDeferred {
		var err error
		if ids, err = recordDeferral(tx, ids, c.reason); err != nil {
			return err
		}
	}
	return emitForPosts(tx, ids, c.event, c.now)
}

// changeAll applies a change to all remaining batches, each in its own transaction.
func (d conn) changeAll(ctx context.Context, c laneChange) error {
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

// changeWhile applies changes to all remaining batches as long as the account has that
// status. Each transaction checks the status under the row's lock: once the account is
// connected again, its posts are made due and new ones are accepted, and the changes must
// not affect those.
func (d conn) changeWhile(ctx context.Context, e Deactivation, status models.AccountStatus, changes ...laneChange) error {
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

// changeFirst applies the first batch of each change within tx.
func (d conn) changeFirst(tx *gorm.DB, changes ...laneChange) error {
	for _, c := range changes {
		if _, err := d.changeLane(tx, c); err != nil {
			return err
		}
	}
	return nil
}

// wakeChange makes the posts of lanes due that were deferred because of a token. They keep
// the order of their publish_at.
func wakeChange(now time.Time, lanes ...string) laneChange {
	return laneChange{
		lanes: lanes, now: now, where: "admission = 'waiting' AND deferred_reason IN @reasons",
		set:  "run_at = CASE WHEN publish_at < @now THEN publish_at ELSE @now END, deferred_until = NULL, deferred_reason = ''",
		args: map[string]any{"reasons": []string{models.DeferredReauthorize, models.DeferredToken}},
	}
}

// deferChange defers the due posts of an account to until. Held posts stay held.
func deferChange(e Deactivation, until, now time.Time) laneChange {
	return laneChange{
		lanes: []string{e.lane()}, now: now, where: "status = 'queued' AND run_at <= @now AND admission <> 'held'",
		set:   "admission = 'waiting', enqueued_at = NULL, run_at = @until, deferred_until = @until, deferred_reason = @reason, fence = fence + 1",
		args:  map[string]any{"until": until, "reason": models.DeferredReauthorize},
		event: models.EventPostDeferred, reason: models.DeferredReauthorize,
		timeline: &models.PostEvent{At: now, Type: models.EventNote, Message: e.Note},
	}
}

// cancelChanges cancels the posts of an account whose sending has not begun.
func cancelChanges(e Deactivation, now time.Time) []laneChange {
	var changes []laneChange
	for _, from := range unsent {
		changes = append(changes, laneChange{
			lanes: []string{e.lane()}, now: now, move: &move{from: []models.Status{from}, to: models.Canceled, lease: leaseFree},
			set:      "admission = '', enqueued_at = NULL, run_at = NULL, deferred_until = NULL, deferred_reason = '', fence = fence + 1",
			event:    models.EventPostCanceled,
			timeline: &models.PostEvent{At: now, Type: models.EventState, From: from, To: models.Canceled, Message: e.Note},
		})
	}
	return changes
}
