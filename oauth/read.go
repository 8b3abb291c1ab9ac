package oauth

import (
	"context"

	"socialqueue/db"
	"socialqueue/models"
)

type (
	// Account is an account as the API shows it.
	Account = db.Account
	// Filter selects accounts for a list. Zero fields select all.
	Filter = db.AccountFilter
)

// maxPages limits the list of Pages. No person manages more.
const maxPages = 5000

// List returns the accounts of the app f.AppID.
func (s *Service) List(ctx context.Context, f Filter) ([]Account, error) {
	return s.DB.Accounts.List(ctx, f)
}

// Pages returns the Facebook Pages of an app's user. It returns models.ErrNotFound if the
// app has no such user.
func (s *Service) Pages(ctx context.Context, appID, userID int64) ([]models.FacebookPage, error) {
	if _, err := s.DB.Tenants.User(ctx, appID, userID); err != nil {
		return nil, err
	}
	return s.DB.Accounts.FacebookPages(ctx, appID, userID, maxPages)
}

// SetDefaultLocation sets the place of an Instagram account's posts that name none; empty for
// none. It returns models.ErrNotFound if the app has no such account.
func (s *Service) SetDefaultLocation(ctx context.Context, appID, accountID int64, locationID string) error {
	return s.DB.Accounts.SetDefaultLocation(ctx, appID, accountID, locationID)
}

// Deletion returns a deletion request by its code.
func (s *Service) Deletion(ctx context.Context, code string) (*models.DataDeletion, error) {
	return s.DB.Connections.DataDeletion(ctx, code)
}
