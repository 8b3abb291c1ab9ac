package crash_test

import (
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"socialqueue/sandbox"
)

// phase is the moment of a call at which the worker dies.
type phase int

const (
	beforeEffect phase = iota // the request is sent, the platform has not seen it
	afterEffect               // the platform has done it, the answer is not sent
	afterAnswer               // the answer is out; the worker may have read it or not
)

var phases = []phase{beforeEffect, afterEffect, afterAnswer}

func (p phase) String() string { return [...]string{"before", "after effect", "after answer"}[p] }

// point is a place in a flow at which the worker dies.
type point struct {
	op    string
	phase phase
}

// wire stands between the system and the platforms and tells when an armed
// point is reached.
type wire struct {
	url    string
	client *http.Client
	target *url.URL

	mu     sync.Mutex
	chunks []chunk
	armed  *point
	hit    chan struct{}
	kill   func()
}

func newWire(t *testing.T) *wire {
	t.Helper()
	w := &wire{client: &http.Client{
		Transport:     &http.Transport{MaxIdleConnsPerHost: 64}, // thousands of posts would use up the ports
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	t.Cleanup(w.client.CloseIdleConnections)
	server := httptest.NewServer(w)
	t.Cleanup(server.Close)
	w.url = server.URL
	return w
}

// arm has kill called at the next call that reaches p. The channel tells when.
func (w *wire) arm(p point, kill func()) <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.armed, w.kill, w.hit = &p, kill, make(chan struct{})
	return w.hit
}

func (w *wire) disarm() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.armed = nil
}

// trigger kills if the call is the armed one, once.
func (w *wire) trigger(op string, p phase) bool {
	w.mu.Lock()
	if w.armed == nil || *w.armed != (point{op, p}) {
		w.mu.Unlock()
		return false
	}
	w.armed = nil
	kill, hit := w.kill, w.hit
	w.mu.Unlock()
	kill()
	close(hit)
	return true
}

// chunk is a part of a video as it went by, and how the platform answered.
type chunk struct {
	bytes  string // as Content-Range has them
	status int    // 0: not, or not yet
}

func (c chunk) acknowledged() bool {
	return c.status == http.StatusPartialContent || c.status == http.StatusCreated
}

// begun notes a chunk that is under way; answered, what became of it.
func (w *wire) begun(r *http.Request) (answered func(*http.Response)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	i := len(w.chunks)
	w.chunks = append(w.chunks, chunk{bytes: r.Header.Get("Content-Range")})
	return func(resp *http.Response) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.chunks[i].status = resp.StatusCode
	}
}

func (w *wire) sentChunks() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.chunks)
}

// acknowledged are the chunks that the platform said it has, as often as it said so.
func (w *wire) acknowledged() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var list []string
	for _, c := range w.chunks {
		if c.acknowledged() {
			list = append(list, c.bytes)
		}
	}
	return list
}

func (w *wire) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	op := opOf(r)
	if w.trigger(op, beforeEffect) {
		panic(http.ErrAbortHandler)
	}
	answered := func(*http.Response) {}
	if op == sandbox.OpTikTokChunk {
		answered = w.begun(r)
	}
	resp, err := w.forward(r)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	answered(resp)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || w.trigger(op, afterEffect) {
		panic(http.ErrAbortHandler)
	}
	for name, values := range resp.Header {
		rw.Header()[name] = values
	}
	rw.WriteHeader(resp.StatusCode)
	_, _ = rw.Write(body)
	_ = http.NewResponseController(rw).Flush()
	w.afterAnswer(op)
}

// afterAnswer lets the worker run on for a moment that differs each time.
func (w *wire) afterAnswer(op string) {
	w.mu.Lock()
	armed := w.armed != nil && *w.armed == (point{op, afterAnswer})
	w.mu.Unlock()
	if armed {
		time.Sleep(time.Duration(rand.IntN(15)) * time.Millisecond)
		w.trigger(op, afterAnswer)
	}
}

func (w *wire) forward(r *http.Request) (*http.Response, error) {
	out := r.Clone(r.Context())
	out.RequestURI = ""
	out.URL.Scheme, out.URL.Host = w.target.Scheme, w.target.Host
	return w.client.Do(out)
}

// opOf names a call as the sandbox does.
func opOf(r *http.Request) string {
	path := r.URL.Path
	switch {
	case strings.HasSuffix(path, "/creator_info/query/"):
		return sandbox.OpTikTokCreatorInfo
	case strings.HasSuffix(path, "/video/init/"):
		return sandbox.OpTikTokInit
	case strings.HasSuffix(path, "/content/init/"):
		return sandbox.OpTikTokPhoto
	case strings.HasPrefix(path, "/tiktok-upload"):
		return sandbox.OpTikTokChunk
	case strings.HasSuffix(path, "/status/fetch/"):
		return sandbox.OpTikTokStatus
	case strings.HasPrefix(path, "/rupload"):
		return sandbox.OpInstagramUpload
	case strings.HasSuffix(path, "/media_publish"):
		return sandbox.OpInstagramPublish
	case strings.HasSuffix(path, "/content_publishing_limit"):
		return sandbox.OpInstagramQuota
	case strings.HasSuffix(path, "/media") && r.Method == http.MethodPost:
		return sandbox.OpInstagramContainer
	case strings.HasSuffix(path, "/comments") && r.Method == http.MethodPost:
		return sandbox.OpInstagramComment
	case strings.HasSuffix(path, "/comments"):
		return sandbox.OpInstagramComments
	case strings.Contains(r.URL.RawQuery, "status_code"):
		return sandbox.OpInstagramContainerStatus
	default:
		return sandbox.OpInstagramPermalink
	}
}
