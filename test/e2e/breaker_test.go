package e2e

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"socialqueue/doctor"
	"socialqueue/sandbox"
	"socialqueue/sandbox/sample"
	"socialqueue/test/testkit"
)

// TikTok answers 503 for a while, on two workers. A few posts find out and one tries now and then; the
// others wait, and console and doctor say so. Afterwards all go live, each once.
func TestPlatformDown(t *testing.T) {
	t.Parallel()
	const videos = 40
	w := newSystem(t, operated())
	clip := w.upload("video/mp4", sample.Video)
	var orders []order
	for i := range videos {
		a := w.tiktokAccount()
		orders = append(orders, order{a, video(a, clip, fmt.Sprintf("video %d", i))})
	}
	w.startScheduler()
	w.startWorker()
	w.startWorker()
	w.sim.Script(sandbox.Fault{Op: sandbox.OpTikTokInit, Mode: sandbox.ModeStatus, Status: http.StatusServiceUnavailable, Times: -1})
	w.acceptAll(orders)
	testkit.Await(w.t, testkit.Patience, "most posts wait for TikTok", func() (bool, string) {
		n := 0
		for _, p := range w.posts() {
			if p.DeferredReason != nil && *p.DeferredReason == "platform_down" {
				n++
			}
		}
		return n >= videos/2, fmt.Sprintf("%d wait", n)
	})
	calls := w.sim.CountCalls(sandbox.OpTikTokInit)
	wantText(t, w.looks("/console"), "tiktok.init keeps failing (HTTP 503)")
	wantFound(t, w.examine(doctor.Options{}, nil), doctor.Warn, "breakers", "tiktok.init keeps failing since")

	time.Sleep(8 * time.Second) // what is counted is what does not happen meanwhile
	if more := w.sim.CountCalls(sandbox.OpTikTokInit) - calls; more > 3 {
		t.Errorf("TikTok was called %d times in eight seconds", more)
	}
	w.sim.ClearFaults()
	w.untilAllLive(2*time.Minute, videos)
	attempts := 0
	for _, p := range w.posts() {
		attempts += p.Attempts
	}
	if attempts > 4 { // the fifth failure opens the breaker
		t.Errorf("%d attempts were used", attempts)
	}
	wantFound(t, w.examine(doctor.Options{}, nil), doctor.OK, "breakers", "no kind of call")
}
