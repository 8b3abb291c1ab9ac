package jobs

import (
	"context"
	"errors"
	"fmt"
	"time"

	"socialqueue/observe"
	"socialqueue/publish"
)

// Commenter makes the first comments under posts.
type Commenter interface {
	Comment(ctx context.Context, t publish.CommentTask, drain <-chan struct{}) error
}

// commentArgs is the payload of a task that makes a first comment.
type commentArgs struct {
	PostID string `json:"post_id"`
	Fence  int64  `json:"fence"`
	AppID  int64  `json:"app_id"`
	// Turn is the time in steps of taskAgain, as that of fetchArgs.
	Turn int64 `json:"-"`
}

var postComment = kind[commentArgs]{
	name:    "post:comment",
	queue:   QueuePublish,
	timeout: publishTimeout,
	shown:   []string{"post_id", "fence", "app_id"},
	id:      func(a commentArgs) string { return fmt.Sprintf("comment-%s:%d:%d", a.PostID, a.Fence, a.Turn) },
	check: func(a commentArgs) error {
		if a.PostID == "" {
			return errors.New("the payload has no post_id")
		}
		return nil
	},
	run: func(ctx context.Context, w Work, a commentArgs, drain <-chan struct{}) error {
		return w.Comments.Comment(ctx, publish.CommentTask{
			PostID: a.PostID, AppID: a.AppID, Fence: a.Fence, CorrelationID: observe.CorrelationID(ctx),
		}, drain)
	},
}

// EnqueueComment enqueues a task that makes a first comment.
func (q *Queue) EnqueueComment(ctx context.Context, t publish.CommentTask) error {
	now := time.Now()
	args := commentArgs{PostID: t.PostID, Fence: t.Fence, AppID: t.AppID, Turn: turn(now)}
	return enqueue(ctx, q, postComment, args, envelope{due: now, correlationID: t.CorrelationID, traceParent: observe.TraceParent(ctx)})
}
