package notify_test

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"socialqueue/egress"
	"socialqueue/models"
	"socialqueue/notify"
	"socialqueue/test/testkit"
)

// A redirect would send the event to another host, perhaps in our own network.
func TestRedirectsAreNotFollowed(t *testing.T) {
	each(t, func(w *fixture) {
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

// An address in a private network is refused when the endpoint is created or changed.
func TestPrivateAddressesAreRefused(t *testing.T) {
	each(t, func(w *fixture) {
		w.build(testkit.Key, egress.New(false))
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
		if all, err := w.db.Outbox.Endpoints(w.ctx, w.ours.appID); err != nil || len(all) != 1 || all[0].URL != public {
			t.Errorf("stored %+v, %v", all, err)
		}
	})
}

// The error does not tell whether a name exists in our network.
func TestUnknownHostsLookLikePrivateOnes(t *testing.T) {
	each(t, func(w *fixture) {
		w.build(testkit.Key, egress.New(false))
		var texts []string
		for _, host := range []string{"10.0.0.1", "localhost", "no..such.host"} { // the last one is looked up nowhere
			url := "https://" + host + "/hooks"
			_, _, err := w.Create(w.ctx, w.ours.appID, notify.Request{URL: &url}, nil)
			wantField(t, host, err, "url")
			texts = append(texts, err.Error())
		}
		if texts[0] != texts[1] || texts[1] != texts[2] {
			t.Errorf("the errors differ: %q", texts)
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

// A name may resolve to another address later: a private one is not dialed.
func TestPrivateAddressesAreNotDialed(t *testing.T) {
	each(t, func(w *fixture) {
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
		w.build(testkit.Key, egress.New(false))
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

// The beginning of an answer is stored, as text that both databases accept.
func TestResponseIsKept(t *testing.T) {
	for code, state := range map[int]models.DeliveryStatus{200: models.DeliveryDelivered, 400: models.DeliveryPending} {
		t.Run(fmt.Sprint(code), func(t *testing.T) {
			each(t, func(w *fixture) {
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
