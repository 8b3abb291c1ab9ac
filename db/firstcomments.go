package db

import (
	"context"
	"fmt"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"socialqueue/models"
)

// FirstComments stores the comments that apps want under their own posts.
type FirstComments struct{ conn }

// Of reads the first comments of posts. Posts that are not live have none.
func (s *FirstComments) Of(ctx context.Context, postIDs []string) (map[string]*models.FirstComment, error) {
	var rows []models.FirstComment
	if err := s.orm.WithContext(ctx).Where("post_id IN ?", postIDs).Find(&rows).Error; err != nil {
		return nil, fmt.Errorf("read first comments: %w", err)
	}
	byPost := make(map[string]*models.FirstComment, len(rows))
	for i := range rows {
		byPost[rows[i].PostID] = &rows[i]
	}
	return byPost, nil
}

// Apps lists the apps that have due first comments.
func (s *FirstComments) Apps(ctx context.Context, now time.Time) ([]int64, error) {
	return appsWithDue(s.orm.WithContext(ctx), "first_comments", now)
}

const dueComment = "due_at <= ? AND (lease_until IS NULL OR lease_until < ?)"

// DueComment names a first comment that is due.
type DueComment struct {
	PostID string
	Fence  int64
	// CorrelationID is that of the post.
	CorrelationID string
}

// Due lists due first comments of an app that nobody works on, the longest due first.
func (s *FirstComments) Due(ctx context.Context, appID int64, now time.Time, limit int) ([]DueComment, error) {
	var due []DueComment
	err := s.orm.WithContext(ctx).Raw(`
		SELECT c.post_id, c.fence, p.correlation_id
		FROM (SELECT * FROM first_comments WHERE app_id = ? AND `+dueComment+` ORDER BY due_at, post_id LIMIT ?) c JOIN posts p ON p.id = c.post_id
		ORDER BY c.due_at, c.post_id`, appID, now, now, limit).Scan(&due).Error
	return due, wrap(err, "list due first comments of app %d", appID)
}

// Claim gives a due first comment a lease and a new fence, and reads it into c. It returns
// ErrStale if the comment is not due, if somebody works on it, or if it has another fence.
func (s *FirstComments) Claim(ctx context.Context, c *models.FirstComment, now time.Time, lease time.Duration) error {
	res := s.orm.WithContext(ctx).Model(c).Clauses(clause.Returning{}).
		Where("fence = ? AND "+dueComment, c.Fence, now, now).
		UpdateColumns(map[string]any{"fence": c.Fence + 1, "lease_until": now.Add(lease)})
	return changedOne(res, "claim the first comment of post "+c.PostID)
}

// Renew extends the lease of a first comment. It returns ErrStale if another run took it over.
func (s *FirstComments) Renew(ctx context.Context, c *models.FirstComment, until time.Time) error {
	return s.update(s.orm.WithContext(ctx), c, map[string]any{"lease_until": until})
}

// Intend records that the comment is about to be made: in its row and in the ledger. It returns
// ErrStale unless the run still has its lease, or the error of the intent's Check; then nothing
// is stored. Make the call only after Intend returned nil.
func (s *FirstComments) Intend(ctx context.Context, c *models.FirstComment, in Intent, now time.Time) error {
	return s.orm.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		var at Place
		res := tx.Raw(`
			UPDATE first_comments SET sent_at = @now, calls = calls + 1, refused = FALSE WHERE post_id = @id AND fence = @fence AND lease_until > @now
			RETURNING `+s.placeColumns(), map[string]any{"now": now, "id": c.PostID, "fence": c.Fence, "mark": in.Mark.Seq, "at": in.Mark.Time()}).Scan(&at)
		if err := changedOne(res, "write the first comment of post "+c.PostID); err != nil {
			return err
		}
		return s.record(tx, in, at, now)
	})
}

// Write stores the result of a run at now, which ends its lease, with entries of the timeline.
// A comment that is settled is reported to the app, and its calls, which are those of op, are
// settled with it. Write returns ErrStale if another run took the comment over.
func (s *FirstComments) Write(ctx context.Context, c *models.FirstComment, post *models.Post, op models.LedgerOp, now time.Time, events ...models.PostEvent) error {
	return s.orm.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		row := *c
		row.LeaseUntil = nil
		res := tx.Model(&row).Where("fence = ? AND lease_until IS NOT NULL", c.Fence).
			Select("status", "due_at", "calls", "sent_at", "refused", "comment_id", "error", "lease_until").UpdateColumns(&row)
		if err := changedOne(res, "write the first comment of post "+c.PostID); err != nil {
			return err
		}
		if err := addEvents(tx, events); err != nil || c.DueAt != nil {
			return err
		}
		if err := settleCalls(tx, c, op, now); err != nil {
			return err
		}
		return emitFirstComment(tx, post, c, now)
	})
}

// settleCalls stores what became of the calls of a first comment that is settled. Of several,
// the last one made it: each was made after the one before had no effect.
func settleCalls(tx *gorm.DB, c *models.FirstComment, op models.LedgerOp, now time.Time) error {
	if c.Status == models.CommentUncertain {
		return nil
	}
	calls := tx.Model(&models.LedgerEntry{}).Where("post_id = ? AND op = ? AND state = ?", c.PostID, op, models.Intended).Session(&gorm.Session{})
	if c.Status == models.CommentPosted {
		err := calls.Where("id = (SELECT MAX(id) FROM ledger WHERE post_id = ? AND op = ?)", c.PostID, op).
			UpdateColumns(map[string]any{"state": models.Done, "external_id": c.CommentID, "settled_at": now}).Error
		if err != nil {
			return fmt.Errorf("settle the calls of the first comment of post %s: %w", c.PostID, err)
		}
	}
	err := calls.UpdateColumns(map[string]any{"state": models.Void, "settled_at": now}).Error
	return wrap(err, "settle the calls of the first comment of post %s", c.PostID)
}

// emitFirstComment stores the event for a first comment that is settled.
func emitFirstComment(tx *gorm.DB, post *models.Post, c *models.FirstComment, now time.Time) error {
	endpoints, err := enabledEndpoints(tx, "app_id = ?", post.AppID)
	if err != nil {
		return err
	}
	shown := *post
	shown.FirstComment = c
	return storeDeliveries(tx, endpoints, now, eventOfPost(&shown, models.EventPostFirstComment, now))
}

// beginFirstComment stores the first comment of a post that is live, unless it is stored
// already. One that has ended before it began, as it cannot be made, is reported to the app.
func beginFirstComment(tx *gorm.DB, post *models.Post, c *models.FirstComment) error {
	if c == nil {
		return nil
	}
	row := *c
	res := tx.Clauses(clause.OnConflict{DoNothing: true}).Create(&row)
	stored, err := changedAny(res, "store the first comment of post "+c.PostID)
	if err != nil || !stored || c.DueAt != nil {
		return err
	}
	return emitFirstComment(tx, post, c, c.CreatedAt)
}

// update changes a first comment that this run has claimed.
func (s *FirstComments) update(tx *gorm.DB, c *models.FirstComment, set map[string]any) error {
	res := tx.Model(&models.FirstComment{}).Where("post_id = ? AND fence = ?", c.PostID, c.Fence).UpdateColumns(set)
	return changedOne(res, "write the first comment of post "+c.PostID)
}
