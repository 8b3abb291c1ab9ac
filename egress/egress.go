// Package egress guards calls to addresses that customers give: they reach public addresses
// only. The address is checked when it is dialed, so neither a name that later resolves to
// another address nor a redirect leads into our network.
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

// ErrPrivateHost means that the address is not public.
var ErrPrivateHost = errors.New("the address is not public")

// Guard decides which addresses may be called.
type Guard struct {
	guardian *ssrf.Guardian // nil allows every address
}

// New returns a guard that allows public addresses, or with allowPrivate all addresses, for
// tests and intranets. Every port is allowed. The prefixes in public also count as public.
func New(allowPrivate bool, public ...netip.Prefix) *Guard {
	if allowPrivate {
		return &Guard{}
	}
	return &Guard{ssrf.New(ssrf.WithAnyPort(), ssrf.WithAllowedV4Prefixes(public...))}
}

// AllowsPrivate reports whether every address may be called.
func (g *Guard) AllowsPrivate() bool { return g.guardian == nil }

// maxHeaderBytes limits the headers of an answer.
const maxHeaderBytes = 64 << 10

// Transport returns a transport whose every connection is guarded. timeout limits
// connecting. It uses no proxy, because the guard would only see the proxy's address.
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

// Check resolves a host and returns ErrPrivateHost if one of its addresses is not public.
// Its other errors are those of the lookup. The dial is guarded too, because names change.
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

// Cause returns ErrPrivateHost for the error of a call that the guard refused, and other
// errors unchanged.
func Cause(err error) error {
	for _, refused := range []error{ssrf.ErrProhibitedIP, ssrf.ErrProhibitedNetwork, ssrf.ErrInvalidHostPort} {
		if errors.Is(err, refused) {
			return ErrPrivateHost
		}
	}
	return err
}

// CheckName returns ErrPrivateHost for a host that ends in a number but is not an address
// to Go, like 2130706433 or 0x7f.1, because some resolvers accept it as one.
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
