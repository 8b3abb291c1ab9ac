package handlers

import (
	"net/http"
	"net/url"

	"github.com/labstack/echo/v4"
)

// maxSignedRequest is the largest request of Meta's that these handlers read, in bytes.
const maxSignedRequest = 1 << 20

// facebookDeauthorized takes Meta's request that says that a person removed the app.
func (a *api) facebookDeauthorized(c echo.Context) error {
	request, err := signedRequest(c)
	if err != nil {
		return err
	}
	if err := a.Accounts.FacebookRemoved(c.Request().Context(), request); err != nil {
		return err
	}
	return c.JSON(http.StatusOK, map[string]string{"status": statusOK})
}

// facebookDeletes takes a person's request to delete their data, and answers as
// Meta asks: with a page where the person sees how far it is, and the code of the
// request (Data Deletion Request Callback).
func (a *api) facebookDeletes(c echo.Context) error {
	request, err := signedRequest(c)
	if err != nil {
		return err
	}
	code, err := a.Accounts.DeleteFacebookUser(c.Request().Context(), request)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, map[string]string{"url": a.Accounts.DeletionURL(code), "confirmation_code": code})
}

// signedRequest reads the form field in which Meta sends such messages.
func signedRequest(c echo.Context) (string, error) {
	body, err := readSigned(c, maxSignedRequest)
	if err != nil {
		return "", err
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return "", badRequest("the form is not well-formed")
	}
	return form.Get("signed_request"), nil
}

// deletionStatus shows a person how far the deletion of their data is. The code is
// all that opens it, and it shows nothing of the person.
func (a *api) deletionStatus(c echo.Context) error {
	code, ok := pathText(c, "code")
	if !ok {
		return notFound("request to delete")
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
		page.Detail = "All that we had from your Facebook login was deleted on " + request.CompletedAt.Format("2 January 2006, 15:04 MST") + "."
	}
	return showConnect(c, http.StatusOK, page)
}
