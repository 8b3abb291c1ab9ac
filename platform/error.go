// Package platform holds what the platforms share: the error that says what a
// caller may do next, and the record of one call that ends in a post's
// timeline. The clients live in the packages below it.
package platform

import (
	"errors"
	"fmt"
	"time"

	"socialqueue/models"
)

// Kind says what may be done after an error. The zero value is the careful
// one: an error nobody classified may have had its effect.
type Kind uint8

const (
	// Unknown: the effect may exist over there. Look before sending again.
	Unknown Kind = iota
	// Transient: nothing happened. Another try is safe.
	Transient
	// RateLimited: nothing happened. RetryAfter says when another try is allowed.
	RateLimited
	// AuthExpired: nothing happened. The token was refused; a new one is needed.
	AuthExpired
	// Rejected: nothing happened. This post will never pass as it stands.
	Rejected
	// NotReady: nothing happened. The platform still works on an earlier step.
	NotReady
	// Gone: the upload or container that the call named no longer exists.
	// A new one may be made if the ledger shows that the old one cannot go live.
	Gone
)

var kindNames = [...]string{"unknown", "transient", "rate_limited", "auth_expired", "rejected", "not_ready", "gone"}

// String gives the kind's name as it stands in logs and timelines.
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return fmt.Sprintf("kind(%d)", k)
}

// Code is one of the error codes that apps see (README, "Errors").
type Code string

// The codes of the outside contract that a platform's answer can lead to.
const (
	CodeTokenExpired  Code = "TOKEN_EXPIRED"
	CodeTokenInvalid  Code = "TOKEN_INVALID"
	CodeRateLimited   Code = "RATE_LIMITED"
	CodeUploadFailed  Code = "UPLOAD_FAILED"
	CodePublishFailed Code = "PUBLISH_FAILED"
)

// Error is a failed call to a platform.
type Error struct {
	Provider models.Platform
	// Op names the call, such as "tiktok.init".
	Op   string
	Kind Kind
	// Code is what the app is told if this error ends the post.
	Code Code
	// HTTPStatus is 0 when no answer came.
	HTTPStatus int
	// PlatformCode is the platform's own code: TikTok's error.code, Instagram's
	// "code/subcode".
	PlatformCode string
	// Message is the platform's text, for people only. Never branch on it.
	Message string
	// LogID is the id to quote to the platform's support.
	LogID string
	// RetryAfter is the least wait before the same call may be tried again;
	// 0 means that the platform named none.
	RetryAfter time.Duration
	// Err is the cause, with secrets removed. It may be nil.
	Err error
}

// Error tells the operation, the platform's code and log id, and the cause.
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
	return s
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// KindOf says what may be done after err. An error that is no *Error is Unknown.
func KindOf(err error) Kind {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Kind
	}
	return Unknown
}
