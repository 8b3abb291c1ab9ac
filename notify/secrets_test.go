package notify_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"socialqueue/db"
	"socialqueue/egress"
	"socialqueue/models"
	"socialqueue/notify"
	"socialqueue/oauth"
	"socialqueue/secrets"
	"socialqueue/test/testkit"
)

func TestBothSecretsForADay(t *testing.T) {
	each(t, func(w *fixture) {
		r := w.receiver(nil)
		e, old := w.endpoint(r.URL)
		rotated, fresh, err := w.Rotate(w.ctx, w.ours.appID, e.ID)
		w.must(err)
		if fresh == old || !rotated.OldSecretUntil.Equal(testkit.Epoch.Add(24*time.Hour)) {
			t.Errorf("the old secret is good until %v", rotated.OldSecretUntil)
		}
		for _, c := range []struct {
			after time.Duration
			old   bool
		}{{0, true}, {24 * time.Hour, true}, {24*time.Hour + time.Second, false}} {
			w.clock.Set(testkit.Epoch.Add(c.after))
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

// Our secrets and the app's, which may be in its address, appear neither in logs nor in
// errors nor in stored attempts.
func TestNothingSecretIsShown(t *testing.T) {
	each(t, func(w *fixture) {
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
			w.must(w.db.Outbox.ChangeEndpoint(w.ctx, e.AppID, e.ID, db.EndpointChange{URL: &url}, testkit.Epoch))
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
			w.clock.Advance(time.Hour)
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

// After a rotation of our keys, endpoints keep their secrets, including the old ones.
func TestKeyRotation(t *testing.T) {
	each(t, func(w *fixture) {
		r := w.receiver(nil)
		e, old := w.endpoint(r.URL)
		_, fresh, err := w.Rotate(w.ctx, w.ours.appID, e.ID)
		w.must(err)
		accounts := oauth.New(oauth.Deps{DB: w.db, Keys: testkit.Keyring(w.t, newKeys+","+testkit.Key), Now: w.clock.Now})
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

// A secret that no key decrypts is an internal error: nothing is sent unsigned, and nothing
// is lost.
func TestMissingKey(t *testing.T) {
	each(t, func(w *fixture) {
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
		w.build(testkit.Key, egress.New(true))
		w.clock.Advance(6 * time.Minute)
		w.tick()
		if m := r.next(); !m.verifies(secret) {
			t.Error("the signature is not that of the endpoint")
		}
		w.wantStates(e, models.DeliveryDelivered)
	})
}

// Two concurrent rotations: every secret that was returned signs.
func TestRotationsAtOnce(t *testing.T) {
	each(t, func(w *fixture) {
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
