package console

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"socialqueue/db"
	"socialqueue/models"
	"socialqueue/view"
)

// accountsPage is a list of accounts with its filter.
type accountsPage struct {
	Filter    db.AccountFilter
	Rows      []accountRow
	Next      string
	Statuses  []models.AccountStatus
	Platforms []models.Platform
}

// accountRow is an account with the data that a list shows.
type accountRow struct {
	view.Account
	Lane string
	// TokenEnds is when the access token expires, RefreshAt when the next token maintenance
	// is due.
	TokenEnds, RefreshAt *time.Time
	Failures             int
	// Quota is the limit that Instagram reported; nil if it was never read, and for TikTok,
	// which reports none.
	Quota *models.Quota
}

var accountStatuses = []models.AccountStatus{models.AccountActive, models.AccountReauthorize, models.AccountDisconnected}

func (c *Console) accounts(r *http.Request) (any, error) {
	f, err := c.accountFilter(r.URL.Query())
	if err != nil {
		return nil, err
	}
	accounts, err := c.DB.Operators.AllAccounts(r.Context(), f)
	if err != nil {
		return nil, err
	}
	page := accountsPage{Filter: f, Statuses: accountStatuses, Platforms: c.Platforms.Names()}
	if len(accounts) > pageSize {
		accounts = accounts[:pageSize]
		q, last := r.URL.Query(), accounts[pageSize-1]
		q.Set("after", models.Lane(last.Platform, last.ID()))
		page.Next = Root + "/accounts?" + q.Encode()
	}
	for i := range accounts {
		page.Rows = append(page.Rows, accountRowOf(&accounts[i]))
	}
	return page, nil
}

// accountFilter parses the filter of a list. Its limit is one more than a page shows, to
// detect whether there is a next page.
func (c *Console) accountFilter(q url.Values) (db.AccountFilter, error) {
	f := db.AccountFilter{Limit: pageSize + 1, Status: models.AccountStatus(q.Get("status")), Platform: models.Platform(q.Get("platform"))}
	var errs models.FieldErrors
	c.checkPlatform(&errs, f.Platform)
	if f.Status != "" && f.Status != models.AccountActive && f.Status != models.AccountReauthorize && f.Status != models.AccountDisconnected {
		errs.Add("status", "must be one of %v", accountStatuses)
	}
	if after := q.Get("after"); after != "" {
		var ok bool
		if f.AfterPlatform, f.AfterID, ok = models.ParseLane(after); !ok || !c.Platforms.Names().Has(f.AfterPlatform) {
			errs.Add("after", "must be a platform and an account id, such as tiktok:3")
		}
	}
	return f, errs.Err()
}

func accountRowOf(a *db.Account) accountRow {
	row := accountRow{
		Account: view.OfAccount(&a.OAuth, a.Instagram), Lane: models.Lane(a.Platform, a.ID()),
		TokenEnds: a.OAuth.ExpiresAt, RefreshAt: a.OAuth.MaintenanceAt, Failures: a.OAuth.RefreshFailures,
	}
	if a.OAuth.Status != models.AccountActive {
		row.RefreshAt = nil
	}
	if a.Instagram != nil && a.Instagram.Quota.ReadAt != nil {
		row.Quota = &a.Instagram.Quota
	}
	return row
}

// accountPage is one account.
type accountPage struct {
	accountRow
	State  db.LaneState
	Pause  *models.Pause
	Newest []postRow
}

func (c *Console) account(r *http.Request) (any, error) {
	ctx, p := r.Context(), models.Platform(r.PathValue("platform"))
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 32)
	if err != nil || !c.Platforms.Names().Has(p) {
		return nil, fmt.Errorf("account: %w", db.ErrNotFound)
	}
	a, err := c.DB.Operators.AccountByID(ctx, p, id)
	if err != nil {
		return nil, err
	}
	page := accountPage{accountRow: accountRowOf(a)}
	return c.withPosts(ctx, page)
}

// withPosts adds the account's posts and its pause.
func (c *Console) withPosts(ctx context.Context, page accountPage) (any, error) {
	var err error
	if page.State, err = c.DB.Operators.LaneState(ctx, page.Lane, c.Now().UTC()); err != nil {
		return nil, err
	}
	pauses, err := c.DB.Admission.Pauses(ctx)
	if err != nil {
		return nil, err
	}
	page.Pause = pauses.Of(page.Lane)
	posts, err := c.DB.Operators.AllPosts(ctx, db.PostFilter{Platform: page.Platform, AccountID: page.ID, Limit: newest})
	if err != nil {
		return nil, err
	}
	page.Newest, err = c.rows(ctx, posts)
	return page, err
}

// nameOf returns the display name of an account: its username, or else the platform's id.
func nameOf(a *db.Account) string {
	shown := view.OfAccount(&a.OAuth, a.Instagram)
	if shown.Username != "" {
		return "@" + shown.Username
	}
	return shown.ExternalID
}
