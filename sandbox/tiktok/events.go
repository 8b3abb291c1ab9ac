package tiktok

import (
	"time"

	"socialqueue/sandbox/engine"
)

// The events of a post's life and of an authorization's end (Webhooks Events).
const (
	eventComplete  = "post.publish.complete"
	eventFailed    = "post.publish.failed"
	eventInbox     = "post.publish.inbox_delivered"
	eventAvailable = "post.publish.publicly_available"
	eventRemoved   = "authorization.removed"
)

// The reasons of authorization.removed that can happen here.
const (
	removedByUser = 1
	removedByApp  = 5
)

// eventEnvelope is the body of a webhook (Webhooks Overview). Content is a string that holds JSON, so a receiver
// decodes twice.
type eventEnvelope struct {
	ClientKey  string `json:"client_key"`
	Event      string `json:"event"`
	CreateTime int64  `json:"create_time"`
	UserOpenID string `json:"user_openid"`
	Content    string `json:"content"`
}

// postEvent is the content of the post.publish events. Here post_id is a string (observed, 2026-02).
type postEvent struct {
	PublishID   string `json:"publish_id"`
	PublishType string `json:"publish_type"`
	PostID      string `json:"post_id,omitempty"`
	Reason      string `json:"reason,omitempty"`
}

type removal struct {
	Reason int `json:"reason"`
}

// emit queues an event with the time at which it happened, which may be in the past. t.mu is held.
func (t *Platform) emit(event, openID string, at time.Time, content any) {
	if !t.host.SendsWebhooks() {
		return
	}
	inner, err := engine.CompactJSON(content)
	engine.Must(err)
	body, err := engine.CompactJSON(eventEnvelope{ClientKey: t.opts.ClientKey, Event: event, CreateTime: at.Unix(),
		UserOpenID: openID, Content: inner})
	engine.Must(err)
	t.host.SendWebhook(event, openID, body)
}

// emitPost emits an event of a publish task.
func (t *Platform) emitPost(p *publishTask, event string, at time.Time, content postEvent) {
	content.PublishID, content.PublishType = p.id, "DIRECT_PUBLISH"
	if p.inbox {
		content.PublishType = "INBOX_SHARE"
	}
	t.emit(event, p.account.OpenID, at, content)
}
