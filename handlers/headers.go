package handlers

import (
	"context"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"
)

const (
	// callTime is how long a call without an upload may take.
	callTime = 15 * time.Second
	// writeTime is how long an answer may take, or one piece of a long one.
	writeTime = time.Minute
)

// answerHeaders sets what every answer carries, and bounds its writing from the
// moment it begins.
func answerHeaders(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		h := c.Response().Header()
		h.Set(echo.HeaderXContentTypeOptions, "nosniff")
		h.Set(echo.HeaderCacheControl, "no-store")
		conn := http.NewResponseController(c.Response())
		c.Response().Before(func() { extendWrite(conn) })
		return next(c)
	}
}

// extendWrite gives an answer more time. A recorder in a test knows no
// deadlines, which is fine.
func extendWrite(conn *http.ResponseController) {
	_ = conn.SetWriteDeadline(time.Now().Add(writeTime))
}

// inTime bounds a call that has no upload.
func inTime(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		defer bound(c)()
		return next(c)
	}
}

// bound gives the rest of a call callTime. The function it returns takes the
// bound off again: what answers and logs an error must not take the end of the
// call for a client that left.
func bound(c echo.Context) (release func()) {
	unbound := c.Request()
	ctx, cancel := context.WithTimeout(unbound.Context(), callTime)
	setContext(ctx, c)
	return func() {
		cancel()
		c.SetRequest(unbound)
	}
}

func setContext(ctx context.Context, c echo.Context) {
	c.SetRequest(c.Request().WithContext(ctx))
}
