package jobs

import (
	"context"
	"errors"
	"fmt"
	"time"

	"socialqueue/observe"
	"socialqueue/publish"
)

// FileFetcher fetches the files of posts from customers' links.
type FileFetcher interface {
	Fetch(ctx context.Context, t publish.FetchTask, drain <-chan struct{}) error
}

// fetchArgs is the payload of a task that fetches a file of a post.
type fetchArgs struct {
	PostID   string `json:"post_id"`
	Position int    `json:"position"`
	Fence    int64  `json:"fence"`
	AppID    int64  `json:"app_id"`
	// Turn is the time in steps of taskAgain. A task whose worker died before it claimed the
	// fetch keeps its id for minutes; a task of a later turn has another id. Of two tasks with
	// the same fence, one finds nothing to do.
	Turn int64 `json:"-"`
}

const (
	// taskAgain is how soon another task may follow one that did not claim its work.
	taskAgain = 30 * time.Second
	// fetchTimeout is longer than one fetch may take (package media).
	fetchTimeout = 90 * time.Minute
)

var mediaFetch = kind[fetchArgs]{
	name:    "media:fetch",
	queue:   QueueFetch,
	timeout: fetchTimeout,
	shown:   []string{"post_id", "position", "fence", "app_id"},
	id: func(a fetchArgs) string {
		return fmt.Sprintf("fetch-%s-%d:%d:%d", a.PostID, a.Position, a.Fence, a.Turn)
	},
	check: func(a fetchArgs) error {
		if a.PostID == "" {
			return errors.New("the payload has no post_id")
		}
		return nil
	},
	run: func(ctx context.Context, w Work, a fetchArgs, drain <-chan struct{}) error {
		return w.Files.Fetch(ctx, publish.FetchTask{
			PostID: a.PostID, Position: a.Position, AppID: a.AppID, Fence: a.Fence, CorrelationID: observe.CorrelationID(ctx),
		}, drain)
	},
}

// EnqueueFetch enqueues a task that fetches a file.
func (q *Queue) EnqueueFetch(ctx context.Context, t publish.FetchTask) error {
	now := time.Now()
	args := fetchArgs{PostID: t.PostID, Position: t.Position, Fence: t.Fence, AppID: t.AppID, Turn: turn(now)}
	return enqueue(ctx, q, mediaFetch, args, envelope{due: now, correlationID: t.CorrelationID, traceParent: observe.TraceParent(ctx)})
}

func turn(now time.Time) int64 { return now.Unix() / int64(taskAgain/time.Second) }
