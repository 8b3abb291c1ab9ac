package db

import (
	"context"
	"fmt"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"socialqueue/models"
)

// OAuthAccount finds a connected account by its row.
func (d *DB) OAuthAccount(ctx context.Context, id int64) (*models.OAuthAccount, error) {
	var account models.OAuthAccount
	err := d.orm.WithContext(ctx).Take(&account, id).Error
	return &account, first(err, fmt.Sprintf("OAuth account %d", id))
}

// InstagramAccount finds an Instagram account by its row.
func (d *DB) InstagramAccount(ctx context.Context, id int64) (*models.InstagramAccount, error) {
	var account models.InstagramAccount
	err := d.orm.WithContext(ctx).Take(&account, id).Error
	return &account, first(err, fmt.Sprintf("Instagram account %d", id))
}

// SaveOAuthAccount stores an account or, where the user has it already, its new
// tokens. The row keeps its id.
func (d *DB) SaveOAuthAccount(ctx context.Context, a *models.OAuthAccount) error {
	return saveOAuthAccount(d.orm.WithContext(ctx), a)
}

// SaveInstagramAccount stores an Instagram account together with the OAuth
// account that reaches it. It returns ErrNotFound if the Instagram account
// belongs to another user.
func (d *DB) SaveInstagramAccount(ctx context.Context, oauth *models.OAuthAccount, ig *models.InstagramAccount) error {
	return d.orm.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		if err := saveOAuthAccount(tx, oauth); err != nil {
			return err
		}
		ig.OAuthAccountID = oauth.ID
		err := tx.Clauses(clause.OnConflict{
			Columns:   []clause.Column{{Name: "ig_business_id"}},
			Where:     clause.Where{Exprs: []clause.Expression{gorm.Expr("instagram_accounts.user_id = ?", ig.UserID)}},
			DoUpdates: clause.AssignmentColumns([]string{"oauth_account_id", "username", "name", "access_token", "status", "updated_at"}),
		}).Create(ig).Error
		if err != nil {
			return fmt.Errorf("store Instagram account: %w", err)
		}
		var stored models.InstagramAccount
		err = tx.Where("ig_business_id = ? AND user_id = ?", ig.IGBusinessID, ig.UserID).Take(&stored).Error
		*ig = stored
		return first(err, "Instagram account of this user")
	})
}

func saveOAuthAccount(tx *gorm.DB, a *models.OAuthAccount) error {
	err := tx.Clauses(clause.OnConflict{
		Columns: []clause.Column{{Name: "user_id"}, {Name: "provider"}, {Name: "provider_account_id"}},
		DoUpdates: clause.AssignmentColumns([]string{
			"access_token", "refresh_token", "expires_at", "scope", "token_type", "username", "status", "updated_at",
		}),
	}).Create(a).Error
	if err != nil {
		return fmt.Errorf("store account: %w", err)
	}
	var stored models.OAuthAccount
	err = tx.Where("user_id = ? AND provider = ? AND provider_account_id = ?", a.UserID, a.Provider, a.ProviderAccountID).
		Take(&stored).Error
	*a = stored
	return first(err, "account")
}

// RequireReauthorization marks an account whose token the platform refused for
// good. It names the sealed token that was refused, so that it never marks an
// account that got a new one meanwhile.
func (d *DB) RequireReauthorization(ctx context.Context, p models.Platform, id int64, refused string, now time.Time) error {
	table := "oauth_accounts"
	if p == models.Instagram {
		table = "instagram_accounts"
	}
	err := d.orm.WithContext(ctx).Table(table).
		Where("id = ? AND access_token = ? AND status = ?", id, refused, models.AccountActive).
		Updates(map[string]any{"status": models.AccountReauthorize, "updated_at": now}).Error
	if err != nil {
		return fmt.Errorf("mark %s account %d: %w", p, id, err)
	}
	return nil
}
