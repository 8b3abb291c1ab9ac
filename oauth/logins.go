package oauth

import (
	"context"
	"errors"

	"socialqueue/db"
	"socialqueue/models"
	"socialqueue/observe"
	"socialqueue/secrets"
)

// claimLogin gives the caller the exclusive right to read tokens of accounts with their
// login's token.
func (s *Service) claimLogin(ctx context.Context, id int64) (*models.OAuthAccount, secrets.Secret, error) {
	return s.claim(ctx, id, func(a *models.OAuthAccount) (secrets.Secret, error) {
		if a.Status == models.AccountDisconnected {
			return "", ErrDisconnected
		}
		return s.openAccess(a)
	})
}

// releaseLogin releases a claim and leaves the login unchanged. If the login was connected
// again or disconnected meanwhile, that change stays and is no error.
func (s *Service) releaseLogin(ctx context.Context, login *models.OAuthAccount) error {
	err := db.Persist(ctx, persistFor, func(ctx context.Context) error { return s.DB.Tokens.ReleaseRefresh(ctx, login.ID, login.RefreshFence) }, nil)
	if errors.Is(err, db.ErrStale) {
		return nil
	}
	return err
}

// loginEnded handles a login whose token is dead. The tokens of the accounts behind it may
// still work, as after a mere expiry, so each of them is checked.
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
	observe.OfAccount(ctx, s.Log, login).WithField(observe.FieldReason, reason).Warn("the token of a login is dead; its accounts are checked")
	accounts, err := s.DB.Accounts.InstagramAccountsOf(ctx, login.ID)
	if err != nil {
		return err
	}
	return s.checkPages(ctx, c, accounts)
}
