// Package platform holds what the platforms share: the error that says what a caller may do
// next, and the record of one call for a post's timeline. The clients are in the packages
// below it.
package platform

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"socialqueue/models"
)

// Kind says what may be done after an error. The zero value is the safe one: an
// unclassified error may have had an effect.
type Kind uint8

const (
	// Unknown means that the call may have had an effect. Read the platform before sending
	// again.
	Unknown Kind = iota
	// Transient means that the call had no effect. It may be repeated.
	Transient
	// RateLimited means that the call had no effect. It may be repeated after RetryAfter.
	RateLimited
	// AuthExpired means that the call had no effect because the token was refused. A new
	// token is needed.
	AuthExpired
	// Rejected means that the call had no effect, and would fail again with the same post.
	Rejected
	// NotReady means that the call had no effect because the platform is still working on an
	// earlier step.
	NotReady
	// Gone means that the upload or container of the call no longer exists. A new one may be
	// made if the ledger shows that the old one cannot go live.
	Gone
)

var kindNames = [...]string{"unknown", "transient", "rate_limited", "auth_expired", "rejected", "not_ready", "gone"}

// String returns the kind's name for logs and timelines.
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return fmt.Sprintf("kind(%d)", k)
}

// Limit is the limit behind a RateLimited error. Apps see it as the reason of a wait. It does
// not follow from the length of the wait. An error of kind Unknown has one too if the platform
// restricts the account although the call may have had an effect.
type Limit uint8

const (
	// LimitCalls means too many calls.
	LimitCalls Limit = iota
	// LimitDaily means that the account has used up its posts of the day.
	LimitDaily
	// LimitPending means that too many drafts wait in the creator's inbox.
	LimitPending
	// LimitApp means that the app has reached what the platform allows it; the account has
	// done nothing.
	LimitApp
	// LimitPolicy means that the platform restricts the account for a while, such as for
	// spam.
	LimitPolicy
)

// Code is one of the error codes that apps see (README, "Errors").
type Code string

// The codes that a platform's answer can lead to.
const (
	CodeTokenExpired  Code = "TOKEN_EXPIRED"
	CodeTokenInvalid  Code = "TOKEN_INVALID"
	CodeRateLimited   Code = "RATE_LIMITED"
	CodeUploadFailed  Code = "UPLOAD_FAILED"
	CodePublishFailed Code = "PUBLISH_FAILED"
)

// Remedy says in our own words what to do about a refusal: the words of the platforms seldom
// do.
type Remedy struct {
	// Text is one or more sentences. It is empty for an unknown refusal.
	Text string
	// AboutFile is true if the refusal is about the post's file, so that what was measured of
	// the file helps.
	AboutFile bool
}

// Error is a failed call to a platform.
type Error struct {
	Provider models.Platform
	// Op names the call, such as "tiktok.init".
	Op   string
	Kind Kind
	// Code is the code that the app gets if this error ends the post.
	Code Code
	// HTTPStatus is 0 if there was no answer.
	HTTPStatus int
	// PlatformCode is the platform's own code: TikTok's error.code, Instagram's
	// "code/subcode".
	PlatformCode string
	// Message is the platform's text, for people. Code must not depend on it.
	Message string
	// Remedy says what to do about a refusal that is known.
	Remedy Remedy
	// LogID is the id to quote to the platform's support.
	LogID string
	// RetryAfter is the least wait before the same call may be repeated; 0 means that the
	// platform gave none.
	RetryAfter time.Duration
	// Limit says what the call ran into if Kind is RateLimited.
	Limit Limit
	// Err is the cause, with secrets removed. It may be nil.
	Err error
}

// Error returns the operation, the platform's code and log id, the cause, and what to do.
func (e *Error) Error() string {
	s := fmt.Sprintf("%s: %s", e.Op, e.Kind)
	if e.HTTPStatus != 0 {
		s += fmt.Sprintf(" (HTTP %d)", e.HTTPStatus)
	}
	if e.PlatformCode != "" {
		s += ": " + e.PlatformCode
	}
	if e.Message != "" {
		s += ": " + e.Message
	}
	if e.LogID != "" {
		s += " [log id " + e.LogID + "]"
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	if e.Remedy.Text != "" {
		s = strings.TrimSuffix(s, ".") + ". " + e.Remedy.Text
	}
	return s
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// KindOf returns the kind of err. An error that is not an *Error is Unknown.
func KindOf(err error) Kind {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Kind
	}
	return Unknown
}
