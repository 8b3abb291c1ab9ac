package media

import (
	"context"
	"net"
	"net/netip"
	"net/url"
	"strings"
)

// CheckURL refuses a URL that cannot be fetched: at the time a post is
// accepted, so that its sender hears of it at once. It resolves the host but
// does not connect. The dial is guarded all the same, as names change.
//
// Its errors are *FetchError; one that is not Permanent means that the name
// could not be looked up just now.
func (f *Fetcher) CheckURL(ctx context.Context, rawURL string) error {
	target, err := parseTarget(rawURL)
	if err != nil {
		return err
	}
	if f.guard == nil {
		return nil
	}
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip", target.Hostname())
	if err != nil {
		return fetchError(target.Host, 0, err)
	}
	for _, addr := range addrs {
		if f.guard.SafeAddr(addr.Unmap()) != nil {
			return fetchError(target.Host, 0, ErrPrivateHost)
		}
	}
	return nil
}

// parseTarget accepts the URLs that a file may be fetched from. Its errors do
// not show the URL.
func parseTarget(rawURL string) (*url.URL, error) {
	u, err := url.Parse(rawURL)
	if err != nil {
		return nil, fetchError("", 0, errBadURL)
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.User != nil || u.Hostname() == "" {
		return nil, fetchError("", 0, errBadURL)
	}
	if isOddAddress(u.Hostname()) {
		return nil, fetchError(u.Host, 0, ErrPrivateHost)
	}
	return u, nil
}

// isOddAddress reports a host that ends in a number but is no address as we
// read them, like 2130706433 or 0x7f.1: some resolvers take it for one.
func isOddAddress(host string) bool {
	if _, err := netip.ParseAddr(host); err == nil {
		return false
	}
	labels := strings.Split(strings.TrimSuffix(strings.ToLower(host), "."), ".")
	last := labels[len(labels)-1]
	if hex, ok := strings.CutPrefix(last, "0x"); ok {
		return strings.Trim(hex, "0123456789abcdef") == ""
	}
	return last != "" && strings.Trim(last, "0123456789") == ""
}
