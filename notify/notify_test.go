package notify_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"socialqueue/db"
	"socialqueue/egress"
	"socialqueue/models"
	"socialqueue/notify"
	"socialqueue/oauth"
	"socialqueue/secrets"
	"socialqueue/view"
)

func TestDelivered(t *testing.T) {
	each(t, func(w *world) {
		r := w.receiver(nil)
		e, secret := w.endpoint(r.URL + "/hooks?token=of-theirs")
		_, other := w.endpointOf(w.theirs, r.URL)
		p := w.news()
		w.clock.advance(1500 * time.Millisecond)
		w.tick()
		r.wantCalls(1)
		m, d := r.next(), w.only(e)
		for name, want := range map[string]string{
			"Content-Type": "application/json", "User-Agent": "socialqueue", "X-Request-Id": "req-1",
			"Webhook-Id": d.EventID, "Webhook-Timestamp": fmt.Sprint(epoch.Unix() + 1),
		} {
			if got := m.header.Values(name); !slices.Equal(got, []string{want}) {
				t.Errorf("%s = %q, want %q", name, got, want)
			}
		}
		if !m.verifies(secret) || m.verifies(other) {
			t.Errorf("the signature %q is not that of the endpoint's secret alone", m.header.Get("Webhook-Signature"))
		}
		post := view.OfPost(w.reload(p), epoch)
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
		w.clock.advance(time.Hour)
		if n := w.tick(); n != 0 {
			t.Errorf("%d runs for nothing", n)
		}
		r.wantCalls(1)
	})
}

// A receiver tells by webhook-id that it has an event already; the timestamp is that
// of the try, as receivers refuse old ones.
func TestRetriesKeepTheID(t *testing.T) {
	each(t, func(w *world) {
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

func TestBothSecretsForADay(t *testing.T) {
	each(t, func(w *world) {
		r := w.receiver(nil)
		e, old := w.endpoint(r.URL)
		rotated, fresh, err := w.Rotate(w.ctx, w.ours.appID, e.ID)
		w.must(err)
		if fresh == old || !rotated.OldSecretUntil.Equal(epoch.Add(24*time.Hour)) {
			t.Errorf("the old secret is good until %v", rotated.OldSecretUntil)
		}
		for _, c := range []struct {
			after time.Duration
			old   bool
		}{{0, true}, {24 * time.Hour, true}, {24*time.Hour + time.Second, false}} {
			w.clock.set(epoch.Add(c.after))
			w.news()
			w.tick()
			m := r.next()
			if !m.verifies(fresh) || m.verifies(old) != c.old {
				t.Errorf("after %s the new secret verifies: %t, the old one: %t, want %t", c.after, m.verifies(fresh), m.verifies(old), c.old)
			}
		}
		// Of three in a day the last two are good.
		_, second, err := w.Rotate(w.ctx, w.ours.appID, e.ID)
		w.must(err)
		_, third, err := w.Rotate(w.ctx, w.ours.appID, e.ID)
		w.must(err)
		w.news()
		w.tick()
		if m := r.next(); m.verifies(fresh) || !m.verifies(second) || !m.verifies(third) {
			t.Errorf("three secrets verify: %t, %t, %t", m.verifies(fresh), m.verifies(second), m.verifies(third))
		}
	})
}

func TestWhatCountsAsDelivered(t *testing.T) {
	each(t, func(w *world) {
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

// The whole way of an event that nobody takes, and its end.
func TestTriedFor72Hours(t *testing.T) {
	each(t, func(w *world) {
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
		if last := tries[len(tries)-1].At; !last.Equal(epoch.Add(72 * time.Hour)) {
			t.Errorf("the last try was at %s", last)
		}
		if d := w.only(e); d.Status != models.DeliveryFailed || d.NextAt != nil || !d.SettledAt.Equal(w.clock.Now()) || d.Attempts != len(tries) {
			t.Errorf("delivery %+v", d)
		}
		w.wantEnabled(e)
		w.clock.advance(24 * time.Hour)
		w.tick()
		r.wantCalls(len(tries))
	})
}

// While nobody listens, that costs one call each time, however many deliveries wait.
// When somebody does, everything arrives once, and of one post in its order.
func TestEndpointThatIsDown(t *testing.T) {
	each(t, func(w *world) {
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
			w.clock.advance(time.Second)
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
		r.Server = &httptest.Server{Listener: l, Config: &http.Server{Handler: r, ReadHeaderTimeout: soon}}
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
		if now := w.stored(e); now.Failures != 0 || now.FailingSince != nil || now.RestUntil != nil || now.LeaseUntil != nil {
			t.Errorf("the endpoint works, and is %+v", now)
		}
	})
}

// wantOrder checks that of every post the events came in the order in which they
// happened, each once.
func (w *world) wantOrder(e *models.WebhookEndpoint, r *receiver) {
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

// A receiver that does not come to an end is not waited for. What it answered
// counts, though.
func TestReceiverThatHangs(t *testing.T) {
	for name, c := range map[string]struct {
		begins int // 0 is not at all
		state  models.DeliveryStatus
		err    string
	}{
		"without an answer":      {0, models.DeliveryPending, "no answer within 100ms"},
		"in the middle of 500":   {500, models.DeliveryPending, "answered 500: no answer within 100ms"},
		"in the middle of 200":   {200, models.DeliveryDelivered, ""},
		"in the middle of a 302": {302, models.DeliveryPending, "answered 302; redirects are not followed"},
	} {
		t.Run(name, func(t *testing.T) {
			each(t, func(w *world) {
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

// 410 ends it: whatever else waits is not called. Enabled again, all of it goes on.
func TestGone(t *testing.T) {
	each(t, func(w *world) {
		r := w.receiver(status(http.StatusGone))
		e, _ := w.endpoint(r.URL)
		w.happens(w.post(), 3)
		w.tick()
		r.wantCalls(1)
		w.wantDisabled(e, "410 Gone")
		for range 20 {
			w.clock.advance(time.Hour)
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

// Of several calls side by side one answers 410 and the other works: it is gone,
// whichever of them that was.
func TestGoneAmongOthers(t *testing.T) {
	for i := range 2 {
		t.Run(fmt.Sprint("call ", i), func(t *testing.T) {
			each(t, func(w *world) {
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

// Whoever asks for time gets it, for all that waits.
func TestRetryAfter(t *testing.T) {
	const day, usual = 24 * time.Hour, 5 * time.Second
	in := func(d time.Duration) func(time.Time) string {
		return func(now time.Time) string { return now.Add(d).Format(http.TimeFormat) }
	}
	exactly := func(header string) func(time.Time) string { return func(time.Time) string { return header } }
	each(t, func(w *world) {
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
			w.clock.set(now)
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
			w.clock.set(now.Add(c.wait - time.Millisecond))
			w.tick()
			r.wantCalls(1)
			w.clock.set(d.NextAt.Add(c.wait / 10)) // the endpoint's own rest is spread too
			w.tick()
			for _, d := range w.deliveries(e) {
				if d.Status != models.DeliveryDelivered {
					t.Errorf("%s: delivery %+v", name, d)
				}
			}
			w.must(w.db.DeleteEndpoint(w.ctx, e.AppID, e.ID, now))
			w.clock.advance(day)
		}
	})
}

// What fails for five days is switched off and says why; one success on the way
// begins the days anew.
func TestFiveDaysOfFailures(t *testing.T) {
	for name, works := range map[string]time.Duration{"nothing works": 0, "something worked on the third day": 3 * 24 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			each(t, func(w *world) {
				r := w.receiver(status(502))
				e, _ := w.endpoint(r.URL)
				const step = 6 * time.Hour
				for w.stored(e).Status == models.EndpointEnabled {
					if w.clock.Now().Sub(epoch) > works+6*24*time.Hour {
						t.Fatal("it is never disabled")
					}
					w.news()
					w.tick()
					if w.clock.Now().Sub(epoch) == works && works > 0 {
						r.answers(nil)
						w.clock.advance(10 * time.Minute) // it rests
						w.tick()
						r.answers(status(502))
						w.clock.advance(-10 * time.Minute)
					}
					w.clock.advance(step)
				}
				days := w.clock.Now().Add(-step).Sub(epoch.Add(works))
				if days < 5*24*time.Hour || days > 5*24*time.Hour+step {
					t.Errorf("disabled after %s", days)
				}
				w.wantDisabled(e, "5 days")
				w.wantDisabled(e, "answered 502")
				calls := len(r.messages())
				w.clock.advance(24 * time.Hour)
				w.tick()
				r.wantCalls(calls)

				r.answers(nil)
				w.enable(e)
				if now := w.stored(e); now.FailingSince != nil || now.Failures != 0 || now.RestUntil != nil {
					t.Errorf("enabled again it is %+v", now)
				}
			})
		})
	}
}

// A redirect would send the event to somebody who was not asked for, maybe within
// our own network.
func TestRedirectsAreNotFollowed(t *testing.T) {
	each(t, func(w *world) {
		elsewhere := w.receiver(nil)
		for _, code := range []int{301, 302, 303, 307, 308} {
			for _, to := range []string{elsewhere.URL, "http://169.254.169.254/latest", "/same"} {
				r := w.receiver(func(rw http.ResponseWriter, _ message) {
					rw.Header().Set("Location", to)
					rw.WriteHeader(code)
				})
				e, _ := w.endpoint(r.URL)
				_, err := w.Test(w.ctx, w.ours.appID, e.ID)
				w.must(err)
				w.tick()
				r.wantCalls(1)
				w.wantStates(e, models.DeliveryPending)
				if a := w.last(e); a.StatusCode != code || a.Error != fmt.Sprintf("answered %d; redirects are not followed", code) {
					t.Errorf("%d to %s is kept as %+v", code, to, a)
				}
			}
		}
		elsewhere.wantCalls(0)
	})
}

// What leads into a private network is refused when it is asked for.
func TestPrivateAddressesAreRefused(t *testing.T) {
	each(t, func(w *world) {
		w.build(oldKeys, egress.New(false))
		for _, host := range []string{
			"localhost", "127.0.0.1", "10.0.0.1", "192.168.1.1", "172.16.0.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1", "255.255.255.255",
			"[::1]", "[::]", "[fd00::1]", "[fe80::1]", "[::ffff:127.0.0.1]", "[::ffff:10.0.0.1]", "[64:ff9b::a00:1]", "[2002:7f00:1::]",
			"2130706433", "0x7f000001", "0x7f.1", "127.1", "0177.0.0.1", "localhost:8443", "10.0.0.1:443",
		} {
			url := "https://" + host + "/hooks"
			_, _, err := w.Create(w.ctx, w.ours.appID, notify.Request{URL: &url}, nil)
			wantField(t, host, err, "url")
		}
		public := "https://93.184.215.14/hooks"
		e, _, err := w.Create(w.ctx, w.ours.appID, notify.Request{URL: &public}, nil)
		w.must(err)
		private := "https://10.0.0.1"
		_, err = w.Change(w.ctx, w.ours.appID, e.ID, notify.Request{URL: &private})
		wantField(t, "a change", err, "url")
		if all, err := w.db.Endpoints(w.ctx, w.ours.appID); err != nil || len(all) != 1 || all[0].URL != public {
			t.Errorf("stored %+v, %v", all, err)
		}
	})
}

func wantField(t *testing.T, what string, err error, field string) {
	t.Helper()
	var errs models.FieldErrors
	if !errors.As(err, &errs) || len(errs) != 1 || errs[0].Field != field {
		t.Errorf("%s: %v, want an error of %s", what, err, field)
	}
}

// A name may lead elsewhere later than when it was looked at: no connection is made.
func TestPrivateAddressesAreNotDialed(t *testing.T) {
	each(t, func(w *world) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		w.must(err)
		defer l.Close()
		_, port, err := net.SplitHostPort(l.Addr().String())
		w.must(err)
		var endpoints []*models.WebhookEndpoint
		for _, host := range []string{"127.0.0.1", "localhost", "[::ffff:127.0.0.1]"} {
			e, _ := w.endpoint("http://" + host + ":" + port + "/?token=x") // as if it had been public then
			endpoints = append(endpoints, e)
		}
		w.build(oldKeys, egress.New(false))
		w.news()
		w.tick()
		for _, e := range endpoints {
			w.wantStates(e, models.DeliveryPending)
			if a := w.last(e); a.StatusCode != 0 || a.Error != "the address is not public" {
				t.Errorf("%s: attempt %+v", e.URL, a)
			}
		}
		// A connection would wait to be accepted.
		w.must(l.(*net.TCPListener).SetDeadline(time.Now().Add(50 * time.Millisecond)))
		if conn, err := l.Accept(); err == nil {
			_ = conn.Close()
			t.Error("a private address was dialed")
		}
	})
}

// The beginning of an answer is kept, as text that both databases store.
func TestResponseIsKept(t *testing.T) {
	for code, state := range map[int]models.DeliveryStatus{200: models.DeliveryDelivered, 400: models.DeliveryPending} {
		t.Run(fmt.Sprint(code), func(t *testing.T) {
			each(t, func(w *world) {
				r := w.receiver(func(rw http.ResponseWriter, _ message) {
					rw.WriteHeader(code)
					_, _ = rw.Write(append([]byte("ünknown\x00 p\xff\xfeost "), bytes.Repeat([]byte("0123456789abcdef"), 1<<16)...))
				})
				e, _ := w.endpoint(r.URL)
				w.news()
				w.tick()
				w.wantStates(e, state)
				a := w.last(e)
				if !strings.HasPrefix(a.Response, "ünknown p\uFFFDost 0123") || !utf8.ValidString(a.Response) || strings.Contains(a.Response, "\x00") {
					t.Errorf("kept %.60q", a.Response)
				}
				if n := len(a.Response); n < 4000 || n > 4096 {
					t.Errorf("kept %d bytes", n)
				}
			})
		})
	}
}

// Of one post the next event waits for the one before; other posts do not wait.
func TestOrderOfOnePost(t *testing.T) {
	each(t, func(w *world) {
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
		w.clock.advance(2 * time.Second)
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

// One that is given up does not hold its post up any longer.
func TestGivenUpDoesNotBlock(t *testing.T) {
	each(t, func(w *world) {
		r := w.receiver(status(500))
		e, _ := w.endpoint(r.URL)
		p := w.post()
		w.happens(p, 1)
		w.clock.advance(time.Hour)
		w.happens(p, 1)
		for w.deliveries(e)[0].Status == models.DeliveryPending {
			w.nextTick(e)
		}
		r.answers(nil)
		w.nextTick(e)
		w.wantStates(e, models.DeliveryFailed, models.DeliveryDelivered)
	})
}

// An event that the receiver cannot take says nothing of the others.
func TestPoisonEvent(t *testing.T) {
	each(t, func(w *world) {
		poison := w.post()
		r := w.receiver(func(rw http.ResponseWriter, m message) {
			if m.event.Post.ID == poison.ID {
				rw.WriteHeader(500)
			}
		})
		e, _ := w.endpoint(r.URL)
		w.happens(poison, 1)
		for w.clock.Now().Before(epoch.Add(7 * 24 * time.Hour)) {
			w.news()
			w.tick()
			w.clock.advance(330 * time.Second) // the longest rest
			w.tick()
			if all := w.deliveries(e); all[len(all)-1].Status != models.DeliveryDelivered {
				t.Fatalf("%s: not delivered for minutes", w.clock.Now())
			}
			w.clock.advance(2 * time.Hour)
		}
		w.wantEnabled(e)
		if d := w.deliveries(e)[0]; d.Status != models.DeliveryFailed {
			t.Errorf("the event is %+v", d)
		}
	})
}

// Whoever does not answer keeps nobody else waiting.
func TestSlowEndpointDelaysNoOther(t *testing.T) {
	each(t, func(w *world) {
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
		for _, r := range w.queue.take() {
			running[r.ID] = w.goDeliver(r, nil)
		}
		for range 8 {
			slow.next()
		}
		w.within("the delivery to the quick one", running[b.ID])
		quick.wantCalls(3)
		slow.wantCalls(8) // it is asked for no more than this at once
		w.happens(w.postOf(w.theirs), 1)
		w.tick()
		quick.wantCalls(4)
		release()
		w.within("the delivery to the slow one", running[a.ID])
		slow.wantCalls(20)
	})
}

// Two runs for one endpoint: the second does nothing while the first lives. When the
// first was not heard of for too long another takes over; what was sent twice counts
// once, and the first changes nothing any more.
func TestOneRunAtATime(t *testing.T) {
	each(t, func(w *world) {
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

		w.clock.advance(61 * time.Second)
		r.answers(nil)
		if n := w.tick(); n != 1 {
			t.Errorf("%d runs took over", n)
		}
		r.wantCalls(2)
		release()
		w.within("the first run", first)
		w.wantStates(e, models.DeliveryDelivered)
		if d := w.only(e); d.Attempts != 1 || len(w.attempts(d)) != 1 || w.last(e).StatusCode != 204 {
			t.Errorf("delivery %+v with the tries %+v", d, w.attempts(d))
		}
		if now := w.stored(e); now.Failures != 0 || now.LeaseUntil != nil || now.Fence != 2 {
			t.Errorf("the endpoint is %+v", now)
		}
	})
}

// A worker that stops ends what it began, and leaves the rest to the next.
func TestDrain(t *testing.T) {
	each(t, func(w *world) {
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

// A run has its turn, so that one who is told much does not keep a place for good.
func TestTurn(t *testing.T) {
	each(t, func(w *world) {
		r := w.receiver(func(http.ResponseWriter, message) { w.clock.advance(5 * time.Second) })
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

// A run that is cut off says nothing of the endpoint, and what it did not end is made
// again.
func TestRunThatIsCutOff(t *testing.T) {
	each(t, func(w *world) {
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
		if now := w.stored(e); now.Failures != 0 || now.RestUntil != nil {
			t.Errorf("the endpoint is %+v", now)
		}
		r.answers(nil)
		w.clock.advance(61 * time.Second) // its lease
		w.tick()
		w.wantStates(e, models.DeliveryDelivered)
	})
}

// What the app does to an endpoint while it is told counts at once.
func TestChangedInTheMiddle(t *testing.T) {
	disabled, elsewhere := models.EndpointDisabled, ""
	for name, c := range map[string]struct {
		change func(w *world, e *models.WebhookEndpoint) error
		calls  int
		moved  int // calls of another receiver
	}{
		"disabled": {func(w *world, e *models.WebhookEndpoint) error {
			_, err := w.Change(w.ctx, e.AppID, e.ID, notify.Request{Status: &disabled})
			return err
		}, 8, 0},
		"deleted": {func(w *world, e *models.WebhookEndpoint) error {
			return w.db.DeleteEndpoint(w.ctx, e.AppID, e.ID, epoch)
		}, 8, 0},
		"moved": {func(w *world, e *models.WebhookEndpoint) error {
			_, err := w.Change(w.ctx, e.AppID, e.ID, notify.Request{URL: &elsewhere})
			return err
		}, 8, 12},
		"rotated": {func(w *world, e *models.WebhookEndpoint) error {
			_, _, err := w.Rotate(w.ctx, e.AppID, e.ID)
			return err
		}, 20, 0},
	} {
		t.Run(name, func(t *testing.T) {
			each(t, func(w *world) {
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
				w.clock.advance(time.Hour)
				w.tick()
				r.wantCalls(c.calls)
				other.wantCalls(c.moved)
			})
		})
	}
}

// What belongs to a deleted endpoint goes with the next clean-up, and it as well.
func TestDeletedEndpointIsCleanedUp(t *testing.T) {
	each(t, func(w *world) {
		r := w.receiver(status(500))
		e, _ := w.endpoint(r.URL)
		kept, _ := w.endpoint(r.URL)
		w.news()
		w.tick()
		gone := w.deliveries(e)[0]
		w.must(w.db.DeleteEndpoint(w.ctx, e.AppID, e.ID, epoch))
		w.must(w.CleanUp(w.ctx))
		if len(w.deliveries(e)) != 0 || len(w.attempts(gone)) != 0 {
			t.Error("deliveries of a deleted endpoint are kept")
		}
		if d := w.only(kept); d.Status != models.DeliveryPending || len(w.attempts(d)) != 1 {
			t.Errorf("another endpoint's delivery is %+v", d)
		}
		// Its row is gone: its id is free again.
		w.must(w.db.CreateEndpoint(w.ctx, &models.WebhookEndpoint{
			ID: e.ID, AppID: e.AppID, URL: r.URL, Secret: "sealed", Status: models.EndpointEnabled, CreatedAt: epoch, UpdatedAt: epoch,
		}, 20, nil))
	})
}

func TestDeliveriesAreKeptFor30Days(t *testing.T) {
	each(t, func(w *world) {
		r := w.receiver(nil)
		e, _ := w.endpoint(r.URL)
		w.news()
		w.tick()
		old := w.only(e)
		w.clock.set(epoch.Add(30 * 24 * time.Hour))
		w.news()
		w.must(w.CleanUp(w.ctx))
		w.wantStates(e, models.DeliveryDelivered, models.DeliveryPending)
		w.clock.advance(time.Second)
		w.must(w.CleanUp(w.ctx))
		w.wantStates(e, models.DeliveryPending)
		if len(w.attempts(old)) != 0 {
			t.Error("tries of a deleted delivery are kept")
		}
	})
}

// What nobody could try, as its endpoint was disabled, is given up all the same.
func TestGivenUpWithoutATry(t *testing.T) {
	each(t, func(w *world) {
		e, _ := w.endpoint("http://127.0.0.1:1")
		w.news()
		disabled := models.EndpointDisabled
		w.change(e, notify.Request{Status: &disabled})
		w.clock.set(epoch.Add(73 * time.Hour))
		w.must(w.CleanUp(w.ctx))
		w.wantStates(e, models.DeliveryPending)
		w.clock.advance(time.Second)
		w.must(w.CleanUp(w.ctx))
		w.wantStates(e, models.DeliveryFailed)
	})
}

// Secrets of ours and of the app, which may be in its address, are not shown: not in
// logs, not in errors, not in what is kept of a try.
func TestNothingSecretIsShown(t *testing.T) {
	each(t, func(w *world) {
		const token = "hunter2" //nolint:gosec // what is looked for
		released, release := gate()
		var endpoints []*models.WebhookEndpoint
		hidden := []string{token}
		for _, url := range []string{
			w.receiver(nil).URL, w.receiver(status(500)).URL, w.receiver(status(302)).URL, w.receiver(status(410)).URL,
			w.receiver(func(http.ResponseWriter, message) { <-released }).URL,
			"http://127.0.0.1:1", "https" + strings.TrimPrefix(w.receiver(nil).URL, "http"), // no TLS is spoken there
		} {
			e, secret := w.endpoint(url + "/" + token + "?" + token)
			endpoints, hidden = append(endpoints, e), append(hidden, strings.TrimPrefix(secret.Reveal(), "whsec_"))
		}
		for _, url := range []string{"http://[::1/?" + token, "http://nosuchhost.invalid/?" + token, "ftp://127.0.0.1/?" + token} {
			e, _ := w.endpoint("http://127.0.0.1:1") // and then a fault of ours
			w.must(w.db.ChangeEndpoint(w.ctx, e.AppID, e.ID, db.EndpointChange{URL: &url}, epoch))
			endpoints = append(endpoints, e)
		}
		t.Cleanup(release)
		w.SetCallTimeout(200 * time.Millisecond)
		for range 2 {
			w.news()
			w.tick()
			_, secret, err := w.Rotate(w.ctx, w.ours.appID, endpoints[0].ID)
			w.must(err)
			hidden = append(hidden, strings.TrimPrefix(secret.Reveal(), "whsec_"))
			w.clock.advance(time.Hour)
		}
		release()
		var shown strings.Builder
		shown.WriteString(w.logs.String())
		for _, e := range endpoints {
			now := w.stored(e)
			shown.WriteString(now.StatusReason)
			for i, d := range w.deliveries(e) {
				if i == 0 && d.Attempts == 0 {
					t.Errorf("delivery %d was not tried", d.ID)
				}
				for _, a := range w.attempts(d) {
					shown.WriteString(a.Error + a.Response)
				}
			}
		}
		for _, secret := range hidden {
			if strings.Contains(shown.String(), secret) {
				t.Errorf("%s is shown in %s", secret, shown.String())
			}
		}
		for line := range strings.Lines(w.logs.String()) {
			if !json.Valid([]byte(line)) {
				t.Errorf("logged %q", line)
			}
		}
	})
}

// When our keys rotate, endpoints keep their secrets, the old ones too.
func TestKeyRotation(t *testing.T) {
	each(t, func(w *world) {
		r := w.receiver(nil)
		e, old := w.endpoint(r.URL)
		_, fresh, err := w.Rotate(w.ctx, w.ours.appID, e.ID)
		w.must(err)
		accounts := oauth.New(oauth.Deps{DB: w.db, Keys: w.ring(newKeys + "," + oldKeys), Now: w.clock.Now})
		rotated, err := accounts.RotateKeys(w.ctx, func(oauth.Rotation) {})
		w.must(err)
		if len(rotated.Unreadable) != 0 {
			t.Errorf("rotation %+v", rotated)
		}
		w.build(newKeys, egress.New(true)) // the old key is gone
		w.news()
		w.tick()
		if m := r.next(); !m.verifies(fresh) || !m.verifies(old) {
			t.Error("a secret of the endpoint changed")
		}
	})
}

// A secret that no key opens is our own trouble: nothing is sent unsigned, and
// nothing is lost.
func TestMissingKey(t *testing.T) {
	each(t, func(w *world) {
		r := w.receiver(nil)
		e, secret := w.endpoint(r.URL)
		w.news()
		w.build(newKeys, egress.New(true))
		if err := w.Deliver(w.ctx, w.run(e), nil); err == nil || strings.Contains(err.Error(), "whsec") {
			t.Errorf("err = %v", err)
		}
		r.wantCalls(0)
		w.wantEnabled(e)
		if n := w.tick(); n != 0 {
			t.Error("it is tried again at once")
		}
		w.build(oldKeys, egress.New(true))
		w.clock.advance(6 * time.Minute)
		w.tick()
		if m := r.next(); !m.verifies(secret) {
			t.Error("the signature is not that of the endpoint")
		}
		w.wantStates(e, models.DeliveryDelivered)
	})
}

// What was delivered, or given up, can be sent once more: it is the same event.
func TestRedeliver(t *testing.T) {
	each(t, func(w *world) {
		r := w.receiver(nil)
		e, _ := w.endpoint(r.URL)
		w.news()
		w.tick()
		w.clock.advance(100 * time.Hour)
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

// Two requests rotate at once: each secret that was shown is one that signs.
func TestRotationsAtOnce(t *testing.T) {
	each(t, func(w *world) {
		r := w.receiver(nil)
		e, first := w.endpoint(r.URL)
		shown := make(chan secrets.Secret, 2)
		var both sync.WaitGroup
		for range 2 {
			both.Go(func() {
				_, secret, err := w.Rotate(w.ctx, w.ours.appID, e.ID)
				if err == nil {
					shown <- secret
				} else if !errors.Is(err, notify.ErrConflict) {
					t.Error(err)
				}
			})
		}
		both.Wait()
		close(shown)
		good := []secrets.Secret{}
		for secret := range shown {
			good = append(good, secret)
		}
		w.news()
		w.tick()
		m := r.next()
		for _, secret := range good {
			if !m.verifies(secret) {
				t.Error("a secret that was shown does not sign")
			}
		}
		if len(good) == 0 || len(good) == 1 && !m.verifies(first) {
			t.Errorf("%d secrets were shown", len(good))
		}
	})
}

// Whoever asks for a delivery, mends the address or enables the endpoint does not wait
// for what an earlier failure made us wait for.
func TestAtOnceAfterAFailure(t *testing.T) {
	for name, ask := range map[string]func(w *world, e *models.WebhookEndpoint){
		"redeliver": func(w *world, e *models.WebhookEndpoint) {
			_, err := w.Redeliver(w.ctx, w.ours.appID, w.only(e).ID)
			w.must(err)
		},
		"another address": func(w *world, e *models.WebhookEndpoint) {
			url := e.URL + "/elsewhere"
			w.change(e, notify.Request{URL: &url})
		},
		"enabled": func(w *world, e *models.WebhookEndpoint) { w.enable(e) },
	} {
		t.Run(name, func(t *testing.T) {
			each(t, func(w *world) {
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

// An endpoint that is gone is called no more, though there is more for it than one
// batch.
func TestGoneEndsTheRun(t *testing.T) {
	each(t, func(w *world) {
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
