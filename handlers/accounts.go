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

// listAccounts answers a bare list. Where there is more, the Link header leads to
// it (RFC 8288).
func (a *api) listAccounts(c echo.Context) error {
	f := oauth.Filter{AppID: callerOf(c).AppID, Limit: defaultAccounts}
	err := readQuery(c.Request().URL.RawQuery, "list", map[string]func(string) string{
		"user_id":  userParam(&f.UserID),
		"platform": platformFilter(&f.Platform),
		"limit":    limitParam(&f.Limit, maxAccounts),
		"cursor":   func(value string) string { return setAccountCursor(&f, value) },
	})
	if err != nil {
		return err
	}
	page := f.Limit
	f.Limit++ // one more tells whether there is a next page
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

func setAccountCursor(f *oauth.Filter, value string) string {
	p, id, _ := strings.Cut(value, ":")
	n, ok := number(id, math.MaxInt32)
	if !ok || platformFilter(&f.AfterPlatform)(p) != "" {
		return "must be the cursor of an earlier answer"
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

// disconnectAccount ends an account: its waiting posts are canceled and the consent
// is revoked at the platform.
func (a *api) disconnectAccount(c echo.Context) error {
	p, err := platformParam(c)
	if err != nil {
		return err
	}
	id, ok := number(c.Param("id"), math.MaxInt32)
	if !ok {
		return notFound("account")
	}
	account, err := a.Accounts.Disconnect(c.Request().Context(), callerOf(c).AppID, p, id)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, viewAccount(account))
}

type pageView struct {
	PageID    string  `json:"page_id"`
	Name      string  `json:"name"`
	AccountID *int64  `json:"account_id"`
	Usable    bool    `json:"usable"`
	Reason    *string `json:"reason"`
}

// listPages shows the Facebook Pages that a user's consent let us see, with the
// reason why one cannot be posted to:
//
//   - no_instagram_account: no professional account is linked to it.
//   - no_publish_permission: the person may not create content on it.
//   - no_page_token: Meta gives no token for it.
//   - connected_elsewhere: another user connected its Instagram account.
//   - reauth_required, disconnected: what its account is.
func (a *api) listPages(c echo.Context) error {
	var userID int64
	err := readQuery(c.Request().URL.RawQuery, "list", map[string]func(string) string{"user_id": userParam(&userID)})
	if err != nil {
		return err
	}
	if userID == 0 {
		return models.FieldErrors{{Field: "user_id", Message: "is required: the id of one of your users"}}
	}
	pages, err := a.Accounts.Pages(c.Request().Context(), callerOf(c).AppID, userID)
	if err != nil {
		return err
	}
	views := make([]pageView, len(pages))
	for i, p := range pages {
		views[i] = pageView{PageID: p.PageID, Name: p.Name, AccountID: p.InstagramAccountID, Usable: p.Reason == "", Reason: view.TextOrNull(p.Reason)}
	}
	return c.JSON(http.StatusOK, views)
}

// limitParam reads how many entries a page has.
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

func platformFilter(p *models.Platform) func(string) string {
	return func(value string) string {
		*p = models.Platform(value)
		if *p != models.TikTok && *p != models.Instagram {
			return "must be tiktok or instagram"
		}
		return ""
	}
}
