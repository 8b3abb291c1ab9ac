package publish

import (
	"cmp"
	"context"
	"errors"
	"time"

	"socialqueue/db"
	"socialqueue/models"
	"socialqueue/platform"
)

// This file holds the rule "never twice": what follows from a call that may have made the
// post live and that was refused, was not answered, or whose effect cannot be seen. The
// call is made again only after the platform was read and showed that the one before had
// no effect, when it could no longer arrive.

// failedCall is for a call that returned an error.
func (r *run) failedCall(ctx context.Context, i int, e *models.LedgerEntry, err error) (outcome, error) {
	step := &r.kind.Steps[i]
	if step.Harmless {
		if e != nil {
			if settled := r.settle(ctx, e, models.Void); settled != nil {
				return outcome{}, errors.Join(err, settled)
			}
		}
		return r.stopped(ctx, step, err)
	}
	if platform.KindOf(err) == platform.Unknown { // what had no effect is counted where it is decided on
		_ = r.noteDown(ctx, err)
	}
	switch {
	case errors.Is(err, errDraining), context.Cause(ctx) != nil:
		return outcome{}, err // the next run reads
	case unanswered(err):
		return r.sent(models.Uncertain, describe(err)), nil
	case step.RefusalProves && platform.KindOf(err) == platform.Unknown:
		return r.sent(models.Uncertain, describe(err)), nil
	case step.RefusalProves:
		if settled := r.settle(ctx, e, models.Void); settled != nil {
			return outcome{}, errors.Join(err, settled)
		}
		return r.stopped(ctx, step, err)
	}
	return r.refused(ctx, i, e, err)
}

// unanswered reports whether a call ended without an answer of the platform.
func unanswered(err error) bool {
	e, ok := errors.AsType[*platform.Error](err)
	return !ok || e.Kind == platform.Unknown && e.PlatformCode == ""
}

// refused is for a call that was answered with an error. Platforms were seen to answer so
// and publish all the same, so the platform is read before anything is concluded.
func (r *run) refused(ctx context.Context, i int, e *models.LedgerEntry, refusal error) (outcome, error) {
	step := &r.kind.Steps[i]
	if step.Read == nil {
		return r.sent(models.Uncertain, describe(refusal)), nil
	}
	v, err := r.readStep(ctx, step)
	if err != nil || v.State == Unreadable {
		return r.sent(models.Uncertain, describe(refusal)), nil
	}
	if v.State != NotLive && v.State != NotReady {
		return r.judge(ctx, i, v)
	}
	switch kind := platform.KindOf(refusal); kind {
	case platform.Unknown, platform.Transient:
		return r.restricted(ctx, i, e, refusal)
	case platform.Gone, platform.Rejected:
		return r.refusedForGood(ctx, e, kind, refusal)
	}
	if err := r.settle(ctx, e, models.Void); err != nil {
		return outcome{}, err
	}
	return r.afterRefusal(ctx, i, refusal)
}

// refusedForGood is for a refusal that no repeat will change, where the read showed no effect.
// That read began right behind the call, so it may lag: what follows is decided by one that
// begins when the call could no longer arrive (proven).
func (r *run) refusedForGood(ctx context.Context, e *models.LedgerEntry, kind platform.Kind, refusal error) (outcome, error) {
	e.Refusal = kind.String()
	if err := r.note(ctx, e); err != nil {
		return outcome{}, err
	}
	o := r.sent(models.Uncertain, describe(refusal))
	o.code, o.detail = codeOf(refusal), refusal.Error()
	return o, nil
}

// proven is for a call that was refused for good and is now known to have had no effect.
// done is false where it is to be made once more: what Instagram does not find seconds after
// it was made may be found later.
func (r *run) proven(ctx context.Context, step *Step, e *models.LedgerEntry) (o outcome, done bool, err error) {
	gone := e.Refusal == platform.Gone.String()
	if gone && !r.wasMissing(e) {
		return outcome{}, false, nil
	}
	refusal := &platform.Error{
		Provider: r.post.Platform, Op: string(step.Op), Kind: platform.Rejected, Code: platform.Code(r.post.ErrorCode),
		Message: cmp.Or(r.post.ErrorMessage, "the platform refused the call"),
	}
	if err := r.void(ctx, step.Op); err != nil {
		return outcome{}, true, err
	}
	if gone {
		o, err = r.giveUp(ctx, step, refusal)
		return o, true, err
	}
	return r.fail(codeOf(refusal), errors.New(refusal.Message)), true, nil
}

// wasMissing reports whether an earlier call like e was found to have had no effect a
// while after it was made.
func (r *run) wasMissing(e *models.LedgerEntry) bool {
	for _, other := range r.ledger {
		if other.Op == e.Op && other.ID != e.ID && other.State == models.Missing {
			return true
		}
	}
	return false
}

// restricted is for an answer that leaves open whether the post went live, where the read
// showed that it did not: the call is repeated after the wait that the answer asks for.
func (r *run) restricted(ctx context.Context, i int, e *models.LedgerEntry, refusal error) (outcome, error) {
	if err := r.settle(ctx, e, models.Missing); err != nil {
		return outcome{}, err
	}
	o := r.repeat(i, describe(refusal))
	if !o.attempt {
		return o, nil
	}
	o.in = max(o.in, r.arrivedBy(e).Sub(r.Now()))
	if e, ok := errors.AsType[*platform.Error](refusal); ok && e.RetryAfter > o.in {
		o = o.limited(e, e.RetryAfter)
	}
	return o, nil
}

// afterRefusal is for a call that had no effect, on a post that is not live.
func (r *run) afterRefusal(ctx context.Context, i int, refusal error) (outcome, error) {
	step := &r.kind.Steps[i]
	switch platform.KindOf(refusal) {
	case platform.NotReady:
		if r.refusals(step.Op) >= max(step.NotReadyLimit, 1) {
			return r.giveUp(ctx, step, refusal)
		}
		return r.pollLater(refusal.Error()), nil
	default:
		return outcome{}, refusal
	}
}

// refusals counts the refused calls of op since the step before it was done.
func (r *run) refusals(op models.LedgerOp) int {
	n := 0
	for _, e := range r.ledger {
		switch {
		case e.Op == op && e.State == models.Void:
			n++
		case e.Op != op && e.State == models.Done:
			n = 0
		}
	}
	return n
}

// giveUp begins the post again, although what its steps made is intact, unless a call
// whose answer was lost may still arrive.
func (r *run) giveUp(ctx context.Context, step *Step, refusal error) (outcome, error) {
	if r.mayStillArrive() {
		return r.uncertain(refusal.Error()), nil
	}
	return r.over(ctx, Verdict{Err: &platform.Error{
		Provider: r.post.Platform, Op: string(step.Op), Kind: platform.Transient, Code: platform.CodePublishFailed, Message: refusal.Error(),
	}})
}

// arrivedBy is the time from which on a call can no longer arrive at the platform.
func (r *run) arrivedBy(e *models.LedgerEntry) time.Time { return e.CreatedAt.Add(r.Timings.Arrival) }

// mayStillArrive reports whether a call without an answer is so young that it may still
// make the post live.
func (r *run) mayStillArrive() bool {
	for _, e := range r.ledger {
		if !bool(e.Harmless) && e.Open() && r.Now().Before(r.arrivedBy(&e)) {
			return true
		}
	}
	return false
}

// notLive is for a successful read which showed that the call of the step at i has had no
// effect so far.
func (r *run) notLive(ctx context.Context, i int, v Verdict) (outcome, error) {
	step := &r.kind.Steps[i]
	e := r.entry(step.Op)
	switch {
	case e == nil:
		return r.goBack(ctx, i, v)
	case e.State == models.Done && i+1 < len(r.kind.Steps):
		return r.advance(ctx, i+1)
	case e.State == models.Done: // it was accepted: the read lags
		return r.pollLater(v.Message), nil
	case r.readBegan.Before(r.arrivedBy(e)):
		return r.mayArrive(r.arrivedBy(e), v.Message+"; the last call may still arrive"), nil
	case e.State == models.Missing && r.exhausted():
		return r.uncertain(v.Message + "; no attempt is left, so the post is only polled"), nil
	case e.State == models.Missing:
		return r.goBack(ctx, i, v)
	}
	if e.Refusal != "" {
		if o, done, err := r.proven(ctx, step, e); done || err != nil {
			return o, err
		}
	}
	if err := r.settle(ctx, e, models.Missing); err != nil {
		return outcome{}, err
	}
	if r.stored == models.Publishing {
		return r.goBack(ctx, i, v)
	}
	return r.repeat(i, v.Message+"; the call is made again"), nil
}

// mayArrive waits for the time from which on a call without an answer can no longer arrive.
// A run that took over from one that died or was stopped stays as it is, so that the repeat
// uses no attempt.
func (r *run) mayArrive(until time.Time, message string) outcome {
	if r.stored != models.Publishing {
		return r.uncertain(message)
	}
	return outcome{status: r.stored, step: r.post.Step, in: until.Sub(r.Now()), message: message}
}

// goBack makes the call of the step at i, from where it has to be prepared.
func (r *run) goBack(ctx context.Context, i int, v Verdict) (outcome, error) {
	back := r.kind.back(i)
	if r.kind.Steps[back].Heavy && r.stored != models.Publishing {
		return r.repeat(i, v.Message+"; the upload goes on"), nil
	}
	return r.advance(ctx, back)
}

// exhausted reports whether the post has used its last attempt.
func (r *run) exhausted() bool { return r.post.Attempts >= len(r.Timings.Retries) }

// repeat has the call of the step at i made again by a later run, which reads the platform
// first. The post may be live, so it is not queued: it can neither be canceled nor missed.
// Without attempts left it is only polled.
func (r *run) repeat(i int, message string) outcome {
	if r.exhausted() {
		o := r.uncertain(message)
		o.exhausted = true
		return o
	}
	status, step := models.Processing, models.StepPublish
	if r.stored == models.Uncertain {
		status = models.Uncertain // until the call is made again nothing is known that was not known before
	}
	if r.kind.Steps[r.kind.back(i)].Heavy {
		status, step = models.Publishing, models.StepTransfer
	}
	return outcome{
		status: status, step: step, in: r.Timings.Retries[r.post.Attempts], reason: models.DeferredRetry, attempt: true, message: message,
	}
}

// live ends a post that is live. Where its id is not known yet, the platform is polled for
// it for a while.
func (r *run) live(ctx context.Context, i int, v Verdict) (outcome, error) {
	if err := r.settleLive(ctx, &r.kind.Steps[i], v); err != nil {
		return outcome{}, err
	}
	now, p := r.Now(), r.post
	if p.PublishedAt == nil {
		at := now
		if !v.At.IsZero() {
			at = models.Time(v.At)
		}
		p.PublishedAt, p.WaitingSince, p.Polls = &at, &now, 0
	}
	o := outcome{status: models.Published, last: true, message: v.Message, rows: writeAlong(v.Record)}
	switch {
	case v.ID != "":
		p.PlatformPostID = &v.ID
		o.message += " as " + v.ID
	case r.waited() < v.IDWithin:
		o.last, o.step, o.in, o.look = false, models.StepPublish, r.pollWait(), true
		o.message += "; its id is not known yet"
	}
	if v.Permalink != "" {
		p.Permalink = &v.Permalink
	}
	if v.ID != "" || o.last {
		first, err := r.newFirstComment(p, now)
		if err != nil {
			return outcome{}, err
		}
		if first != nil && v.ID == "" {
			first.Status, first.DueAt, first.Error = models.CommentFailed, nil, noIDForComment
			o.message += "; " + noIDForComment
		}
		p.FirstComment, o.rows.FirstComment = first, first
	}
	return o, nil
}

const noIDForComment = "no first comment can be made, as the platform did not tell the id of the post"

// settleLive settles the call that made the post live, even if it was refused.
func (r *run) settleLive(ctx context.Context, step *Step, v Verdict) error {
	e := r.entry(step.Op)
	if e == nil {
		e = r.ledger.Latest(step.Op)
	}
	if e == nil || step.Harmless || e.State == models.Done && (v.ID == "" || e.ExternalID != nil) {
		return nil
	}
	if v.ID != "" {
		e.ExternalID = &v.ID
	}
	return r.settle(ctx, e, models.Done)
}

// delivered ends a post that is in the creator's inbox.
func (r *run) delivered(ctx context.Context, i int, v Verdict) (outcome, error) {
	if err := r.settleLive(ctx, &r.kind.Steps[i], Verdict{}); err != nil {
		return outcome{}, err
	}
	return outcome{status: models.Delivered, last: true, message: v.Message, rows: writeAlong(v.Record)}, nil
}

// writeAlong writes a platform's own row together with the post.
func writeAlong(record models.Record) db.RunWrite { return db.RunWrite{Record: record} }
