package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	webhookTick = 20 * time.Millisecond // real time between two looks at the virtual clock
	maxWebhooks = 2000                  // bounds the log; what is still to be sent is kept apart
)

// Webhook is one delivery and how far it has come.
type Webhook struct {
	Platform  string      `json:"platform"`
	Event     string      `json:"event"`    // in the platform's words
	Account   string      `json:"account"`  // whose deliveries come in order
	Attempts  int         `json:"attempts"` // sendings; a duplicate counts too
	Status    int         `json:"status"`   // of the last answer; 0 when none came
	Error     string      `json:"error,omitempty"`
	Delivered bool        `json:"delivered"` // the last answer was 200
	Dropped   bool        `json:"dropped"`   // given up: too old, or no address any more
	Body      string      `json:"body"`      // the bytes that are sent, as they are signed
	Header    http.Header `json:"header"`    // of the last sending; nil before the first
}

func (w *Webhook) settled() bool { return w.Delivered || w.Dropped }

// sender is a platform that sends webhooks.
type sender struct {
	*WebhookSender
	name string
}

// target is where a platform sends. verified is true from the start for a platform without a handshake.
type target struct {
	url, token string
	verified   bool
}

func (f *sender) target(url, token string) target {
	return target{url: url, token: cmp.Or(token, f.Token), verified: f.Verify == nil}
}

// webhooks is the sending side of all platforms. Without an address it runs nothing and keeps nothing.
type webhooks struct {
	s       *Server
	client  *http.Client
	senders []*sender
	wake    chan struct{} // holds one: look again now

	mu      sync.Mutex
	running bool
	targets map[string]target // by platform
	log     []*delivery
	open    []*delivery          // those not settled, oldest first
	busy    map[string]bool      // accounts with a sending under way
	held    map[string]*delivery // by platform: waits until the next one was sent
}

func newWebhooks(s *Server) *webhooks {
	h := &webhooks{
		s: s, client: newWebhookClient(), wake: make(chan struct{}, 1),
		busy: map[string]bool{}, held: map[string]*delivery{}, targets: map[string]target{},
	}
	for _, p := range s.platforms {
		if p.Webhooks != nil {
			from := &sender{p.Webhooks, p.name}
			h.senders = append(h.senders, from)
			h.targets[p.name] = from.target(p.Webhooks.URL, "")
		}
	}
	return h
}

// sender is the sending side of a platform, or nil.
func (h *webhooks) sender(platform string) *sender {
	i := slices.IndexFunc(h.senders, func(f *sender) bool { return f.name == platform })
	if i < 0 {
		return nil
	}
	return h.senders[i]
}

// aim sets where a platform sends, and starts the loop once there is somewhere to send to.
func (h *webhooks) aim(platform string, to target) {
	h.mu.Lock()
	h.targets[platform] = to
	h.mu.Unlock()
	h.run()
}

// Webhooks are the deliveries so far, oldest first.
func (s *Server) Webhooks() []Webhook {
	s.webhooks.mu.Lock()
	defer s.webhooks.mu.Unlock()
	out := make([]Webhook, len(s.webhooks.log))
	for i, d := range s.webhooks.log {
		out[i] = d.Webhook
		out[i].Header = d.Header.Clone()
	}
	return out
}

// WaitWebhooks waits until everything that has happened so far was delivered or dropped. It does not move the clock:
// with a failing receiver and a clock that stands still it ends with ctx, and says what is left.
func (s *Server) WaitWebhooks(ctx context.Context) error {
	tick := time.NewTicker(webhookTick / 4)
	defer tick.Stop()
	for {
		s.settle()
		left := s.webhooks.left()
		if len(left) == 0 {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("webhooks not delivered: %s: %w", strings.Join(left, "; "), ctx.Err())
		case <-s.ctx.Done():
			return errors.New("webhooks not delivered: the sandbox is closed")
		}
	}
}

// left describes what is not settled.
func (h *webhooks) left() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	var left []string
	for _, d := range h.open {
		if !d.settled() {
			left = append(left, d.String())
		}
	}
	return left
}

// sends tells whether a platform has an address.
func (h *webhooks) sends(platform string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.targets[platform].url != ""
}

// queue takes a new delivery; without an address it is as if it had never been.
func (h *webhooks) queue(w Webhook) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.targets[w.Platform].url == "" {
		return
	}
	d := &delivery{Webhook: w, from: h.sender(w.Platform), nextAt: h.s.Now()}
	if len(h.log) == maxWebhooks {
		h.log = slices.Delete(h.log, 0, maxWebhooks/4)
	}
	h.log = append(h.log, d)
	h.open = append(h.open, d)
	h.poke()
}

// run starts the loop, once and only with an address.
func (h *webhooks) run() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.running || !h.anyAddress() || !h.s.begin() {
		return
	}
	h.running = true
	go h.loop()
}

func (h *webhooks) anyAddress() bool {
	for _, to := range h.targets {
		if to.url != "" {
			return true
		}
	}
	return false
}

// loop notices what the virtual clock has made due. A client looks at its posts when it likes, but a platform speaks
// up by itself, so here something has to watch.
func (h *webhooks) loop() {
	defer h.s.work.Done()
	tick := time.NewTicker(webhookTick)
	defer tick.Stop()
	for {
		h.s.settle()
		h.dispatch()
		select {
		case <-tick.C:
		case <-h.wake:
		case <-h.s.ctx.Done():
			return
		}
	}
}

// poke has the loop look at once; it never blocks.
func (h *webhooks) poke() {
	select {
	case h.wake <- struct{}{}:
	default:
	}
}
