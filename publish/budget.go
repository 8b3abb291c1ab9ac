package publish

import (
	"context"
	"errors"
	"fmt"
	"time"

	"socialqueue/db"
	"socialqueue/models"
)

// Budget limits how often a call is made for one account. A post whose call would be one too many
// waits until the next one is free; otherwise the platform would refuse it.
//
// It is counted in the ledger, so it holds over all workers, restarts and an emptied Redis.
type Budget struct {
	// Name is the same for all steps that share the budget.
	Name   string
	Most   int
	Within time.Duration
	// Text says in the timeline what the limit is, as in "an account may start 6 posts a minute".
	Text string
}

// budgetSlack is how much longer than the platform we count a call: the platform counts it when
// it arrives, which is later than when it was recorded, and by another clock.
const budgetSlack = 5 * time.Second

// budget is that of a step for the run's account.
func (r *run) budget(step *Step) db.Budget {
	b := step.Budget
	if b == nil {
		return db.Budget{}
	}
	return db.Budget{Name: fmt.Sprintf("%s/%s", r.post.Lane, b.Name), Most: b.Most, Within: b.Within + budgetSlack}
}

// letOthersGo is the wait for a post that was here first and waits for the same budget: about as
// long as Asynq takes to see that its time has come.
const letOthersGo = time.Second

// afford returns a *WaitError if the budget of a step has no call left, or if a post that was here
// first waits for one: it would lose its turn to each post that comes, as those run at once. It
// also saves the step the reads that prepare the call; the record of the call decides.
func (r *run) afford(ctx context.Context, step *Step) error {
	if step.Budget == nil {
		return nil
	}
	if err := r.DB.Runs.Free(ctx, r.budget(step), r.Now()); err != nil {
		return r.waitForBudget(step, err)
	}
	ahead, err := r.DB.Runs.WaitsAhead(ctx, r.post, r.Now().Add(2*letOthersGo))
	if err != nil || !ahead {
		return err
	}
	return &WaitError{In: letOthersGo, Reason: models.DeferredRateLimit, Message: step.Budget.Text + "; a post that was here first starts before this one"}
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
		Message: fmt.Sprintf("%s; this one can start at %s", step.Budget.Text, spent.Until.UTC().Format(time.RFC3339)),
	}
}
