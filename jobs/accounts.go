package jobs

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hibiken/asynq"

	"socialqueue/models"
	"socialqueue/observe"
)

// AccountRefresher refreshes and checks the tokens of accounts.
type AccountRefresher interface {
	Maintain(ctx context.Context, accountID int64) error
}

// accountArgs is the payload of a task that maintains an account's tokens.
type accountArgs struct {
	AccountID int64 `json:"account_id"`
	// Fence is that of the account's tokens. A task that a dead worker left behind blocks
	// only the refresh with the same fence.
	Fence int64 `json:"-"`
}

var tokenRefresh = kind[accountArgs]{
	name:    "token:refresh",
	queue:   QueueTokens,
	timeout: 5 * time.Minute,
	shown:   []string{"account_id"},
	id:      func(a accountArgs) string { return fmt.Sprintf("account-%d:%d", a.AccountID, a.Fence) },
	check:   accountArgs.check,
	run: func(ctx context.Context, w Work, a accountArgs, _ <-chan struct{}) error {
		return w.Accounts.Maintain(ctx, a.AccountID)
	},
}

func (a accountArgs) check() error {
	if a.AccountID <= 0 {
		return errors.New("the payload has no account_id")
	}
	return nil
}

// EnqueueMaintenance enqueues a task that refreshes or checks the tokens of an account.
func (q *Queue) EnqueueMaintenance(ctx context.Context, accountID, fence int64) error {
	args := accountArgs{AccountID: accountID, Fence: fence}
	if err := q.deleteArchived(tokenRefresh.queue, tokenRefresh.id(args)); err != nil {
		return err
	}
	return enqueue(ctx, q, tokenRefresh, args, envelope{due: time.Now(), correlationID: models.NewID(), traceParent: observe.TraceParent(ctx)})
}

// deleteArchived deletes a task that a person archived. Otherwise its id would stay taken,
// and the account would not be refreshed.
func (q *Queue) deleteArchived(queue, id string) error {
	info, err := q.inspector.GetTaskInfo(queue, id)
	if err == nil && info.State == asynq.TaskStateArchived {
		err = q.inspector.DeleteTask(queue, id)
	}
	if err != nil && !errors.Is(err, asynq.ErrTaskNotFound) && !errors.Is(err, asynq.ErrQueueNotFound) {
		return fmt.Errorf("delete archived task %s: %w", id, err)
	}
	return nil
}
