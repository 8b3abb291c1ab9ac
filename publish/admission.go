package publish

import (
	"context"
	"time"

	"socialqueue/db"
	"socialqueue/models"
	"socialqueue/observe"
)

const (
	// tickBatch is how many waiting posts one tick moves.
	tickBatch = 500
)

// AdmitDue moves posts whose time is near into Asynq, a few per lane; the rest
// of a lane is parked, where it holds nobody up. It is one tick of the
// scheduler. When Redis does not answer, the other lanes wait for the next tick.
func (s *Service) AdmitDue(ctx context.Context) error {
	now := s.Now()
	if err := s.DB.Admission.QueueDue(ctx, now); err != nil {
		return err
	}
	pauses, err := s.DB.Admission.Pauses(ctx)
	if err != nil {
		return err
	}
	admitted, err := s.admitWaiting(ctx, pauses, now)
	if reached := s.enqueue(ctx, admitted...); err != nil || !reached {
		return err
	}
	lanes, err := s.DB.Admission.ParkedLanes(ctx)
	if err != nil {
		return err
	}
	for _, lane := range lanes {
		admitted, err := s.admitParked(ctx, lane, pauses, now)
		if reached := s.enqueue(ctx, admitted...); err != nil || !reached {
			return err
		}
	}
	return nil
}

func (s *Service) admitWaiting(ctx context.Context, pauses models.Pauses, now time.Time) ([]models.Post, error) {
	posts, err := s.DB.Admission.Waiting(ctx, now.Add(s.Timings.Horizon), tickBatch)
	if err != nil || len(posts) == 0 {
		return nil, err
	}
	return s.placeAll(ctx, posts, pauses, now)
}

// placeAll admits waiting posts, or parks them where their lane is full or paused.
func (s *Service) placeAll(ctx context.Context, posts []models.Post, pauses models.Pauses, now time.Time) ([]models.Post, error) {
	loads, err := s.DB.Admission.LaneLoads(ctx, lanesOf(posts), now)
	if err != nil {
		return nil, err
	}
	admit, park, held := choose(posts, loads, pauses, now)
	if err := s.DB.Admission.Park(ctx, park, now); err != nil {
		return nil, err
	}
	if err := s.DB.Admission.MarkPaused(ctx, held, now); err != nil {
		return nil, err
	}
	return s.admit(ctx, admit, now)
}

// choose splits posts, soonest first, into those that go into Asynq, those
// that wait for their lane, and those that are held by a pause. A post whose turn came before (the platform may have
// it already) always goes.
func choose(posts []models.Post, loads map[string]db.LaneLoad, pauses models.Pauses, now time.Time) (admit []models.Post, park, held []string) {
	for _, p := range posts {
		load := loads[p.Lane]
		if p.Status.Unsent() && pauses.Of(p.Lane) != nil {
			if !p.RunAt.After(now) {
				held = append(held, p.ID)
			}
			continue // one whose time has not come waits on
		}
		if p.Status.Unsent() && !hasRoom(load, *p.RunAt, now) {
			park = append(park, p.ID)
			continue
		}
		admit = append(admit, p)
		if p.Status.InLane() {
			load.Total++
			if !p.RunAt.After(now) {
				load.Due++
			}
			loads[p.Lane] = load
		}
	}
	return admit, park, held
}

// hasRoom reports whether a lane takes another post. One that is due counts
// only those that are due as well, so posts that are admitted ahead of their
// time never hold it up.
func hasRoom(load db.LaneLoad, runAt, now time.Time) bool {
	if runAt.After(now) {
		return load.Total < lanePlaces
	}
	return load.Due < lanePlaces
}

// admitAgain gives a post that the app changed its place, if it is due: in
// Asynq, or behind the others of its lane. The next tick would do the same.
func (s *Service) admitAgain(ctx context.Context, p *models.Post) {
	now := s.Now()
	if p.RunAt.After(now) {
		return
	}
	admitted, err := s.placeAgain(ctx, p, now)
	s.enqueue(ctx, admitted...)
	if err != nil {
		observe.OfPost(s.Log, p).WithError(err).Warn("could not admit the changed post; the next tick will")
	}
}

func (s *Service) placeAgain(ctx context.Context, p *models.Post, now time.Time) ([]models.Post, error) {
	pauses, err := s.DB.Admission.Pauses(ctx)
	if err != nil {
		return nil, err
	}
	return s.placeAll(ctx, []models.Post{*p}, pauses, now)
}

// admitLane fills a lane's free places. It is the fast path for when a post
// leaves its lane; the tick does the same.
func (s *Service) admitLane(ctx context.Context, lane string) {
	var admitted []models.Post
	pauses, err := s.DB.Admission.Pauses(ctx)
	if err == nil {
		admitted, err = s.admitParked(ctx, lane, pauses, s.Now())
	}
	s.enqueue(ctx, admitted...)
	if err != nil {
		observe.In(ctx, s.Log).WithError(err).WithField("lane", lane).Warn("could not admit the next post of the lane; the next tick will")
	}
}

func (s *Service) admitParked(ctx context.Context, lane string, pauses models.Pauses, now time.Time) ([]models.Post, error) {
	if pauses.Of(lane) != nil {
		return nil, nil
	}
	posts, err := s.DB.Admission.Parked(ctx, lane, lanePlaces)
	if err != nil || len(posts) == 0 {
		return nil, err
	}
	loads, err := s.DB.Admission.LaneLoads(ctx, []string{lane}, now)
	if err != nil {
		return nil, err
	}
	admit, _, _ := choose(posts, loads, pauses, now)
	return s.admit(ctx, admit, now)
}

// admit moves posts into Asynq's care. It returns those that it moved; the caller
// enqueues them, also beside an error.
func (s *Service) admit(ctx context.Context, posts []models.Post, now time.Time) ([]models.Post, error) {
	admitted, err := s.DB.Admission.Admit(ctx, posts, now)
	for i := range admitted {
		p := &admitted[i]
		observe.OfPost(s.Log, p).WithField(observe.FieldAction, "admit").Info("the post goes to the workers")
	}
	return admitted, err
}

func lanesOf(posts []models.Post) []string {
	seen := map[string]bool{}
	var lanes []string
	for _, p := range posts {
		if !seen[p.Lane] {
			seen[p.Lane] = true
			lanes = append(lanes, p.Lane)
		}
	}
	return lanes
}
