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

	"github.com/hibiken/asynq"

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
)

const (
	// payloadVersion is the newest form of payloads that this program reads.
	payloadVersion = 1
	// maxPayload keeps payloads to ids: Asynq writes the payload of every active
	// task to Redis again every five seconds.
	maxPayload = 4 << 10
	// headerCorrelation carries the correlation id of the HTTP request.
	headerCorrelation = "correlation_id"
)

// payload is what a task carries.
type payload struct {
	Version int    `json:"v"`
	PostID  string `json:"post_id"`
	Fence   int64  `json:"fence"`
}

// upkeepPayload is what a task of an account's upkeep carries.
type upkeepPayload struct {
	Version   int   `json:"v"`
	AccountID int64 `json:"account_id"`
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
	return newTask(typeOf(t), payload{Version: payloadVersion, PostID: t.PostID, Fence: t.Fence}, t.CorrelationID)
}

func newTask(name string, content any, correlationID string) (*asynq.Task, error) {
	data, err := json.Marshal(content)
	if err != nil {
		return nil, fmt.Errorf("encode task %s: %w", name, err)
	}
	if len(data) > maxPayload {
		return nil, fmt.Errorf("encode task %s: payload of %d bytes is over the limit of %d", name, len(data), maxPayload)
	}
	return asynq.NewTaskWithHeaders(name, data, map[string]string{headerCorrelation: correlationID}), nil
}

// decodeUpkeep reads a task of an account's upkeep. Its error is errNewer for one
// that a newer program made.
func decodeUpkeep(t *asynq.Task) (accountID int64, err error) {
	var p upkeepPayload
	if err := json.Unmarshal(t.Payload(), &p); err != nil {
		return 0, fmt.Errorf("decode task %s: %w", t.Type(), err)
	}
	if p.Version > payloadVersion {
		return 0, fmt.Errorf("%s, version %d: %w", t.Type(), p.Version, errNewer)
	}
	if p.AccountID <= 0 {
		return 0, fmt.Errorf("decode task %s: it names no account", t.Type())
	}
	return p.AccountID, nil
}

// decode reads a task. Its error is errNewer for one that a newer program made.
func decode(t *asynq.Task) (publish.Task, error) {
	var p payload
	if err := json.Unmarshal(t.Payload(), &p); err != nil {
		return publish.Task{}, fmt.Errorf("decode task %s: %w", t.Type(), err)
	}
	if p.Version > payloadVersion {
		return publish.Task{}, fmt.Errorf("%s, version %d: %w", t.Type(), p.Version, errNewer)
	}
	if p.PostID == "" {
		return publish.Task{}, fmt.Errorf("decode task %s: it names no post", t.Type())
	}
	return publish.Task{PostID: p.PostID, Fence: p.Fence, CorrelationID: t.Headers()[headerCorrelation]}, nil
}
