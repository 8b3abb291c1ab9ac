package oauth

import (
	"context"
	"errors"
	"time"

	"socialqueue/db"
	"socialqueue/models"
	"socialqueue/observe"
	"socialqueue/platform/tiktok"
	"socialqueue/secrets"
)

func (s *Service) connectTikTok(ctx context.Context, c connect, code secrets.Secret) (Outcome, error) {
	grant, err := s.TikTok.ExchangeCode(ctx, code, c.verifier(), s.redirectURI(c.Platform))
	if err != nil {
		return c.refused(err)
	}
	if grant.OpenID == "" {
		return c.refused(errors.New("TikTok's answer names no open_id"))
	}
	if missing := lacking(tiktokNeeded, grant.Scopes); len(missing) > 0 {
		return c.scopesMissing(missing), nil
	}
	account, err := s.tiktokAccount(ctx, c, grant)
	if err != nil {
		return c.unstored(err)
	}
	connection := &db.Connection{Account: account}
	if err := s.store(ctx, connection); err != nil {
		return c.unstored(err)
	}
	account = connection.Account
	observe.OfAccount(ctx, s.Log, account).Info("a TikTok account was connected")
	name := account.DisplayName
	if name == "" {
		name = account.Username
	}
	return c.connected([]ConnectedAccount{{ID: account.ID, Name: name}}, nil), nil
}

func (s *Service) tiktokAccount(ctx context.Context, c connect, grant tiktok.Grant) (*models.OAuthAccount, error) {
	now := s.Now()
	scope := joinScopes(grant.Scopes)
	a := &models.OAuthAccount{
		UserID: c.UserID, Provider: models.TikTok, ProviderAccountID: grant.OpenID, Scope: &scope, TokenType: tokenType,
		Status: models.AccountActive, ExpiresAt: after(now, grant.ExpiresIn), ReconnectBy: after(now, grant.RefreshExpiresIn),
		ConnectedAt: now, RefreshedAt: &now, AskedAt: &now, CreatedAt: now, UpdatedAt: now,
	}
	if err := s.sealInto(a, grant.Access, grant.Refresh); err != nil {
		return nil, err
	}
	a.UpkeepAt = plannedRefresh(a)
	s.describe(ctx, a, grant.Access)
	return a, nil
}

// profileTime bounds what is asked for the looks of an account only.
const profileTime = 10 * time.Second

// describe asks TikTok for the account's names and picture. The account is good
// without them: what cannot be had now is left out.
func (s *Service) describe(ctx context.Context, a *models.OAuthAccount, access secrets.Secret) {
	ctx, cancel := context.WithTimeout(ctx, profileTime)
	defer cancel()
	if user, err := s.TikTok.UserInfo(ctx, access); err != nil {
		observe.OfAccount(ctx, s.Log, a).WithError(err).Info("TikTok told no profile")
	} else {
		a.DisplayName, a.PictureURL, a.Username = cut(user.DisplayName), user.AvatarURL, cut(user.Username)
	}
	// The username, which links are made of, comes with the scope for posting.
	creator, err := s.TikTok.CreatorInfo(ctx, access)
	if err != nil {
		observe.OfAccount(ctx, s.Log, a).WithError(err).Info("TikTok told no username")
		return
	}
	a.Username = cut(creator.Username)
	if a.DisplayName == "" {
		a.DisplayName = cut(creator.Nickname)
	}
}
