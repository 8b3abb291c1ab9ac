package observe

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/sirupsen/logrus"

	"socialqueue/platform"
)

// line is one log line. The order of the fields is that of the output.
type line struct {
	Timestamp     string         `json:"timestamp"`
	Level         string         `json:"level"`
	Service       string         `json:"service"`
	Message       string         `json:"message"`
	CorrelationID any            `json:"correlationId,omitempty"`
	UserID        any            `json:"userId,omitempty"`
	Provider      any            `json:"provider,omitempty"`
	Action        any            `json:"action,omitempty"`
	Duration      any            `json:"duration,omitempty"`
	Error         *errorLine     `json:"error,omitempty"`
	Metadata      map[string]any `json:"metadata,omitempty"`
}

type errorLine struct {
	Code    string `json:"code,omitempty"`
	Message string `json:"message"`
	Stack   string `json:"stack,omitempty"`
}

type jsonFormatter struct {
	service string
}

// Format writes an entry as one line of JSON.
func (f *jsonFormatter) Format(e *logrus.Entry) ([]byte, error) {
	l := line{
		Timestamp: e.Time.UTC().Format("2006-01-02T15:04:05.000000Z07:00"),
		Level:     e.Level.String(),
		Service:   f.service,
		Message:   e.Message,
	}
	for name, value := range e.Data {
		l.set(name, value)
	}
	return l.encode(e.Buffer)
}

func (l *line) set(name string, value any) {
	switch name {
	case FieldCorrelationID:
		l.CorrelationID = filled(value)
	case FieldUserID:
		l.UserID = filled(value)
	case FieldProvider:
		l.Provider = filled(value)
	case FieldAction:
		l.Action = filled(value)
	case FieldDuration:
		l.Duration = milliseconds(value)
	case FieldStack:
		l.error().Stack = fmt.Sprint(value)
	case logrus.ErrorKey:
		l.setError(value)
	default:
		if l.Metadata == nil {
			l.Metadata = map[string]any{}
		}
		l.Metadata[name] = plain(value)
	}
}

func (l *line) error() *errorLine {
	if l.Error == nil {
		l.Error = &errorLine{}
	}
	return l.Error
}

func (l *line) setError(value any) {
	if value == nil {
		return
	}
	l.error().Message = fmt.Sprint(value)
	if err, ok := value.(error); ok {
		l.Error.Code = errorCode(err)
	}
}

// errorCode returns the code that the API shows, or else the platform's code.
func errorCode(err error) string {
	e, ok := errors.AsType[*platform.Error](err)
	switch {
	case !ok:
		return ""
	case e.Code != "":
		return string(e.Code)
	default:
		return e.PlatformCode
	}
}

// filled turns an empty string into nil, so that the field is omitted.
func filled(value any) any {
	if value == "" {
		return nil
	}
	return value
}

// milliseconds converts a duration to milliseconds, rounded to microseconds.
func milliseconds(value any) any {
	if d, ok := value.(time.Duration); ok {
		return math.Round(d.Seconds()*1e6) / 1e3
	}
	return value
}

// plain turns errors and durations into text, which JSON shows badly.
func plain(value any) any {
	switch v := value.(type) {
	case error:
		return v.Error()
	case time.Duration:
		return v.String()
	default:
		return value
	}
}

// encode writes the line as JSON. If a value cannot be encoded, it writes all values as
// text, so that the line is not lost.
func (l *line) encode(b *bytes.Buffer) ([]byte, error) {
	if b == nil {
		b = &bytes.Buffer{}
	}
	enc := json.NewEncoder(b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(l); err == nil {
		return b.Bytes(), nil
	}
	b.Reset()
	for name, value := range l.Metadata {
		l.Metadata[name] = fmt.Sprint(value)
	}
	for _, value := range []*any{&l.CorrelationID, &l.UserID, &l.Provider, &l.Action, &l.Duration} {
		if *value != nil {
			*value = fmt.Sprint(*value)
		}
	}
	if err := enc.Encode(l); err != nil {
		return nil, fmt.Errorf("write log line: %w", err)
	}
	return b.Bytes(), nil
}
