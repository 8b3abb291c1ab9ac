package tiktok

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"socialqueue/sandbox/engine"
)

// checkPullURL requires https on a domain name under a verified property (Media Transfer Guide). Loopback addresses
// pass if private fetches are allowed.
func (t *Platform) checkPullURL(field, raw string) *refusal {
	u, ok := engine.ParseURL(raw)
	if !ok {
		return invalid(field + " is not a valid URL")
	}
	local := engine.IsLocalHost(u.Hostname()) && !t.host.Options().NoPrivateFetch
	_, ipErr := netip.ParseAddr(u.Hostname())
	if !local && (u.Scheme != "https" || ipErr == nil) {
		return invalid(field + " must be https on a domain name")
	}
	if len(t.opts.VerifiedPrefixes) == 0 && local {
		return nil
	}
	if !slices.ContainsFunc(t.opts.VerifiedPrefixes, func(p string) bool { return verifies(p, u) }) {
		return &refusal{code: "url_ownership_unverified"}
	}
	return nil
}

// verifies reports whether a property, which is a domain or a URL prefix, covers u. Query strings do not matter.
func verifies(property string, u *url.URL) bool {
	if strings.Contains(property, "://") {
		plain := url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}
		return strings.HasPrefix(plain.String(), property)
	}
	return u.Hostname() == property || strings.HasSuffix(u.Hostname(), "."+property)
}

// startPull downloads the files in the background. The status is PROCESSING_DOWNLOAD meanwhile.
func (t *Platform) startPull(p *publishTask, urls []string) {
	ctx, cancel := context.WithCancel(t.host.Context())
	p.cancel = cancel
	started := t.host.Go(func() {
		defer cancel()
		found, err := t.pullAll(ctx, p, urls)
		t.mu.Lock()
		defer t.mu.Unlock()
		now := t.host.Now()
		t.settle(p, now) // a cancel or the 1 h limit may have been first
		if p.failed {
			return
		}
		if err != nil {
			t.fails(p, p.kind.pullFailed, now)
			return
		}
		t.take(p, found, now)
	})
	if !started {
		cancel()
	}
}

// pullAll downloads the files in turn and returns the first finding of their checks.
func (t *Platform) pullAll(ctx context.Context, p *publishTask, urls []string) (found string, err error) {
	for i, b := range p.files {
		if err := t.pullOne(ctx, p.kind, b, urls[i]); err != nil {
			return "", err
		}
		b.Finish()
		engine.SetDefault(&found, p.kind.check(b))
	}
	return found, nil
}

// pullOne downloads one file. A photo that is too large is no failed download: its check finds it.
func (t *Platform) pullOne(ctx context.Context, kind *mediaKind, b *engine.Blob, rawURL string) error {
	if kind == kindPhoto {
		b.KeepHead(maxPhotoSize) // the dimensions may stand behind a large EXIF block
	}
	_, err := t.host.Fetch(ctx, rawURL, b, kind.maxBytes)
	if kind == kindPhoto && errors.Is(err, engine.ErrTooLarge) {
		return nil
	}
	return err
}

// cancel stops a download that has not finished (Media Transfer Guide).
func (t *Platform) cancel(x *engine.Exchange, acc *account) engine.Reply {
	p, no := t.find(x, acc)
	if no != nil {
		return t.fail(x, no.code, no.message)
	}
	if !p.pull || p.failed || !p.takenAt.IsZero() {
		return t.fail(x, "publish_not_cancellable", "The publish can no longer be cancelled.")
	}
	t.fails(p, "publish_cancelled", x.Now)
	rep := engine.JSONReply(http.StatusOK, map[string]any{"error": apiError{Code: "ok", LogID: x.LogID}})
	rep.Code = "ok"
	return rep
}
