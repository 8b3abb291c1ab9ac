package db

import (
	"context"
	"fmt"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"socialqueue/models"
)

// Completion is the response that a creating call such as Posts.Insert stores in the
// request's idempotency key, in the transaction that does the work.
type Completion struct {
	AppID  int64
	Key    string
	Owner  string
	Status int
	Body   string
	PostID *string
	// BodyHash is set if it was not known yet when the key was reserved.
	BodyHash string
}

// TakeKey reserves an idempotency key for the request that key describes. If another request
// has the key, TakeKey returns that request's row and taken is false. It takes over a key
// whose lock expired before the response was stored.
func (s *Tenants) TakeKey(ctx context.Context, key *models.IdempotencyKey, now time.Time) (held *models.IdempotencyKey, taken bool, err error) {
	orm := s.orm.WithContext(ctx)
	res := orm.Clauses(clause.OnConflict{DoNothing: true}).Create(key)
	if taken, err = changedAny(res, "reserve idempotency key"); err != nil || taken {
		return key, taken, err
	}
	// The previous owner cannot complete the key after this: its completion checks the owner.
	res = orm.Model(&models.IdempotencyKey{}).
		Where("app_id = ? AND key = ? AND response_status = 0 AND locked_until < ?", key.AppID, key.Key, now).
		Updates(map[string]any{"owner": key.Owner, "locked_until": key.LockedUntil, "request": key.Request, "body_hash": key.BodyHash})
	if taken, err = changedAny(res, "take over idempotency key"); err != nil || taken {
		return key, taken, err
	}
	var found models.IdempotencyKey
	err = orm.Where("app_id = ? AND key = ?", key.AppID, key.Key).Take(&found).Error
	return &found, false, first(err, "idempotency key")
}

// ReleaseKey deletes a key whose request had no effect, so that the app can use the key for
// a corrected request.
func (s *Tenants) ReleaseKey(ctx context.Context, appID int64, key, owner string) error {
	err := s.orm.WithContext(ctx).
		Where("app_id = ? AND key = ? AND owner = ? AND response_status = 0", appID, key, owner).
		Delete(&models.IdempotencyKey{}).Error
	if err != nil {
		return fmt.Errorf("release idempotency key: %w", err)
	}
	return nil
}

// CompleteKey completes a key outside the transaction of the work. Use it only for work that
// may safely be repeated. It returns ErrStale if another request took the key over.
func (s *Tenants) CompleteKey(ctx context.Context, done *Completion) error {
	return s.completing(ctx, done, func(*gorm.DB) error { return nil })
}

// DeleteExpiredKeys deletes keys that created no post and are older than before, at most
// limit, and returns how many. The key of a post is kept as long as the post.
func (s *Tenants) DeleteExpiredKeys(ctx context.Context, before time.Time, limit int) (int64, error) {
	res := s.orm.WithContext(ctx).Exec(`DELETE FROM idempotency_keys WHERE (app_id, key) IN (
		SELECT app_id, key FROM idempotency_keys WHERE post_id IS NULL AND created_at < ? ORDER BY created_at LIMIT ?)`, before, limit)
	if res.Error != nil {
		return 0, fmt.Errorf("delete expired idempotency keys: %w", res.Error)
	}
	return res.RowsAffected, nil
}

// ExpiredKeysOverdue returns how much older than before the oldest key is that
// DeleteExpiredKeys would delete, or 0 if there is none.
func (s *Tenants) ExpiredKeysOverdue(ctx context.Context, before time.Time) (time.Duration, error) {
	overdue, err := s.overdue(ctx, before, `
		SELECT created_at AS first FROM idempotency_keys WHERE post_id IS NULL AND created_at < @before ORDER BY created_at LIMIT 1`)
	return overdue, wrap(err, "find the oldest expired idempotency key")
}

// completing runs work and completes the idempotency key in one transaction. If done is nil
// it only runs work, and opens no transaction.
func (d conn) completing(ctx context.Context, done *Completion, work func(tx *gorm.DB) error) error {
	orm := d.orm.WithContext(ctx)
	if done == nil {
		return work(orm)
	}
	return orm.Transaction(func(tx *gorm.DB) error {
		if err := work(tx); err != nil {
			return err
		}
		set := map[string]any{"response_status": done.Status, "response_body": done.Body, "post_id": done.PostID}
		if done.BodyHash != "" {
			set["body_hash"] = done.BodyHash
		}
		res := tx.Model(&models.IdempotencyKey{}).
			Where("app_id = ? AND key = ? AND owner = ? AND response_status = 0", done.AppID, done.Key, done.Owner).
			Updates(set)
		return changedOne(res, "complete idempotency key")
	})
}
