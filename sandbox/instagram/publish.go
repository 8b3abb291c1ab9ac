package instagram

import (
	"fmt"
	"time"

	"socialqueue/sandbox/engine"
)

// publishedMedia is one published media. Platform.mu guards it.
type publishedMedia struct {
	id        string
	container *container
	at        time.Time
	comments  []*comment // oldest first
}

// publish answers media_publish, the only call that creates a post. It creates at most one per container, except with
// DoublePost.
func (ig *Platform) publish(c *graphCall) engine.Reply {
	ig.mu.Lock()
	defer ig.mu.Unlock()
	if e := checkNames(c.params, "creation_id"); e != nil {
		return ig.fail(c.Exchange, *e)
	}
	id := c.params.Get("creation_id")
	if id == "" {
		return ig.fail(c.Exchange, *param("The parameter creation_id is required"))
	}
	n := ig.containers[id]
	if n == nil || n.account != c.acc {
		return ig.fail(c.Exchange, graphError{Code: 24, Subcode: 2207006})
	}
	if n.mediaID != "" {
		return ig.publishAgain(c, n)
	}
	if e := ig.mayPublish(c, n); e != nil {
		return ig.fail(c.Exchange, *e)
	}
	ig.goLive(n, c.Now)
	return ig.ok(c, map[string]string{"id": n.mediaID})
}

func (ig *Platform) mayPublish(c *graphCall, n *container) *graphError {
	state := n.state(c.Now, ig.opts.Delays)
	switch {
	case c.acc.Restricted:
		return &graphError{Code: 25, Subcode: 2207050}
	case n.kind == kindChildImage || n.kind == kindChildVideo:
		return param("A carousel item cannot be published by itself")
	case state == stateExpired:
		return &graphError{Code: 24, Subcode: 2207008}
	case state != stateFinished:
		return &graphError{Code: 9007, Subcode: 2207027}
	case c.acc.published(c.Now.Add(-day), c.Now) >= c.acc.QuotaTotal:
		return &graphError{Code: 9, Subcode: 2207042}
	}
	return nil
}

func (ig *Platform) publishAgain(c *graphCall, n *container) engine.Reply {
	switch ig.double {
	case DoublePost:
		ig.goLive(n, c.Now)
		return ig.ok(c, map[string]string{"id": n.mediaID})
	case DoubleNotReady:
		return ig.fail(c.Exchange, graphError{Code: 9007, Subcode: 2207027})
	case DoubleSameID:
		return ig.ok(c, map[string]string{"id": n.mediaID})
	case DoubleGeneric:
		return ig.fail(c.Exchange, graphError{Code: 100, Message: "Invalid parameter"})
	}
	return ig.fail(c.Exchange, graphError{Code: 24, Subcode: 2207006})
}

// goLive publishes a container.
func (ig *Platform) goLive(n *container, now time.Time) {
	m := &publishedMedia{id: ig.newID("180"), container: n, at: now}
	n.mediaID = m.id
	files := []*engine.Blob{n.blob}
	if n.kind == kindCarousel {
		files = nil
		for _, child := range n.children {
			child.mediaID = ig.newID("180")
			files = append(files, child.blob)
		}
	}
	ig.media[m.id] = m
	n.account.media = append(n.account.media, m)
	ig.host.GoLive(engine.LivePost{AccountID: n.account.IGID, Username: n.account.Username, Kind: n.kind.name,
		ID: m.id, ContainerID: n.id, Caption: n.caption, Poll: n.poll, Prompt: n.prompt, Location: n.location, Permalink: m.path(), At: now}, files...)
}

// path returns the permalink without the host. Its code is not the media id (observed, 2026).
func (m *publishedMedia) path() string {
	switch m.container.kind {
	case kindReel:
		return "/reel/" + shortcode(m.id) + "/"
	case kindStory:
		return fmt.Sprintf("/stories/%s/%s/", m.container.account.Username, m.id)
	}
	return "/p/" + shortcode(m.id) + "/"
}
