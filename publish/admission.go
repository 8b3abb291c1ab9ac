package publish

import (
	"context"
	"time"

	"socialqueue/models"
	"socialqueue/observe"
)

// AdmitDue moves posts whose time is near into Asynq, by turns (turns.go). It is one tick of the
// scheduler, and the guarantee behind every turn that somebody asked for.
func (s *Service) AdmitDue(ctx context.Context) error {
	if err := s.DB.Admission.QueueDue(ctx, s.Now()); err != nil {
		return err
	}
	if err := s.takeTurns(ctx); err != nil {
		return err
	}
	if ctx.Err() != nil { // told to stop
		return nil
	}
	return s.repairLanes(ctx)
}

// repairLanes fills places of lanes that became free while nobody was there to fill them, such as
// at the end of a pause. It looks at some lanes, and goes on behind them next time; where many are
// free it goes on at once, for a moment.
func (s *Service) repairLanes(ctx context.Context) error {
	pauses, err := s.DB.Admission.Pauses(ctx)
	if err != nil {
		return err
	}
	for began, freed := time.Now(), 1; freed > 0 && time.Since(began) < repairTime; {
		if freed, err = s.repairSome(ctx, pauses); err != nil {
			return err
		}
	}
	return nil
}

func (s *Service) repairSome(ctx context.Context, pauses models.Pauses) (freed int, err error) {
	now := s.Now()
	free, last, err := s.DB.Admission.FreeLanes(ctx, s.turns.repairedTo(), repairLanes, lanePlaces, now)
	if err != nil {
		return 0, err
	}
	for _, lane := range free {
		if pauses.Of(lane) != nil {
			continue
		}
		if err := s.DB.Admission.FreeLane(ctx, lane, lanePlaces, now); err != nil {
			return freed, err
		}
		freed++
	}
	s.turns.repaired(last)
	return freed, nil
}

// admitAgain has a post that was changed admitted, if it is due. The next tick would do the same.
func (s *Service) admitAgain(ctx context.Context, p *models.Post) {
	if !p.RunAt.After(s.Now()) {
		s.askForTurn(ctx)
	}
}

// freeLane fills a lane's free places. It is for posts that leave their lane outside of a run.
func (s *Service) freeLane(ctx context.Context, lane string) {
	if err := s.DB.Admission.FreeLane(ctx, lane, lanePlaces, s.Now()); err != nil {
		observe.In(ctx, s.Log).WithError(err).WithField("lane", lane).Warn("could not free a place of the lane; the next tick will")
		return
	}
	s.askForTurn(ctx)
}
