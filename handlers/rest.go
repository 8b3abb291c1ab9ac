package handlers

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/labstack/echo/v4"
)

const (
	// restBytes and restTime limit what is read of a body after its request was refused,
	// whichever comes first; restStill is how long nothing may arrive. Then the connection is
	// closed.
	restBytes = 32 << 20
	restTime  = 10 * time.Second
	restStill = 2 * time.Second
)

// readRest reads on after an upload was refused before its whole body was read, and drops
// what it reads. Many clients (Python's http.client is one) send the whole body before they
// read the answer. net/http reads only 256 KiB and closes the connection; such a client then
// gets a reset instead of the answer (psf/requests issue 2422).
//
// The answer comes first, for the clients that read while they send. It closes the connection,
// because it is not known yet whether the rest will end in time.
func readRest(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		r := c.Request()
		takesFiles := c.Path() == routeMedia || c.Path() == routeTikTok
		if !takesFiles || r.ContentLength == 0 || r.ProtoMajor != 1 { // HTTP/2 ends one stream, not the connection
			return next(c)
		}
		body := &watchedBody{ReadCloser: r.Body}
		watched := r.WithContext(r.Context())
		watched.Body = body
		c.SetRequest(watched)
		conn := http.NewResponseController(c.Response())
		unread := false
		c.Response().Before(func() {
			if c.Response().Status < http.StatusBadRequest || body.ended || body.waits(r) || conn.EnableFullDuplex() != nil {
				return
			}
			unread = true
			c.Response().Header().Set(echo.HeaderConnection, "close")
		})
		err := next(c)
		if unread && conn.Flush() == nil {
			rest := &restReader{r: r.Body, conn: conn, until: time.Now().Add(restTime)}
			_, _ = io.CopyN(io.Discard, rest, restBytes) // ends as well if the client leaves
		}
		return err
	}
}

// restReader reads a body until a time, as long as data arrives.
type restReader struct {
	r     io.Reader
	conn  *http.ResponseController
	until time.Time
}

func (r *restReader) Read(p []byte) (int, error) {
	deadline := time.Now().Add(restStill)
	if deadline.After(r.until) {
		deadline = r.until
	}
	if err := r.conn.SetReadDeadline(deadline); err != nil {
		return 0, err
	}
	return r.r.Read(p)
}

// watchedBody notes how far a body was read.
type watchedBody struct {
	io.ReadCloser
	began, ended bool
}

func (b *watchedBody) Read(p []byte) (int, error) {
	b.began = true
	n, err := b.ReadCloser.Read(p)
	b.ended = b.ended || errors.Is(err, io.EOF)
	return n, err
}

// waits reports whether the client waits for leave to send the body. It was not asked for it,
// so there is nothing to read.
func (b *watchedBody) waits(r *http.Request) bool {
	return !b.began && strings.EqualFold(r.Header.Get("Expect"), "100-continue")
}
