package publish

import (
	"context"
	"errors"
	"fmt"
	"time"

	"socialqueue/db"
	"socialqueue/models"
)

// Effect is what a platform's webhook changed about a post.
type Effect uint8

const (
	// EffectNone: nothing. The post needs no poll, or has its id already.
	EffectNone Effect = iota
	// EffectHeld: nothing yet, because a run holds the post. Try again in a moment.
	EffectHeld
	// EffectPolling: the post's next poll is due now and enqueued.
	EffectPolling
	// EffectIdentified: the post's id and link at the platform are stored.
	EffectIdentified
)

// Held reports whether a run holds the post's lease.
func (s *Service) Held(p *models.Post) bool {
	return p.LeaseUntil != nil && p.LeaseUntil.After(s.Now())
}

// PollNow makes the next poll of a post due now, because the platform's webhook said that
// something happened to it. The webhook itself is not believed: the poll reads the result
// from the platform. So an event that is early, late, doubled or forged never moves a post.
// why goes into the post's timeline.
func (s *Service) PollNow(ctx context.Context, p *models.Post, why string) (Effect, error) {
	now := s.Now()
	switch {
	case s.Held(p):
		return EffectHeld, nil
	case !polled(p.Status) || p.RunAt == nil || !p.RunAt.After(now):
		return EffectNone, nil
	}
	err := s.DB.Runs.RunNow(ctx, p, models.PostEvent{At: now, Type: models.EventNote, Message: why + "; polling now"}, now)
	if errors.Is(err, db.ErrStale) {
		return EffectHeld, nil
	}
	if err != nil {
		return EffectNone, err
	}
	s.enqueue(ctx, *p)
	return EffectPolling, nil
}

const (
	// sightingSlack forgives the clocks when an event is compared with the call that it may be
	// about, and sightingSpan is how long after that call the event may come.
	sightingSlack = time.Minute
	sightingSpan  = 24 * time.Hour
)

// Sighting is what a platform's webhook says about a post that nobody here knows by that id.
type Sighting struct {
	Platform          models.Platform
	ProviderAccountID string
	// Op is the call whose answer brings such ids, and PublishID the id.
	Op        models.LedgerOp
	PublishID string
	// At is when the platform says that it happened.
	At time.Time
	// Fits reports whether a post can have this id. It may be nil.
	Fits func(*models.Post) bool
	// Why goes into the post's timeline.
	Why string
}

// Adopt gives a post the id that was lost with the answer to its call, if no other call of the
// account can have had that answer, whatever became of it since. The post is then polled by
// that id: what became of it is read from the platform, not believed. p is nil if there is no
// such post, or more than one.
func (s *Service) Adopt(ctx context.Context, seen Sighting) (p *models.Post, effect Effect, err error) {
	lost, err := s.DB.Runs.LostCalls(ctx, seen.Platform, seen.ProviderAccountID, seen.Op, seen.At.Add(-sightingSpan), seen.At.Add(sightingSlack), 2)
	if err != nil || len(lost) != 1 {
		return nil, EffectNone, err
	}
	call, now := &lost[0], s.Now()
	switch status := call.Post.Status; {
	case seen.Fits != nil && !seen.Fits(&call.Post), !call.Entry.Open():
		return nil, EffectNone, nil
	case s.Held(&call.Post), status == models.Publishing: // its answer may still come
		return &call.Post, EffectHeld, nil
	case status != models.Processing && status != models.Uncertain:
		return nil, EffectNone, nil
	}
	event := models.PostEvent{At: now, Type: models.EventNote, Message: seen.Why + " of " + seen.PublishID + ", whose answer was lost; polling now"}
	err = s.DB.Runs.Adopt(ctx, call, seen.PublishID, event, now)
	if errors.Is(err, db.ErrStale) {
		return &call.Post, EffectHeld, nil
	}
	if err != nil {
		return nil, EffectNone, err
	}
	s.enqueue(ctx, call.Post)
	return &call.Post, EffectPolling, nil
}

// polled reports whether the next run of a post with this status may read from the
// platform what became of it.
func polled(status models.Status) bool {
	switch status {
	case models.Publishing, models.Processing, models.Uncertain, models.Published:
		return true
	}
	return false
}

// Identify stores the id and the link of a published post that lacks them, and ends the
// polls for them. why goes into the post's timeline.
func (s *Service) Identify(ctx context.Context, p *models.Post, id, permalink, why string) (Effect, error) {
	switch {
	case s.Held(p):
		return EffectHeld, nil
	case p.Status != models.Published || p.PlatformPostID != nil:
		return EffectNone, nil
	}
	now := s.Now()
	err := s.DB.Runs.Identify(ctx, p, id, permalink, models.PostEvent{At: now, Type: models.EventNote, Message: why}, now)
	if errors.Is(err, db.ErrStale) {
		return EffectHeld, nil
	}
	if err != nil {
		return EffectNone, fmt.Errorf("store the platform's id of post %s: %w", p.ID, err)
	}
	return EffectIdentified, nil
}
