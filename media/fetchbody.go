package media

import (
	"context"
	"errors"
	"io"
	"net/http"
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
}

func (f *Fetcher) newBody(ctx context.Context, stop context.CancelCauseFunc, release func(), resp *http.Response) *body {
	b := &body{ctx: ctx, resp: resp, left: -1, timeout: f.opts.StallTimeout, release: release}
	if f.opts.MaxBytes > 0 {
		b.left = f.opts.MaxBytes
	}
	b.stall = time.AfterFunc(b.timeout, func() { stop(errStalled) })
	b.stall.Stop() // it runs during reads only, because a slow consumer is not a stall
	return b
}

// Read reads the file. All its errors except io.EOF are *FetchError.
func (b *body) Read(p []byte) (int, error) {
	b.stall.Reset(b.timeout)
	n, err := b.resp.Body.Read(p)
	b.stall.Stop()
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

func (b *body) host() string { return b.resp.Request.URL.Host }

// Close stops the fetch.
func (b *body) Close() error {
	b.stall.Stop()
	err := b.resp.Body.Close()
	b.release()
	return err
}
