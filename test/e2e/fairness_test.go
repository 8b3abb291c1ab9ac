package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/hibiken/asynq"

	"socialqueue/jobs"
	"socialqueue/sandbox"
	"socialqueue/sandbox/sample"
	"socialqueue/test/testkit"
)

// An account with a backlog of 300 videos, each of which takes a while, does not
// hold up another account's only one; and Redis holds no more than a few of the
// busy account's.
func TestBacklogHoldsUpNobody(t *testing.T) {
	w := newSystem(t, setup{sandbox: unlimited()})
	w.startWorker()
	w.startScheduler()
	clip := w.upload("video/mp4", sample.Video)
	busy, calm := w.tiktokAccount(), w.tiktokAccount()
	w.sim.Script(sandbox.Fault{Op: sandbox.OpTikTokChunk, Match: busy.external, Mode: sandbox.ModeSlow, Delay: 400 * time.Millisecond, Times: -1})
	const backlog = 300
	var orders []order
	for i := range backlog {
		orders = append(orders, order{busy, video(busy, clip, fmt.Sprintf("busy %d", i))})
	}
	w.acceptAll(orders)

	began := time.Now()
	p := w.accept(calm, video(calm, clip, "calm"))
	inLane, most := 0, 0
	count := func() {
		uploads, all := w.tasks(p.ID)
		inLane, most = max(inLane, uploads), max(most, all)
	}
	testkit.Await(w.t, testkit.Patience, "the calm account's post is live", func() (bool, string) {
		count()
		status := w.post(p.ID).Status
		return status == "published", status
	})
	took := time.Since(began)
	live := len(w.sim.LivePosts())
	testkit.Await(w.t, testkit.Patience, "the busy account's posts go on", func() (bool, string) {
		count()
		now := len(w.sim.LivePosts())
		return now >= live+5, fmt.Sprintf("%d more are live", now-live)
	})
	waiting := 0
	for _, other := range w.posts() {
		if other.Status == "queued" {
			waiting++
		}
	}
	t.Logf("MEASURED fairness backlog=%d still_queued=%d other_account_live_after=%dms most_tasks_of_busy_lane_in_redis=%d",
		backlog, waiting, took.Milliseconds(), most)
	if waiting < backlog/2 {
		t.Errorf("only %d posts still waited: the backlog was none", waiting)
	}
	// Three in the lane, and for a moment those that are just over.
	if inLane > 12 {
		t.Errorf("Redis held %d tasks of the busy lane", inLane)
	}
	// Those that left it for the platform's processing are as many as this machine is slow
	// to look at them.
	if most > backlog/4 {
		t.Errorf("Redis held %d tasks of the busy account", most)
	}
	w.liveAs("calm")
}

// tasks counts the posts other than one that have a task in Redis: to be uploaded, and in
// all.
func (w *system) tasks(otherThan string) (uploads, all int) {
	w.t.Helper()
	seen := map[string]bool{} // one may go on to the next list meanwhile
	for _, queue := range []string{jobs.QueueUpload, jobs.QueuePublish} {
		for _, list := range []func(string, ...asynq.ListOption) ([]*asynq.TaskInfo, error){
			w.inspector().ListPendingTasks, w.inspector().ListActiveTasks, w.inspector().ListScheduledTasks, w.inspector().ListRetryTasks,
		} {
			found, err := list(queue, asynq.PageSize(1000))
			if err != nil && !strings.Contains(err.Error(), "not found") {
				w.t.Fatal(err)
			}
			for _, task := range found {
				if post, _, _ := strings.Cut(task.ID, ":"); post != otherThan {
					seen[post] = true
				}
			}
		}
		if queue == jobs.QueueUpload {
			uploads = len(seen)
		}
	}
	return uploads, len(seen)
}
