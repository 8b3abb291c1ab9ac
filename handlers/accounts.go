package handlers

import (
	"fmt"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	"socialqueue/models"
	"socialqueue/oauth"
	"socialqueue/view"
)

const (
	defaultAccounts = 200
	maxAccounts     = 1000
)

func viewAccount(a *oauth.Account) view.Account { return view.OfAccount(&a.OAuth, a.Instagram) }

// listAccounts answers with a bare JSON array. The Link header has the address of the next
// page (RFC 8288).
func (a *api) listAccounts(c echo.Context) error {
	f := oauth.Filter{AppID: callerOf(c).AppID, Limit: defaultAccounts}
	err := readQuery(c.Request().URL.RawQuery, "list", map[string]func(string) string{
		"user_id":  userParam(&f.UserID),
		"platform": a.platformFilter(&f.Platform),
		"limit":    limitParam(&f.Limit, maxAccounts),
		"cursor":   func(value string) string { return a.setAccountCursor(&f, value) },
	})
	if err != nil {
		return err
	}
	page := f.Limit
	f.Limit++ // the extra row shows whether there is a next page
	accounts, err := a.Accounts.List(c.Request().Context(), f)
	if err != nil {
		return err
	}
	if len(accounts) > page {
		accounts = accounts[:page]
		last := &accounts[page-1]
		linkNext(c, fmt.Sprintf("%s:%d", last.Platform, last.ID()))
	}
	views := make([]view.Account, len(accounts))
	for i := range accounts {
		views[i] = viewAccount(&accounts[i])
	}
	return c.JSON(http.StatusOK, views)
}

func (a *api) setAccountCursor(f *oauth.Filter, value string) string {
	p, id, _ := strings.Cut(value, ":")
	n, ok := number(id, math.MaxInt32)
	if !ok || a.platformFilter(&f.AfterPlatform)(p) != "" {
		return "must be a cursor from an earlier response"
	}
	f.AfterID = n
	return ""
}

func linkNext(c echo.Context, cursor string) {
	u := c.Request().URL
	q := u.Query()
	q.Set("cursor", cursor)
	next := url.URL{Path: u.Path, RawQuery: q.Encode()}
	c.Response().Header().Set("Link", fmt.Sprintf(`<%s>; rel="next"`, next.String()))
}

// accountHealthView is an account with what is wrong with it.
type accountHealthView struct {
	view.Account
	Issues []oauth.Issue `json:"issues"`
}

// getAccount shows an account with its health. No platform is asked.
func (a *api) getAccount(c echo.Context) error {
	p, id, err := a.accountParam(c)
	if err != nil {
		return err
	}
	return a.showAccount(c, p, id)
}

func (a *api) showAccount(c echo.Context, p models.Platform, id int64) error {
	account, issues, err := a.Accounts.Health(c.Request().Context(), callerOf(c).AppID, p, id)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, accountHealthView{viewAccount(account), issues})
}

// disconnectAccount disconnects an account: its waiting posts are canceled and the consent
// is revoked at the platform.
func (a *api) disconnectAccount(c echo.Context) error {
	p, id, err := a.accountParam(c)
	if err != nil {
		return err
	}
	account, err := a.Accounts.Disconnect(c.Request().Context(), callerOf(c).AppID, p, id)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, viewAccount(account))
}

// accountParam reads the account in a path.
func (a *api) accountParam(c echo.Context) (models.Platform, int64, error) {
	p, err := a.platformParam(c)
	if err != nil {
		return "", 0, err
	}
	id, ok := number(c.Param("id"), math.MaxInt32)
	if !ok {
		return "", 0, notFound("account")
	}
	return p, id, nil
}

// limitParam reads the size of a page.
func limitParam(limit *int, most int) func(string) string {
	return func(value string) string {
		n, ok := number(value, int64(most))
		if !ok {
			return "must be a number from 1 to " + strconv.Itoa(most)
		}
		*limit = int(n)
		return ""
	}
}

// platformFilter reads the name of a platform.
func (a *api) platformFilter(p *models.Platform) func(string) string {
	return func(value string) string {
		*p = models.Platform(value)
		if names := a.Platforms.Names(); !names.Has(*p) {
			return "must be " + names.String()
		}
		return ""
	}
}
