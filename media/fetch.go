package media

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"socialqueue/egress"
)

// FetchOptions holds the limits of a Fetcher. Zero selects the default.
type FetchOptions struct {
	AllowPrivate  bool          // also addresses of private networks, for tests and intranets
	MaxBytes      int64         // of one file; zero means no limit
	HeaderTimeout time.Duration // to the headers of an answer, redirects included: 30 s
	StallTimeout  time.Duration // without a byte of the body: 60 s
	RateWindow    time.Duration // in which leastRate has to be kept: 60 s
	Timeout       time.Duration // of the whole fetch: 1 h
}

const (
	defaultHeaderTimeout = 30 * time.Second
	defaultStallTimeout  = 60 * time.Second
	defaultRateWindow    = 60 * time.Second
	defaultFetchTimeout  = time.Hour
	maxRedirects         = 5
	// leastRate is how many bytes a second a server has to send. A fetch occupies a worker:
	// a server that sends a byte every few seconds would occupy it for the whole Timeout.
	leastRate = 100_000
)

// Fetcher fetches the files that apps give by URL, from public addresses only (package
// egress).
type Fetcher struct {
	// A transport, not an http.Client, which quotes URLs in errors and sends the whole URL
	// as the Referer to the host of a redirect. A signed link is a secret.
	transport *http.Transport
	guard     *egress.Guard
	opts      FetchOptions
}

// NewFetcher returns a Fetcher.
func NewFetcher(opts FetchOptions) *Fetcher {
	return newFetcher(opts, egress.New(opts.AllowPrivate))
}

func newFetcher(opts FetchOptions, guard *egress.Guard) *Fetcher {
	setDefault(&opts.HeaderTimeout, defaultHeaderTimeout)
	setDefault(&opts.StallTimeout, defaultStallTimeout)
	setDefault(&opts.RateWindow, defaultRateWindow)
	setDefault(&opts.Timeout, defaultFetchTimeout)
	transport := guard.Transport(opts.HeaderTimeout)
	transport.DisableCompression = true // Content-Length is the file's, and a compression bomb has no effect
	transport.DisableKeepAlives = true  // there are many hosts and few fetches per host
	return &Fetcher{transport: transport, guard: guard, opts: opts}
}

func setDefault(d *time.Duration, value time.Duration) {
	if *d == 0 {
		*d = value
	}
}

// Open starts to fetch a file and returns its body and length, which is -1 if the server
// does not say. The caller closes the body. Reading more than MaxBytes from it ends with
// ErrTooLarge. All errors, including those of the body, are *FetchError.
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
		_ = resp.Body.Close() // refused, so its bytes are not needed
		release()
		return nil, 0, fetchError(host, resp.StatusCode, err)
	}
	b := f.newBody(ctx, stop, release, resp)
	if err := b.refusePage(); err != nil {
		return nil, 0, errors.Join(err, b.Close())
	}
	return b, resp.ContentLength, nil
}

// follow sends the request and follows redirects.
func (f *Fetcher) follow(ctx context.Context, target *url.URL) (*http.Response, error) {
	for range maxRedirects + 1 {
		resp, err := f.get(ctx, target)
		if err != nil {
			return nil, err
		}
		if !isRedirect(resp.StatusCode) {
			return resp, nil
		}
		_ = resp.Body.Close() // the body of a redirect is not needed
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
	switch {
	case resp.StatusCode == http.StatusPartialContent && isWhole(resp.Header.Get("Content-Range")):
	case resp.StatusCode == http.StatusPartialContent:
		return errors.New("the server sent only a part of the file, although all of it was asked for")
	case resp.StatusCode == http.StatusUnauthorized, resp.StatusCode == http.StatusForbidden:
		return fmt.Errorf("the server answered %d: the link may have expired, or the server refuses programs; give another link, or send the file to POST /api/media", resp.StatusCode)
	case resp.StatusCode != http.StatusOK:
		return fmt.Errorf("the server answered %d", resp.StatusCode)
	}
	if encoding := resp.Header.Get("Content-Encoding"); encoding != "" && encoding != "identity" {
		return fmt.Errorf("the server sent the file compressed (Content-Encoding: %.20s), although that was not asked for", encoding)
	}
	if f.opts.MaxBytes > 0 && resp.ContentLength > f.opts.MaxBytes {
		return ErrTooLarge
	}
	return nil
}

// isWhole reports whether a Content-Range is that of a whole file: some servers answer every
// request with 206.
func isWhole(contentRange string) bool {
	var last, total int64
	n, err := fmt.Sscanf(contentRange, "bytes 0-%d/%d", &last, &total)
	return err == nil && n == 2 && last+1 == total
}

// transportCause returns why a request or a body failed.
func transportCause(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return egress.Cause(err)
}
