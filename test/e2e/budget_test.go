package e2e

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"socialqueue/sandbox"
	"socialqueue/sandbox/sample"
	"socialqueue/test/testkit"
)

// Two hundred videos of twenty accounts are due at once, on four workers, and Redis is emptied while
// those wait that go beyond TikTok's limits for each account. TikTok refuses none, and none loses an
// attempt.
func TestBudgetOverWorkers(t *testing.T) {
	t.Parallel()
	accounts, each, workers := 20, 10, 4
	if testing.Short() {
		accounts, each, workers = 1, 12, 2
	}
	videos := accounts * each
	o := unlimited()
	o.Limits = &sandbox.Limits{TikTokInit: 6, TikTokCreatorInfo: 20, TikTokStatus: 30}
	w := newSystem(t, setup{sandbox: o})
	clip := w.upload("video/mp4", sample.Video)
	var orders []order
	for range accounts {
		a := w.tiktokAccount()
		for range each {
			orders = append(orders, order{a, video(a, clip, fmt.Sprintf("video %d", len(orders)))})
		}
	}
	w.startScheduler()
	for range workers {
		w.startWorker()
	}
	began := time.Now()
	w.acceptAll(orders)
	testkit.Await(w.t, testkit.Patience, "six of each account are live", func() (bool, string) {
		n := len(w.sim.LivePosts())
		return n >= 6*accounts, fmt.Sprintf("%d are live", n)
	})
	testkit.Await(w.t, testkit.Patience, "others wait for the next minute", func() (bool, string) {
		n := 0
		for _, p := range w.posts() {
			if p.DeferredReason != nil && *p.DeferredReason == "rate_limited" {
				n++
			}
		}
		return n > 0, fmt.Sprintf("%d wait", n)
	})
	w.must(w.redis.FlushDB(t.Context()).Err())
	w.untilAllLive(4*time.Minute, videos)
	if took := time.Since(began); took < time.Minute {
		t.Errorf("all were live after %s", took)
	}
	for _, p := range w.posts() {
		if p.Attempts != 0 {
			t.Errorf("post %s used %d attempts", p.ID, p.Attempts)
		}
	}
	for _, call := range w.sim.Calls() {
		if call.Status == http.StatusTooManyRequests {
			t.Errorf("%s was called too often: %+v", call.Op, call)
		}
	}
}
