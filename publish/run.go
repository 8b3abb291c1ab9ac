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

// A post whose runs keep dying may be what kills its workers. It may also be innocent: each
// death of a worker ends up to 64 runs. So after maxUnfinishedRuns the post is quarantined:
// its next runs are minutes apart, and away from those of the other posts that died with it.
// Only a post that dies then as well is failed.
const (
	maxUnfinishedRuns = 8
	// maxQuarantinedRuns is how many runs of a quarantined post may die.
	maxQuarantinedRuns = 3
	quarantineWait     = time.Minute
)

var (
	// errDraining: the process stops. The run hands its post back at once and uses no
	// attempt.
	errDraining = errors.New("the worker is stopping")
	// errLostLease: the run did not renew its lease in time. Another run takes over.
	errLostLease = errors.New("the run lost its lease")
	// errStalled is an errLostLease: the run gave up its lease because nothing moved.
	errStalled = fmt.Errorf("%w: nothing moved for minutes", errLostLease)
)

// run is one run of a post. Only one goroutine uses it, besides the one that renews its
// lease.
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
	// restoreID is the newest restore of the database that the run has taken into account.
	restoreID int64
	// moves is when the run last made progress. The goroutine that renews the lease reads it.
	moves moves
	// at names the call that the run is about to make, or what it reads; empty before the first.
	at string
	// readBegan is when the newest read of the platform began.
	readBegan time.Time
	// drain is closed when the process stops.
	drain <-chan struct{}
}

// outcome is the result of a run: the status, and what comes next.
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
	// held is set if the post leaves Asynq until a person releases it, and says why.
	held models.HeldReason
	// parked is set if the post leaves Asynq and waits for its lane.
	parked bool
	// attempt is set if this run counts against the budget.
	attempt bool
	// exhausted is set if that was the last attempt.
	exhausted bool
	// handedBack is set if the run was cut short because the process stops.
	handedBack bool
	// awaitsFile is set if the end of a fetch makes the post due.
	awaitsFile bool
	// quarantined is set if the runs that died still count.
	quarantined bool
	// look is set if the run polled the platform once more.
	look bool
	// code and detail are shown if the outcome is a failure.
	code   platform.Code
	detail string
	// rows are written in the same transaction.
	rows db.RunWrite
}

// RunStep makes the next call for a post. A task whose fence is not the row's any more has
// nothing to do, which is no error. An error means that the result may not be written; the
// task may be tried again.
func (s *Service) RunStep(ctx context.Context, task Task, drain <-chan struct{}) error {
	post, err := s.DB.Runs.Claim(ctx, task.PostID, task.Fence, s.Owner, s.Now(), s.Timings.Lease)
	switch {
	case errors.Is(err, db.ErrStale), errors.Is(err, db.ErrNotFound):
		observe.In(ctx, s.Log).WithFields(logrus.Fields{
			observe.FieldProvider: task.Platform, observe.FieldPostID: task.PostID, observe.FieldAccountID: task.AccountID, observe.FieldFence: task.Fence,
		}).Debug("an old task found nothing to do") // the post is not read, so its user is unknown
		observe.AttemptOf(ctx).Outcome = observe.AttemptRevoked
		return nil
	case err != nil:
		return err
	}
	if post.StartedAt.Equal(post.UpdatedAt) { // its first run
		s.Metrics.PostStarted(string(post.Platform), post.UpdatedAt.Sub(post.PublishAt))
	}
	r := &run{
		Service: s, post: post, kind: s.publishers.of(post), stored: post.Status, drain: drain,
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
	case errors.Is(err, errNoFile):
		return r.awaitFile(), nil
	case errors.Is(err, errRestored):
		return r.later(0, models.DeferredRestored, err.Error()), nil
	case isInternal(err):
		return r.internal(err), nil
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
		restores, err := r.concerning(ctx)
		if err != nil {
			return outcome{}, err
		}
		if len(restores) == 0 { // else it may be live
			return outcome{status: models.Missed, last: true, message: tooLate(r.post, r.ledger)}, nil
		}
	}
	if o, stop, err := r.paused(ctx); err != nil || stop {
		return o, err
	}
	if r.token, err = r.Tokens.For(ctx, r.post); err != nil {
		return outcome{}, err
	}
	if r.kind == nil {
		return outcome{}, noPublisher(r.post)
	}
	return r.proceed(ctx)
}

// quarantine keeps a post back whose runs keep dying. One that may be live stays uncertain.
// Of any other, every second run waits and lets the next one try. Once all have died the
// post fails, and an app or operator may run it again.
func (r *run) quarantine() (outcome, bool) {
	beyond := r.post.UnfinishedRuns - maxUnfinishedRuns
	if beyond <= 0 {
		return outcome{}, false
	}
	died := maxUnfinishedRuns + beyond/2 // the runs that waited count in UnfinishedRuns, and did not die
	why := fmt.Sprintf("%d runs of this post ended without a result; it is quarantined", died)
	if r.ledger.MayBeLive() {
		o := outcome{status: r.stored, step: models.StepPublish, in: slowPoll, message: why}
		if models.CanMove(r.stored, models.Uncertain) {
			o.status = models.Uncertain
		}
		return o, true
	}
	switch {
	case beyond > 2*maxQuarantinedRuns:
		return r.fail(platform.CodePublishFailed, errors.New(why)), true
	case beyond%2 == 0:
		return outcome{}, false // this run tries
	}
	wait := time.Duration(float64(beyond) * float64(quarantineWait) * (1 + r.Rand()))
	o := r.later(wait, models.DeferredInternal, why)
	o.quarantined = true
	return o, true
}

// paused keeps a post back that cannot be live yet, while an operator has its platform or
// account paused. A post that may be live is polled nevertheless.
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

// conclude writes the outcome, then enqueues the next run or admits the next post of the lane.
func (r *run) conclude(ctx context.Context, o outcome, err error) error {
	if errors.Is(err, errLostLease) {
		noteLostLease(ctx)
		r.log.Warn("the run lost its lease; another run takes over from the ledger")
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
	left := !r.post.Status.InLane() || r.post.Admission != models.AdmissionAdmitted
	if left && !o.parked { // a lane that is paused has no place
		o.rows.FreeLane = lanePlaces
	}
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
		r.Metrics.PostReached(string(r.post.Platform), string(r.post.Kind), string(r.post.Status))
	}
	if r.post.DeferredReason == models.DeferredReauthorize {
		r.wakeIfConnected(ctx)
	}
	if r.post.Admission == models.AdmissionAdmitted {
		r.enqueue(ctx, *r.post)
	}
	if o.awaitsFile {
		r.wakeIfFetched(ctx)
	}
	if o.rows.FirstComment != nil {
		r.enqueueComments(ctx, r.post.AppID)
	}
	if left {
		r.askForTurn(ctx)
	}
	return nil
}

// wakeIfConnected makes the post due if its account was connected again while this run held
// it: connecting an account skips posts that a run holds.
func (r *run) wakeIfConnected(ctx context.Context) {
	if err := r.Tokens.WakeIfConnected(context.WithoutCancel(ctx), r.post); err != nil {
		r.log.WithError(err).Warn("could not check whether the account is connected again; the post checks by itself")
	}
}

// apply puts an outcome into the post.
func (r *run) apply(o outcome) {
	now, p := r.Now(), r.post
	p.LeaseUntil, p.LeaseOwner = nil, ""
	if !o.quarantined {
		p.UnfinishedRuns = 0
	}
	p.Status, p.UpdatedAt = o.status, now
	p.DeferredUntil, p.DeferredReason = nil, ""
	if o.attempt {
		p.Attempts++
	}
	if o.look {
		p.Polls++
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
	p.HeldReason = o.held
	if o.held != "" {
		p.Admission, p.EnqueuedAt = models.AdmissionHeld, nil
		return
	}
	if o.parked {
		p.Admission, p.EnqueuedAt = models.AdmissionParked, nil
		return
	}
	if o.reason != "" {
		p.DeferredUntil = &at
	}
	p.Admission, p.EnqueuedAt = models.AdmissionAdmitted, &now
	if o.in > r.Timings.Horizon || o.reason == models.DeferredDown { // many may wait: they take turns when they are due
		p.Admission, p.EnqueuedAt = models.AdmissionWaiting, nil
	}
}
