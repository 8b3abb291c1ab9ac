package publish_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"socialqueue/db"
	"socialqueue/db/dbtest"
	"socialqueue/models"
	"socialqueue/publish"
	tiktokposts "socialqueue/publish/tiktok"
	"socialqueue/sandbox"
)

func (w *fixture) pause(platform models.Platform, account int64) (resume func()) {
	w.t.Helper()
	scope, err := w.PauseScope(w.ctx, platform, account)
	w.must(err)
	w.must(w.Pause(publish.WithActor(w.ctx, "anna"), scope, "TikTok looks into it"))
	return func() {
		w.t.Helper()
		was, err := w.Resume(w.ctx, scope)
		w.must(err)
		if !was {
			w.t.Errorf("%s was not paused", scope)
		}
	}
}

func (w *fixture) wantPaused(p *models.Post, as models.Status) {
	w.t.Helper()
	if got := w.post(p); got.Status != as || got.DeferredReason != models.DeferredPaused || got.Admission != models.AdmissionParked || got.Attempts != 0 {
		w.t.Errorf("the post is not held: %s, %q, %q: %s", got.Status, got.DeferredReason, got.Admission, w.story(p))
	}
}

// What is accepted, or comes due, while its platform or account is paused makes no
// call; another's goes on. Each is live once when it is over.
func TestPausedPostsWait(t *testing.T) {
	for name, account := range map[string]bool{"platform": false, "account": true} {
		t.Run(name, func(t *testing.T) {
			dbtest.Each(t, func(t *testing.T, d *db.DB) {
				w := newFixture(t, d)
				paused := int64(0)
				if account {
					paused = w.tiktok
				}
				later := w.clock.Now().Add(10 * time.Minute)
				before := w.accept(tiktokVideo)
				scheduled := w.accept(tiktokVideo, func(r *publish.Request) { r.PublishAt, r.Options.(*tiktokposts.Options).Title = &later, "later" })
				resume := w.pause(models.TikTok, paused)
				during := w.accept(tiktokVideo, func(r *publish.Request) { r.Options.(*tiktokposts.Options).Title = "during" })
				w.wantStatus(w.settle(w.accept(instagramImage)), models.Published)
				for w.clock.Now().Before(later.Add(time.Minute)) {
					w.step()
				}
				for _, p := range []*models.Post{before, scheduled, during} {
					w.wantPaused(p, models.Queued)
				}
				if got := w.post(scheduled); got.Fence != 0 {
					t.Errorf("what came due in the pause was run %d times to find that out", got.Fence)
				}
				if n := w.sim.CountCalls(sandbox.OpTikTokInit); n != 0 || w.queue.Posts.Len() != 0 {
					t.Errorf("%d uploads were begun, %d tasks are in Asynq", n, w.queue.Posts.Len())
				}
				if !strings.Contains(w.story(before), "is paused by anna: TikTok looks into it") {
					t.Errorf("the timeline does not say who, and why: %s", w.story(before))
				}
				resume()
				for _, p := range []*models.Post{before, scheduled, during} {
					w.wantStatus(w.settle(p), models.Published)
				}
				w.wantLive(4)
			})
		})
	}
}

// A pause that comes between the container and its publishing keeps the publishing
// back; afterwards it goes on with that container.
func TestPauseInTheMiddle(t *testing.T) {
	w := onSQLite(t)
	p := w.accept(instagramReel)
	w.until(p, "with a container", func(p *models.Post) bool { return p.ContainerID != nil })
	resume := w.pause(models.Instagram, w.insta)
	for range 20 {
		w.step()
	}
	w.wantPaused(p, models.Processing)
	w.wantLive(0)
	resume()
	w.wantStatus(w.settle(p), models.Published)
	w.wantLive(1)
	if n := w.sim.CountCalls(sandbox.OpInstagramContainer); n != 1 {
		t.Errorf("%d containers were made: %s", n, w.story(p))
	}
}

// What may be live is looked at during a pause: a pause hides no outcome.
func TestPauseDoesNotStopLooking(t *testing.T) {
	w := onSQLite(t)
	p := w.accept(tiktokVideo)
	w.until(p, "processing", func(p *models.Post) bool { return p.Status == models.Processing })
	w.pause(models.TikTok, 0)
	w.wantStatus(w.settle(p), models.Published)
	w.wantLive(1)
}

// A post that is worth nothing later is missed, and not sent after the pause.
func TestPausedTooLong(t *testing.T) {
	w, minute := onSQLite(t), time.Minute
	resume := w.pause(models.TikTok, 0)
	p := w.accept(tiktokVideo, func(r *publish.Request) { r.MaxLateness = &minute })
	w.step()
	w.clock.Advance(2 * time.Minute)
	w.tick()
	w.wantStatus(p, models.Missed)
	resume()
	w.tick()
	w.wantLive(0)
}

func TestPauseScopeRefuses(t *testing.T) {
	w := onSQLite(t)
	for _, c := range []struct {
		platform models.Platform
		account  int64
		field    string
	}{{"facebook", 0, "platform"}, {models.TikTok, 4711, "account"}, {models.Instagram, 4711, "account"}} {
		_, err := w.PauseScope(w.ctx, c.platform, c.account)
		var errs models.FieldErrors
		if !errors.As(err, &errs) || errs[0].Field != c.field {
			t.Errorf("%s %d: %v, want an error about %s", c.platform, c.account, err, c.field)
		}
	}
	if err := w.Pause(w.ctx, "tiktok", strings.Repeat("x", 501)); err == nil {
		t.Error("a reason of 501 bytes was taken")
	}
	if was, err := w.Resume(w.ctx, "tiktok"); was || err != nil {
		t.Errorf("resumed what was not paused: %v, %v", was, err)
	}
}
