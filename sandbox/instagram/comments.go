package instagram

import (
	"slices"
	"strings"
	"time"

	"socialqueue/sandbox/engine"
)

// comment is one comment of the account on its own media. Platform.mu guards it.
type comment struct {
	id   string
	text string
	at   time.Time
}

// createComment answers POST /{media}/comments. Every call makes a comment, also one with the same text (IG Media
// Comments).
func (ig *Platform) createComment(c *graphCall) engine.Reply {
	ig.mu.Lock()
	defer ig.mu.Unlock()
	m, text := ig.media[c.id], c.params.Get("message")
	e := checkNames(c.params, "message")
	switch {
	case e != nil:
	case m.container.kind == kindStory:
		e = param("Comments on stories are not supported")
	case text == "":
		e = param("The parameter message is required")
	}
	if e != nil {
		return ig.fail(c.Exchange, *e)
	}
	n := &comment{id: ig.newID("179"), text: text, at: c.Now}
	m.comments = append(m.comments, n)
	ig.host.AddComment(m.id, engine.LiveComment{ID: n.id, Text: text, Username: c.acc.Username})
	ig.tellComment(c.acc, m, n)
	return ig.ok(c, map[string]string{"id": n.id})
}

// tellComment sends the webhook: the app hears of its own comments too (Instagram Platform, Self Messaging).
func (ig *Platform) tellComment(acc *account, m *publishedMedia, n *comment) {
	_, err := ig.send([]Entry{ig.CommentEntry(acc.IGID, Comment{
		ID: n.id, Text: n.text, Username: acc.Username, MediaID: m.id, Product: m.container.kind.product, SelfIGScopedID: acc.selfID,
	})})
	engine.Must(err) // only our own types get here
}

// listComments answers GET /{media}/comments: newest first (IG Media Comments). White space differs from what was sent,
// as in captions (observed, 2026).
func (ig *Platform) listComments(c *graphCall) engine.Reply {
	ig.mu.Lock()
	defer ig.mu.Unlock()
	all := slices.Clone(ig.media[c.id].comments)
	slices.Reverse(all)
	return listReply(ig, c, all, func(n *comment) string { return n.id }, func(n *comment) (map[string]any, *graphError) {
		return selectFrom(c.params.Get("fields"), "id,text,timestamp", map[string]any{
			"id": n.id, "text": strings.Join(strings.Fields(n.text), " "), "timestamp": n.at.UTC().Format(graphTime), "username": c.acc.Username,
			"from": commentFrom{ID: c.acc.IGID, Username: c.acc.Username, SelfIGScopedID: c.acc.selfID},
		})
	})
}
