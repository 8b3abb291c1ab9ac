package notify_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"socialqueue/models"
	"socialqueue/notify"
	"socialqueue/test/testkit"
)

// Events of one post are sent in order; other posts do not wait.
func TestOrderOfOnePost(t *testing.T) {
	each(t, func(w *fixture) {
		first, second := w.post(), w.post()
		fails := func(rw http.ResponseWriter, m message) {
			if m.event.Post.ID == first.ID {
				rw.WriteHeader(500)
			}
		}
		r := w.receiver(fails)
		e, _ := w.endpoint(r.URL)
		w.happens(first, 5)
		w.happens(second, 3)
		w.tick()
		r.wantCalls(1 + 3)
		// The others of the first post are due, and yet there is nothing to do.
		w.clock.Advance(2 * time.Second)
		if n := w.tick(); n != 0 {
			t.Errorf("%d runs for what has to wait", n)
		}
		w.nextTick(e)
		r.wantCalls(1 + 3 + 1)
		r.answers(nil)
		w.nextTick(e)
		r.wantCalls(1 + 3 + 1 + 5)
		var came []string
		for _, m := range r.messages()[5:] {
			came = append(came, m.id())
		}
		var happened []string
		for _, d := range w.deliveries(e)[:5] {
			happened = append(happened, d.EventID)
		}
		if !slices.Equal(came, happened) {
			t.Errorf("told %v, happened %v", came, happened)
		}
	})
}

// A delivery that is given up no longer blocks its post.
func TestGivenUpDoesNotBlock(t *testing.T) {
	each(t, func(w *fixture) {
		r := w.receiver(status(500))
		e, _ := w.endpoint(r.URL)
		p := w.post()
		w.happens(p, 1)
		w.clock.Advance(time.Hour)
		w.happens(p, 1)
		for w.deliveries(e)[0].Status == models.DeliveryPending {
			w.nextTick(e)
		}
		r.answers(nil)
		w.nextTick(e)
		w.wantStates(e, models.DeliveryFailed, models.DeliveryDelivered)
	})
}

// An event that the receiver refuses does not affect the other events.
func TestPoisonEvent(t *testing.T) {
	each(t, func(w *fixture) {
		poison := w.post()
		r := w.receiver(func(rw http.ResponseWriter, m message) {
			if m.event.Post.ID == poison.ID {
				rw.WriteHeader(500)
			}
		})
		e, _ := w.endpoint(r.URL)
		w.happens(poison, 1)
		for w.clock.Now().Before(testkit.Epoch.Add(7 * 24 * time.Hour)) {
			w.news()
			w.tick()
			w.clock.Advance(330 * time.Second) // the longest rest
			w.tick()
			if all := w.deliveries(e); all[len(all)-1].Status != models.DeliveryDelivered {
				t.Fatalf("%s: not delivered for minutes", w.clock.Now())
			}
			w.clock.Advance(2 * time.Hour)
		}
		w.wantEnabled(e)
		if d := w.deliveries(e)[0]; d.Status != models.DeliveryFailed {
			t.Errorf("the event is %+v", d)
		}
	})
}

// An endpoint that does not answer delays no other endpoint.
func TestSlowEndpointDelaysNoOther(t *testing.T) {
	each(t, func(w *fixture) {
		released, release := gate()
		slow, quick := w.receiver(func(http.ResponseWriter, message) { <-released }), w.receiver(nil)
		t.Cleanup(release)
		a, _ := w.endpoint(slow.URL)
		b, _ := w.endpointOf(w.theirs, quick.URL)
		for range 20 {
			w.news()
		}
		w.happens(w.postOf(w.theirs), 3)
		w.must(w.EnqueueDue(w.ctx))
		running := map[string]<-chan struct{}{}
		for _, r := range w.queue.Deliveries.TakeAll() {
			running[r.ID] = w.goDeliver(r, nil)
		}
		for range 8 {
			slow.next()
		}
		testkit.Receive(w.t, "the delivery to the quick one", running[b.ID])
		quick.wantCalls(3)
		slow.wantCalls(8) // it is asked for no more than this at once
		w.happens(w.postOf(w.theirs), 1)
		w.tick()
		quick.wantCalls(4)
		release()
		testkit.Receive(w.t, "the delivery to the slow one", running[a.ID])
		slow.wantCalls(20)
	})
}

// A second run for an endpoint does nothing while the first is alive. After the lease of
// the first another run takes over: an event that was sent twice counts once, and the first
// run changes nothing any more.
func TestOneRunAtATime(t *testing.T) {
	each(t, func(w *fixture) {
		released, release := gate()
		r := w.receiver(func(rw http.ResponseWriter, _ message) {
			<-released
			rw.WriteHeader(500)
		})
		t.Cleanup(release)
		e, _ := w.endpoint(r.URL)
		w.news()
		run := w.run(e)
		first := w.goDeliver(run, nil)
		r.next()
		w.must(w.Deliver(w.ctx, run, nil))
		run.Fence++
		w.must(w.Deliver(w.ctx, run, nil)) // the fence of the first
		if n := w.tick(); n != 0 {
			t.Errorf("%d runs for an endpoint that has one", n)
		}
		r.wantCalls(1)

		w.clock.Advance(61 * time.Second)
		r.answers(nil)
		if n := w.tick(); n != 1 {
			t.Errorf("%d runs took over", n)
		}
		r.wantCalls(2)
		release()
		testkit.Receive(w.t, "the first run", first)
		w.wantStates(e, models.DeliveryDelivered)
		if d := w.only(e); d.Attempts != 1 || len(w.attempts(d)) != 1 || w.last(e).StatusCode != 204 {
			t.Errorf("delivery %+v with the tries %+v", d, w.attempts(d))
		}
		if now := w.stored(e); now.Failures != 0 || now.LeaseUntil != nil || now.Fence != 2 {
			t.Errorf("the endpoint is %+v", now)
		}
	})
}

// A worker that stops finishes its current calls and leaves the rest to the next run.
func TestDrain(t *testing.T) {
	each(t, func(w *fixture) {
		drain := make(chan struct{})
		stop := sync.OnceFunc(func() { close(drain) })
		r := w.receiver(func(http.ResponseWriter, message) { stop() })
		e, _ := w.endpoint(r.URL)
		for range 20 {
			w.news()
		}
		w.must(w.Deliver(w.ctx, w.run(e), drain))
		r.wantCalls(8)
		if n := w.tick(); n != 1 {
			t.Errorf("%d runs go on", n)
		}
		r.wantCalls(20)
		w.wantOrder(e, r)
	})
}

// A run has a time limit, so that an endpoint with many deliveries does not keep a worker
// slot.
func TestTurn(t *testing.T) {
	each(t, func(w *fixture) {
		r := w.receiver(func(http.ResponseWriter, message) { w.clock.Advance(5 * time.Second) })
		e, _ := w.endpoint(r.URL)
		for range 20 {
			w.news()
		}
		w.tick()
		r.wantCalls(8)
		w.tick()
		r.wantCalls(16)
		w.wantEnabled(e)
	})
}

// An interrupted run does not count as a failure of the endpoint, and its unfinished
// deliveries are made again.
func TestRunThatIsCutOff(t *testing.T) {
	each(t, func(w *fixture) {
		ctx, cancel := context.WithCancel(w.ctx)
		defer cancel()
		released, release := gate()
		r := w.receiver(func(http.ResponseWriter, message) {
			cancel()
			<-released
		})
		t.Cleanup(release)
		e, _ := w.endpoint(r.URL)
		w.news()
		if err := w.Deliver(ctx, w.run(e), nil); !errors.Is(err, context.Canceled) {
			t.Errorf("err = %v", err)
		}
		release()
		if d := w.only(e); d.Attempts != 0 || len(w.attempts(d)) != 0 {
			t.Errorf("delivery %+v", d)
		}
		if now := w.stored(e); now.Failures != 0 || now.BackoffUntil != nil {
			t.Errorf("the endpoint is %+v", now)
		}
		r.answers(nil)
		w.clock.Advance(61 * time.Second) // its lease
		w.tick()
		w.wantStates(e, models.DeliveryDelivered)
	})
}

// A change of the endpoint during a run takes effect at once.
func TestChangedInTheMiddle(t *testing.T) {
	disabled, elsewhere := models.EndpointDisabled, ""
	for name, c := range map[string]struct {
		change func(w *fixture, e *models.WebhookEndpoint) error
		calls  int
		moved  int // calls of another receiver
	}{
		"disabled": {func(w *fixture, e *models.WebhookEndpoint) error {
			_, err := w.Change(w.ctx, e.AppID, e.ID, notify.Request{Status: &disabled})
			return err
		}, 8, 0},
		"deleted": {func(w *fixture, e *models.WebhookEndpoint) error {
			return w.db.Outbox.DeleteEndpoint(w.ctx, e.AppID, e.ID, testkit.Epoch)
		}, 8, 0},
		"moved": {func(w *fixture, e *models.WebhookEndpoint) error {
			_, err := w.Change(w.ctx, e.AppID, e.ID, notify.Request{URL: &elsewhere})
			return err
		}, 8, 12},
		"rotated": {func(w *fixture, e *models.WebhookEndpoint) error {
			_, _, err := w.Rotate(w.ctx, e.AppID, e.ID)
			return err
		}, 20, 0},
	} {
		t.Run(name, func(t *testing.T) {
			each(t, func(w *fixture) {
				other := w.receiver(nil)
				elsewhere = other.URL
				var e *models.WebhookEndpoint
				change := sync.OnceFunc(func() {
					if err := c.change(w, e); err != nil {
						t.Error(err)
					}
				})
				r := w.receiver(func(http.ResponseWriter, message) { change() })
				e, _ = w.endpoint(r.URL)
				for range 20 {
					w.news()
				}
				w.tick()
				r.wantCalls(c.calls)
				other.wantCalls(c.moved)
				w.clock.Advance(time.Hour)
				w.tick()
				r.wantCalls(c.calls)
				other.wantCalls(c.moved)
			})
		})
	}
}
