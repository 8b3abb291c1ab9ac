// Package jobs is the only one that knows Asynq: task names, payloads, queues
// and retry policy, the worker that runs tasks, the scheduler that ticks, and
// the Redis client underneath.
//
// What matters is a row; Asynq holds what is due now or soon, under ids that
// make a second enqueue harmless. One task asks for one run. What follows a run
// is a new task with a new fence, so Asynq's own retries only ever carry a task
// over a passing trouble of ours.
package jobs

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/hibiken/asynq"

	"socialqueue/db"
	"socialqueue/models"
	"socialqueue/publish"
)

// The queues. Heavy transfers have their own, and their own pool of workers.
const (
	QueueWebhooks = "webhooks"
	QueueTokens   = "tokens"
	QueuePublish  = "publish"
	QueueUpload   = "upload"
	QueueNotify   = "notify"
	QueueSync     = "sync"
)

// Queues lists all queues.
var Queues = []string{QueueWebhooks, QueueTokens, QueuePublish, QueueUpload, QueueNotify, QueueSync}

// The task types.
const (
	TypeTikTokUpload     = "tiktok:upload"
	TypeTikTokPublish    = "tiktok:publish"
	TypeInstagramPublish = "instagram:publish"
	TypeTokenRefresh     = "token:refresh"
	TypeWebhookProcess   = "webhook:process"
	TypeNotifyDeliver    = "notify:deliver"
)

var types = []string{TypeTikTokUpload, TypeTikTokPublish, TypeInstagramPublish, TypeTokenRefresh, TypeWebhookProcess, TypeNotifyDeliver}

const (
	// payloadVersion is the newest form of payloads that this program reads.
	payloadVersion = 1
	// maxPayload keeps payloads to ids: Asynq writes the payload of every active
	// task to Redis again every five seconds.
	maxPayload = 4 << 10
	// headerCorrelation carries the correlation id of the HTTP request.
	headerCorrelation = "correlation_id"
	// headerTrace carries the trace of that request (W3C Trace Context), if it has one.
	headerTrace = "traceparent"
	// headerDue carries when the task is due, in milliseconds of Unix time.
	headerDue = "due"
)

// payload is what a task carries.
type payload struct {
	Version int    `json:"v"`
	PostID  string `json:"post_id"`
	Fence   int64  `json:"fence"`
	// Platform and AccountID are for operators who look at the queue.
	Platform  models.Platform `json:"platform"`
	AccountID int64           `json:"account_id"`
}

// upkeepPayload is what a task of an account's upkeep carries.
type upkeepPayload struct {
	Version   int   `json:"v"`
	AccountID int64 `json:"account_id"`
}

// webhookPayload is what a task of a platform's event carries.
type webhookPayload struct {
	Version int   `json:"v"`
	EventID int64 `json:"webhook_event_id"`
}

// deliverPayload is what a task carries that tells an app's endpoint what is due.
type deliverPayload struct {
	Version    int    `json:"v"`
	EndpointID string `json:"endpoint_id"`
	Fence      int64  `json:"fence"`
}

// errNewer: a newer program made the task. It waits until one runs here.
var errNewer = errors.New("the task comes from a newer version of this program")

func typeOf(t publish.Task) string {
	switch {
	case t.Platform == models.Instagram:
		return TypeInstagramPublish
	case t.Step == models.StepTransfer:
		return TypeTikTokUpload
	default:
		return TypeTikTokPublish
	}
}

func queueOf(t publish.Task) string {
	if t.Step == models.StepTransfer {
		return QueueUpload
	}
	return QueuePublish
}

// taskID is the same for everybody who asks for the same run.
func taskID(t publish.Task) string { return fmt.Sprintf("%s:%d", t.PostID, t.Fence) }

func encode(t publish.Task) (*asynq.Task, error) {
	return newTask(typeOf(t), payload{Version: payloadVersion, PostID: t.PostID, Fence: t.Fence, Platform: t.Platform, AccountID: t.AccountID}, t.At, t.CorrelationID, t.TraceParent)
}

func newTask(name string, content any, due time.Time, correlationID, traceParent string) (*asynq.Task, error) {
	data, err := json.Marshal(content)
	if err != nil {
		return nil, fmt.Errorf("encode task %s: %w", name, err)
	}
	if len(data) > maxPayload {
		return nil, fmt.Errorf("encode task %s: payload of %d bytes is over the limit of %d", name, len(data), maxPayload)
	}
	headers := map[string]string{headerCorrelation: correlationID, headerDue: strconv.FormatInt(due.UnixMilli(), 10)}
	if traceParent != "" {
		headers[headerTrace] = traceParent
	}
	return asynq.NewTaskWithHeaders(name, data, headers), nil
}

// dueOf is when a task is due, if it says so: those of older programs do not.
func dueOf(t *asynq.Task) (due time.Time, told bool) {
	ms, err := strconv.ParseInt(t.Headers()[headerDue], 10, 64)
	return time.UnixMilli(ms), err == nil
}

// decodeInto reads a task's payload. Its error is errNewer for one that a newer
// program made.
func decodeInto(t *asynq.Task, into any) error {
	var v struct {
		Version int `json:"v"`
	}
	err := json.Unmarshal(t.Payload(), &v)
	if err == nil && v.Version > payloadVersion {
		return fmt.Errorf("%s, version %d: %w", t.Type(), v.Version, errNewer)
	}
	if err == nil {
		err = json.Unmarshal(t.Payload(), into)
	}
	if err != nil {
		return fmt.Errorf("decode task %s: %w", t.Type(), err)
	}
	return nil
}

func decodeUpkeep(t *asynq.Task) (accountID int64, err error) {
	var p upkeepPayload
	if err := decodeInto(t, &p); err != nil {
		return 0, err
	}
	if p.AccountID <= 0 {
		return 0, fmt.Errorf("decode task %s: it names no account", t.Type())
	}
	return p.AccountID, nil
}

func decodeWebhook(t *asynq.Task) (eventID int64, err error) {
	var p webhookPayload
	if err := decodeInto(t, &p); err != nil {
		return 0, err
	}
	if p.EventID <= 0 {
		return 0, fmt.Errorf("decode task %s: it names no event", t.Type())
	}
	return p.EventID, nil
}

func decodeDeliver(t *asynq.Task) (db.EndpointRun, error) {
	var p deliverPayload
	if err := decodeInto(t, &p); err != nil {
		return db.EndpointRun{}, err
	}
	if p.EndpointID == "" {
		return db.EndpointRun{}, fmt.Errorf("decode task %s: it names no endpoint", t.Type())
	}
	return db.EndpointRun{ID: p.EndpointID, Fence: p.Fence}, nil
}

func decode(t *asynq.Task) (publish.Task, error) {
	var p payload
	if err := decodeInto(t, &p); err != nil {
		return publish.Task{}, err
	}
	if p.PostID == "" {
		return publish.Task{}, fmt.Errorf("decode task %s: it names no post", t.Type())
	}
	return publish.Task{PostID: p.PostID, Fence: p.Fence, CorrelationID: t.Headers()[headerCorrelation]}, nil
}
