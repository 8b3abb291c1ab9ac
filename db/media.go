package db

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"gorm.io/gorm"

	"socialqueue/models"
)

// Media stores the rows of uploaded files.
type Media struct{ conn }

// Insert stores the row of a file, and completes the request's idempotency key, if it has
// one, in the same transaction. The file must already be in the bucket.
func (s *Media) Insert(ctx context.Context, m *models.Media, done *Completion) error {
	return s.completing(ctx, done, func(tx *gorm.DB) error {
		if err := tx.Create(m).Error; err != nil {
			return fmt.Errorf("store media: %w", err)
		}
		return nil
	})
}

// Get reads the row of an app's file. It returns ErrNotFound if the app has no such file.
func (s *Media) Get(ctx context.Context, appID int64, id string) (*models.Media, error) {
	var m models.Media
	err := s.orm.WithContext(ctx).Where("app_id = ? AND id = ?", appID, id).Take(&m).Error
	return &m, first(err, "media "+id)
}

// ByID reads the row of a file of any app. It is for signed links, which need no other
// authorization.
func (s *Media) ByID(ctx context.Context, id string) (*models.Media, error) {
	var m models.Media
	err := s.orm.WithContext(ctx).Where("id = ?", id).Take(&m).Error
	return &m, first(err, "media "+id)
}

// Unused lists files older than before that no post needs any more. A post needs its files
// until it has ended, and until before has passed since then.
func (s *Media) Unused(ctx context.Context, before time.Time, limit int) ([]string, error) {
	var ids []string
	err := s.orm.WithContext(ctx).Raw(`
		SELECT m.id FROM media m
		WHERE m.created_at < @before AND NOT EXISTS (
			SELECT 1 FROM post_media f JOIN posts p ON p.id = f.post_id
			WHERE f.media_id = m.id AND (p.admission <> '' OR p.updated_at >= @before))
		AND NOT EXISTS ( -- posts of the previous release
			SELECT 1 FROM posts p WHERE p.media_id = m.id AND (p.admission <> '' OR p.updated_at >= @before))
		ORDER BY m.created_at LIMIT @limit`, map[string]any{"before": before, "limit": limit}).Scan(&ids).Error
	if err != nil {
		return nil, fmt.Errorf("list unused media: %w", err)
	}
	return ids, nil
}

// UnusedOverdue returns how long a file that Unused lists has been listed, at most, or 0 if
// Unused lists none. To stay cheap it reads only the 5,000 oldest files. That is enough: if
// none is removed, posts stop to need the oldest ones sooner or later.
func (s *Media) UnusedOverdue(ctx context.Context, before time.Time) (time.Duration, error) {
	// The uses are counted, as Postgres might otherwise join whole tables.
	overdue, err := s.overdue(ctx, before, `
		SELECT (SELECT at FROM (
				SELECT m.created_at AS at
				UNION ALL SELECT p.updated_at FROM post_media f JOIN posts p ON p.id = f.post_id WHERE f.media_id = m.id
				UNION ALL SELECT p.updated_at FROM posts p WHERE p.media_id = m.id) used ORDER BY at DESC LIMIT 1) AS first
		FROM (SELECT id, created_at FROM media WHERE created_at < @before ORDER BY created_at LIMIT 5000) m
		WHERE (SELECT COUNT(*) FROM post_media f JOIN posts p ON p.id = f.post_id
				WHERE f.media_id = m.id AND (p.admission <> '' OR p.updated_at >= @before)) = 0
			AND (SELECT COUNT(*) FROM posts p WHERE p.media_id = m.id AND (p.admission <> '' OR p.updated_at >= @before)) = 0
		ORDER BY first LIMIT 1`)
	return overdue, wrap(err, "find the file that has been unused for the longest time")
}

// DeleteUnused deletes the row of a file if the file is still unused, and reports whether it
// did. Only then may the file itself be deleted. If a post was accepted for the file
// meanwhile, the foreign keys of posts and post_media prevent the deletion.
func (s *Media) DeleteUnused(ctx context.Context, id string, before time.Time) (bool, error) {
	err := s.orm.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		err := tx.Model(&models.Post{}).
			Where("media_id = ? AND admission = '' AND updated_at < ?", id, before).
			UpdateColumn("media_id", nil).Error
		if err != nil {
			return err
		}
		err = tx.Exec(`UPDATE post_media SET media_id = NULL WHERE media_id = @media AND post_id IN (
			SELECT id FROM posts WHERE id IN (SELECT post_id FROM post_media WHERE media_id = @media)
				AND admission = '' AND updated_at < @before ORDER BY id `+s.forUpdate()+`)`,
			map[string]any{"media": id, "before": before}).Error
		if err != nil {
			return err
		}
		return tx.Where("id = ? AND created_at < ?", id, before).Delete(&models.Media{}).Error
	})
	switch {
	case errors.Is(err, gorm.ErrForeignKeyViolated):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("delete media %s: %w", id, err)
	}
	return true, nil
}

// WithoutRow returns the keys that have no row.
func (s *Media) WithoutRow(ctx context.Context, keys []string) ([]string, error) {
	var known []string
	if err := s.orm.WithContext(ctx).Model(&models.Media{}).Where("id IN ?", keys).Pluck("id", &known).Error; err != nil {
		return nil, fmt.Errorf("look up files: %w", err)
	}
	missing := slices.Clone(keys)
	return slices.DeleteFunc(missing, func(key string) bool { return slices.Contains(known, key) }), nil
}
