package jobs

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"socialqueue/models"
	"socialqueue/publish"
	"socialqueue/test/testkit"
)

// TestShareOfAnApp lets one app have far more jobs than there are workers, and none of them
// end. The other app's job runs nevertheless, and the first one's go on when there is room.
func TestShareOfAnApp(t *testing.T) {
	client := newClient(t)
	kinds := testKinds()
	q := NewQueue(client, kinds)
	const workers, theirs = 4, 20
	var busy, ran atomic.Int32
	end, other := make(chan struct{}), make(chan struct{})
	w := NewWorker(client, kinds, Work{Posts: runnerFunc(func(ctx context.Context, task publish.Task, _ <-chan struct{}) error {
		if task.PostID == "other" {
			close(other)
			return nil
		}
		busy.Add(1)
		<-end
		busy.Add(-1)
		ran.Add(1)
		return nil
	})}, quiet(), WorkerOptions{Concurrency: workers, UploadConcurrency: workers, ShutdownTimeout: 5 * time.Second})
	enqueue := func(id string, app int64) {
		testkit.Must(t, q.Enqueue(t.Context(), publish.Task{PostID: id, AppID: app, Platform: models.TikTok, AccountID: 1, Step: models.StepTransfer, At: time.Now()}))
	}
	for i := range theirs {
		enqueue(fmt.Sprint("theirs-", i), 1)
	}
	testkit.Must(t, w.Start())
	t.Cleanup(w.Stop)
	testkit.Eventually(t, "the app has its share", func() bool { return busy.Load() == workers })
	enqueue("other", 2)
	testkit.Receive(t, "the job of the other app", other)
	if n := busy.Load(); n != workers {
		t.Errorf("the app occupies %d workers, want %d", n, workers)
	}
	close(end)
	testkit.Eventually(t, "all jobs have run", func() bool { return ran.Load() == theirs })
}

func TestShare(t *testing.T) {
	s := newShare(2)
	for worker, want := range []bool{true, true, false} {
		if got := s.take(1); got != want {
			t.Errorf("worker %d of an app: %v, want %v", worker+1, got, want)
		}
	}
	if !s.take(2) || !s.take(0) {
		t.Error("another app, or none, is refused")
	}
	if s.wait(t.Context(), 1) {
		t.Error("an app has a third worker after a moment")
	}
	s.give(1)
	if !s.wait(t.Context(), 1) {
		t.Error("what was given back is not free")
	}
}
