package db

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"socialqueue/models"
)

var (
	// ErrErasing: the account's data is being deleted at its owner's wish.
	ErrErasing = errors.New("the account's data is being deleted; connect it again in a minute")
	// ErrNoAccounts: a Facebook login has no Instagram account that it may connect.
	ErrNoAccounts = errors.New("the login shows no Instagram account that can be connected")
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

// Connection is what a consent brought.
type Connection struct {
	Account *models.OAuthAccount
	// Pages are those of a Facebook login.
	Pages []PageConnection
}

// PageConnection is a Page with the Instagram account behind it; that is nil
// where Page.Reason says why there is none to post to.
type PageConnection struct {
	Page      models.FacebookPage
	Instagram *models.InstagramAccount
}

// Connect stores a consent in one transaction: the tokens, and that the posts
// which waited for them go on. Accounts that are known keep their ids, posts and
// history, and nothing that is known of them is overwritten by something empty.
//
// On return c holds the rows as they are stored; an Instagram account that
// another user holds is left out and its Page says so. If none is left the answer
// is ErrNoAccounts, and nothing is stored.
func (d *DB) Connect(ctx context.Context, c *Connection, now time.Time) error {
	work := c.clone() // ids are filled in, and a connect whose commit failed is tried again
	err := d.orm.WithContext(ctx).Transaction(func(tx *gorm.DB) error { return d.connect(tx, work, now) })
	if err != nil && !errors.Is(err, ErrNoAccounts) {
		return err
	}
	*c = *work
	if err != nil {
		return err
	}
	return d.changeRest(ctx, c.wakings(now)...)
}

// wakings let the posts go on that waited for the accounts of a connection.
func (c *Connection) wakings(now time.Time) []laneChange {
	if c.Account.Provider == models.TikTok {
		return []laneChange{waking(models.Lane(models.TikTok, c.Account.ID), models.DeferredReauthorize, now)}
	}
	var changes []laneChange
	for _, p := range c.Pages {
		if p.Instagram != nil {
			changes = append(changes, waking(models.Lane(models.Instagram, p.Instagram.ID), models.DeferredReauthorize, now))
		}
	}
	return changes
}

func (c *Connection) clone() *Connection {
	copied := &Connection{Account: new(*c.Account), Pages: slices.Clone(c.Pages)}
	for i, p := range copied.Pages {
		if p.Instagram != nil {
			copied.Pages[i].Instagram = new(*p.Instagram)
		}
	}
	return copied
}

func (d *DB) connect(tx *gorm.DB, c *Connection, now time.Time) error {
	if err := saveOAuthAccount(tx, c.Account); err != nil {
		return err
	}
	if c.Account.Provider == models.Instagram {
		if err := connectPages(tx, c, now); err != nil {
			return err
		}
	}
	return d.changeFirst(tx, c.wakings(now)...)
}

func connectPages(tx *gorm.DB, c *Connection, now time.Time) error {
	if err := tx.Where("oauth_account_id = ?", c.Account.ID).Delete(&models.FacebookPage{}).Error; err != nil {
		return fmt.Errorf("forget the Pages of login %d: %w", c.Account.ID, err)
	}
	for i := range c.Pages {
		if err := connectPage(tx, c.Account.ID, &c.Pages[i], now); err != nil {
			return err
		}
	}
	if !slices.ContainsFunc(c.Pages, func(p PageConnection) bool { return p.Instagram != nil }) {
		return ErrNoAccounts
	}
	return nil
}

func connectPage(tx *gorm.DB, loginID int64, p *PageConnection, now time.Time) error {
	p.Page.OAuthAccountID = loginID
	if p.Instagram != nil {
		p.Instagram.OAuthAccountID = loginID
		err := saveInstagramAccount(tx, p.Instagram, now)
		switch {
		case errors.Is(err, ErrNotFound):
			p.Instagram, p.Page.Reason = nil, models.PageElsewhere
		case err != nil:
			return err
		default:
			p.Page.InstagramAccountID = &p.Instagram.ID
		}
	}
	if p.Page.PageID == "" {
		return nil // an imported account has no Page
	}
	if err := tx.Create(&p.Page).Error; err != nil {
		return fmt.Errorf("store Page: %w", err)
	}
	return nil
}

// kept names columns of a conflicting row that a new value replaces only if
// there is one.
func kept(table string, columns ...string) clause.Set {
	set := make(clause.Set, len(columns))
	for i, name := range columns {
		set[i] = clause.Assignment{
			Column: clause.Column{Name: name},
			Value:  gorm.Expr(fmt.Sprintf("COALESCE(NULLIF(excluded.%[2]s, ''), %[1]s.%[2]s)", table, name)),
		}
	}
	return set
}

func saveOAuthAccount(tx *gorm.DB, a *models.OAuthAccount) error {
	var stored models.OAuthAccount
	same := tx.Where("user_id = ? AND provider = ? AND provider_account_id = ?", a.UserID, a.Provider, a.ProviderAccountID).
		Session(&gorm.Session{})
	err := same.Clauses(clause.Locking{Strength: lockAccount}).Limit(1).Find(&stored).Error
	if err != nil {
		return fmt.Errorf("read account: %w", err)
	}
	if stored.DeletionCode != nil {
		return ErrErasing
	}
	set := kept("oauth_accounts", "refresh_token", "username", "display_name", "picture_url")
	set = append(set, clause.AssignmentColumns([]string{
		"access_token", "expires_at", "scope", "token_type", "status", "status_reason", "connected_at", "reconnect_by", "refreshed_at", "asked_at",
		"upkeep_at", "refresh_lease_until", "refresh_unsettled", "refresh_failures", "updated_at",
	})...)
	set = append(set, clause.Assignment{Column: clause.Column{Name: "refresh_fence"}, Value: gorm.Expr("oauth_accounts.refresh_fence + 1")})
	err = tx.Clauses(clause.OnConflict{
		Columns:   []clause.Column{{Name: "user_id"}, {Name: "provider"}, {Name: "provider_account_id"}},
		DoUpdates: set,
	}).Create(a).Error
	if err != nil {
		return fmt.Errorf("store account: %w", err)
	}
	stored = models.OAuthAccount{}
	err = same.Take(&stored).Error
	*a = stored
	return first(err, "account")
}

// saveInstagramAccount returns ErrNotFound if another user holds the account.
// One that was disconnected holds nothing any more: it gives the platform's id
// up and keeps its own, with its posts and history. A login that reached the
// account before, and now reaches none, ends.
func saveInstagramAccount(tx *gorm.DB, ig *models.InstagramAccount, now time.Time) error {
	var before models.InstagramAccount
	if err := tx.Where("ig_business_id = ? AND user_id = ?", ig.IGBusinessID, ig.UserID).Limit(1).Find(&before).Error; err != nil {
		return fmt.Errorf("read Instagram account: %w", err)
	}
	err := tx.Exec(`UPDATE instagram_accounts SET ig_business_id = ig_business_id || '~' || id
		WHERE ig_business_id = ? AND user_id <> ? AND status = ?`, ig.IGBusinessID, ig.UserID, models.AccountDisconnected).Error
	if err != nil {
		return fmt.Errorf("release Instagram account: %w", err)
	}
	set := kept("instagram_accounts", "username", "name", "profile_picture_url", "account_type", "page_id")
	set = append(set, clause.AssignmentColumns([]string{
		"oauth_account_id", "access_token", "followers_count", "media_count", "status", "status_reason", "updated_at",
	})...)
	err = tx.Clauses(clause.OnConflict{
		Columns:   []clause.Column{{Name: "ig_business_id"}},
		Where:     clause.Where{Exprs: []clause.Expression{gorm.Expr("instagram_accounts.user_id = ?", ig.UserID)}},
		DoUpdates: set,
	}).Create(ig).Error
	if err != nil {
		return fmt.Errorf("store Instagram account: %w", err)
	}
	var stored models.InstagramAccount
	err = tx.Where("ig_business_id = ? AND user_id = ?", ig.IGBusinessID, ig.UserID).Take(&stored).Error
	*ig = stored
	if err := first(err, "Instagram account of this user"); err != nil {
		return err
	}
	if before.OAuthAccountID == 0 || before.OAuthAccountID == ig.OAuthAccountID {
		return nil
	}
	return endEmptyLogin(tx, before.OAuthAccountID, "its accounts are reached by another login", now)
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
}

func (f AccountFilter) narrow(q *gorm.DB, table string) *gorm.DB {
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
	accounts, err := d.accountsOn(ctx, p, AccountFilter{AppID: appID, ID: id, Limit: 1})
	if err != nil {
		return nil, err
	}
	if len(accounts) == 0 {
		return nil, fmt.Errorf("%s account %d: %w", p, id, ErrNotFound)
	}
	return &accounts[0], nil
}

func (d *DB) accountsOn(ctx context.Context, p models.Platform, f AccountFilter) ([]Account, error) {
	if p == models.Instagram {
		return d.instagramAccounts(ctx, f)
	}
	var rows []models.OAuthAccount
	q := d.orm.WithContext(ctx).Joins("JOIN users ON users.id = oauth_accounts.user_id").
		Where("users.app_id = ? AND oauth_accounts.provider = ?", f.AppID, models.TikTok)
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
	q := d.orm.WithContext(ctx).Joins("JOIN users ON users.id = instagram_accounts.user_id").
		Where("users.app_id = ?", f.AppID)
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

// FacebookPages lists the Pages that a user's Facebook logins showed.
func (d *DB) FacebookPages(ctx context.Context, appID, userID int64, limit int) ([]models.FacebookPage, error) {
	var pages []models.FacebookPage
	err := d.orm.WithContext(ctx).
		Joins("JOIN oauth_accounts ON oauth_accounts.id = facebook_pages.oauth_account_id").
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
