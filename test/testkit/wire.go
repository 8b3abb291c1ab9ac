package testkit

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"sync"
)

// Wire is the transport of calls to the platforms. A test can count them, answer or lose them, hold an answer back, and
// cut the power at one. It is safe for concurrent use.
type Wire struct {
	next http.RoundTripper

	mu        sync.Mutex
	calls     int
	cutIn     int // calls until the power is cut; negative: never
	cutAfter  bool
	lost      bool
	held      *heldAnswer
	onCall    func(*http.Request)
	intercept func(*http.Request) (*http.Response, error)
	onAnswer  func(path string, body []byte)
}

// PowerCut is the value of the panic that stands for the end of the process.
type PowerCut struct{}

// heldAnswer is the answer to the next request to a path that ends so.
type heldAnswer struct {
	path         string
	arrived, let chan struct{}
}

// NewWire returns a wire that sends through next.
func NewWire(next http.RoundTripper) *Wire { return &Wire{next: next, cutIn: -1} }

// CutPower makes the call after the next n ones panic with PowerCut: before it is sent, or once it was answered.
func (w *Wire) CutPower(n int, answered bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cutIn, w.cutAfter = n, answered
}

// KeepPower takes back CutPower.
func (w *Wire) KeepPower() { w.CutPower(-1, false) }

// Calls returns how many calls were made.
func (w *Wire) Calls() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.calls
}

// OnCall has f called before each call; nil ends that.
func (w *Wire) OnCall(f func(*http.Request)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.onCall = f
}

// Intercept lets f answer a call instead of the platform, or lose it. If f returns neither an answer nor an error, the
// call goes on. Nil ends that.
func (w *Wire) Intercept(f func(*http.Request) (*http.Response, error)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.intercept = f
}

// OnAnswer has f see each answer before the caller does.
func (w *Wire) OnAnswer(f func(path string, body []byte)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.onAnswer = f
}

// SetLost makes calls fail before they are sent, or go through again.
func (w *Wire) SetLost(lost bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lost = lost
}

// HoldAnswer holds back the answer to the next request to a path that ends so. The channel is closed once the platform
// has answered; release lets the answer go.
func (w *Wire) HoldAnswer(path string) (arrived <-chan struct{}, release func()) {
	h := &heldAnswer{path: path, arrived: make(chan struct{}), let: make(chan struct{})}
	release = sync.OnceFunc(func() { close(h.let) })
	w.mu.Lock()
	defer w.mu.Unlock()
	w.held = h
	return h.arrived, release
}

// RoundTrip makes one call.
func (w *Wire) RoundTrip(r *http.Request) (*http.Response, error) {
	w.mu.Lock()
	cut, after, lost, held := w.cutIn == 0, w.cutAfter, w.lost, w.held
	onCall, intercept, onAnswer := w.onCall, w.intercept, w.onAnswer
	w.cutIn--
	w.calls++
	if held != nil && strings.HasSuffix(r.URL.Path, held.path) {
		w.held = nil
	} else {
		held = nil
	}
	w.mu.Unlock()
	if onCall != nil {
		onCall(r)
	}
	if cut && !after {
		panic(PowerCut{})
	}
	if intercept != nil {
		if resp, err := intercept(r); resp != nil || err != nil {
			return resp, err
		}
	}
	if lost {
		r.URL.Host = "127.0.0.1:1" // nothing listens there
	}
	resp, err := w.next.RoundTrip(r)
	if held != nil {
		close(held.arrived)
		<-held.let
	}
	if cut {
		if err == nil {
			_ = resp.Body.Close()
		}
		panic(PowerCut{})
	}
	if err == nil && onAnswer != nil {
		err = show(resp, onAnswer)
	}
	return resp, err
}

// show gives the body of an answer to f and puts it back.
func show(resp *http.Response, f func(path string, body []byte)) error {
	body, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if err != nil {
		return err
	}
	f(resp.Request.URL.Path, body)
	resp.Body = io.NopCloser(bytes.NewReader(body))
	return nil
}
