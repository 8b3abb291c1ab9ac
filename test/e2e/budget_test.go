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

// Twelve videos of one account are due at once, on two workers, and Redis is emptied while six of
// them wait for the next minute. TikTok refuses none, and none loses an attempt.
func TestBudgetOverWorkers(t *testing.T) {
	t.Parallel()
	const videos = 12
	o := unlimited()
	o.Limits = &sandbox.Limits{TikTokInit: 6}
	w := newSystem(t, setup{sandbox: o})
	a, clip := w.tiktokAccount(), w.upload("video/mp4", sample.Video)
	var orders []order
	for i := range videos {
		orders = append(orders, order{a, video(a, clip, fmt.Sprintf("video %d", i))})
	}
	w.startScheduler()
	w.startWorker()
	w.startWorker()
	began := time.Now()
	w.acceptAll(orders)
	testkit.Await(w.t, testkit.Patience, "six are live", func() (bool, string) {
		n := len(w.sim.LivePosts())
		return n >= 6, fmt.Sprintf("%d are live", n)
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
		t.Errorf("twelve were live after %s", took)
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
