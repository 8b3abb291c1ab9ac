package e2e

import (
	"fmt"
	"testing"
	"time"

	"socialqueue/jobs"
	"socialqueue/sandbox"
	"socialqueue/sandbox/sample"
	"socialqueue/test/testkit"
)

// Redis loses everything while 20 posts are being sent and 500 wait: half of
// them for their time, half for their turn. Postgres is the truth, so all go
// live, and each once.
func TestRedisEmptied(t *testing.T) {
	w := newSystem(t, setup{sandbox: unlimited(), env: map[string]string{"UPLOAD_CONCURRENCY": "32"}})
	const running, waiting = 20, 500
	clip, still := w.upload("video/mp4", sample.Video), w.upload("image/jpeg", sample.Picture)
	w.sim.Script(sandbox.Fault{Op: sandbox.OpTikTokChunk, Mode: sandbox.ModeSlow, Delay: 2 * time.Second, Times: running})

	var first, rest []order
	for i := range running {
		a := w.tiktokAccount()
		first = append(first, order{a, video(a, clip, fmt.Sprintf("running %d", i))})
	}
	for i := range waiting / 2 { // behind those, for their turn
		a := first[i%running].account
		rest = append(rest, order{a, video(a, clip, fmt.Sprintf("backlog %d", i))})
	}
	other := w.instagramAccount()
	tomorrow := func(caption string) fields { return picture(other, still, caption) }
	at := time.Now().Add(w.timeFor(running+waiting, other, tomorrow, 6*time.Second))
	for i := range waiting / 2 / 10 {
		a := w.instagramAccount()
		for k := range 10 {
			body := picture(a, still, fmt.Sprintf("scheduled %d.%d", i, k))
			rest = append(rest, order{a, body.with(fields{"publish_at": at})})
		}
	}
	w.startScheduler()
	w.acceptAll(first)
	w.acceptAll(rest)
	w.startWorker()
	testkit.Await(w.t, testkit.Patience, "20 uploads are under way", func() (bool, string) {
		n := w.active(jobs.QueueUpload)
		return n >= running, fmt.Sprintf("%d tasks run", n)
	})

	emptied := time.Now()
	w.must(w.redis.FlushDB(t.Context()).Err())

	w.untilAllLive(5*testkit.Patience, running+waiting)
	t.Logf("MEASURED redis_emptied running=%d waiting=%d live=%d all_live_after=%.1fs",
		running, waiting, len(w.sim.LivePosts()), time.Since(emptied).Seconds())
}

// active counts the tasks of a queue that workers hold.
func (w *system) active(queue string) int {
	w.t.Helper()
	n, err := w.redis.LLen(w.t.Context(), "asynq:{"+queue+"}:active").Result()
	w.must(err)
	return int(n)
}
