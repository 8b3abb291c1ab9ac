package publish_test

import (
	"fmt"
	"net/http"
	"strconv"
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

// TestBudgetOfInits: sixteen posts of two kinds are due on one account at once. TikTok takes six
// a minute, so the others wait without an attempt, and none is refused.
func TestBudgetOfInits(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := newLimited(t, d, sandbox.Limits{TikTokInit: 6, TikTokPhoto: 6, TikTokCreatorInfo: 20})
		var posts []*models.Post
		for i := range 16 {
			posts = append(posts, w.accept([]flow{tiktokVideo, tiktokPhotos}[i%2]))
		}
		began, waited := w.clock.Now(), 0
		for _, p := range posts {
			p = w.settle(p)
			w.wantStatus(p, models.Published)
			if p.Attempts != 0 {
				t.Errorf("%d attempts: %s", p.Attempts, w.story(p))
			}
			if strings.Contains(w.story(p), "this account may start 6 TikTok posts a minute, and has; this one can start at ") {
				waited++
			}
		}
		w.wantLive(16)
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
	if n := w.sim.CountCalls(sandbox.OpTikTokInit); n != used {
		t.Errorf("the seventh was started: %d inits", n)
	}
	w.ttSim = w.sim.AddTikTokAccount(sandbox.TikTokAccount{OpenID: "-000other", PostsCap: -1, ExpiresAt: w.clock.Now().Add(24 * time.Hour)})
	w.tiktok = w.importTikTok(w.ttSim.AccessToken)
	w.until(w.accept(tiktokVideo), "sent", func(p *models.Post) bool { return p.PublishID != nil })
	if n := w.sim.CountCalls(sandbox.OpTikTokInit); n != used+1 {
		t.Errorf("%d inits, want one of the other account", n-used)
	}
}

// TestBudgetKeepsTheLane: posts that wait for the next minute keep their places, so that those
// behind them stay where they are, and none of the account is overtaken by more than a few.
func TestBudgetKeepsTheLane(t *testing.T) {
	w := newLimited(t, dbtest.SQLite(t), sandbox.Limits{TikTokInit: 6, TikTokCreatorInfo: 20})
	const n, places = 20, 3
	for i := range n {
		w.clock.Advance(time.Millisecond)
		w.accept(tiktokVideo, func(r *publish.Request) { r.Options.(*tiktokposts.Options).Title = fmt.Sprint(i) })
	}
	for range 2000 {
		if len(w.sim.LivePosts()) == n {
			break
		}
		w.step()
		var admitted int
		w.must(w.db.Pool().QueryRowContext(w.ctx,
			"SELECT COUNT(*) FROM posts WHERE admission = 'admitted' AND status IN ('scheduled', 'queued', 'publishing')").Scan(&admitted))
		if admitted > places {
			t.Fatalf("%d posts are in the queue to be sent", admitted)
		}
	}
	w.wantLive(n)
	for at, live := range w.sim.LivePosts() {
		if i, err := strconv.Atoi(live.Caption); err != nil || max(i-at, at-i) > 2*places {
			t.Errorf("post %q went live as number %d", live.Caption, at)
		}
	}
	if calls := w.sim.CountCalls(sandbox.OpTikTokCreatorInfo); w.tooMany() != 0 || calls > 2*n {
		t.Errorf("%d calls were over the limit; creator_info was called %d times", w.tooMany(), calls)
	}
}
