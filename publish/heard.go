package publish

import (
	"context"
	"errors"
	"fmt"
	"time"

	"socialqueue/db"
	"socialqueue/models"
	"socialqueue/platform/tiktok"
)

// Heard is what a platform's word about a post met.
type Heard uint8

const (
	// HeardOfNone: no post of ours, or none whose upload is known yet.
	HeardOfNone Heard = iota
	// HeardWhileBusy: a run has the post just now. Say it again in a moment.
	HeardWhileBusy
	// HeardAndLooks: the post is looked at now.
	HeardAndLooks
	// HeardAndNoted: it is written down.
	HeardAndNoted
	// HeardLate: it is nothing new.
	HeardLate
)

// LookNow ends a post's wait for its next look at TikTok, because TikTok told that
// something became of the upload. What became of it is asked, not believed: so
// nothing that comes early, late or twice moves a post to where it does not belong. The
// post is nil where it is not known.
func (s *Service) LookNow(ctx context.Context, publishID, told string) (*models.Post, Heard, error) {
	p, heard, err := s.postHeardOf(ctx, publishID)
	if heard != HeardLate {
		return p, heard, err
	}
	switch p.Status {
	case models.Publishing, models.Processing, models.Uncertain, models.Published:
	default:
		return p, HeardLate, nil
	}
	now := s.Now()
	if p.RunAt == nil || !p.RunAt.After(now) || p.PublishID == nil || *p.PublishID != publishID {
		return p, HeardLate, nil
	}
	err = s.DB.Runs.Hasten(ctx, p, models.PostEvent{At: now, Type: models.EventNote, Message: "TikTok told " + told + "; looking now"}, now)
	if errors.Is(err, db.ErrStale) {
		return p, HeardWhileBusy, nil
	}
	if err != nil {
		return p, HeardLate, err
	}
	s.enqueue(ctx, *p)
	return p, HeardAndLooks, nil
}

// postHeardOf finds the post of an upload. It is HeardLate until something is done with
// it, and not to be touched while it is anything else.
func (s *Service) postHeardOf(ctx context.Context, publishID string) (*models.Post, Heard, error) {
	p, err := s.DB.Runs.PostOfUpload(ctx, publishID)
	if errors.Is(err, db.ErrNotFound) {
		return nil, HeardOfNone, nil
	}
	if err != nil {
		return nil, HeardOfNone, err
	}
	if p.LeaseUntil != nil && p.LeaseUntil.After(s.Now()) {
		return p, HeardWhileBusy, nil
	}
	return p, HeardLate, nil
}

// Available notes that everybody sees a video, or no longer does. A post that is
// known to be published learns its id from it; one that is not is looked at. postID
// may be empty. The post is nil where it is not known.
func (s *Service) Available(ctx context.Context, a db.Availability, postID string) (*models.Post, Heard, error) {
	p, heard, err := s.postHeardOf(ctx, a.PublishID)
	if heard != HeardLate {
		return p, heard, err
	}
	news, err := s.DB.Runs.NoteAvailability(ctx, a, availabilityEvent(p, a, s.Now()))
	if err != nil {
		return p, HeardLate, err
	}
	heard, err = s.learn(ctx, p, a, postID)
	if heard == HeardLate && news {
		heard = HeardAndNoted
	}
	return p, heard, err
}

func availabilityEvent(p *models.Post, a db.Availability, now time.Time) models.PostEvent {
	message := "TikTok told that everybody sees the video"
	if !a.Public {
		message = "TikTok told that the video is no longer on view for everybody"
	}
	return models.PostEvent{PostID: p.ID, At: now, Type: models.EventNote, Message: message, Fence: p.Fence}
}

// learn takes a post's id from what TikTok told, or has the post looked at. What is
// told of an upload that was given up is not the id of the one that followed.
func (s *Service) learn(ctx context.Context, p *models.Post, a db.Availability, postID string) (Heard, error) {
	if p.Status != models.Published || postID == "" || p.PublishID == nil || *p.PublishID != a.PublishID {
		_, heard, err := s.LookNow(ctx, a.PublishID, "of the video")
		return heard, err
	}
	if p.PlatformPostID != nil {
		return HeardLate, nil
	}
	account, err := s.DB.Accounts.OAuthAccount(ctx, p.OAuthAccountID)
	if err != nil {
		return HeardLate, err
	}
	now := s.Now()
	err = s.DB.Runs.Identify(ctx, p, postID, tiktok.Permalink(account.Username, postID), models.PostEvent{
		At: now, Type: models.EventNote, Message: "live on TikTok as " + postID + ", as TikTok told",
	}, now)
	if errors.Is(err, db.ErrStale) {
		return HeardWhileBusy, nil
	}
	if err != nil {
		return HeardLate, fmt.Errorf("learn the id of post %s: %w", p.ID, err)
	}
	return HeardAndNoted, nil
}
