package handlers

import (
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/labstack/echo/v4"
)

// Limits of the bodies that are held in memory at the same time, in bytes. A body counts as
// far as it has arrived, until its request is answered. The files of posts are streamed and
// do not count.
const (
	// keyedBodies is the total of requests with an API key, and keyedShare that of one app.
	keyedBodies = 32 << 20
	keyedShare  = 8 << 20
	// openBodies is the total of requests without a key, which are those of platforms, and
	// openShare that of one address.
	openBodies = 32 << 20
	openShare  = 8 << 20
)

// budget limits the memory for request bodies, in all and per client, so that no client can
// fill the process. It is safe for concurrent use.
type budget struct {
	total, share int64

	mu   sync.Mutex
	used int64
	by   map[string]int64
}

func newBudget(total, share int64) *budget {
	return &budget{total: total, share: share, by: map[string]int64{}}
}

// take reserves n bytes for a client. It reports whether they are there.
func (b *budget) take(client string, n int64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.used+n > b.total || b.by[client]+n > b.share {
		return false
	}
	b.used += n
	b.by[client] += n
	return true
}

// give returns bytes that take reserved.
func (b *budget) give(client string, n int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.used -= n
	if b.by[client] -= n; b.by[client] == 0 {
		delete(b.by, client)
	}
}

// firstPiece is the buffer that a body begins with. It fits most requests.
const firstPiece = 4 << 10

// readWhole reads a body of at most most bytes into memory. The buffer grows with what
// arrives: a client that only announces a large body takes no memory. releaseBody returns
// the memory to the budget.
func (a *api) readWhole(c echo.Context, most int64) ([]byte, error) {
	conn := http.NewResponseController(c.Response())
	_ = conn.SetReadDeadline(time.Now().Add(callTime)) // a recorder in a test has no deadlines
	body := http.MaxBytesReader(c.Response(), c.Request().Body, most)
	h := a.hold(c)
	var buf []byte
	for {
		if len(buf) == cap(buf) {
			grown, err := h.grow(buf)
			if err != nil {
				return nil, err
			}
			buf = grown
		}
		n, err := body.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		if err == io.EOF { // io.Reader returns it unwrapped
			break
		}
		if err != nil {
			return nil, &bodyError{err}
		}
	}
	_ = conn.SetReadDeadline(time.Time{})
	return buf, nil
}

const heldKey = "body memory"

// held is the memory that one request's body occupies.
type held struct {
	from   *budget
	client string
	bytes  int64
}

// hold begins to count the memory of a request's body.
func (a *api) hold(c echo.Context) *held {
	h := &held{from: a.openBodies, client: c.RealIP()}
	if app := callerOf(c).AppID; app != 0 {
		h.from, h.client = a.keyedBodies, strconv.FormatInt(app, 10)
	}
	c.Set(heldKey, h)
	return h
}

// grow returns a copy of buf with twice the capacity.
func (h *held) grow(buf []byte) ([]byte, error) {
	size := max(firstPiece, 2*cap(buf))
	more := int64(size - cap(buf))
	if !h.from.take(h.client, more) {
		return nil, &problem{
			status: http.StatusServiceUnavailable, code: codeUnavailable, retryAfter: "1",
			detail: "too many large requests at once; send this one again later",
		}
	}
	h.bytes += more
	grown := make([]byte, len(buf), size)
	copy(grown, buf)
	return grown, nil
}

// releaseBody returns the memory of a request's body once the request is answered.
func releaseBody(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		defer func() {
			if h, ok := c.Get(heldKey).(*held); ok {
				h.from.give(h.client, h.bytes)
			}
		}()
		return next(c)
	}
}
