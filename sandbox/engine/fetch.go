package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"syscall"
	"time"
)

// ErrTooLarge is what Host.Fetch returns for media over its limit.
var ErrTooLarge = errors.New("media is too large")

var (
	errPrivateHost = errors.New("address is not public")
	errFetch       = errors.New("media could not be fetched")
)

// fetcher downloads media the way the platforms do: plain GET, no redirects, bounded time.
type fetcher struct {
	client       *http.Client
	timeout      time.Duration
	allowPrivate bool
}

func newFetcher(opts Options) *fetcher {
	f := &fetcher{timeout: opts.FetchTimeout, allowPrivate: !opts.NoPrivateFetch}
	transport := opts.FetchTransport
	if transport == nil {
		transport = f.network()
	}
	f.client = &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return f
}

// network connects to the addresses that are allowed.
func (f *fetcher) network() *http.Transport {
	dialer := &net.Dialer{Timeout: 10 * time.Second, Control: f.control}
	return &http.Transport{DialContext: dialer.DialContext, DisableKeepAlives: true, DisableCompression: true}
}

func (f *fetcher) close() { f.client.CloseIdleConnections() }

// control refuses private addresses after name resolution, so that a public name cannot point to one.
func (f *fetcher) control(_, address string, _ syscall.RawConn) error {
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("%w: %s", errPrivateHost, address)
	}
	if !f.allowPrivate && !isPublic(ap.Addr()) {
		return fmt.Errorf("%w: %s", errPrivateHost, ap.Addr())
	}
	return nil
}

func isPublic(a netip.Addr) bool {
	a = a.Unmap()
	return a.IsGlobalUnicast() && !a.IsPrivate()
}

// IsLocalHost reports whether a host is localhost, or a loopback or private address.
func IsLocalHost(host string) bool {
	if host == "localhost" {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && !isPublic(a)
}

// fetch streams the file behind rawURL into b and returns its declared media type. At most limit bytes are taken.
func (f *fetcher) fetch(ctx context.Context, rawURL string, b *Blob, limit int64) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, f.timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, rawURL, nil)
	if err != nil {
		return "", fmt.Errorf("%w: bad URL", errFetch)
	}
	req.Header.Set("User-Agent", "socialqueue-sandbox/1.0")
	res, err := f.client.Do(req)
	if err != nil {
		return "", fmt.Errorf("%w: %w", errFetch, err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return "", fmt.Errorf("%w: status %d", errFetch, res.StatusCode)
	}
	n, err := b.Fill(io.LimitReader(res.Body, limit+1))
	if err != nil {
		return "", fmt.Errorf("%w: %w", errFetch, err)
	}
	if n > limit {
		return "", ErrTooLarge
	}
	mediaType, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type"))
	return mediaType, nil
}

// ParseURL parses a URL and accepts only absolute http and https URLs without user information.
func ParseURL(raw string) (*url.URL, bool) {
	u, err := url.Parse(raw)
	ok := err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Hostname() != "" && u.User == nil
	return u, ok
}
