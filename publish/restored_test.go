package publish_test

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sirupsen/logrus"

	"socialqueue/db"
	"socialqueue/highwater"
	"socialqueue/models"
	"socialqueue/publish"
	instagramposts "socialqueue/publish/instagram"
	"socialqueue/sandbox"
)

// onBackup is a fixture whose database a test can copy, and go back to the copy.
type onBackup struct {
	*fixture
	path string
	copy []byte
}

func withBackup(t *testing.T) *onBackup {
	t.Helper()
	path := filepath.Join(t.TempDir(), "socialqueue.db")
	d := openSQLite(t, path)
	if _, err := d.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return &onBackup{fixture: newFixture(t, d), path: path}
}

func openSQLite(t *testing.T, path string) *db.DB {
	t.Helper()
	d, err := db.OpenSQLite(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	return d
}

// backup copies the database.
func (w *onBackup) backup() {
	w.t.Helper()
	target := filepath.Join(w.t.TempDir(), "backup.db")
	_, err := w.db.Pool().ExecContext(w.ctx, "VACUUM INTO ?", target)
	w.must(err)
	w.copy, err = os.ReadFile(target)
	w.must(err)
}

// restore puts the copy back, with the process stopped and started again. The queue is
// empty then, as an embedded one is.
func (w *onBackup) restore() {
	w.t.Helper()
	w.must(w.db.Close())
	for _, suffix := range []string{"-wal", "-shm"} {
		_ = os.Remove(w.path + suffix)
	}
	w.must(os.WriteFile(w.path, w.copy, 0o600))
	w.db = openSQLite(w.t, w.path)
	w.queue.Flush()
	w.start()
}

// image is an Instagram post with a text of its own.
func image(text string, at time.Time) func(*publish.Request) {
	return func(r *publish.Request) {
		r.Options.(*instagramposts.Options).Caption = text
		if !at.IsZero() {
			r.PublishAt = &at
		}
	}
}

// TestRestoredPostIsNotSentAgain: a backup is made while a post is scheduled, the post goes
// live, the backup is restored. The post is found on the platform and published as what it
// is, although its time is long past.
func TestRestoredPostIsNotSentAgain(t *testing.T) {
	w := withBackup(t)
	p := w.accept(instagramImage, image("only once", w.clock.Now().Add(time.Minute)))
	w.backup()
	live := w.settle(p)
	w.wantLive(1)
	w.clock.Advance(time.Hour)
	w.restore()
	w.wantStatus(p, models.Scheduled)
	found := w.settle(p)
	w.wantLive(1)
	if found.Status != models.Published || *found.PlatformPostID != *live.PlatformPostID || found.PublishedAt.Sub(*live.PublishedAt).Abs() > time.Minute {
		t.Errorf("want the post found: %s", w.story(p))
	}
	if !strings.Contains(w.story(p), "the database was restored; a search found the post") {
		t.Errorf("the timeline does not say so: %s", w.story(p))
	}
}

// TestRestoredBatch: forty posts each went live after the backup, or were due and not sent,
// or lie in the future.
func TestRestoredBatch(t *testing.T) {
	const n = 40
	w := withBackup(t)
	sent, due, future := make([]*models.Post, n), make([]*models.Post, n), make([]*models.Post, n)
	now := w.clock.Now()
	for i := range n {
		text := func(what string) string { return what + " " + strings.Repeat("x", i+1) }
		sent[i] = w.accept(instagramImage, image(text("sent"), now.Add(time.Minute)))
		due[i] = w.accept(instagramImage, image(text("due"), now.Add(time.Hour)))
		future[i] = w.accept(instagramImage, image(text("future"), now.Add(48*time.Hour)))
	}
	w.backup()
	for _, p := range sent {
		w.settle(p)
	}
	w.wantLive(n)
	w.clock.Advance(2 * time.Hour) // nothing runs while the system is down
	w.restore()
	for _, p := range sent {
		w.wantStatus(w.settle(p), models.Published)
	}
	for _, p := range due {
		w.until(p, "held", held)
	}
	w.wantLive(n)
	counts, err := w.db.Restores.CountHeld(w.ctx)
	w.must(err)
	if counts[models.HeldDue] != n || len(counts) != 1 {
		t.Errorf("held: %v, want %d of %s", counts, n, models.HeldDue)
	}
	for _, p := range due {
		if got := w.post(p); got.Status != models.Queued || got.DeferredReason != models.DeferredRestored {
			t.Errorf("a held post is %s, deferred for %q", got.Status, got.DeferredReason)
		}
	}
	released, err := w.ReleaseAllHeld(w.ctx, "anna")
	w.must(err)
	if released != n {
		t.Errorf("%d posts were released, want %d", released, n)
	}
	for _, p := range due {
		w.wantStatus(w.settle(p), models.Published)
	}
	for _, p := range future {
		w.wantStatus(w.settle(p), models.Published)
	}
	w.wantLive(3 * n)
}

func held(p *models.Post) bool { return p.Admission == models.AdmissionHeld }

// TestRestoredTikTokIsHeld: nothing shows whether a TikTok post went live, so a person has to
// say so, for each post by itself.
func TestRestoredTikTokIsHeld(t *testing.T) {
	w := withBackup(t)
	p := w.accept(tiktokVideo, func(r *publish.Request) { at := w.clock.Now().Add(time.Minute); r.PublishAt = &at })
	w.backup()
	w.settle(p)
	w.clock.Advance(time.Hour)
	w.restore()
	got := w.until(p, "held", held)
	if got.HeldReason != models.HeldUnsearchable {
		t.Errorf("held as %q", got.HeldReason)
	}
	if released, err := w.ReleaseAllHeld(w.ctx, "anna"); err != nil || released != 0 {
		t.Errorf("%d posts that nobody can search for were released with all: %v", released, err)
	}
	w.clock.Advance(24 * time.Hour)
	w.tick()
	w.wantLive(1)
	_, err := w.ReleaseHeld(w.ctx, p.ID, "anna")
	w.must(err)
	w.wantStatus(w.settle(p), models.Published)
	w.wantLive(2) // as anna wanted it
}

// TestHeldIsNeverMissed: a post that was due while the system was down is held, however late
// it is, as it may be live.
func TestHeldIsNeverMissed(t *testing.T) {
	w := withBackup(t)
	p := w.accept(instagramImage, image("in time", w.clock.Now().Add(time.Minute)), late(time.Minute))
	other := w.accept(instagramImage, image("another", time.Time{}))
	w.backup()
	w.settle(other)
	w.clock.Advance(time.Hour)
	w.restore()
	w.tick()
	w.until(p, "held", held)
	w.clock.Advance(time.Hour)
	w.tick()
	if got := w.post(p); !held(got) {
		t.Errorf("want it held: %s", w.story(p))
	}
}

// TestResentAfterRestore: an app sends again what it thinks is lost. The new post is held, as
// one like it is live; a post with another text goes out.
func TestResentAfterRestore(t *testing.T) {
	w := withBackup(t)
	w.backup()
	for _, text := range []string{"lost with the database", "lost twice", "lost twice"} {
		w.settle(w.accept(instagramImage, image(text, time.Time{})))
	}
	w.clock.Advance(time.Hour)
	w.restore()
	for _, text := range []string{"lost with  the database\n", "lost twice"} {
		again := w.accept(instagramImage, image(text, time.Time{}))
		if got := w.until(again, "held", held); got.HeldReason != models.HeldMatch {
			t.Errorf("held as %q", got.HeldReason)
		}
	}
	w.wantStatus(w.settle(w.accept(instagramImage, image("something new", time.Time{}))), models.Published)
	w.wantLive(4)
}

// TestTwinsAfterRestore: two posts have the same text and one of them is live: nobody can say
// which, so both are held.
func TestTwinsAfterRestore(t *testing.T) {
	w := withBackup(t)
	a := w.accept(instagramImage, image("twins", w.clock.Now().Add(time.Minute)))
	b := w.accept(instagramImage, image("twins", w.clock.Now().Add(time.Hour)))
	w.backup()
	w.settle(a)
	w.clock.Advance(2 * time.Hour)
	w.restore()
	for _, p := range []*models.Post{a, b} {
		if got := w.until(p, "held", held); got.HeldReason != models.HeldUnsearchable {
			t.Errorf("held as %q", got.HeldReason)
		}
	}
	w.wantLive(1)
}

// TestRetryAfterRestore: a post had failed before the backup; it was run again and went live
// afterwards. Run once more on the restored database it is found.
func TestRetryAfterRestore(t *testing.T) {
	w := withBackup(t)
	w.sim.Script(sandbox.Fault{Op: sandbox.OpInstagramProcess, Mode: sandbox.ModeFail, Code: "2207009"})
	p := w.settle(w.accept(instagramImage, image("second try", time.Time{})))
	w.wantStatus(p, models.Failed)
	w.backup()
	_, err := w.Retry(w.ctx, w.app.ID, p.ID)
	w.must(err)
	w.settle(p)
	w.wantLive(1)
	w.clock.Advance(time.Hour)
	w.restore()
	w.tick()
	w.clock.Advance(time.Second)
	_, err = w.Retry(w.ctx, w.app.ID, p.ID)
	w.must(err)
	w.wantStatus(w.settle(p), models.Published)
	w.wantLive(1)
}

// TestRestoreIsNoticedInTheMiddle: the database is replaced under a running process, right
// before the record of a call is written. The call is not made.
func TestRestoreIsNoticedInTheMiddle(t *testing.T) {
	w := withBackup(t)
	p := w.accept(instagramImage, image("in the middle", w.clock.Now().Add(time.Minute)))
	w.backup()
	w.settle(p)
	w.settle(w.accept(instagramImage, image("further", time.Time{})))
	w.restore()
	w.wantStatus(w.settle(p), models.Published)
	w.wantLive(2)
	restores, err := w.db.Restores.List(w.ctx)
	w.must(err)
	if len(restores) != 1 || restores[0].Reason != models.RestoreBehind {
		t.Errorf("restores: %+v", restores)
	}
}

// TestLostMark: the mark is gone, and the database is complete: the mark is written again, a
// warning says what to do, and posts go out.
func TestLostMark(t *testing.T) {
	w := withBackup(t)
	w.settle(w.accept(instagramImage, image("one", time.Time{})))
	w.must(os.Remove(filepath.Join(w.marks, "highwater")))
	w.start()
	w.wantStatus(w.settle(w.accept(instagramImage, image("two", time.Time{}))), models.Published)
	if restores, err := w.db.Restores.List(w.ctx); err != nil || len(restores) != 0 {
		t.Errorf("restores: %+v, %v", restores, err)
	}
	warned := func(e *logrus.Entry) bool {
		return strings.HasPrefix(e.Message, "the high-water mark of sending was lost")
	}
	if !slices.ContainsFunc(w.logs.AllEntries(), warned) {
		t.Error("no warning was logged")
	}
	if mark, err := os.ReadFile(filepath.Join(w.marks, "highwater")); err != nil || len(bytes.TrimSpace(mark)) == 0 {
		t.Errorf("the mark was not written again: %v", err)
	}
}

// TestUnwritableMark: nothing is sent while the mark cannot be written.
func TestUnwritableMark(t *testing.T) {
	w := withBackup(t)
	w.must(os.WriteFile(filepath.Join(w.marks, "highwater"), []byte("not a mark"), 0o600))
	p := w.accept(instagramImage, image("not noted", time.Time{}))
	for range 10 {
		w.moveTo(w.post(p))
	}
	w.wantLive(0)
	if got := w.post(p); got.DeferredReason != models.DeferredInternal || got.Attempts != 0 {
		t.Errorf("want it deferred for an internal error: %s", w.story(p))
	}
	w.must(os.Remove(filepath.Join(w.marks, "highwater")))
	w.wantStatus(w.settle(p), models.Published)
	w.wantLive(1)
}

// TestOperatorSaysRestored: the mark was restored along with the database, so only an
// operator knows. Posts are searched for nevertheless.
func TestOperatorSaysRestored(t *testing.T) {
	w := withBackup(t)
	p := w.accept(instagramImage, image("snapshot", w.clock.Now().Add(time.Minute)))
	w.settle(w.accept(instagramImage, image("before", time.Time{})))
	w.backup()
	mark, err := os.ReadFile(filepath.Join(w.marks, "highwater"))
	w.must(err)
	asOf := w.clock.Now()
	w.settle(p)
	w.clock.Advance(time.Hour)
	w.must(os.WriteFile(filepath.Join(w.marks, "highwater"), mark, 0o600))
	w.restore()
	_, err = w.RecordRestore(w.ctx, asOf, "anna")
	w.must(err)
	w.wantStatus(w.settle(p), models.Published)
	w.wantLive(2)
	if _, err := w.RecordRestore(w.ctx, w.clock.Now().Add(time.Hour), "anna"); err == nil {
		t.Error("a backup of the future was accepted")
	}
}

// TestRestoredTwice: the same backup is restored a second time, after what followed the
// first one: it is noticed again.
func TestRestoredTwice(t *testing.T) {
	w := withBackup(t)
	p := w.accept(instagramImage, image("twice", w.clock.Now().Add(time.Minute)))
	w.backup()
	w.settle(p)
	for range 2 {
		w.clock.Advance(time.Hour)
		w.restore()
		w.wantStatus(w.settle(p), models.Published)
		w.wantLive(1)
	}
}

// TestRestoreWaitsForWhatMayArrive: the post went live moments before the backup was
// restored, and the account does not show it yet. A search proves nothing until it would.
func TestRestoreWaitsForWhatMayArrive(t *testing.T) {
	w := withBackup(t)
	at := w.clock.Now().Add(time.Hour)
	p := w.accept(instagramImage, image("moved up", at))
	w.backup()
	_, err := w.Reschedule(w.ctx, w.app.ID, p.ID, w.clock.Now())
	w.must(err)
	w.settle(p)
	w.restore()
	w.tick()
	_, err = w.Reschedule(w.ctx, w.app.ID, p.ID, w.clock.Now().Add(time.Second))
	w.must(err)
	lists := 0
	w.wire.Intercept(func(r *http.Request) (*http.Response, error) {
		if strings.HasSuffix(r.URL.Path, "/media") && r.Method == http.MethodGet {
			if lists++; lists == 1 {
				return answer(http.StatusOK, `{"data":[]}`), nil
			}
		}
		return nil, nil
	})
	w.wantStatus(w.settle(p), models.Published)
	w.wantLive(1)
	if lists != 2 {
		t.Errorf("the account was searched %d times, want twice: %s", lists, w.story(p))
	}
}

// TestHeldWhileProcessing: the backup was made while Instagram processed the container of the
// post. A search does not find the post, so it is held, and can be released.
func TestHeldWhileProcessing(t *testing.T) {
	w := withBackup(t)
	p := w.accept(instagramImage, image("between two calls", time.Time{}))
	w.until(p, "processing", func(p *models.Post) bool { return p.Status == models.Processing })
	marks := highwater.NewFile(w.marks)
	mark, err := marks.Read(w.ctx)
	w.must(err)
	_, err = marks.Replace(w.ctx, mark, highwater.New(mark.Identity, mark.Seq+100, w.clock.Now()))
	w.must(err)
	w.backup()
	w.restore()
	w.clock.Advance(time.Hour)
	w.until(p, "held", held)
	_, err = w.ReleaseHeld(w.ctx, p.ID, "anna")
	w.must(err)
	w.wantStatus(w.settle(p), models.Published)
}

// TestRestoredCarousel: the backup was made while the files of a carousel were being
// processed, and the carousel went live after it. Instagram says of each file that it is part
// of a published post, which is the proof.
func TestRestoredCarousel(t *testing.T) {
	w := withBackup(t)
	p := w.accept(instagramCarousel, image("our week, once", time.Time{}))
	w.until(p, "processing", func(p *models.Post) bool { return p.Status == models.Processing && p.ContainerID == nil })
	w.backup()
	w.settle(p)
	w.wantLive(1)
	w.clock.Advance(time.Hour)
	w.restore()
	w.wantStatus(w.settle(p), models.Published)
	w.wantLive(1)
}
