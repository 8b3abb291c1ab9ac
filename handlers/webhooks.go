package handlers

import (
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	"socialqueue/inbox"
	"socialqueue/models"
)

// webhookRoutes registers an address for the webhooks of every source. They need no API
// key: the source checks the platform's signature.
func (a *api) webhookRoutes(e *echo.Echo) {
	for _, source := range a.Inbox.Sources {
		path := routeWebhooks + string(source.Platform())
		a.public[path] = true
		e.POST(path, a.receiveWebhook(source.Platform(), source.MaxBody()), inTime)
		if _, ok := source.(inbox.Handshaker); ok {
			e.GET(path, a.webhookHandshake(source.Platform()), inTime)
		}
	}
}

// receiveWebhook receives the events of a platform. Every signed request is answered with
// 200, even if its events are ignored: the platform repeats all others for days.
func (a *api) receiveWebhook(p models.Platform, maxBody int64) echo.HandlerFunc {
	return func(c echo.Context) error {
		if err := a.Inbox.CheckHeader(p, c.Request().Header); err != nil {
			return err // the body is not read: anyone can send one
		}
		body, err := a.readWhole(c, maxBody)
		if err != nil {
			return err
		}
		if err := a.Inbox.Receive(c.Request().Context(), p, c.Request().Header, body); err != nil {
			return err
		}
		return c.JSON(http.StatusOK, map[string]string{"status": statusOK})
	}
}

// webhookHandshake answers a platform's check of this address with the expected text.
func (a *api) webhookHandshake(p models.Platform) echo.HandlerFunc {
	return func(c echo.Context) error {
		challenge, err := a.Inbox.Handshake(p, c.QueryParams())
		if err != nil {
			detail := strings.TrimPrefix(err.Error(), inbox.ErrNotAuthentic.Error()+": ")
			return &problem{status: http.StatusForbidden, code: codeWebhook, detail: detail}
		}
		return c.String(http.StatusOK, challenge)
	}
}
