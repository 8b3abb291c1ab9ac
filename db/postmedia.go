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

	Codec          string
	FramesPer1000s int `gorm:"column:frames_per_1000s"`
	BitRate        int64
	AudioCodec     string
	AudioRate      int
	AudioChannels  int
	Orientation    int
}

// joinedMediaColumns are the columns of joinedMedia; m is the alias of the table media.
const joinedMediaColumns = `m.id AS media_row_id, COALESCE(m.bytes, 0) AS bytes, COALESCE(m.content_type, '') AS content_type,
	COALESCE(m.sha256, '') AS sha256, COALESCE(m.duration_ms, 0) AS duration_ms, COALESCE(m.width, 0) AS width, COALESCE(m.height, 0) AS height,
	COALESCE(m.codec, '') AS codec, COALESCE(m.frames_per_1000s, 0) AS frames_per_1000s, COALESCE(m.bit_rate, 0) AS bit_rate,
	COALESCE(m.audio_codec, '') AS audio_codec, COALESCE(m.audio_rate, 0) AS audio_rate,
	COALESCE(m.audio_channels, 0) AS audio_channels, COALESCE(m.orientation, 0) AS orientation`

// media returns the file, or nil if there is none.
func (m *joinedMedia) media(appID int64) *models.Media {
	if m.MediaRowID == nil {
		return nil
	}
	return &models.Media{
		ID: *m.MediaRowID, AppID: appID, Bytes: m.Bytes, ContentType: m.ContentType, SHA256: m.SHA256,
		DurationMs: m.DurationMs, Width: m.Width, Height: m.Height,
		Codec: m.Codec, FramesPer1000s: m.FramesPer1000s, BitRate: m.BitRate,
		AudioCodec: m.AudioCodec, AudioRate: m.AudioRate, AudioChannels: m.AudioChannels, Orientation: m.Orientation,
	}
}

// insertWithFiles stores a new post and its files. It uses one statement on PostgreSQL, to
// save a round trip, and one transaction on SQLite.
func (s *Posts) insertWithFiles(tx *gorm.DB, values map[string]any, files []models.PostMedia, admission *models.Admission) error {
	if len(files) == 0 {
		return tx.Raw(insertPost, values).Scan(admission).Error
	}
	insertFiles := "INSERT INTO post_media (post_id, position, media_id, source_url, pulled, alt_text) VALUES " + fileValues(files, values)
	insertFetches := ""
	if rows := fetchValues(files, values); rows != "" {
		insertFetches = "INSERT INTO fetches (post_id, position, app_id, due_at) VALUES " + rows
	}
	if s.dialect == Postgres {
		query := "WITH post AS (" + insertPost + "), files AS (" + insertFiles + ")"
		if insertFetches != "" {
			query += ", fetching AS (" + insertFetches + ")"
		}
		return tx.Raw(query+" SELECT admission FROM post", values).Scan(admission).Error
	}
	return tx.Transaction(func(tx *gorm.DB) error {
		if err := tx.Raw(insertPost, values).Scan(admission).Error; err != nil {
			return err
		}
		err := tx.Exec(insertFiles, values).Error
		if err == nil && insertFetches != "" {
			err = tx.Exec(insertFetches, values).Error
		}
		return err
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
		values[name] = []any{f.PostID, f.Position, f.MediaID, f.SourceURL, f.Pulled, f.AltText}
	}
	return strings.Join(names, ", ")
}

type fileRow struct {
	PostID    string
	AppID     int64
	Position  int
	MediaID   *string
	SourceURL string
	Pulled    bool
	AltText   string
	File      joinedMedia `gorm:"embedded"`
}

// Files reads the files of a post in order, with the media rows of those that are stored
// here. It returns ErrNotFound if there is no such post.
func (s *Posts) Files(ctx context.Context, postID string) ([]models.PostMedia, error) {
	files, err := s.FilesOf(ctx, []string{postID})
	if err == nil && len(files[postID]) == 0 {
		err = fmt.Errorf("post %s: %w", postID, ErrNotFound)
	}
	return files[postID], err
}

// FilesOf reads the files of posts as Files does, by the posts' ids.
//
// It supports the previous release, which knows only the columns of posts: a post that it
// stored has exactly one file, named in those columns, and the link of the first file is
// always read from there, as the previous release updates it only there.
func (s *Posts) FilesOf(ctx context.Context, postIDs []string) (map[string][]models.PostMedia, error) {
	var rows []fileRow
	err := s.orm.WithContext(ctx).Raw(`
		SELECT f.post_id, f.app_id, f.position, f.media_id, f.source_url, f.pulled, f.alt_text, `+joinedMediaColumns+`
		FROM (SELECT p.id AS post_id, p.app_id, COALESCE(f.position, 0) AS position, COALESCE(f.alt_text, '') AS alt_text,
				COALESCE(f.pulled, FALSE) AS pulled,
				CASE WHEN f.position > 0 THEN f.media_id ELSE COALESCE(f.media_id, p.media_id) END AS media_id,
				CASE WHEN f.position > 0 THEN f.source_url ELSE p.source_url END AS source_url
			FROM posts p LEFT JOIN post_media f ON f.post_id = p.id WHERE p.id IN ?) f
		LEFT JOIN media m ON m.id = f.media_id
		ORDER BY f.post_id, f.position`, postIDs).Scan(&rows).Error
	if err != nil {
		return nil, fmt.Errorf("read the files of %d posts: %w", len(postIDs), err)
	}
	files := make(map[string][]models.PostMedia, len(postIDs))
	for i := range rows {
		r := &rows[i]
		files[r.PostID] = append(files[r.PostID], models.PostMedia{
			PostID: r.PostID, Position: r.Position, MediaID: r.MediaID, SourceURL: r.SourceURL, Pulled: r.Pulled, AltText: r.AltText, Media: r.File.media(r.AppID),
		})
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
