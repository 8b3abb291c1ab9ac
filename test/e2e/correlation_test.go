package e2e

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"socialqueue/jobs"
	"socialqueue/sandbox/sample"
	"socialqueue/test/testkit"
)

// callersTrace is the trace of an app that posts: the example of W3C Trace Context.
const (
	callersTrace = "4bf92f3577b34da6a3ce929d0e0e4736"
	callersSpan  = "00f067aa0ba902b7"
)

// One id leads from the request through the row and the task to every log line, of
// three processes and of the webhook; and one trace, the caller's, to every call.
func TestOneCorrelationID(t *testing.T) {
	w := newSystem(t, setup{sandbox: unlimited()})
	spans := traceAll(t)
	w.startScheduler()
	ig := w.instagramAccount()
	const id = "e2e-correlation:1"
	body := picture(ig, w.upload("image/jpeg", sample.Picture), "correlated").with(fields{"publish_at": time.Now().Add(2 * time.Second)})
	rep := w.call(testkit.Call{Method: "POST", Path: ig.path, JSON: body, Headers: map[string]string{
		"X-Request-ID": id, "traceparent": "00-" + callersTrace + "-" + callersSpan + "-01",
	}}).Want(202)
	if got := rep.Header.Get("X-Request-ID"); got != id {
		t.Errorf("answered X-Request-ID is %q", got)
	}
	postID := rep.Text("id")
	row, err := w.db.Posts.ByID(t.Context(), postID)
	w.must(err)
	if row.CorrelationID != id {
		t.Errorf("the row has %q", row.CorrelationID)
	}
	w.wantTaskHeader(postID+":0", id)

	stop := w.startWorker()
	w.untilStatus(testkit.Patience, postID, "published")
	w.untilIdle(testkit.Patience)
	stop()
	wantTrace(t, spans.GetSpans(), id)
	services := map[string]int{}
	for line := range strings.Lines(w.logs.String()) {
		var entry struct {
			Service, Action, Message string
			CorrelationID            string `json:"correlationId"`
			UserID                   int64  `json:"userId"`
			Metadata                 struct {
				PostID string `json:"post_id"`
			}
		}
		w.must(json.Unmarshal([]byte(line), &entry))
		if entry.Metadata.PostID != postID || strings.HasPrefix(entry.Action, "GET ") {
			continue // to ask is a request of its own
		}
		services[entry.Service]++
		nameless := entry.Message == "an old task found nothing to do" // the row, which names the user, is not read for it
		if entry.CorrelationID != id || (entry.UserID != w.userID && !nameless) {
			t.Errorf("a line about the post does not tell its correlation id and user: %s", line)
		}
	}
	if services["api"] != 1 || services["scheduler"] != 1 || services["worker"] < 5 {
		t.Errorf("log lines about the post, by service: %v; want 1 of api and scheduler and one for each platform call", services)
	}
}

// traceAll keeps all spans that are made until the test ends.
func traceAll(t *testing.T) *tracetest.InMemoryExporter {
	t.Helper()
	kept := tracetest.NewInMemoryExporter()
	provider, before := sdktrace.NewTracerProvider(sdktrace.WithSyncer(kept)), otel.GetTracerProvider()
	otel.SetTracerProvider(provider)
	t.Cleanup(func() {
		otel.SetTracerProvider(before)
		_ = provider.Shutdown(context.Background())
	})
	return kept
}

// wantTrace looks for the whole way of a post in the caller's trace.
func wantTrace(t *testing.T, spans tracetest.SpanStubs, correlationID string) {
	t.Helper()
	byID, names := map[trace.SpanID]tracetest.SpanStub{}, []string{}
	for _, s := range spans {
		if s.SpanContext.TraceID().String() == callersTrace {
			byID[s.SpanContext.SpanID()] = s
			names = append(names, s.Name)
		}
	}
	for child, parent := range map[string]string{
		"POST /api/instagram/publish": "", "enqueue instagram:publish": "POST /api/instagram/publish", "process instagram:publish": "POST /api/instagram/publish",
		"instagram.create_container": "process instagram:publish", "instagram.publish": "process instagram:publish",
	} {
		i := slices.IndexFunc(spans, func(s tracetest.SpanStub) bool {
			return s.Name == child && byID[s.SpanContext.SpanID()].Name == child
		})
		if i < 0 {
			t.Errorf("the trace lacks %s: it has %v", child, names)
			continue
		}
		if above := spans[i].Parent.SpanID(); byID[above].Name != parent || (parent == "" && above.String() != callersSpan) {
			t.Errorf("%s stands under %s %q, want %q", child, above, byID[above].Name, parent)
		}
		if !strings.HasPrefix(child, "instagram.") && !slices.Contains(spans[i].Attributes, attribute.String("correlation_id", correlationID)) {
			t.Errorf("%s does not name the correlation id: %v", child, spans[i].Attributes)
		}
	}
}

func (w *system) wantTaskHeader(taskID, id string) {
	w.t.Helper()
	testkit.Await(w.t, testkit.Patience, "the task is in Redis", func() (bool, string) {
		info, err := w.inspector().GetTaskInfo(jobs.QueuePublish, taskID)
		if err != nil {
			return false, err.Error()
		}
		if got := info.Headers["correlation_id"]; got != id {
			w.t.Errorf("the task's header is %q", got)
		}
		return true, ""
	})
}
