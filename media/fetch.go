package media

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"socialqueue/egress"
)

// FetchOptions are the limits of a Fetcher. Zero takes the default.
type FetchOptions struct {
	AllowPrivate  bool          // addresses of private networks too; for tests and intranets
	MaxBytes      int64         // of one file; zero sets no limit
	HeaderTimeout time.Duration // to the headers of an answer, redirects included: 30 s
	StallTimeout  time.Duration // without a byte of the body: 60 s
	Timeout       time.Duration // of the whole fetch: 1 h
}

const (
	defaultHeaderTimeout = 30 * time.Second
	defaultStallTimeout  = 60 * time.Second
	defaultFetchTimeout  = time.Hour
	maxRedirects         = 5
)

// Fetcher reads the files that apps name by URL, from public addresses only
// (package egress).
type Fetcher struct {
	// It is no http.Client: that one quotes URLs in its errors, and on a
	// redirect tells the next host the whole URL of this one as the Referer.
	// A signed link is a secret.
	transport *http.Transport
	guard     *egress.Guard
	opts      FetchOptions
}

// NewFetcher makes a Fetcher.
func NewFetcher(opts FetchOptions) *Fetcher {
	return newFetcher(opts, egress.New(opts.AllowPrivate))
}

func newFetcher(opts FetchOptions, guard *egress.Guard) *Fetcher {
	setDefault(&opts.HeaderTimeout, defaultHeaderTimeout)
	setDefault(&opts.StallTimeout, defaultStallTimeout)
	setDefault(&opts.Timeout, defaultFetchTimeout)
	transport := guard.Transport(opts.HeaderTimeout)
	transport.DisableCompression = true // the length is that of the file, and no bomb unpacks
	transport.DisableKeepAlives = true  // hosts are many, fetches of one host few
	return &Fetcher{transport: transport, guard: guard, opts: opts}
}

func setDefault(d *time.Duration, value time.Duration) {
	if *d == 0 {
		*d = value
	}
}

// Open begins to fetch a file and returns its body and length, which is -1
// when the server does not say. The caller closes the body. Reading more than
// MaxBytes from it ends with ErrTooLarge. All errors, those of the body
// included, are *FetchError.
func (f *Fetcher) Open(ctx context.Context, rawURL string) (io.ReadCloser, int64, error) {
	target, err := parseTarget(rawURL)
	if err != nil {
		return nil, 0, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, f.opts.Timeout, errFetchTimeout)
	ctx, stop := context.WithCancelCause(ctx)
	release := func() { stop(nil); cancel() }
	headers := time.AfterFunc(f.opts.HeaderTimeout, func() { stop(errHeaderTimeout) })
	resp, err := f.follow(ctx, target)
	headers.Stop()
	if err != nil {
		release()
		return nil, 0, err
	}
	host := resp.Request.URL.Host
	if err := f.checkResponse(resp); err != nil {
		_ = resp.Body.Close() // refused: its bytes are not wanted
		release()
		return nil, 0, fetchError(host, resp.StatusCode, err)
	}
	return f.newBody(ctx, stop, release, resp), resp.ContentLength, nil
}

// follow sends the request, and again to where it is redirected.
func (f *Fetcher) follow(ctx context.Context, target *url.URL) (*http.Response, error) {
	for range maxRedirects + 1 {
		resp, err := f.get(ctx, target)
		if err != nil {
			return nil, err
		}
		if !isRedirect(resp.StatusCode) {
			return resp, nil
		}
		_ = resp.Body.Close() // a redirect's body says nothing
		next, err := target.Parse(resp.Header.Get("Location"))
		if err != nil || resp.Header.Get("Location") == "" {
			return nil, fetchError(target.Host, resp.StatusCode, errBadRedirect)
		}
		if target, err = parseTarget(next.String()); err != nil {
			return nil, err
		}
	}
	return nil, fetchError(target.Host, 0, errTooManyRedirects)
}

func (f *Fetcher) get(ctx context.Context, target *url.URL) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target.String(), nil)
	if err != nil {
		return nil, fetchError(target.Host, 0, errBadURL)
	}
	req.Header.Set("User-Agent", "socialqueue")
	req.Header.Set("Accept", "video/*, image/*")
	resp, err := f.transport.RoundTrip(req)
	if err != nil {
		return nil, fetchError(target.Host, 0, transportCause(ctx, err))
	}
	return resp, nil
}

func isRedirect(status int) bool {
	switch status {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther,
		http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		return true
	}
	return false
}

func (f *Fetcher) checkResponse(resp *http.Response) error {
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("the server answered %d", resp.StatusCode)
	}
	if f.opts.MaxBytes > 0 && resp.ContentLength > f.opts.MaxBytes {
		return ErrTooLarge
	}
	return nil
}

// transportCause is why a request or a body failed.
func transportCause(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return egress.Cause(err)
}
