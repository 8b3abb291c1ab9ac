package db

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"gorm.io/gorm"

	"socialqueue/models"
)

// Accounts stores the accounts that posts go to.
type Accounts struct{ conn }

// OAuthAccount reads the row of a consent. It returns ErrNotFound if there is none.
func (s *Accounts) OAuthAccount(ctx context.Context, id int64) (*models.OAuthAccount, error) {
	var account models.OAuthAccount
	err := s.orm.WithContext(ctx).Take(&account, id).Error
	return &account, first(err, fmt.Sprintf("OAuth account %d", id))
}

// InstagramAccount reads an Instagram account. It returns ErrNotFound if there is none.
func (s *Accounts) InstagramAccount(ctx context.Context, id int64) (*models.InstagramAccount, error) {
	var account models.InstagramAccount
	err := s.orm.WithContext(ctx).Take(&account, id).Error
	return &account, first(err, fmt.Sprintf("Instagram account %d", id))
}

// NoteQuota stores an account's publishing limit as the platform reported it, unless a
// newer report is stored. It does nothing for platforms whose accounts are not behind a
// login: they have no columns for it.
func (s *Accounts) NoteQuota(ctx context.Context, p models.Platform, accountID int64, q models.Quota) error {
	if !p.BehindLogin() {
		return nil
	}
	err := s.orm.WithContext(ctx).Model(&models.InstagramAccount{}).
		Where("id = ? AND (quota_asked_at IS NULL OR quota_asked_at <= ?)", accountID, q.ReadAt).
		UpdateColumns(map[string]any{
			"quota_used": q.Used, "quota_total": q.Total, "quota_window_seconds": q.WindowSeconds, "quota_asked_at": q.ReadAt,
		}).Error
	return wrap(err, "store the quota of %s account %d", p, accountID)
}

// NoteTrialsRefused stores when the platform last refused an account a trial reel. It does
// nothing for platforms whose accounts are not behind a login: they have no column for it.
func (s *Accounts) NoteTrialsRefused(ctx context.Context, p models.Platform, accountID int64, at time.Time) error {
	if !p.BehindLogin() {
		return nil
	}
	err := s.orm.WithContext(ctx).Model(&models.InstagramAccount{}).Where("id = ?", accountID).UpdateColumn("trials_refused_at", at).Error
	return wrap(err, "store that trials of %s account %d are refused", p, accountID)
}

// SetDefaultLocation stores the place of an Instagram account's posts that name none; empty for
// none. It returns ErrNotFound if the app has no such account.
func (s *Accounts) SetDefaultLocation(ctx context.Context, appID, accountID int64, locationID string) error {
	res := s.orm.WithContext(ctx).Model(&models.InstagramAccount{}).
		Where("id = ? AND user_id IN (SELECT id FROM users WHERE app_id = ?)", accountID, appID).UpdateColumn("default_location_id", locationID)
	what := fmt.Sprintf("Instagram account %d", accountID)
	changed, err := changedAny(res, "store the default location of "+what)
	if err == nil && !changed {
		return fmt.Errorf("%s: %w", what, ErrNotFound)
	}
	return err
}

// InstagramAccountsOf lists the accounts of a Facebook login that are not disconnected.
func (s *Accounts) InstagramAccountsOf(ctx context.Context, loginID int64) ([]models.InstagramAccount, error) {
	var accounts []models.InstagramAccount
	err := s.orm.WithContext(ctx).
		Where("oauth_account_id = ? AND status <> ?", loginID, models.AccountDisconnected).Order("id").Find(&accounts).Error
	if err != nil {
		return nil, fmt.Errorf("list the Instagram accounts of login %d: %w", loginID, err)
	}
	return accounts, nil
}

// OAuthAccountsOf lists the consents of the person with that id at the platform, for all
// apps.
func (s *Accounts) OAuthAccountsOf(ctx context.Context, p models.Platform, providerAccountID string) ([]models.OAuthAccount, error) {
	var accounts []models.OAuthAccount
	err := s.orm.WithContext(ctx).
		Where("provider = ? AND provider_account_id = ?", p, providerAccountID).Order("id").Find(&accounts).Error
	if err != nil {
		return nil, fmt.Errorf("list %s accounts: %w", p, err)
	}
	return accounts, nil
}

// accountsBehind is the platform of the accounts in instagram_accounts.
var accountsBehind = new(models.InstagramAccount).Platform()

// AccountFilter selects accounts. Zero values do not filter.
type AccountFilter struct {
	AppID    int64
	UserID   int64
	ID       int64
	Platform models.Platform
	// AfterPlatform and AfterID are the cursor: the last account of the previous page.
	AfterPlatform models.Platform
	AfterID       int64
	Limit         int
	// Status is used by operators only.
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

// Account is a connected account as the API shows it.
type Account struct {
	Platform models.Platform
	// OAuth is the account itself, or the login through which it is reached.
	OAuth models.OAuthAccount
	// Instagram is nil unless the account is reached through a login.
	Instagram *models.InstagramAccount
}

// ID returns the account's id in the API.
func (a *Account) ID() int64 {
	if a.Instagram != nil {
		return a.Instagram.ID
	}
	return a.OAuth.ID
}

// List lists an app's accounts, ordered by platform name and id.
func (s *Accounts) List(ctx context.Context, f AccountFilter) ([]Account, error) {
	f.ofApp = true
	return s.accounts(ctx, f)
}

func (d conn) accounts(ctx context.Context, f AccountFilter) ([]Account, error) {
	platforms := []models.Platform{f.Platform}
	if f.Platform == "" {
		var err error
		if platforms, err = d.connectedPlatforms(ctx); err != nil {
			return nil, err
		}
	}
	var accounts []Account
	for _, p := range platforms {
		if f.AfterPlatform > p || len(accounts) >= f.Limit {
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

// connectedPlatforms lists the platforms that have accounts, ordered by name. It runs one
// indexed query per platform, as SELECT DISTINCT would scan the whole index.
func (d conn) connectedPlatforms(ctx context.Context) ([]models.Platform, error) {
	var platforms []models.Platform
	for last := models.Platform(""); ; {
		var next []models.Platform
		err := d.orm.WithContext(ctx).Model(&models.OAuthAccount{}).Where("provider > ?", last).Order("provider").Limit(1).Pluck("provider", &next).Error
		if err != nil {
			return nil, fmt.Errorf("list the platforms of accounts: %w", err)
		}
		if len(next) == 0 {
			return platforms, nil
		}
		last = next[0]
		platforms = append(platforms, last)
	}
}

// Get reads an account of an app. It returns ErrNotFound if the app has no such account.
func (s *Accounts) Get(ctx context.Context, appID int64, p models.Platform, id int64) (*Account, error) {
	return s.account(ctx, p, AccountFilter{AppID: appID, ofApp: true, ID: id, Limit: 1})
}

func (d conn) account(ctx context.Context, p models.Platform, f AccountFilter) (*Account, error) {
	accounts, err := d.accountsOn(ctx, p, f)
	if err != nil {
		return nil, err
	}
	if len(accounts) == 0 {
		return nil, fmt.Errorf("%s account %d: %w", p, f.ID, ErrNotFound)
	}
	return &accounts[0], nil
}

func (d conn) accountsOn(ctx context.Context, p models.Platform, f AccountFilter) ([]Account, error) {
	if p.BehindLogin() {
		return d.instagramAccounts(ctx, f)
	}
	var rows []models.OAuthAccount
	q := d.orm.WithContext(ctx).Joins("JOIN users ON users.id = oauth_accounts.user_id").
		Where("oauth_accounts.provider = ?", p)
	if err := f.narrow(q, "oauth_accounts").Order("oauth_accounts.id").Limit(f.Limit).Find(&rows).Error; err != nil {
		return nil, fmt.Errorf("list %s accounts: %w", p, err)
	}
	accounts := make([]Account, len(rows))
	for i, row := range rows {
		accounts[i] = Account{Platform: p, OAuth: row}
	}
	return accounts, nil
}

func (d conn) instagramAccounts(ctx context.Context, f AccountFilter) ([]Account, error) {
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
		accounts[i] = Account{Platform: rows[i].Platform(), OAuth: logins[rows[i].OAuthAccountID], Instagram: &rows[i]}
	}
	return accounts, nil
}

func (d conn) logins(ctx context.Context, of []models.InstagramAccount) (map[int64]models.OAuthAccount, error) {
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

// FacebookPages lists the Pages of a user's Facebook logins. For a Page whose account is
// not active, Reason is the account's status.
func (s *Accounts) FacebookPages(ctx context.Context, appID, userID int64, limit int) ([]models.FacebookPage, error) {
	var pages []models.FacebookPage
	err := s.orm.WithContext(ctx).
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

// InstagramAccountsPosting lists the active accounts of a Facebook login that have posts
// due before until.
func (s *Accounts) InstagramAccountsPosting(ctx context.Context, loginID int64, until time.Time) ([]models.InstagramAccount, error) {
	var accounts []models.InstagramAccount
	err := s.orm.WithContext(ctx).
		Where("oauth_account_id = ? AND status = ?", loginID, models.AccountActive).
		Where(`EXISTS (SELECT 1 FROM posts WHERE posts.instagram_account_id = instagram_accounts.id
			AND posts.lane = CAST(? AS text) || ':' || instagram_accounts.id AND posts.status IN ('scheduled', 'queued') AND posts.run_at <= ?)`, accountsBehind, until).
		Order("id").Find(&accounts).Error
	if err != nil {
		return nil, fmt.Errorf("list the accounts of login %d with pending posts: %w", loginID, err)
	}
	return accounts, nil
}

// InstagramAccountOf reads the connected account with that id at the platform.
func (s *Accounts) InstagramAccountOf(ctx context.Context, igID string) (*models.InstagramAccount, error) {
	var account models.InstagramAccount
	err := s.orm.WithContext(ctx).Where("ig_business_id = ? AND status <> ?", igID, models.AccountDisconnected).Take(&account).Error
	return &account, first(err, "Instagram account "+igID)
}

// NoteIGMedia stores that an account has a post on Instagram, with its metrics if there are
// any.
func (s *Accounts) NoteIGMedia(ctx context.Context, accountID int64, igID string, metrics map[string]int64, now time.Time) error {
	var encoded any
	if len(metrics) > 0 {
		raw, err := json.Marshal(metrics)
		if err != nil {
			return fmt.Errorf("encode the metrics of media %s: %w", igID, err)
		}
		encoded = string(raw)
	}
	err := s.orm.WithContext(ctx).Exec(`INSERT INTO ig_media (instagram_account_id, ig_id, metrics_json, ours, created_at, updated_at) VALUES (?, ?, ?, FALSE, ?, ?)
		ON CONFLICT (ig_id) DO UPDATE SET metrics_json = COALESCE(excluded.metrics_json, ig_media.metrics_json), updated_at = excluded.updated_at`,
		accountID, igID, encoded, now, now).Error
	return wrap(err, "store media %s", igID)
}
