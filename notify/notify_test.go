package notify_test

import (
	"bytes"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"socialqueue/models"
	"socialqueue/test/testkit"
	"socialqueue/view"
)

func TestDelivered(t *testing.T) {
	each(t, func(w *fixture) {
		r := w.receiver(nil)
		e, secret := w.endpoint(r.URL + "/hooks?token=of-theirs")
		_, other := w.endpointOf(w.theirs, r.URL)
		p := w.news()
		w.clock.Advance(1500 * time.Millisecond)
		w.tick()
		r.wantCalls(1)
		m, d := r.next(), w.only(e)
		for name, want := range map[string]string{
			"Content-Type": "application/json", "User-Agent": "socialqueue", "X-Request-Id": "req-1",
			"Webhook-Id": d.EventID, "Webhook-Timestamp": fmt.Sprint(testkit.Epoch.Unix() + 1),
		} {
			if got := m.header.Values(name); !slices.Equal(got, []string{want}) {
				t.Errorf("%s = %q, want %q", name, got, want)
			}
		}
		if !m.verifies(secret) || m.verifies(other) {
			t.Errorf("the signature %q is not that of the endpoint's secret alone", m.header.Get("Webhook-Signature"))
		}
		post := view.OfPost(w.reload(p), testkit.Epoch)
		if want := (view.Event{ID: m.id(), Type: models.EventPostDeferred, Time: "2026-11-23T10:00:00Z", Post: &post}); !reflect.DeepEqual(m.event, want) {
			t.Errorf("told %s, want %+v", m.body, want)
		}
		w.wantStates(e, models.DeliveryDelivered)
		if d.Attempts != 1 || d.NextAt != nil || !d.SettledAt.Equal(w.clock.Now()) {
			t.Errorf("delivery %+v", d)
		}
		if a := w.last(e); a.StatusCode != 204 || a.Error != "" || a.Response != "" || !a.At.Equal(w.clock.Now()) {
			t.Errorf("attempt %+v", a)
		}
		w.clock.Advance(time.Hour)
		if n := w.tick(); n != 0 {
			t.Errorf("%d runs for nothing", n)
		}
		r.wantCalls(1)
	})
}

// A receiver recognizes a repeated event by its webhook-id. The timestamp is that of the
// attempt, because receivers refuse old ones.
func TestRetriesKeepTheID(t *testing.T) {
	each(t, func(w *fixture) {
		r := w.receiver(status(500))
		e, secret := w.endpoint(r.URL)
		w.news()
		w.tick()
		w.nextTick(e)
		r.answers(nil)
		w.nextTick(e)
		r.wantCalls(3)
		var sent []time.Time
		first := r.messages()[0]
		for _, m := range r.messages() {
			sent = append(sent, m.sent())
			if m.id() != first.id() || !bytes.Equal(m.body, first.body) || !m.verifies(secret) {
				t.Errorf("%s %s, the first was %s %s", m.id(), m.body, first.id(), first.body)
			}
		}
		for i, a := range w.attempts(w.only(e)) {
			if !sent[i].Equal(a.At.Truncate(time.Second)) || i > 0 && !sent[i].After(sent[i-1]) {
				t.Errorf("try %d was stamped with %s at %s", i, sent[i], a.At)
			}
		}
	})
}

func TestWhatCountsAsDelivered(t *testing.T) {
	each(t, func(w *fixture) {
		for code, want := range map[int]models.DeliveryStatus{
			200: models.DeliveryDelivered, 201: models.DeliveryDelivered, 202: models.DeliveryDelivered, 204: models.DeliveryDelivered, 299: models.DeliveryDelivered,
			300: models.DeliveryPending, 304: models.DeliveryPending, 400: models.DeliveryPending, 401: models.DeliveryPending, 404: models.DeliveryPending,
			409: models.DeliveryPending, 429: models.DeliveryPending, 500: models.DeliveryPending, 503: models.DeliveryPending,
		} {
			e, _ := w.endpoint(w.receiver(status(code)).URL)
			_, err := w.Test(w.ctx, w.ours.appID, e.ID)
			w.must(err)
			w.tick()
			w.wantStates(e, want)
			if a := w.last(e); a.StatusCode != code || (a.Error == "") != (want == models.DeliveryDelivered) {
				t.Errorf("%d is kept as %+v", code, a)
			}
			w.wantEnabled(e)
		}
	})
}
