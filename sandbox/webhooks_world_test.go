package sandbox_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"socialqueue/sandbox"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const verifyToken = "our-verify-token"

// received is one request as the app got it.
type received struct {
	header http.Header
	body   string
}

// receiver is an app that takes webhooks. answer gives the status of the n-th, from 1.
type receiver struct {
	*httptest.Server
	answer func(n int) int

	mu         sync.Mutex
	got        []received
	handshakes int // good ones
}

func newReceiver(t *testing.T, answer func(n int) int) *receiver {
	t.Helper()
	r := &receiver{answer: answer}
	r.Server = httptest.NewServer(http.HandlerFunc(r.serve))
	t.Cleanup(r.Close)
	return r
}

func always(status int) func(int) int { return func(int) int { return status } }

func (r *receiver) serve(w http.ResponseWriter, req *http.Request) {
	if req.Method == http.MethodGet {
		r.handshake(w, req)
		return
	}
	body, _ := io.ReadAll(req.Body)
	r.mu.Lock()
	r.got = append(r.got, received{req.Header.Clone(), string(body)})
	n := len(r.got)
	r.mu.Unlock()
	w.Header().Set("Location", r.URL+"/elsewhere") // matters for a 307 only
	w.WriteHeader(r.answer(n))
}

func (r *receiver) handshake(w http.ResponseWriter, req *http.Request) {
	q := req.URL.Query()
	if q.Get("hub.mode") != "subscribe" || q.Get("hub.verify_token") != verifyToken {
		http.Error(w, "who are you?", http.StatusForbidden)
		return
	}
	r.mu.Lock()
	r.handshakes++
	r.mu.Unlock()
	_, _ = io.WriteString(w, q.Get("hub.challenge"))
}

func (r *receiver) all() []received {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]received(nil), r.got...)
}

// delivered waits for the webhooks and returns the n requests that came.
func (w *world) delivered(r *receiver, n int) []received {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), 10*time.Second)
	defer cancel()
	if err := w.WaitWebhooks(ctx); err != nil {
		w.t.Fatal(err)
	}
	got := r.all()
	if len(got) != n {
		w.t.Fatalf("%d requests, want %d: %+v", len(got), n, got)
	}
	return got
}

// attempted waits until the first delivery was sent n times, and looks whether it stays at that.
func (w *world) attempted(n int) sandbox.Webhook {
	w.t.Helper()
	eventually(w.t, fmt.Sprint(n, " attempts"), func() bool { return w.Webhooks()[0].Attempts == n })
	time.Sleep(30 * time.Millisecond)
	hook := w.Webhooks()[0]
	if hook.Attempts != n {
		w.t.Fatalf("%d attempts, want %d", hook.Attempts, n)
	}
	return hook
}

// metaWorld is a world whose Instagram has a receiver.
func metaWorld(t *testing.T, answer func(int) int) (*world, *receiver) {
	t.Helper()
	w, r := newWorld(t, sandbox.Options{}), newReceiver(t, answer)
	if err := w.SetMetaWebhook(t.Context(), r.URL, verifyToken); err != nil {
		t.Fatal(err)
	}
	return w, r
}

func (w *world) sendComment(text string) {
	w.SendInstagram(w.CommentEntry(w.ig.IGID, sandbox.InstagramComment{Text: text, Username: "ann"}))
}

func macHex(newHash func() hash.Hash, secret, message string) string {
	mac := hmac.New(newHash, []byte(secret))
	_, _ = io.WriteString(mac, message)
	return hex.EncodeToString(mac.Sum(nil))
}

// tiktokSignedAt is the t of a valid TikTok-Signature; written anew from the page, not from the sender.
func tiktokSignedAt(header, secret, body string) (int64, bool) {
	t, s, ok := strings.Cut(header, ",")
	t, isT := strings.CutPrefix(t, "t=")
	s, isS := strings.CutPrefix(s, "s=")
	at, err := strconv.ParseInt(t, 10, 64)
	return at, ok && isT && isS && err == nil && s == macHex(sha256.New, secret, t+"."+body)
}

func (w *world) wantTikTokSigned(r received, at time.Time) {
	w.t.Helper()
	got, ok := tiktokSignedAt(r.header.Get("TikTok-Signature"), "sim-client-secret", r.body)
	if !ok || got != at.Unix() {
		w.t.Errorf("signature %q: valid %v, t %d, want %d", r.header.Get("TikTok-Signature"), ok, got, at.Unix())
	}
}

func metaSignatures(body string) (newer, older string) {
	return "sha256=" + macHex(sha256.New, "sim-app-secret", body), "sha1=" + macHex(sha1.New, "sim-app-secret", body)
}

func (w *world) wantMetaSigned(r received) {
	w.t.Helper()
	newer, older := metaSignatures(r.body)
	if r.header.Get("X-Hub-Signature-256") != newer || r.header.Get("X-Hub-Signature") != older {
		w.t.Errorf("signatures %q, want %q and %q", r.header, newer, older)
	}
}

// tiktokEvent is what a receiver decodes, twice.
type tiktokEvent struct {
	Event      string `json:"event"`
	CreateTime int64  `json:"create_time"`
	OpenID     string `json:"user_openid"`
	Content    string `json:"content"`
	content    struct {
		PublishID string `json:"publish_id"`
		PostID    string `json:"post_id"`
		Reason    any    `json:"reason"`
	}
}

func tiktokEvents(t *testing.T, got []received) []tiktokEvent {
	t.Helper()
	events := make([]tiktokEvent, len(got))
	for i, r := range got {
		if err := json.Unmarshal([]byte(r.body), &events[i]); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal([]byte(events[i].Content), &events[i].content); err != nil {
			t.Fatal(err)
		}
	}
	return events
}
