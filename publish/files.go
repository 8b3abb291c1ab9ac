package publish

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"socialqueue/db"
	"socialqueue/media"
	"socialqueue/models"
)

// StoreFile streams a file of an app into storage and notes what it is. When
// it returns nil file and row are durable. Bad files are media.ErrEmpty,
// media.ErrTooLarge or *media.RejectedError; then nothing is stored.
func (s *Service) StoreFile(ctx context.Context, appID int64, body io.Reader, complete func(*models.Media) (*db.Completion, error)) (*models.Media, error) {
	id := models.NewID()
	info, err := s.Store.Save(ctx, id, body)
	if err != nil {
		return nil, err
	}
	m := mediaRow(id, appID, info, s.Now())
	var done *db.Completion
	if complete != nil {
		if done, err = complete(m); err != nil {
			return nil, joinCleanup(err, s.Store.Delete(context.WithoutCancel(ctx), id))
		}
	}
	if err := s.insertMedia(ctx, m, done); err != nil {
		return nil, err
	}
	return m, nil
}

// insertMedia stores the row of a file. The file goes only if the row surely
// does not exist: after a commit whose answer was lost, a file without a row
// would be waste, but a row without its file a post that fails.
func (s *Service) insertMedia(ctx context.Context, m *models.Media, done *db.Completion) error {
	err := s.DB.Media.Insert(ctx, m, done)
	if errors.Is(err, db.ErrStale) {
		return joinCleanup(err, s.Store.Delete(context.WithoutCancel(ctx), m.ID))
	}
	return err
}

// DiscardFile removes a file that was stored for a post which was then refused.
// A file that a post uses stays.
func (s *Service) DiscardFile(ctx context.Context, m *models.Media) error {
	return s.removeUnused(ctx, m.ID, m.CreatedAt.Add(time.Microsecond))
}

func mediaRow(id string, appID int64, info media.Info, now time.Time) *models.Media {
	return &models.Media{
		ID: id, AppID: appID, Bytes: info.Bytes, ContentType: info.ContentType, SHA256: info.SHA256,
		DurationMs: info.Duration.Milliseconds(), Width: info.Width, Height: info.Height, Orientation: info.Orientation,
		Codec: info.Codec, FramesPer1000s: info.FramesPer1000s, BitRate: info.BitRate,
		AudioCodec: info.AudioCodec, AudioRate: info.AudioRate, AudioChannels: info.AudioChannels, CreatedAt: now,
	}
}

// joinCleanup keeps the first error and adds that of cleaning up after it.
func joinCleanup(err, cleanup error) error {
	if cleanup == nil || errors.Is(cleanup, media.ErrNotFound) {
		return err
	}
	return errors.Join(err, fmt.Errorf("remove the file: %w", cleanup))
}

const (
	// unusedMediaLife is how long a file stays that no post needs.
	unusedMediaLife = 7 * 24 * time.Hour
	// idempotencyLife is how long keys live that made no post.
	idempotencyLife = 7 * 24 * time.Hour
	cleanupBatch    = 200
	keyBatch        = 5000
)

// CleanUp forgets a batch of expired idempotency keys and removes a batch of files that no
// post needs. It reports whether there may be more. It is one tick of the scheduler.
func (s *Service) CleanUp(ctx context.Context) (more bool, err error) {
	now := s.Now()
	if err := s.DB.Breakers.Forget(ctx, now.Add(-breakerForgets)); err != nil {
		return false, err
	}
	keys, err := s.DB.Tenants.DeleteExpiredKeys(ctx, now.Add(-idempotencyLife), keyBatch)
	if err != nil {
		return false, err
	}
	before := now.Add(-unusedMediaLife)
	ids, err := s.DB.Media.Unused(ctx, before, cleanupBatch)
	if err != nil {
		return false, err
	}
	for _, id := range ids {
		if err := s.removeUnused(ctx, id, before); err != nil {
			return false, err
		}
	}
	return keys == keyBatch || len(ids) == cleanupBatch, nil
}

// KeysOverdue returns for how long CleanUp could have forgotten the oldest idempotency key that
// it has not; 0 if it is up to date.
func (s *Service) KeysOverdue(ctx context.Context) (time.Duration, error) {
	return s.DB.Tenants.ExpiredKeysOverdue(ctx, s.Now().Add(-idempotencyLife))
}

// FilesOverdue returns for how long CleanUp could have removed a file that it has not; 0 if it
// is up to date.
func (s *Service) FilesOverdue(ctx context.Context) (time.Duration, error) {
	return s.DB.Media.UnusedOverdue(ctx, s.Now().Add(-unusedMediaLife))
}

// orphanLife is how old a file without a row is before it goes: older than any
// upload can be under way.
const orphanLife = 48 * time.Hour

// RemoveOrphans removes files that have no row: those of uploads that were cut
// off by a crash after the file was stored. It is one tick of the scheduler, a
// rare one, for it lists the whole bucket.
func (s *Service) RemoveOrphans(ctx context.Context) error {
	var keys []string
	flush := func() error {
		orphans, err := s.DB.Media.WithoutRow(ctx, keys)
		if err != nil {
			return err
		}
		keys = keys[:0]
		for _, key := range orphans {
			if err := s.Store.Delete(ctx, key); err != nil {
				return fmt.Errorf("remove orphan %s: %w", key, err)
			}
		}
		return nil
	}
	err := s.Store.EachOlder(ctx, s.Now().Add(-orphanLife), func(key string) error {
		original, _ := media.Original(key) // its variants are deleted with it
		if keys = append(keys, original); len(keys) < cleanupBatch {
			return nil
		}
		return flush()
	})
	if err != nil {
		return err
	}
	return flush()
}

// removeUnused removes the row first: a file without a row is waste, a row
// without its file would be a post that fails.
func (s *Service) removeUnused(ctx context.Context, id string, before time.Time) error {
	deleted, err := s.DB.Media.DeleteUnused(ctx, id, before)
	if err != nil || !deleted {
		return err
	}
	if err := s.Store.Delete(ctx, id); err != nil && !errors.Is(err, media.ErrNotFound) {
		return fmt.Errorf("remove file %s: %w", id, err)
	}
	return nil
}
