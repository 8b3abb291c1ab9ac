// Package jobs is the only package that knows Asynq: kinds of tasks, queues and
// retry policy, the worker that runs tasks, the scheduler that ticks, and the Redis
// client underneath.
//
// Postgres is the source of truth. Asynq holds the tasks that are due now or soon, under
// ids that make a second enqueue harmless. One task is one run. After a run the next one is
// a new task with a new fence, so Asynq's own retries only repeat a task that met an
// internal error.
//
// To add a kind of task, write a file like deliveries.go: what a task carries, the kind,
// and how it is enqueued. Add the kind to kindsOfTasks and what runs it to Work, both in
// kinds.go, and set that field of Work in app. A task of posts on another platform needs
// none of this: name the platform to NewKinds.
package jobs

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/hibiken/asynq"
)

// The queues. Tasks that move a file have their own, and their own pool of workers.
const (
	QueueWebhooks = "webhooks"
	QueueTokens   = "tokens"
	QueuePublish  = "publish"
	QueueUpload   = "upload"
	QueueFetch    = "fetch"
	QueueNotify   = "notify"
	QueueSync     = "sync"
)

// The pools of workers.
const (
	poolLight  = "light"
	poolUpload = "upload"
	poolFetch  = "fetch"
	poolNotify = "notify"
)

// queues lists every queue, the pool that serves it, and its weight in that pool.
var queues = []struct {
	name, pool string
	weight     int
}{
	{QueueWebhooks, poolLight, 6}, {QueueTokens, poolLight, 6}, {QueuePublish, poolLight, 6},
	{QueueUpload, poolUpload, 1}, {QueueFetch, poolFetch, 1}, {QueueNotify, poolNotify, 1}, {QueueSync, poolLight, 1},
}

// Queues lists the names of all queues.
var Queues = queueNames()

func queueNames() []string {
	names := make([]string, len(queues))
	for i, q := range queues {
		names[i] = q.name
	}
	return names
}

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

// errNewer means that a newer release made the task. It waits until a worker of that
// release runs.
var errNewer = errors.New("the task comes from a newer version of this program")

// envelope is the metadata of a task.
type envelope struct {
	// due is when the work is due. The wait of a task is measured from it.
	due time.Time
	// notBefore is when workers may take the task; zero means at once.
	notBefore time.Time
	// correlationID and traceParent are those of the request that caused the task.
	correlationID, traceParent string
}

// newTask returns a task whose payload is the version and the fields of args, which is a
// struct with at least one field in JSON.
func newTask(name string, args any, e envelope) (*asynq.Task, error) {
	fields, err := json.Marshal(args)
	if err != nil {
		return nil, fmt.Errorf("encode task %s: %w", name, err)
	}
	data := append(fmt.Appendf(nil, `{"v":%d,`, payloadVersion), fields[len("{"):]...)
	if len(data) > maxPayload {
		return nil, fmt.Errorf("encode task %s: payload of %d bytes is over the limit of %d", name, len(data), maxPayload)
	}
	headers := map[string]string{headerCorrelation: e.correlationID, headerDue: strconv.FormatInt(e.due.UnixMilli(), 10)}
	if e.traceParent != "" {
		headers[headerTrace] = e.traceParent
	}
	return asynq.NewTaskWithHeaders(name, data, headers), nil
}

// dueOf returns when a task is due. Tasks of old releases have no due time.
func dueOf(t *asynq.Task) (due time.Time, known bool) {
	ms, err := strconv.ParseInt(t.Headers()[headerDue], 10, 64)
	return time.UnixMilli(ms), err == nil
}

// decodeInto reads a task's payload. It returns errNewer for the payload of a newer
// release.
func decodeInto(t *asynq.Task, args any) error {
	var v struct {
		Version int `json:"v"`
	}
	err := json.Unmarshal(t.Payload(), &v)
	if err == nil && v.Version > payloadVersion {
		return fmt.Errorf("%s, version %d: %w", t.Type(), v.Version, errNewer)
	}
	if err == nil {
		err = json.Unmarshal(t.Payload(), args)
	}
	if err != nil {
		return fmt.Errorf("decode task %s: %w", t.Type(), err)
	}
	return nil
}
