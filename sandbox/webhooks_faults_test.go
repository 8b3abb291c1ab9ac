package sandbox_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"socialqueue/sandbox"
	"socialqueue/sandbox/sandboxtest"
)

func TestWebhookFaultValidation(t *testing.T) {
	w := sandboxtest.New(t, sandbox.Options{})
	for name, f := range map[string]sandbox.Fault{
		"stale at Meta":      {Op: sandbox.OpInstagramWebhook, Mode: sandbox.ModeStale},
		"sha1 at TikTok":     {Op: sandbox.OpTikTokWebhook, Mode: sandbox.ModeLegacySignature},
		"late without delay": {Op: sandbox.OpTikTokWebhook, Mode: sandbox.ModeLate},
		"no call":            {Op: sandbox.OpTikTokWebhook, Mode: sandbox.ModeReset},
		"a call":             {Op: sandbox.OpTikTokInit, Mode: sandbox.ModeDuplicate},
	} {
		if w.ValidateFault(f) == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	err := w.ValidateFault(sandbox.Fault{Op: sandbox.OpTikTokWebhook, Mode: sandbox.ModeLegacySignature})
	if err == nil || !strings.Contains(err.Error(), "duplicate, late, reorder, bad_signature, stale)") {
		t.Errorf("%v", err)
	}
}

func TestWebhookDuplicate(t *testing.T) {
	w, r := sandboxtest.NewWithMetaWebhook(t, sandboxtest.Always(200))
	w.Control("POST", "faults", `{"op":"instagram.webhook","mode":"duplicate"}`, 204, nil)
	w.SendComment("twice")
	w.Delivered(r, 2)
	w.SendComment("once")
	got := w.Delivered(r, 3)
	if got[0].Body != got[1].Body || got[1].Body == got[2].Body {
		t.Errorf("%+v", got)
	}
	if w.Webhooks()[0].Attempts != 2 || len(w.PendingFaults()) != 0 {
		t.Errorf("%+v", w.Webhooks())
	}
}

func TestWebhookLate(t *testing.T) {
	w, r := sandboxtest.NewWithMetaWebhook(t, sandboxtest.Always(200))
	w.Script(sandbox.Fault{Op: sandbox.OpInstagramWebhook, Match: w.Instagram.IGID, Times: -1, Mode: sandbox.ModeLate, Delay: time.Hour})
	w.SendComment("late")
	w.Attempted(0)
	w.Advance(59 * time.Minute)
	w.Attempted(0)
	w.Advance(time.Minute)
	w.Delivered(r, 1)
}

func TestWebhookReorder(t *testing.T) {
	w, r := sandboxtest.NewWithMetaWebhook(t, sandboxtest.Always(200))
	w.Script(sandbox.Fault{Op: sandbox.OpInstagramWebhook, Mode: sandbox.ModeReorder})
	w.SendComment("first")
	w.Attempted(0)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := w.WaitWebhooks(ctx); err == nil || !strings.Contains(err.Error(), "held until the next one") {
		t.Errorf("%v", err)
	}
	w.SendComment("second")
	w.SendComment("third")
	got := w.Delivered(r, 3)
	for i, text := range []string{"second", "first", "third"} {
		if !strings.Contains(got[i].Body, text) {
			t.Errorf("%d: %s, want %s", i, got[i].Body, text)
		}
	}
}

func TestWebhookHeldWithoutAnAddressIsDropped(t *testing.T) {
	w, r := sandboxtest.NewWithTikTokWebhook(t, sandboxtest.Always(200))
	w.Script(sandbox.Fault{Op: sandbox.OpTikTokWebhook, Times: 2, Mode: sandbox.ModeReorder})
	w.InvalidateTikTok(w.TikTok.OpenID)
	w.Attempted(0)
	w.SetTikTokWebhook("")
	w.Delivered(r, 0)
	w.SetTikTokWebhook(r.URL)
	second, third := w.AddTikTokAccount(sandbox.TikTokAccount{}), w.AddTikTokAccount(sandbox.TikTokAccount{})
	w.InvalidateTikTok(second.OpenID)
	sandboxtest.Eventually(t, "the next is held in its place", func() bool { return len(w.PendingFaults()) == 0 })
	w.InvalidateTikTok(third.OpenID)
	if events := sandboxtest.TikTokEvents(t, w.Delivered(r, 2)); events[0].OpenID != third.OpenID {
		t.Errorf("%+v", events)
	}
	if hooks := w.Webhooks(); !hooks[0].Dropped || hooks[0].Attempts != 0 || !hooks[1].Delivered {
		t.Errorf("%+v", hooks)
	}
}

func TestWebhookSpoiledSignatures(t *testing.T) {
	refuseFirst := func(n int) int {
		if n == 1 {
			return 401
		}
		return 200
	}
	w, r := sandboxtest.NewWithTikTokWebhook(t, refuseFirst)
	w.Script(sandbox.Fault{Op: sandbox.OpTikTokWebhook, Mode: sandbox.ModeBadSignature},
		sandbox.Fault{Op: sandbox.OpTikTokWebhook, Skip: 1, Mode: sandbox.ModeStale})
	w.InvalidateTikTok(w.TikTok.OpenID)
	w.Attempted(1)
	w.Advance(time.Second)
	got := w.Delivered(r, 2) // a fault meets one sending; the retry is sound
	if _, ok := sandboxtest.TikTokSignedAt(got[0].Header.Get("TikTok-Signature"), "sim-client-secret", got[0].Body); ok {
		t.Error("the bad signature is good")
	}
	w.WantTikTokSigned(got[1], sandboxtest.StartTime.Add(time.Second))
	w.InvalidateTikTok(w.AddTikTokAccount(sandbox.TikTokAccount{}).OpenID)
	w.WantTikTokSigned(w.Delivered(r, 3)[2], sandboxtest.StartTime.Add(time.Second-10*time.Minute))
}

func TestWebhookMetaSpoiledSignatures(t *testing.T) {
	w, r := sandboxtest.NewWithMetaWebhook(t, sandboxtest.Always(200))
	w.Script(sandbox.Fault{Op: sandbox.OpInstagramWebhook, Mode: sandbox.ModeBadSignature},
		sandbox.Fault{Op: sandbox.OpInstagramWebhook, Mode: sandbox.ModeLegacySignature})
	w.SendComment("bad")
	w.Delivered(r, 1)
	w.SendComment("old")
	got := w.Delivered(r, 2)
	newer, older := sandboxtest.MetaSignatures(got[0].Body)
	if n, o := got[0].Header.Get("X-Hub-Signature-256"), got[0].Header.Get("X-Hub-Signature"); n == newer || o == older || len(n) != len(newer) || len(o) != len(older) {
		t.Errorf("bad: %q %q", n, o)
	}
	_, older = sandboxtest.MetaSignatures(got[1].Body)
	if n, o := got[1].Header.Get("X-Hub-Signature-256"), got[1].Header.Get("X-Hub-Signature"); n != "" || o != older {
		t.Errorf("old: %q %q", n, o)
	}
}

// crowd counts the requests that are under way at once and keeps each until it is let go.
type crowd struct {
	mu        sync.Mutex
	now, most int
	seen      int
	gate      chan struct{}
}

func (c *crowd) ServeHTTP(_ http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	c.now, c.seen = c.now+1, c.seen+1
	c.most = max(c.most, c.now)
	c.mu.Unlock()
	_, _ = io.Copy(io.Discard, r.Body) // only then net/http notices a client that leaves
	select {
	case <-c.gate:
	case <-r.Context().Done():
	}
	c.mu.Lock()
	c.now--
	c.mu.Unlock()
}

func (c *crowd) count() (now, most, seen int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now, c.most, c.seen
}

func TestWebhookEightAtOnceAndOneForAnAccount(t *testing.T) {
	c := &crowd{gate: make(chan struct{})}
	srv := httptest.NewServer(c)
	t.Cleanup(srv.Close)
	w := sandboxtest.New(t, sandbox.Options{TikTokWebhookURL: srv.URL})
	w.Script(sandbox.Fault{Op: sandbox.OpTikTokWebhook, Match: w.TikTok.OpenID, Mode: sandbox.ModeDuplicate})
	w.InvalidateTikTok(w.TikTok.OpenID)
	for range 11 {
		w.InvalidateTikTok(w.AddTikTokAccount(sandbox.TikTokAccount{}).OpenID)
	}
	sandboxtest.Eventually(t, "eight at once", func() bool { now, _, _ := c.count(); return now == 8 })
	time.Sleep(30 * time.Millisecond)
	close(c.gate)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := w.WaitWebhooks(ctx); err != nil {
		t.Fatal(err)
	}
	if _, most, seen := c.count(); most != 8 || seen != 13 {
		t.Errorf("%d at once, %d in all", most, seen)
	}
}

func TestWebhookOneAfterTheOther(t *testing.T) {
	c := &crowd{gate: make(chan struct{})}
	srv := httptest.NewServer(c)
	t.Cleanup(srv.Close)
	w := sandboxtest.New(t, sandbox.Options{Delays: sandboxtest.Delays, Limits: sandboxtest.NoLimits, TikTokWebhookURL: srv.URL})
	w.PutFile(w.Init(sandboxtest.PublicPost, 100).Data.UploadURL, sandboxtest.MP4(100))
	w.Advance(time.Hour)
	sandboxtest.Eventually(t, "the first", func() bool { now, _, _ := c.count(); return now == 1 })
	time.Sleep(30 * time.Millisecond)
	close(c.gate)
	sandboxtest.Eventually(t, "the second", func() bool { _, _, seen := c.count(); return seen == 2 })
	if _, most, _ := c.count(); most != 1 {
		t.Errorf("%d at once for one account", most)
	}
}

func TestWebhookCloseEndsAHangingDelivery(t *testing.T) {
	c := &crowd{gate: make(chan struct{})}
	srv := httptest.NewServer(c)
	t.Cleanup(srv.Close)
	s := sandbox.New(sandbox.Options{TikTokWebhookURL: srv.URL})
	s.InvalidateTikTok(s.AddTikTokAccount(sandbox.TikTokAccount{}).OpenID)
	sandboxtest.Eventually(t, "it hangs", func() bool { now, _, _ := c.count(); return now == 1 })
	began := time.Now()
	if err := s.Close(); err != nil || time.Since(began) > 5*time.Second {
		t.Errorf("%v after %v", err, time.Since(began))
	}
	if err := s.WaitWebhooks(t.Context()); err == nil {
		t.Error("a closed sandbox delivers nothing")
	}
}
