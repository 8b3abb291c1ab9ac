package oauth

import (
	"context"
	"fmt"
	"time"

	"socialqueue/models"
	"socialqueue/secrets"
)

// Import is an account whose tokens were got elsewhere.
type Import struct {
	AppID    int64
	UserID   int64
	Platform models.Platform
	// ProviderAccountID is TikTok's open_id or Instagram's professional account
	// id.
	ProviderAccountID string
	Username          string
	Access            secrets.Secret
	// Refresh, ExpiresAt and Scope may be empty.
	Refresh   secrets.Secret
	ExpiresAt *time.Time
	Scope     string
}

// Import stores an account with its tokens and returns its id as the API names
// it. An account that exists keeps its id, and its posts that waited for a
// token go on.
func (t *Tokens) Import(ctx context.Context, in Import) (int64, error) {
	if err := in.check(); err != nil {
		return 0, err
	}
	if _, err := t.db.User(ctx, in.AppID, in.UserID); err != nil {
		return 0, err
	}
	account, err := t.sealAccount(in)
	if err != nil {
		return 0, err
	}
	id, err := t.store(ctx, in, account)
	if err != nil {
		return 0, err
	}
	return id, t.db.WakeLane(ctx, models.Lane(in.Platform, id), models.DeferredReauthorize, t.now())
}

func (in Import) check() error {
	var errs models.FieldErrors
	if in.Platform != models.TikTok && in.Platform != models.Instagram {
		errs.Add("platform", "must be tiktok or instagram")
	}
	if in.ProviderAccountID == "" {
		errs.Add("provider_account_id", "is required: TikTok's open_id or the Instagram professional account id")
	}
	if in.Access.Empty() {
		errs.Add("access_token", "is required")
	}
	return errs.Err()
}

func (t *Tokens) sealAccount(in Import) (*models.OAuthAccount, error) {
	now := t.now()
	a := &models.OAuthAccount{
		UserID: in.UserID, Provider: in.Platform, ProviderAccountID: in.ProviderAccountID, Username: in.Username,
		TokenType: "Bearer", ExpiresAt: in.ExpiresAt, Status: models.AccountActive, CreatedAt: now, UpdatedAt: now,
	}
	if in.Scope != "" {
		a.Scope = &in.Scope
	}
	var err error
	if a.AccessToken, err = t.keys.Seal(in.Access, oauthRow(a, "access_token")); err != nil {
		return nil, fmt.Errorf("seal access token: %w", err)
	}
	if in.Refresh.Empty() {
		return a, nil
	}
	sealed, err := t.keys.Seal(in.Refresh, oauthRow(a, "refresh_token"))
	if err != nil {
		return nil, fmt.Errorf("seal refresh token: %w", err)
	}
	a.RefreshToken = &sealed
	return a, nil
}

func (t *Tokens) store(ctx context.Context, in Import, account *models.OAuthAccount) (int64, error) {
	if in.Platform == models.TikTok {
		err := t.db.SaveOAuthAccount(ctx, account)
		return account.ID, err
	}
	sealed, err := t.keys.Seal(in.Access, instagramRow(in.ProviderAccountID))
	if err != nil {
		return 0, fmt.Errorf("seal page token: %w", err)
	}
	ig := &models.InstagramAccount{
		UserID: in.UserID, IGBusinessID: in.ProviderAccountID, Username: &in.Username, AccessToken: sealed,
		Status: models.AccountActive, CreatedAt: account.CreatedAt, UpdatedAt: account.UpdatedAt,
	}
	if err := t.db.SaveInstagramAccount(ctx, account, ig); err != nil {
		return 0, err
	}
	return ig.ID, nil
}
