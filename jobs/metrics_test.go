package jobs

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/hibiken/asynq"

	"socialqueue/observe"
	"socialqueue/platform"
	"socialqueue/publish"
)

// shows reports whether a process exports a metric line with this prefix.
func shows(t *testing.T, m *observe.Metrics, line string) bool {
	t.Helper()
	answer := httptest.NewRecorder()
	m.Handler().ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", http.NoBody))
	return strings.Contains("\n"+answer.Body.String(), "\n"+line)
}

// Results of tasks are counted by type, under the names of the metrics' contract.
func TestRunsAreCounted(t *testing.T) {
	client, m := newClient(t), observe.NewMetrics()
	q := NewQueue(client, testKinds())
	refused := &platform.Error{Op: "x", Kind: platform.RateLimited}
	ways := []func(ctx context.Context) error{
		func(context.Context) error { return nil },
		func(ctx context.Context) error {
			*observe.AttemptOf(ctx) = observe.Attempt{Outcome: observe.AttemptUnknown, Class: observe.ClassTimeout, Exhausted: true, Quarantined: true}
			return nil
		},
		func(ctx context.Context) error {
			observe.AttemptOf(ctx).Outcome = observe.AttemptRevoked
			return nil
		},
		func(context.Context) error { return later(time.Hour, errors.New("not yet")) },
		func(context.Context) error { return fmt.Errorf("%w: %w", refused, asynq.SkipRetry) },
		func(context.Context) error { return refused },
		func(context.Context) error { panic("boom") },
	}
	steps := make(chan func(context.Context) error, len(ways))
	startWorker(t, client, WorkerOptions{Concurrency: 1, Metrics: m}, func(ctx context.Context, _ publish.Task, _ <-chan struct{}) error {
		select {
		case step := <-steps:
			return step(ctx)
		default:
			return later(time.Hour, errors.New("it came back"))
		}
	})
	for _, way := range ways {
		steps <- way
		task := aTask()
		task.At = time.Now().Add(-30 * time.Second)
		if err := q.Enqueue(t.Context(), task); err != nil {
			t.Fatal(err)
		}
	}
	for _, line := range []string{
		`socialqueue_task_attempts_total{outcome="success",type="tiktok:publish"} 1`,
		`socialqueue_task_attempts_total{outcome="unknown",type="tiktok:publish"} 1`,
		`socialqueue_task_attempts_total{outcome="revoked",type="tiktok:publish"} 1`,
		`socialqueue_task_attempts_total{outcome="dead",type="tiktok:publish"} 1`,
		`socialqueue_task_attempts_total{outcome="retry",type="tiktok:publish"} 2`,
		`socialqueue_task_attempts_total{outcome="snooze",type="tiktok:publish"}`,
		`socialqueue_task_duration_seconds_count{outcome="retry",type="tiktok:publish"} 2`,
		`socialqueue_task_errors_total{class="timeout",type="tiktok:publish"} 1`,
		`socialqueue_task_errors_total{class="permanent",type="tiktok:publish"} 1`,
		`socialqueue_task_errors_total{class="rate_limited",type="tiktok:publish"} 1`,
		`socialqueue_task_errors_total{class="panic",type="tiktok:publish"} 1`,
		`socialqueue_task_retries_exhausted_total{type="tiktok:publish"} 1`,
		`socialqueue_task_quarantined_total{type="tiktok:publish"} 1`,
		// only runs that did their work, each of which waited at least half a minute
		`socialqueue_task_wait_seconds_count{queue="publish",type="tiktok:publish"} 2`,
		`socialqueue_task_wait_seconds_bucket{queue="publish",type="tiktok:publish",le="10"} 0`,
	} {
		eventually(t, 10*time.Second, line, func() bool { return shows(t, m, line) })
	}
}

// Asynq reports only to the error handler that it took a task away from its worker.
func TestLostLeaseIsCounted(t *testing.T) {
	m := observe.NewMetrics()
	h := hooks{log: quiet(), metrics: m, kinds: testKinds()}
	h.handleError(t.Context(), asynq.NewTask("tiktok:upload", nil), asynq.ErrLeaseExpired)
	h.handleError(t.Context(), asynq.NewTask("tiktok:upload", nil), errors.New("database is away"))
	if !shows(t, m, `socialqueue_task_errors_total{class="lease_lost",type="tiktok:upload"} 1`) {
		t.Error("a lost lease is not counted once")
	}
}

// Invented names share one series.
func TestUnknownTypesShareALabel(t *testing.T) {
	client, m := newClient(t), observe.NewMetrics()
	q := NewQueue(client, testKinds())
	startWorker(t, client, WorkerOptions{Metrics: m}, func(context.Context, publish.Task, <-chan struct{}) error { return nil })
	for i := range 3 {
		if _, err := q.client.EnqueueContext(t.Context(), asynq.NewTask(fmt.Sprint("made:up", i), nil), asynq.Queue(QueuePublish)); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, 10*time.Second, "all are counted as other", func() bool {
		return shows(t, m, `socialqueue_task_attempts_total{outcome="snooze",type="other"} 3`)
	})
	if shows(t, m, `socialqueue_task_attempts_total{outcome="snooze",type="made`) {
		t.Error("a made-up type has a series of its own")
	}
}

// A job that Asynq gave up and that still runs counts as stuck until it returns.
func TestStuckHandlersShow(t *testing.T) {
	client, m := newClient(t), observe.NewMetrics()
	q := NewQueue(client, testKinds())
	began, release := make(chan struct{}), make(chan struct{})
	startWorker(t, client, WorkerOptions{Metrics: m}, func(context.Context, publish.Task, <-chan struct{}) error {
		select {
		case <-began:
		default:
			close(began)
			<-release // deaf to its context
		}
		return nil
	})
	task := aTask()
	if err := q.Enqueue(t.Context(), task); err != nil {
		t.Fatal(err)
	}
	<-began
	const stuck = `socialqueue_handlers_stuck{queue="publish"} `
	if !shows(t, m, stuck+"0\n") {
		t.Error("a job that runs counts as stuck")
	}
	eventually(t, 15*time.Second, "it is stuck", func() bool {
		if err := q.inspector.CancelProcessing(postID(task)); err != nil { // which one that is not listened to yet does not hear
			t.Fatal(err)
		}
		return shows(t, m, stuck+"1\n")
	})
	close(release)
	eventually(t, 10*time.Second, "it is no longer", func() bool { return shows(t, m, stuck+"0\n") })
}
