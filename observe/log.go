// Package observe lets people see what the processes do: the logger, whose
// lines all have the one shape that README documents.
package observe

import (
	"io"

	"github.com/sirupsen/logrus"
)

// The fields that have a place of their own in a log line. Every other field
// goes under "metadata".
const (
	FieldCorrelationID = "correlationId"
	FieldUserID        = "userId"
	FieldProvider      = "provider"
	FieldAction        = "action"
	// FieldDuration is a time.Duration, or a number of milliseconds.
	FieldDuration = "duration"
	// FieldStack is a stack trace as text; it becomes part of "error".
	FieldStack = "stack"
)

// The fields under "metadata" that several packages write. An account is one as the API
// names it, a login the consent of a Facebook user that reaches several.
const (
	FieldPostID       = "post_id"
	FieldFence        = "fence"
	FieldAccountID    = "account_id"
	FieldLoginID      = "login_id"
	FieldEvent        = "event"
	FieldWebhookEvent = "webhook_event_id"
	FieldHTTPStatus   = "http_status"
	FieldLogID        = "log_id"
	FieldReason       = "reason"
)

// ActionOperator is the action of what somebody did by hand.
const ActionOperator = "operator"

// FormatText is the format for terminals. Every other one is JSON.
const FormatText = "text"

// NewLogger makes the logger of one process. A level that logrus does not know
// means info: config has refused it before.
func NewLogger(service, level, format string, out io.Writer) *logrus.Logger {
	log := logrus.New()
	log.SetOutput(out)
	log.AddHook(scrubber{})
	log.SetLevel(logrus.InfoLevel)
	if parsed, err := logrus.ParseLevel(level); err == nil {
		log.SetLevel(parsed)
	}
	if format == FormatText {
		log.SetFormatter(&logrus.TextFormatter{FullTimestamp: true, TimestampFormat: "15:04:05.000"})
	} else {
		log.SetFormatter(&jsonFormatter{service: service})
	}
	return log
}
