package jobs

import (
	"context"
	"errors"
	"fmt"
	"time"

	"socialqueue/db"
	"socialqueue/models"
	"socialqueue/observe"
)

// Deliverer sends webhooks to apps.
type Deliverer interface {
	Deliver(ctx context.Context, r db.EndpointRun, drain <-chan struct{}) error
}

// deliverArgs is the payload of a task that sends an endpoint its due webhooks.
type deliverArgs struct {
	EndpointID string `json:"endpoint_id"`
	Fence      int64  `json:"fence"`
	AppID      int64  `json:"app_id"` // tasks of old releases have none
	// Turn is the time in steps of deliverAgain. A task whose worker died before it claimed
	// the endpoint keeps its id for minutes; a task of a later turn has another id. Of two
	// tasks with the same fence, one finds nothing to do.
	Turn int64 `json:"-"`
}

// deliverAgain is how soon another task may follow one that did not claim its
// endpoint.
const deliverAgain = 5 * time.Second

var notifyDeliver = kind[deliverArgs]{
	name:    "notify:deliver",
	queue:   QueueNotify,
	timeout: 2 * time.Minute,
	shown:   []string{"endpoint_id", "fence", "app_id"},
	id:      func(a deliverArgs) string { return fmt.Sprintf("endpoint-%s:%d:%d", a.EndpointID, a.Fence, a.Turn) },
	check:   deliverArgs.check,
	run: func(ctx context.Context, w Work, a deliverArgs, drain <-chan struct{}) error {
		return w.Deliveries.Deliver(ctx, db.EndpointRun{ID: a.EndpointID, AppID: a.AppID, Fence: a.Fence}, drain)
	},
}

func (a deliverArgs) check() error {
	if a.EndpointID == "" {
		return errors.New("the payload has no endpoint_id")
	}
	return nil
}

// EnqueueDeliver enqueues a task that sends an endpoint its due webhooks.
func (q *Queue) EnqueueDeliver(ctx context.Context, r db.EndpointRun) error {
	now := time.Now()
	args := deliverArgs{EndpointID: r.ID, Fence: r.Fence, AppID: r.AppID, Turn: now.Unix() / int64(deliverAgain/time.Second)}
	return enqueue(ctx, q, notifyDeliver, args, envelope{due: now, correlationID: models.NewID(), traceParent: observe.TraceParent(ctx)})
}
