package platform

import (
	"context"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// span writes a finished call into the trace of ctx, if that has one. The platform
// itself is not told of the trace.
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
