package publish

import (
	"context"
	"errors"
	"fmt"
	"time"

	"socialqueue/db"
	"socialqueue/models"
)

// Budget is how many calls of a kind a platform takes of an account in a time. A post whose call
// would be one too many waits until the next one is free, and is not sent into the refusal.
//
// It is counted in the ledger, so it holds over all workers, restarts and an emptied Redis.
type Budget struct {
	// Name is the same for all steps that share the budget.
	Name   string
	Most   int
	Within time.Duration
	// Text names it in the timeline, as in "TikTok takes 6 uploads a minute of an account".
	Text string
}

// budgetSlack is how much longer than the platform we count a call: the platform counts it when
// it arrives, which is later than when it was recorded, and by another clock.
const budgetSlack = 2 * time.Second

// budget is that of a step for the run's account.
func (r *run) budget(step *Step) db.Budget {
	b := step.Budget
	if b == nil {
		return db.Budget{}
	}
	return db.Budget{Name: fmt.Sprintf("%s/%s", r.post.Lane, b.Name), Most: b.Most, Within: b.Within + budgetSlack}
}

// afford returns a *WaitError if the budget of a step has no call left. It saves the step the
// reads that prepare the call; the record of the call decides.
func (r *run) afford(ctx context.Context, step *Step) error {
	if step.Budget == nil {
		return nil
	}
	return r.waitForBudget(step, r.DB.Runs.Free(ctx, r.budget(step), r.Now()))
}

// waitForBudget turns the error of a budget that is spent into a wait. It returns other errors as
// they are.
func (r *run) waitForBudget(step *Step, err error) error {
	spent, ok := errors.AsType[*db.SpentError](err)
	if !ok {
		return err
	}
	return &WaitError{
		In: max(spent.Until.Sub(r.Now()), time.Millisecond), Reason: models.DeferredRateLimit,
		Message: fmt.Sprintf("%s, and these were made; the next one is free at %s", step.Budget.Text, spent.Until.UTC().Format(time.RFC3339)),
	}
}
