package db

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"socialqueue/models"
	"socialqueue/view"
)

// Inbox stores the platforms' webhook events.
type Inbox struct{ conn }

// eventsAtOnce is how many events one statement inserts. SQLite limits the number of
// parameters, and a platform's request holds at most 1,000 events.
const eventsAtOnce = 1000

// Store stores the events of one request, all or none, and sets the ids of the new ones. An
// event that was stored before keeps the id 0.
//
// It writes the rows in the order of their keys: a platform sends the same events in any
// order, and two requests that hold the same events must not deadlock.
func (s *Inbox) Store(ctx context.Context, events []models.WebhookEvent) error {
	sorted := slices.Clone(events)
	slices.SortStableFunc(sorted, func(a, b models.WebhookEvent) int { return strings.Compare(a.DedupeKey, b.DedupeKey) })
	ids, err := s.storeSorted(ctx, sorted)
	if err != nil {
		return err
	}
	for i := range events {
		events[i].ID = ids[events[i].DedupeKey]
		delete(ids, events[i].DedupeKey) // a duplicate within the request is not new
	}
	return nil
}

func (s *Inbox) storeSorted(ctx context.Context, events []models.WebhookEvent) (map[string]int64, error) {
	ids := make(map[string]int64, len(events))
	orm := s.orm.WithContext(ctx)
	if len(events) <= eventsAtOnce {
		return ids, storeEvents(orm, events, ids)
	}
	return ids, orm.Transaction(func(tx *gorm.DB) error {
		for chunk := range slices.Chunk(events, eventsAtOnce) {
			if err := storeEvents(tx, chunk, ids); err != nil {
				return err
			}
		}
		return nil
	})
}

// storeEvents inserts events and adds the ids of the new ones to ids, by their keys.
func storeEvents(tx *gorm.DB, events []models.WebhookEvent, ids map[string]int64) error {
	if len(events) == 0 {
		return nil
	}
	row := "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
	args := make([]any, 0, len(events)*strings.Count(row, "?"))
	for _, e := range events {
		args = append(args, e.Platform, e.DedupeKey, e.Name, e.Account, e.OccurredAt, e.Payload, e.CorrelationID, e.ReceivedAt, e.Status, e.RunAt, e.EnqueuedAt)
	}
	var stored []struct {
		ID        int64
		DedupeKey string
	}
	err := tx.Raw(`
		INSERT INTO webhook_events (platform, dedupe_key, name, account, occurred_at, payload, correlation_id, received_at, status, run_at, enqueued_at)
		VALUES `+strings.TrimSuffix(strings.Repeat(row+", ", len(events)), ", ")+`
		ON CONFLICT (platform, dedupe_key) DO NOTHING RETURNING id, dedupe_key`, args...).Scan(&stored).Error
	if err != nil {
		return fmt.Errorf("store webhook events: %w", err)
	}
	for _, s := range stored {
		ids[s.DedupeKey] = s.ID
	}
	return nil
}

// Event reads an event by its id.
func (s *Inbox) Event(ctx context.Context, id int64) (*models.WebhookEvent, error) {
	var e models.WebhookEvent
	err := s.orm.WithContext(ctx).Where("id = ?", id).Take(&e).Error
	return &e, first(err, fmt.Sprintf("webhook event %d", id))
}

// End writes the result of an attempt, or the time of the next one. It changes nothing if
// the event was settled meanwhile.
func (s *Inbox) End(ctx context.Context, e *models.WebhookEvent) error {
	err := s.orm.WithContext(ctx).Model(&models.WebhookEvent{}).Where("id = ? AND status = ?", e.ID, models.WebhookPending).
		Select("status", "outcome", "attempts", "run_at", "enqueued_at", "settled_at").UpdateColumns(e).Error
	return wrap(err, "write the result of webhook event %d", e.ID)
}

// Unattended lists due events whose task was not seen in Asynq since stale, the longest
// waiting first.
func (s *Inbox) Unattended(ctx context.Context, now, stale time.Time, limit int) ([]models.WebhookEvent, error) {
	var due []models.WebhookEvent
	err := s.orm.WithContext(ctx).Omit("payload").
		Where("run_at <= ? AND (enqueued_at IS NULL OR enqueued_at < ?)", now, stale).Order("run_at").Limit(limit).Find(&due).Error
	return due, wrap(err, "list unattended webhook events")
}

// Seen records when the tasks of events were seen in Asynq; nil means that they are not in
// Asynq.
func (s *Inbox) Seen(ctx context.Context, ids []int64, at *time.Time) error {
	err := s.orm.WithContext(ctx).Model(&models.WebhookEvent{}).Where("id IN ? AND run_at IS NOT NULL", ids).UpdateColumn("enqueued_at", at).Error
	return wrap(err, "record the tasks of webhook events")
}

// Refence raises the fence of an event, so that its next task has a new id.
func (s *Inbox) Refence(ctx context.Context, e *models.WebhookEvent) error {
	res := s.orm.WithContext(ctx).Model(e).Where("fence = ? AND run_at IS NOT NULL", e.Fence).UpdateColumn("fence", e.Fence+1)
	return changedOne(res, fmt.Sprintf("refence webhook event %d", e.ID))
}

// WebhookFilter selects platforms' events. Zero values do not filter.
type WebhookFilter struct {
	Platform models.Platform
	Status   models.WebhookStatus
	Name     string
	IDs      []int64
	// Before is the cursor: the id of the last event of the previous page.
	Before int64
	Limit  int
}

func (f WebhookFilter) narrow(q *gorm.DB) *gorm.DB {
	if f.Platform != "" {
		q = q.Where("platform = ?", f.Platform)
	}
	if f.Status != "" {
		q = q.Where("status = ?", f.Status)
	}
	if f.Name != "" {
		q = q.Where("name = ?", f.Name)
	}
	if len(f.IDs) > 0 {
		q = q.Where("id IN ?", f.IDs)
	}
	if f.Before != 0 {
		q = q.Where("id < ?", f.Before)
	}
	return q
}

// List lists events, newest first.
func (s *Inbox) List(ctx context.Context, f WebhookFilter) ([]models.WebhookEvent, error) {
	var all []models.WebhookEvent
	err := f.narrow(s.orm.WithContext(ctx)).Order("id DESC").Limit(f.Limit).Find(&all).Error
	return all, wrap(err, "list webhook events")
}

// Replay makes events pending again, the newest Limit of those that f selects, and
// returns their number.
func (s *Inbox) Replay(ctx context.Context, f WebhookFilter, now time.Time) (int64, error) {
	orm := s.orm.WithContext(ctx)
	res := orm.Model(&models.WebhookEvent{}).
		Where("id IN (?)", f.narrow(orm.Model(&models.WebhookEvent{}).Select("id")).Order("id DESC").Limit(f.Limit)).
		UpdateColumns(map[string]any{
			"status": models.WebhookPending, "outcome": "", "attempts": 0, "run_at": now, "enqueued_at": nil, "settled_at": nil,
			"fence": gorm.Expr("fence + 1"),
		})
	return res.RowsAffected, wrap(res.Error, "replay webhook events")
}

// Prune deletes at most limit settled events that were received earlier than before.
func (s *Inbox) Prune(ctx context.Context, before time.Time, limit int) (deleted int64, err error) {
	res := s.orm.WithContext(ctx).Exec(`DELETE FROM webhook_events WHERE id IN (
		SELECT id FROM webhook_events WHERE received_at < ? AND run_at IS NULL ORDER BY received_at LIMIT ?)`, before, limit)
	return res.RowsAffected, wrap(res.Error, "prune webhook events")
}

// PruneOverdue returns how much older than before the oldest event is that Prune would delete,
// or 0 if there is none.
func (s *Inbox) PruneOverdue(ctx context.Context, before time.Time) (time.Duration, error) {
	overdue, err := s.overdue(ctx, before, `
		SELECT received_at AS first FROM webhook_events WHERE received_at < @before AND run_at IS NULL ORDER BY received_at LIMIT 1`)
	return overdue, wrap(err, "find the oldest webhook event to prune")
}

// ReceiveComment stores a comment, increments the comment count of its media, and stores the
// app's event unless the account itself wrote the comment, all in one transaction. It
// reports false for a comment that was stored before.
func (s *Inbox) ReceiveComment(ctx context.Context, account *models.InstagramAccount, c *models.InstagramComment, correlationID string, now time.Time) (received bool, err error) {
	err = s.orm.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		res := tx.Clauses(clause.OnConflict{Columns: []clause.Column{{Name: "ig_comment_id"}}, DoNothing: true}).Create(c)
		if received, err = changedAny(res, "store comment "+c.IGCommentID); err != nil || !received {
			return err
		}
		if c.IGMediaID != nil {
			if err := countComment(tx, account.ID, *c.IGMediaID, now); err != nil {
				return err
			}
		}
		if c.Own {
			return nil
		}
		return emitToUsersApp(tx, account.UserID, now, outboxEvent{
			kind: models.EventCommentReceived, subject: fmt.Sprintf("comment:%d", c.ID), lane: account.Lane(), correlationID: correlationID,
			fill: func(e *view.Event) { e.Comment = view.OfComment(c, account) },
		})
	})
	return received, err
}

func countComment(tx *gorm.DB, accountID int64, mediaID string, now time.Time) error {
	err := tx.Exec(`INSERT INTO ig_media (instagram_account_id, ig_id, comments_count, ours, created_at, updated_at) VALUES (?, ?, 1, FALSE, ?, ?)
		ON CONFLICT (ig_id) DO UPDATE SET comments_count = COALESCE(ig_media.comments_count, 0) + 1, updated_at = excluded.updated_at`,
		accountID, mediaID, now, now).Error
	return wrap(err, "count a comment of media %s", mediaID)
}
