package models

import (
	"fmt"
	"strings"
	"time"
)

// FieldError says what is wrong with one field of a request. The developer who sent the
// request reads Message.
type FieldError struct {
	Field   string `json:"field"`
	Message string `json:"message"`
}

// FieldErrors are the errors in a request's fields. It is an error if it is not empty.
type FieldErrors []FieldError

// Error lists the fields and their messages.
func (e FieldErrors) Error() string {
	parts := make([]string, len(e))
	for i, f := range e {
		parts[i] = f.Field + ": " + f.Message
	}
	return strings.Join(parts, "; ")
}

// Add adds an error for field.
func (e *FieldErrors) Add(field, format string, args ...any) {
	*e = append(*e, FieldError{Field: field, Message: fmt.Sprintf(format, args...)})
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
