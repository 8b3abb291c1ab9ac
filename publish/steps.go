package publish

import (
	"context"
	"errors"
	"fmt"

	"socialqueue/models"
	"socialqueue/platform"
	"socialqueue/secrets"
)

// proceed does the next thing for a post. What that is follows from the post's status and
// its ledger alone, so it is the same for a run that goes on and for one that takes over
// after a crash:
//
//   - nothing recorded: the first step;
//   - the newest recorded call made nothing live and is done: the next step, once the
//     platform says that it may begin;
//   - the newest recorded call may have made the post live: read the platform, whatever
//     the state of the call.
func (r *run) proceed(ctx context.Context) (outcome, error) {
	r.keepIDs()
	at, missing, err := r.position(ctx)
	if err != nil {
		return outcome{}, err
	}
	steps := r.kind.Steps
	switch {
	case r.stored == models.Published: // only its id is missing
		return r.read(ctx, len(steps)-1)
	case missing:
		return r.advance(ctx, at)
	case at < 0:
		return r.advance(ctx, 0)
	case r.stored == models.Publishing && steps[at].Harmless && steps[at].Read == nil:
		return r.advance(ctx, at+1)
	case r.stored == models.Publishing:
		return r.read(ctx, at)
	}
	return r.read(ctx, r.readable(at))
}

// entry returns the newest record of a call that is not void, or nil.
func (r *run) entry(op models.LedgerOp) *models.LedgerEntry {
	for i := len(r.ledger) - 1; i >= 0; i-- {
		if e := &r.ledger[i]; e.Op == op && e.State != models.Void {
			return e
		}
	}
	return nil
}

// keepIDs shows the ids that recorded calls returned: the row lacks the newest after a
// crash right behind its call.
func (r *run) keepIDs() {
	for i := range r.kind.Steps {
		step := &r.kind.Steps[i]
		if e := r.entry(step.Op); step.Keep != nil && e != nil && e.State == models.Done && e.ExternalID != nil {
			step.Keep(r.post, *e.ExternalID)
		}
	}
}

// position returns the last step with a recorded call, or -1. missing says that it is instead
// the first step whose call has to be made again, because its result was given up. A harmless
// call without an answer is void: what it may have made has no name, so nobody can use it.
func (r *run) position(ctx context.Context) (at int, missing bool, err error) {
	at = -1
	for i := range r.kind.Steps {
		step := &r.kind.Steps[i]
		e := r.entry(step.Op)
		if e == nil {
			continue
		}
		if step.Harmless && e.State != models.Done {
			if err := r.void(ctx, step.Op); err != nil {
				return 0, false, err
			}
			continue
		}
		at = i
	}
	first, err := r.firstMissing(ctx, at)
	if first >= 0 {
		return first, true, err
	}
	return at, false, err
}

// firstMissing returns the first step before at whose call is not recorded, or -1. If the post
// may be live there is none: nothing is made again then.
func (r *run) firstMissing(ctx context.Context, at int) (int, error) {
	if r.ledger.MayBeLive() {
		return -1, nil
	}
	for i := range at {
		step := &r.kind.Steps[i]
		if step.Resumes || r.entry(step.Op) != nil {
			continue
		}
		if has, err := r.has(ctx, step); has || err != nil {
			return i, err
		}
	}
	return -1, nil
}

// readable returns the first step from at on that can be read: behind a transfer, which
// keeps no record, the step that follows tells how the post stands.
func (r *run) readable(at int) int {
	steps := r.kind.Steps
	if !steps[at].Harmless {
		return at
	}
	for at+1 < len(steps) && (steps[at].Read == nil || steps[at+1].Resumes) {
		at++
	}
	return at
}

// read reads what the platform shows of the step at i, and does what follows from it.
func (r *run) read(ctx context.Context, i int) (outcome, error) {
	step := &r.kind.Steps[i]
	if step.Read == nil {
		if e := r.entry(step.Op); e != nil && e.Open() {
			return r.uncertain(fmt.Sprintf("the result of %s is unknown and nothing can read it; an operator has to settle the post", step.Op)), nil
		}
		return r.advance(ctx, i+1)
	}
	v, err := r.readStep(ctx, step)
	if err != nil {
		return r.unread(ctx, step, err)
	}
	return r.judge(ctx, i, v)
}

// readStep reads what the call of a step came to, and notes when the read began.
func (r *run) readStep(ctx context.Context, step *Step) (Verdict, error) {
	if err := r.mayRead(ctx, step); err != nil {
		return Verdict{}, err
	}
	r.at, r.readBegan = readsOf(step), r.Now()
	v, err := step.Read(ctx, &Run{r})
	if err == nil {
		r.noteUp(ctx)
	}
	return v, err
}

// unread is for a read that failed. It decides nothing about the post: a refusal is about
// the read, not about what was read. A platform that says that it no longer has what the
// steps made is believed only while nothing can be live.
func (r *run) unread(ctx context.Context, step *Step, err error) (outcome, error) {
	if platform.KindOf(err) == platform.Rejected {
		return r.pollLater(err.Error()), nil
	}
	return r.stopped(ctx, step, err)
}

// stopped is for a step that did not come to its call, and for a read that failed.
func (r *run) stopped(ctx context.Context, step *Step, err error) (outcome, error) {
	if wait, ok := errors.AsType[*WaitError](err); ok {
		in := wait.In
		if in == 0 {
			r.post.Polls++
			in = r.pollWait()
		}
		return r.later(in, wait.Reason, wait.Message), nil
	}
	gone, ok := errors.AsType[*platform.Error](err)
	if !ok || gone.Kind != platform.Gone {
		return outcome{}, err
	}
	if r.ledger.MayBeLive() {
		return r.pollLater(err.Error()), nil
	}
	return r.over(ctx, Verdict{Err: gone, Op: step.Needs})
}

// judge turns what a read of the step at i showed into what comes next.
func (r *run) judge(ctx context.Context, i int, v Verdict) (outcome, error) {
	step := &r.kind.Steps[i]
	switch {
	case v.State == Live:
		return r.live(ctx, i, v)
	case r.stored == models.Published: // the platform said so before
		return r.pollLater(v.Message), nil
	case v.State == Delivered:
		return r.delivered(ctx, i, v)
	case v.State == Over:
		return r.over(ctx, v)
	case v.State == Pending:
		return r.pending(ctx, step, v)
	case v.State == NotLive && step.Harmless && !step.Resumes && r.entry(step.Op) == nil: // it was not made yet
		return r.advance(ctx, i)
	case v.State == NotLive && step.Harmless:
		return r.advance(ctx, i+1)
	case v.State == NotLive:
		return r.notLive(ctx, i, v)
	case r.open(step): // not ready, or unreadable
		return r.uncertain(v.Message), nil
	}
	return r.pollLater(v.Message), nil
}

// open reports whether the result of a call that may make the post live is unknown.
func (r *run) open(step *Step) bool {
	e := r.entry(step.Op)
	return !step.Harmless && e != nil && e.Open()
}

// pending is for a post that the platform has and works on. A call whose answer was lost
// turns out to have been accepted.
func (r *run) pending(ctx context.Context, step *Step, v Verdict) (outcome, error) {
	e := r.entry(step.Op)
	sent := !step.Harmless && e != nil
	if sent && e.Open() {
		if err := r.settle(ctx, e, models.Done); err != nil {
			return outcome{}, err
		}
		r.keepIDs()
		return r.sent(models.Processing, v.Message), nil
	}
	if sent && r.stored == models.Publishing {
		return r.sent(models.Processing, v.Message), nil
	}
	return r.pollLater(v.Message), nil
}

// advance makes the calls from the step at i on, until one of them has to be waited for.
func (r *run) advance(ctx context.Context, i int) (outcome, error) {
	if o, stop, err := r.checkRestored(ctx); err != nil || stop {
		return o, err
	}
	for ; ; i++ {
		step := &r.kind.Steps[i]
		if has, err := r.has(ctx, step); err != nil {
			return outcome{}, err
		} else if !has {
			continue
		}
		if e := r.entry(step.Op); e != nil && e.State == models.Done && step.Harmless { // made before another one was given up
			if step.Read == nil {
				continue
			}
			return r.read(ctx, i)
		}
		if step.Heavy && r.post.Step != models.StepTransfer {
			return outcome{status: r.stored, step: models.StepTransfer, message: "the next step moves files"}, nil
		}
		o, next, err := r.take(ctx, i)
		if err != nil || !next {
			return o, err
		}
	}
}

// take makes the call of the step at i. next says that the following step may begin at
// once.
func (r *run) take(ctx context.Context, i int) (o outcome, next bool, err error) {
	step := &r.kind.Steps[i]
	if i == 0 { // later steps find the files here
		if err := r.needFiles(ctx); err != nil {
			return outcome{}, false, err
		}
	}
	r.at = string(step.Op)
	err = r.afford(ctx, step)
	if err == nil { // last, as it may use up the one try that all wait for
		err = r.checkBreaker(ctx)
	}
	if err != nil {
		o, err = r.stopped(ctx, step, err)
		return o, false, err
	}
	r.readBegan = r.Now() // Prepare may read, and find the post
	call, err := step.Prepare(ctx, &Run{r})
	if found, ok := errors.AsType[*foundError](err); ok {
		o, err = r.judge(ctx, r.readable(i), found.verdict)
		return o, false, err
	}
	if err != nil {
		o, err = r.stopped(ctx, step, err)
		return o, false, err
	}
	var e *models.LedgerEntry
	if !step.Resumes {
		if e, err = r.intend(ctx, step); err != nil {
			o, err = r.stopped(ctx, step, r.waitForBudget(step, err))
			return o, false, err
		}
	}
	res, err := call(ctx)
	if err != nil {
		r.measure(ctx, err, step.File)
		o, err = r.failedCall(ctx, i, e, err)
		return o, false, err
	}
	return r.accepted(ctx, i, e, res)
}

// accepted is for a call that the platform accepted.
func (r *run) accepted(ctx context.Context, i int, e *models.LedgerEntry, res Result) (o outcome, next bool, err error) {
	step := &r.kind.Steps[i]
	r.noteUp(ctx)
	if e != nil {
		if err := r.keepResult(ctx, step, e, res); err != nil {
			return outcome{}, false, err
		}
	}
	if res.Message != "" || res.Record != nil {
		r.post.UpdatedAt = r.Now()
		if err := r.write(ctx, res.Message, writeAlong(res.Record)); err != nil {
			return outcome{}, false, err
		}
	}
	switch {
	case res.Live:
		o, err = r.calledLive(ctx, i, res)
		return o, false, err
	case step.Read != nil:
		return r.sent(models.Processing, res.Waiting), false, nil
	}
	return outcome{}, true, nil
}

// keepResult settles a call that was accepted, with what it returned.
func (r *run) keepResult(ctx context.Context, step *Step, e *models.LedgerEntry, res Result) error {
	if res.ID != "" {
		e.ExternalID = &res.ID
	}
	if !res.Secret.Empty() {
		sealed, err := r.seal(res.Secret)
		if err != nil {
			return err
		}
		e.SealedURL = sealed
	}
	if err := r.settle(ctx, e, models.Done); err != nil {
		return err
	}
	if step.Keep != nil && res.ID != "" {
		step.Keep(r.post, res.ID)
	}
	return nil
}

func (r *run) seal(secret secrets.Secret) (string, error) {
	sealed, err := r.Keys.Seal(secret, models.UploadSealedIn(r.post.ID))
	if err != nil {
		return "", fmt.Errorf("seal what the platform returned: %w", err)
	}
	return sealed, nil
}

// calledLive is for a post that the answer to a call said is live. The read that follows
// adds what else there is to know; it cannot take that back.
func (r *run) calledLive(ctx context.Context, i int, res Result) (outcome, error) {
	v, err := r.readStep(ctx, &r.kind.Steps[i])
	if err != nil || v.State != Live {
		v = Verdict{State: Live, ID: res.ID, Message: "live"}
	}
	return r.live(ctx, i, v)
}

// over begins a post again, or fails it: what its steps made, or what one of them made, can
// never go live.
func (r *run) over(ctx context.Context, v Verdict) (outcome, error) {
	why := v.Err
	if v.Op != "" && r.ledger.MayBeLive() { // the part says nothing about the post
		return r.pollLater(why.Error()), nil
	}
	if err := r.voidOver(ctx, v.Op); err != nil {
		return outcome{}, err
	}
	r.measure(ctx, why, r.fileOf(v.Op))
	r.post.Step = r.firstStep(r.post)
	var o outcome
	switch why.Kind {
	case platform.Transient, platform.Gone:
		o = r.beginAgain(r.retry(why))
	case platform.RateLimited:
		o = r.beginAgain(r.rateLimited(why))
	default:
		o = r.fail(codeOf(why), why)
	}
	o.rows = writeAlong(v.Record)
	return o, nil
}

// fileOf returns the number of the file that the step op is about; zero if it is about none.
func (r *run) fileOf(op models.LedgerOp) int {
	if i := r.kind.index(op); i >= 0 {
		return r.kind.Steps[i].File
	}
	return 0
}

// voidOver settles the calls whose result can never go live: op, or all of them.
func (r *run) voidOver(ctx context.Context, op models.LedgerOp) error {
	if op == "" {
		return r.voidAll(ctx)
	}
	return r.void(ctx, op)
}

// beginAgain queues a post again that the platform had and that is not live.
func (r *run) beginAgain(o outcome) outcome {
	if o.status != models.Failed {
		o.status = models.Queued
	}
	return o
}
