package platform

import (
	"context"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// span adds a finished call to the trace of ctx, if there is one. The trace id is not sent
// to the platform.
func span(ctx context.Context, c Call) {
	if !trace.SpanContextFromContext(ctx).IsValid() {
		return
	}
	_, s := otel.Tracer("socialqueue").Start(ctx, c.Op, trace.WithSpanKind(trace.SpanKindClient), trace.WithTimestamp(c.Started))
	s.SetAttributes(
		attribute.String("platform", string(c.Provider)), attribute.Int("http.response.status_code", c.HTTPStatus),
		attribute.String("platform.code", c.PlatformCode), attribute.String("platform.log_id", c.LogID),
	)
	if c.Err != nil {
		s.SetAttributes(attribute.String("error.type", c.Outcome()))
		s.SetStatus(codes.Error, c.Outcome())
	}
	s.End(trace.WithTimestamp(c.Started.Add(c.Duration)))
}
