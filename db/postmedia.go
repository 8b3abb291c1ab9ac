package db

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"socialqueue/models"
)

// joinedMedia is the row of a file as the result of a LEFT JOIN; all fields are empty if
// there is none.
type joinedMedia struct {
	MediaRowID  *string
	Bytes       int64
	ContentType string
	SHA256      string `gorm:"column:sha256"`
	DurationMs  int64
	Width       int
	Height      int
}

// joinedMediaColumns are the columns of joinedMedia; m is the alias of the table media.
const joinedMediaColumns = `m.id AS media_row_id, COALESCE(m.bytes, 0) AS bytes, COALESCE(m.content_type, '') AS content_type,
	COALESCE(m.sha256, '') AS sha256, COALESCE(m.duration_ms, 0) AS duration_ms, COALESCE(m.width, 0) AS width, COALESCE(m.height, 0) AS height`

// media returns the file, or nil if there is none.
func (m *joinedMedia) media(appID int64) *models.Media {
	if m.MediaRowID == nil {
		return nil
	}
	return &models.Media{
		ID: *m.MediaRowID, AppID: appID, Bytes: m.Bytes, ContentType: m.ContentType, SHA256: m.SHA256,
		DurationMs: m.DurationMs, Width: m.Width, Height: m.Height,
	}
}

// insertWithFiles stores a new post and its files. It uses one statement on PostgreSQL, to
// save a round trip, and one transaction on SQLite.
func (s *Posts) insertWithFiles(tx *gorm.DB, values map[string]any, files []models.PostMedia, admission *models.Admission) error {
	if len(files) == 0 {
		return tx.Raw(insertPost, values).Scan(admission).Error
	}
	insertFiles := "INSERT INTO post_media (post_id, position, media_id, source_url, alt_text) VALUES " + fileValues(files, values)
	if s.dialect == Postgres {
		return tx.Raw("WITH post AS ("+insertPost+"), files AS ("+insertFiles+") SELECT admission FROM post", values).Scan(admission).Error
	}
	return tx.Transaction(func(tx *gorm.DB) error {
		if err := tx.Raw(insertPost, values).Scan(admission).Error; err != nil {
			return err
		}
		return tx.Exec(insertFiles, values).Error
	})
}

// fileValues returns the placeholders for the rows of a post's files, and adds the rows to
// the values of the statement.
func fileValues(files []models.PostMedia, values map[string]any) string {
	names := make([]string, len(files))
	for i := range files {
		f := &files[i]
		name := "file_" + strconv.Itoa(i)
		names[i] = "@" + name
		values[name] = []any{f.PostID, f.Position, f.MediaID, f.SourceURL, f.AltText}
	}
	return strings.Join(names, ", ")
}

type fileRow struct {
	AppID     int64
	Position  int
	MediaID   *string
	SourceURL string
	AltText   string
	File      joinedMedia `gorm:"embedded"`
}

// Files reads the files of a post in order, with the media rows of those that are stored
// here. It returns ErrNotFound if there is no such post.
//
// It supports the previous release, which knows only the columns of posts: a post that it
// stored has exactly one file, named in those columns, and the link of the first file is
// always read from there, as the previous release updates it only there.
func (s *Posts) Files(ctx context.Context, postID string) ([]models.PostMedia, error) {
	var rows []fileRow
	err := s.orm.WithContext(ctx).Raw(`
		SELECT f.app_id, f.position, f.media_id, f.source_url, f.alt_text, `+joinedMediaColumns+`
		FROM (SELECT p.app_id, COALESCE(f.position, 0) AS position, COALESCE(f.alt_text, '') AS alt_text,
				CASE WHEN f.position > 0 THEN f.media_id ELSE COALESCE(f.media_id, p.media_id) END AS media_id,
				CASE WHEN f.position > 0 THEN f.source_url ELSE p.source_url END AS source_url
			FROM posts p LEFT JOIN post_media f ON f.post_id = p.id WHERE p.id = ?) f
		LEFT JOIN media m ON m.id = f.media_id
		ORDER BY f.position`, postID).Scan(&rows).Error
	if err != nil {
		return nil, fmt.Errorf("read the files of post %s: %w", postID, err)
	}
	if len(rows) == 0 {
		return nil, fmt.Errorf("post %s: %w", postID, ErrNotFound)
	}
	files := make([]models.PostMedia, len(rows))
	for i := range rows {
		r := &rows[i]
		files[i] = models.PostMedia{
			PostID: postID, Position: r.Position, MediaID: r.MediaID, SourceURL: r.SourceURL, AltText: r.AltText, Media: r.File.media(r.AppID),
		}
	}
	return files, nil
}

// keepFile stores the current location of a post's file. It inserts the row for a post that
// the previous release stored.
func keepFile(tx *gorm.DB, f models.PostMedia) error {
	err := tx.Clauses(clause.OnConflict{
		Columns: []clause.Column{{Name: "post_id"}, {Name: "position"}}, DoUpdates: clause.AssignmentColumns([]string{"media_id", "source_url"}),
	}).Create(&f).Error
	return wrap(err, "write file %d of post %s", f.Position, f.PostID)
}
