package publish_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"socialqueue/db"
	"socialqueue/db/dbtest"
	"socialqueue/models"
	"socialqueue/publish"
	instagramposts "socialqueue/publish/instagram"
	"socialqueue/sandbox"
)

// While TikTok answers every call with 503, a few posts find out, one tries now and then, and none
// loses the attempts that it needs. Afterwards all are live, each once.
func TestBreaker(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := newFixture(t, d)
		w.queue.SetPlaces(4)
		a := w.tenant(30)
		w.sim.Script(sandbox.Fault{Op: sandbox.OpTikTokInit, Mode: sandbox.ModeStatus, Status: 503, Times: -1})
		var posts []*models.Post
		for range 30 {
			posts = append(posts, a.accept())
		}
		down := w.clock.Now()
		for w.clock.Now().Sub(down) < 2*time.Minute {
			w.step()
		}
		if n := w.sim.CountCalls(sandbox.OpTikTokInit); n < 8 || n > 15 {
			t.Errorf("TikTok was called %d times in two minutes", n)
		}
		if n := w.queue.Posts.Len(); n > 16 { // the others take turns when it is over
			t.Errorf("%d tasks wait in Asynq", n)
		}
		waiting, attempts := 0, 0
		for _, p := range posts {
			p = w.post(p)
			attempts += p.Attempts
			if p.DeferredReason == models.DeferredDown {
				waiting++
			}
			if story := w.story(p); p.Attempts == 0 && !strings.Contains(story, "tiktok.init keeps failing since 2026-11-23T10:00:00Z (HTTP 503)") {
				t.Errorf("the timeline does not say why the post waits: %s", story)
			}
		}
		if waiting < 15 || attempts != 4 { // the fifth failure opened the breaker
			t.Errorf("%d posts wait for the platform; %d attempts were used", waiting, attempts)
		}
		w.sim.ClearFaults()
		back := w.clock.Now()
		for _, p := range posts {
			p = w.settle(p)
			w.wantStatus(p, models.Published)
			if late := p.PublishedAt.Sub(back); late > 3*time.Minute {
				t.Errorf("a post went live %s after the outage", late)
			}
		}
		w.wantLive(30)
		if all, err := d.Breakers.List(w.ctx); err != nil || len(all) != 0 {
			t.Errorf("breakers are left: %+v, %v", all, err)
		}
	})
}

// A post that fails every time uses up its attempts and ends, however often it fails.
func TestBreakerStaysClosedForOnePost(t *testing.T) {
	w := onSQLite(t)
	w.sim.Script(sandbox.Fault{Op: sandbox.OpTikTokInit, Mode: sandbox.ModeStatus, Status: 503, Times: -1})
	p := w.settle(w.accept(tiktokVideo))
	w.wantStatus(p, models.Failed)
	if p.Attempts != 9 {
		t.Errorf("%d attempts", p.Attempts)
	}
}

// One success between the failures of many posts keeps the breaker closed.
func TestBreakerNeedsFailuresInARow(t *testing.T) {
	w := onSQLite(t)
	a := w.tenant(30)
	for range 10 {
		w.sim.Script(sandbox.Fault{Op: sandbox.OpTikTokInit, Mode: sandbox.ModeStatus, Status: 503, Times: 1})
		p := a.accept()
		w.until(p, "tried", func(p *models.Post) bool { return p.Attempts == 1 })
		w.sim.ClearFaults()
		w.wantStatus(w.settle(a.accept()), models.Published)
	}
	all, err := w.db.Breakers.List(w.ctx)
	w.must(err)
	for _, b := range all {
		if b.Open() {
			t.Errorf("the breaker is open: %+v", b)
		}
	}
}

// Calls that may make a post live are looked for, and never made again because a breaker closed.
func TestBreakerOfSendingCalls(t *testing.T) {
	w := onSQLite(t)
	w.sim.Script(sandbox.Fault{Op: sandbox.OpInstagramPublish, Mode: sandbox.ModeStatus, Status: 503, After: true, Times: -1})
	var posts []*models.Post
	for i := range 12 {
		posts = append(posts, w.accept(instagramImage, func(r *publish.Request) { r.Options.(*instagramposts.Options).Caption = fmt.Sprint("bread ", i) }))
	}
	down := w.clock.Now()
	for w.clock.Now().Sub(down) < 2*time.Minute {
		w.step()
	}
	w.sim.ClearFaults()
	for _, p := range posts {
		w.wantStatus(w.settle(p), models.Published)
	}
	w.wantLive(12)
	if n := w.sim.CountCalls(sandbox.OpInstagramPublish); n != 12 {
		t.Errorf("media_publish was called %d times for 12 posts", n)
	}
}
