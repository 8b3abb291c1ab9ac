package view

import (
	"time"

	"socialqueue/models"
)

// Event is a webhook to an app: something that happened to one of its posts or
// accounts, which is shown as it was then.
type Event struct {
	// ID is the same in every try to deliver it.
	ID   string          `json:"id"`
	Type models.AppEvent `json:"type"`
	Time string          `json:"time"`
	// Restored: the database was restored from a backup, so the app may have had this
	// event before, under another id.
	Restored bool `json:"restored,omitempty"`
	// Which of these are there follows from Type.
	Post    *Post    `json:"post,omitempty"`
	Account *Account `json:"account,omitempty"`
	Comment *Comment `json:"comment,omitempty"`
}

// Comment is one that a person wrote under a post of an Instagram account.
type Comment struct {
	// ID, MediaID and ParentID are Instagram's. ParentID is that of the comment
	// which this one answers.
	ID        string          `json:"id"`
	Platform  models.Platform `json:"platform"`
	AccountID int64           `json:"account_id"`
	UserID    int64           `json:"user_id"`
	MediaID   *string         `json:"media_id"`
	ParentID  *string         `json:"parent_id"`
	Text      string          `json:"text"`
	From      Person          `json:"from"`
	CreatedAt *string         `json:"created_at"`
}

// Person is somebody at a platform.
type Person struct {
	ID       string `json:"id"`
	Username string `json:"username"`
}

// OfComment shows a comment under a post of an account.
func OfComment(c *models.InstagramComment, a *models.InstagramAccount) *Comment {
	return &Comment{
		ID: c.IGCommentID, Platform: a.Platform(), AccountID: a.ID, UserID: a.UserID, MediaID: c.IGMediaID, ParentID: c.ParentID, Text: c.Text,
		From: Person{ID: c.FromID, Username: c.Username}, CreatedAt: TimeOrNull(c.Timestamp),
	}
}

// NewEvent begins an event of now.
func NewEvent(of models.AppEvent, now time.Time) Event {
	return Event{ID: "evt_" + models.NewID(), Type: of, Time: Time(now)}
}
