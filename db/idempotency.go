package db

import (
	"context"
	"fmt"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"socialqueue/models"
)

// Completion is what Posts.Insert and its like write into the request's
// idempotency key, in the transaction that does the work.
type Completion struct {
	AppID  int64
	Key    string
	Owner  string
	Status int
	Body   string
	PostID *string
	// BodyHash is set where it was not known when the key was taken.
	BodyHash string
}

// TakeKey reserves an idempotency key for the request that key describes. If
// another request has it, that one's row is returned and taken is false. A key
// whose owner is gone (its lock ran out, no answer) is taken over.
func (s *Tenants) TakeKey(ctx context.Context, key *models.IdempotencyKey, now time.Time) (held *models.IdempotencyKey, taken bool, err error) {
	orm := s.orm.WithContext(ctx)
	res := orm.Clauses(clause.OnConflict{DoNothing: true}).Create(key)
	if taken, err = changedAny(res, "take idempotency key"); err != nil || taken {
		return key, taken, err
	}
	// The old owner's completion names itself, so it cannot follow a takeover.
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

// ReleaseKey gives back a key whose request did nothing, so that the app may
// use it again with a corrected request.
func (s *Tenants) ReleaseKey(ctx context.Context, appID int64, key, owner string) error {
	err := s.orm.WithContext(ctx).
		Where("app_id = ? AND key = ? AND owner = ? AND response_status = 0", appID, key, owner).
		Delete(&models.IdempotencyKey{}).Error
	if err != nil {
		return fmt.Errorf("release idempotency key: %w", err)
	}
	return nil
}

// CompleteKey completes a key on its own, for work that may be repeated without
// harm. It returns ErrStale if the key is no longer its owner's.
func (s *Tenants) CompleteKey(ctx context.Context, done *Completion) error {
	return s.completing(ctx, done, func(*gorm.DB) error { return nil })
}

// DeleteExpiredKeys forgets keys that made no post and are older than before.
// Those of posts are kept as long as the post.
func (s *Tenants) DeleteExpiredKeys(ctx context.Context, before time.Time) (int64, error) {
	res := s.orm.WithContext(ctx).Where("post_id IS NULL AND created_at < ?", before).Delete(&models.IdempotencyKey{})
	if res.Error != nil {
		return 0, fmt.Errorf("delete expired idempotency keys: %w", res.Error)
	}
	return res.RowsAffected, nil
}

// completing runs work and completes the key in one transaction. Without a key
// work runs on its own.
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
