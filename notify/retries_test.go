package notify_test

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"reflect"
	"testing"
	"time"

	"socialqueue/db"
	"socialqueue/models"
	"socialqueue/notify"
	"socialqueue/test/testkit"
)

func TestTriedFor72Hours(t *testing.T) {
	each(t, func(w *fixture) {
		r := w.receiver(status(500))
		e, _ := w.endpoint(r.URL)
		w.news()
		w.tick()
		for w.only(e).Status == models.DeliveryPending {
			w.nextTick(e)
		}
		const m, h = time.Minute, time.Hour
		waits := []time.Duration{5 * time.Second, 30 * time.Second, 2 * m, 10 * m, 30 * m, h, 2 * h, 4 * h, 8 * h, 12 * h, 12 * h, 12 * h, 12 * h}
		tries := w.attempts(w.only(e))
		if want := len(waits) + 2; len(tries) != want || len(r.messages()) != want {
			t.Fatalf("%d tries and %d calls, want %d", len(tries), len(r.messages()), want)
		}
		for i, wait := range waits {
			if gap := tries[i+1].At.Sub(tries[i].At); gap < wait || gap > wait*11/10 {
				t.Errorf("%s between tries %d and %d, want %s and up to a tenth more", gap, i, i+1, wait)
			}
		}
		if last := tries[len(tries)-1].At; !last.Equal(testkit.Epoch.Add(72 * time.Hour)) {
			t.Errorf("the last try was at %s", last)
		}
		if d := w.only(e); d.Status != models.DeliveryFailed || d.NextAt != nil || !d.SettledAt.Equal(w.clock.Now()) || d.Attempts != len(tries) {
			t.Errorf("delivery %+v", d)
		}
		w.wantEnabled(e)
		w.clock.Advance(24 * time.Hour)
		w.tick()
		r.wantCalls(len(tries))
	})
}

// An endpoint that is down costs one call per pause, however many deliveries wait. When it
// is up again, every event arrives once, and those of one post in order.
func TestEndpointThatIsDown(t *testing.T) {
	each(t, func(w *fixture) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		w.must(err)
		addr := l.Addr().String()
		w.must(l.Close()) // nobody listens there now
		e, _ := w.endpoint("http://" + addr)
		for range 20 {
			w.happens(w.post(), 3)
		}
		tries := func() (n int) {
			for _, d := range w.deliveries(e) {
				n += d.Attempts
			}
			return n
		}
		w.tick()
		const atOnce = 8
		if n := tries(); n != atOnce {
			t.Fatalf("%d tries at first, want %d", n, atOnce)
		}
		for range 600 {
			w.clock.Advance(time.Second)
			w.tick()
		}
		// They rest 2, 10, 30, 120 and 300 seconds, each up to a tenth more.
		if n := tries(); n != atOnce+5 {
			t.Errorf("%d tries in ten minutes, want %d", n, atOnce+5)
		}
		if a := w.attempts(w.deliveries(e)[0])[0]; a.StatusCode != 0 || a.Error != "connect: connection refused" {
			t.Errorf("attempt %+v", a)
		}
		w.wantEnabled(e)

		r := &receiver{t: t, came: make(chan message, 1000)}
		r.answers(nil)
		l, err = net.Listen("tcp", addr)
		w.must(err)
		r.Server = &httptest.Server{Listener: l, Config: &http.Server{Handler: r, ReadHeaderTimeout: testkit.Patience}}
		r.Start()
		t.Cleanup(r.Close)
		for range 100 {
			if len(r.messages()) == 60 {
				break
			}
			w.nextTick(e)
		}
		r.wantCalls(60)
		w.wantOrder(e, r)
		if now := w.stored(e); now.Failures != 0 || now.FailingSince != nil || now.BackoffUntil != nil || now.LeaseUntil != nil {
			t.Errorf("the endpoint works, and is %+v", now)
		}
	})
}

// wantOrder checks that the events of every post arrived in order, each once.
func (w *fixture) wantOrder(e *models.WebhookEndpoint, r *receiver) {
	w.t.Helper()
	happened, came := map[string][]string{}, map[string][]string{}
	for _, d := range w.deliveries(e) {
		happened[d.Subject] = append(happened[d.Subject], d.EventID)
	}
	for _, m := range r.messages() {
		subject := "post:" + m.event.Post.ID
		came[subject] = append(came[subject], m.id())
	}
	if !reflect.DeepEqual(came, happened) {
		w.t.Errorf("told %v, happened %v", came, happened)
	}
}

// A receiver that never ends its answer is not waited for. The status that it sent counts.
func TestReceiverThatHangs(t *testing.T) {
	for name, c := range map[string]struct {
		begins int // 0 is not at all
		state  models.DeliveryStatus
		err    string
	}{
		"without an answer":      {0, models.DeliveryPending, "no answer within 100ms"},
		"in the middle of 500":   {500, models.DeliveryPending, "answered 500: no answer within 1s"},
		"in the middle of 200":   {200, models.DeliveryDelivered, ""},
		"in the middle of a 302": {302, models.DeliveryPending, "answered 302; redirects are not followed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // they mostly wait
			each(t, func(w *fixture) {
				released, release := gate()
				r := w.receiver(func(rw http.ResponseWriter, _ message) {
					if c.begins != 0 {
						rw.WriteHeader(c.begins)
						_, _ = rw.Write([]byte("begun"))
						_ = http.NewResponseController(rw).Flush()
					}
					<-released
				})
				t.Cleanup(release)
				w.SetCallTimeout(100 * time.Millisecond)
				if c.begins != 0 { // the beginning has to be here by then
					w.SetCallTimeout(time.Second)
				}
				e, _ := w.endpoint(r.URL)
				w.news()
				w.tick()
				release()
				w.wantStates(e, c.state)
				if a := w.last(e); a.StatusCode != c.begins || a.Error != c.err || (c.begins != 0) != (a.Response == "begun") {
					t.Errorf("attempt %+v", a)
				}
			})
		})
	}
}

// 410 disables the endpoint and no more deliveries are sent. When it is enabled again they
// continue.
func TestGone(t *testing.T) {
	each(t, func(w *fixture) {
		r := w.receiver(status(http.StatusGone))
		e, _ := w.endpoint(r.URL)
		w.happens(w.post(), 3)
		w.tick()
		r.wantCalls(1)
		w.wantDisabled(e, "410 Gone")
		for range 20 {
			w.clock.Advance(time.Hour)
			if n := w.tick(); n != 0 {
				t.Fatal("a disabled endpoint is called")
			}
		}
		w.news() // nobody is told of this one
		r.answers(nil)
		w.enable(e)
		w.wantEnabled(e)
		w.tick()
		r.wantCalls(4)
		w.wantStates(e, models.DeliveryDelivered, models.DeliveryDelivered, models.DeliveryDelivered)
	})
}

// If one of several parallel calls answers 410 and another succeeds, the endpoint is
// disabled.
func TestGoneAmongOthers(t *testing.T) {
	for i := range 2 {
		t.Run(fmt.Sprint("call ", i), func(t *testing.T) {
			each(t, func(w *fixture) {
				posts := []*models.Post{w.post(), w.post()}
				r := w.receiver(func(rw http.ResponseWriter, m message) {
					if m.event.Post.ID == posts[i].ID {
						rw.WriteHeader(http.StatusGone)
					}
				})
				e, _ := w.endpoint(r.URL)
				for _, p := range posts {
					w.happens(p, 1)
				}
				w.tick()
				r.wantCalls(2)
				w.wantDisabled(e, "410 Gone")
			})
		})
	}
}

// Retry-After delays all deliveries of the endpoint.
func TestRetryAfter(t *testing.T) {
	const day, usual = 24 * time.Hour, 5 * time.Second
	in := func(d time.Duration) func(time.Time) string {
		return func(now time.Time) string { return now.Add(d).Format(http.TimeFormat) }
	}
	exactly := func(header string) func(time.Time) string { return func(time.Time) string { return header } }
	each(t, func(w *fixture) {
		for name, c := range map[string]struct {
			header func(now time.Time) string
			wait   time.Duration
		}{
			"seconds": {exactly("120"), 2 * time.Minute}, "a time": {in(2 * time.Minute), 2 * time.Minute},
			"a day": {exactly("86400"), day}, "two days": {exactly("172800"), day}, "centuries": {in(100_000 * day), day},
			"more than 32 bits": {exactly("99999999999"), day}, "more than 64 bits": {exactly("99999999999999999999"), day},
			// What asks for nothing gets the usual wait, and no less.
			"nothing": {exactly(""), usual}, "0": {exactly("0"), usual}, "1": {exactly("1"), usual}, "-1": {exactly("-1"), usual}, "words": {exactly("soon"), usual},
			"less than 64 bits": {exactly("-99999999999999999999"), usual}, "the past": {in(-time.Hour), usual},
		} {
			now := models.Time(w.clock.Now().Truncate(time.Second))
			w.clock.Set(now)
			r := w.receiver(func(rw http.ResponseWriter, _ message) {
				rw.Header().Set("Retry-After", c.header(now))
				rw.WriteHeader(http.StatusTooManyRequests)
			})
			e, _ := w.endpoint(r.URL)
			w.happens(w.post(), 2)
			w.tick()
			r.answers(nil)
			d := w.deliveries(e)[0]
			if got := d.NextAt.Sub(now); got < c.wait || got > c.wait*11/10 {
				t.Errorf("%s: it waits %s, want %s", name, got, c.wait)
			}
			if c.wait > usual {
				w.news() // another post's
			}
			w.clock.Set(now.Add(c.wait - time.Millisecond))
			w.tick()
			r.wantCalls(1)
			w.clock.Set(d.NextAt.Add(c.wait / 10)) // the endpoint's own rest is spread too
			w.tick()
			for _, d := range w.deliveries(e) {
				if d.Status != models.DeliveryDelivered {
					t.Errorf("%s: delivery %+v", name, d)
				}
			}
			w.must(w.db.Outbox.DeleteEndpoint(w.ctx, e.AppID, e.ID, now))
			w.clock.Advance(day)
		}
	})
}

// An endpoint that fails for five days is disabled with the reason. A success starts the
// five days again.
func TestFiveDaysOfFailures(t *testing.T) {
	for name, works := range map[string]time.Duration{"nothing works": 0, "something worked on the third day": 3 * 24 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			each(t, func(w *fixture) {
				r := w.receiver(status(502))
				e, _ := w.endpoint(r.URL)
				const step = 6 * time.Hour
				for w.stored(e).Status == models.EndpointEnabled {
					if w.clock.Now().Sub(testkit.Epoch) > works+6*24*time.Hour {
						t.Fatal("it is never disabled")
					}
					w.news()
					w.tick()
					if w.clock.Now().Sub(testkit.Epoch) == works && works > 0 {
						r.answers(nil)
						w.clock.Advance(10 * time.Minute) // it rests
						w.tick()
						r.answers(status(502))
						w.clock.Advance(-10 * time.Minute)
					}
					w.clock.Advance(step)
				}
				days := w.clock.Now().Add(-step).Sub(testkit.Epoch.Add(works))
				if days < 5*24*time.Hour || days > 5*24*time.Hour+step {
					t.Errorf("disabled after %s", days)
				}
				w.wantDisabled(e, "5 days")
				w.wantDisabled(e, "answered 502")
				calls := len(r.messages())
				w.clock.Advance(24 * time.Hour)
				w.tick()
				r.wantCalls(calls)

				r.answers(nil)
				w.enable(e)
				if now := w.stored(e); now.FailingSince != nil || now.Failures != 0 || now.BackoffUntil != nil {
					t.Errorf("enabled again it is %+v", now)
				}
			})
		})
	}
}

// A delivery that succeeded or was given up can be sent once more, as the same event.
func TestRedeliver(t *testing.T) {
	each(t, func(w *fixture) {
		r := w.receiver(nil)
		e, _ := w.endpoint(r.URL)
		w.news()
		w.tick()
		w.clock.Advance(100 * time.Hour)
		d, err := w.Redeliver(w.ctx, w.ours.appID, w.only(e).ID)
		w.must(err)
		if d.Status != models.DeliveryPending || !d.NextAt.Equal(w.clock.Now()) || !d.GiveUpAt.Equal(w.clock.Now().Add(72*time.Hour)) || d.SettledAt != nil {
			t.Errorf("delivery %+v", d)
		}
		w.tick()
		r.wantCalls(2)
		first, again := r.next(), r.next()
		if first.id() != again.id() || !bytes.Equal(first.body, again.body) || !again.sent().Equal(w.clock.Now()) {
			t.Errorf("sent %s %s, before %s %s", again.id(), again.body, first.id(), first.body)
		}
		if d := w.only(e); d.Status != models.DeliveryDelivered || d.Attempts != 2 || len(w.attempts(d)) != 2 {
			t.Errorf("delivery %+v", d)
		}
		if _, err := w.Redeliver(w.ctx, w.theirs.appID, d.ID); !errors.Is(err, db.ErrNotFound) {
			t.Errorf("another app: %v", err)
		}
	})
}

// A redelivery, a new address or enabling the endpoint ends the wait after an earlier
// failure.
func TestAtOnceAfterAFailure(t *testing.T) {
	for name, ask := range map[string]func(w *fixture, e *models.WebhookEndpoint){
		"redeliver": func(w *fixture, e *models.WebhookEndpoint) {
			_, err := w.Redeliver(w.ctx, w.ours.appID, w.only(e).ID)
			w.must(err)
		},
		"another address": func(w *fixture, e *models.WebhookEndpoint) {
			url := e.URL + "/elsewhere"
			w.change(e, notify.Request{URL: &url})
		},
		"enabled": func(w *fixture, e *models.WebhookEndpoint) { w.enable(e) },
	} {
		t.Run(name, func(t *testing.T) {
			each(t, func(w *fixture) {
				r := w.receiver(status(http.StatusServiceUnavailable))
				e, _ := w.endpoint(r.URL)
				w.news()
				w.tick()
				r.wantCalls(1)
				r.answers(nil)
				w.tick()
				r.wantCalls(1) // it waits
				ask(w, e)
				w.tick()
				r.wantCalls(2)
				w.wantStates(e, models.DeliveryDelivered)
			})
		})
	}
}

// After 410 no more calls are made, even if more than one batch is due.
func TestGoneEndsTheRun(t *testing.T) {
	each(t, func(w *fixture) {
		r := w.receiver(status(http.StatusGone))
		e, _ := w.endpoint(r.URL)
		for range 20 {
			w.news()
		}
		w.tick()
		r.wantCalls(8)
		w.wantDisabled(e, "410")
	})
}
