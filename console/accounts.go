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

// accountsShown is a list of accounts, with the filter that made it.
type accountsShown struct {
	Filter    db.AccountFilter
	Rows      []accountRow
	Next      string
	Statuses  []models.AccountStatus
	Platforms []models.Platform
}

// accountRow is an account with what a list says of it.
type accountRow struct {
	view.Account
	Lane string
	// TokenEnds is when the access token ends, RefreshAt when somebody sees to it next.
	TokenEnds, RefreshAt *time.Time
	Failures             int
	// Quota is what Instagram told; nil where nobody asked, and of TikTok, which tells none.
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
	shown := accountsShown{Filter: f, Statuses: accountStatuses, Platforms: c.Platforms.Names()}
	if len(accounts) > pageSize {
		accounts = accounts[:pageSize]
		q, last := r.URL.Query(), accounts[pageSize-1]
		q.Set("after", models.Lane(last.Platform, last.ID()))
		shown.Next = Root + "/accounts?" + q.Encode()
	}
	for i := range accounts {
		shown.Rows = append(shown.Rows, accountRowOf(&accounts[i]))
	}
	return shown, nil
}

// accountFilter reads the filter of a list, which asks for one account more than is
// shown.
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
			errs.Add("after", "must be an account, such as tiktok:3")
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

// accountShown is one account.
type accountShown struct {
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
	shown := accountShown{accountRow: accountRowOf(a)}
	return c.withPosts(ctx, shown)
}

// withPosts adds how the account's posts stand.
func (c *Console) withPosts(ctx context.Context, shown accountShown) (any, error) {
	var err error
	if shown.State, err = c.DB.Operators.LaneState(ctx, shown.Lane, c.Now().UTC()); err != nil {
		return nil, err
	}
	pauses, err := c.DB.Admission.Pauses(ctx)
	if err != nil {
		return nil, err
	}
	shown.Pause = pauses.Of(shown.Lane)
	posts, err := c.DB.Operators.AllPosts(ctx, db.PostFilter{Platform: shown.Platform, AccountID: shown.ID, Limit: newest})
	if err != nil {
		return nil, err
	}
	shown.Newest, err = c.rows(ctx, posts)
	return shown, err
}

// nameOf is what people call an account.
func nameOf(a *db.Account) string {
	shown := view.OfAccount(&a.OAuth, a.Instagram)
	if shown.Username != "" {
		return "@" + shown.Username
	}
	return shown.ExternalID
}
