package instagram

import (
	"bytes"
	"errors"
	"image/jpeg"
	"slices"

	"socialqueue/sandbox/engine"
)

const (
	maxImageBytes = 8 << 20 // Error Codes, 36000: 8 MiB
	maxReelBytes  = 300 << 20
	maxStoryBytes = 100 << 20
	minImageWidth = 320
	minRatio      = 4.0 / 5
	maxRatio      = 1.91
)

// createContainer answers POST /{ig-id}/media. An image is fetched before the answer, because Meta refuses a bad one at
// once. A video is fetched afterwards; a failure shows in the container's status.
func (ig *Platform) createContainer(c *graphCall) engine.Reply {
	kind, e := kindOf(c.params)
	if e == nil {
		e = kind.checkParams(c.params)
	}
	if e != nil {
		return ig.fail(c.Exchange, *e)
	}
	n := ig.newContainer(c, kind)
	if e := ig.fetchImages(c, n); e != nil {
		return ig.fail(c.Exchange, *e)
	}
	ig.mu.Lock()
	defer ig.mu.Unlock()
	if kind == kindCarousel {
		if n.children, e = ig.childrenOf(c); e != nil {
			return ig.fail(c.Exchange, *e)
		}
	}
	if !c.acc.containers.Take("", c.Now, day, ig.opts.Limits.Containers) {
		return ig.fail(c.Exchange, graphError{Code: 9, Subcode: 2207042})
	}
	return ig.openContainer(c, n)
}

func (ig *Platform) newContainer(c *graphCall, kind *mediaKind) *container {
	var poll []string
	if text := c.params.Get("poll_attachment"); text != "" {
		poll, _ = answersOf(text) // checked already
	}
	return &container{
		id: ig.newID("178"), account: c.acc, kind: kind, createdAt: c.Now,
		caption: c.params.Get("caption"), altText: c.params.Get("alt_text"),
		location: c.params.Get("location_id"), poll: poll, prompt: c.params.Get("is_comment_prompt_used") == "true",
		resumable: c.params.Get("upload_type") == "resumable", video: kind.video || kind == kindStory && c.params.Get("image_url") == "",
		shareToFeed: c.params.Get("share_to_feed") != "false",
	}
}

// openContainer registers a checked container and starts what it needs to become FINISHED.
func (ig *Platform) openContainer(c *graphCall, n *container) engine.Reply {
	answer := map[string]string{"id": n.id}
	switch {
	case n.kind == kindCarousel:
		ig.arrive(n, c.Now)
	case n.resumable:
		answer["uri"] = c.Base + uploadPrefix + "/ig-api-upload/" + c.version + "/" + n.id
	case n.video:
		if err := ig.startFetch(n, c.params.Get("video_url")); err != nil {
			return ig.fail(c.Exchange, graphError{Code: 1, Message: err.Error()})
		}
	default:
		ig.arrive(n, c.Now)
	}
	if n.kind == kindStory {
		n.caption = "" // ignored on stories
	}
	ig.containers[n.id] = n
	return ig.ok(c, answer)
}

// childrenOf returns the children of a carousel: 2 to 10 items of this account, not expired and not failed.
func (ig *Platform) childrenOf(c *graphCall) ([]*container, *graphError) {
	ids, ok := list(c.params.Get("children"))
	if !ok || len(ids) < 2 || len(ids) > 10 {
		return nil, &graphError{Code: 100, Subcode: 2207028}
	}
	children := make([]*container, len(ids))
	for i, id := range ids {
		child := ig.containers[id]
		if child == nil || child.account != c.acc || child.kind != kindChildImage && child.kind != kindChildVideo || slices.Contains(children, child) {
			return nil, param("Invalid carousel child " + id)
		}
		switch child.state(c.Now, ig.opts.Delays) {
		case stateExpired, stateError:
			return nil, &graphError{Code: 24, Subcode: 2207008}
		case statePublished:
			return nil, param("Carousel child " + id + " is already published")
		}
		children[i] = child
	}
	return children, nil
}

// fetchImages loads and checks the images that must be valid at once: the image itself and a reel's cover.
func (ig *Platform) fetchImages(c *graphCall, n *container) *graphError {
	if u := c.params.Get("cover_url"); u != "" {
		cover, e := ig.fetchImage(u, false)
		if e != nil {
			return e
		}
		cover.Discard()
	}
	u := c.params.Get("image_url")
	if u == "" {
		return nil
	}
	var e *graphError
	n.blob, e = ig.fetchImage(u, n.kind == kindImage)
	return e
}

// fetchImage downloads an image and checks it against the image rules of IG User Media, 2026-03.
func (ig *Platform) fetchImage(rawURL string, checkShape bool) (*engine.Blob, *graphError) {
	unfetched := &graphError{Code: 9004, Subcode: 2207052}
	if _, ok := engine.ParseURL(rawURL); !ok || !isASCII(rawURL) {
		return nil, unfetched
	}
	b, err := ig.host.NewBlob()
	if err != nil {
		return nil, &graphError{Code: 1, Message: err.Error()}
	}
	b.KeepHead(maxImageBytes) // the dimensions may stand behind a large EXIF block
	mediaType, err := ig.host.Fetch(ig.host.Context(), rawURL, b, maxImageBytes)
	b.Finish()
	var e *graphError
	switch {
	case errors.Is(err, engine.ErrTooLarge):
		e = &graphError{Code: 36000, Subcode: 2207004}
	case err != nil:
		e = unfetched
	default:
		e = checkImage(mediaType, b.First(), checkShape)
	}
	if e != nil {
		b.Discard()
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
func (ig *Platform) startFetch(n *container, rawURL string) error {
	b, err := ig.host.NewBlob()
	if err != nil {
		return err
	}
	n.blob, n.busy = b, true
	started := ig.host.Go(func() {
		code := ig.fetchVideo(n, rawURL)
		ig.mu.Lock()
		defer ig.mu.Unlock()
		n.busy = false
		n.failure = code
		ig.arrive(n, ig.host.Now())
	})
	if !started {
		return errors.New("the sandbox is closed")
	}
	return nil
}

// fetchVideo returns the subcode of the error, or "".
func (ig *Platform) fetchVideo(n *container, rawURL string) string {
	if _, ok := engine.ParseURL(rawURL); !ok || !isASCII(rawURL) {
		return "2207077"
	}
	mediaType, err := ig.host.Fetch(ig.host.Context(), rawURL, n.blob, n.maxBytes())
	switch {
	case errors.Is(err, engine.ErrTooLarge):
		return "2207076"
	case err != nil || !isVideo(mediaType):
		return "2207077"
	}
	return ""
}
