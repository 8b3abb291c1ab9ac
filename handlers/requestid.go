package handlers

import (
	"net/http"
	"regexp"

	"github.com/labstack/echo/v4"

	"socialqueue/models"
	"socialqueue/observe"
)

var requestIDForm = regexp.MustCompile(`^[A-Za-z0-9._:-]{1,128}$`)

// requestID takes the caller's X-Request-ID, or makes one. It is answered, and
// it is the correlation id of all that the request sets off.
func requestID(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		id := c.Request().Header.Get(echo.HeaderXRequestID)
		if !requestIDForm.MatchString(id) {
			id = models.NewID()
		}
		c.Response().Header().Set(echo.HeaderXRequestID, id)
		setContext(observe.WithCorrelationID(c.Request().Context(), id), c)
		return next(c)
	}
}

func correlationID(r *http.Request) string { return observe.CorrelationID(r.Context()) }
