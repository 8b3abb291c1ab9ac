package handlers

import (
	"time"

	"socialqueue/models"
)

// postView is a post as apps see it.
type postView struct {
	ID             string          `json:"id"`
	Platform       models.Platform `json:"platform"`
	AccountID      int64           `json:"account_id"`
	UserID         int64           `json:"user_id"`
	Kind           models.Kind     `json:"kind"`
	Status         models.Status   `json:"status"`
	PublishID      *string         `json:"publish_id"`
	ContainerID    *string         `json:"container_id"`
	PlatformPostID *string         `json:"platform_post_id"`
	Permalink      *string         `json:"permalink"`
	Error          *errorView      `json:"error"`
	DeferredUntil  *string         `json:"deferred_until"`
	DeferredReason *string         `json:"deferred_reason"` // see deferredReason
	Attempts       int             `json:"attempts"`
	PublishAt      string          `json:"publish_at"`
	CreatedAt      string          `json:"created_at"`
	UpdatedAt      string          `json:"updated_at"`
	PublishedAt    *string         `json:"published_at"`
	GroupID        *string         `json:"group_id"`
}

type errorView struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

func viewPost(p *models.Post, now time.Time) postView {
	return postView{
		ID: p.ID, Platform: p.Platform, AccountID: p.AccountID(), UserID: p.UserID, Kind: p.Kind, Status: p.Status,
		PublishID: p.PublishID, ContainerID: p.ContainerID, PlatformPostID: p.PlatformPostID, Permalink: p.Permalink,
		Error: viewError(p), DeferredUntil: utcOrNull(p.DeferredUntil), DeferredReason: deferredReason(p, now),
		Attempts: p.Attempts, PublishAt: utc(p.PublishAt), CreatedAt: utc(p.CreatedAt), UpdatedAt: utc(p.UpdatedAt),
		PublishedAt: utcOrNull(p.PublishedAt), GroupID: p.GroupID,
	}
}

func viewError(p *models.Post) *errorView {
	if p.ErrorCode == "" {
		return nil
	}
	return &errorView{Code: p.ErrorCode, Message: p.ErrorMessage}
}

// deferredReason says why a post waits; deferred_until says how long, if that
// is known. It is null for a post that waits for nothing but its own time, or
// one of:
//
//   - account_busy: earlier posts of the same account go first. It is not
//     written down: it follows from where the post waits.
//   - rate_limited: the platform takes no more calls for the moment.
//   - daily_cap: the account, or the app, has used up its posts of the day.
//   - retry: the last try failed, or the outcome is looked at again later.
//   - token_refresh: the account's token has ended and could not be refreshed
//     yet; nothing happened at the platform, and it is no attempt.
//   - reauth_required: the platform refused the account's token; the account
//     must be connected again.
//   - internal_trouble: something of ours failed; nothing happened at the
//     platform, and it is no attempt.
func deferredReason(p *models.Post, now time.Time) *string {
	reason := p.DeferredReason
	if reason == "" && p.Admission == models.AdmissionParked && p.RunAt != nil && !p.RunAt.After(now) {
		reason = models.DeferredLane
	}
	if reason == "" {
		return nil
	}
	return &reason
}

func utcOrNull(t *time.Time) *string {
	if t == nil {
		return nil
	}
	s := utc(*t)
	return &s
}

// statusView answers GET /api/tiktok/status.
type statusView struct {
	PublishID    *string       `json:"publish_id"`
	Status       models.Status `json:"status"`
	VideoID      *string       `json:"video_id"`
	PostID       string        `json:"post_id"`
	PrivacyLevel string        `json:"privacy_level"`
	Permalink    *string       `json:"permalink"`
	Error        *errorView    `json:"error"`
	UpdatedAt    string        `json:"updated_at"`
}

func viewStatus(p *models.Post) statusView {
	view := statusView{
		PublishID: p.PublishID, Status: p.Status, VideoID: p.PlatformPostID, PostID: p.ID,
		Permalink: p.Permalink, Error: viewError(p), UpdatedAt: utc(p.UpdatedAt),
	}
	if p.Content.TikTok != nil {
		view.PrivacyLevel = p.Content.TikTok.PrivacyLevel
	}
	return view
}

// eventView is one entry of a timeline.
type eventView struct {
	At           string        `json:"at"`
	Type         string        `json:"type"`
	From         models.Status `json:"from,omitempty"`
	To           models.Status `json:"to,omitempty"`
	Operation    string        `json:"operation,omitempty"`
	HTTPStatus   int           `json:"http_status,omitempty"`
	PlatformCode string        `json:"platform_code,omitempty"`
	LogID        string        `json:"log_id,omitempty"`
	DurationMs   int64         `json:"duration_ms,omitempty"`
	Message      string        `json:"message,omitempty"`
}

// viewEvents puts the accepting, which the post's own row tells of, before what
// was written down.
func viewEvents(p *models.Post, events []models.PostEvent) []eventView {
	views := make([]eventView, 0, len(events)+1)
	views = append(views, eventView{At: utc(p.CreatedAt), Type: models.EventState, To: acceptedAs(p, events), Message: "accepted"})
	for _, e := range events {
		views = append(views, eventView{
			At: utc(e.At), Type: e.Type, From: e.From, To: e.To, Operation: e.Op, HTTPStatus: e.HTTPStatus,
			PlatformCode: e.PlatformCode, LogID: e.LogID, DurationMs: e.DurationMs, Message: e.Message,
		})
	}
	return views
}

// acceptedAs is the state in which a post began. The first change tells where
// it came from, except that a scheduled post becomes queued without an entry
// when its time comes: then its time tells, unless that was changed since.
func acceptedAs(p *models.Post, events []models.PostEvent) models.Status {
	first, moved := models.Status(""), false
	for _, e := range events {
		if e.Type != models.EventState {
			continue
		}
		if first == "" {
			first = e.From
		}
		moved = moved || changesTime(e)
	}
	if first == models.Scheduled || (!moved && p.PublishAt.After(p.CreatedAt)) {
		return models.Scheduled
	}
	return models.Queued
}

// changesTime reports whether an entry tells of a reschedule or a retry: only
// the app moves a post from unsent to unsent, or back from its end.
func changesTime(e models.PostEvent) bool {
	return e.To.Unsent() && (e.From.Unsent() || e.From.Ended())
}
