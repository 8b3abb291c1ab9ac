package crash_test

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"socialqueue/models"
	"socialqueue/sandbox"
	"socialqueue/sandbox/sample"
	"socialqueue/test/testkit"
)

const (
	largeBytes  = 300_000_000
	largeChunks = 30 // of 10 MB
	// drainTimeout is the SHUTDOWN_TIMEOUT of the workers here.
	drainTimeout = 3 * time.Second
	// exitMargin is what a process may take beyond it to end.
	exitMargin = time.Second
	// resumeTime is half of a lease: a post that was handed back does not wait for its end.
	resumeTime = 10 * time.Second
	// workerMiB is far below the size of the video.
	workerMiB = 150
)

// TestStopInLargeUpload: a worker is told to stop in the middle of a large upload, the
// next one in the middle of a chunk that never ends. Whoever follows goes on behind the
// last chunk that TikTok acknowledged.
func TestStopInLargeUpload(t *testing.T) {
	t.Parallel() // they mostly wait
	s := newSystem(t, setup{delays: &sandbox.Delays{}, env: map[string]string{"SHUTDOWN_TIMEOUT": drainTimeout.String()}})
	sum := s.acceptLarge(t)

	s.awaitChunks(t, largeChunks/3)
	first, firstMiB := s.drain(t, s.worker)
	if n := len(s.wire.acknowledged()); n < largeChunks/3 || n >= largeChunks*2/3 {
		t.Fatalf("the worker stopped after %d of %d chunks: that is not the middle", n, largeChunks)
	}
	second := s.anotherWorker(t, "worker-2")
	s.awaitChunks(t, largeChunks*2/3)
	testkit.Eventually(t, "the chunk is under way that nobody answers", func() bool { return s.wire.sentChunks() > largeChunks*2/3 })
	stuck, secondMiB := s.drain(t, second)
	stopped := time.Now()
	s.anotherWorker(t, "worker-3")
	s.awaitChunks(t, largeChunks*2/3+1)
	resumed := time.Since(stopped)
	if resumed > resumeTime {
		t.Errorf("the next worker went on %s after the one before had ended", resumed)
	}
	s.await(t, endTimeout)
	s.wantLargeOnce(t, sum)
	fmt.Printf("large upload: %d MB in %d chunks, %d calls, %d MB sent again; stopped between chunks in %s and in a chunk that never ends in %s (SHUTDOWN_TIMEOUT %s), gone on with %s later; workers held at most %d MiB\n",
		largeBytes/1_000_000, largeChunks, s.sim.CountCalls(sandbox.OpTikTokChunk), (s.sim.CountCalls(sandbox.OpTikTokChunk)-largeChunks)*10,
		first, stuck, drainTimeout, resumed.Round(time.Millisecond), max(firstMiB, secondMiB))
}

// A process whose delay is longer than all else that it may take to stop is let have it,
// and a second signal does not wait for it.
func TestStopOfAnAPIThatServesOn(t *testing.T) {
	t.Parallel() // it mostly waits
	const delay = 8 * time.Second
	s := newSystem(t, setup{env: map[string]string{"SHUTDOWN_DELAY": delay.String(), "SHUTDOWN_TIMEOUT": "1s"}})
	health := func(want int) {
		t.Helper()
		testkit.Eventually(t, fmt.Sprintf("the api's health is %d", want), func() bool {
			resp, err := s.client.Get(s.url + "/api/health/database")
			return err == nil && resp.Body.Close() == nil && resp.StatusCode == want
		})
	}
	if code, took := s.api.stop(); code != 0 || took < delay || took > delay+time.Second+exitMargin {
		t.Errorf("the api ended with exit code %d after %s, want 0 after %s", code, took, delay)
	}
	s.api.start()
	health(200)
	if err := s.api.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	health(503)
	if _, took := s.api.stop(); took > exitMargin {
		t.Errorf("after a second signal the api went on for %s", took)
	}
}

// acceptLarge stores the video and has it posted. It returns the video's SHA-256.
func (s *system) acceptLarge(t *testing.T) string {
	t.Helper()
	file, sum := sample.Large(largeBytes)
	media, answer, ok := s.send(t.Context(), "/api/media", "video/mp4", "", file, largeBytes)
	if !ok {
		t.Fatalf("the video was not stored: %s", answer)
	}
	slow := sandbox.Fault{Op: sandbox.OpTikTokChunk, Mode: sandbox.ModeSlow, Delay: 100 * time.Millisecond}
	before, after := slow, slow
	before.Times, after.Times = largeChunks*2/3, largeChunks/3
	s.sim.Script(before, sandbox.Fault{Op: sandbox.OpTikTokChunk, Mode: sandbox.ModeHang}, after)
	body := fmt.Sprintf(`{"account_id":%d,"media_id":%q,"title":"large","privacy_level":"PUBLIC_TO_EVERYONE"}`, s.tiktok[0], media)
	id, err := s.create(t.Context(), "/api/tiktok/upload", "application/json", "large", []byte(body))
	if err != nil {
		t.Fatal(err)
	}
	s.posts = append(s.posts, accepted{id, "large", models.Video})
	return sum()
}

func (s *system) awaitChunks(t *testing.T, n int) {
	t.Helper()
	testkit.Eventually(t, fmt.Sprintf("%d chunks are acknowledged", n), func() bool { return len(s.wire.acknowledged()) >= n })
}

// drain stops a worker and tells how long that took, and what it held in memory at most.
func (s *system) drain(t *testing.T, worker *child) (took time.Duration, mib int) {
	t.Helper()
	mib = peakMiB(t, worker.cmd.Process.Pid)
	if mib > workerMiB {
		t.Errorf("a worker holds %d MiB of a video of %d", mib, largeBytes>>20)
	}
	code, took := worker.stop()
	if code != 0 || took > drainTimeout+exitMargin {
		t.Errorf("a worker ended with exit code %d after %s", code, took)
	}
	return took.Round(time.Millisecond), mib
}

// peakMiB is the most that a process ever held, from the kernel of Linux.
func peakMiB(t *testing.T, pid int) int {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if kib, found := strings.CutPrefix(line, "VmHWM:"); found {
			n, err := strconv.Atoi(strings.TrimSuffix(strings.TrimSpace(kib), " kB"))
			if err != nil {
				t.Fatal(err)
			}
			return n >> 10
		}
	}
	t.Fatalf("the kernel does not tell the memory of a process:\n%s", status)
	return 0
}

// wantLargeOnce: every chunk was acknowledged once, and one was sent again at most, the
// one that never ended.
func (s *system) wantLargeOnce(t *testing.T, sum string) {
	t.Helper()
	acknowledged := s.wire.acknowledged()
	slices.Sort(acknowledged)
	if n := len(slices.Compact(slices.Clone(acknowledged))); n != largeChunks || len(acknowledged) != n {
		t.Errorf("%d chunks were acknowledged, %d different ones, want %d of both: %q", len(acknowledged), n, largeChunks, acknowledged)
	}
	if n := s.sim.CountCalls(sandbox.OpTikTokChunk); n > largeChunks+1 {
		t.Errorf("TikTok was sent %d chunks of a video of %d, want at most one more", n, largeChunks)
	}
	if n := s.sim.CountCalls(sandbox.OpTikTokInit); n != 1 {
		t.Errorf("%d uploads were opened, want 1\n%s", n, s.story(t, s.posts[0].id))
	}
	s.count(t)
	if n := s.number(t, `SELECT SUM(attempts) FROM posts`); n != 0 {
		t.Errorf("stopping used up %d attempts\n%s", n, s.story(t, s.posts[0].id))
	}
	live := s.sim.LivePosts()
	if len(live) != 1 || live[0].SHA256 != sum || live[0].Bytes != largeBytes {
		t.Errorf("live is %+v", live)
	}
}
