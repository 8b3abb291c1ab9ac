package inbox_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"testing"
	"time"

	"socialqueue/inbox"
	"socialqueue/models"
	"socialqueue/secrets"
)

// toySource is the source of a platform that the engine was not written for. Its requests
// hold an event per byte.
type toySource struct {
	secret secrets.Secret
	apply  func(payload string) (inbox.Outcome, error)
}

func (toySource) Platform() models.Platform     { return "toy" }
func (toySource) MaxBody() int64                { return 100 }
func (toySource) CheckHeader(http.Header) error { return nil }

func (s toySource) Verify(h http.Header, _ []byte) error {
	if h.Get("Secret") != s.secret.Reveal() {
		return errors.New("another secret")
	}
	return nil
}

func (toySource) Parse(body []byte) ([]inbox.Event, error) {
	var events []inbox.Event
	for c := range slices.Chunk(body, 1) {
		events = append(events, inbox.Event{Name: "toy", Payload: c})
	}
	return events, nil
}

func (s toySource) Apply(_ context.Context, e *models.WebhookEvent) (inbox.Outcome, error) {
	return s.apply(string(e.Payload))
}

// useToy gives the fixture a service with only a toy platform.
func (w *fixture) useToy(apply func(payload string) (inbox.Outcome, error)) {
	deps := w.deps
	deps.Sources = []inbox.Source{toySource{secret: "s", apply: apply}}
	w.Service = inbox.New(deps)
}

func (w *fixture) sendToy(secret, body string) error {
	return w.Receive(w.ctx, "toy", http.Header{"Secret": {secret}}, []byte(body))
}

// passHours lets an hour pass n times, and processes the events that are due.
func (w *fixture) passHours(n int) {
	w.t.Helper()
	for range n {
		w.runEvents()
		w.clock.Advance(time.Hour)
		w.must(w.Sweep(w.ctx))
	}
}

// The engine stores, dedupes and settles the events of a platform that it does not know.
func TestOutcomes(t *testing.T) {
	for name, tt := range map[string]struct {
		apply func(string) (inbox.Outcome, error)
		// tries is how often the event is applied within a day.
		tries  int
		status models.WebhookStatus
		text   string
	}{
		"processed": {func(string) (inbox.Outcome, error) { return inbox.Processed("p"), nil }, 1, models.WebhookProcessed, "p"},
		"unmatched": {func(string) (inbox.Outcome, error) { return inbox.Unmatched("m"), nil }, 1, models.WebhookUnmatched, "m"},
		"unknown":   {func(string) (inbox.Outcome, error) { return inbox.Unknown("k"), nil }, 1, models.WebhookUnknown, "k"},
		"early":     {func(string) (inbox.Outcome, error) { return inbox.Early("e"), nil }, 8, models.WebhookUnmatched, "e"},
		"busy":      {func(string) (inbox.Outcome, error) { return inbox.Busy("b"), nil }, 24, models.WebhookPending, "b"},
		"error":     {func(string) (inbox.Outcome, error) { return inbox.Processed("p"), errors.New("x") }, 9, models.WebhookUnmatched, "given up: x"},
		"forgotten": {func(string) (inbox.Outcome, error) { return inbox.Outcome{}, nil }, 1, models.WebhookUnmatched, ""},
	} {
		t.Run(name, func(t *testing.T) {
			w, tries := newSQLiteWorld(t), 0
			w.useToy(func(payload string) (inbox.Outcome, error) {
				tries++
				return tt.apply(payload)
			})
			w.must(w.sendToy("s", "a"))
			w.must(w.sendToy("s", "aa"))
			if err := w.sendToy("another", "b"); !errors.Is(err, inbox.ErrNotAuthentic) {
				t.Errorf("error %v, want ErrNotAuthentic", err)
			}
			w.passHours(24)
			w.wantEvents(tt.status)
			if e := w.events()[0]; e.Platform != "toy" || e.Outcome != tt.text || tries != tt.tries {
				t.Errorf("platform %q, outcome %q after %d tries; want %q after %d", e.Platform, e.Outcome, tries, tt.text, tt.tries)
			}
		})
	}
}

// A process without the source of an event leaves it for one that has it.
func TestEventsWithoutASource(t *testing.T) {
	w := newSQLiteWorld(t)
	all := w.Service
	w.useToy(func(string) (inbox.Outcome, error) { return inbox.Processed("p"), nil })
	w.must(w.sendToy("s", "a"))
	toy := w.Service
	w.Service = all
	if err := w.sendToy("s", "b"); err == nil || errors.Is(err, inbox.ErrNotAuthentic) {
		t.Errorf("error %v, want one about the source", err)
	}
	w.runEvents()
	w.wantEvents(models.WebhookPending)
	w.Service = toy
	w.passHours(2)
	w.wantEvents(models.WebhookProcessed)
}
