package platform

import (
	"context"
	"time"

	"socialqueue/models"
)

// Call is the record of one request to a platform, for the timeline of a post. It holds no
// secret: no token, no signed link, no upload URL.
type Call struct {
	Provider models.Platform
	Op       string
	// Reads: the call changes nothing at the platform.
	Reads        bool
	HTTPStatus   int
	PlatformCode string
	LogID        string
	// Detail is a short fact for readers, such as "bytes 0-9999999/121000000".
	Detail   string
	Started  time.Time
	Duration time.Duration
	// Err is nil if the call succeeded.
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

// WithRecorder returns a context that passes every platform call to record, once, when the
// call has ended.
func WithRecorder(ctx context.Context, record func(Call)) context.Context {
	return context.WithValue(ctx, recorderKey{}, record)
}

// Record passes a finished call to the recorder of ctx, if there is one, and adds it to the
// trace. Only clients call it.
func Record(ctx context.Context, c Call) {
	span(ctx, c)
	if record, ok := ctx.Value(recorderKey{}).(func(Call)); ok {
		record(c)
	}
}
