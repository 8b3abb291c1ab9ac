package oauth

import (
	"context"
	"errors"
	"fmt"
	"time"

	"socialqueue/models"
	"socialqueue/secrets"
)

// Token is an access token with the data needed to use it.
type Token struct {
	Access secrets.Secret
	// ProviderAccountID is the platform's id of the account.
	ProviderAccountID string
	Username          string

	platform models.Platform
	// accountID is the account's id in the API.
	accountID int64
}

// lastMinute is the least remaining life of a token that For returns, since a call takes
// some of it.
const lastMinute = time.Minute

// For returns the token of a post's account, refreshed if it is about to expire. Its errors
// are *LaterError, ErrReauthorize, ErrDisconnected, or errors of the database or the
// keyring. None of them means that the account is lost.
func (s *Service) For(ctx context.Context, p *models.Post) (Token, error) {
	if p.InstagramAccountID != nil {
		return s.pageTokenOf(ctx, *p.InstagramAccountID)
	}
	a, err := s.DB.Accounts.OAuthAccount(ctx, p.OAuthAccountID)
	if err != nil {
		return Token{}, err
	}
	if a.Status == models.AccountActive && s.ending(a, s.Now()) {
		err := s.refresh(ctx, a.Provider, a.ID, s.stillEnding)
		if err != nil && !s.usableYet(a, err) {
			return Token{}, err
		}
		if a, err = s.DB.Accounts.OAuthAccount(ctx, a.ID); err != nil {
			return Token{}, err
		}
	}
	return s.accountToken(a)
}

// ending reports whether a token that can be refreshed expires within a minute.
func (s *Service) ending(a *models.OAuthAccount, now time.Time) bool {
	return a.ExpiresAt != nil && s.refreshable(a) && !now.Before(a.ExpiresAt.Add(-lastMinute)) && !s.unsettledAlive(a, now)
}

func (s *Service) stillEnding(a *models.OAuthAccount) error {
	if err := usable(a.Status); err != nil {
		return err
	}
	if !s.ending(a, s.Now()) {
		return errNotNeeded
	}
	return backingOff(a, s.Now())
}

// usableYet reports whether a token may be used although its refresh was deferred.
func (s *Service) usableYet(a *models.OAuthAccount, err error) bool {
	_, later := errors.AsType[*LaterError](err)
	return later && s.Now().Before(*a.ExpiresAt)
}

// accountToken decrypts the token of an account that is the consent itself.
func (s *Service) accountToken(a *models.OAuthAccount) (Token, error) {
	token := Token{ProviderAccountID: a.ProviderAccountID, Username: a.Username, platform: a.Provider, accountID: a.ID}
	return s.open(token, a.Status, a.AccessToken, a.SealedIn(models.ColumnAccessToken))
}

func (s *Service) pageTokenOf(ctx context.Context, id int64) (Token, error) {
	ig, err := s.DB.Accounts.InstagramAccount(ctx, id)
	if err != nil {
		return Token{}, err
	}
	return s.pageToken(ig)
}

// pageToken decrypts the token of an account behind a login.
func (s *Service) pageToken(ig *models.InstagramAccount) (Token, error) {
	token := Token{ProviderAccountID: ig.IGBusinessID, platform: ig.Platform(), accountID: ig.ID}
	if ig.Username != nil {
		token.Username = *ig.Username
	}
	return s.open(token, ig.Status, ig.AccessToken, ig.SealedIn())
}

func (s *Service) open(token Token, status models.AccountStatus, sealed, in string) (Token, error) {
	if err := usable(status); err != nil {
		return Token{}, fmt.Errorf("%s account %d: %w", token.platform, token.accountID, err)
	}
	access, err := s.Keys.Open(sealed, in)
	if err != nil {
		return Token{}, fmt.Errorf("open the token of %s account %d: %w", token.platform, token.accountID, err)
	}
	token.Access = access
	return token, nil
}

func usable(status models.AccountStatus) error {
	switch status {
	case models.AccountReauthorize:
		return ErrReauthorize
	case models.AccountDisconnected:
		return ErrDisconnected
	}
	return nil
}

// Renew replaces a token that the platform refused with that error. After nil the account
// has another token; For returns it. The errors are those of For.
func (s *Service) Renew(ctx context.Context, refused Token, refusal error) error {
	c, err := s.connector(refused.platform)
	if err != nil {
		return notNow(err)
	}
	if refused.platform.BehindLogin() {
		return s.renewPageToken(ctx, refused, c.IsDead(refusal))
	}
	return s.renewAccount(ctx, refused, c.IsDead(refusal), refusal)
}

// WakeIfConnected resumes the posts of p's lane if its account is active. It is for a run
// that deferred its post until the account is connected again, while the account was being
// connected.
func (s *Service) WakeIfConnected(ctx context.Context, p *models.Post) error {
	a, err := s.DB.Accounts.Get(ctx, p.AppID, p.Platform, p.AccountID())
	if err != nil {
		return err
	}
	status := a.OAuth.Status
	if a.Instagram != nil {
		status = a.Instagram.Status
	}
	if status != models.AccountActive {
		return nil
	}
	return s.DB.Admission.WakeLane(ctx, p.Lane, s.Now())
}
