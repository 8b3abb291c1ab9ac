package sandbox

import "time"

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

// tiktokEvent is the envelope (Webhooks Overview). Content is a string that holds JSON: a receiver decodes twice.
type tiktokEvent struct {
	ClientKey  string `json:"client_key"`
	Event      string `json:"event"`
	CreateTime int64  `json:"create_time"`
	UserOpenID string `json:"user_openid"`
	Content    string `json:"content"`
}

// tiktokPostEvent is the content of the post.publish events; here post_id is a string (seen in the field, 2026-02).
type tiktokPostEvent struct {
	PublishID   string `json:"publish_id"`
	PublishType string `json:"publish_type"`
	PostID      string `json:"post_id,omitempty"`
	Reason      string `json:"reason,omitempty"`
}

type tiktokRemoval struct {
	Reason int `json:"reason"`
}

// emit queues an event for the time at which it happened, which may be before anybody noticed. t.mu is held.
func (t *tiktok) emit(event, openID string, at time.Time, content any) {
	if !t.s.webhooks.wants(TikTok) {
		return
	}
	inner, err := webhookJSON(content)
	must(err)
	body, err := webhookJSON(tiktokEvent{ClientKey: t.s.opts.TikTokClientKey, Event: event, CreateTime: at.Unix(),
		UserOpenID: openID, Content: inner})
	must(err)
	t.s.webhooks.queue(Webhook{Platform: TikTok, Event: event, Account: openID, Body: body})
}

// tell emits an event of a publish.
func (t *tiktok) tell(p *tiktokPublish, event string, at time.Time, content tiktokPostEvent) {
	content.PublishID, content.PublishType = p.id, "DIRECT_PUBLISH"
	if p.inbox {
		content.PublishType = "INBOX_SHARE"
	}
	t.emit(event, p.account.OpenID, at, content)
}
