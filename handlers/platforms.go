package handlers

import (
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/labstack/echo/v4"
)

// The largest messages that a platform may send, in bytes. Meta puts up to 1,000
// notices into one.
const (
	maxNotice = 1 << 20
	maxBatch  = 4 << 20
)

// readNotice reads a platform's message whole, as it is: its signature is over
// these very bytes.
func readNotice(c echo.Context, most int64) ([]byte, error) {
	conn := http.NewResponseController(c.Response())
	_ = conn.SetReadDeadline(time.Now().Add(callTime)) // a recorder in a test has none
	body, err := io.ReadAll(http.MaxBytesReader(c.Response(), c.Request().Body, most))
	if err != nil {
		return nil, &bodyError{err}
	}
	_ = conn.SetReadDeadline(time.Time{})
	return body, nil
}

// tiktokWebhook takes TikTok's events. Whatever is signed is answered with 200,
// also what means nothing to us: TikTok repeats anything else for three days
// (Webhooks).
func (a *api) tiktokWebhook(c echo.Context) error {
	body, err := readNotice(c, maxNotice)
	if err != nil {
		return err
	}
	if err := a.Inbox.ReceiveTikTok(c.Request().Context(), c.Request().Header.Get("TikTok-Signature"), body); err != nil {
		return err
	}
	return c.JSON(http.StatusOK, map[string]string{"status": statusOK})
}

// instagramWebhook takes Meta's notices. It repeats for 36 hours what is not answered
// with 200 (Webhooks).
func (a *api) instagramWebhook(c echo.Context) error {
	body, err := readNotice(c, maxBatch)
	if err != nil {
		return err
	}
	h := c.Request().Header
	if err := a.Inbox.ReceiveInstagram(c.Request().Context(), h.Get("X-Hub-Signature-256"), h.Get("X-Hub-Signature"), body); err != nil {
		return err
	}
	return c.JSON(http.StatusOK, map[string]string{"status": statusOK})
}

// instagramHandshake answers Meta's question whether this is the right address, with
// the challenge and nothing else (Webhooks, Verification Requests).
func (a *api) instagramHandshake(c echo.Context) error {
	q := c.Request().URL.Query()
	challenge, err := a.Inbox.Handshake(q.Get("hub.mode"), q.Get("hub.verify_token"), q.Get("hub.challenge"))
	if err != nil {
		return &problem{status: http.StatusForbidden, code: codeWebhook, detail: "hub.mode or hub.verify_token is not right"}
	}
	return c.String(http.StatusOK, challenge)
}

// facebookDeauthorized takes Meta's word that a person removed the app.
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
	body, err := readNotice(c, maxNotice)
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
