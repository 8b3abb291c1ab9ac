package notify_test

import (
	"testing"
	"time"

	"socialqueue/models"
	"socialqueue/notify"
	"socialqueue/test/testkit"
)

// The deliveries of a deleted endpoint, and then its row, are deleted by the clean-up.
func TestDeletedEndpointIsCleanedUp(t *testing.T) {
	each(t, func(w *fixture) {
		r := w.receiver(status(500))
		e, _ := w.endpoint(r.URL)
		kept, _ := w.endpoint(r.URL)
		w.news()
		w.tick()
		gone := w.deliveries(e)[0]
		w.must(w.db.Outbox.DeleteEndpoint(w.ctx, e.AppID, e.ID, testkit.Epoch))
		w.cleanUp()
		if len(w.deliveries(e)) != 0 || len(w.attempts(gone)) != 0 {
			t.Error("deliveries of a deleted endpoint are kept")
		}
		if d := w.only(kept); d.Status != models.DeliveryPending || len(w.attempts(d)) != 1 {
			t.Errorf("another endpoint's delivery is %+v", d)
		}
		// Its row is gone: its id is free again.
		w.must(w.db.Outbox.CreateEndpoint(w.ctx, &models.WebhookEndpoint{
			ID: e.ID, AppID: e.AppID, URL: r.URL, Secret: "sealed", Status: models.EndpointEnabled, CreatedAt: testkit.Epoch, UpdatedAt: testkit.Epoch,
		}, 20, nil))
	})
}

func TestDeliveriesAreKeptFor30Days(t *testing.T) {
	each(t, func(w *fixture) {
		r := w.receiver(nil)
		e, _ := w.endpoint(r.URL)
		w.news()
		w.tick()
		old := w.only(e)
		w.clock.Set(testkit.Epoch.Add(30 * 24 * time.Hour))
		w.news()
		w.cleanUp()
		w.wantStates(e, models.DeliveryDelivered, models.DeliveryPending)
		w.clock.Advance(time.Second)
		w.cleanUp()
		w.wantStates(e, models.DeliveryPending)
		if len(w.attempts(old)) != 0 {
			t.Error("tries of a deleted delivery are kept")
		}
	})
}

// A delivery that was not tried, because its endpoint is disabled, is given up too.
func TestGivenUpWithoutATry(t *testing.T) {
	each(t, func(w *fixture) {
		e, _ := w.endpoint("http://127.0.0.1:1")
		w.news()
		disabled := models.EndpointDisabled
		w.change(e, notify.Request{Status: &disabled})
		w.clock.Set(testkit.Epoch.Add(73 * time.Hour))
		w.cleanUp()
		w.wantStates(e, models.DeliveryPending)
		w.clock.Advance(time.Second)
		w.cleanUp()
		w.wantStates(e, models.DeliveryFailed)
	})
}

// cleanUp cleans up until there is no more.
func (w *fixture) cleanUp() {
	w.t.Helper()
	for more := true; more; {
		var err error
		more, err = w.CleanUp(w.ctx)
		w.must(err)
	}
}
