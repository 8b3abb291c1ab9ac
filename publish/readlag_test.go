package publish_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"socialqueue/models"
	"socialqueue/sandbox"
)

// TestRefusalWithEffectAndALaggingRead: media_publish took effect, answered with
// an error, and the read right behind it comes from a replica that lags.
func TestRefusalWithEffectAndALaggingRead(t *testing.T) {
	for _, r := range refusals {
		if r.code == 190 {
			continue // the account waits for a new token first
		}
		t.Run(fmt.Sprintf("%d %d", r.code, r.subcode), func(t *testing.T) {
			t.Parallel()
			w := onSQLite(t)
			w.sim.Script(sandbox.Fault{Op: sandbox.OpInstagramPublish, Mode: sandbox.ModeError, Code: fmt.Sprint(r.code), Subcode: r.subcode, After: true})
			lag := 1
			w.wire.Intercept(func(q *http.Request) (*http.Response, error) {
				if strings.Contains(q.URL.RawQuery, "status_code") && len(w.sim.LivePosts()) > 0 && lag > 0 {
					lag--
					return answer(http.StatusOK, `{"status_code":"FINISHED","status":"Finished: ready"}`), nil
				}
				return nil, nil
			})
			p := w.settle(w.accept(instagramImage))
			w.wantLive(1)
			w.wantStatus(p, models.Published)
		})
	}
}

// TestRefusedWhileContainersCannotBeRead: a read outage is no reason to give a
// post up that did not go out yet; the same container is published again.
func TestRefusedWhileContainersCannotBeRead(t *testing.T) {
	for name, fault := range map[string]sandbox.Fault{
		"not ready":     {Op: sandbox.OpInstagramPublish, Mode: sandbox.ModeError, Code: "9007", Subcode: 2207027},
		"not found":     {Op: sandbox.OpInstagramPublish, Mode: sandbox.ModeError, Code: "24", Subcode: 2207006},
		"throttled":     {Op: sandbox.OpInstagramPublish, Mode: sandbox.ModeRateLimit},
		"quota":         {Op: sandbox.OpInstagramPublish, Mode: sandbox.ModeError, Code: "9", Subcode: 2207042},
		"never arrives": {Op: sandbox.OpInstagramPublish, Mode: sandbox.ModeReset},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := onSQLite(t)
			w.sim.Script(outage(-1), fault)
			p := w.settle(w.accept(instagramImage))
			w.wantLive(1)
			w.wantStatus(p, models.Published)
		})
	}
}
