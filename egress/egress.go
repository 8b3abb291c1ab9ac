// Package egress guards the calls that go to where a customer says: they reach
// public addresses only. The address is looked at in the moment it is dialed, so
// a name that resolves to another one the second time does not lead into our
// network, and neither does a redirect.
package egress

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"code.dny.dev/ssrf"
)

// ErrPrivateHost: the address is not public.
var ErrPrivateHost = errors.New("the address is not public")

// Guard decides which addresses may be called.
type Guard struct {
	guardian *ssrf.Guardian // nil allows every address
}

// New makes a guard that lets public addresses pass, or all of them: for tests and
// intranets. Any port will do; it is the address that counts. The public prefixes
// are taken for public beside those that are.
func New(allowPrivate bool, public ...netip.Prefix) *Guard {
	if allowPrivate {
		return &Guard{}
	}
	return &Guard{ssrf.New(ssrf.WithAnyPort(), ssrf.WithAllowedV4Prefixes(public...))}
}

// AllowsPrivate reports whether every address may be called.
func (g *Guard) AllowsPrivate() bool { return g.guardian == nil }

// maxHeaderBytes bounds the headers of an answer.
const maxHeaderBytes = 64 << 10

// Transport makes a transport whose every connection is guarded. The time-out is
// that of connecting. It uses no proxy: the guard would see that one's address only.
func (g *Guard) Transport(timeout time.Duration) *http.Transport {
	dialer := &net.Dialer{Timeout: timeout}
	if g.guardian != nil {
		dialer.Control = g.guardian.Safe
	}
	return &http.Transport{
		DialContext:            dialer.DialContext,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:    timeout,
		ForceAttemptHTTP2:      true,
		MaxResponseHeaderBytes: maxHeaderBytes,
	}
}

// Check resolves a host and refuses it with ErrPrivateHost if it leads to an
// address that is not public. Its other errors are those of the look-up. Names
// change: the dial is guarded all the same.
func (g *Guard) Check(ctx context.Context, host string) error {
	if err := CheckName(host); err != nil || g.guardian == nil {
		return err
	}
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return err
	}
	for _, addr := range addrs {
		if g.guardian.SafeAddr(addr.Unmap()) != nil {
			return ErrPrivateHost
		}
	}
	return nil
}

// Cause gives the error of a call that the guard refused its name, and leaves
// every other as it is.
func Cause(err error) error {
	for _, refused := range []error{ssrf.ErrProhibitedIP, ssrf.ErrProhibitedNetwork, ssrf.ErrInvalidHostPort} {
		if errors.Is(err, refused) {
			return ErrPrivateHost
		}
	}
	return err
}

// CheckName refuses a host, with ErrPrivateHost, that ends in a number but is no
// address as we read them, like 2130706433 or 0x7f.1: some resolvers take it for
// one.
func CheckName(host string) error {
	if _, err := netip.ParseAddr(host); err == nil {
		return nil
	}
	labels := strings.Split(strings.TrimSuffix(strings.ToLower(host), "."), ".")
	last := labels[len(labels)-1]
	digits := "0123456789"
	if hex, ok := strings.CutPrefix(last, "0x"); ok {
		last, digits = hex+"0", digits+"abcdef"
	}
	if last != "" && strings.Trim(last, digits) == "" {
		return ErrPrivateHost
	}
	return nil
}
