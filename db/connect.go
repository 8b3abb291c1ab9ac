package db

import (
	"fmt"
	"slices"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"socialqueue/models"
)

// wakeChange makes the posts due that waited for the accounts of a connection.
func (c *Connection) wakeChange(now time.Time) laneChange {
	if !c.Account.Provider.BehindLogin() {
		return wakeChange(now, models.Lane(c.Account.Provider, c.Account.ID))
	}
	var lanes []string
	for _, p := range c.Pages {
		if p.Instagram != nil {
			lanes = append(lanes, p.Instagram.Lane())
		}
	}
	return wakeChange(now, lanes...)
}

func (c *Connection) clone() *Connection {
	copied := &Connection{Account: new(*c.Account), Pages: slices.Clone(c.Pages), LeftReason: c.LeftReason}
	for i, p := range copied.Pages {
		if p.Instagram != nil {
			copied.Pages[i].Instagram = new(*p.Instagram)
		}
	}
	return copied
}

func (s *Connections) connect(tx *gorm.DB, c *Connection, now time.Time) error {
	if err := saveOAuthAccount(tx, c.Account); err != nil {
		return err
	}
	if c.Account.Provider.BehindLogin() {
		if err := connectPages(tx, c, now); err != nil {
			return err
		}
	}
	if err := c.emit(tx, now); err != nil {
		return err
	}
	return s.changeFirst(tx, c.wakeChange(now))
}

// emit stores the account.connected events.
func (c *Connection) emit(tx *gorm.DB, now time.Time) error {
	if !c.Account.Provider.BehindLogin() {
		return emitForAccount(tx, c.Account, nil, models.EventAccountConnected, now)
	}
	for _, p := range c.Pages {
		if p.Instagram == nil {
			continue
		}
		if err := emitForAccount(tx, c.Account, p.Instagram, models.EventAccountConnected, now); err != nil {
			return err
		}
	}
	return nil
}

func connectPages(tx *gorm.DB, c *Connection, now time.Time) error {
	if err := tx.Where("oauth_account_id = ?", c.Account.ID).Delete(&models.FacebookPage{}).Error; err != nil {
		return fmt.Errorf("delete the Pages of login %d: %w", c.Account.ID, err)
	}
	before, err := releaseAccounts(tx, c)
	if err != nil {
		return err
	}
	for i := range c.Pages {
		if err := connectAccount(tx, c.Account.ID, &c.Pages[i]); err != nil {
			return err
		}
	}
	if !slices.ContainsFunc(c.Pages, func(p PageConnection) bool { return p.Instagram != nil }) {
		return ErrNoAccounts
	}
	if err := storePages(tx, c); err != nil {
		return err
	}
	return disconnectUnusedLogins(tx, c, before, now)
}

// rowsAtOnce is how many rows one statement inserts. PostgreSQL limits the number of
// parameters.
const rowsAtOnce = 500

// releaseAccounts frees the platform's ids that this user connects now and that belong to
// disconnected accounts of other users. Those rows have no token any more; they keep their
// own id, their posts and their history. It returns the login of each account that this
// user had already connected.
func releaseAccounts(tx *gorm.DB, c *Connection) (before map[int64]int64, err error) {
	var ids []string
	for _, p := range c.Pages {
		if p.Instagram != nil {
			ids = append(ids, p.Instagram.IGBusinessID)
		}
	}
	err = tx.Exec(`UPDATE instagram_accounts SET ig_business_id = ig_business_id || CAST(? AS text) || id
		WHERE ig_business_id IN ? AND user_id <> ? AND status = ?`, models.ReleasedMark, ids, c.Account.UserID, models.AccountDisconnected).Error
	if err != nil {
		return nil, fmt.Errorf("release Instagram accounts: %w", err)
	}
	var rows []models.InstagramAccount
	if err := tx.Where("ig_business_id IN ? AND user_id = ?", ids, c.Account.UserID).Find(&rows).Error; err != nil {
		return nil, fmt.Errorf("read Instagram accounts: %w", err)
	}
	before = make(map[int64]int64, len(rows))
	for _, row := range rows {
		before[row.ID] = row.OAuthAccountID
	}
	return before, nil
}

// connectAccount stores the account behind a Page. If another user has connected that
// account, it sets the Page's reason instead.
func connectAccount(tx *gorm.DB, loginID int64, p *PageConnection) error {
	p.Page.OAuthAccountID = loginID
	if p.Instagram == nil {
		return nil
	}
	p.Instagram.OAuthAccountID = loginID
	stored, err := saveInstagramAccount(tx, p.Instagram)
	switch {
	case err != nil:
		return err
	case !stored:
		p.Instagram, p.Page.Reason = nil, models.PageElsewhere
	default:
		p.Page.InstagramAccountID = &p.Instagram.ID
	}
	return nil
}

func storePages(tx *gorm.DB, c *Connection) error {
	var pages []*models.FacebookPage
	for i := range c.Pages {
		if page := &c.Pages[i].Page; page.PageID != "" { // an imported account has no Page
			pages = append(pages, page)
		}
	}
	if err := tx.CreateInBatches(pages, rowsAtOnce).Error; err != nil {
		return fmt.Errorf("store the Pages of login %d: %w", c.Account.ID, err)
	}
	return nil
}

// disconnectUnusedLogins disconnects logins whose accounts are all reached through c now.
// Their tokens are not revoked: the new token may belong to the same person, and the
// platform would revoke the whole consent.
func disconnectUnusedLogins(tx *gorm.DB, c *Connection, before map[int64]int64, now time.Time) error {
	var left []int64
	for _, p := range c.Pages {
		if p.Instagram != nil && before[p.Instagram.ID] != 0 && before[p.Instagram.ID] != c.Account.ID {
			left = append(left, before[p.Instagram.ID])
		}
	}
	slices.Sort(left)
	for _, login := range slices.Compact(left) {
		ended, err := disconnectEmptyLogin(tx, login, c.LeftReason, now)
		if err == nil && ended {
			err = forgetTokens(tx, login, &now)
		}
		if err != nil {
			return fmt.Errorf("disconnect unused login %d: %w", login, err)
		}
	}
	return nil
}

// kept returns upsert assignments that keep the stored value of a column if the new value
// is empty.
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

// saveInstagramAccount reports false if another user has connected the account.
func saveInstagramAccount(tx *gorm.DB, ig *models.InstagramAccount) (stored bool, err error) {
	set := kept("instagram_accounts", "username", "name", "profile_picture_url", "account_type", "page_id")
	set = append(set, clause.AssignmentColumns([]string{
		"oauth_account_id", "access_token", "followers_count", "media_count", "status", "status_reason", "updated_at",
	})...)
	res := tx.Clauses(clause.OnConflict{
		Columns:   []clause.Column{{Name: "ig_business_id"}},
		Where:     clause.Where{Exprs: []clause.Expression{gorm.Expr("instagram_accounts.user_id = ?", ig.UserID)}},
		DoUpdates: set,
	}, clause.Returning{}).Create(ig)
	return changedAny(res, "store Instagram account")
}
