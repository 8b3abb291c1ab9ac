package publish

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sirupsen/logrus"

	"socialqueue/db"
	"socialqueue/models"
	"socialqueue/observe"
	"socialqueue/platform"
)

// This file holds what follows from a restored database: each of its posts is searched for
// on the platform before it is sent. One that is found is published. One that is not found,
// and whose time had not come, goes on. Any other waits until a person releases it.

// Window is the time in which a post may have gone live without a trace in the database.
type Window struct{ From, To time.Time }

const (
	// searchSlack widens the window for clocks that differ.
	searchSlack = time.Minute
	// searchAgain is the wait before a search is made again that failed.
	searchAgain = time.Minute
)

// concerning lists the restores that concern the run's post, newest first, and takes them
// into account.
func (r *run) concerning(ctx context.Context) ([]models.Restore, error) {
	all, err := r.knownRestores(ctx)
	if err != nil {
		return nil, err
	}
	var concerning []models.Restore
	for _, restore := range all {
		r.restoreID = max(r.restoreID, restore.ID)
		if restore.Concerns(r.post) {
			concerning = append(concerning, restore)
		}
	}
	return concerning, nil
}

// checkRestored decides whether a call may be made for a post, which a restored database may
// wrongly call unsent. stop means that the run ends with o.
func (r *run) checkRestored(ctx context.Context) (o outcome, stop bool, err error) {
	restores, err := r.concerning(ctx)
	if err != nil || len(restores) == 0 {
		return outcome{}, false, err
	}
	v, err := r.search(ctx, windowOf(restores, r.Timings.Arrival))
	if err != nil {
		if kind := platform.KindOf(err); kind == platform.AuthExpired || kind == platform.RateLimited || isInternal(err) {
			return outcome{}, false, err
		}
		return r.later(searchAgain, models.DeferredRestored, "the database was restored; searching for the post failed and is tried again: "+err.Error()), true, nil
	}
	newest := &restores[0]
	if settled := newest.FoundAt.Add(r.Timings.Arrival); v.State == NotLive && r.readBegan.Before(settled) {
		return r.later(settled.Sub(r.Now()), models.DeferredRestored, "the database was restored; a call made before may still arrive, so the post is searched for once more"), true, nil
	}
	covered := restores[len(restores)-1].Covers(r.post) || newest.Covers(r.post)
	switch {
	case v.State == Live && covered:
		v.Message = "the database was restored; a search found the post: " + v.Message
		o, err = r.live(ctx, len(r.kind.Steps)-1, v)
		return o, true, err
	case !covered && v.ID != "":
		return r.hold(models.HeldMatch, fmt.Sprintf("a post like this one went live as %s, which the restored database does not know of; the app may have sent it again", v.ID)), true, nil
	case covered && v.State != NotLive:
		return r.hold(models.HeldUnsearchable, "the database was restored, and no search can show whether the post is live: "+v.Message), true, nil
	case covered && !r.post.PublishAt.After(newest.FoundAt):
		return r.hold(models.HeldDue, "the database was restored; a search did not find the post, whose time had passed: "+v.Message), true, nil
	}
	r.post.RestoreID, r.post.HeldReason = newest.ID, ""
	return outcome{}, false, nil
}

// windowOf is from when the oldest of the restores' backups was made until the newest of
// them was noticed.
func windowOf(restores []models.Restore, arrival time.Duration) Window {
	w := Window{From: restores[0].AsOf, To: restores[0].FoundAt.Add(arrival)}
	for _, restore := range restores {
		if restore.AsOf.Before(w.From) {
			w.From = restore.AsOf
		}
	}
	w.From = w.From.Add(-searchSlack)
	return w
}

// search has the publisher search for the post. A search that the platform refuses shows
// nothing.
func (r *run) search(ctx context.Context, w Window) (Verdict, error) {
	if r.kind.Search == nil {
		return Verdict{Message: fmt.Sprintf("%s shows no list of such posts", r.post.Platform)}, nil
	}
	r.readBegan = r.Now()
	v, err := r.kind.Search(ctx, &Run{r}, w)
	if platform.KindOf(err) == platform.Rejected && err != nil {
		return Verdict{Message: err.Error()}, nil
	}
	return v, err
}

// hold keeps a post back until a person releases it. It is queued then, whatever it was, so
// that it can be released or canceled. A post that may be live is only polled on; an operator
// settles it.
func (r *run) hold(reason models.HeldReason, message string) outcome {
	if r.ledger.MayBeLive() {
		o := r.uncertain(message)
		o.reason = models.DeferredRestored
		return o
	}
	return outcome{status: models.Queued, step: r.post.Step, reason: models.DeferredRestored, held: reason, message: message}
}

// RecordRestore stores that the database was restored from a backup of a time: what it
// calls unsent is searched for before it is sent. It is for a restore that the high-water
// mark cannot show, because the mark was restored along or is lost.
func (s *Service) RecordRestore(ctx context.Context, asOf time.Time, by string) (*models.Restore, error) {
	if now := s.Now(); asOf.After(now) {
		return nil, models.FieldErrors{{Field: "as-of", Message: "lies in the future; give the time at which the backup was made"}}
	}
	mark, err := s.readMark(ctx)
	if err != nil {
		return nil, err
	}
	found, err := s.DB.Restores.Record(ctx, asOf, mark, s.Now())
	if err != nil {
		return nil, err
	}
	replaced, err := s.replaceMark(ctx, mark, found.Mark)
	if err == nil && replaced {
		err = s.DB.Restores.Settle(ctx, found.Mark.Identity)
	}
	if err != nil {
		return nil, fmt.Errorf("the restore is recorded, but not the mark; run the command again: %w", err)
	}
	s.Log.WithFields(logrus.Fields{observe.FieldAction: observe.ActionOperator, "restore": found.Restore.ID}).
		Warnf("%s recorded that the database was restored from a backup of %s", by, asOf.UTC().Format(time.RFC3339))
	return found.Restore, nil
}

// ReleaseHeld has a post sent that was held because the database was restored, as somebody
// says who looked at the account. by is who says so. If the post is live it is live twice.
// Errors are db.ErrNotFound or ErrConflict.
func (s *Service) ReleaseHeld(ctx context.Context, id, by string) (*models.Post, error) {
	p, err := s.DB.Posts.ByID(ctx, id)
	if err != nil {
		return nil, err
	}
	if p.Admission != models.AdmissionHeld {
		return nil, fmt.Errorf("%w: the post is %s and is not held; only posts of `socialqueue restored list` can be released", ErrConflict, p.Status)
	}
	files, err := s.filesToRunAgain(ctx, p)
	if err != nil {
		return nil, err
	}
	restores, err := s.DB.Restores.List(ctx)
	if err != nil {
		return nil, err
	}
	now, from := s.Now(), p.Status
	if len(restores) > 0 {
		p.RestoreID = restores[0].ID
	}
	p.HeldReason = ""
	if p.PublishAt.Before(now) {
		p.SetPublishAt(now)
	}
	p.DeferredUntil, p.DeferredReason = nil, ""
	p.UpdatedAt = now
	s.place(p, files, p.PublishAt, now)
	err = s.DB.Posts.ChangeUnsent(ctx, p, models.PostEvent{
		PostID: id, At: now, Type: models.EventState, From: from, To: p.Status, Message: fmt.Sprintf("released by %s: not live; it is sent", by), Fence: p.Fence + 1,
	})
	if err != nil {
		return nil, conflictIfStale(err, "the post moved on meanwhile")
	}
	observe.OfPost(s.Log, p).WithField(observe.FieldAction, observe.ActionOperator).Warnf("a held post was released by %s", by)
	s.admitAgain(ctx, p)
	return p, nil
}

// releaseBatch is how many held posts are read at once.
const releaseBatch = 100

// ReleaseAllHeld releases every post that a search did not find, and reports how many.
// Those that no search could have found, and those that resemble a live post, stay held:
// they are released one by one.
func (s *Service) ReleaseAllHeld(ctx context.Context, by string) (released int, err error) {
	after := ""
	for {
		posts, err := s.DB.Restores.Held(ctx, models.HeldDue, after, releaseBatch)
		if err != nil || len(posts) == 0 {
			return released, err
		}
		for _, p := range posts {
			after = p.ID
			_, err := s.ReleaseHeld(ctx, p.ID, by)
			switch {
			case err == nil:
				released++
			case !errors.Is(err, ErrConflict) && !errors.Is(err, db.ErrNotFound):
				return released, err
			}
		}
	}
}
