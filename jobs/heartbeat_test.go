package jobs

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/hibiken/asynq"

	"socialqueue/publish"
)

func idle(context.Context, publish.Task, <-chan struct{}) error { return nil }

// A worker whose process was killed is still in Asynq's list, but beats no more.
func TestKilledWorkerIsNotCounted(t *testing.T) {
	client := newClient(t)
	q := NewQueue(client, testKinds())
	w := startWorker(t, client, WorkerOptions{}, idle)
	wantWorkers(t, q, 1)
	if left := client.PTTL(t.Context(), w.beats.key).Val(); left < beatKept-beatLate {
		t.Fatalf("the key %s is kept for %s, want about %s", w.beats.key, left, beatKept)
	}

	w.beats.end()
	w.beats.ended.Wait()
	quietSince := time.Now()
	wantWorkers(t, q, 0)
	if took := time.Since(quietSince); took > 5*time.Second {
		t.Errorf("the loss was seen after %s", took)
	}
	if servers, err := q.inspector.Servers(); err != nil || len(servers) == 0 {
		t.Fatalf("Asynq lists %d servers (%v): this test no longer shows anything", len(servers), err)
	}

	// so it is with a worker of the previous release
	if err := client.Del(t.Context(), w.beats.key).Err(); err != nil {
		t.Fatal(err)
	}
	wantWorkers(t, q, 1)
}

func TestStoppedWorkerLeavesNoHeartbeat(t *testing.T) {
	client := newClient(t)
	w := startWorker(t, client, WorkerOptions{}, idle)
	wantWorkers(t, NewQueue(client, testKinds()), 1)
	w.Stop()
	if n, err := client.Exists(t.Context(), w.beats.key).Result(); err != nil || n != 0 {
		t.Errorf("the key is there %d times after the worker stopped (%v)", n, err)
	}
}

// The key of a worker is found by what Asynq tells of its servers.
func TestHeartbeatIsThatOfAsynqsServers(t *testing.T) {
	client := newClient(t)
	q := NewQueue(client, testKinds())
	w := startWorker(t, client, WorkerOptions{}, idle)
	wantWorkers(t, q, 1)
	servers, err := q.inspector.Servers()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range servers {
		if key := beatKey(s.Host, s.PID); s.PID != os.Getpid() || key != w.beats.key {
			t.Errorf("the server of pid %d has the key %s, the worker beats %s", s.PID, key, w.beats.key)
		}
	}
	if alive, err := living(t.Context(), client, []*asynq.ServerInfo{{Host: "elsewhere", PID: 1}}); err != nil || len(alive) != 1 {
		t.Errorf("a server without a key: alive %d, %v; want it to count", len(alive), err)
	}
}

func wantWorkers(t *testing.T, q *Queue, want int) {
	t.Helper()
	eventually(t, patience, "the number of workers", func() bool {
		n, err := q.Workers()
		return err == nil && n == want
	})
}
