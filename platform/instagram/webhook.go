package instagram

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // Meta's older header is signed with it
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"strconv"
	"strings"
	"time"

	"socialqueue/platform/wire"
	"socialqueue/secrets"
)

var (
	// ErrHubSignature means that the request is not signed with the app's secret.
	ErrHubSignature = errors.New("the signature is not Meta's")
	// ErrNotification means that the body is not a notification of Instagram.
	ErrNotification = errors.New("the body is not an Instagram notification")
)

// VerifyHubSignature checks a notification's headers against the body as it was received:
// X-Hub-Signature-256 is "sha256=" and the HMAC-SHA256 of the body in hex, keyed with the
// app secret. Only if it is missing, X-Hub-Signature counts, which is the same with SHA-1
// (Webhooks, Validating Payloads).
func VerifyHubSignature(sha256Header, sha1Header string, body []byte, secret secrets.Secret) error {
	header, name, algorithm := sha256Header, "sha256=", sha256.New
	if sha256Header == "" {
		header, name, algorithm = sha1Header, "sha1=", sha1.New
	}
	signature, ok := strings.CutPrefix(header, name)
	if !ok || secret.Empty() || !hmac.Equal([]byte(signature), []byte(hubSignature(algorithm, body, secret))) {
		return ErrHubSignature
	}
	return nil
}

// CheckHubSignatureForm checks what the headers of a notification tell without its body:
// whether the one that VerifyHubSignature would use has the form of a signature.
func CheckHubSignatureForm(sha256Header, sha1Header string) error {
	header, name, size := sha256Header, "sha256=", sha256.Size
	if sha256Header == "" {
		header, name, size = sha1Header, "sha1=", sha1.Size
	}
	signature, ok := strings.CutPrefix(header, name)
	if !ok || !wire.IsHex(signature, size) {
		return ErrHubSignature
	}
	return nil
}

func hubSignature(algorithm func() hash.Hash, body []byte, secret secrets.Secret) string {
	mac := hmac.New(algorithm, []byte(secret.Reveal()))
	mac.Write(body)
	return hex.EncodeToString(mac.Sum(nil))
}

// The fields that are processed, and the one for messages (Webhooks, Instagram). Meta also
// sends others, and may add new ones.
const (
	FieldComments      = "comments"
	FieldLiveComments  = "live_comments"
	FieldMentions      = "mentions"
	FieldStoryInsights = "story_insights"
	FieldMedia         = "media"
	FieldMessages      = "messages"
)

// Notice is one notification about an account. Meta sends up to 1,000 in one request, in
// any order and more than once, and without an id.
type Notice struct {
	// AccountID is the id of the Instagram account.
	AccountID string
	// Field is one of the constants Field..., or an unknown name.
	Field string
	// At is when it happened; zero if Meta did not say.
	At time.Time
	// Value is the content; its format depends on the field.
	Value json.RawMessage
	// Raw is a request with only this notice, as it was sent.
	Raw json.RawMessage
}

// entry is the part of a request for one account.
type entry struct {
	ID        json.RawMessage   `json:"id"`
	Time      json.RawMessage   `json:"time"`
	Changes   []json.RawMessage `json:"changes,omitempty"`
	Messaging []json.RawMessage `json:"messaging,omitempty"`
	Standby   []json.RawMessage `json:"standby,omitempty"`
	// Some samples of Instagram Login have these without "changes".
	Field json.RawMessage `json:"field,omitempty"`
	Value json.RawMessage `json:"value,omitempty"`
}

type request struct {
	Object string  `json:"object"`
	Entry  []entry `json:"entry"`
}

// ParseNotices parses a request's body. It ignores unexpected values, because Meta repeats
// for 36 hours whatever is not answered with 200 (Webhooks).
func ParseNotices(body []byte) ([]Notice, error) {
	body = bytes.TrimSpace(body)
	var r request
	if err := json.Unmarshal(body, &r); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotification, err)
	}
	if r.Object == "" {
		return nil, fmt.Errorf("%w: no object", ErrNotification)
	}
	var all []Notice
	for _, e := range r.Entry {
		all = append(all, e.notices(r.Object)...)
	}
	return all, nil
}

func (e entry) notices(object string) []Notice {
	var all []Notice
	for _, raw := range e.Changes {
		var c struct {
			Field wire.Scalar     `json:"field"`
			Value json.RawMessage `json:"value"`
		}
		_ = json.Unmarshal(raw, &c) // another format: kept without a name
		all = append(all, e.notice(object, string(c.Field), c.Value, entry{Changes: []json.RawMessage{raw}}))
	}
	for _, raw := range e.Messaging {
		all = append(all, e.notice(object, messageField(raw), raw, entry{Messaging: []json.RawMessage{raw}}))
	}
	for _, raw := range e.Standby {
		all = append(all, e.notice(object, "standby", raw, entry{Standby: []json.RawMessage{raw}}))
	}
	if len(e.Field) > 0 {
		var field wire.Scalar
		_ = field.UnmarshalJSON(e.Field) // never fails
		all = append(all, e.notice(object, string(field), e.Value, entry{Field: e.Field, Value: e.Value}))
	}
	return all
}

// notice returns a notice whose Raw contains only itself.
func (e entry) notice(object, field string, value json.RawMessage, only entry) Notice {
	only.ID, only.Time = e.ID, e.Time
	n := Notice{AccountID: text(e.ID), Field: field, At: noticeTime(e.Time), Value: value}
	n.Raw, _ = json.Marshal(request{Object: object, Entry: []entry{only}}) // parts of valid JSON always encode
	if object != "instagram" {
		n.Field = object + "." + field
	}
	return n
}

func text(raw json.RawMessage) string {
	var s wire.Scalar
	_ = s.UnmarshalJSON(raw) // never fails
	return string(s)
}

// firstMilli is the smallest number that is a time in milliseconds. Messages have
// milliseconds, changes seconds.
const firstMilli = 100_000_000_000

func noticeTime(raw json.RawMessage) time.Time {
	s := wire.Scalar(text(raw))
	if n := s.Number(); n >= firstMilli {
		return time.UnixMilli(min(n, maxMilli)).UTC()
	}
	return s.Time()
}

// maxMilli is the last millisecond of the year 9999; encoders refuse later times.
const maxMilli = 253402300799_999

// messageFields maps the key of each kind of message to its field.
var messageFields = []struct{ key, field string }{
	{"message", FieldMessages}, {"reaction", "message_reactions"}, {"read", "messaging_seen"},
	{"postback", "messaging_postbacks"}, {"referral", "messaging_referral"},
}

func messageField(raw json.RawMessage) string {
	var keys map[string]json.RawMessage
	_ = json.Unmarshal(raw, &keys) // another format: unknown kind
	for _, m := range messageFields {
		if _, ok := keys[m.key]; ok {
			return m.field
		}
	}
	return "messaging"
}

// DedupeKey identifies a notice, however often it is sent: a comment by its id, a message
// by its mid. It is empty if only the whole notice identifies it.
func (n Notice) DedupeKey() []string {
	switch n.Field {
	case FieldComments, FieldLiveComments:
		if c, ok := n.Comment(); ok {
			return []string{n.Field, n.AccountID, c.ID}
		}
	case FieldMentions:
		var v struct {
			MediaID   wire.Scalar `json:"media_id"`
			CommentID wire.Scalar `json:"comment_id"`
		}
		if json.Unmarshal(n.Value, &v) == nil && v.MediaID != "" {
			return []string{n.Field, n.AccountID, string(v.MediaID), string(v.CommentID)}
		}
	case FieldStoryInsights:
		if id := n.MediaID(); id != "" {
			return []string{n.Field, n.AccountID, id, strconv.FormatInt(n.At.Unix(), 10)}
		}
	case FieldMessages:
		var v struct {
			Message struct {
				ID      wire.Scalar `json:"mid"`
				Deleted wire.Scalar `json:"is_deleted"`
			} `json:"message"`
		}
		if json.Unmarshal(n.Value, &v) == nil && v.Message.ID != "" {
			return []string{n.Field, n.AccountID, string(v.Message.ID), strconv.FormatBool(v.Message.Deleted.Bool())}
		}
	}
	return nil
}

// Comment is the content of a comments notice.
type Comment struct {
	ID, Text string
	// FromID and Username are those of the author.
	FromID, Username string
	// MediaID is the id of the post. ParentID is set on replies to another comment.
	MediaID, ParentID string
	// Own is true if the account itself wrote the comment.
	Own bool
}

// Comment returns the comment of a notice, or false if it has none. The comment's id is in
// id, or in comment_id in one of Meta's samples (Webhooks, Instagram).
func (n Notice) Comment() (Comment, bool) {
	var v struct {
		ID        wire.Scalar `json:"id"`
		CommentID wire.Scalar `json:"comment_id"`
		Text      wire.Scalar `json:"text"`
		ParentID  wire.Scalar `json:"parent_id"`
		From      struct {
			ID         wire.Scalar `json:"id"`
			Username   wire.Scalar `json:"username"`
			SelfScoped wire.Scalar `json:"self_ig_scoped_id"`
		} `json:"from"`
		Media struct {
			ID wire.Scalar `json:"id"`
		} `json:"media"`
	}
	if json.Unmarshal(n.Value, &v) != nil {
		return Comment{}, false
	}
	id := v.ID
	if id == "" {
		id = v.CommentID
	}
	return Comment{
		ID: string(id), Text: string(v.Text), FromID: string(v.From.ID), Username: string(v.From.Username),
		MediaID: string(v.Media.ID), ParentID: string(v.ParentID),
		Own: v.From.SelfScoped != "" || (v.From.ID != "" && string(v.From.ID) == n.AccountID),
	}, id != ""
}

// MediaID returns the post of a notice; empty if it has none.
func (n Notice) MediaID() string {
	var v struct {
		MediaID wire.Scalar `json:"media_id"`
		ID      wire.Scalar `json:"id"`
	}
	_ = json.Unmarshal(n.Value, &v) // another format: no id
	if v.MediaID == "" && n.Field == FieldMedia {
		return string(v.ID)
	}
	return string(v.MediaID)
}

// Metrics returns the numbers of a story that ended. Meta sends -1 for a number below 5
// (Webhooks, Instagram). Names with a NUL, which no database stores, are ignored.
func (n Notice) Metrics() map[string]int64 {
	var v map[string]wire.Scalar
	_ = json.Unmarshal(n.Value, &v) // another format: no metrics
	metrics := map[string]int64{}
	for name, value := range v {
		if number, err := strconv.ParseInt(string(value), 10, 64); err == nil && name != "media_id" && !strings.ContainsRune(name, 0) {
			metrics[name] = number
		}
	}
	return metrics
}
