package publish_test

import (
	"bytes"
	"testing"
	"time"

	"socialqueue/db"
	"socialqueue/db/dbtest"
	"socialqueue/jobs"
	"socialqueue/models"
	"socialqueue/publish"
	"socialqueue/sandbox/sample"
)

// TestCleanUp: files that nobody needs go, the others stay.
func TestCleanUp(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := newFixture(t, d)
		at := w.clock.Now().Add(20 * 24 * time.Hour)
		w.accept(tiktokVideo, func(r *publish.Request) { r.PublishAt = &at }) // still needs the video
		done := w.settle(w.accept(instagramImage))                            // needed the picture
		unused := w.upload(sample.Video)
		w.clock.Advance(6 * 24 * time.Hour)
		w.cleanUp()
		w.wantFile(unused, true)
		w.clock.Advance(2 * 24 * time.Hour)
		w.cleanUp()
		w.wantFile(unused, false)
		w.wantFile(w.picture, false)
		w.wantFile(w.video, true)
		if got := w.post(done); got.MediaID != nil {
			t.Error("an ended post still names a file that is gone")
		}
	})
}

// TestRemoveOrphans: a file whose row was never written goes, after a while.
func TestRemoveOrphans(t *testing.T) {
	w := onSQLite(t)
	orphan := models.NewID()
	_, err := w.store.Save(w.ctx, orphan, bytes.NewReader(sample.Picture))
	w.must(err)
	w.clock.Set(time.Now())
	w.must(w.RemoveOrphans(w.ctx))
	w.wantInStore(orphan, true)
	w.clock.Advance(3 * 24 * time.Hour)
	w.must(w.RemoveOrphans(w.ctx))
	w.wantInStore(orphan, false)
	w.wantInStore(w.video, true)
}

func (w *fixture) wantInStore(id string, want bool) {
	w.t.Helper()
	got, err := w.store.Exists(w.ctx, id)
	w.must(err)
	if got != want {
		w.t.Errorf("file %s in store: %v, want %v", id, got, want)
	}
}

func (w *fixture) wantFile(id string, want bool) {
	w.t.Helper()
	got, err := w.store.Exists(w.ctx, id)
	w.must(err)
	_, rowErr := w.db.Media.ByID(w.ctx, id)
	if got != want || (rowErr == nil) != want {
		w.t.Errorf("file %s: in store %v, row error %v; want kept = %v", id, got, rowErr, want)
	}
}

// cleanUp cleans up until there is no more.
func (w *fixture) cleanUp() {
	w.t.Helper()
	for more := true; more; {
		var err error
		more, err = w.CleanUp(w.ctx)
		w.must(err)
	}
}

// TestCleanUpCatchesUp: far more files are unused than one batch removes.
func TestCleanUpCatchesUp(t *testing.T) {
	w := onSQLite(t)
	for range 450 {
		w.must(w.db.Media.Insert(w.ctx, &models.Media{ID: models.NewID(), AppID: w.app.ID, ContentType: "video/mp4", CreatedAt: w.clock.Now()}, nil))
	}
	w.clock.Advance(8 * 24 * time.Hour)
	w.must(jobs.Batches(w.CleanUp)(w.ctx))
	left, err := w.db.Media.Unused(w.ctx, w.clock.Now(), 1000)
	w.must(err)
	if len(left) > 0 {
		t.Errorf("%d files are left", len(left))
	}
}
