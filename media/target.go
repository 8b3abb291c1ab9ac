package media

import (
	"context"
	"net/url"

	"socialqueue/egress"
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
	if err := f.guard.Check(ctx, target.Hostname()); err != nil {
		return fetchError(target.Host, 0, err)
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
	if err := egress.CheckName(u.Hostname()); err != nil {
		return nil, fetchError(u.Host, 0, err)
	}
	return u, nil
}
