package e2e

import (
	"testing"
	"time"

	"socialqueue/sandbox"
	"socialqueue/sandbox/sample"
	"socialqueue/test/testkit"
)

func TestChangesOfMind(t *testing.T) {
	w := newSystem(t, setup{sandbox: unlimited()})
	stopWorker := w.startWorker()
	w.startScheduler()
	tt, ig := w.tiktokAccount(), w.instagramAccount()
	clip, still := w.upload("video/mp4", sample.Video), w.upload("image/jpeg", sample.Picture)
	patch := func(id string, at time.Time) *testkit.Reply {
		return w.call(testkit.Call{Method: "PATCH", Path: "/api/posts/" + id, JSON: fields{"publish_at": at}})
	}
	later := func(d time.Duration) fields { return fields{"publish_at": time.Now().Add(d)} }

	t.Run("sooner", func(t *testing.T) {
		p := w.accept(ig, picture(ig, still, "sooner").with(later(24*time.Hour)))
		if p.Status != "scheduled" {
			t.Errorf("accepted as %s", p.Status)
		}
		at := time.Now().Add(time.Second)
		patch(p.ID, at).Want(200)
		got := w.untilStatus(testkit.Patience, p.ID, "published")
		if first := calls(w.events(p.ID))[0].At; first.Before(got.PublishAt) {
			t.Errorf("called at %s, before %s", first, got.PublishAt)
		}
		w.liveAs("sooner")
		patch(p.ID, time.Now().Add(time.Hour)).Want(409)
	})
	t.Run("later", func(t *testing.T) {
		// Its first task is already in Redis, for another time. No worker is there that
		// could begin before the change.
		stopWorker()
		p := w.accept(tt, video(tt, clip, "later").with(later(2*time.Second)))
		w.wantTask(p.ID, "upload")
		at := time.Now().Add(4 * time.Second)
		patch(p.ID, at).Want(200)
		stopWorker = w.startWorker()
		w.untilStatus(testkit.Patience, p.ID, "published")
		if first := calls(w.events(p.ID))[0].At; first.Before(at.Truncate(time.Millisecond)) {
			t.Errorf("called at %s, before %s", first, at)
		}
		w.liveAs("later")
	})
	t.Run("canceled", func(t *testing.T) {
		stopWorker()
		p := w.accept(ig, picture(ig, still, "canceled").with(later(2*time.Second)))
		w.wantTask(p.ID, "publish")
		for range 2 { // canceling twice is no error
			if got := w.call(testkit.Call{Method: "DELETE", Path: "/api/posts/" + p.ID}).Want(200).Text("status"); got != "canceled" {
				t.Errorf("status is %s", got)
			}
		}
		stopWorker = w.startWorker()
		testkit.Await(w.t, testkit.Patience, "the time of the post is over", func() (bool, string) {
			return time.Now().After(p.PublishAt), "not yet"
		})
		w.untilIdle(testkit.Patience) // the worker has taken the post's task, if it was still there
		w.untilStatus(0, p.ID, "canceled")
		w.notLive("canceled")
		patch(p.ID, time.Now().Add(time.Hour)).Want(409)
		w.call(testkit.Call{Method: "POST", Path: "/api/posts/" + p.ID + "/retry"}).Want(409)
	})
	t.Run("canceled too late", func(t *testing.T) {
		w.sim.Script(sandbox.Fault{Op: sandbox.OpTikTokChunk, Mode: sandbox.ModeSlow, Delay: time.Second})
		p := w.accept(tt, video(tt, clip, "too late to cancel"))
		testkit.Await(w.t, testkit.Patience, "its video is on the way", func() (bool, string) {
			return len(w.sim.PendingFaults()) == 0, story(w.events(p.ID))
		})
		w.call(testkit.Call{Method: "DELETE", Path: "/api/posts/" + p.ID}).Want(409)
		w.untilStatus(testkit.Patience, p.ID, "published")
		w.liveAs("too late to cancel")
	})
	t.Run("failed and retried", func(t *testing.T) {
		w.sim.Script(sandbox.Fault{Op: sandbox.OpTikTokInit, Mode: sandbox.ModeError, Code: "privacy_level_option_mismatch"})
		p := w.accept(tt, video(tt, clip, "retried"))
		failed := w.untilStatus(testkit.Patience, p.ID, "failed", "published")
		if failed.Error == nil || failed.Error.Code != "PUBLISH_FAILED" {
			t.Errorf("the failed post is %+v", failed)
		}
		w.notLive("retried")
		w.call(testkit.Call{Method: "POST", Path: "/api/posts/" + p.ID + "/retry"}).Want(202)
		if got := w.untilStatus(testkit.Patience, p.ID, "published"); got.Error != nil {
			t.Errorf("the post still tells its error: %+v", got.Error)
		}
		w.liveAs("retried")
		w.call(testkit.Call{Method: "POST", Path: "/api/posts/" + p.ID + "/retry"}).Want(409)
	})
	t.Run("missed and retried", func(t *testing.T) {
		stopWorker()
		p := w.accept(ig, picture(ig, still, "missed").with(later(time.Second)).with(fields{"max_lateness": "1s"}))
		w.untilStatus(testkit.Patience, p.ID, "missed")
		w.startWorker()
		w.untilIdle(testkit.Patience) // the worker has taken the post's task
		w.notLive("missed")
		w.call(testkit.Call{Method: "POST", Path: "/api/posts/" + p.ID + "/retry"}).Want(202)
		w.untilStatus(testkit.Patience, p.ID, "published")
		w.liveAs("missed")
	})
	w.untilIdle(testkit.Patience)
	w.wantEachLiveOnce(5)
	if left := w.sim.PendingFaults(); len(left) > 0 {
		t.Errorf("faults that never happened: %+v", left)
	}
}

// wantTask waits until the post's first task is in Redis.
func (w *system) wantTask(postID, queue string) {
	w.t.Helper()
	testkit.Await(w.t, testkit.Patience, "the task of "+postID+" is in Redis", func() (bool, string) {
		_, err := w.inspector().GetTaskInfo(queue, postID+":0")
		return err == nil, "nothing"
	})
}
