package handlers

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"
)

const (
	// maxJSON is the largest JSON body, and the largest total size of the text fields of a
	// form, in bytes.
	maxJSON = 1 << 20
	// stillTime is how long a client may send nothing before the connection is closed.
	stillTime = time.Minute
	// extendEvery is how often a deadline is extended; once per read would be wasteful.
	extendEvery = time.Second
)

// bodyError means that a body could not be read because of the client or the network.
type bodyError struct{ err error }

func (e *bodyError) Error() string { return "read the body: " + e.err.Error() }
func (e *bodyError) Unwrap() error { return e.err }

func (e *bodyError) problem() *problem {
	if _, ok := errors.AsType[*http.MaxBytesError](e.err); ok {
		return tooLarge("the body is larger than allowed")
	}
	if timeout, ok := errors.AsType[net.Error](e.err); ok && timeout.Timeout() {
		return &problem{status: http.StatusRequestTimeout, code: codeValidation, detail: "no more of the body arrived in time"}
	}
	return badRequest("the body is incomplete or malformed")
}

// movingBody reads a body that may take any time as long as data keeps arriving.
type movingBody struct {
	r        io.Reader
	conn     *http.ResponseController
	extended time.Time
}

func newMovingBody(c echo.Context) *movingBody {
	return &movingBody{r: c.Request().Body, conn: http.NewResponseController(c.Response())}
}

// Read extends the deadline by a minute from now. At the end it removes the deadline:
// net/http then watches for a client that disconnects, and would take a passed deadline for
// one.
func (b *movingBody) Read(p []byte) (int, error) {
	if now := time.Now(); now.Sub(b.extended) >= extendEvery {
		b.extended = now
		_ = b.conn.SetReadDeadline(now.Add(stillTime)) // a recorder in a test has no deadlines
	}
	n, err := b.r.Read(p)
	if err == nil {
		return n, nil
	}
	if errors.Is(err, io.EOF) {
		_ = b.conn.SetReadDeadline(time.Time{})
		return n, io.EOF
	}
	return n, &bodyError{err}
}

// readJSON reads a JSON body of at most maxJSON bytes.
func (a *api) readJSON(c echo.Context) ([]byte, error) {
	r := c.Request()
	if err := mustBeJSON(r); err != nil {
		return nil, err
	}
	if r.ContentLength > maxJSON {
		return nil, tooLarge(fmt.Sprintf("the body has more than %d bytes", maxJSON))
	}
	return a.readWhole(c, maxJSON)
}

// mustBeJSON accepts a request without a Content-Type.
func mustBeJSON(r *http.Request) error {
	if encoding := r.Header.Get(echo.HeaderContentEncoding); encoding != "" && encoding != "identity" {
		return unsupported("send the body without Content-Encoding")
	}
	if r.Header.Get(echo.HeaderContentType) == "" || mediaType(r) == echo.MIMEApplicationJSON {
		return nil
	}
	return unsupported("send JSON, with Content-Type: application/json")
}

func unsupported(detail string) *problem {
	return &problem{status: http.StatusUnsupportedMediaType, code: codeValidation, detail: detail}
}

func isMultipart(r *http.Request) bool { return mediaType(r) == echo.MIMEMultipartForm }

// mediaType returns the type of a request's body without parameters. It is empty if the
// header is malformed.
func mediaType(r *http.Request) string {
	name, _, err := mime.ParseMediaType(r.Header.Get(echo.HeaderContentType))
	if err != nil {
		return ""
	}
	return name
}
