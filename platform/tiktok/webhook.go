package tiktok

import (
	"bytes"
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"socialqueue/platform/wire"
	"socialqueue/secrets"
)

var (
	// ErrSignature: the request is not signed with the app's client secret.
	ErrSignature = errors.New("the signature is not TikTok's")
	// ErrStale: the request is signed, but its time is too far from now. Whether
	// TikTok signs a retry again is not documented.
	ErrStale = errors.New("the signature's time is too far from now")
	// ErrEvent: the body is no event.
	ErrEvent = errors.New("the body is no TikTok event")
)

// The events that matter to a post or an account (Webhooks Events). TikTok sends
// others too, and may send new ones.
const (
	EventAuthorizationRemoved = "authorization.removed"
	EventPublishFailed        = "post.publish.failed"
	EventPublishComplete      = "post.publish.complete"
	EventInboxDelivered       = "post.publish.inbox_delivered"
	EventPubliclyAvailable    = "post.publish.publicly_available"
	// EventNoLongerAvailable is spelled so by the page.
	EventNoLongerAvailable = "post.publish.no_longer_publicaly_available"
)

// otherNames are names under which events come, or came, as well: the right
// spelling, as at least one project expects it; what the events of posts were
// called before; and those of the guide that this system began with.
var otherNames = map[string]string{
	"post.publish.no_longer_publicly_available": EventNoLongerAvailable,
	"video.upload.failed":                       EventPublishFailed,
	"video.publish.completed":                   EventPublishComplete,
	"video.publish":                             EventPublishComplete,
	"video.delete":                              EventNoLongerAvailable,
}

// VerifySignature checks the header TikTok-Signature, "t={unix seconds},s={hex}",
// against the body as it was received: s is the HMAC-SHA256 of t, "." and the
// body, keyed with the client secret (Webhooks Verification). The time may be
// off by the tolerance in both directions.
func VerifySignature(header string, body []byte, secret secrets.Secret, now time.Time, tolerance time.Duration) error {
	signed, signature := splitSignature(header)
	if secret.Empty() || !hmac.Equal([]byte(signature), []byte(sign(signed, body, secret))) {
		return ErrSignature
	}
	seconds, err := strconv.ParseInt(signed, 10, 64)
	if err != nil {
		return ErrSignature
	}
	if now.Sub(time.Unix(seconds, 0)).Abs() > tolerance {
		return ErrStale
	}
	return nil
}

// VerifyPlainSignature checks the header TikTok-Signature in the form of the guide
// that this system began with: the HMAC-SHA256 of the body in hex. It holds no time,
// so a message that somebody recorded passes for ever.
func VerifyPlainSignature(header string, body []byte, secret secrets.Secret) error {
	mac := hmac.New(sha256.New, []byte(secret.Reveal()))
	mac.Write(body)
	if secret.Empty() || !hmac.Equal([]byte(strings.ToLower(header)), []byte(hex.EncodeToString(mac.Sum(nil)))) {
		return ErrSignature
	}
	return nil
}

// splitSignature gives the parts t and s of a header; those of other names are
// left out.
func splitSignature(header string) (t, s string) {
	for part := range strings.SplitSeq(header, ",") {
		switch name, value, _ := strings.Cut(strings.TrimSpace(part), "="); name {
		case "t":
			t = value
		case "s":
			s = value
		}
	}
	return t, s
}

func sign(t string, body []byte, secret secrets.Secret) string {
	mac := hmac.New(sha256.New, []byte(secret.Reveal()))
	mac.Write([]byte(t + "."))
	mac.Write(body)
	return hex.EncodeToString(mac.Sum(nil))
}

// Event is one webhook. Events come at least once and in any order; there is no
// event id (Webhooks).
type Event struct {
	ClientKey string
	// Name is one of the constants Event..., or a name that is not known here.
	Name string
	// OpenID is the user's id for this app. A few events name no user.
	OpenID string
	// CreatedAt is zero when TikTok did not say.
	CreatedAt time.Time
	// Reason says why an authorization was removed, by TikTok's numbers; 0 if it did
	// not say. See RemovedReason.
	Reason int64
	// PublishID is InitVideo's. PostID is a decimal string.
	PublishID, PostID string
	// PublishType is DIRECT_PUBLISH or INBOX_SHARE.
	PublishType string
	// FailReason says why a post failed; see FailReasonKind.
	FailReason string
}

// ParseEvent reads a webhook's body. An event of a name that is not known, or
// with a content that cannot be read, is no error: TikTok repeats for three days
// whatever is not answered with 200 (Webhooks).
func ParseEvent(body []byte) (Event, error) {
	var raw struct {
		ClientKey wire.Scalar     `json:"client_key"`
		Name      wire.Scalar     `json:"event"`
		Created   wire.Scalar     `json:"create_time"`
		OpenID    wire.Scalar     `json:"user_openid"`
		Content   json.RawMessage `json:"content"`
		// The guide's form.
		Type      wire.Scalar `json:"type"`
		PublishID wire.Scalar `json:"publish_id"`
		VideoID   wire.Scalar `json:"video_id"`
	}
	if err := json.Unmarshal(body, &raw); err != nil {
		return Event{}, fmt.Errorf("%w: %w", ErrEvent, err)
	}
	if raw.Name == "" {
		raw.Name = raw.Type
	}
	if raw.Name == "" {
		return Event{}, fmt.Errorf("%w: it has no name", ErrEvent)
	}
	e := Event{
		ClientKey: string(raw.ClientKey), Name: string(raw.Name), OpenID: string(raw.OpenID),
		CreatedAt: raw.Created.Time(), PublishID: string(raw.PublishID), PostID: idOrNone(raw.VideoID),
	}
	if name, ok := otherNames[e.Name]; ok {
		e.Name = name
	}
	e.take(raw.Content)
	return e, nil
}

func idOrNone(s wire.Scalar) string {
	if !isID(string(s)) {
		return ""
	}
	return string(s)
}

// removedReasons are what TikTok's numbers mean (Webhooks, authorization.removed).
var removedReasons = map[int64]string{
	1: "the person disconnected this app at TikTok",
	2: "the TikTok account was deleted",
	3: "the person's age changed",
	4: "the TikTok account was banned",
	5: "the consent was revoked",
}

// RemovedReason says why an authorization was removed, for people.
func (e Event) RemovedReason() string {
	if why := removedReasons[e.Reason]; why != "" {
		return why
	}
	return "TikTok removed the authorization"
}

// DedupeKey is the same for the same event, however often it is sent; there is no
// event id. Two events of a kind can tell of one post: an inbox share is posted
// more than once, and a post is hidden and shown again. The time tells those apart;
// a repetition has the first one's. It is empty for an event that nothing is known
// of: then only the whole message tells.
func (e Event) DedupeKey() []string {
	var at string
	if !e.CreatedAt.IsZero() {
		at = strconv.FormatInt(e.CreatedAt.Unix(), 10)
	}
	switch e.Name {
	case EventPublishComplete, EventPubliclyAvailable, EventNoLongerAvailable:
		return []string{e.Name, e.OpenID, e.PublishID, e.PostID, at}
	case EventPublishFailed, EventInboxDelivered:
		return []string{e.Name, e.OpenID, e.PublishID}
	case EventAuthorizationRemoved:
		return []string{e.Name, e.OpenID, at}
	}
	return nil
}

// take reads the content, which is JSON within a JSON string; the object itself
// is taken too. reason is a number on one event and a fail_reason on another.
func (e *Event) take(content json.RawMessage) {
	var inner string
	if bytes.HasPrefix(content, []byte(`"`)) && json.Unmarshal(content, &inner) == nil {
		content = json.RawMessage(inner)
	}
	var c struct {
		Reason      wire.Scalar `json:"reason"`
		FailReason  wire.Scalar `json:"fail_reason"`
		PublishID   wire.Scalar `json:"publish_id"`
		ShareID     wire.Scalar `json:"share_id"` // of the older events
		PostID      wire.Scalar `json:"post_id"`
		PublishType wire.Scalar `json:"publish_type"`
	}
	if json.Unmarshal(content, &c) != nil {
		return
	}
	e.PublishType, e.FailReason = string(c.PublishType), string(c.FailReason)
	if id := cmp.Or(c.PublishID, c.ShareID); id != "" {
		e.PublishID = string(id)
	}
	if id := idOrNone(c.PostID); id != "" {
		e.PostID = id
	}
	switch e.Name {
	case EventAuthorizationRemoved:
		e.Reason = c.Reason.Number()
	case EventPublishFailed:
		if e.FailReason == "" {
			e.FailReason = string(c.Reason)
		}
	}
}
