package platform

import (
	"context"
	"time"

	"socialqueue/models"
)

// Call is the record of one request to a platform, as a timeline shows it. It
// holds no secret: no token, no signed link, no upload URL.
type Call struct {
	Provider     models.Platform
	Op           string
	HTTPStatus   int
	PlatformCode string
	LogID        string
	// Detail is a short fact for people, such as "bytes 0-9999999/121000000".
	Detail   string
	Started  time.Time
	Duration time.Duration
	// Err is nil when the call did what was asked.
	Err error
}

// Outcome is "ok", or the kind of the failure.
func (c Call) Outcome() string {
	if c.Err == nil {
		return "ok"
	}
	return KindOf(c.Err).String()
}

type recorderKey struct{}

// WithRecorder returns a context whose platform calls are handed to record,
// each once, when it has ended.
func WithRecorder(ctx context.Context, record func(Call)) context.Context {
	return context.WithValue(ctx, recorderKey{}, record)
}

// Record hands a finished call to the recorder of ctx, if it has one, and writes it
// into its trace. Clients call it; nobody else does.
func Record(ctx context.Context, c Call) {
	span(ctx, c)
	if record, ok := ctx.Value(recorderKey{}).(func(Call)); ok {
		record(c)
	}
}
