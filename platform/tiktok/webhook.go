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
	// ErrSignature means that the request is not signed with the app's client secret.
	ErrSignature = errors.New("the signature is not TikTok's")
	// ErrStale means that the request is signed, but its time is too far from now. Whether
	// TikTok signs a retry again is not documented.
	ErrStale = errors.New("the signature's time is too far from now")
	// ErrEvent means that the body is not an event.
	ErrEvent = errors.New("the body is not a TikTok event")
)

// Events about posts and accounts (Webhooks Events). TikTok also sends others, and may add
// new ones.
const (
	EventAuthorizationRemoved = "authorization.removed"
	EventPublishFailed        = "post.publish.failed"
	EventPublishComplete      = "post.publish.complete"
	EventInboxDelivered       = "post.publish.inbox_delivered"
	EventPubliclyAvailable    = "post.publish.publicly_available"
	// EventNoLongerAvailable has TikTok's spelling.
	EventNoLongerAvailable = "post.publish.no_longer_publicaly_available"
)

// otherNames maps other names of events: the correct spelling, which at least one project
// expects; the earlier names of the post events; and those of the original guide.
var otherNames = map[string]string{
	"post.publish.no_longer_publicly_available": EventNoLongerAvailable,
	"video.upload.failed":                       EventPublishFailed,
	"video.publish.completed":                   EventPublishComplete,
	"video.publish":                             EventPublishComplete,
	"video.delete":                              EventNoLongerAvailable,
}

// VerifySignature checks the header TikTok-Signature, "t={unix seconds},s={hex}", against
// the body as it was received: s is the HMAC-SHA256 of t, "." and the body, keyed with the
// client secret (Webhooks Verification). The time may differ by the tolerance in both
// directions.
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

// CheckSignatureForm checks what the header TikTok-Signature tells without the body: whether
// it has the form of a signature, and its time.
func CheckSignatureForm(header string, now time.Time, tolerance time.Duration) error {
	signed, signature := splitSignature(header)
	seconds, err := strconv.ParseInt(signed, 10, 64)
	if err != nil || !wire.IsHex(signature, sha256.Size) {
		return ErrSignature
	}
	if now.Sub(time.Unix(seconds, 0)).Abs() > tolerance {
		return ErrStale
	}
	return nil
}

// IsPlainSignature reports whether a header has the form that VerifyPlainSignature checks.
func IsPlainSignature(header string) bool {
	return wire.IsHex(strings.ToLower(header), sha256.Size)
}

// VerifyPlainSignature checks the header TikTok-Signature in the form of the original
// guide: the HMAC-SHA256 of the body in hex. It has no time, so a recorded message stays
// valid for ever.
func VerifyPlainSignature(header string, body []byte, secret secrets.Secret) error {
	mac := hmac.New(sha256.New, []byte(secret.Reveal()))
	mac.Write(body)
	if secret.Empty() || !hmac.Equal([]byte(strings.ToLower(header)), []byte(hex.EncodeToString(mac.Sum(nil)))) {
		return ErrSignature
	}
	return nil
}

// splitSignature returns the parts t and s of a header and ignores others.
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

// Event is one webhook. Events arrive at least once and in any order, without an event id
// (Webhooks).
type Event struct {
	ClientKey string
	// Name is one of the constants Event..., or an unknown name.
	Name string
	// OpenID is the user's id for this app. A few events have none.
	OpenID string
	// CreatedAt is zero if TikTok did not say.
	CreatedAt time.Time
	// Reason is TikTok's number for why an authorization was removed; 0 if it did not say.
	// See RemovedReason.
	Reason int64
	// PublishID is InitVideo's. PostID is a decimal string.
	PublishID, PostID string
	// PublishType is DIRECT_PUBLISH or INBOX_SHARE.
	PublishType string
	// FailReason says why a post failed; see FailReasonKind.
	FailReason string
}

// ParseEvent parses a webhook's body. An unknown name, or content that cannot be parsed, is
// no error: TikTok repeats for three days whatever is not answered with 200 (Webhooks).
func ParseEvent(body []byte) (Event, error) {
	var raw struct {
		ClientKey wire.Scalar     `json:"client_key"`
		Name      wire.Scalar     `json:"event"`
		Created   wire.Scalar     `json:"create_time"`
		OpenID    wire.Scalar     `json:"user_openid"`
		Content   json.RawMessage `json:"content"`
		// Fields of the original guide.
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
		return Event{}, fmt.Errorf("%w: no event name", ErrEvent)
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

// removedReasons explains TikTok's numbers (Webhooks, authorization.removed).
var removedReasons = map[int64]string{
	1: "the person disconnected this app at TikTok",
	2: "the TikTok account was deleted",
	3: "the person's age changed",
	4: "the TikTok account was banned",
	5: "the consent was revoked",
}

// RemovedReason returns a text that says why an authorization was removed.
func (e Event) RemovedReason() string {
	if why := removedReasons[e.Reason]; why != "" {
		return why
	}
	return "TikTok removed the authorization"
}

// DedupeKey identifies an event, however often it is sent; there is no event id. Two events
// of one kind can be about the same post: an inbox share can be posted more than once, and
// a post can be hidden and shown again. The time distinguishes those; a repeated event has
// the time of the first. The key is empty for unknown events, which only the whole message
// identifies.
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

// take parses the content, which is JSON in a JSON string, or the object itself. reason is
// a number in one event and a fail_reason in another.
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
