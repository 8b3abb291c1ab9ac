package publish

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sirupsen/logrus"

	"socialqueue/db"
	"socialqueue/models"
	"socialqueue/oauth"
	"socialqueue/observe"
	"socialqueue/platform"
)

// maxUnfinishedRuns sets a post aside whose runs keep dying without a word, such
// as one that kills its worker. A lease lies between two of them, so this is
// minutes of dying workers.
const maxUnfinishedRuns = 8

var (
	// errDraining: the process stops. The run hands its post back at once, with
	// no attempt used.
	errDraining = errors.New("the worker is stopping")
	// errLostLease: the run was not heard of for too long. Another takes over.
	errLostLease = errors.New("the run lost its lease")
)

// run is one run of one step of a post. It belongs to one goroutine, but for
// the keeper of its lease.
type run struct {
	*Service
	post *models.Post
	// kind declares the steps; nil if this program has no publisher for the post.
	kind *Kind
	// stored is the status that the row has.
	stored models.Status
	ledger models.Ledger
	// ledgerRead tells an empty ledger from one that could not be read.
	ledgerRead bool
	token      oauth.Token
	// files are the post's once they were read.
	files []models.PostMedia
	log   logrus.FieldLogger
	// drain is closed when the process stops.
	drain <-chan struct{}
}

// outcome is what a run came to: the state, and what comes next.
type outcome struct {
	status models.Status
	step   models.Step
	// in is the wait before the next run; none follows if last is set.
	in   time.Duration
	last bool
	// reason shows in deferred_reason while the post waits.
	reason string
	// message goes into the timeline, for people.
	message string
	// parked is set if the post gives its place up and waits behind its lane.
	parked bool
	// attempt is set if this run counts against the budget.
	attempt bool
	// exhausted is set if that was the last attempt.
	exhausted bool
	// handedBack is set if the run did not come to its end.
	handedBack bool
	// look is set if the run was one more look at the platform.
	look bool
	// code and detail are shown if the outcome is a failure.
	code   platform.Code
	detail string
	// rows of the original guide are written along.
	rows db.RunWrite
}

// RunStep does the next thing for a post. A task that is not the row's live one
// has nothing to do, which is no error. An error means that nothing is known to
// be written; the task may be tried again.
func (s *Service) RunStep(ctx context.Context, task Task, drain <-chan struct{}) error {
	post, err := s.DB.Runs.Claim(ctx, task.PostID, task.Fence, s.Owner, s.Now(), s.Timings.Lease)
	switch {
	case errors.Is(err, db.ErrStale), errors.Is(err, db.ErrNotFound):
		observe.In(ctx, s.Log).WithFields(logrus.Fields{
			observe.FieldProvider: task.Platform, observe.FieldPostID: task.PostID, observe.FieldAccountID: task.AccountID, observe.FieldFence: task.Fence,
		}).Debug("an old task found nothing to do") // whose post it was is not read
		observe.AttemptOf(ctx).Outcome = observe.AttemptRevoked
		return nil
	case err != nil:
		return err
	}
	if post.StartedAt.Equal(post.UpdatedAt) { // its first run
		s.Metrics.PostBegan(string(post.Platform), post.UpdatedAt.Sub(post.PublishAt))
	}
	r := &run{
		Service: s, post: post, kind: s.publishers.of(post.Platform, post.Kind), stored: post.Status, drain: drain,
		log: observe.OfPost(s.Log, post),
	}
	ctx, stop := r.keepLease(ctx)
	defer stop()
	ctx = platform.WithRecorder(ctx, r.record)
	o, err := r.do(ctx)
	return r.conclude(ctx, o, err)
}

// do runs the step and turns its error into an outcome.
func (r *run) do(ctx context.Context) (outcome, error) {
	o, err := r.begin(ctx)
	if err == nil {
		return o, nil
	}
	noteError(ctx, err)
	switch cause := context.Cause(ctx); {
	case errors.Is(cause, errLostLease), errors.Is(err, db.ErrStale):
		return outcome{}, errLostLease
	case errors.Is(err, errDraining), cause != nil:
		return r.handBack(), nil
	case isTrouble(err):
		return r.trouble(err), nil
	}
	return r.decide(ctx, err), nil
}

func (r *run) begin(ctx context.Context) (outcome, error) {
	if err := r.pause(ctx, r.post.RunAt.Sub(r.Now())); err != nil {
		return outcome{}, err
	}
	var err error
	if r.ledger, err = r.Ledger(ctx, r.post); err != nil {
		return outcome{}, err
	}
	r.ledgerRead = true
	if o, stop := r.quarantine(); stop {
		observe.AttemptOf(ctx).Quarantined = true
		return o, nil
	}
	if r.stored == models.Publishing && !r.ledger.MayBeLive() && r.post.TooLate(r.Now()) {
		return outcome{status: models.Missed, last: true, message: tooLate(r.post)}, nil
	}
	if o, stop, err := r.paused(ctx); err != nil || stop {
		return o, err
	}
	if r.token, err = r.Tokens.For(ctx, r.post); err != nil {
		return outcome{}, err
	}
	if r.kind == nil {
		return outcome{}, fmt.Errorf("this program has no publisher for a %s %s; start a version that has", r.post.Platform, r.post.Kind)
	}
	return r.proceed(ctx)
}

// quarantine stops a post whose runs keep dying. What may be live stays
// uncertain; the rest fails and may be run again by hand.
func (r *run) quarantine() (outcome, bool) {
	if r.post.UnfinishedRuns <= maxUnfinishedRuns {
		return outcome{}, false
	}
	why := fmt.Sprintf("%d runs of this post ended without a word; it is set aside", maxUnfinishedRuns)
	if r.ledger.MayBeLive() {
		o := outcome{status: r.stored, step: models.StepPublish, in: slowLook, message: why}
		if models.CanMove(r.stored, models.Uncertain) {
			o.status = models.Uncertain
		}
		return o, true
	}
	return r.fail(platform.CodePublishFailed, errors.New(why)), true
}

// paused sets a post aside of which nothing can be live yet, while an operator has its
// platform or account paused. What may be live is looked at all the same.
func (r *run) paused(ctx context.Context) (o outcome, stop bool, err error) {
	if r.ledger.MayBeLive() {
		return outcome{}, false, nil
	}
	pauses, err := r.DB.Admission.Pauses(ctx)
	if err != nil {
		return outcome{}, false, err
	}
	pause := pauses.Of(r.post.Lane)
	if pause == nil {
		return outcome{}, false, nil
	}
	return outcome{status: r.waitingStatus(), step: r.post.Step, reason: models.DeferredPaused, parked: true, message: pause.String()}, true, nil
}

// handBack gives the post to the next worker: same state, at once, no attempt.
func (r *run) handBack() outcome {
	return outcome{status: r.stored, step: r.post.Step, message: "handed back: the worker is stopping", handedBack: true}
}

// conclude writes the outcome and sees to what follows from it.
func (r *run) conclude(ctx context.Context, o outcome, err error) error {
	if errors.Is(err, errLostLease) {
		noteLostLease(ctx)
		r.log.Warn("the run lost its lease; another one goes on from the ledger")
		return nil
	}
	if err != nil {
		return err
	}
	if o.look && o.status == r.stored && !o.last {
		o.message = "" // the look itself is in the timeline
	}
	from := r.stored
	r.apply(o)
	o.rows.Release = true
	if err := r.write(ctx, o.message, o.rows); err != nil {
		if errors.Is(err, db.ErrStale) {
			noteLostLease(ctx)
			r.log.Warn("another run took the post over; this one wrote nothing")
			return nil
		}
		return err
	}
	noteOutcome(ctx, o)
	if r.post.Status != from {
		r.Metrics.PostCame(string(r.post.Platform), string(r.post.Kind), string(r.post.Status))
	}
	if r.post.DeferredReason == models.DeferredReauthorize {
		r.wakeIfConnected(ctx)
	}
	if r.post.Admission == models.AdmissionAdmitted {
		r.enqueue(ctx, *r.post)
	}
	if !r.post.Status.InLane() || r.post.Admission != models.AdmissionAdmitted {
		r.admitLane(context.WithoutCancel(ctx), r.post.Lane)
	}
	return nil
}

// wakeIfConnected makes up for an account that was connected again while this run
// still held its post: what wakes the posts passes over one that is held.
func (r *run) wakeIfConnected(ctx context.Context) {
	if err := r.Tokens.WakeIfConnected(context.WithoutCancel(ctx), r.post); err != nil {
		r.log.WithError(err).Warn("could not look whether the account is connected again; the post looks by itself")
	}
}

// apply puts an outcome into the post.
func (r *run) apply(o outcome) {
	now, p := r.Now(), r.post
	p.LeaseUntil, p.LeaseOwner = nil, ""
	p.UnfinishedRuns = 0
	p.Status, p.UpdatedAt = o.status, now
	p.DeferredUntil, p.DeferredReason = nil, ""
	if o.attempt {
		p.Attempts++
	}
	if o.look {
		p.Looks++
	}
	if o.code != "" {
		p.ErrorCode, p.ErrorMessage = string(o.code), plain(o.detail)
	} else if !o.attempt && o.status != models.Uncertain {
		p.ErrorCode, p.ErrorMessage = "", ""
	}
	if o.last {
		end(p, now)
		return
	}
	p.Step = o.step
	at := models.Time(now.Add(o.in))
	p.RunAt = &at
	p.DeferredReason = o.reason
	if o.parked {
		p.Admission, p.EnqueuedAt = models.AdmissionParked, nil
		return
	}
	if o.reason != "" {
		p.DeferredUntil = &at
	}
	p.Admission, p.EnqueuedAt = models.AdmissionAdmitted, &now
	if o.in > r.Timings.Horizon {
		p.Admission, p.EnqueuedAt = models.AdmissionWaiting, nil
	}
}
