package handlers_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

// unreadable is a body that nobody may read.
type unreadable struct{ t *testing.T }

func (u unreadable) Read([]byte) (int, error) {
	u.t.Error("the body was read")
	return 0, io.EOF
}

// TestUnsignedBodiesAreNotRead sends webhooks whose header shows that no platform sent them.
func TestUnsignedBodiesAreNotRead(t *testing.T) {
	w := onSQLite(t)
	hex64 := strings.Repeat("0123456789abcdef", 4)
	now := w.clock.Now().Unix()
	for name, tc := range map[string]struct{ platform, header, value string }{
		"none":                 {"instagram", "", ""},
		"no algorithm":         {"instagram", "X-Hub-Signature-256", hex64},
		"short":                {"instagram", "X-Hub-Signature-256", "sha256=" + hex64[1:]},
		"upper case":           {"instagram", "X-Hub-Signature-256", "sha256=" + strings.ToUpper(hex64)},
		"another algorithm":    {"instagram", "X-Hub-Signature-256", "sha1=" + hex64[:40]},
		"sha1 of a wrong size": {"instagram", "X-Hub-Signature", "sha1=" + hex64},
		"no header of TikTok":  {"tiktok", "", ""},
		"no time":              {"tiktok", "TikTok-Signature", "s=" + hex64},
		"time is no number":    {"tiktok", "TikTok-Signature", "t=now,s=" + hex64},
		"an hour old":          {"tiktok", "TikTok-Signature", fmt.Sprintf("t=%d,s=%s", now-3600, hex64)},
		"an hour ahead":        {"tiktok", "TikTok-Signature", fmt.Sprintf("t=%d,s=%s", now+3600, hex64)},
		"no signature":         {"tiktok", "TikTok-Signature", fmt.Sprintf("t=%d", now)},
		"plain":                {"tiktok", "TikTok-Signature", hex64},
	} {
		t.Run(name, func(t *testing.T) {
			w := w.in(t)
			w.do(call{
				method: "POST", path: "/api/webhooks/" + tc.platform, noKey: true, body: unreadable{t}, headers: map[string]string{tc.header: tc.value},
			}).WantProblem(401, "WEBHOOK_INVALID", "")
		})
	}
}

// stuckBody is a body that sends some bytes and then nothing until it is closed.
type stuckBody struct {
	bytes   *bytes.Reader
	waiting func()
	closed  chan struct{}
}

func (b *stuckBody) Read(p []byte) (int, error) {
	if n, err := b.bytes.Read(p); err == nil {
		return n, nil
	}
	b.waiting()
	<-b.closed
	return 0, io.ErrUnexpectedEOF
}

// TestBodiesInMemoryAreLimited lets one address hold as many bodies as it can. It is refused
// what is beyond its share, others are not, and all memory comes back.
func TestBodiesInMemoryAreLimited(t *testing.T) {
	w := onSQLite(t)
	forged := map[string]string{"X-Hub-Signature-256": "sha256=" + strings.Repeat("0", 64)}
	send := func(from string, body io.Reader) *reply {
		return w.do(call{method: "POST", path: "/api/webhooks/instagram", noKey: true, from: from, body: body, headers: forged})
	}
	closed, results := make(chan struct{}), make(chan int)
	waiting := make(chan struct{})
	hold := func() {
		body := &stuckBody{bytes.NewReader(make([]byte, 3<<20)), func() { waiting <- struct{}{} }, closed}
		go func() { results <- send("192.0.2.1", body).Status }()
	}
	hold()
	<-waiting // it holds a buffer of 4 MiB
	hold()
	<-waiting
	r := send("192.0.2.1", strings.NewReader("{}")) // its share of 8 MiB is used
	r.WantProblem(http.StatusServiceUnavailable, "UNAVAILABLE", "")
	if r.Header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	send("192.0.2.2", strings.NewReader("{}")).WantProblem(401, "WEBHOOK_INVALID", "")
	w.do(call{method: "POST", path: "/api/users", json: `{"external_id":"new"}`}).want(201)
	close(closed)
	for range 2 {
		if status := <-results; status != 400 {
			t.Errorf("status %d of a body that broke off, want 400", status)
		}
	}
	send("192.0.2.1", strings.NewReader("{}")).WantProblem(401, "WEBHOOK_INVALID", "")
}
