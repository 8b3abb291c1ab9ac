// Package observe provides the logger, the metrics and the traces of the processes. All log
// lines have the format that the README documents.
package observe

import (
	"io"

	"github.com/sirupsen/logrus"
)

// The fields at the top level of a log line. All other fields go under "metadata".
const (
	FieldCorrelationID = "correlationId"
	FieldUserID        = "userId"
	FieldProvider      = "provider"
	FieldAction        = "action"
	// FieldDuration is a time.Duration, or a number of milliseconds.
	FieldDuration = "duration"
	// FieldStack is a stack trace as text; it goes under "error".
	FieldStack = "stack"
)

// The fields under "metadata" that several packages write. FieldAccountID is the account's
// id in the API; FieldLoginID is the row of a Facebook login, which may have several
// accounts.
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

// ActionOperator is the action of an operator's manual change.
const ActionOperator = "operator"

// FormatText is the log format for terminals. Any other format means JSON.
const FormatText = "text"

// NewLogger returns the logger of a process. It writes an outage of Redis or PostgreSQL once a
// minute. An unknown level means info; package config
// rejects one earlier.
func NewLogger(service, level, format string, out io.Writer) *logrus.Logger {
	log := logrus.New()
	log.SetOutput(out)
	log.AddHook(scrubber{})
	log.SetLevel(logrus.InfoLevel)
	if parsed, err := logrus.ParseLevel(level); err == nil {
		log.SetLevel(parsed)
	}
	if format == FormatText {
		log.SetFormatter(limitOutages(&logrus.TextFormatter{FullTimestamp: true, TimestampFormat: "15:04:05.000"}))
	} else {
		log.SetFormatter(limitOutages(&jsonFormatter{service: service}))
	}
	return log
}
