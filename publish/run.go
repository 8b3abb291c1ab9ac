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
	"socialqueue/platform"
)

const (
	// maxUnfinishedRuns ends a post whose runs keep dying without a word, such
	// as one that kills its worker.
	maxUnfinishedRuns = 5
	// writeTimeout bounds one try to write what a run found out.
	writeTimeout = 5 * time.Second
	writePause   = 250 * time.Millisecond
)

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
	// stored is the status that the row has.
	stored models.Status
	ledger models.Ledger
	token  oauth.Token
	log    logrus.FieldLogger
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
	// attempt is set if this run counts against the budget.
	attempt bool
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
	post, err := s.DB.Claim(ctx, task.PostID, task.Fence, s.Owner, s.Now(), s.Timings.Lease)
	switch {
	case errors.Is(err, db.ErrStale), errors.Is(err, db.ErrNotFound):
		s.Log.WithFields(logrus.Fields{"post_id": task.PostID, "fence": task.Fence}).Debug("an old task found nothing to do")
		return nil
	case err != nil:
		return err
	}
	r := &run{
		Service: s, post: post, stored: post.Status, drain: drain,
		log: s.Log.WithFields(logrus.Fields{"post_id": post.ID, "fence": post.Fence, "correlationId": post.CorrelationID, "provider": post.Platform}),
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
	switch cause := context.Cause(ctx); {
	case errors.Is(cause, errLostLease), errors.Is(err, db.ErrStale):
		return outcome{}, errLostLease
	case errors.Is(err, errDraining), cause != nil:
		return r.handBack(), nil
	}
	return r.decide(ctx, err), nil
}

func (r *run) begin(ctx context.Context) (outcome, error) {
	if err := r.pause(ctx, r.post.RunAt.Sub(r.Now())); err != nil {
		return outcome{}, err
	}
	var err error
	if r.ledger, err = r.DB.Ledger(ctx, r.post.ID); err != nil {
		return outcome{}, err
	}
	if o, stop := r.quarantine(); stop {
		return o, nil
	}
	if r.stored == models.Publishing && !r.ledger.MayBeLive() && r.post.TooLate(r.Now()) {
		return outcome{status: models.Missed, last: true, message: tooLate(r.post)}, nil
	}
	if r.token, err = r.Tokens.For(ctx, r.post); err != nil {
		return outcome{}, err
	}
	if r.post.Platform == models.TikTok {
		return r.tiktok(ctx)
	}
	return r.instagram(ctx)
}

// quarantine stops a post whose runs keep dying. What may be live stays
// uncertain; the rest fails and may be run again by hand.
func (r *run) quarantine() (outcome, bool) {
	if r.post.UnfinishedRuns <= maxUnfinishedRuns {
		return outcome{}, false
	}
	why := fmt.Sprintf("%d runs of this post ended without a word; it is set aside", maxUnfinishedRuns)
	if r.ledger.MayBeLive() && models.CanMove(r.stored, models.Uncertain) {
		return outcome{status: models.Uncertain, last: true, message: why}, true
	}
	if !models.CanMove(r.stored, models.Failed) {
		return outcome{status: r.stored, last: true, message: why}, true
	}
	return outcome{status: models.Failed, last: true, message: why, code: platform.CodePublishFailed, detail: why}, true
}

// handBack gives the post to the next worker: same state, at once, no attempt.
func (r *run) handBack() outcome {
	return outcome{status: r.stored, step: r.post.Step, message: "handed back: the worker is stopping"}
}

// conclude writes the outcome and sees to what follows from it.
func (r *run) conclude(ctx context.Context, o outcome, err error) error {
	if errors.Is(err, errLostLease) {
		r.log.Warn("the run lost its lease; another one goes on from the ledger")
		return nil
	}
	if err != nil {
		return err
	}
	if o.look && o.status == r.stored && !o.last {
		o.message = "" // the look itself is in the timeline
	}
	r.apply(o)
	if err := r.write(ctx, o.message, o.rows); err != nil {
		if errors.Is(err, db.ErrStale) {
			r.log.Warn("another run took the post over; this one wrote nothing")
			return nil
		}
		return err
	}
	if r.post.Admission == models.AdmissionAdmitted {
		r.enqueue(ctx, r.post)
	}
	if !r.post.Status.InLane() || r.post.Admission != models.AdmissionAdmitted {
		r.admitLane(context.WithoutCancel(ctx), r.post.Lane)
	}
	return nil
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
		p.ErrorCode, p.ErrorMessage = string(o.code), o.detail
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
	if o.reason != "" {
		p.DeferredUntil, p.DeferredReason = &at, o.reason
	}
	p.Admission, p.EnqueuedAt = models.AdmissionAdmitted, &now
	if o.in > r.Timings.Horizon {
		p.Admission, p.EnqueuedAt = models.AdmissionWaiting, nil
	}
}

// write writes the post and its change of state; it keeps trying while the
// database is away and the lease may still hold, for it tells of facts.
func (r *run) write(ctx context.Context, message string, w db.RunWrite) error {
	w.Post, w.From = r.post, r.stored
	if r.post.Status != r.stored || message != "" {
		e := models.PostEvent{PostID: r.post.ID, At: r.Now(), Type: models.EventNote, Fence: r.post.Fence, Message: message}
		if r.post.Status != r.stored {
			e.Type, e.From, e.To = models.EventState, r.stored, r.post.Status
		}
		w.Events = append(w.Events, e)
	}
	err := r.persist(ctx, func(ctx context.Context) error { return r.DB.WriteRun(ctx, w) })
	if err == nil {
		r.stored = r.post.Status
	}
	return err
}

// persist runs a write that must not be lost to a passing trouble, and that the
// end of ctx must not stop.
func (r *run) persist(ctx context.Context, write func(context.Context) error) error {
	ctx = context.WithoutCancel(ctx)
	deadline := time.Now().Add(r.Timings.Lease)
	for {
		try, cancel := context.WithTimeout(ctx, writeTimeout)
		err := write(try)
		cancel()
		if err == nil || errors.Is(err, db.ErrStale) || time.Now().After(deadline) {
			return err
		}
		r.log.WithError(err).Warn("could not write what the run found out; trying again")
		time.Sleep(writePause)
	}
}

// keepLease renews the lease until stop is called. The returned context ends
// when the lease is lost.
func (r *run) keepLease(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	done := make(chan struct{})
	id, fence := r.post.ID, r.post.Fence
	go func() {
		defer close(done)
		r.renew(ctx, id, fence, cancel)
	}()
	return ctx, func() {
		cancel(context.Canceled)
		<-done
	}
}

func (s *Service) renew(ctx context.Context, id string, fence int64, lost context.CancelCauseFunc) {
	every := time.NewTicker(s.Timings.Lease / 4)
	defer every.Stop()
	held := time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-every.C:
		}
		err := s.DB.Renew(ctx, id, fence, s.Now().Add(s.Timings.Lease))
		if err == nil {
			held = time.Now()
			continue
		}
		if errors.Is(err, db.ErrStale) || time.Since(held) >= s.Timings.Lease {
			lost(errLostLease)
			return
		}
	}
}

// pause waits, unless the process stops or the run loses its lease first.
func (r *run) pause(ctx context.Context, d time.Duration) error {
	if err := r.stopping(ctx); err != nil {
		return err
	}
	if d <= 0 {
		return nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-r.drain:
		return errDraining
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// stopping is asked before every call that takes long or cannot be taken back.
func (r *run) stopping(ctx context.Context) error {
	select {
	case <-r.drain:
		return errDraining
	case <-ctx.Done():
		return context.Cause(ctx)
	default:
		return nil
	}
}

// record writes a platform call into the timeline as soon as it ended, so that
// a crash right after it does not hide it.
func (r *run) record(c platform.Call) {
	e := models.PostEvent{
		PostID: r.post.ID, At: models.Time(c.Started), Type: models.EventCall, Op: c.Op, HTTPStatus: c.HTTPStatus,
		PlatformCode: c.PlatformCode, LogID: c.LogID, DurationMs: c.Duration.Milliseconds(), Message: c.Detail, Fence: r.post.Fence,
	}
	entry := r.log.WithFields(logrus.Fields{"action": c.Op, "duration": e.DurationMs, "http_status": c.HTTPStatus, "log_id": c.LogID})
	if c.Err != nil {
		e.Message = describe(c.Err)
		entry.WithError(c.Err).Info("platform call failed")
	} else {
		entry.Info("platform call")
	}
	ctx, cancel := context.WithTimeout(context.Background(), writeTimeout)
	defer cancel()
	if err := r.DB.AddEvents(ctx, e); err != nil {
		r.log.WithError(err).Warn("could not write a call into the timeline")
	}
}

// describe says what an error means for the post.
func describe(err error) string {
	next := map[platform.Kind]string{
		platform.Unknown:     "the outcome is not known",
		platform.Transient:   "nothing happened; it may be tried again",
		platform.RateLimited: "nothing happened; it may be tried again later",
		platform.AuthExpired: "nothing happened; the account needs a new token",
		platform.Rejected:    "refused",
		platform.NotReady:    "not ready yet",
		platform.Gone:        "what the call named is gone",
	}[platform.KindOf(err)]
	return next + ": " + err.Error()
}
