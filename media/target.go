package media

import (
	"context"
	"net/url"

	"socialqueue/egress"
)

// CheckURL refuses a URL that cannot be fetched when a post is accepted, so that its sender
// gets the error at once. It resolves the host but does not connect. The later dial is
// guarded too, because names change.
//
// Its errors are *FetchError. One that is not Permanent means that the name cannot be
// looked up at the moment.
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

// parseTarget parses a URL that a file may be fetched from. Its errors do not contain the
// URL.
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
