package models

import (
	"fmt"
	"strings"
	"time"
)

// FieldError says what is wrong with one field of a request, in words for the
// developer who sent it.
type FieldError struct {
	Field   string `json:"field"`
	Message string `json:"message"`
}

// FieldErrors is what a request's check found. It is an error when not empty.
type FieldErrors []FieldError

// Error lists the fields and their messages.
func (e FieldErrors) Error() string {
	parts := make([]string, len(e))
	for i, f := range e {
		parts[i] = f.Field + ": " + f.Message
	}
	return strings.Join(parts, "; ")
}

// Add notes that field breaks a rule.
func (e *FieldErrors) Add(field, format string, args ...any) {
	*e = append(*e, FieldError{Field: field, Message: fmt.Sprintf(format, args...)})
}

// Err returns e as an error, or nil when nothing was found.
func (e FieldErrors) Err() error {
	if len(e) == 0 {
		return nil
	}
	return e
}

const (
	// publishAtSlack forgives the clocks and the network of an app that means "now".
	publishAtSlack = 5 * time.Second
	maxAhead       = 366 * 24 * time.Hour
	minLateness    = time.Second
	maxLateness    = 30 * 24 * time.Hour
)

// CheckPublishAt checks when a post is to go out.
func CheckPublishAt(errs *FieldErrors, at, now time.Time) {
	switch {
	case at.Before(now.Add(-publishAtSlack)):
		errs.Add("publish_at", "lies in the past (it is %s now); leave it out to publish at once", now.UTC().Format(time.RFC3339))
	case at.After(now.Add(maxAhead)):
		errs.Add("publish_at", "lies more than %d days ahead", int(maxAhead.Hours()/24))
	}
}

// CheckMaxLateness checks how late a post may start.
func CheckMaxLateness(errs *FieldErrors, d time.Duration) {
	if d < minLateness || d > maxLateness {
		errs.Add("max_lateness", "must be a duration between %s and %s, such as \"15m\"", minLateness, maxLateness)
	}
}
