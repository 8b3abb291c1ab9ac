package jobs

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/hibiken/asynq"

	"socialqueue/db"
	"socialqueue/models"
	"socialqueue/publish"
)

// TestWire pins every task as it is stored in Redis. During an upgrade workers of two
// releases share the queues, so none of this may change.
func TestWire(t *testing.T) {
	q := NewQueue(newClient(t), testKinds())
	post := func(p models.Platform, step models.Step) func(context.Context) error {
		return func(ctx context.Context) error {
			return q.Enqueue(ctx, publish.Task{
				PostID: string(p) + "-" + string(step), Fence: 3, AppID: 2, Platform: p, AccountID: 7, Step: step, At: time.Now(), CorrelationID: "req-1",
			})
		}
	}
	for _, want := range []struct {
		enqueue           func(context.Context) error
		queue, id, name   string
		payload           string
		timeout           time.Duration
		knownCorrelation  string
		idIsFollowedByNow bool
	}{
		{
			enqueue: post(models.TikTok, models.StepTransfer), queue: "upload", id: "tiktok-transfer:3", name: "tiktok:upload", timeout: 6 * time.Hour,
			payload: `{"v":1,"post_id":"tiktok-transfer","fence":3,"app_id":2,"platform":"tiktok","account_id":7}`, knownCorrelation: "req-1",
		},
		{
			enqueue: post(models.TikTok, models.StepPublish), queue: "publish", id: "tiktok-publish:3", name: "tiktok:publish", timeout: 10 * time.Minute,
			payload: `{"v":1,"post_id":"tiktok-publish","fence":3,"app_id":2,"platform":"tiktok","account_id":7}`, knownCorrelation: "req-1",
		},
		{
			enqueue: post(models.Instagram, models.StepTransfer), queue: "upload", id: "instagram-transfer:3", name: "instagram:publish", timeout: 6 * time.Hour,
			payload: `{"v":1,"post_id":"instagram-transfer","fence":3,"app_id":2,"platform":"instagram","account_id":7}`, knownCorrelation: "req-1",
		},
		{
			enqueue: post(models.Instagram, models.StepPublish), queue: "publish", id: "instagram-publish:3", name: "instagram:publish", timeout: 10 * time.Minute,
			payload: `{"v":1,"post_id":"instagram-publish","fence":3,"app_id":2,"platform":"instagram","account_id":7}`, knownCorrelation: "req-1",
		},
		{
			enqueue: func(ctx context.Context) error { return q.EnqueueMaintenance(ctx, 7, 4) }, queue: "tokens", id: "account-7:4", name: "token:refresh", timeout: 5 * time.Minute,
			payload: `{"v":1,"account_id":7}`,
		},
		{
			enqueue: func(ctx context.Context) error {
				return q.EnqueueWebhook(ctx, &models.WebhookEvent{ID: 9, Fence: 2, CorrelationID: "req-2"})
			},
			queue: "webhooks", id: "webhook-9:2", name: "webhook:process", timeout: time.Minute, payload: `{"v":1,"webhook_event_id":9}`, knownCorrelation: "req-2",
		},
		{
			enqueue: func(ctx context.Context) error {
				return q.EnqueueDeliver(ctx, db.EndpointRun{ID: "ep", AppID: 3, Fence: 5})
			},
			queue: "notify", id: "endpoint-ep:5:", name: "notify:deliver", timeout: 2 * time.Minute, payload: `{"v":1,"endpoint_id":"ep","fence":5,"app_id":3}`, idIsFollowedByNow: true,
		},
		{
			enqueue: func(ctx context.Context) error {
				return q.EnqueueFetch(ctx, publish.FetchTask{PostID: "p", Position: 1, AppID: 3, Fence: 2, CorrelationID: "req-3"})
			},
			queue: "fetch", id: "fetch-p-1:2:", name: "media:fetch", timeout: 90 * time.Minute,
			payload: `{"v":1,"post_id":"p","position":1,"fence":2,"app_id":3}`, knownCorrelation: "req-3", idIsFollowedByNow: true,
		},
		{
			enqueue: func(ctx context.Context) error {
				return q.EnqueueComment(ctx, publish.CommentTask{PostID: "p", AppID: 3, Fence: 2, CorrelationID: "req-4"})
			},
			queue: "publish", id: "comment-p:2:", name: "post:comment", timeout: 10 * time.Minute,
			payload: `{"v":1,"post_id":"p","fence":2,"app_id":3}`, knownCorrelation: "req-4", idIsFollowedByNow: true,
		},
	} {
		t.Run(want.name+" in "+want.queue, func(t *testing.T) {
			if err := want.enqueue(t.Context()); err != nil {
				t.Fatal(err)
			}
			tasks, err := q.inspector.ListPendingTasks(want.queue)
			if err != nil {
				t.Fatal(err)
			}
			var got *asynq.TaskInfo
			for _, task := range tasks {
				if task.ID == want.id || want.idIsFollowedByNow && strings.HasPrefix(task.ID, want.id) {
					got = task
				}
			}
			if got == nil {
				t.Fatalf("queue %s has no task %s: %+v", want.queue, want.id, tasks)
			}
			if got.Type != want.name || string(got.Payload) != want.payload || got.Timeout != want.timeout {
				t.Errorf("type %s, payload %s, timeout %s; want %s, %s, %s", got.Type, got.Payload, got.Timeout, want.name, want.payload, want.timeout)
			}
			if id := got.Headers["correlation_id"]; id == "" || want.knownCorrelation != "" && id != want.knownCorrelation {
				t.Errorf("correlation id %q, want %q", id, want.knownCorrelation)
			}
			if got.Headers["due"] == "" || got.MaxRetry < 1_000_000 {
				t.Errorf("due %q, MaxRetry %d", got.Headers["due"], got.MaxRetry)
			}
		})
	}
}
