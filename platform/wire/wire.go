// Package wire holds the HTTP code that all platform clients share. It sends requests with
// time limits, and detects whether a failed request can have been sent. It keeps secrets
// out of errors and records, and reads JSON fields of varying types. The clients interpret
// the answers.
package wire

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"sync/atomic"
	"time"
)

const (
	// maxBody limits the answers that are read. Real ones have a few hundred bytes.
	maxBody = 1 << 20
	// CallTimeout limits one API call, including reading the answer.
	CallTimeout = 30 * time.Second
	// floorRate is the slowest accepted upload, in bytes per second.
	floorRate = 64 << 10
)

// UploadTimeout returns the time limit for sending n bytes.
func UploadTimeout(n int64) time.Duration {
	return CallTimeout + time.Duration(n/floorRate+1)*time.Second
}

// Client returns a private copy of given, or our own client for nil. It follows no
// redirects, because a credential must not reach another host, and keeps no cookies. Its
// time limits come from the context of each call, because an upload may take longer than an
// API call.
func Client(given *http.Client) *http.Client {
	var own http.Client
	if given != nil {
		own = *given
	} else {
		own.Transport = newTransport()
	}
	own.Timeout = 0
	own.Jar = nil
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &own
}

func newTransport() *http.Transport {
	return &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		ForceAttemptHTTP2:     true,
		MaxIdleConns:          100,
		MaxIdleConnsPerHost:   32,
		IdleConnTimeout:       90 * time.Second,
		TLSHandshakeTimeout:   10 * time.Second,
		ResponseHeaderTimeout: 60 * time.Second,
		ExpectContinueTimeout: time.Second,
	}
}

// ParseBase parses a base URL of the configuration, which may have a path. Its errors name
// the setting and never quote the URL, which may contain a password.
func ParseBase(setting, raw string) (*url.URL, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return nil, fmt.Errorf("%s is not a URL", setting)
	}
	if (u.Scheme != "https" && u.Scheme != "http") || u.Hostname() == "" {
		return nil, fmt.Errorf("%s must have the form https://host/path", setting)
	}
	if u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("%s must not contain a user, query or fragment", setting)
	}
	return u, nil
}

// sendTrace records how far a request got.
type sendTrace struct {
	asked, connected atomic.Bool
}

func (t *sendTrace) watch(ctx context.Context) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GetConn: func(string) { t.asked.Store(true) },
		GotConn: func(httptrace.GotConnInfo) { t.connected.Store(true) },
	})
}

// notSent reports whether err certainly came before a byte of the request was sent. It
// needs proof: with a transport that does not report its steps, such as a test's, the
// request counts as sent.
func (t *sendTrace) notSent(err error) bool {
	if t.asked.Load() && !t.connected.Load() {
		return true
	}
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "dial" {
		return true
	}
	_, ok := errors.AsType[*net.DNSError](err)
	return ok
}

// ReadBody reads an answer. An answer that is larger than maxBody is an error.
func ReadBody(resp *http.Response) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody+1))
	if err != nil {
		return nil, fmt.Errorf("read answer: %w", err)
	}
	if len(body) > maxBody {
		return nil, fmt.Errorf("read answer: more than %d bytes", maxBody)
	}
	return body, nil
}

// ExactBody returns exactly n bytes of a source. A source that ends early is an error, so
// that the request breaks off instead of sending less.
func ExactBody(source io.ReadCloser, n int64) io.ReadCloser {
	return &exactBody{ReadCloser: source, left: n}
}

type exactBody struct {
	io.ReadCloser
	left int64
}

func (b *exactBody) Read(p []byte) (int, error) {
	if b.left == 0 {
		return 0, io.EOF
	}
	if int64(len(p)) > b.left {
		p = p[:b.left]
	}
	n, err := b.ReadCloser.Read(p)
	b.left -= int64(n)
	if errors.Is(err, io.EOF) && b.left > 0 {
		return n, io.ErrUnexpectedEOF
	}
	return n, err
}
