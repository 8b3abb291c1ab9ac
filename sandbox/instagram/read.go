package instagram

import (
	"encoding/base64"
	"net/url"
	"slices"
	"strconv"

	"socialqueue/sandbox/engine"
)

const (
	graphTime   = "2006-01-02T15:04:05-0700" // no colon in the offset, as Graph prints it
	defaultPage = 25
	maxPage     = 100
)

// readMedia answers GET /{media}.
func (ig *Platform) readMedia(c *graphCall) engine.Reply {
	ig.mu.Lock()
	defer ig.mu.Unlock()
	return ig.selectFields(c, ig.mediaFields(c, ig.media[c.id]))
}

func (ig *Platform) mediaFields(c *graphCall, m *publishedMedia) map[string]any {
	n := m.container
	mediaType := n.kind.mediaType
	if n.video {
		mediaType = "VIDEO"
	}
	if n.kind == kindCarousel {
		mediaType = kindCarousel.mediaType
	}
	fields := map[string]any{
		"id": m.id, "media_type": mediaType, "media_product_type": n.kind.product, "caption": n.caption,
		"permalink": c.Base + m.path(), "shortcode": shortcode(m.id), "timestamp": m.at.UTC().Format(graphTime),
		"username": n.account.Username, "owner": map[string]string{"id": n.account.IGID}, "alt_text": n.altText,
		"like_count": 0, "comments_count": len(m.comments), "is_comment_enabled": true, "is_shared_to_feed": n.shareToFeed,
		"media_url": nil, "thumbnail_url": nil, "children": nil,
	}
	if n.blob != nil && !ig.host.Options().DiscardBytes {
		fields["media_url"] = c.Base + n.blob.Path()
	}
	if n.kind == kindCarousel {
		var children []map[string]string
		for _, child := range n.children {
			children = append(children, map[string]string{"id": child.mediaID})
		}
		fields["children"] = map[string]any{"data": children}
	}
	return fields
}

// listMedia answers GET /{ig-id}/media: newest first, without stories.
func (ig *Platform) listMedia(c *graphCall) engine.Reply {
	return ig.list(c, func(m *publishedMedia) bool { return m.container.kind != kindStory })
}

// listStories answers GET /{ig-id}/stories: the stories of the last 24 hours.
func (ig *Platform) listStories(c *graphCall) engine.Reply {
	return ig.list(c, func(m *publishedMedia) bool {
		return m.container.kind == kindStory && c.Now.Before(m.at.Add(day))
	})
}

func (ig *Platform) list(c *graphCall, keep func(*publishedMedia) bool) engine.Reply {
	since, until, e := listWindow(c.params)
	if e != nil {
		return ig.fail(c.Exchange, *e)
	}
	ig.mu.Lock()
	defer ig.mu.Unlock()
	var all []*publishedMedia
	visible := c.Now.Add(-ig.opts.Delays.MediaLag)
	for _, m := range slices.Backward(c.acc.media) {
		if keep(m) && !m.at.After(visible) && (since == 0 || m.at.Unix() >= since) && (until == 0 || m.at.Unix() <= until) {
			all = append(all, m)
		}
	}
	return listReply(ig, c, all, func(m *publishedMedia) string { return m.id }, func(m *publishedMedia) (map[string]any, *graphError) {
		return selectFrom(c.params.Get("fields"), "id", ig.mediaFields(c, m))
	})
}

// listReply answers one page of a list. object renders an item; id identifies it in the cursors.
func listReply[T any](ig *Platform, c *graphCall, all []T, id func(T) string, object func(T) (map[string]any, *graphError)) engine.Reply {
	limit, e := listLimit(c.params)
	if e != nil {
		return ig.fail(c.Exchange, *e)
	}
	page, more, e := cutPage(all, id, c.params, limit)
	if e != nil {
		return ig.fail(c.Exchange, *e)
	}
	data := make([]any, 0, len(page))
	for _, item := range page {
		o, e := object(item)
		if e != nil {
			return ig.fail(c.Exchange, *e)
		}
		data = append(data, o)
	}
	answer := map[string]any{"data": data}
	if len(page) > 0 {
		answer["paging"] = c.paging(id(page[0]), id(page[len(page)-1]), more)
	}
	return ig.ok(c, answer)
}

func listLimit(p url.Values) (int, *graphError) {
	v := p.Get("limit")
	if v == "" {
		return defaultPage, nil
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < 1 {
		return 0, param("limit must be a positive number")
	}
	return min(n, maxPage), nil
}

func listWindow(p url.Values) (since, until int64, e *graphError) {
	for name, t := range map[string]*int64{"since": &since, "until": &until} {
		if v := p.Get(name); v != "" {
			n, err := strconv.ParseInt(v, 10, 64)
			if err != nil {
				return 0, 0, param(name + " must be a unix time")
			}
			*t = n
		}
	}
	return since, until, nil
}

// cutPage applies the cursors. A cursor identifies an item, so that a post that appears meanwhile does not shift the
// pages.
func cutPage[T any](all []T, id func(T) string, p url.Values, limit int) (page []T, more bool, e *graphError) {
	at := func(cursor string) int {
		name, _ := base64.RawURLEncoding.DecodeString(cursor)
		return slices.IndexFunc(all, func(item T) bool { return id(item) == string(name) })
	}
	if v := p.Get("after"); v != "" {
		i := at(v)
		if i < 0 {
			return nil, false, param("Invalid cursors values provided for the after paging parameter")
		}
		all = all[i+1:]
	} else if v := p.Get("before"); v != "" {
		i := at(v)
		if i < 0 {
			return nil, false, param("Invalid cursors values provided for the before paging parameter")
		}
		return all[max(0, i-limit):i], true, nil
	}
	return all[:min(limit, len(all))], len(all) > limit, nil
}

// paging returns the cursors, and the next URL unless this is the last page. Meta's next URL contains the token.
func (c *graphCall) paging(first, last string, more bool) map[string]any {
	after := base64.RawURLEncoding.EncodeToString([]byte(last))
	before := base64.RawURLEncoding.EncodeToString([]byte(first))
	paging := map[string]any{"cursors": map[string]string{"before": before, "after": after}}
	if more {
		q := url.Values{}
		for k, v := range c.params {
			if k != "before" && k != "appsecret_proof" {
				q[k] = v
			}
		}
		q.Set("access_token", c.accessToken)
		q.Set("after", after)
		paging["next"] = c.Base + graphPrefix + "/" + c.version + "/" + c.id + "/" + c.edge + "?" + q.Encode()
	}
	return paging
}
