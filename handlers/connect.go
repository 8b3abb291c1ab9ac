package handlers

import (
	"math"
	"net/http"
	"net/url"
	"strings"

	"github.com/labstack/echo/v4"

	"socialqueue/models"
	"socialqueue/oauth"
	"socialqueue/secrets"
)

// platformParam reads the platform in a path. An unknown platform answers 404.
func (a *api) platformParam(c echo.Context) (models.Platform, error) {
	p := models.Platform(c.Param("platform"))
	if !a.Platforms.Names().Has(p) {
		return "", echo.ErrNotFound
	}
	return p, nil
}

// beginConnect redirects a browser to the platform's consent page, or returns the page's
// address as JSON.
func (a *api) beginConnect(c echo.Context) error {
	p, err := a.platformParam(c)
	if err != nil {
		return err
	}
	start := oauth.Start{AppID: callerOf(c).AppID, Platform: p}
	err = readQuery(c.Request().URL.RawQuery, "call", map[string]func(string) string{
		"user_id":    userParam(&start.UserID),
		"return_url": func(value string) string { start.ReturnURL = value; return "" },
	})
	if err != nil {
		return err
	}
	if start.UserID == 0 {
		return models.FieldErrors{{Field: "user_id", Message: "is required: the id of a user of this app"}}
	}
	address, err := a.Accounts.Begin(c.Request().Context(), start)
	if err != nil {
		return err
	}
	if wantsJSON(c.Request()) {
		return c.JSON(http.StatusOK, map[string]string{"authorization_url": address})
	}
	return c.Redirect(http.StatusFound, address)
}

// userParam reads the id of a user. Ids are 32 bits wide.
func userParam(id *int64) func(string) string {
	return func(value string) string {
		n, ok := number(value, math.MaxInt32)
		if !ok {
			return "must be the id of a user"
		}
		*id = n
		return ""
	}
}

// wantsJSON reports whether the caller accepts JSON and not HTML.
func wantsJSON(r *http.Request) bool {
	accept := strings.ToLower(r.Header.Get(echo.HeaderAccept))
	return strings.Contains(accept, "json") && !strings.Contains(accept, "text/html")
}

// finishConnect handles the browser's return from the platform. With every outcome the user
// ends at the app's return_url or on a page that says what to do.
func (a *api) finishConnect(c echo.Context) error {
	p, err := a.platformParam(c)
	if err != nil {
		return err
	}
	q := c.Request().URL.Query()
	o, err := a.Accounts.Finish(c.Request().Context(), oauth.Callback{
		Platform: p, State: q.Get("state"), Code: secrets.Secret(q.Get("code")), Refusal: refusalOf(q),
	})
	if err != nil {
		a.logOf(c).WithError(err).Error("cannot finish a connect")
		return showConnect(c, http.StatusServiceUnavailable, connectPage{
			State: pageFailed, Title: "Not available at the moment", Detail: "Wait a moment and reload this page. You do not need to start again.",
		})
	}
	if to := o.Redirect(); to != "" {
		return c.Redirect(http.StatusFound, to)
	}
	return showConnect(c, statusOf(o), a.pageOf(o))
}

// refusalOf returns what a callback says of a refusal; nil if it says none. TikTok and the
// OAuth standard have error and error_description. Facebook adds error_reason, and has
// error_code and error_message instead where the fault is in the app's own settings.
func refusalOf(q url.Values) *oauth.Refusal {
	refusal := &oauth.Refusal{Error: q.Get("error")}
	if refusal.Error == "" {
		refusal.Error = q.Get("error_code")
	}
	if refusal.Error == "" {
		return nil
	}
	for _, name := range []string{"error", "error_code", "error_reason", "error_description", "error_message"} {
		if value := q.Get(name); value != "" {
			refusal.Words = append(refusal.Words, value)
		}
	}
	return refusal
}

func statusOf(o oauth.Outcome) int {
	switch o.Code {
	case "":
		return http.StatusOK
	case oauth.CodePlatform, oauth.CodeInterrupted, oauth.CodeErasing:
		return http.StatusServiceUnavailable
	default:
		return http.StatusBadRequest
	}
}
