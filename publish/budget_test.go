package publish_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"socialqueue/db"
	"socialqueue/db/dbtest"
	"socialqueue/models"
	"socialqueue/sandbox"
)

// tooMany counts the calls that a platform refused for their rate.
func (w *fixture) tooMany() int {
	n := 0
	for _, call := range w.sim.Calls() {
		if call.Status == http.StatusTooManyRequests {
			n++
		}
	}
	return n
}

// TestBudgetOfInits: twelve posts of two kinds are due on one account at once. TikTok takes six
// a minute, so the others wait without an attempt, and none is refused.
func TestBudgetOfInits(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := newFixture(t, d)
		var posts []*models.Post
		for i := range 12 {
			posts = append(posts, w.accept([]flow{tiktokVideo, tiktokPhotos}[i%2]))
		}
		began, waited := w.clock.Now(), 0
		for _, p := range posts {
			p = w.settle(p)
			w.wantStatus(p, models.Published)
			if p.Attempts != 0 {
				t.Errorf("%d attempts: %s", p.Attempts, w.story(p))
			}
			if strings.Contains(w.story(p), "TikTok takes 6 new posts a minute of an account, and these were made; the next one is free at ") {
				waited++
			}
		}
		w.wantLive(12)
		if n := w.tooMany(); n != 0 || waited == 0 {
			t.Errorf("%d calls were over the limit, and %d posts say that they waited", n, waited)
		}
		if took := w.clock.Now().Sub(began); took < time.Minute || took > 10*time.Minute {
			t.Errorf("it took %s", took)
		}
	})
}

// TestBudgetOfOneAccount: what one account used up costs another one nothing.
func TestBudgetOfOneAccount(t *testing.T) {
	w := onSQLite(t)
	for range 6 {
		w.settle(w.accept(tiktokVideo))
	}
	w.wantLive(6)
	used := w.sim.CountCalls(sandbox.OpTikTokInit)
	p := w.accept(tiktokVideo)
	w.until(p, "waiting", func(p *models.Post) bool { return p.DeferredReason == models.DeferredRateLimit })
	w.clock.Advance(time.Second)
	w.wantStatus(w.settle(w.accept(instagramImage)), models.Published)
	if n := w.sim.CountCalls(sandbox.OpTikTokInit); n != used {
		t.Errorf("the seventh was begun: %d inits", n)
	}
}
