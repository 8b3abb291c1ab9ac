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

// flushTimeout bounds the sending of the last spans when the process ends.
const flushTimeout = 5 * time.Second

// Tracing reports whether OpenTelemetry's variables ask for traces: that they name an
// exporter or where to send to (opentelemetry.io, SDK environment variables).
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

// StartTracing sends spans as OpenTelemetry's variables say, sampling included, until
// stop, which sends the last ones; if they ask for none it does nothing.
// OTEL_SERVICE_NAME goes before the service's name.
func StartTracing(ctx context.Context, service string, log logrus.FieldLogger) (stop func(), err error) {
	if !Tracing(os.Getenv) {
		return func() {}, nil
	}
	exporter, err := autoexport.NewSpanExporter(ctx)
	if err != nil {
		return nil, fmt.Errorf("set up traces by OTEL_TRACES_EXPORTER (%q) and the other OTEL_ variables: %w", os.Getenv("OTEL_TRACES_EXPORTER"), err)
	}
	about, err := resource.New(ctx, resource.WithAttributes(semconv.ServiceName("socialqueue-"+service)), resource.WithFromEnv(), resource.WithHost())
	if err != nil {
		return nil, fmt.Errorf("describe this process by the OTEL_ variables: %w", err)
	}
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { log.WithError(err).Warn("traces could not be sent") }))
	provider := sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter), sdktrace.WithResource(about))
	otel.SetTracerProvider(provider)
	return func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushTimeout)
		defer cancel()
		if err := provider.Shutdown(ctx); err != nil {
			log.WithError(err).Warn("the last traces could not be sent")
		}
	}, nil
}

// Span begins a piece of work in the trace of ctx. Whoever has no tracing gets one that
// costs nothing. Attributes hold no secret, no address and nothing that apps wrote.
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

// Fail marks a span as failed, in a word. What an error says is for the log.
func Fail(span trace.Span, what string) { span.SetStatus(codes.Error, what) }

// headerTraceParent carries a trace (W3C Trace Context).
const headerTraceParent = "traceparent"

// TraceParent tells which trace ctx belongs to, for those who go on with it elsewhere
// or later; it is empty where there is none.
func TraceParent(ctx context.Context) string {
	carrier := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(ctx, carrier)
	return carrier[headerTraceParent]
}

// WithTraceParent goes on with the trace that TraceParent told. What is none is left
// out.
func WithTraceParent(ctx context.Context, parent string) context.Context {
	if parent == "" {
		return ctx
	}
	return propagation.TraceContext{}.Extract(ctx, propagation.MapCarrier{headerTraceParent: parent})
}
