package publish

import (
	"cmp"
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
	// Effective: calls that had no effect do not count.
	Effective bool
	// Reason is what apps see while a post waits; empty means rate_limited.
	Reason string
	// Text says in the timeline what the limit is, as in "an account may start 6 posts a minute".
	Text string
}

// Pace limits how often an account's posts are read. A read that comes too soon is put off.
type Pace struct {
	// Name is the same for all steps that share the pace.
	Name string
	// Every is the time that a read takes up. After a rest up to Burst reads may be made at once: in
	// any time t there are at most Burst + t/Every.
	Every time.Duration
	Burst int
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
	return b.of(r.post.Lane)
}

// of is the budget of one account.
func (b *Budget) of(lane string) db.Budget {
	return db.Budget{Name: fmt.Sprintf("%s/%s", lane, b.Name), Most: b.Most, Within: b.Within + budgetSlack, Effective: b.Effective}
}

// reason is what apps see while a post waits.
func (b *Budget) reason() string { return cmp.Or(b.Reason, models.DeferredRateLimit) }

// mayRead returns a *WaitError if the account's posts were read too often for the step to be read
// now.
func (r *run) mayRead(ctx context.Context, step *Step) error {
	if step.ReadPace == nil {
		return nil
	}
	now := r.Now()
	free, err := r.DB.Runs.TakePace(ctx, fmt.Sprintf("%s/%s", r.post.Lane, step.ReadPace.Name), step.ReadPace.Every, step.ReadPace.Burst, now)
	if err != nil || free.IsZero() {
		return err
	}
	// Many may wait: they come back one after the other.
	in := max(free.Sub(now), time.Millisecond) + time.Duration(r.Rand()*float64(step.ReadPace.Burst)*float64(step.ReadPace.Every))
	return &WaitError{In: in}
}

// effectiveWait is how soon a post looks again whether a budget has room whose calls may turn out not
// to count.
const effectiveWait = 15 * time.Minute

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
	ahead, err := r.DB.Runs.WaitsAhead(ctx, r.post, step.Budget.reason(), r.Now().Add(2*letOthersGo))
	if err != nil || !ahead {
		return err
	}
	return &WaitError{In: letOthersGo, Reason: step.Budget.reason(), Message: step.Budget.Text + "; a post that was here first starts before this one"}
}

// waitForBudget turns the error of a budget that is spent into a wait. It returns other errors as
// they are.
func (r *run) waitForBudget(step *Step, err error) error {
	spent, ok := errors.AsType[*db.SpentError](err)
	if !ok {
		return err
	}
	in := max(spent.Until.Sub(r.Now()), time.Millisecond)
	if step.Budget.Effective {
		in = min(in, effectiveWait) // a call that turns out to have had no effect makes room sooner
	}
	return &WaitError{
		In: in, Reason: step.Budget.reason(),
		Message: fmt.Sprintf("%s; this one can start at %s", step.Budget.Text, spent.Until.UTC().Format(time.RFC3339)),
	}
}
