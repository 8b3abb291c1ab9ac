package handlers

import (
	"math"
	"net/http"
	"net/url"

	"github.com/labstack/echo/v4"

	"socialqueue/models"
	"socialqueue/publish/instagram"
	"socialqueue/view"
)

// maxSignedRequest is the largest signed request of Meta's that is read, in bytes. They have
// a few hundred, and their signature is in the body.
const maxSignedRequest = 16 << 10

type pageView struct {
	PageID    string  `json:"page_id"`
	Name      string  `json:"name"`
	AccountID *int64  `json:"account_id"`
	Usable    bool    `json:"usable"`
	Reason    *string `json:"reason"`
}

// listPages lists the Facebook Pages of a user's login, with the reason why one cannot be
// posted to:
//
//   - no_instagram_account: no professional account is linked to it.
//   - no_publish_permission: the person may not create content on it.
//   - no_page_token: Meta gives no token for it.
//   - connected_elsewhere: another user connected its Instagram account.
//   - reauth_required, disconnected: the status of its account.
func (a *api) listPages(c echo.Context) error {
	var userID int64
	err := readQuery(c.Request().URL.RawQuery, "list", map[string]func(string) string{"user_id": userParam(&userID)})
	if err != nil {
		return err
	}
	if userID == 0 {
		return models.FieldErrors{{Field: "user_id", Message: "is required: the id of a user of this app"}}
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

// patchInstagramAccount sets what the posts of an account have by default.
func (a *api) patchInstagramAccount(c echo.Context) error {
	id, ok := number(c.Param("id"), math.MaxInt32)
	if !ok {
		return notFound("account")
	}
	body, err := a.readJSON(c)
	if err != nil {
		return err
	}
	var location *string
	if err := (fields{"default_location_id": upTo(maxURL, &location)}).decode(body); err != nil {
		return err
	}
	if location == nil {
		return models.FieldErrors{{Field: "default_location_id", Message: "is required: the id or address of a Facebook Page that has a location; empty for none"}}
	}
	page, ok := instagram.LocationID(*location)
	if !ok && page != "" {
		return models.FieldErrors{{Field: "default_location_id", Message: "must be the numeric id of a Facebook Page that has a location, or the Page's address with that id in it"}}
	}
	if err := a.Accounts.SetDefaultLocation(c.Request().Context(), callerOf(c).AppID, id, page); err != nil {
		return err
	}
	return a.showAccount(c, models.Instagram, id)
}

// facebookDeauthorized handles Meta's signed request that reports that a person removed the
// app.
func (a *api) facebookDeauthorized(c echo.Context) error {
	request, err := a.signedRequest(c)
	if err != nil {
		return err
	}
	if err := a.Accounts.Withdrawn(c.Request().Context(), models.Instagram, request); err != nil {
		return err
	}
	return c.JSON(http.StatusOK, map[string]string{"status": statusOK})
}

// facebookDeletes handles a person's request to delete their data. As Meta requires, it
// returns the address of a status page and a confirmation code (Data Deletion Request
// Callback).
func (a *api) facebookDeletes(c echo.Context) error {
	request, err := a.signedRequest(c)
	if err != nil {
		return err
	}
	code, err := a.Accounts.RequestDeletion(c.Request().Context(), models.Instagram, request)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, map[string]string{"url": a.Accounts.DeletionURL(models.Instagram, code), "confirmation_code": code})
}

// signedRequest returns the form field signed_request.
func (a *api) signedRequest(c echo.Context) (string, error) {
	body, err := a.readWhole(c, maxSignedRequest)
	if err != nil {
		return "", err
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return "", badRequest("the form is malformed")
	}
	return form.Get("signed_request"), nil
}

// deletionStatus shows a person the status of their deletion request. Anyone with the code
// may see the page, so it shows nothing about the person.
func (a *api) deletionStatus(c echo.Context) error {
	code, ok := pathText(c, "code")
	if !ok {
		return notFound("deletion request")
	}
	request, err := a.Accounts.Deletion(c.Request().Context(), code)
	if err != nil {
		return err
	}
	page := connectPage{
		State: pageWaiting, Title: "Your data is being deleted",
		Detail: "This takes a moment. Reload this page to see whether it is done.", Reference: code,
	}
	if request.CompletedAt != nil {
		page.State, page.Title = pageDone, "Your data is deleted"
		page.Detail = "All data from your Facebook login was deleted on " + request.CompletedAt.Format("2 January 2006, 15:04 MST") + "."
	}
	return showConnect(c, http.StatusOK, page)
}
