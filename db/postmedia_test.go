package db_test

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"socialqueue/db"
	"socialqueue/db/dbtest"
	"socialqueue/models"
)

// file stores the row of a file that is as old as epoch.
func (f *fixture) file() string {
	f.t.Helper()
	m := models.Media{ID: models.NewID(), AppID: f.app.ID, Bytes: 7, ContentType: "video/mp4", CreatedAt: epoch}
	f.must(f.Media.Insert(f.t.Context(), &m, nil))
	return m.ID
}

// accept stores a post with files as the API does.
func (f *fixture) accept(files ...models.PostMedia) *models.Post {
	f.t.Helper()
	p := f.unstored(nil)
	f.must(f.Posts.Insert(f.t.Context(), []db.NewPost{{p, filesOf(p, files)}}, 10, nil))
	return p
}

// filesOf sets the post and the position of files, and the post's columns for the previous
// release.
func filesOf(p *models.Post, files []models.PostMedia) []models.PostMedia {
	for i := range files {
		files[i].PostID, files[i].Position = p.ID, i
	}
	p.MediaID, p.SourceURL = files[0].MediaID, files[0].SourceURL
	return files
}

func (f *fixture) exec(statement string, args ...any) error {
	f.t.Helper()
	_, err := f.Pool().ExecContext(f.t.Context(), fmt.Sprintf(statement, args...))
	return err
}

// wantFiles compares a post's files, each written as its media id and its link.
func (f *fixture) wantFiles(p *models.Post, want ...string) {
	f.t.Helper()
	files, err := f.Posts.Files(f.t.Context(), p.ID)
	f.must(err)
	got := make([]string, len(files))
	for i, file := range files {
		if file.Position != i || file.PostID != p.ID {
			f.t.Errorf("file %d: %+v", i, file)
		}
		got[i] = file.SourceURL
		if file.MediaID != nil {
			got[i] = *file.MediaID + file.SourceURL
			if m := file.Media; m == nil || m.ID != *file.MediaID || m.AppID != f.app.ID || m.Bytes != 7 || m.ContentType != "video/mp4" {
				f.t.Errorf("the row of file %d: %+v", i, m)
			}
		}
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		f.t.Errorf("files = %q, want %q", got, want)
	}
}

// What is known of a file is read with the destination and with the files of a post: the
// rules of the platforms judge by it.
func TestMediaIsReadWhole(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		want := models.Media{
			ID: models.NewID(), AppID: f.app.ID, Bytes: 7, ContentType: "video/mp4", SHA256: strings.Repeat("a", 64),
			DurationMs: 8, Width: 9, Height: 10, Codec: "h264", FramesPer1000s: math.MaxInt32, BitRate: math.MaxInt64,
			AudioCodec: "aac", AudioRate: math.MaxInt32, AudioChannels: 13, Orientation: 6,
		}
		fields := reflect.ValueOf(want)
		for i := range fields.NumField() {
			if name := fields.Type().Field(i).Name; fields.Field(i).IsZero() && name != "CreatedAt" {
				t.Errorf("%s is not tested", name)
			}
		}
		stored := want
		stored.CreatedAt = epoch
		f.must(f.Media.Insert(t.Context(), &stored, nil))
		dest, err := f.Posts.Destination(t.Context(), f.app.ID, models.TikTok, f.account.ID, []string{want.ID})
		f.must(err)
		files, err := f.Posts.Files(t.Context(), f.accept(models.PostMedia{MediaID: &want.ID}).ID)
		f.must(err)
		for place, got := range map[string]*models.Media{"destination": dest.Media[want.ID], "post": files[0].Media} {
			if got == nil || *got != want {
				t.Errorf("%s: %+v, want %+v", place, got, want)
			}
		}
	})
}

// A program of the previous release stores files without knowing what it does not know.
func TestMediaOfThePreviousRelease(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		id := models.NewID()
		f.must(f.exec(`INSERT INTO media (id, app_id, bytes, content_type, sha256, duration_ms, width, height, created_at)
			VALUES ('%s', %d, 7, 'video/mp4', '%s', 8, 9, 10, CURRENT_TIMESTAMP)`, id, f.app.ID, strings.Repeat("a", 64)))
		m, err := f.Media.Get(t.Context(), f.app.ID, id)
		f.must(err)
		if m.DurationMs != 8 || m.Codec != "" || m.FramesPer1000s != 0 || m.AudioCodec != "" || m.Orientation != 0 {
			t.Errorf("got %+v", m)
		}
	})
}

// wantUnused checks whether a file counts as unused a day after epoch.
func (f *fixture) wantUnused(id string, want bool) {
	f.t.Helper()
	before := epoch.Add(24 * time.Hour)
	ids, err := f.Media.Unused(f.t.Context(), before, 100)
	f.must(err)
	listed := false
	for _, other := range ids {
		listed = listed || other == id
	}
	deleted, err := f.Media.DeleteUnused(f.t.Context(), id, before)
	f.must(err)
	if listed != want || deleted != want {
		f.t.Errorf("file %s: listed as unused %t, deleted %t; want %t", id, listed, deleted, want)
	}
}

// TestPostMedia checks that the files of a post are stored with it, in order, and are
// deleted with it.
func TestPostMedia(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		first := f.file()
		p := f.accept(models.PostMedia{MediaID: &first}, models.PostMedia{SourceURL: "sealed", AltText: "A loaf"})
		f.wantFiles(p, first, "sealed")
		files, err := f.Posts.Files(t.Context(), p.ID)
		f.must(err)
		if files[0].AltText != "" || files[1].AltText != "A loaf" {
			t.Errorf("files = %+v", files)
		}
		if _, err := f.Posts.Files(t.Context(), models.NewID()); !errors.Is(err, db.ErrNotFound) {
			t.Errorf("files of an unknown post: %v", err)
		}

		gone := models.NewID()
		without := f.unstored(nil)
		err = f.Posts.Insert(t.Context(), []db.NewPost{{without, filesOf(without, []models.PostMedia{{SourceURL: "sealed"}, {MediaID: &gone}})}}, 10, nil)
		if !errors.Is(err, db.ErrNotFound) {
			t.Errorf("the second file is gone: err = %v, want ErrNotFound", err)
		}
		if _, err := f.Posts.ByID(t.Context(), without.ID); !errors.Is(err, db.ErrNotFound) {
			t.Errorf("a post without its file: %v", err)
		}

		f.must(f.exec("DELETE FROM posts WHERE id = '%s'", p.ID)) // as the previous release erases
		var left int
		f.must(f.Pool().QueryRowContext(t.Context(), "SELECT COUNT(*) FROM post_media").Scan(&left))
		if left != 0 {
			t.Errorf("%d files of a deleted post are left", left)
		}
	})
}

// TestInsertIsOneStatement checks that storing a post takes one round trip, however many
// files it has.
func TestInsertIsOneStatement(t *testing.T) {
	f := newFixture(t, dbtest.Postgres(t))
	first, second := f.file(), f.file()
	for _, files := range [][]models.PostMedia{{{MediaID: &first}}, {{SourceURL: "sealed"}}, {{MediaID: &first}, {MediaID: &second}}} {
		n := f.CountStatements()
		f.accept(files...)
		if *n != 1 {
			t.Errorf("%d statements for %d files, want 1", *n, len(files))
		}
	}
}

// TestFilesOfThePreviousRelease checks that a post that the previous release stored has the
// file of its row, and that the previous release's changes to a post of this release count.
func TestFilesOfThePreviousRelease(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		file, fetched, other := f.file(), f.file(), f.file()
		f.wantFiles(f.post(func(p *models.Post) { p.MediaID = &file }), file)
		link := f.post(func(p *models.Post) { p.SourceURL = "sealed" })
		f.wantFiles(link, "sealed")
		f.wantFiles(f.post(nil), "") // its file was cleaned up

		ours := f.accept(models.PostMedia{SourceURL: "sealed"}, models.PostMedia{MediaID: &other})
		f.must(f.exec("UPDATE posts SET source_url = 'resealed' WHERE id = '%s'", ours.ID))
		f.wantFiles(ours, "resealed", other)
		f.must(f.exec("UPDATE posts SET media_id = '%s', source_url = '' WHERE id = '%s'", fetched, ours.ID))
		f.wantFiles(ours, fetched, other)

	})
}

// TestUnusedFiles checks that a file is kept as long as any post refers to it, in posts or
// in post_media.
func TestUnusedFiles(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		first, second, old, free := f.file(), f.file(), f.file(), f.file()
		p := f.accept(models.PostMedia{MediaID: &first}, models.PostMedia{MediaID: &second})
		previous := f.post(func(p *models.Post) { p.MediaID = &old })
		for _, id := range []string{first, second, old} {
			f.wantUnused(id, false)
		}
		f.wantUnused(free, true)
		if err := f.exec("DELETE FROM media WHERE id = '%s'", second); err == nil {
			t.Error("the previous release deletes a file that a post needs")
		}
		f.must(f.exec("UPDATE posts SET admission = '', status = 'published'"))
		for _, id := range []string{first, second, old} {
			f.wantUnused(id, true)
		}
		f.wantFiles(p, "", "")
		f.wantFiles(previous, "")
	})
}
