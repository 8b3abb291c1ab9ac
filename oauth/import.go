package oauth

import (
	"context"
	"errors"
	"fmt"
	"time"

	"socialqueue/db"
	"socialqueue/models"
	"socialqueue/secrets"
)

// Import is an account whose tokens were obtained elsewhere.
type Import struct {
	AppID    int64
	UserID   int64
	Platform models.Platform
	// ProviderAccountID is the platform's id of the account.
	ProviderAccountID string
	Username          string
	Access            secrets.Secret
	// Refresh, ExpiresAt and Scope may be empty.
	Refresh   secrets.Secret
	ExpiresAt *time.Time
	Scope     string
}

// Import stores an account with its tokens and returns its id in the API. An existing
// account keeps its id, and its posts that waited for a token go on.
func (s *Service) Import(ctx context.Context, in Import) (int64, error) {
	if err := in.check(); err != nil {
		return 0, err
	}
	if _, err := s.DB.Tenants.User(ctx, in.AppID, in.UserID); err != nil {
		return 0, err
	}
	now := s.Now()
	c, err := s.imported(in, now)
	if err != nil {
		return 0, err
	}
	err = s.store(ctx, c)
	switch {
	case errors.Is(err, db.ErrNoAccounts):
		return 0, fmt.Errorf("the account belongs to another user: %w", db.ErrNotFound)
	case err != nil:
		return 0, err
	case !in.Platform.BehindLogin():
		return c.Account.ID, nil
	}
	return c.Pages[0].Instagram.ID, nil
}

func (in Import) check() error {
	var errs models.FieldErrors
	if in.Platform == "" {
		errs.Add("platform", "is required")
	}
	if in.ProviderAccountID == "" {
		errs.Add("provider_account_id", "is required: the platform's id of the account")
	}
	if in.Access.Empty() {
		errs.Add("access_token", "is required")
	}
	return errs.Err()
}

// imported builds the rows of an import. An account behind a login gets its own login row
// with the same token.
func (s *Service) imported(in Import, now time.Time) (*db.Connection, error) {
	a := &models.OAuthAccount{
		UserID: in.UserID, Provider: in.Platform, ProviderAccountID: in.ProviderAccountID, Username: in.Username,
		TokenType: tokenType, ExpiresAt: in.ExpiresAt, Status: models.AccountActive, ConnectedAt: now, CreatedAt: now, UpdatedAt: now,
	}
	if in.Scope != "" {
		a.Scope = &in.Scope
	}
	if err := s.sealInto(a, in.Access, in.Refresh); err != nil {
		return nil, err
	}
	if !in.Platform.BehindLogin() {
		a.MaintenanceAt = s.plannedRefresh(a)
		return &db.Connection{Account: a}, nil
	}
	ig := &models.InstagramAccount{
		UserID: in.UserID, IGBusinessID: in.ProviderAccountID, Username: &in.Username,
		Status: models.AccountActive, CreatedAt: now, UpdatedAt: now,
	}
	var err error
	if ig.AccessToken, err = s.Keys.Seal(in.Access, ig.SealedIn()); err != nil {
		return nil, fmt.Errorf("seal page token: %w", err)
	}
	return &db.Connection{Account: a, Pages: []db.PageConnection{{Instagram: ig}}}, nil
}
