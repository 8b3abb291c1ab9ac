package jobs

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"socialqueue/db"
	"socialqueue/models"
	"socialqueue/observe"
	"socialqueue/publish"
)

// PostRunner runs the steps of posts.
type PostRunner interface {
	RunStep(ctx context.Context, t publish.Task, drain <-chan struct{}) error
}

// PostTypes names the task types of a platform's posts: Transfer for the step that
// moves a file, Publish for all others. They may be the same.
type PostTypes struct {
	Platform          models.Platform
	Transfer, Publish string
}

// PostTypesOf returns the usual names: PLATFORM:upload and PLATFORM:publish.
func PostTypesOf(p models.Platform) PostTypes {
	return PostTypes{Platform: p, Transfer: string(p) + ":upload", Publish: string(p) + ":publish"}
}

// postArgs is the payload of a post's task.
type postArgs struct {
	PostID string `json:"post_id"`
	Fence  int64  `json:"fence"`
	// AppID is the app whose share of the workers the task uses. Tasks of old releases have
	// none.
	AppID int64 `json:"app_id"`
	// Platform and AccountID are for operators who read the queue.
	Platform  models.Platform `json:"platform"`
	AccountID int64           `json:"account_id"`
	Step      models.Step     `json:"-"`
}

const publishTimeout = 10 * time.Minute

// postKind returns the kind of a post's task with that name.
func postKind(name string) kind[postArgs] {
	return kind[postArgs]{
		name:    name,
		queue:   QueuePublish,
		timeout: publishTimeout,
		heavy:   func(a postArgs) bool { return a.Step == models.StepTransfer },
		shown:   []string{"post_id", "fence", "platform", "account_id", "app_id"},
		id:      func(a postArgs) string { return fmt.Sprintf("%s:%d", a.PostID, a.Fence) },
		check:   postArgs.check,
		run:     runPost,
	}
}

func (a postArgs) check() error {
	if a.PostID == "" {
		return errors.New("the payload has no post_id")
	}
	return nil
}

func runPost(ctx context.Context, w Work, a postArgs, drain <-chan struct{}) error {
	err := w.Posts.RunStep(ctx, publish.Task{PostID: a.PostID, Fence: a.Fence, CorrelationID: observe.CorrelationID(ctx)}, drain)
	if early, ok := errors.AsType[*db.EarlyError](err); ok {
		return later(early.In, err)
	}
	return err
}

// ofPost returns the kind and the payload of a post's task.
func (k *Kinds) ofPost(t publish.Task) (kind[postArgs], postArgs, error) {
	args := postArgs{PostID: t.PostID, Fence: t.Fence, AppID: t.AppID, Platform: t.Platform, AccountID: t.AccountID, Step: t.Step}
	types, known := k.posts[t.Platform]
	if !known {
		return kind[postArgs]{}, args, fmt.Errorf("post %s: no task type is registered for platform %q", t.PostID, t.Platform)
	}
	if t.Step == models.StepTransfer {
		return postKind(types.Transfer), args, nil
	}
	return postKind(types.Publish), args, nil
}

// Enqueue enqueues the task of a post for its time. If a task with the same id exists, from
// an earlier attempt whose answer was lost or from another process, Enqueue returns nil.
func (q *Queue) Enqueue(ctx context.Context, t publish.Task) error {
	k, args, err := q.kinds.ofPost(t)
	if err != nil {
		return err
	}
	return enqueue(ctx, q, k, args, envelope{due: t.At, notBefore: t.At, correlationID: t.CorrelationID, traceParent: t.TraceParent})
}

// State returns the state of a post's task.
func (q *Queue) State(ctx context.Context, t publish.Task) (publish.TaskState, error) {
	k, args, err := q.kinds.ofPost(t)
	if err != nil {
		return 0, err
	}
	return stateOfTask(ctx, q, k, args)
}

// PostTask is a task of a post in any state of Asynq.
type PostTask struct {
	Queue, State, ID string
	PostID           string
	Fence            int64
}

// PostTasks lists the waiting and archived tasks of posts, at most orphanScan of each
// state.
func (q *Queue) PostTasks(ctx context.Context) ([]PostTask, error) {
	var found []PostTask
	for _, queue := range []string{QueuePublish, QueueUpload} {
		for _, state := range asynqStates {
			for from := int64(0); state != stateActive && from < orphanScan; from += orphanPage {
				ids, err := q.keys.ids(ctx, queue, state, from, orphanPage)
				if err != nil {
					return nil, fmt.Errorf("list the tasks of queue %s: %w", queue, err)
				}
				for _, id := range ids {
					t := PostTask{Queue: queue, State: state.name, ID: id}
					post, fence, _ := strings.Cut(id, ":")
					if _, err := fmt.Sscan(fence, &t.Fence); err == nil {
						t.PostID = post
						found = append(found, t)
					}
				}
				if len(ids) < orphanPage {
					break
				}
			}
		}
	}
	return found, nil
}
