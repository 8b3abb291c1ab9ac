package sandbox

import (
	"bytes"
	"errors"
	"image/jpeg"
	"slices"
)

const (
	maxImageBytes = 8 << 20 // Error Codes, 36000: 8 MiB
	maxReelBytes  = 300 << 20
	maxStoryBytes = 100 << 20
	minImageWidth = 320
	minRatio      = 4.0 / 5
	maxRatio      = 1.91
)

// createContainer answers POST /{ig-id}/media. An image is fetched before the answer, as Meta refuses a bad one at
// once; a video is fetched behind it and its failure shows in the container's status.
func (ig *instagram) createContainer(c *graphCall) reply {
	kind, e := kindOf(c.params)
	if e == nil {
		e = kind.checkParams(c.params)
	}
	if e != nil {
		return ig.fail(c.exchange, *e)
	}
	n := ig.newContainer(c, kind)
	if e := ig.fetchImages(c, n); e != nil {
		return ig.fail(c.exchange, *e)
	}
	ig.mu.Lock()
	defer ig.mu.Unlock()
	if kind == kindCarousel {
		if n.children, e = ig.childrenOf(c); e != nil {
			return ig.fail(c.exchange, *e)
		}
	}
	if !c.acc.containers.take("", c.now, day, ig.s.opts.Limits.InstagramContainers) {
		return ig.fail(c.exchange, graphError{Code: 9, Subcode: 2207042})
	}
	return ig.openContainer(c, n)
}

func (ig *instagram) newContainer(c *graphCall, kind *igKind) *igContainer {
	return &igContainer{
		id: ig.s.ids.graph("178"), account: c.acc, kind: kind, createdAt: c.now,
		caption: c.params.Get("caption"), altText: c.params.Get("alt_text"),
		resumable: c.params.Get("upload_type") == "resumable", video: kind.video || kind == kindStory && c.params.Get("image_url") == "",
		shareToFeed: c.params.Get("share_to_feed") != "false",
	}
}

// openContainer registers a checked container and starts what has to happen before it is FINISHED.
func (ig *instagram) openContainer(c *graphCall, n *igContainer) reply {
	answer := map[string]string{"id": n.id}
	switch {
	case n.kind == kindCarousel:
		ig.arrive(n, c.now)
	case n.resumable:
		answer["uri"] = c.base + "/rupload/ig-api-upload/" + c.version + "/" + n.id
	case n.video:
		if err := ig.startFetch(n, c.params.Get("video_url")); err != nil {
			return ig.fail(c.exchange, graphError{Code: 1, Message: err.Error()})
		}
	default:
		ig.arrive(n, c.now)
	}
	if n.kind == kindStory {
		n.caption = "" // ignored on stories
	}
	ig.containers[n.id] = n
	return ig.ok(c, answer)
}

// childrenOf resolves the children of a carousel: 2 to 10 items of this account, alive and not failed.
func (ig *instagram) childrenOf(c *graphCall) ([]*igContainer, *graphError) {
	ids, ok := list(c.params.Get("children"))
	if !ok || len(ids) < 2 || len(ids) > 10 {
		return nil, &graphError{Code: 100, Subcode: 2207028}
	}
	children := make([]*igContainer, len(ids))
	for i, id := range ids {
		child := ig.containers[id]
		if child == nil || child.account != c.acc || child.kind != kindChildImage && child.kind != kindChildVideo || slices.Contains(children, child) {
			return nil, param("Invalid carousel child " + id)
		}
		switch child.state(c.now, ig.s.opts.Delays) {
		case stateExpired, stateError:
			return nil, &graphError{Code: 24, Subcode: 2207008}
		case statePublished:
			return nil, param("Carousel child " + id + " is already published")
		}
		children[i] = child
	}
	return children, nil
}

// fetchImages loads and checks what has to be right at once: the image, and a reel's cover.
func (ig *instagram) fetchImages(c *graphCall, n *igContainer) *graphError {
	if u := c.params.Get("cover_url"); u != "" {
		cover, e := ig.fetchImage(u, false)
		if e != nil {
			return e
		}
		cover.discard()
	}
	u := c.params.Get("image_url")
	if u == "" {
		return nil
	}
	var e *graphError
	n.blob, e = ig.fetchImage(u, n.kind == kindImage)
	return e
}

// fetchImage downloads an image for real and holds it against the image rules of IG User Media, 2026-03.
func (ig *instagram) fetchImage(rawURL string, checkShape bool) (*blob, *graphError) {
	unfetched := &graphError{Code: 9004, Subcode: 2207052}
	if _, ok := parseMediaURL(rawURL); !ok || !isASCII(rawURL) {
		return nil, unfetched
	}
	b, err := ig.s.newBlob()
	if err != nil {
		return nil, &graphError{Code: 1, Message: err.Error()}
	}
	b.headLimit = maxImageBytes // the dimensions may stand behind a large EXIF block
	mediaType, err := ig.s.fetcher.fetch(ig.s.ctx, rawURL, b, maxImageBytes)
	b.finish()
	var e *graphError
	switch {
	case errors.Is(err, errFetchSize):
		e = &graphError{Code: 36000, Subcode: 2207004}
	case err != nil:
		e = unfetched
	default:
		e = checkImage(mediaType, b.first(), checkShape)
	}
	if e != nil {
		b.discard()
		return nil, e
	}
	return b, nil
}

func checkImage(mediaType string, data []byte, checkShape bool) *graphError {
	switch mediaType {
	case "image/jpeg", "image/jpg":
	case "image/png", "image/webp", "image/gif", "image/heic", "image/heif":
		return &graphError{Code: 36001, Subcode: 2207005}
	default:
		return &graphError{Code: 9004, Subcode: 2207052}
	}
	cfg, err := jpeg.DecodeConfig(bytes.NewReader(data))
	if err != nil {
		return &graphError{Code: 36001, Subcode: 2207005}
	}
	ratio := float64(cfg.Width) / float64(cfg.Height)
	if checkShape && (cfg.Width < minImageWidth || ratio < minRatio-0.001 || ratio > maxRatio+0.005) {
		return &graphError{Code: 36003, Subcode: 2207009}
	}
	return nil
}

func isASCII(s string) bool {
	return !slices.ContainsFunc([]byte(s), func(b byte) bool { return b > 0x7e || b <= 0x20 })
}

// startFetch downloads a video in the background. ig.mu is held.
func (ig *instagram) startFetch(n *igContainer, rawURL string) error {
	b, err := ig.s.newBlob()
	if err != nil {
		return err
	}
	n.blob, n.busy = b, true
	if !ig.s.begin() {
		return errors.New("the sandbox is closed")
	}
	go func() {
		defer ig.s.work.Done()
		code := ig.fetchVideo(n, rawURL)
		ig.mu.Lock()
		defer ig.mu.Unlock()
		n.busy = false
		n.failure = code
		ig.arrive(n, ig.s.clock.now())
	}()
	return nil
}

// fetchVideo returns the subcode of what went wrong, or "".
func (ig *instagram) fetchVideo(n *igContainer, rawURL string) string {
	if _, ok := parseMediaURL(rawURL); !ok || !isASCII(rawURL) {
		return "2207077"
	}
	mediaType, err := ig.s.fetcher.fetch(ig.s.ctx, rawURL, n.blob, n.maxBytes())
	switch {
	case errors.Is(err, errFetchSize):
		return "2207076"
	case err != nil || !isInstagramVideo(mediaType):
		return "2207077"
	}
	return ""
}
