package handlers

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"

	"github.com/labstack/echo/v4"

	"socialqueue/models"
	"socialqueue/oauth"
)

//go:embed connectpage.html
var connectHTML string

var connectTemplate = template.Must(template.New("connect").Parse(connectHTML))

// pageState selects the look of a page.
type pageState string

const (
	pageDone    pageState = "done"
	pageWaiting pageState = "waiting"
	pageFailed  pageState = "failed"
)

// connectPage is the page at the end of a connect, or of a deletion request.
type connectPage struct {
	State  pageState
	Title  string
	Detail string
	// List names the connected accounts, and Unusable the Pages that cannot be posted to.
	List, Unusable []string
	// Reference is a code that the user can quote when asking for help.
	Reference string
}

func (a *api) pageOf(o oauth.Outcome) connectPage {
	name := a.Platforms.Of(o.Platform)
	page := connectPage{State: pageFailed, Title: name + " was not connected", Detail: o.Detail, Reference: o.Code}
	if o.Code == "" {
		page.State, page.Title = pageDone, name+" is connected"
		page.Detail = "You can close this page and go back to the app."
	}
	for _, account := range o.Accounts {
		page.List = append(page.List, account.Name)
	}
	for _, p := range o.Unusable {
		page.Unusable = append(page.Unusable, fmt.Sprintf("%s: %s", p.Name, pageReasons[p.Reason]))
	}
	return page
}

// pageReasons tells the user why a Page cannot be posted to.
var pageReasons = map[string]string{
	models.PageNoInstagram:  "no professional Instagram account is linked to it",
	models.PageNoPermission: "you may not create content on it",
	models.PageNoToken:      "Facebook gives no access to it",
	models.PageElsewhere:    "its Instagram account is connected by another user",
}

// pageSecurity stops the page from loading or sending anything, because its address holds
// what the platform sent.
const pageSecurity = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

func showConnect(c echo.Context, status int, page connectPage) error {
	var body bytes.Buffer
	if err := connectTemplate.Execute(&body, page); err != nil {
		return fmt.Errorf("show the page: %w", err)
	}
	h := c.Response().Header()
	h.Set(echo.HeaderContentSecurityPolicy, pageSecurity)
	h.Set(echo.HeaderReferrerPolicy, "no-referrer")
	return c.HTMLBlob(status, body.Bytes())
}
