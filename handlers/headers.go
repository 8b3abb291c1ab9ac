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
	// writeTime limits writing a response, or each piece of a long one.
	writeTime = time.Minute
)

// answerHeaders sets the headers of every response, and limits the time for writing it.
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

// extendWrite extends the write deadline. A recorder in a test has no deadlines, which is
// fine.
func extendWrite(conn *http.ResponseController) {
	_ = conn.SetWriteDeadline(time.Now().Add(writeTime))
}

// inTime limits a call without an upload to callTime.
func inTime(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		defer bound(c)()
		return next(c)
	}
}

// bound limits the rest of a call to callTime. The returned function restores the request's
// own context, so that the error handling does not take our time limit for a client that
// left.
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
