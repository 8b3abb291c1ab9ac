package e2e

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"socialqueue/sandbox"
	"socialqueue/sandbox/sample"
	"socialqueue/test/testkit"
)

// An api that is told to stop says so to load balancers and goes on to take posts, until
// the delay is over; then nobody is let in any more.
func TestAPIServesOnUntilTheDelayIsOver(t *testing.T) {
	const delay = 3 * time.Second
	w := newSystem(t, setup{sandbox: unlimited(), env: map[string]string{"SHUTDOWN_DELAY": delay.String()}})
	w.startWorker()
	tt := w.tiktokAccount()
	clip := w.upload("video/mp4", sample.Video)
	probes := func(want int, says string) {
		for _, path := range []string{"/readyz", "/api/health/database"} {
			testkit.Await(w.t, 5*time.Second, fmt.Sprintf("%s answers %d", path, want), func() (bool, string) {
				r := w.call(testkit.Call{Method: "GET", Path: path})
				return r.Status == want && strings.Contains(string(r.Body), says), string(r.Body)
			})
		}
	}
	probes(200, "ok")
	began, stopped := time.Now(), make(chan time.Duration, 1)
	go func() {
		if err := w.api.Stop(context.WithoutCancel(t.Context())); err != nil {
			t.Errorf("stop: %v", err)
		}
		stopped <- time.Since(began)
	}()
	probes(503, "the process is stopping")
	w.accept(tt, video(tt, clip, "in the last moment"))
	if took := <-stopped; took < delay || took > 2*delay {
		t.Errorf("it took %s to stop, want %s and little more", took, delay)
	}
	if _, err := w.client().Try(testkit.Call{Method: "GET", Path: "/livez"}); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("afterwards: %v", err)
	}
}

// A worker is told to stop in the middle of a large upload. It hands the post
// back with no attempt used, and another worker goes on behind the last chunk.
func TestStopInTheMiddleOfAnUpload(t *testing.T) {
	w := newSystem(t, setup{sandbox: unlimited(), env: map[string]string{"MEDIA_MAX_BYTES": "200MB"}})
	w.startScheduler()
	tt := w.tiktokAccount()
	const size, chunks = 95_000_000, 9 // of 10 MB, the last one takes the rest
	file, sum := sample.Large(size)
	media := w.call(testkit.Call{Method: "POST", Path: "/api/media", Body: file, Length: size, ContentType: "video/mp4"}).Want(201)
	if media.Text("sha256") != sum() {
		t.Fatalf("stored another file: %s", media.Body)
	}
	slow := sandbox.Fault{Op: sandbox.OpTikTokChunk, Mode: sandbox.ModeSlow, Delay: 150 * time.Millisecond, Times: 3}
	slower := slow // so that the rest is not over before the worker is told to stop
	slower.Delay, slower.Times = time.Second, -1
	w.sim.Script(slow, slower)

	stopFirst := w.startWorker()
	p := w.accept(tt, video(tt, media.Text("id"), "large"))
	testkit.Await(w.t, testkit.Patience, "three chunks are sent", func() (bool, string) {
		n := w.sim.CountCalls(sandbox.OpTikTokChunk)
		return n >= 3, fmt.Sprintf("%d", n)
	})
	began := time.Now()
	stopFirst()
	stopped := time.Since(began)
	w.sim.ClearFaults()
	sent := w.sim.CountCalls(sandbox.OpTikTokChunk)
	if sent >= chunks {
		t.Fatal("the upload was over before the worker stopped")
	}
	if got := w.post(p.ID); got.Status != "publishing" || got.Attempts != 0 {
		t.Errorf("handed back as %+v", got)
	}

	again := time.Now()
	w.startWorker()
	got := w.untilStatus(testkit.Patience, p.ID, "published")
	events := w.events(p.ID)
	if first := firstAfter(calls(events), again, "tiktok.chunk"); first.Message != fmt.Sprintf("bytes %d-%d/%d", sent*10_000_000, (sent+1)*10_000_000-1, int64(size)) {
		t.Errorf("the second worker began with %q after %d chunks", first.Message, sent)
	}
	if n := w.sim.CountCalls(sandbox.OpTikTokChunk); n != chunks {
		t.Errorf("%d chunks were sent, want %d", n, chunks)
	}
	if n := w.sim.CountCalls(sandbox.OpTikTokInit); n != 1 || got.Attempts != 0 {
		t.Errorf("%d uploads were opened with %d attempts used, want 1 and 0:\n%s", n, got.Attempts, story(events))
	}
	if live := w.liveAs("large"); live.SHA256 != sum() || live.Bytes != size {
		t.Errorf("live is %+v", live)
	}
	t.Logf("MEASURED drain stop_took=%dms chunks_before=%d chunks_after=%d", stopped.Milliseconds(), sent, chunks-sent)
}

func firstAfter(events []event, at time.Time, op string) event {
	for _, e := range events {
		if e.Operation == op && e.At.After(at) {
			return e
		}
	}
	return event{}
}
