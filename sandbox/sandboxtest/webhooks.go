package sandboxtest

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

	"socialqueue/sandbox"
)

// NewWithTikTokWebhook starts a sandbox whose TikTok has a receiver.
func NewWithTikTokWebhook(t *testing.T, answer func(int) int) (*Env, *Receiver) {
	t.Helper()
	r := NewReceiver(t, answer)
	return New(t, sandbox.Options{Delays: Delays, Limits: NoLimits, TikTokWebhookURL: r.URL}), r
}

// VerifyToken is what the receiver knows of the handshake.
const VerifyToken = "our-verify-token"

// Received is one request as the app got it.
type Received struct {
	Header http.Header `json:"-"`
	Body   string
}

// Receiver is an app that takes webhooks. answer gives the status of the n-th, from 1.
type Receiver struct {
	*httptest.Server
	answer func(n int) int

	mu         sync.Mutex
	got        []Received
	Handshakes int // good ones
}

// NewReceiver starts a receiver.
func NewReceiver(t *testing.T, answer func(n int) int) *Receiver {
	t.Helper()
	r := &Receiver{answer: answer}
	r.Server = httptest.NewServer(http.HandlerFunc(r.serve))
	t.Cleanup(r.Close)
	return r
}

// Always answers every webhook with a status.
func Always(status int) func(int) int { return func(int) int { return status } }

func (r *Receiver) serve(w http.ResponseWriter, req *http.Request) {
	if req.Method == http.MethodGet {
		r.handshake(w, req)
		return
	}
	body, _ := io.ReadAll(req.Body)
	r.mu.Lock()
	r.got = append(r.got, Received{req.Header.Clone(), string(body)})
	n := len(r.got)
	r.mu.Unlock()
	w.Header().Set("Location", r.URL+"/elsewhere") // matters for a 307 only
	w.WriteHeader(r.answer(n))
}

func (r *Receiver) handshake(w http.ResponseWriter, req *http.Request) {
	q := req.URL.Query()
	if q.Get("hub.mode") != "subscribe" || q.Get("hub.verify_token") != VerifyToken {
		http.Error(w, "who are you?", http.StatusForbidden)
		return
	}
	r.mu.Lock()
	r.Handshakes++
	r.mu.Unlock()
	_, _ = io.WriteString(w, q.Get("hub.challenge"))
}

// All are the requests so far.
func (r *Receiver) All() []Received {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]Received(nil), r.got...)
}

// Delivered waits for the webhooks and returns the n requests that came.
func (e *Env) Delivered(r *Receiver, n int) []Received {
	e.T.Helper()
	ctx, cancel := context.WithTimeout(e.T.Context(), 10*time.Second)
	defer cancel()
	if err := e.WaitWebhooks(ctx); err != nil {
		e.T.Fatal(err)
	}
	got := r.All()
	if len(got) != n {
		e.T.Fatalf("%d requests, want %d: %+v", len(got), n, got)
	}
	return got
}

// Attempted waits until the first delivery was sent n times, and looks whether it stays at that.
func (e *Env) Attempted(n int) sandbox.Webhook {
	e.T.Helper()
	Eventually(e.T, fmt.Sprint(n, " attempts"), func() bool { return e.Webhooks()[0].Attempts == n })
	time.Sleep(30 * time.Millisecond)
	hook := e.Webhooks()[0]
	if hook.Attempts != n {
		e.T.Fatalf("%d attempts, want %d", hook.Attempts, n)
	}
	return hook
}

// NewWithMetaWebhook starts a sandbox whose Instagram has a receiver.
func NewWithMetaWebhook(t *testing.T, answer func(int) int) (*Env, *Receiver) {
	t.Helper()
	w, r := New(t, sandbox.Options{}), NewReceiver(t, answer)
	if err := w.SetMetaWebhook(t.Context(), r.URL, VerifyToken); err != nil {
		t.Fatal(err)
	}
	return w, r
}

// SendComment has somebody comment on a post of the Instagram account.
func (e *Env) SendComment(text string) {
	e.SendInstagram(e.CommentEntry(e.Instagram.IGID, sandbox.InstagramComment{Text: text, Username: "ann"}))
}

// MAC is an HMAC in hex.
func MAC(newHash func() hash.Hash, secret, message string) string {
	mac := hmac.New(newHash, []byte(secret))
	_, _ = io.WriteString(mac, message)
	return hex.EncodeToString(mac.Sum(nil))
}

// TikTokSignedAt is the t of a valid TikTok-Signature; written anew from the page, not from the sender.
func TikTokSignedAt(header, secret, body string) (int64, bool) {
	t, s, ok := strings.Cut(header, ",")
	t, isT := strings.CutPrefix(t, "t=")
	s, isS := strings.CutPrefix(s, "s=")
	at, err := strconv.ParseInt(t, 10, 64)
	return at, ok && isT && isS && err == nil && s == MAC(sha256.New, secret, t+"."+body)
}

// WantTikTokSigned checks the signature of a request.
func (e *Env) WantTikTokSigned(r Received, at time.Time) {
	e.T.Helper()
	got, ok := TikTokSignedAt(r.Header.Get("TikTok-Signature"), "sim-client-secret", r.Body)
	if !ok || got != at.Unix() {
		e.T.Errorf("signature %q: valid %v, t %d, want %d", r.Header.Get("TikTok-Signature"), ok, got, at.Unix())
	}
}

// MetaSignatures are the values of Meta's two headers.
func MetaSignatures(body string) (newer, older string) {
	return "sha256=" + MAC(sha256.New, "sim-app-secret", body), "sha1=" + MAC(sha1.New, "sim-app-secret", body)
}

// WantMetaSigned checks both signatures of a request.
func (e *Env) WantMetaSigned(r Received) {
	e.T.Helper()
	newer, older := MetaSignatures(r.Body)
	if r.Header.Get("X-Hub-Signature-256") != newer || r.Header.Get("X-Hub-Signature") != older {
		e.T.Errorf("signatures %q, want %q and %q", r.Header, newer, older)
	}
}

// TikTokEvent is what a receiver decodes, twice.
type TikTokEvent struct {
	Event      string `json:"event"`
	CreateTime int64  `json:"create_time"`
	OpenID     string `json:"user_openid"`
	Content    string `json:"content"`
	Decoded    struct {
		PublishID string `json:"publish_id"`
		PostID    string `json:"post_id"`
		Reason    any    `json:"reason"`
	}
}

// TikTokEvents decodes the requests.
func TikTokEvents(t *testing.T, got []Received) []TikTokEvent {
	t.Helper()
	events := make([]TikTokEvent, len(got))
	for i, r := range got {
		if err := json.Unmarshal([]byte(r.Body), &events[i]); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal([]byte(events[i].Content), &events[i].Decoded); err != nil {
			t.Fatal(err)
		}
	}
	return events
}
