package db

import (
	"context"
	"errors"
	"fmt"

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

// NoteQuota keeps what Instagram told of an account's publishing limit, unless something
// newer is known. The post that it was asked for goes on either way.
func (d *DB) NoteQuota(ctx context.Context, accountID int64, q models.Quota) error {
	err := d.orm.WithContext(ctx).Model(&models.InstagramAccount{}).
		Where("id = ? AND (quota_asked_at IS NULL OR quota_asked_at <= ?)", accountID, q.AskedAt).
		UpdateColumns(map[string]any{
			"quota_used": q.Used, "quota_total": q.Total, "quota_window_seconds": q.WindowSeconds, "quota_asked_at": q.AskedAt,
		}).Error
	return wrap(err, "note the quota of Instagram account %d", accountID)
}

// InstagramAccountsOf lists the accounts that a Facebook login reaches and that
// nobody disconnected.
func (d *DB) InstagramAccountsOf(ctx context.Context, loginID int64) ([]models.InstagramAccount, error) {
	var accounts []models.InstagramAccount
	err := d.orm.WithContext(ctx).
		Where("oauth_account_id = ? AND status <> ?", loginID, models.AccountDisconnected).Order("id").Find(&accounts).Error
	if err != nil {
		return nil, fmt.Errorf("list the Instagram accounts of login %d: %w", loginID, err)
	}
	return accounts, nil
}

// OAuthAccountsOf lists what a person connected who is known by the platform's
// id, whichever apps they did it for.
func (d *DB) OAuthAccountsOf(ctx context.Context, p models.Platform, providerAccountID string) ([]models.OAuthAccount, error) {
	var accounts []models.OAuthAccount
	err := d.orm.WithContext(ctx).
		Where("provider = ? AND provider_account_id = ?", p, providerAccountID).Order("id").Find(&accounts).Error
	if err != nil {
		return nil, fmt.Errorf("list %s accounts: %w", p, err)
	}
	return accounts, nil
}

// AccountFilter narrows a list of accounts. Zero values do not narrow.
type AccountFilter struct {
	AppID    int64
	UserID   int64
	ID       int64
	Platform models.Platform
	// AfterPlatform and AfterID name the last account of the page before this one.
	AfterPlatform models.Platform
	AfterID       int64
	Limit         int
	// Status is for operators, whose lists are not bound to an app.
	Status models.AccountStatus
	ofApp  bool
}

func (f AccountFilter) narrow(q *gorm.DB, table string) *gorm.DB {
	if f.ofApp || f.AppID != 0 {
		q = q.Where("users.app_id = ?", f.AppID)
	}
	if f.Status != "" {
		q = q.Where(table+".status = ?", f.Status)
	}
	if f.UserID != 0 {
		q = q.Where("users.id = ?", f.UserID)
	}
	if f.ID != 0 {
		return q.Where(table+".id = ?", f.ID)
	}
	return q.Where(table+".id > ?", f.AfterID)
}

// Account is a connected account as the API names it: one of TikTok, or one of
// Instagram with the login that reaches it.
type Account struct {
	Platform models.Platform
	OAuth    models.OAuthAccount
	// Instagram is nil for a TikTok account.
	Instagram *models.InstagramAccount
}

// ID is the account's id as the API names it.
func (a *Account) ID() int64 {
	if a.Instagram != nil {
		return a.Instagram.ID
	}
	return a.OAuth.ID
}

// Accounts lists an app's accounts: those of Instagram, then those of TikTok,
// each by id.
func (d *DB) Accounts(ctx context.Context, f AccountFilter) ([]Account, error) {
	f.ofApp = true
	return d.accounts(ctx, f)
}

func (d *DB) accounts(ctx context.Context, f AccountFilter) ([]Account, error) {
	var accounts []Account
	for _, p := range []models.Platform{models.Instagram, models.TikTok} {
		if (f.Platform != "" && f.Platform != p) || f.AfterPlatform > p || len(accounts) >= f.Limit {
			continue
		}
		page := f
		if f.AfterPlatform < p {
			page.AfterID = 0
		}
		page.Limit -= len(accounts)
		more, err := d.accountsOn(ctx, p, page)
		if err != nil {
			return nil, err
		}
		accounts = append(accounts, more...)
	}
	return accounts, nil
}

// Account finds an account of an app.
func (d *DB) Account(ctx context.Context, appID int64, p models.Platform, id int64) (*Account, error) {
	return d.account(ctx, p, AccountFilter{AppID: appID, ofApp: true, ID: id, Limit: 1})
}

func (d *DB) account(ctx context.Context, p models.Platform, f AccountFilter) (*Account, error) {
	accounts, err := d.accountsOn(ctx, p, f)
	if err != nil {
		return nil, err
	}
	if len(accounts) == 0 {
		return nil, fmt.Errorf("%s account %d: %w", p, f.ID, ErrNotFound)
	}
	return &accounts[0], nil
}

func (d *DB) accountsOn(ctx context.Context, p models.Platform, f AccountFilter) ([]Account, error) {
	if p == models.Instagram {
		return d.instagramAccounts(ctx, f)
	}
	var rows []models.OAuthAccount
	q := d.orm.WithContext(ctx).Joins("JOIN users ON users.id = oauth_accounts.user_id").
		Where("oauth_accounts.provider = ?", models.TikTok)
	if err := f.narrow(q, "oauth_accounts").Order("oauth_accounts.id").Limit(f.Limit).Find(&rows).Error; err != nil {
		return nil, fmt.Errorf("list TikTok accounts: %w", err)
	}
	accounts := make([]Account, len(rows))
	for i, row := range rows {
		accounts[i] = Account{Platform: models.TikTok, OAuth: row}
	}
	return accounts, nil
}

func (d *DB) instagramAccounts(ctx context.Context, f AccountFilter) ([]Account, error) {
	var rows []models.InstagramAccount
	q := d.orm.WithContext(ctx).Joins("JOIN users ON users.id = instagram_accounts.user_id")
	if err := f.narrow(q, "instagram_accounts").Order("instagram_accounts.id").Limit(f.Limit).Find(&rows).Error; err != nil {
		return nil, fmt.Errorf("list Instagram accounts: %w", err)
	}
	logins, err := d.logins(ctx, rows)
	if err != nil {
		return nil, err
	}
	accounts := make([]Account, len(rows))
	for i := range rows {
		accounts[i] = Account{Platform: models.Instagram, OAuth: logins[rows[i].OAuthAccountID], Instagram: &rows[i]}
	}
	return accounts, nil
}

func (d *DB) logins(ctx context.Context, of []models.InstagramAccount) (map[int64]models.OAuthAccount, error) {
	ids := make([]int64, len(of))
	for i, ig := range of {
		ids[i] = ig.OAuthAccountID
	}
	var rows []models.OAuthAccount
	if err := d.orm.WithContext(ctx).Where("id IN ?", ids).Find(&rows).Error; err != nil {
		return nil, fmt.Errorf("read the logins of Instagram accounts: %w", err)
	}
	logins := make(map[int64]models.OAuthAccount, len(rows))
	for _, row := range rows {
		logins[row.ID] = row
	}
	return logins, nil
}

// FacebookPages lists the Pages that a user's Facebook logins showed. One whose
// account is not active has its status as the reason.
func (d *DB) FacebookPages(ctx context.Context, appID, userID int64, limit int) ([]models.FacebookPage, error) {
	var pages []models.FacebookPage
	err := d.orm.WithContext(ctx).
		Select(`facebook_pages.oauth_account_id, facebook_pages.page_id, facebook_pages.name, facebook_pages.instagram_account_id,
			CASE WHEN instagram_accounts.status <> ? THEN instagram_accounts.status ELSE facebook_pages.reason END AS reason`, models.AccountActive).
		Joins("JOIN oauth_accounts ON oauth_accounts.id = facebook_pages.oauth_account_id").
		Joins("LEFT JOIN instagram_accounts ON instagram_accounts.id = facebook_pages.instagram_account_id").
		Joins("JOIN users ON users.id = oauth_accounts.user_id").
		Where("users.app_id = ? AND users.id = ?", appID, userID).
		Order("facebook_pages.oauth_account_id, facebook_pages.page_id").Limit(limit).Find(&pages).Error
	if err != nil {
		return nil, fmt.Errorf("list Pages: %w", err)
	}
	return pages, nil
}

// AllowReturn registers a host that an app's users may be sent back to.
// Registering it again is no error.
func (d *DB) AllowReturn(ctx context.Context, h models.ReturnHost) error {
	err := d.translate(d.orm.WithContext(ctx).Clauses(clause.OnConflict{DoNothing: true}).Create(&h).Error)
	if errors.Is(err, gorm.ErrForeignKeyViolated) {
		return fmt.Errorf("app %d: %w", h.AppID, ErrNotFound)
	}
	if err != nil {
		return fmt.Errorf("store return host: %w", err)
	}
	return nil
}

// MayReturn reports whether an app registered a host.
func (d *DB) MayReturn(ctx context.Context, appID int64, host string) (bool, error) {
	var n int64
	err := d.orm.WithContext(ctx).Model(&models.ReturnHost{}).Where("app_id = ? AND host = ?", appID, host).Count(&n).Error
	if err != nil {
		return false, fmt.Errorf("look up return host: %w", err)
	}
	return n > 0, nil
}
