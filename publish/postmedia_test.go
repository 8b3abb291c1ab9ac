package publish_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"socialqueue/db"
	"socialqueue/db/dbtest"
	"socialqueue/models"
	"socialqueue/publish"
	"socialqueue/sandbox/sample"
	"socialqueue/test/testkit"
)

// serveFiles serves the sample video under every path and counts the requests of each.
func serveFiles(t *testing.T) (url string, served map[string]int) {
	t.Helper()
	served = map[string]int{}
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		served[r.URL.Path]++
		_, _ = rw.Write(sample.Video)
	}))
	t.Cleanup(server.Close)
	return server.URL, served
}

func fromLinks(links ...string) func(*publish.Request) {
	return func(r *publish.Request) {
		r.Files = nil
		for _, link := range links {
			r.Files = append(r.Files, publish.File{URL: link})
		}
	}
}

// forgetFiles makes all posts such that the previous release stored.
func (w *fixture) forgetFiles() {
	w.t.Helper()
	for _, table := range []string{"post_media", "fetches"} {
		_, err := w.db.Pool().ExecContext(w.ctx, "DELETE FROM "+table)
		w.must(err)
	}
}

func (w *fixture) files(p *models.Post) []models.PostMedia {
	w.t.Helper()
	files, err := w.db.Posts.Files(w.ctx, p.ID)
	w.must(err)
	return files
}

// TestPostsOfThePreviousRelease: they are published, run again and cleaned up as ours are.
func TestPostsOfThePreviousRelease(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		url, served := serveFiles(t)
		w := newFixture(t, d)
		soon := w.clock.Now().Add(time.Minute)
		later := func(r *publish.Request) { r.PublishAt = &soon }
		posts := []*models.Post{
			w.accept(tiktokVideo, later), w.accept(instagramImage, later), w.accept(instagramReel, later, fromLinks(url+"/reel.mp4")),
		}
		far := w.clock.Now().Add(20 * 24 * time.Hour)
		waiting := w.accept(tiktokVideo, func(r *publish.Request) { r.PublishAt = &far; r.Files[0].MediaID = w.upload(sample.Video) })
		w.forgetFiles()
		if _, err := w.Reschedule(w.ctx, w.app.ID, posts[2].ID, soon.Add(time.Second)); err != nil {
			t.Error(err)
		}
		if got := w.post(posts[2]).Step; got != models.StepTransfer {
			t.Errorf("a post with a link begins with %s", got)
		}
		for _, p := range posts {
			w.wantStatus(w.settle(p), models.Published)
		}
		w.wantLive(3)
		fetched := w.files(posts[2])[0].MediaID
		if served["/reel.mp4"] != 1 || fetched == nil {
			t.Fatalf("served %v, file %v", served, fetched)
		}

		w.clock.Advance(8 * 24 * time.Hour)
		w.cleanUp()
		for _, id := range []string{w.video, w.picture, *fetched} {
			w.wantFile(id, false)
		}
		w.wantFile(*w.files(waiting)[0].MediaID, true)
		for _, p := range posts {
			if f := w.files(p)[0]; !f.Gone() {
				t.Errorf("an ended post still names a file that is gone: %+v", f)
			}
		}
	})
}

// TestRetryNeedsEveryFile: a post cannot run again once one of its files was cleaned up.
func TestRetryNeedsEveryFile(t *testing.T) {
	w := onSQLite(t)
	url, _ := serveFiles(t)
	soon, lateness := w.clock.Now().Add(time.Minute), time.Second
	p := w.accept(instagramCarousel, func(r *publish.Request) {
		r.PublishAt, r.MaxLateness = &soon, &lateness
		r.Files[1] = publish.File{URL: url}
	})
	w.clock.Advance(time.Hour)
	w.tick()
	w.wantStatus(p, models.Missed)
	_, err := w.db.Pool().ExecContext(w.ctx, "UPDATE post_media SET source_url = '' WHERE position = 1")
	w.must(err)
	if _, err := w.Retry(w.ctx, w.app.ID, p.ID); !errors.Is(err, publish.ErrConflict) {
		t.Errorf("retry without the second file: %v", err)
	}
}

// TestFetchGoesOnAfterACrash: the process ends between fetching a file and keeping it. What
// was kept before is not fetched again.
func TestFetchGoesOnAfterACrash(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		url, served := serveFiles(t)
		w := newFixture(t, d)
		p := w.accept(instagramCarousel, fromLinks(url+"/first.mp4", url+"/second.mp4"))
		w.onNow = func() {
			if served["/second.mp4"] == 1 {
				panic(testkit.PowerCut{})
			}
		}
		w.step()
		w.step()
		w.onNow = nil
		w.wantStatus(p, models.Queued)
		files := w.files(p)
		if files[0].Media == nil || !files[1].ToFetch() {
			t.Fatalf("after the crash: %+v", files)
		}
		w.clock.Advance(25 * time.Second) // the lease
		w.tick()
		p = w.settle(p)
		w.wantStatus(p, models.Published)
		w.wantLive(1)
		if served["/first.mp4"] != 1 || served["/second.mp4"] != 2 {
			t.Errorf("served %v", served)
		}
		if files = w.files(p); files[0].Media == nil || files[1].Media == nil || *p.MediaID != files[0].Media.ID || p.SourceURL != "" {
			t.Errorf("post %+v, files %+v", p, files)
		}
	})
}
