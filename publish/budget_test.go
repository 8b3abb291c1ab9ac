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
	instagramposts "socialqueue/publish/instagram"
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

// TestBudgetOfPendingShares: of seven posts for a creator's inbox five go, and the others wait for a
// place although TikTok refuses none. A start that had no effect takes up no place.
func TestBudgetOfPendingShares(t *testing.T) {
	w := newLimited(t, dbtest.SQLite(t), sandbox.Limits{TikTokPendingShares: 5, TikTokInbox: 6})
	w.sim.Script(sandbox.Fault{Op: sandbox.OpTikTokInbox, Mode: sandbox.ModeStatus, Status: http.StatusServiceUnavailable, Times: 2})
	inbox := func(r *publish.Request) { r.Options = &tiktokposts.Options{Mode: tiktokposts.ModeInbox} }
	var posts []*models.Post
	for range 7 {
		posts = append(posts, w.accept(tiktokVideo, inbox))
	}
	for range 300 {
		w.step()
	}
	states := map[string]int{}
	for _, p := range posts {
		p = w.post(p)
		states[string(p.Status)+" "+p.DeferredReason]++
	}
	if states["delivered "] != 5 || states["queued pending_cap"] != 2 {
		t.Errorf("the posts are %v", states)
	}
	if n := w.tooMany(); n != 0 {
		t.Errorf("%d calls were over a limit", n)
	}
	for _, p := range posts {
		w.wantStatus(w.settle(p), models.Delivered)
	}
}

// TestBudgetOfContainers: containers of carousels count for all their files.
func TestBudgetOfContainers(t *testing.T) {
	w := newLimited(t, dbtest.SQLite(t), sandbox.Limits{InstagramContainers: 400})
	first := w.settle(w.accept(instagramCarousel)) // of three files
	w.must(w.fillBudget(first, "instagram:"+strconv.FormatInt(w.insta, 10)+"/containers", containersPerDay-5))
	last := w.settle(w.accept(instagramImage, func(r *publish.Request) { r.Options.(*instagramposts.Options).Caption = "The last one" }))
	w.wantStatus(last, models.Published)
	p := w.accept(instagramImage, func(r *publish.Request) { r.Options.(*instagramposts.Options).Caption = "One too many" })
	p = w.until(p, "waiting", func(p *models.Post) bool { return p.DeferredReason == models.DeferredDailyCap })
	if !strings.Contains(w.story(p), "this account may make 10000 Instagram containers in 24 hours, and has; this one can start at ") {
		t.Errorf("the timeline does not say why the post waits: %s", w.story(p))
	}
	w.wantStatus(w.settle(p), models.Published)
}

// fillBudget records calls of a budget.
func (w *fixture) fillBudget(p *models.Post, budget string, calls int) error {
	_, err := w.db.Pool().ExecContext(w.ctx, `
		WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $1)
		INSERT INTO ledger (post_id, op, state, sends, fence, budget, created_at) SELECT $2, 'instagram.create_container', 'done', FALSE, 1, $3, $4 FROM n`,
		calls, p.ID, budget, w.clock.Now())
	return err
}

// TestPollsKeepTheirPace: sixteen videos of one account are in processing for minutes. TikTok takes
// thirty polls a minute.
func TestPollsKeepTheirPace(t *testing.T) {
	w := newLimited(t, dbtest.SQLite(t), sandbox.Limits{TikTokStatus: 30})
	w.inits = 100
	w.start()
	w.sim.Script(sandbox.Fault{Op: sandbox.OpTikTokProcess, Mode: sandbox.ModeStuck, Times: -1})
	var posts []*models.Post
	for range 16 {
		posts = append(posts, w.accept(tiktokVideo))
	}
	for end := w.clock.Now().Add(3 * time.Minute); w.clock.Now().Before(end); {
		w.step()
	}
	if n, polls := w.tooMany(), w.sim.CountCalls(sandbox.OpTikTokStatus); n != 0 || polls < 40 {
		t.Errorf("%d of %d polls were over the limit", n, polls)
	}
	for _, p := range posts {
		if p = w.post(p); p.Status != models.Processing {
			t.Errorf("a post is %s: %s", p.Status, w.story(p))
		}
	}
}
