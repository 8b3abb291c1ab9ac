package sandbox

import (
	"context"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// checkPullURL: https on a domain name under a verified property (Media Transfer Guide); loopback stands in for both
// when private fetches are allowed.
func (t *tiktok) checkPullURL(raw string) *refusal {
	u, ok := parseMediaURL(raw)
	if !ok {
		return invalid("video_url is not a valid URL")
	}
	local := isLocalHost(u.Hostname()) && !t.s.opts.NoPrivateFetch
	_, ipErr := netip.ParseAddr(u.Hostname())
	if !local && (u.Scheme != "https" || ipErr == nil) {
		return invalid("video_url must be https on a domain name")
	}
	if len(t.s.opts.VerifiedPrefixes) == 0 && local {
		return nil
	}
	if !slices.ContainsFunc(t.s.opts.VerifiedPrefixes, func(p string) bool { return verifies(p, u) }) {
		return &refusal{code: "url_ownership_unverified"}
	}
	return nil
}

// verifies tells whether a property, a domain or a URL prefix, covers u. Query strings do not matter.
func verifies(property string, u *url.URL) bool {
	if strings.Contains(property, "://") {
		plain := url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}
		return strings.HasPrefix(plain.String(), property)
	}
	return u.Hostname() == property || strings.HasSuffix(u.Hostname(), "."+property)
}

// startPull downloads the video in the background; the publish is PROCESSING_DOWNLOAD meanwhile.
func (t *tiktok) startPull(p *tiktokPublish, rawURL string) {
	ctx, cancel := context.WithCancel(t.s.ctx)
	p.cancel = cancel
	if !t.s.begin() {
		cancel()
		return
	}
	go func() {
		defer t.s.work.Done()
		defer cancel()
		_, err := t.s.fetcher.fetch(ctx, rawURL, p.blob, maxVideoSize)
		t.mu.Lock()
		defer t.mu.Unlock()
		now := t.s.clock.now()
		t.settle(p, now) // a cancel or the 1 h limit may have been first
		if p.failed {
			return
		}
		if err != nil {
			t.fails(p, "video_pull_failed", now)
			return
		}
		t.take(p, now)
	}()
}

// cancel stops a download that is under way (Media Transfer Guide).
func (t *tiktok) cancel(x *exchange, acc *tiktokAccount) reply {
	p, no := t.find(x, acc)
	if no != nil {
		return t.fail(x, no.code, no.message)
	}
	if !p.pull || p.failed || !p.takenAt.IsZero() {
		return t.fail(x, "publish_not_cancellable", "The publish can no longer be cancelled.")
	}
	t.fails(p, "publish_cancelled", x.now)
	rep := jsonReply(http.StatusOK, map[string]any{"error": tiktokError{Code: "ok", LogID: x.logID}})
	rep.code = "ok"
	return rep
}
