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
	err := tx.Exec(`UPDATE instagram_accounts SET ig_business_id = ig_business_id || CAST(? AS text) || id
		WHERE ig_business_id = ? AND user_id <> ? AND status = ?`, models.ReleasedMark, ig.IGBusinessID, ig.UserID, models.AccountDisconnected).Error
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
