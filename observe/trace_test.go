package observe_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	logtest "github.com/sirupsen/logrus/hooks/test"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/trace"

	"socialqueue/observe"
)

func TestTracingIsOnByOTELVariables(t *testing.T) {
	for _, c := range []struct {
		env  map[string]string
		want bool
	}{
		{nil, false},
		{map[string]string{"OTEL_SERVICE_NAME": "x"}, false},
		{map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}, true},
		{map[string]string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://collector:4318/v1/traces"}, true},
		{map[string]string{"OTEL_TRACES_EXPORTER": "console"}, true},
		{map[string]string{"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}, false},
		{map[string]string{"OTEL_SDK_DISABLED": "true", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}, false},
	} {
		if got := observe.Tracing(func(name string) string { return c.env[name] }); got != c.want {
			t.Errorf("%v: on is %v, want %v", c.env, got, c.want)
		}
	}
}

// TestSpansReachTheCollector checks that stop sends the last spans, with the service's name.
func TestSpansReachTheCollector(t *testing.T) {
	got := make(chan []byte, 8)
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if r.URL.Path == "/v1/traces" {
			got <- body
		}
	}))
	defer collector.Close()
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.URL)
	t.Setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
	before := otel.GetTracerProvider()
	defer otel.SetTracerProvider(before)
	log, _ := logtest.NewNullLogger()
	stop, err := observe.StartTracing(t.Context(), "worker", log)
	if err != nil {
		t.Fatal(err)
	}
	ctx, span := observe.Span(observe.WithCorrelationID(t.Context(), "request-1"), "process it", trace.SpanKindConsumer)
	parent := observe.TraceParent(ctx)
	span.End()
	later := trace.SpanContextFromContext(observe.WithTraceParent(context.Background(), parent))
	if later.TraceID() != span.SpanContext().TraceID() {
		t.Errorf("%q leads to trace %s", parent, later.TraceID())
	}
	stop()
	body := <-got
	for _, want := range []string{"process it", "socialqueue-worker", "request-1"} {
		if !bytes.Contains(body, []byte(want)) {
			t.Errorf("the export does not contain %q", want)
		}
	}
}

func TestWithoutTracingNothingIsCarried(t *testing.T) {
	ctx, span := observe.Span(t.Context(), "process it", trace.SpanKindConsumer)
	defer span.End()
	if parent := observe.TraceParent(ctx); parent != "" || span.IsRecording() {
		t.Errorf("carries %q", parent)
	}
	for _, broken := range []string{"x", "00-zz-00f067aa0ba902b7-01", "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01"} {
		if trace.SpanContextFromContext(observe.WithTraceParent(t.Context(), broken)).IsValid() {
			t.Errorf("%q was taken for a trace", broken)
		}
	}
}

func TestUnknownExporterIsNamed(t *testing.T) {
	t.Setenv("OTEL_TRACES_EXPORTER", "pigeon")
	log, _ := logtest.NewNullLogger()
	if _, err := observe.StartTracing(t.Context(), "worker", log); err == nil || !bytes.Contains([]byte(err.Error()), []byte("pigeon")) {
		t.Errorf("err = %v", err)
	}
}
