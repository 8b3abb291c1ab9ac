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

// Webhook is one delivery and its state.
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

// target is the address of a platform's webhooks. verified is true from the start for a platform without a handshake.
type target struct {
	url, token string
	verified   bool
}

func (f *sender) target(url, token string) target {
	return target{url: url, token: cmp.Or(token, f.Token), verified: f.Verify == nil}
}

// webhooks delivers the events of all platforms. Without an address it runs nothing and stores nothing.
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

// sender returns the sending side of a platform, or nil.
func (h *webhooks) sender(platform string) *sender {
	i := slices.IndexFunc(h.senders, func(f *sender) bool { return f.name == platform })
	if i < 0 {
		return nil
	}
	return h.senders[i]
}

// aim sets the address of a platform and starts the loop if needed.
func (h *webhooks) aim(platform string, to target) {
	h.mu.Lock()
	h.targets[platform] = to
	h.mu.Unlock()
	h.run()
}

// Webhooks returns the deliveries so far, oldest first.
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

// WaitWebhooks waits until every event so far was delivered or dropped. It does not move the clock: if a receiver keeps
// failing, it waits until ctx ends and then returns an error that names what is left.
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

// left describes the deliveries that are not settled.
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

// sends reports whether a platform has an address.
func (h *webhooks) sends(platform string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.s.opts.OnWebhook != nil || h.targets[platform].url != ""
}

// queue adds a delivery. Without an address it does nothing.
func (h *webhooks) queue(w Webhook) {
	if take := h.s.opts.OnWebhook; take != nil {
		d := &delivery{Webhook: w, from: h.sender(w.Platform)}
		take(w, func() http.Header { return h.sign(d, "") })
		return
	}
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

// run starts the loop once there is an address. Later calls do nothing.
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

// loop sends what the virtual clock has made due. A platform sends events on its own initiative, so something has to
// poll.
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

// poke makes the loop check again at once. It never blocks.
func (h *webhooks) poke() {
	select {
	case h.wake <- struct{}{}:
	default:
	}
}
