package media

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"
)

// body is the body of a fetch. It ends a transfer that stalls or is too large, and reports
// the reason.
type body struct {
	ctx     context.Context
	resp    *http.Response
	left    int64 // bytes still allowed; negative means no limit
	stall   *time.Timer
	timeout time.Duration // the longest wait for the next bytes
	release func()
	// head holds the first bytes once refusePage has read them.
	head []byte
	// window is the time in which leastRate has to be kept, spent the time that was waited
	// for bytes in the current one, and got the bytes that came.
	window, spent time.Duration
	got           int64
}

func (f *Fetcher) newBody(ctx context.Context, stop context.CancelCauseFunc, release func(), resp *http.Response) *body {
	b := &body{ctx: ctx, resp: resp, left: -1, timeout: f.opts.StallTimeout, window: f.opts.RateWindow, release: release}
	if f.opts.MaxBytes > 0 {
		b.left = f.opts.MaxBytes
	}
	b.stall = time.AfterFunc(b.timeout, func() { stop(errStalled) })
	b.stall.Stop() // it runs during reads only, because a slow consumer is not a stall
	return b
}

// Read reads the file. All its errors except io.EOF are *FetchError.
func (b *body) Read(p []byte) (int, error) {
	if len(b.head) > 0 {
		n := copy(p, b.head)
		b.head = b.head[n:]
		return n, nil
	}
	b.stall.Reset(b.timeout)
	began := time.Now()
	n, err := b.resp.Body.Read(p)
	b.stall.Stop()
	if err == nil && b.tooSlow(n, time.Since(began)) {
		return n, fetchError(b.host(), 0, errTooSlow)
	}
	if b.left >= 0 {
		if int64(n) > b.left {
			return 0, fetchError(b.host(), 0, ErrTooLarge)
		}
		b.left -= int64(n)
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return n, fetchError(b.host(), 0, transportCause(b.ctx, err))
	}
	return n, err
}

// tooSlow reports whether the server sent less than leastRate in a window. Only the time
// spent in reads counts, because a slow consumer is not a slow server.
func (b *body) tooSlow(n int, took time.Duration) bool {
	b.got += int64(n)
	b.spent += took
	if b.spent < b.window {
		return false
	}
	slow := float64(b.got) < leastRate*b.spent.Seconds()
	b.spent, b.got = 0, 0
	return slow
}

// refusePage reads the first bytes, and returns an error if they are those of a web page: the
// link is one for people, who press a button on the page.
func (b *body) refusePage() error {
	head := make([]byte, 512)
	n, err := io.ReadFull(b, head)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return err
	}
	b.head = head[:n]
	if strings.HasPrefix(http.DetectContentType(b.head), "text/html") {
		return fetchError(b.host(), http.StatusOK, errWebPage)
	}
	return nil
}

func (b *body) host() string { return b.resp.Request.URL.Host }

// Close stops the fetch.
func (b *body) Close() error {
	b.stall.Stop()
	err := b.resp.Body.Close()
	b.release()
	return err
}
