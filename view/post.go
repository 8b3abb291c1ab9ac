// Package view shows posts and accounts as apps see them: in the answers of the
// API and in the webhooks that tell of them.
package view

import (
	"strings"
	"time"

	"socialqueue/models"
)

// Post is a post as apps see it.
type Post struct {
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
	Error          *Error          `json:"error"`
	DeferredUntil  *string         `json:"deferred_until"`
	DeferredReason *string         `json:"deferred_reason"` // see deferredReason
	Attempts       int             `json:"attempts"`
	PublishAt      string          `json:"publish_at"`
	CreatedAt      string          `json:"created_at"`
	UpdatedAt      string          `json:"updated_at"`
	PublishedAt    *string         `json:"published_at"`
	GroupID        *string         `json:"group_id"`
	// MaxLateness is a duration such as 15m; null if there is no limit.
	MaxLateness *string `json:"max_lateness"`
	// FirstComment is null if the post has none.
	FirstComment *FirstComment `json:"first_comment"`
	// Content is left out where it was not read, as in webhooks.
	Content *Content `json:"content,omitempty"`
}

// Error is why a post is not live.
type Error struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

// FirstComment is the comment that the app wants under its own post.
type FirstComment struct {
	Status    models.CommentStatus `json:"status"`
	CommentID *string              `json:"comment_id"`
	// Error says why the comment is not made, or not yet.
	Error *string `json:"error"`
}

func ofFirstComment(c *models.FirstComment) *FirstComment {
	if c == nil {
		return nil
	}
	return &FirstComment{Status: c.Status, CommentID: c.CommentID, Error: TextOrNull(c.Error)}
}

// OfPost shows a post at that time.
func OfPost(p *models.Post, now time.Time) Post {
	return Post{
		ID: p.ID, Platform: p.Platform, AccountID: p.AccountID(), UserID: p.UserID, Kind: p.Kind, Status: p.Status,
		PublishID: p.PublishID, ContainerID: p.ContainerID, PlatformPostID: p.PlatformPostID, Permalink: p.Permalink,
		Error: OfError(p), DeferredUntil: TimeOrNull(p.DeferredUntil), DeferredReason: deferredReason(p, now),
		Attempts: p.Attempts, PublishAt: Time(p.PublishAt), CreatedAt: Time(p.CreatedAt), UpdatedAt: Time(p.UpdatedAt),
		PublishedAt: TimeOrNull(p.PublishedAt), GroupID: p.GroupID, MaxLateness: durationOrNull(p.MaxLateness()),
		FirstComment: ofFirstComment(p.FirstComment),
	}
}

func durationOrNull(d time.Duration) *string {
	if d == 0 {
		return nil
	}
	text := Duration(d)
	return &text
}

// Duration writes a duration without parts that are zero: 24h and not 24h0m0s.
func Duration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// OfError shows a post's error; nil if it has none.
func OfError(p *models.Post) *Error {
	if p.ErrorCode == "" {
		return nil
	}
	return &Error{Code: p.ErrorCode, Message: p.ErrorMessage}
}

// deferredReason says why a post waits; deferred_until says how long, if that
// is known. It is null for a post that waits for nothing but its own time, or
// one of:
//
//   - account_busy: earlier posts of the same account go first. It is not
//     written down: it follows from where the post waits, as app_busy does.
//   - app_busy: the workers are busy, and it is not the post's turn yet: apps take
//     turns, and posts of the same app that were due sooner go first.
//   - rate_limited: the platform takes no more calls for the moment, or the app, not the
//     account, has reached a limit of it.
//   - daily_cap: the account has used up its posts of the day.
//   - pending_cap: too many drafts wait in the creator's inbox.
//   - restricted: the platform restricts the account for a while, such as for spam;
//     the post's error says what its owner can do.
//   - retry: the last try failed, or the outcome is looked at again later.
//   - token_refresh: the account's token has ended and could not be refreshed
//     yet; nothing happened at the platform, and it is no attempt.
//   - reauth_required: the platform refused the account's token; the account
//     must be connected again.
//   - platform_down: this kind of call failed for several posts in a row; one post
//     tries it now and then, and the others go on once it succeeds.
//   - paused: an operator keeps back what would be sent to the platform or account.
//   - internal_error: something of ours failed; nothing happened at the
//     platform, and it is no attempt.
func deferredReason(p *models.Post, now time.Time) *string {
	reason := p.DeferredReason
	switch {
	case reason != "" || p.RunAt == nil:
	case p.Admission == models.AdmissionParked && !p.RunAt.After(now):
		reason = models.DeferredLane
	case p.Admission == models.AdmissionWaiting && p.Status.Unsent() && p.RunAt.Before(now.Add(-soon)):
		reason = models.DeferredApp
	}
	return TextOrNull(reason)
}

// soon is how long a post that is due may take to reach the workers when they are free.
const soon = 2 * time.Second

// Time shows a time as all of them are shown: RFC 3339, in UTC.
func Time(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }

// TimeOrNull shows a time that may not be there.
func TimeOrNull(t *time.Time) *string {
	if t == nil {
		return nil
	}
	s := Time(*t)
	return &s
}

// TextOrNull shows an empty text as null.
func TextOrNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
