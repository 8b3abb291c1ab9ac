package tiktok

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"socialqueue/models"
	"socialqueue/platform"
	"socialqueue/platform/wire"
	"socialqueue/secrets"
)

const opStatus = "tiktok.status"

// State is the state of a post at TikTok.
type State uint8

const (
	// StateProcessing means that bytes are missing or TikTok is working on them. Unknown
	// values count as this.
	StateProcessing State = iota
	// StateInbox means that the draft is in the user's TikTok inbox. It is final for us.
	StateInbox
	// StateComplete means posted. The id may come later, or never for SELF_ONLY.
	StateComplete
	// StateFailed means that the post will not go live; FailReason says why.
	StateFailed
)

var stateNames = [...]string{"processing", "inbox", "complete", "failed"}

// String returns the state's name.
func (s State) String() string {
	if int(s) < len(stateNames) {
		return stateNames[s]
	}
	return "unknown"
}

// Final reports whether the state is final.
func (s State) Final() bool { return s != StateProcessing }

// states is the table of Get Post Status. PROCESSING_UPLOAD is also used while the video is
// processed after its last byte.
var states = map[string]State{
	"PROCESSING_UPLOAD":   StateProcessing,
	"PROCESSING_DOWNLOAD": StateProcessing,
	"SEND_TO_USER_INBOX":  StateInbox,
	"PUBLISH_COMPLETE":    StateComplete,
	"FAILED":              StateFailed,
}

// Status is the status of a post at TikTok.
type Status struct {
	State State
	// Raw is TikTok's own name of State.
	Raw string
	// FailReason is set if State is StateFailed; see FailReasonError.
	FailReason string
	// UploadedBytes is 0 if TikTok did not say.
	UploadedBytes int64
	// PostIDs are decimal strings. They stay empty until moderation has passed
	// (minutes, sometimes hours), and for SELF_ONLY posts always.
	PostIDs []string
}

// Status reads the status of a post (status/fetch; 30 calls a minute per token). Store a
// final state at once: how long a publish_id can be read is not documented.
func (c *Client) Status(ctx context.Context, token secrets.Secret, publishID string) (Status, error) {
	in := struct {
		PublishID string `json:"publish_id"`
	}{publishID}
	x := c.begin(opStatus, wire.Reading)
	x.Hide.Secret(token.Reveal())
	var s Status
	err := c.exchange(ctx, x, token, http.MethodPost, "/v2/post/publish/status/fetch/", in, func(data json.RawMessage) (err error) {
		s, err = parseStatus(data)
		x.Detail = x.Hide.Text(strings.TrimSpace(s.Raw + " " + s.FailReason))
		return err
	})
	return s, x.Finish(ctx, err)
}

func parseStatus(data json.RawMessage) (Status, error) {
	var d struct {
		Status     wire.Scalar     `json:"status"`
		FailReason wire.Scalar     `json:"fail_reason"`
		Uploaded   wire.Scalar     `json:"uploaded_bytes"`
		IDs        json.RawMessage `json:"publicaly_available_post_id"` // TikTok's spelling
		IDsSpelled json.RawMessage `json:"publicly_available_post_id"`
	}
	if err := unmarshalData(data, &d); err != nil {
		return Status{}, err
	}
	s := Status{
		State:         states[string(d.Status)],
		Raw:           string(d.Status),
		FailReason:    string(d.FailReason),
		UploadedBytes: max(0, d.Uploaded.Number()),
		PostIDs:       postIDs(d.IDs),
	}
	if len(s.PostIDs) == 0 {
		s.PostIDs = postIDs(d.IDsSpelled)
	}
	return s, nil
}

// postIDs parses ids from a list or a single value, as numbers or strings. They exceed
// 2^53, so they must not be converted to floats.
func postIDs(raw json.RawMessage) []string {
	var list []wire.Scalar
	if json.Unmarshal(raw, &list) != nil {
		var one wire.Scalar
		_ = one.UnmarshalJSON(raw) // never fails
		list = []wire.Scalar{one}
	}
	var ids []string
	for _, s := range list {
		id := strings.TrimSpace(string(s))
		if isID(id) && !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	return ids
}

// isID reports whether s is a decimal id; zero means none.
func isID(s string) bool {
	if s == "" || len(s) > 32 || strings.Trim(s, "0") == "" {
		return false
	}
	return !strings.ContainsFunc(s, func(r rune) bool { return r < '0' || r > '9' })
}

// failReasons is the table of Get Post Status. A failed post is not live, so Transient
// means another attempt with a new init.
var failReasons = map[string]wire.Verdict{
	"file_format_check_failed":  refused,
	"duration_check_failed":     refused,
	"frame_rate_check_failed":   refused,
	"picture_size_check_failed": refused,

	"video_pull_failed": {Kind: platform.Transient, Code: platform.CodeUploadFailed},
	"photo_pull_failed": {Kind: platform.Transient, Code: platform.CodeUploadFailed},
	"internal":          {Kind: platform.Transient, Code: platform.CodePublishFailed}, // officially retryable

	"publish_cancelled": refused,
	"auth_removed":      {Kind: platform.AuthExpired, Code: platform.CodeTokenInvalid},

	"spam_risk_too_many_posts":           capped(platform.LimitDaily),
	"spam_risk_user_banned_from_posting": refused,
	"spam_risk_text":                     refused,
	"spam_risk":                          refused,
}

// FailReasonError says why TikTok refused a post in StateFailed, of which nothing is live, and
// what may be done next. Transient: a new InitVideo may succeed. RateLimited: a new one may
// succeed after RetryAfter. AuthExpired: the user has to connect again. Rejected: never. An
// unknown reason is Rejected, because TikTok checked the post and refused it.
func FailReasonError(reason string) *platform.Error {
	v, ok := failReasons[reason]
	if !ok {
		v = refused
	}
	return &platform.Error{
		Provider: models.TikTok, Op: opStatus, Kind: v.Kind, Code: v.Code, PlatformCode: reason,
		Message: "TikTok could not publish the post", RetryAfter: v.Wait, Limit: v.Limit, Remedy: remedies[reason],
	}
}

// Permalink returns the public address of a video. It is empty if the name or the id is
// missing.
func Permalink(username, id string) string { return permalink(username, "video", id) }

// PhotoPermalink is Permalink for a post of photos.
func PhotoPermalink(username, id string) string { return permalink(username, "photo", id) }

func permalink(username, what, id string) string {
	username = strings.TrimPrefix(username, "@")
	if username == "" || id == "" {
		return ""
	}
	return "https://www.tiktok.com/@" + url.PathEscape(username) + "/" + what + "/" + url.PathEscape(id)
}
