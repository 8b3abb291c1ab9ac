package publish_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"socialqueue/models"
	"socialqueue/sandbox"
)

// TestPowerCutAtEveryCall ends the process before and after every request of
// every flow: the post goes live once all the same.
func TestPowerCutAtEveryCall(t *testing.T) {
	for _, f := range flows {
		calls := callsOf(t, f)
		for n := range calls {
			for _, after := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s/call %d of %d, answered %v", f.name, n+1, calls, after), func(t *testing.T) {
					w := onSQLite(t)
					w.wire.CutPower(n, after)
					p := w.settle(w.accept(f))
					w.wantLive(1)
					w.wantStatus(p, models.Published)
					if p.Attempts > 1 {
						t.Errorf("%d attempts used up by one crash: %s", p.Attempts, w.story(p))
					}
				})
			}
		}
	}
}

// TestStopAtTheLastChunkUsesNoAttempt: the process is stopped while the last chunk gets no
// answer. The next run comes at once, waits until that call can no longer arrive, and makes
// it again; the post pays nothing for it.
func TestStopAtTheLastChunkUsesNoAttempt(t *testing.T) {
	w := onSQLite(t)
	stopped := false
	w.wire.Intercept(func(r *http.Request) (*http.Response, error) {
		if stopped || !strings.Contains(r.URL.Path, "tiktok-upload") {
			return nil, nil
		}
		stopped = true
		close(w.drain)
		return nil, io.ErrUnexpectedEOF
	})
	p := w.accept(tiktokVideo)
	w.step()
	w.wantStatus(p, models.Publishing)
	w.drain = make(chan struct{})
	p = w.settle(p)
	w.wantStatus(p, models.Published)
	w.wantLive(1)
	if p.Attempts != 0 || w.sim.CountCalls(sandbox.OpTikTokInit) != 1 {
		t.Errorf("%d attempts, %d uploads; want none and one: %s", p.Attempts, w.sim.CountCalls(sandbox.OpTikTokInit), w.story(p))
	}
}

// callsOf counts the requests of an undisturbed flow.
func callsOf(t *testing.T, f flow) int {
	t.Helper()
	w := onSQLite(t)
	w.settle(w.accept(f))
	return w.wire.Calls()
}

func opsOf(f flow) []string {
	switch f.name {
	case tiktokVideo.name:
		return []string{sandbox.OpTikTokCreatorInfo, sandbox.OpTikTokInit, sandbox.OpTikTokChunk, sandbox.OpTikTokStatus}
	case instagramImage.name, instagramImageStory.name:
		return []string{sandbox.OpInstagramQuota, sandbox.OpInstagramContainer, sandbox.OpInstagramContainerStatus, sandbox.OpInstagramPublish, sandbox.OpInstagramPermalink}
	default:
		return []string{
			sandbox.OpInstagramQuota, sandbox.OpInstagramContainer, sandbox.OpInstagramUpload, sandbox.OpInstagramContainerStatus,
			sandbox.OpInstagramPublish, sandbox.OpInstagramPermalink,
		}
	}
}

// TestTroubleAtEveryCall meets every call with every kind of passing trouble,
// with and without the effect having happened.
func TestTroubleAtEveryCall(t *testing.T) {
	troubles := []sandbox.Fault{
		{Mode: sandbox.ModeReset},
		{Mode: sandbox.ModeReset, After: true},
		{Mode: sandbox.ModeStatus, Status: http.StatusServiceUnavailable},
		{Mode: sandbox.ModeStatus, Status: http.StatusBadGateway, After: true},
		{Mode: sandbox.ModeTruncate},
		{Mode: sandbox.ModeRateLimit},
	}
	n := 0
	for _, f := range flows {
		for _, op := range opsOf(f) {
			for _, trouble := range troubles {
				for _, times := range []int{1, 3} {
					if n++; n%stride() != 0 {
						continue
					}
					t.Run(fmt.Sprintf("%s/%s/%s after=%v x%d", f.name, op, trouble.Mode, trouble.After, times), func(t *testing.T) {
						t.Parallel()
						w := onSQLite(t)
						fault := trouble
						fault.Op, fault.Times = op, times
						w.sim.Script(fault)
						p := w.settle(w.accept(f))
						w.wantLive(1)
						w.wantStatus(p, models.Published)
						if trouble.Mode == sandbox.ModeRateLimit && p.Attempts != 0 {
							t.Errorf("a full rate window used up %d attempts: %s", p.Attempts, w.story(p))
						}
					})
				}
			}
		}
	}
}

// TestLostAnswerThenPowerCut loses the answer of a call and then the process
// that would have looked.
func TestLostAnswerThenPowerCut(t *testing.T) {
	for _, f := range flows {
		for _, op := range opsOf(f) {
			t.Run(f.name+"/"+op, func(t *testing.T) {
				w := onSQLite(t)
				w.sim.Script(sandbox.Fault{Op: op, Mode: sandbox.ModeReset, After: true})
				p := w.accept(f)
				cut := false
				w.wire.OnCall(func(*http.Request) {
					if w.sim.CountCalls(op) > 0 && len(w.sim.PendingFaults()) == 0 && !cut {
						cut = true
						w.wire.CutPower(0, false) // at the next request
					}
				})
				p = w.settle(p)
				w.wantLive(1)
				w.wantStatus(p, models.Published)
			})
		}
	}
}

// TestRateLimitDefersVisibly: a cap puts a post off and says so; it fails
// nothing and holds nobody.
func TestRateLimitDefersVisibly(t *testing.T) {
	w := onSQLite(t)
	w.sim.Script(sandbox.Fault{Op: sandbox.OpTikTokInit, Mode: sandbox.ModeRateLimit})
	p := w.accept(tiktokVideo)
	w.step()
	got := w.post(p)
	if got.Status != models.Queued || got.DeferredReason != models.DeferredRateLimit || got.DeferredUntil == nil ||
		got.DeferredUntil.Sub(w.clock.Now()) < time.Minute {
		t.Fatalf("deferred_reason %q until %v: %s", got.DeferredReason, got.DeferredUntil, w.story(p))
	}
	w.settle(p)
	w.wantLive(1)
}

// TestTokenRefused: a refused token puts the post off and marks the account;
// after reconnecting it goes on at once.
func TestTokenRefused(t *testing.T) {
	for _, f := range []flow{tiktokVideo} {
		w := onSQLite(t)
		p := w.accept(f)
		w.clock.Advance(31 * 24 * time.Hour) // the sandbox's token has expired
		w.step()
		got := w.post(p)
		if got.Status != models.Queued || got.DeferredReason != models.DeferredReauthorize || got.Attempts != 0 {
			t.Fatalf("post: %s", w.story(p))
		}
		account, err := w.db.Accounts.OAuthAccount(w.ctx, w.tiktok)
		w.must(err)
		if account.Status != models.AccountReauthorize {
			t.Errorf("account is %s", account.Status)
		}
		fresh := w.sim.AddTikTokAccount(sandbox.TikTokAccount{
			OpenID: w.ttSim.OpenID, Username: w.ttSim.Username, PostsCap: -1, AccessToken: "act.SIMfresh",
			ExpiresAt: w.clock.Now().Add(time.Hour),
		})
		if id := w.importTikTok(fresh.AccessToken); id != w.tiktok {
			t.Errorf("reconnecting made account %d of %d", id, w.tiktok)
		}
		w.settle(p)
		w.wantLive(1)
		w.wantStatus(p, models.Published)
	}
}
