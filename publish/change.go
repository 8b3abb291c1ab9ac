package publish

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"socialqueue/db"
	"socialqueue/models"
)

// maxChanges is the fence from which on a post cannot be rescheduled: every change adds an
// entry to its timeline. Runs count too, of which an unsent post has few.
const maxChanges = 1000

// Reschedule gives a post whose sending has not begun another time. Errors are
// models.FieldErrors, db.ErrNotFound or ErrConflict.
func (s *Service) Reschedule(ctx context.Context, appID int64, id string, at time.Time) (*models.Post, error) {
	now := s.Now()
	var errs models.FieldErrors
	models.CheckPublishAt(&errs, at, now)
	if err := errs.Err(); err != nil {
		return nil, err
	}
	p, err := s.unsentPost(ctx, appID, id)
	if err != nil {
		return nil, err
	}
	if p.Fence >= maxChanges {
		return nil, fmt.Errorf("%w: the post was changed too often; cancel it and post it again", ErrConflict)
	}
	files, err := s.DB.Posts.Files(ctx, id)
	if err != nil {
		return nil, err
	}
	from := p.Status
	if at.Before(now) {
		at = now
	}
	p.SetPublishAt(models.Time(at))
	p.DeferredUntil, p.DeferredReason = nil, ""
	p.UpdatedAt = now
	s.place(p, files, p.PublishAt, now)
	err = s.DB.Posts.ChangeUnsent(ctx, p, models.PostEvent{
		PostID: id, At: now, Type: models.EventState, From: from, To: p.Status,
		Message: "rescheduled by " + actor(ctx) + " to " + p.PublishAt.Format(time.RFC3339), Fence: p.Fence + 1,
	})
	if err != nil {
		return nil, conflictIfStale(err, "sending began meanwhile")
	}
	s.admitAgain(ctx, p)
	return p, nil
}

// Cancel withdraws a post whose sending has not begun. Errors are
// db.ErrNotFound or ErrConflict. Canceling twice is no error.
func (s *Service) Cancel(ctx context.Context, appID int64, id string) (*models.Post, error) {
	p, err := s.DB.Posts.Get(ctx, appID, id)
	if err != nil {
		return nil, err
	}
	if p.Status == models.Canceled {
		return p, nil
	}
	if err := mustBeUnsent(p); err != nil {
		return nil, err
	}
	now, from := s.Now(), p.Status
	p.Status = models.Canceled
	end(p, now)
	err = s.DB.Posts.ChangeUnsent(ctx, p, models.PostEvent{
		PostID: id, At: now, Type: models.EventState, From: from, To: p.Status, Message: "canceled by " + actor(ctx), Fence: p.Fence + 1,
	})
	if err != nil {
		return nil, conflictIfStale(err, "sending began meanwhile")
	}
	s.Metrics.PostReached(string(p.Platform), string(p.Kind), string(p.Status))
	s.freeLane(ctx, p.Lane)
	return p, nil
}

// Retry runs a failed or missed post again, from the beginning and at once.
// Errors are db.ErrNotFound or ErrConflict.
func (s *Service) Retry(ctx context.Context, appID int64, id string) (*models.Post, error) {
	p, err := s.DB.Posts.Get(ctx, appID, id)
	if err != nil {
		return nil, err
	}
	if p.Status != models.Failed && p.Status != models.Missed {
		return nil, fmt.Errorf("%w: the post is %s; only failed and missed posts can be run again", ErrConflict, p.Status)
	}
	files, err := s.filesToRunAgain(ctx, p)
	if err != nil {
		return nil, err
	}
	ledger, err := s.Ledger(ctx, p)
	if err != nil {
		return nil, err
	}
	if ledger.MayBeLive() {
		return nil, fmt.Errorf("%w: it is not certain that the post is not live; look at the account first", ErrConflict)
	}
	now, from := s.Now(), p.Status
	if err := s.DB.Fetches.Begin(ctx, newFetches(p.AppID, files, now)); err != nil {
		return nil, err
	}
	revive(p, now)
	s.place(p, files, now, now)
	err = s.DB.Posts.Revive(ctx, p, models.PostEvent{
		PostID: id, At: now, Type: models.EventState, From: from, To: p.Status, Message: "run again by " + actor(ctx), Fence: p.Fence + 1,
	})
	if err != nil {
		return nil, conflictIfStale(err, "the post moved on meanwhile")
	}
	s.enqueueFetches(ctx, p.AppID)
	s.admitAgain(ctx, p)
	return p, nil
}

// filesToRunAgain reads the files of a post that is to run again. ErrConflict: one of them
// was cleaned up.
func (s *Service) filesToRunAgain(ctx context.Context, p *models.Post) ([]models.PostMedia, error) {
	files, err := s.DB.Posts.Files(ctx, p.ID)
	if err != nil {
		return nil, err
	}
	gone := func(f models.PostMedia) bool { return f.Gone() }
	if slices.ContainsFunc(files, gone) {
		return nil, fmt.Errorf("%w: the post's file was cleaned up; post it anew", ErrConflict)
	}
	return files, nil
}

// revive clears what the earlier life of a post left in its row. Its timeline
// and ledger stay.
func revive(p *models.Post, now time.Time) {
	p.SetPublishAt(now)
	p.UpdatedAt = now
	p.Attempts, p.UnfinishedRuns, p.Polls = 0, 0, 0
	p.ErrorCode, p.ErrorMessage = "", ""
	p.PublishID, p.ContainerID = nil, nil
	p.StartedAt, p.WaitingSince = nil, nil
}

func (s *Service) unsentPost(ctx context.Context, appID int64, id string) (*models.Post, error) {
	p, err := s.DB.Posts.Get(ctx, appID, id)
	if err != nil {
		return nil, err
	}
	return p, mustBeUnsent(p)
}

func mustBeUnsent(p *models.Post) error {
	if !p.Status.Unsent() {
		return fmt.Errorf("%w: the post is %s; only scheduled and queued posts can be changed", ErrConflict, p.Status)
	}
	return nil
}

func conflictIfStale(err error, why string) error {
	if errors.Is(err, db.ErrStale) {
		return fmt.Errorf("%w: %s", ErrConflict, why)
	}
	return err
}

// end takes a post out of the queue for good.
func end(p *models.Post, now time.Time) {
	p.Admission, p.RunAt = models.AdmissionNone, nil
	p.DeferredUntil, p.DeferredReason = nil, ""
	p.UpdatedAt = now
}
