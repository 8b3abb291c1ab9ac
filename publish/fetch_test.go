package publish_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"socialqueue/models"
	"socialqueue/publish"
	"socialqueue/sandbox/sample"
	"socialqueue/test/testkit"
)

// link is a customer's link whose answer a test chooses.
type link struct {
	url    string
	served atomic.Int32
	answer atomic.Pointer[http.HandlerFunc]
}

func newLink(t *testing.T, answer http.HandlerFunc) *link {
	t.Helper()
	l := &link{}
	l.answer.Store(&answer)
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		l.served.Add(1)
		(*l.answer.Load())(rw, r)
	}))
	t.Cleanup(server.Close)
	l.url = server.URL + "/v.mp4"
	return l
}

func (l *link) answers(answer http.HandlerFunc) { l.answer.Store(&answer) }

func sendVideo(rw http.ResponseWriter, _ *http.Request) { _, _ = rw.Write(sample.Video) }

func refuse(status int) http.HandlerFunc {
	return func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(status) }
}

// scheduled posts a video by link that is due in an hour.
func (w *fixture) scheduled(l *link) *models.Post {
	w.t.Helper()
	at := w.clock.Now().Add(time.Hour)
	return w.accept(tiktokVideo, fromLinks(l.url), func(r *publish.Request) { r.PublishAt = &at })
}

// TestLinkIsFetchedSoon: the link of a scheduled post works for minutes only, as signed ones
// do. Its file is fetched soon after acceptance, and the post goes live at its time.
func TestLinkIsFetchedSoon(t *testing.T) {
	w := onSQLite(t)
	l := newLink(t, sendVideo)
	p := w.scheduled(l)
	w.step()
	l.answers(refuse(http.StatusForbidden))
	got := w.post(p)
	if files := w.files(p); files[0].ToFetch() || got.Status != models.Scheduled || !got.RunAt.Equal(got.PublishAt) {
		t.Errorf("after the fetch: %s", w.story(p))
	}
	p = w.settle(p)
	w.wantStatus(p, models.Published)
	w.wantLive(1)
	if l.served.Load() != 1 || p.StartedAt.Before(p.PublishAt) {
		t.Errorf("fetched %d times: %s", l.served.Load(), w.story(p))
	}
}

// TestBadLinkFailsSoon: a link that cannot be used fails its post within minutes, long before
// its time, and says what to do.
func TestBadLinkFailsSoon(t *testing.T) {
	page := func(rw http.ResponseWriter, _ *http.Request) { _, _ = rw.Write([]byte("<html><body>Virus scan")) }
	for name, tc := range map[string]struct {
		answer http.HandlerFunc
		says   string
	}{
		"expired":    {refuse(http.StatusForbidden), "the link may have expired"},
		"a web page": {page, "give the direct download link"},
		"a picture":  {func(rw http.ResponseWriter, _ *http.Request) { _, _ = rw.Write(sample.Picture) }, "TikTok takes MP4"},
	} {
		t.Run(name, func(t *testing.T) {
			w := onSQLite(t)
			began := w.clock.Now()
			p := w.settle(w.scheduled(newLink(t, tc.answer)))
			w.wantStatus(p, models.Failed)
			w.wantLive(0)
			if took := w.clock.Now().Sub(began); took > 10*time.Minute {
				t.Errorf("it failed after %s", took)
			}
			if p.ErrorCode != "UPLOAD_FAILED" || !strings.Contains(p.ErrorMessage, tc.says) {
				t.Errorf("%s: %q, want %q", p.ErrorCode, p.ErrorMessage, tc.says)
			}
		})
	}
}

// TestFailedLinkIsRetried: the app corrected what is behind the link and runs the post again.
func TestFailedLinkIsRetried(t *testing.T) {
	w := onSQLite(t)
	l := newLink(t, refuse(http.StatusNotFound))
	p := w.settle(w.scheduled(l))
	w.wantStatus(p, models.Failed)
	l.answers(sendVideo)
	_, err := w.Retry(w.ctx, w.app.ID, p.ID)
	w.must(err)
	w.wantStatus(w.settle(p), models.Published)
	w.wantLive(1)
}

// TestFetchGivesUp: the server never answers as it should. The attempts are spaced and end.
func TestFetchGivesUp(t *testing.T) {
	w := onSQLite(t)
	l := newLink(t, refuse(http.StatusServiceUnavailable))
	p := w.settle(w.accept(tiktokVideo, fromLinks(l.url)))
	w.wantStatus(p, models.Failed)
	if n := int(l.served.Load()); n != len(w.Timings.Retries)+1 || !strings.Contains(p.ErrorMessage, "gave up after 9 attempts") {
		t.Errorf("fetched %d times: %s", n, w.story(p))
	}
}

// TestFetchOfACanceledPost: nobody fetches for a post that has ended.
func TestFetchOfACanceledPost(t *testing.T) {
	w := onSQLite(t)
	l := newLink(t, sendVideo)
	p := w.scheduled(l)
	_, err := w.Cancel(w.ctx, w.app.ID, p.ID)
	w.must(err)
	for range 3 {
		w.step()
	}
	if n := l.served.Load(); n != 0 {
		t.Errorf("fetched %d times", n)
	}
	if left, err := w.db.Fetches.Of(w.ctx, p.ID); err != nil || len(left) != 0 {
		t.Errorf("left %v, %v", left, err)
	}
}

// TestFetchWithoutRoom: the app has used up its quota of bytes. The fetch waits for room.
func TestFetchWithoutRoom(t *testing.T) {
	w := onSQLite(t)
	full := true
	w.Room = func(context.Context, int64, int64) error {
		if full {
			return models.QuotaMediaBytes.Exceeded(1)
		}
		return nil
	}
	p := w.accept(tiktokVideo, fromLinks(newLink(t, sendVideo).url))
	w.step()
	if !w.files(p)[0].ToFetch() || !strings.Contains(w.story(p), "bytes of stored files") {
		t.Errorf("without room: %s", w.story(p))
	}
	full = false
	w.wantStatus(w.settle(p), models.Published)
	w.wantLive(1)
}

// TestFetchAtTheSlot: the post's time comes while its file is on the way. The post waits
// without a worker, uses no attempt, and goes on as soon as the file is here.
func TestFetchAtTheSlot(t *testing.T) {
	w := onSQLite(t)
	var p *models.Post
	l := newLink(t, func(rw http.ResponseWriter, r *http.Request) {
		w.clock.Advance(time.Hour)
		w.must(w.db.Fetches.Renew(w.ctx, &models.Fetch{PostID: p.ID, Fence: 1}, w.clock.Now().Add(20*time.Second)))
		w.tick()
		task, ok := w.queue.Posts.Take()
		if !ok {
			t.Error("the post is not due at its time")
			return
		}
		w.must(w.run(task))
		if got := w.post(p); got.Status != models.Queued || got.LeaseUntil != nil || got.Attempts != 0 {
			t.Errorf("while it waits: %s", w.story(p))
		}
		sendVideo(rw, r)
	})
	p = w.scheduled(l)
	w.step()
	fetched := w.clock.Now()
	w.until(p, "sent", func(p *models.Post) bool { return p.Status == models.Processing })
	if waited := w.clock.Now().Sub(fetched); waited > 30*time.Second {
		t.Errorf("it went on %s after its file had come", waited)
	}
	w.wantStatus(w.settle(p), models.Published)
	w.wantLive(1)
}

// TestMediaURL: a customer's link is fetched by a worker, once, and a file that
// will not do fails the post with the reason.
func TestMediaURL(t *testing.T) {
	served := 0
	files := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		served++
		switch r.URL.Path {
		case "/video.mp4":
			_, _ = rw.Write(sample.Video)
		case "/flaky.mp4":
			if served < 3 {
				rw.WriteHeader(http.StatusServiceUnavailable)
				return
			}
			_, _ = rw.Write(sample.Video)
		case "/text.mp4":
			_, _ = rw.Write([]byte("not a video"))
		case "/picture.jpg":
			_, _ = rw.Write(sample.Picture)
		default:
			http.NotFound(rw, r)
		}
	}))
	defer files.Close()
	for path, tc := range map[string]struct {
		status models.Status
		served int
	}{
		"/video.mp4":   {models.Published, 1},
		"/flaky.mp4":   {models.Published, 3},
		"/text.mp4":    {models.Failed, 1},
		"/picture.jpg": {models.Failed, 1},
		"/gone.mp4":    {models.Failed, 1},
	} {
		t.Run(path, func(t *testing.T) {
			served = 0
			w := onSQLite(t)
			p := w.settle(w.accept(tiktokVideo, func(r *publish.Request) { r.Files[0].MediaID, r.Files[0].URL = "", files.URL+path+"?sig=s3cr3t" }))
			w.wantStatus(p, tc.status)
			if served != tc.served {
				t.Errorf("fetched %d times, want %d", served, tc.served)
			}
			if tc.status == models.Published {
				w.wantLive(1)
				return
			}
			w.wantLive(0)
			if p.ErrorCode != "UPLOAD_FAILED" || p.ErrorMessage == "" {
				t.Errorf("error %s %q", p.ErrorCode, p.ErrorMessage)
			}
			if strings.Contains(w.story(p), "s3cr3t") {
				t.Error("the timeline shows the link's signature")
			}
		})
	}
	image := onSQLite(t)
	p := image.settle(image.accept(instagramImage, func(r *publish.Request) { r.Files[0].MediaID, r.Files[0].URL = "", files.URL+"/picture.jpg" }))
	image.wantStatus(p, models.Published)
	image.wantLive(1)
}

// TestFetchSurvivesACutAnywhere: the process dies at each place of a fetch at which it reads
// the clock. Another run fetches the file, and the post goes live once, with one file.
func TestFetchSurvivesACutAnywhere(t *testing.T) {
	for at, died := 0, true; died; at++ {
		w := onSQLite(t)
		l := newLink(t, sendVideo)
		p := w.accept(tiktokVideo, fromLinks(l.url))
		died = false
		calls := 0
		w.onNow = func() {
			if calls++; calls > at {
				died = true
				panic(testkit.PowerCut{})
			}
		}
		w.step()
		w.onNow = nil
		if died && at > 50 {
			t.Fatal("the fetch never ends")
		}
		w.clock.Advance(w.Timings.Lease + time.Second)
		w.tick()
		w.wantStatus(w.settle(p), models.Published)
		w.wantLive(1)
		if n := l.served.Load(); n > 2 || w.post(p).Attempts != 0 {
			t.Errorf("died at %d: fetched %d times: %s", at, n, w.story(p))
		}
		if left, err := w.db.Fetches.Of(w.ctx, p.ID); err != nil || len(left) != 0 {
			t.Errorf("died at %d: left %v, %v", at, left, err)
		}
	}
}

// fetchingQueue fetches at once what is enqueued.
type fetchingQueue struct {
	*testkit.Queue
	fetch func(publish.FetchTask)
}

func (q fetchingQueue) EnqueueFetch(_ context.Context, t publish.FetchTask) error {
	q.fetch(t)
	return nil
}

// TestFileComesWhileARunHoldsThePost: the run has seen that the file is missing, and has not
// written yet that the post waits. The post goes on at once, not when the wait is over.
func TestFileComesWhileARunHoldsThePost(t *testing.T) {
	w := onSQLite(t)
	p := w.scheduled(newLink(t, sendVideo))
	w.queue.Fetches.Clear()
	w.clock.Advance(time.Hour)
	w.must(w.AdmitDue(w.ctx))
	task, ok := w.queue.Posts.Take()
	if !ok {
		t.Fatal("the post is not due at its time")
	}
	w.Queue = fetchingQueue{w.queue, func(f publish.FetchTask) { w.must(w.Fetch(w.ctx, f, w.drain)) }}
	w.must(w.run(task))
	w.Queue = w.queue
	if got := w.post(p); got.RunAt.After(w.clock.Now()) || w.files(p)[0].ToFetch() {
		t.Errorf("the post waits until %s: %s", got.RunAt, w.story(p))
	}
	w.wantStatus(w.settle(p), models.Published)
	w.wantLive(1)
}
