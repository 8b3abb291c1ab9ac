package publish

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"socialqueue/db"
	"socialqueue/models"
	"socialqueue/oauth"
	"socialqueue/observe"
	"socialqueue/platform"
)

// A first comment is made under a post that is live, by a job of its own, and never changes
// the status of the post. Two of the same would be as bad as two posts, so the rule of
// sending.go holds here too: a comment is made only after the comments under the post were
// read and did not show it, the call is recorded before it is made, and after it that read has
// to begin when the call could no longer arrive. What the platform answers decides only
// whether the call is repeated then.

// Comment makes the first comment under a post of a kind.
type Comment struct {
	// Op names the call in the ledger.
	Op models.LedgerOp
	// Send makes a comment under the live post, and returns its id.
	Send func(ctx context.Context, run *Run, text string) (id string, err error)
	// Find returns the id of the account's own comment with this text under the post, and an
	// empty id if there is none: then none that could arrive by the time of the call is live.
	// Where it cannot tell now, it returns an error, and ErrNoTelling where it never will.
	Find func(ctx context.Context, run *Run, text string) (id string, err error)
}

// ErrNoTelling means that nothing the platform shows will tell whether a comment is there.
var ErrNoTelling = errors.New("nobody can tell whether the first comment is there")

// Commenter are Options that may want a first comment.
type Commenter interface {
	// FirstComment returns its text; empty if there is none.
	FirstComment() string
}

const (
	// maxCommentCalls is how often a comment is tried that had no effect.
	maxCommentCalls = 5
	// commentLife is how long after its post went live a first comment is still made or
	// looked for, and refusedLife how long it is tried while the platform refuses even to show
	// the comments.
	commentLife = 24 * time.Hour
	refusedLife = time.Hour
	// minCommentWait and maxCommentWait limit the wait after something stood in the way of a
	// comment. In between it is a quarter of the time since the post went live.
	minCommentWait = 15 * time.Second
	maxCommentWait = 15 * time.Minute
	// appComments is how many first comments of one app are in Asynq at once.
	appComments = 8
)

// CommentTask is the work of making one first comment.
type CommentTask struct {
	PostID        string
	AppID         int64
	Fence         int64
	CorrelationID string
}

// firstCommentOf returns the first comment that a post wants; empty if there is none.
func (s *Service) firstCommentOf(p *models.Post) (string, error) {
	kind := s.publishers.of(p)
	if kind == nil || kind.Comment == nil {
		return "", nil
	}
	options, err := kind.Decode(p.Options())
	if err != nil {
		return "", fmt.Errorf("decode the options of post %s: %w", p.ID, err)
	}
	return textOfComment(options), nil
}

func textOfComment(options Options) string {
	if c, ok := options.(Commenter); ok {
		return c.FirstComment()
	}
	return ""
}

// newFirstComment returns the first comment of a post that is live, as new, or nil if it wants
// none.
func (s *Service) newFirstComment(p *models.Post, now time.Time) (*models.FirstComment, error) {
	text, err := s.firstCommentOf(p)
	if text == "" || err != nil {
		return nil, err
	}
	return &models.FirstComment{PostID: p.ID, AppID: p.AppID, Status: models.CommentPending, DueAt: &now, CreatedAt: now}, nil
}

// EnqueueComments gives the due first comments of each app a task, a few at a time. It is one
// tick of the scheduler, and the guarantee behind enqueueComments.
func (s *Service) EnqueueComments(ctx context.Context) error {
	apps, err := s.DB.FirstComments.Apps(ctx, s.Now())
	if err != nil {
		return err
	}
	for _, app := range apps {
		if err := s.offerComments(ctx, app); err != nil {
			return err
		}
	}
	return nil
}

func (s *Service) offerComments(ctx context.Context, appID int64) error {
	due, err := s.DB.FirstComments.Due(ctx, appID, s.Now(), appComments)
	if err != nil {
		return err
	}
	for _, c := range due {
		task := CommentTask{PostID: c.PostID, AppID: appID, Fence: c.Fence, CorrelationID: c.CorrelationID}
		if err := s.Queue.EnqueueComment(ctx, task); err != nil {
			return fmt.Errorf("enqueue the first comment of post %s: %w", c.PostID, err)
		}
	}
	return nil
}

// enqueueComments is the fast path for when a post of an app is live, or a comment was made.
func (s *Service) enqueueComments(ctx context.Context, appID int64) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), enqueueTimeout)
	defer cancel()
	if err := s.offerComments(ctx, appID); err != nil {
		observe.In(ctx, s.Log).WithError(err).Warn("could not enqueue first comments; the next tick will")
	}
}

// Comment makes the first comment of a post, or looks for it. A task whose fence is not the
// row's any more has nothing to do, which is no error.
func (s *Service) Comment(ctx context.Context, task CommentTask, drain <-chan struct{}) error {
	c := &models.FirstComment{PostID: task.PostID, Fence: task.Fence}
	err := s.DB.FirstComments.Claim(ctx, c, s.Now(), s.Timings.Lease)
	if errors.Is(err, db.ErrStale) {
		observe.AttemptOf(ctx).Outcome = observe.AttemptRevoked
		return nil
	}
	if err != nil {
		return err
	}
	post, err := s.DB.Posts.ByID(ctx, c.PostID)
	if err != nil {
		return err
	}
	r := &commentRun{comment: c, run: &run{
		Service: s, post: post, kind: s.publishers.of(post), stored: post.Status, drain: drain, log: observe.OfPost(s.Log, post),
	}}
	ctx, stop := s.keep(ctx, r.renewComment, &r.moves, func() { r.noteStall(post.ID, post.Fence) })
	defer stop()
	ctx = platform.WithRecorder(ctx, r.record)
	return r.conclude(ctx, r.advance(ctx))
}

// commentRun is one run of a first comment.
type commentRun struct {
	*run
	comment *models.FirstComment
}

func (r *commentRun) renewComment(ctx context.Context, until time.Time) error {
	return r.DB.FirstComments.Renew(ctx, r.comment, until)
}

// commentWait is the error of a run that settled nothing: the next one is due at that time.
type commentWait struct {
	at  time.Time
	why string
}

func (e *commentWait) Error() string { return e.why }

// advance brings the comment a step further. Nil means that it is settled; any error says why
// it is not.
func (r *commentRun) advance(ctx context.Context) error {
	if err := r.ready(ctx); err != nil {
		return err
	}
	text, err := r.firstCommentOf(r.post)
	if err != nil {
		return err
	}
	view := &Run{r.run}
	began := r.Now()
	id, err := r.kind.Comment.Find(ctx, view, text)
	switch {
	case err != nil:
		return fmt.Errorf("read the comments: %w", err)
	case id != "":
		r.settle(models.CommentPosted, id, "")
		return nil
	}
	if sent := r.comment.SentAt; sent != nil {
		if arrived := sent.Add(r.Timings.Arrival); began.Before(arrived) {
			return &commentWait{arrived, cmp.Or(r.comment.Error, "the answer was lost, and the comment does not show")}
		}
		r.comment.SentAt = nil // it had no effect
		if r.comment.Refused || r.comment.Calls >= maxCommentCalls {
			r.settle(models.CommentFailed, "", r.comment.Error)
			return nil
		}
	}
	if err := r.afterRestore(ctx, began); err != nil {
		return err
	}
	return r.send(ctx, view, text)
}

// afterRestore keeps a comment back that a call may have made of which the database knows
// nothing, because it was restored: until that call can no longer arrive.
func (r *commentRun) afterRestore(ctx context.Context, began time.Time) error {
	restores, err := r.knownRestores(ctx)
	if err != nil || len(restores) == 0 {
		return err
	}
	r.restoreID = restores[0].ID
	if arrived := restores[0].FoundAt.Add(r.Timings.Arrival); began.Before(arrived) {
		return &commentWait{arrived, "the database was restored; a comment made before may still arrive"}
	}
	return nil
}

// ready reads what the run needs, and returns an error while the comment cannot be made.
func (r *commentRun) ready(ctx context.Context) error {
	if err := r.stopping(ctx); err != nil {
		return err
	}
	pauses, err := r.DB.Admission.Pauses(ctx)
	if err != nil {
		return err
	}
	if pause := pauses.Of(r.post.Lane); pause != nil && r.comment.SentAt == nil {
		return &commentWait{r.Now().Add(maxCommentWait), pause.String()}
	}
	if r.kind == nil || r.kind.Comment == nil {
		return noPublisher(r.post)
	}
	r.token, err = r.Tokens.For(ctx, r.post)
	return err
}

// send makes the comment. After an error, a later run finds out whether it is live all the
// same.
func (r *commentRun) send(ctx context.Context, view *Run, text string) error {
	if err := r.stopping(ctx); err != nil {
		return err
	}
	now := r.Now()
	if now.Sub(r.comment.CreatedAt) > commentLife {
		r.settle(models.CommentFailed, "", cmp.Or(r.comment.Error, "more than a day has passed since the post went live"))
		return nil
	}
	if err := r.intend(ctx, now); err != nil {
		return err
	}
	r.comment.SentAt, r.comment.Refused = &now, false
	r.comment.Calls++
	id, err := r.kind.Comment.Send(ctx, view, text)
	if err == nil {
		r.settle(models.CommentPosted, id, "")
		return nil
	}
	if errors.Is(err, errDraining) || context.Cause(ctx) != nil {
		return err // the next run looks
	}
	kind := platform.KindOf(err)
	if r.comment.Refused = kind == platform.Rejected; kind == platform.RateLimited {
		r.comment.Calls-- // waiting uses nothing up
	}
	next := now.Add(max(r.Timings.Arrival, r.pace(now)))
	if e, ok := errors.AsType[*platform.Error](err); ok {
		next = next.Add(e.RetryAfter)
	}
	return &commentWait{next, describe(err)}
}

// intend records the call before it is made, and notes it outside the database as any call is
// that is not to have an effect twice. After an error the call must not be made.
func (r *commentRun) intend(ctx context.Context, now time.Time) error {
	e := &models.LedgerEntry{
		PostID: r.post.ID, Op: r.kind.Comment.Op, Harmless: true, State: models.Intended, Fence: r.post.Fence, CreatedAt: now,
	}
	seen := r.watch.compared()
	err := r.DB.FirstComments.Intend(ctx, r.comment, db.Intent{Entry: e, Mark: seen, Check: r.isCompared(seen)}, now)
	if err == nil {
		err = r.raiseMark(ctx, e, seen)
	}
	if err != nil && e.ID != 0 {
		err = errors.Join(err, r.run.settle(ctx, e, models.Void))
	}
	return err
}

// pace is the wait after something stood in the way. It grows with the time since the post
// went live.
func (r *commentRun) pace(now time.Time) time.Duration {
	return min(max(now.Sub(r.comment.CreatedAt)/4, minCommentWait), maxCommentWait)
}

func (r *commentRun) settle(status models.CommentStatus, id, why string) {
	c := r.comment
	c.Status, c.DueAt, c.SentAt, c.Error = status, nil, nil, why
	if id != "" {
		c.CommentID = &id
	}
}

// conclude writes the result of a run.
func (r *commentRun) conclude(ctx context.Context, err error) error {
	cause := context.Cause(ctx)
	if errors.Is(cause, errLostLease) || errors.Is(err, db.ErrStale) {
		noteLostLease(ctx)
		return nil // another run takes over
	}
	known, message := r.comment.Error, "the first comment is live"
	if err != nil {
		noteError(ctx, err)
		message = r.goOn(ctx, err)
	}
	switch r.comment.Status {
	case models.CommentFailed:
		message = "the first comment is given up, and is not live: " + r.comment.Error
	case models.CommentUncertain:
		message = "the first comment is given up; nobody knows whether it is live: " + r.comment.Error
	}
	now := r.Now()
	var events []models.PostEvent
	if r.comment.DueAt == nil || r.comment.Error != known { // else the timeline tells of it already
		events = append(events, models.PostEvent{PostID: r.post.ID, At: now, Type: models.EventNote, Message: plain(message), Fence: r.post.Fence})
	}
	var op models.LedgerOp
	if r.kind != nil && r.kind.Comment != nil {
		op = r.kind.Comment.Op
	}
	err = r.persist(context.WithoutCancel(ctx), func(ctx context.Context) error {
		return r.DB.FirstComments.Write(ctx, r.comment, r.post, op, now, events...)
	})
	if errors.Is(err, db.ErrStale) {
		noteLostLease(ctx)
		return nil
	}
	r.enqueueComments(ctx, r.post.AppID)
	return err
}

// goOn plans the run that follows one which settled nothing, or gives the comment up, and says
// so. What is known of a call without a result stays: only that says why a comment failed.
func (r *commentRun) goOn(ctx context.Context, err error) string {
	now := r.Now()
	at, why := now.Add(r.pace(now)), err.Error()
	kind := platform.KindOf(err)
	wait, planned := errors.AsType[*commentWait](err)
	switch {
	case planned:
		at = wait.at
	case errors.Is(err, errDraining), context.Cause(ctx) != nil:
		at, why = now, r.comment.Error
	case errors.Is(err, errRestored):
		at = now
	case kind == platform.AuthExpired:
		why = r.renewToken(ctx, err)
	case kind == platform.RateLimited:
		at = now.Add(max(minRateWait, r.pace(now)))
	case isInternal(err) && !errors.Is(err, ErrNoTelling):
		r.log.WithError(err).Error("internal error; the first comment is tried again soon")
		why = "internal error; it is tried again"
	}
	if planned || r.comment.SentAt == nil || r.comment.Error == "" {
		r.comment.Error = plain(why)
	}
	since := now.Sub(r.comment.CreatedAt)
	refused := kind == platform.Rejected && r.comment.SentAt == nil && since > refusedLife
	if refused || since > commentLife || errors.Is(err, oauth.ErrDisconnected) || errors.Is(err, ErrNoTelling) {
		status := models.CommentFailed
		if r.comment.SentAt != nil {
			status = models.CommentUncertain
		}
		r.settle(status, "", r.comment.Error)
		return ""
	}
	at = models.Time(at)
	r.comment.DueAt = &at
	return "the first comment waits: " + why
}

// renewToken renews a token that the platform refused.
func (r *commentRun) renewToken(ctx context.Context, refusal error) string {
	err := r.Tokens.Renew(ctx, r.token, refusal)
	switch {
	case err != nil && isInternal(err):
		r.log.WithError(err).Error("internal error; the first comment is tried again soon")
		return refusal.Error()
	case err != nil:
		return err.Error()
	}
	return "the token was refused and renewed"
}
