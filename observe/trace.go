package observe

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/sirupsen/logrus"
	"go.opentelemetry.io/contrib/exporters/autoexport"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.37.0"
	"go.opentelemetry.io/otel/trace"
)

// flushTimeout is the timeout for sending the last spans when the process stops.
const flushTimeout = 5 * time.Second

// Tracing reports whether OpenTelemetry's environment variables enable traces: they name an
// exporter or an endpoint (opentelemetry.io, SDK environment variables).
func Tracing(getenv func(string) string) bool {
	if getenv("OTEL_SDK_DISABLED") == "true" || getenv("OTEL_TRACES_EXPORTER") == "none" {
		return false
	}
	for _, name := range []string{"OTEL_TRACES_EXPORTER", "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"} {
		if getenv(name) != "" {
			return true
		}
	}
	return false
}

// StartTracing exports spans as OpenTelemetry's environment variables say, including the
// sampling. stop sends the last spans. If the variables enable no traces, StartTracing does
// nothing. OTEL_SERVICE_NAME overrides service.
func StartTracing(ctx context.Context, service string, log logrus.FieldLogger) (stop func(), err error) {
	if !Tracing(os.Getenv) {
		return func() {}, nil
	}
	exporter, err := autoexport.NewSpanExporter(ctx)
	if err != nil {
		return nil, fmt.Errorf("set up tracing from OTEL_TRACES_EXPORTER (%q) and the other OTEL_ variables: %w", os.Getenv("OTEL_TRACES_EXPORTER"), err)
	}
	about, err := resource.New(ctx, resource.WithAttributes(semconv.ServiceName("socialqueue-"+service)), resource.WithFromEnv(), resource.WithHost())
	if err != nil {
		return nil, fmt.Errorf("read the resource attributes from the OTEL_ variables: %w", err)
	}
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { log.WithError(err).Warn("could not send traces") }))
	provider := sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter), sdktrace.WithResource(about))
	otel.SetTracerProvider(provider)
	return func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushTimeout)
		defer cancel()
		if err := provider.Shutdown(ctx); err != nil {
			log.WithError(err).Warn("could not send the last traces")
		}
	}, nil
}

// Span starts a span in the trace of ctx. Without tracing it is a no-op. Attributes must not
// contain secrets, addresses or content of apps.
func Span(ctx context.Context, name string, kind trace.SpanKind, attributes ...attribute.KeyValue) (context.Context, trace.Span) {
	ctx, span := otel.Tracer("socialqueue").Start(ctx, name, trace.WithSpanKind(kind))
	if span.IsRecording() {
		if id := CorrelationID(ctx); id != "" {
			attributes = append(attributes, attribute.String("correlation_id", id))
		}
		span.SetAttributes(attributes...)
	}
	return ctx, span
}

// Fail marks a span as failed. what is a short description; do not pass the text of an error,
// which belongs in the log.
func Fail(span trace.Span, what string) { span.SetStatus(codes.Error, what) }

// headerTraceParent is the header of W3C Trace Context.
const headerTraceParent = "traceparent"

// TraceParent returns the trace of ctx in the format of the traceparent header, so that
// another process can continue it; empty if there is none.
func TraceParent(ctx context.Context) string {
	carrier := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(ctx, carrier)
	return carrier[headerTraceParent]
}

// WithTraceParent returns a context that continues the trace of a TraceParent. It returns ctx
// if parent is empty or invalid.
func WithTraceParent(ctx context.Context, parent string) context.Context {
	if parent == "" {
		return ctx
	}
	return propagation.TraceContext{}.Extract(ctx, propagation.MapCarrier{headerTraceParent: parent})
}
