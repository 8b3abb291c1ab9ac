package models

import "time"

// FirstComment is the comment that an app wants under its own post, from the moment the post
// is live. Its text is one of the post's options.
type FirstComment struct {
	PostID string `gorm:"primaryKey"`
	AppID  int64
	Status CommentStatus
	// DueAt is when the next run is due; nil once the comment is settled.
	DueAt *time.Time
	// Calls counts the calls that were to make the comment.
	Calls int
	// SentAt is when the call was made whose result is not known; nil if there is none.
	SentAt *time.Time
	// Refused: the platform refused that call for good. A refused call may still have had an
	// effect.
	Refused bool
	// CommentID is the platform's id of the comment; nil while it is not known.
	CommentID *string
	// Error says why the comment is not made, or not yet.
	Error string
	// Fence increases with every claim. A write with an older fence changes nothing.
	Fence      int64
	LeaseUntil *time.Time
	CreatedAt  time.Time `gorm:"autoCreateTime:false"`
}

// CommentStatus is the state of a first comment.
type CommentStatus string

// The states of a first comment.
const (
	// CommentPending: the post is not live yet, or the comment is being made.
	CommentPending CommentStatus = "pending"
	// CommentPosted: it is live.
	CommentPosted CommentStatus = "posted"
	// CommentFailed: it is not live and will not be.
	CommentFailed CommentStatus = "failed"
	// CommentUncertain: nobody could find out whether it is live. It is not made again.
	CommentUncertain CommentStatus = "uncertain"
	// CommentNotSent: its post did not go live. No row has this state.
	CommentNotSent CommentStatus = "not_sent"
)
