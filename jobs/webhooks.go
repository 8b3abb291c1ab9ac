package jobs

import (
	"context"
	"errors"
	"fmt"
	"time"

	"socialqueue/models"
	"socialqueue/observe"
	"socialqueue/publish"
)

// WebhookProcessor applies the webhooks of platforms.
type WebhookProcessor interface {
	Process(ctx context.Context, eventID int64) error
}

// webhookArgs is the payload of a task that processes a platform's webhook.
type webhookArgs struct {
	EventID int64 `json:"webhook_event_id"`
	Fence   int64 `json:"-"`
}

var webhookProcess = kind[webhookArgs]{
	name:    "webhook:process",
	queue:   QueueWebhooks,
	timeout: time.Minute,
	shown:   []string{"webhook_event_id"},
	id:      func(a webhookArgs) string { return fmt.Sprintf("webhook-%d:%d", a.EventID, a.Fence) },
	check:   webhookArgs.check,
	run: func(ctx context.Context, w Work, a webhookArgs, _ <-chan struct{}) error {
		return w.Webhooks.Process(ctx, a.EventID)
	},
}

func (a webhookArgs) check() error {
	if a.EventID <= 0 {
		return errors.New("the payload has no webhook_event_id")
	}
	return nil
}

// EnqueueWebhook enqueues a task that processes a platform's webhook.
func (q *Queue) EnqueueWebhook(ctx context.Context, e *models.WebhookEvent) error {
	due := time.Now()
	if e.RunAt != nil {
		due = *e.RunAt
	}
	return enqueue(ctx, q, webhookProcess, argsOf(e), envelope{due: due, correlationID: e.CorrelationID, traceParent: observe.TraceParent(ctx)})
}

// WebhookState returns the state of the task of a platform's webhook.
func (q *Queue) WebhookState(ctx context.Context, e *models.WebhookEvent) (publish.TaskState, error) {
	return stateOfTask(ctx, q, webhookProcess, argsOf(e))
}

func argsOf(e *models.WebhookEvent) webhookArgs { return webhookArgs{EventID: e.ID, Fence: e.Fence} }
