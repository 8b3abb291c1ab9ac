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
	// maxJSON is the largest JSON body, and the most that the text fields of an
	// upload may add up to, in bytes.
	maxJSON = 1 << 20
	// stillTime is how long a client may send nothing before it is cut off.
	stillTime = time.Minute
	// extendEvery spaces the moves of a deadline: one per read would be waste.
	extendEvery = time.Second
)

// bodyError is a body that could not be read: the sender's doing or the
// network's, not ours.
type bodyError struct{ err error }

func (e *bodyError) Error() string { return "read the body: " + e.err.Error() }
func (e *bodyError) Unwrap() error { return e.err }

func (e *bodyError) problem() *problem {
	if _, ok := errors.AsType[*http.MaxBytesError](e.err); ok {
		return tooLarge("the body is larger than allowed")
	}
	if timeout, ok := errors.AsType[net.Error](e.err); ok && timeout.Timeout() {
		return &problem{status: http.StatusRequestTimeout, code: codeValidation, detail: "the body stopped coming"}
	}
	return badRequest("the body broke off or is not well-formed")
}

// movingBody reads a body that may take any time as long as it moves on.
type movingBody struct {
	r        io.Reader
	conn     *http.ResponseController
	extended time.Time
}

func newMovingBody(c echo.Context) *movingBody {
	return &movingBody{r: c.Request().Body, conn: http.NewResponseController(c.Response())}
}

// Read gives the sender another minute from now on. The end takes the deadline
// off: net/http goes on listening for a client that leaves, and a deadline
// passing there would look like one.
func (b *movingBody) Read(p []byte) (int, error) {
	if now := time.Now(); now.Sub(b.extended) >= extendEvery {
		b.extended = now
		_ = b.conn.SetReadDeadline(now.Add(stillTime)) // a recorder in a test has none
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

// readJSON reads a small body whole.
func readJSON(c echo.Context) ([]byte, error) {
	r := c.Request()
	if err := mustBeJSON(r); err != nil {
		return nil, err
	}
	if r.ContentLength > maxJSON {
		return nil, tooLarge(fmt.Sprintf("the body has more than %d bytes", maxJSON))
	}
	conn := http.NewResponseController(c.Response())
	_ = conn.SetReadDeadline(time.Now().Add(callTime)) // a recorder in a test has none
	body, err := io.ReadAll(http.MaxBytesReader(c.Response(), r.Body, maxJSON))
	if err != nil {
		return nil, &bodyError{err}
	}
	_ = conn.SetReadDeadline(time.Time{})
	return body, nil
}

// mustBeJSON forgives a request that does not say what it carries.
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

// mediaType is the type of a request's body without parameters; empty when the
// header is not well-formed.
func mediaType(r *http.Request) string {
	name, _, err := mime.ParseMediaType(r.Header.Get(echo.HeaderContentType))
	if err != nil {
		return ""
	}
	return name
}
