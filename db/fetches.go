package db

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"socialqueue/models"
)

// Fetches stores which files of posts have to be fetched from customers' links.
type Fetches struct{ conn }

// Of reads the fetches of a post by the position of their file.
func (s *Fetches) Of(ctx context.Context, postID string) (map[int]models.Fetch, error) {
	var rows []models.Fetch
	if err := s.orm.WithContext(ctx).Where("post_id = ?", postID).Find(&rows).Error; err != nil {
		return nil, fmt.Errorf("read the fetches of post %s: %w", postID, err)
	}
	byPosition := make(map[int]models.Fetch, len(rows))
	for _, f := range rows {
		byPosition[f.Position] = f
	}
	return byPosition, nil
}

// Begin makes fetches due, as new ones. One that is there begins again.
func (s *Fetches) Begin(ctx context.Context, fetches []models.Fetch) error {
	if len(fetches) == 0 {
		return nil
	}
	again := clause.OnConflict{
		Columns: []clause.Column{{Name: "post_id"}, {Name: "position"}},
		DoUpdates: clause.Assignments(map[string]any{
			"due_at": fetches[0].DueAt, "attempts": 0, "error": "", "lease_until": nil, "fence": gorm.Expr("fetches.fence + 1"),
		}),
	}
	return wrap(s.orm.WithContext(ctx).Clauses(again).Create(&fetches).Error, "make the fetches of post %s due", fetches[0].PostID)
}

const dueFetch = "due_at <= ? AND (lease_until IS NULL OR lease_until < ?)"

// Apps lists the apps that have due fetches.
func (s *Fetches) Apps(ctx context.Context, now time.Time) ([]int64, error) {
	return appsWithDue(s.orm.WithContext(ctx), "fetches", now)
}

// appsWithDue lists the apps that have due rows in a table with an index on (app_id, due_at).
// It reads a few index entries per app, so a long backlog of one app costs nothing extra.
func appsWithDue(tx *gorm.DB, table string, now time.Time) ([]int64, error) {
	var apps []int64
	err := tx.Raw(fmt.Sprintf(`
		WITH RECURSIVE hop (app_id) AS (
			SELECT MIN(app_id) FROM %[1]s WHERE due_at IS NOT NULL
			UNION ALL
			SELECT (SELECT MIN(app_id) FROM %[1]s WHERE due_at IS NOT NULL AND app_id > hop.app_id) FROM hop WHERE hop.app_id IS NOT NULL
		) SELECT app_id FROM hop WHERE app_id IS NOT NULL AND EXISTS (SELECT 1 FROM %[1]s f WHERE f.app_id = hop.app_id AND f.due_at <= ?)`,
		table), now).Scan(&apps).Error
	return apps, wrap(err, "list apps with due %s", table)
}

// Due lists due fetches of an app that nobody works on, the longest due first.
func (s *Fetches) Due(ctx context.Context, appID int64, now time.Time, limit int) ([]models.Fetch, error) {
	var due []models.Fetch
	err := s.orm.WithContext(ctx).Where("app_id = ? AND "+dueFetch, appID, now, now).Order("due_at, post_id").Limit(limit).Find(&due).Error
	return due, wrap(err, "list due fetches of app %d", appID)
}

// Claim gives a due fetch a lease and a new fence. It returns ErrStale if the fetch is not
// due, if somebody works on it, or if it has another fence.
func (s *Fetches) Claim(ctx context.Context, f *models.Fetch, now time.Time, lease time.Duration) error {
	until := now.Add(lease)
	res := s.orm.WithContext(ctx).Model(&models.Fetch{}).
		Where("post_id = ? AND position = ? AND fence = ? AND "+dueFetch, f.PostID, f.Position, f.Fence, now, now).
		UpdateColumns(map[string]any{"fence": f.Fence + 1, "lease_until": until})
	if err := changedOne(res, "claim the fetch for post "+f.PostID); err != nil {
		return err
	}
	var row models.Fetch
	err := s.orm.WithContext(ctx).Where("post_id = ? AND position = ?", f.PostID, f.Position).Take(&row).Error
	if err != nil {
		return first(err, "fetch for post "+f.PostID)
	}
	if row.Fence != f.Fence+1 {
		return fmt.Errorf("claim the fetch for post %s: %w", f.PostID, ErrStale)
	}
	*f = row
	return nil
}

// Renew extends the lease of a fetch. It returns ErrStale if another worker took it over.
func (s *Fetches) Renew(ctx context.Context, f *models.Fetch, until time.Time) error {
	return s.update(s.orm.WithContext(ctx), f, map[string]any{"lease_until": until})
}

// Again ends a run of a fetch that is to be tried again.
func (s *Fetches) Again(ctx context.Context, f *models.Fetch, due time.Time, attempts int) error {
	return s.update(s.orm.WithContext(ctx), f, map[string]any{"due_at": due, "attempts": attempts, "lease_until": nil})
}

// Drop ends a fetch that nobody needs any more.
func (s *Fetches) Drop(ctx context.Context, f *models.Fetch) error {
	return dropFetch(s.orm.WithContext(ctx), f)
}

// Fail ends a fetch that cannot succeed, and makes its post due, whose run then fails it. It
// returns whether the post was made due.
func (s *Fetches) Fail(ctx context.Context, f *models.Fetch, why string, event models.PostEvent) (woken bool, err error) {
	err = s.orm.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		if err := s.update(tx, f, map[string]any{"due_at": nil, "error": why, "lease_until": nil}); err != nil {
			return err
		}
		if err := tx.Create(&event).Error; err != nil {
			return fmt.Errorf("write timeline of post %s: %w", f.PostID, err)
		}
		woken, err = wakePost(tx, f.PostID, true, event.At)
		return err
	})
	return woken, err
}

// Done stores a fetched file as the post's, in place of the link. The file must already be in
// the bucket. Once no file of the post is missing, Done makes the post due at its time, and
// returns whether it did.
func (s *Fetches) Done(ctx context.Context, f *models.Fetch, file models.PostMedia, m *models.Media, event models.PostEvent) (woken bool, err error) {
	err = s.orm.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		if err := dropFetch(tx, f); err != nil {
			return err
		}
		if err := tx.Create(m).Error; err != nil {
			return fmt.Errorf("store media: %w", err)
		}
		if err := keepFile(tx, file); err != nil {
			return err
		}
		if file.Position == 0 { // the previous release reads them
			err := tx.Model(&models.Post{}).Where("id = ?", f.PostID).UpdateColumns(map[string]any{"media_id": m.ID, "source_url": ""}).Error
			if err != nil {
				return fmt.Errorf("write the file of post %s: %w", f.PostID, err)
			}
		}
		if err := tx.Create(&event).Error; err != nil {
			return fmt.Errorf("write timeline of post %s: %w", f.PostID, err)
		}
		var missing int64
		if err := tx.Model(&models.Fetch{}).Where("post_id = ?", f.PostID).Count(&missing).Error; err != nil {
			return fmt.Errorf("count the fetches of post %s: %w", f.PostID, err)
		}
		if missing == 0 {
			woken, err = wakePost(tx, f.PostID, false, event.At)
		}
		return err
	})
	return woken, err
}

// Wake makes a post due at its time if it waits longer, and returns whether it did.
func (s *Fetches) Wake(ctx context.Context, postID string, now time.Time) (woken bool, err error) {
	return wakePost(s.orm.WithContext(ctx), postID, false, now)
}

// wakePost makes a waiting post due at its publish_at, or at once, unless it is due by then.
// A post that is deferred for another reason than its file stays so.
func wakePost(tx *gorm.DB, postID string, atOnce bool, now time.Time) (bool, error) {
	at := "CASE WHEN publish_at > @now THEN publish_at ELSE @now END"
	if atOnce {
		at = "@now"
	}
	res := tx.Exec(fmt.Sprintf(`
		UPDATE posts SET run_at = %[1]s, admission = 'waiting', enqueued_at = NULL, fence = fence + 1, updated_at = @now
		WHERE id = @id AND status IN @unsent AND admission IN ('waiting', 'admitted') AND lease_until IS NULL AND deferred_reason = '' AND run_at > %[1]s`, at),
		map[string]any{"id": postID, "now": now, "unsent": unsent})
	return changedAny(res, "make post "+postID+" due")
}

// update changes a fetch that this worker has claimed.
func (s *Fetches) update(tx *gorm.DB, f *models.Fetch, set map[string]any) error {
	res := tx.Model(&models.Fetch{}).Where("post_id = ? AND position = ? AND fence = ?", f.PostID, f.Position, f.Fence).UpdateColumns(set)
	return changedOne(res, "write the fetch for post "+f.PostID)
}

func dropFetch(tx *gorm.DB, f *models.Fetch) error {
	res := tx.Where("post_id = ? AND position = ? AND fence = ?", f.PostID, f.Position, f.Fence).Delete(&models.Fetch{})
	return changedOne(res, "end the fetch for post "+f.PostID)
}

// fetchValues returns the placeholders for the rows of the files of a new post that have to
// be fetched, and adds the rows to the values of the statement. It is empty if there are
// none.
func fetchValues(files []models.PostMedia, values map[string]any) string {
	var names []string
	for i := range files {
		if !files[i].ToFetch() {
			continue
		}
		name := "fetch_" + strconv.Itoa(i)
		names = append(names, "@"+name)
		values[name] = []any{files[i].PostID, files[i].Position, values["app_id"], values["created_at"]}
	}
	return strings.Join(names, ", ")
}
