package models

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// FieldError says what is wrong with one field of a request. The developer who sent the
// request reads Message.
type FieldError struct {
	Field   string `json:"field"`
	Message string `json:"message"`
}

// FieldErrors are the errors in a request's fields. It is an error if it is not empty.
type FieldErrors []FieldError

// Limits of FieldErrors. A request of one megabyte can have a hundred thousand wrong
// elements; its response and its log line must stay small.
const (
	maxFieldErrors = 20
	// maxFieldName and maxFieldMessage are in characters.
	maxFieldName    = 100
	maxFieldMessage = 300
)

// Error lists the fields and their messages.
func (e FieldErrors) Error() string {
	parts := make([]string, len(e))
	for i, f := range e {
		parts[i] = f.Field + ": " + f.Message
	}
	return strings.Join(parts, "; ")
}

// Add adds an error for field. It shortens a long name or message. Beyond 20 errors it drops
// the rest, which show once those 20 are corrected.
func (e *FieldErrors) Add(field, format string, args ...any) {
	if e.Full() {
		return
	}
	*e = append(*e, FieldError{Field: Shorten(field, maxFieldName), Message: Shorten(fmt.Sprintf(format, args...), maxFieldMessage)})
}

// OfField returns the error of one field. It shortens a long name or message.
func OfField(field, format string, args ...any) FieldErrors {
	var e FieldErrors
	e.Add(field, format, args...)
	return e
}

// Full reports whether Add drops further errors, so that a loop may end.
func (e *FieldErrors) Full() bool { return len(*e) >= maxFieldErrors }

// Shorten returns text as valid UTF-8 with at most most characters. Longer text ends in
// "...".
func Shorten(text string, most int) string {
	const more = "..."
	text = strings.ToValidUTF8(text, "\uFFFD")
	if utf8.RuneCountInString(text) <= most {
		return text
	}
	return Cut(text, most-len(more)) + more
}

// Err returns e as an error, or nil if e is empty.
func (e FieldErrors) Err() error {
	if len(e) == 0 {
		return nil
	}
	return e
}

const (
	// publishAtSlack tolerates clock skew and network delay of an app that means "now".
	publishAtSlack = 5 * time.Second
	maxAhead       = 366 * 24 * time.Hour
	minLateness    = time.Second
	maxLateness    = 30 * 24 * time.Hour
)

// CheckPublishAt checks that publish_at is neither in the past nor too far ahead.
func CheckPublishAt(errs *FieldErrors, at, now time.Time) {
	switch {
	case at.Before(now.Add(-publishAtSlack)):
		errs.Add("publish_at", "is in the past (it is %s now); leave it out to publish at once", now.UTC().Format(time.RFC3339))
	case at.After(now.Add(maxAhead)):
		errs.Add("publish_at", "must be at most %d days ahead", int(maxAhead.Hours()/24))
	}
}

// CheckMaxLateness checks that max_lateness is within its bounds.
func CheckMaxLateness(errs *FieldErrors, d time.Duration) {
	if d < minLateness || d > maxLateness {
		errs.Add("max_lateness", "must be a duration between %s and %s, such as \"15m\"", minLateness, maxLateness)
	}
}

// CheckLengthKnown reports whether a video tells how long it is, and adds an error if it does
// not. All platforms limit the length.
func CheckLengthKnown(errs *FieldErrors, field string, m *Media) bool {
	if m.DurationMs > 0 {
		return true
	}
	remedy := "ffmpeg -c copy -movflags +faststart"
	if m.ContentType == "video/webm" {
		remedy = "ffmpeg -c copy"
	}
	errs.Add(field, "does not tell how long it is: write it again with %s", remedy)
	return false
}
