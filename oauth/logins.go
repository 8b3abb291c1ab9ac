package oauth

import (
	"context"
	"errors"

	"socialqueue/db"
	"socialqueue/models"
	"socialqueue/observe"
	"socialqueue/secrets"
)

// claimLogin makes the caller the only one who reads tokens of accounts with that of
// their login.
func (s *Service) claimLogin(ctx context.Context, id int64) (*models.OAuthAccount, secrets.Secret, error) {
	return s.claim(ctx, id, func(a *models.OAuthAccount) (secrets.Secret, error) {
		if a.Status == models.AccountDisconnected {
			return "", ErrDisconnected
		}
		return s.openAccess(a)
	})
}

// releaseLogin gives a claim up and leaves the login as it was. That it was connected
// again meanwhile, or disconnected, is no error, and counts.
func (s *Service) releaseLogin(ctx context.Context, login *models.OAuthAccount) error {
	err := db.Persist(ctx, persistFor, func(ctx context.Context) error { return s.DB.Tokens.ReleaseRefresh(ctx, login.ID, login.RefreshFence) }, nil)
	if errors.Is(err, db.ErrStale) {
		return nil
	}
	return err
}

// loginEnded is for a login whose token is dead. The tokens of the accounts behind it
// may well live on, as they do when it only ran out; each of them is checked.
func (s *Service) loginEnded(ctx context.Context, login *models.OAuthAccount, reason string) error {
	c, err := s.loginConnector(login.Provider)
	if err != nil {
		return err
	}
	now := s.Now()
	err = db.Persist(ctx, persistFor, func(ctx context.Context) error {
		return s.DB.Tokens.ReauthorizeLogin(ctx, login.ID, login.RefreshFence, reason, now)
	}, nil)
	if errors.Is(err, db.ErrStale) {
		return nil
	}
	if err != nil {
		return err
	}
	s.Metrics.Refreshed(string(login.Provider), observe.RefreshLoginEnded)
	observe.OfAccount(ctx, s.Log, login).WithField(observe.FieldReason, reason).Warn("a login has ended")
	accounts, err := s.DB.Accounts.InstagramAccountsOf(ctx, login.ID)
	if err != nil {
		return err
	}
	return s.checkPages(ctx, c, accounts)
}
