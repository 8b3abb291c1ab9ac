package publish

import (
	"context"
	"fmt"
	"strings"

	"github.com/sirupsen/logrus"

	"socialqueue/models"
	"socialqueue/observe"
)

const (
	maxPauseReason = 500
	maxPausedBy    = 100
)

// PauseScope reads what is to be paused or resumed: a platform, or with an id that is
// not 0 one of its accounts, which has to be there.
func (s *Service) PauseScope(ctx context.Context, p models.Platform, accountID int64) (string, error) {
	if !s.platforms.Has(p) {
		return "", models.FieldErrors{{Field: "platform", Message: fmt.Sprintf("must be %s", s.platforms)}}
	}
	if accountID == 0 {
		return string(p), nil
	}
	found, err := s.DB.Admission.HasAccount(ctx, p, accountID)
	if err != nil {
		return "", err
	}
	if !found {
		return "", models.FieldErrors{{Field: "account", Message: fmt.Sprintf("there is no %s account %d", p, accountID)}}
	}
	return models.Lane(p, accountID), nil
}

// Pause keeps back whatever would be sent to a scope of PauseScope, until Resume. What
// is just being sent is sent, and what may be live is looked at all the same.
func (s *Service) Pause(ctx context.Context, scope, reason string) error {
	reason = strings.TrimSpace(reason)
	if len(reason) > maxPauseReason {
		return models.FieldErrors{{Field: "reason", Message: fmt.Sprintf("must be %d bytes or less", maxPauseReason)}}
	}
	by := actor(ctx)
	pause := models.Pause{Scope: scope, Reason: plain(reason), PausedBy: plain(by[:min(len(by), maxPausedBy)]), CreatedAt: s.Now()}
	if err := s.DB.Admission.Pause(ctx, pause); err != nil {
		return err
	}
	observe.In(ctx, s.Log).WithField(observe.FieldAction, observe.ActionOperator).Warn(pause.String())
	return nil
}

// Resume lets go what was kept back: the next tick of a scheduler does. It reports
// whether the scope was paused.
func (s *Service) Resume(ctx context.Context, scope string) (bool, error) {
	was, err := s.DB.Admission.Resume(ctx, scope)
	if was {
		observe.In(ctx, s.Log).WithFields(logrus.Fields{observe.FieldAction: observe.ActionOperator, "scope": scope}).Warn("resumed by " + actor(ctx))
	}
	return was, err
}
