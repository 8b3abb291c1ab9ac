package oauth

import (
	"context"
	"errors"
	"fmt"
	"time"

	"socialqueue/db"
	"socialqueue/models"
	"socialqueue/observe"
	"socialqueue/platform/instagram"
	"socialqueue/secrets"
)

// userTokenLife is taken for a long-lived user token whose answer tells none: about
// 60 days (Facebook Login, manual flow), less one.
const userTokenLife = 59 * 24 * time.Hour

// claimLogin makes the caller the only one who reads tokens of a Facebook login
// anew, if needed still says so.
func (s *Service) claimLogin(ctx context.Context, id int64, needed func(*models.OAuthAccount) error) (*models.OAuthAccount, secrets.Secret, error) {
	var user secrets.Secret
	login, err := s.DB.Tokens.ClaimRefresh(ctx, id, s.Now(), refreshLease, func(a *models.OAuthAccount) (err error) {
		if a.Status == models.AccountDisconnected {
			return ErrDisconnected
		}
		if err := needed(a); err != nil {
			return err
		}
		if user, err = s.Keys.Open(a.AccessToken, a.SealedIn(models.ColumnAccessToken)); err != nil {
			return fmt.Errorf("open the token of login %d: %w", id, err)
		}
		return nil
	})
	if errors.Is(err, db.ErrBusy) {
		err = s.busy(login, err)
	}
	return login, user, err
}

// releaseLogin gives a claim up and leaves the login as it was.
func (s *Service) releaseLogin(ctx context.Context, login *models.OAuthAccount) error {
	return unlessStale(db.Persist(ctx, persistFor, func(ctx context.Context) error { return s.DB.Tokens.ReleaseRefresh(ctx, login.ID, login.RefreshFence) }, nil))
}

func (s *Service) endRefresh(ctx context.Context, end db.RefreshEnd) error {
	now := s.Now()
	return unlessStale(db.Persist(ctx, persistFor, func(ctx context.Context) error { return s.DB.Tokens.EndRefresh(ctx, end, now) }, nil))
}

// unlessStale is for the end of a claim: that the login was connected anew
// meanwhile, or disconnected, is no error, and counts.
func unlessStale(err error) error {
	if errors.Is(err, db.ErrStale) {
		return nil
	}
	return err
}

// prolongLogin exchanges a Facebook login's user token for one that lives longer,
// while it lives, and then reads the Page tokens anew. Nothing is used up by it:
// an answer that is lost is as good as none.
func (s *Service) prolongLogin(ctx context.Context, id int64) error {
	login, user, err := s.claimLogin(ctx, id, func(a *models.OAuthAccount) error {
		if !refreshDue(a, s.Now()) {
			return errNotNeeded
		}
		return nil
	})
	if errors.Is(err, errNotNeeded) {
		return nil
	}
	if err != nil {
		return err
	}
	ctx = context.WithoutCancel(ctx)
	token, err := s.prolong(ctx, user)
	switch {
	case instagram.IsDeadToken(err):
		return s.loginEnded(ctx, login)
	case err != nil:
		return s.prolongFailed(ctx, login, err)
	}
	if err := s.storeProlonged(ctx, login, token); err != nil {
		return err
	}
	return s.rereadPages(ctx, login.ID, token.Access)
}

func (s *Service) prolong(ctx context.Context, user secrets.Secret) (instagram.UserToken, error) {
	ctx, cancel := context.WithTimeout(ctx, refreshCall)
	defer cancel()
	return s.Instagram.ProlongToken(ctx, user)
}

func (s *Service) storeProlonged(ctx context.Context, login *models.OAuthAccount, token instagram.UserToken) error {
	now := s.Now()
	sealed, err := s.Keys.Seal(token.Access, login.SealedIn(models.ColumnAccessToken))
	if err != nil {
		return fmt.Errorf("seal the token of login %d: %w", login.ID, err)
	}
	expires := userTokenEnd(now, token)
	prolonged := *login
	prolonged.ExpiresAt = &expires
	end := db.RefreshEnd{
		AccountID: login.ID, Fence: login.RefreshFence, UpkeepAt: plannedProlonging(&prolonged, now),
		Tokens: &db.NewTokens{Access: sealed, ExpiresAt: &expires},
	}
	if err := s.endRefresh(ctx, end); err != nil {
		return err
	}
	s.Metrics.Refreshed(string(login.Provider), observe.RefreshDone)
	s.warnAhead(ctx, login, login.ReconnectBy, now)
	observe.OfAccount(ctx, s.Log, login).WithField(observe.FieldAction, "token:refresh").Info("the Facebook login was prolonged")
	return nil
}

// userTokenEnd is when a user's token ends, guessed where Meta does not tell.
func userTokenEnd(now time.Time, token instagram.UserToken) time.Time {
	if token.ExpiresIn <= 0 {
		return models.Time(now.Add(userTokenLife))
	}
	return models.Time(now.Add(token.ExpiresIn))
}

func (s *Service) prolongFailed(ctx context.Context, login *models.OAuthAccount, cause error) error {
	wait := waitAfter(login.RefreshFailures, cause)
	at := s.Now().Add(wait)
	end := db.RefreshEnd{AccountID: login.ID, Fence: login.RefreshFence, Failures: login.RefreshFailures + 1, UpkeepAt: &at}
	if err := s.endRefresh(ctx, end); err != nil {
		return err
	}
	s.Metrics.Refreshed(string(login.Provider), observe.RefreshPutOff)
	s.tellFailure(ctx, login, cause)
	return &LaterError{In: wait, Err: cause}
}

// loginEnded is for a user's token that Meta takes no more. The Page tokens it
// gave may well live on, as they do when it only ran out; each of them is asked
// for.
func (s *Service) loginEnded(ctx context.Context, login *models.OAuthAccount) error {
	const reason = "the Facebook login has ended; connect it again before its Pages' tokens end too"
	now := s.Now()
	err := db.Persist(ctx, persistFor, func(ctx context.Context) error {
		return s.DB.Tokens.EndLogin(ctx, login.ID, login.RefreshFence, reason, now)
	}, nil)
	if errors.Is(err, db.ErrStale) {
		return nil
	}
	if err != nil {
		return err
	}
	s.Metrics.Refreshed(string(login.Provider), observe.RefreshLoginEnded)
	observe.OfAccount(ctx, s.Log, login).WithField(observe.FieldReason, reason).Warn("a Facebook login has ended")
	accounts, err := s.DB.Accounts.InstagramAccountsOf(ctx, login.ID)
	if err != nil {
		return err
	}
	return s.checkPages(ctx, accounts)
}
