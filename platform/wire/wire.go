// Package wire is what every platform client does on the wire, whatever the
// platform: it bounds and sends requests so that a failure tells whether
// anything can have left, keeps secrets out of errors and records, and reads
// JSON whose fields change their type. What an answer means is the client's own
// affair.
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
	// maxBody bounds every answer that is read. Real ones have a few hundred bytes.
	maxBody = 1 << 20
	// CallTimeout bounds one API call, the answer's body included.
	CallTimeout = 30 * time.Second
	// floorRate is the slowest upload, in bytes a second, that is worth waiting for.
	floorRate = 64 << 10
)

// UploadTimeout bounds the sending of n bytes.
func UploadTimeout(n int64) time.Duration {
	return CallTimeout + time.Duration(n/floorRate+1)*time.Second
}

// Client returns a private copy of given, or for nil a client of our own. It
// follows no redirect (a credential must not travel to another host), keeps no
// cookies, and leaves time-outs to the context of each call, because an upload
// may rightly take longer than an API call.
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

// ParseBase reads a base URL of the configuration, which may carry a path.
// Its errors name the setting and never quote the URL, which may hold a password.
func ParseBase(setting, raw string) (*url.URL, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return nil, fmt.Errorf("%s is no URL", setting)
	}
	if (u.Scheme != "https" && u.Scheme != "http") || u.Hostname() == "" {
		return nil, fmt.Errorf("%s needs the form https://host/path", setting)
	}
	if u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("%s must hold no user, query or fragment", setting)
	}
	return u, nil
}

// journey watches how far a request came.
type journey struct {
	asked, connected atomic.Bool
}

func (j *journey) watch(ctx context.Context) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GetConn: func(string) { j.asked.Store(true) },
		GotConn: func(httptrace.GotConnInfo) { j.connected.Store(true) },
	})
}

// neverLeft reports whether err surely came before a byte of the request was
// sent. It needs proof: a transport that does not report its steps, such as a
// test's, counts as having sent.
func (j *journey) neverLeft(err error) bool {
	if j.asked.Load() && !j.connected.Load() {
		return true
	}
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "dial" {
		return true
	}
	_, ok := errors.AsType[*net.DNSError](err)
	return ok
}

// ReadBody reads an answer. One that is larger than any real one is an error.
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

// ExactBody hands out n bytes of a source, no more; a source that ends early is
// an error, so that the request breaks off instead of sending a shorter one.
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
