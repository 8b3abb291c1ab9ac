package models

import "time"

// The kinds of timeline entries.
const (
	EventState = "state" // the post went from one state to another
	EventCall  = "call"  // a call to the platform
	EventNote  = "note"  // any other fact
)

// NoteClaimed is the message of the entry for the start of a run.
const NoteClaimed = "a worker took the post"

// PostEvent is one entry of a post's timeline. It holds no secret.
type PostEvent struct {
	ID     int64 `gorm:"primaryKey"`
	PostID string
	At     time.Time
	Type   string
	// From and To are set for a change of state.
	From Status `gorm:"column:from_status"`
	To   Status `gorm:"column:to_status"`
	// Op to DurationMs are set for a call.
	Op           string
	HTTPStatus   int `gorm:"column:http_status"`
	PlatformCode string
	LogID        string
	DurationMs   int64
	// Message says what happened and what was decided.
	Message string
	Fence   int64
}
