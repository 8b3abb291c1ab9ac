package media

import (
	"errors"
	"fmt"
	"net"
	"net/http"

	"socialqueue/egress"
)

// ErrNoHost means that no address is known for the host name.
var ErrNoHost = errors.New("unknown host name")

var (
	errBadURL           = errors.New("not an http or https URL without user name and password")
	errBadRedirect      = errors.New("redirected without a valid address")
	errTooManyRedirects = fmt.Errorf("redirected more than %d times", maxRedirects)
	errHeaderTimeout    = errors.New("no answer in time")
	errStalled          = errors.New("the transfer stalled")
	errTooSlow          = fmt.Errorf("the server sends less than %d kB a second", leastRate/1000)
	errWebPage          = errors.New("the link leads to a web page (text/html), not to a file: give the direct download link")
	errFetchTimeout     = errors.New("the transfer took too long")
)

// FetchError says why a file could not be fetched. It contains only the host, because the
// rest of the URL may be a secret.
type FetchError struct {
	Host      string
	Permanent bool // another attempt will not help
	Status    int  // of the server's answer; zero if there was none
	Err       error
}

// Error returns the host and the reason.
func (e *FetchError) Error() string {
	if e.Host == "" {
		return "fetch media: " + e.Err.Error()
	}
	return "fetch media from " + e.Host + ": " + e.Err.Error()
}

// Unwrap returns the reason.
func (e *FetchError) Unwrap() error { return e.Err }

func fetchError(host string, status int, err error) error {
	if dns, ok := errors.AsType[*net.DNSError](err); ok && dns.IsNotFound {
		err = ErrNoHost
	}
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Source != nil {
		err = op.Err // without the addresses of our own network
	}
	return &FetchError{Host: host, Permanent: isPermanent(status, err), Status: status, Err: err}
}

// isPermanent reports whether the same request can never succeed. Unknown errors are
// retried.
func isPermanent(status int, err error) bool {
	for _, permanent := range []error{egress.ErrPrivateHost, ErrTooLarge, errBadURL, ErrNoHost, errBadRedirect, errTooManyRedirects} {
		if errors.Is(err, permanent) {
			return true
		}
	}
	switch status {
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
		return false
	}
	return status >= 200 && status < 500
}
