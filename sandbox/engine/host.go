package engine

import (
	"context"
	"net/http"
	"time"
)

// Host is what a platform gets from its server: clock, faults, files, background work, live posts and webhooks.
type Host struct {
	s    *Server
	name string
}

// Options are the server's, defaults filled in.
func (h *Host) Options() Options { return h.s.opts }

// URL is where clients reach the server, without a trailing slash; empty before Start unless Options.BaseURL says.
func (h *Host) URL() string { return h.s.URL() }

// Now is the virtual time.
func (h *Host) Now() time.Time { return h.s.Now() }

// NextID is a number that no other call gets.
func (h *Host) NextID() uint64 { return h.s.ids.next() }

// Secret is a random token under a prefix that says it belongs to the sandbox.
func (h *Host) Secret(prefix string) string { return newSecret(prefix) }

// NewExchange starts the record of a call. Without a known address, links are built from the host the client used.
func (h *Host) NewExchange(r *http.Request) *Exchange { return h.s.newExchange(r) }

// Perform runs one call through the fault script. serve makes the effect and returns the honest answer.
func (h *Host) Perform(w http.ResponseWriter, x *Exchange, f Face, serve func(*Exchange) Reply) {
	h.s.perform(w, x, f, serve)
}

// Answer sends a reply that no fault can touch, and logs the call.
func (h *Host) Answer(w http.ResponseWriter, x *Exchange, f Face, rep Reply) {
	h.s.answer(w, x, f, rep, "")
}

// TakeFault returns the next scripted fault of an operation that is not a call, and uses it up.
func (h *Host) TakeFault(op, account string) (Fault, bool) { return h.s.faults.take(op, account) }

// NewBlob opens an empty file.
func (h *Host) NewBlob() (*Blob, error) { return h.s.newBlob() }

// Fetch streams the file behind rawURL into b and returns its declared media type. At most limit bytes are taken;
// a larger file is ErrTooLarge.
func (h *Host) Fetch(ctx context.Context, rawURL string, b *Blob, limit int64) (mediaType string, err error) {
	return h.s.fetcher.fetch(ctx, rawURL, b, limit)
}

// Context ends when the server is closed.
func (h *Host) Context() context.Context { return h.s.ctx }

// Go runs f in the background; Close waits for it. It reports false, and does not run f, once Close has begun.
func (h *Host) Go(f func()) bool {
	if !h.s.begin() {
		return false
	}
	go func() {
		defer h.s.work.Done()
		f()
	}()
	return true
}

// GoLive makes a post that the public, or its audience, can see. Its permalink has no host: the address may only be
// known later.
func (h *Host) GoLive(p LivePost, files ...*Blob) {
	p.Platform = h.name
	h.s.live.add(p, files...)
}

// AddDraft notes a post that waits for its user and is not live.
func (h *Host) AddDraft(p LivePost, files ...*Blob) {
	p.Platform = h.name
	h.s.live.addDraft(p, files...)
}

// SendsWebhooks reports whether the platform's events have an address. Without one SendWebhook does nothing.
func (h *Host) SendsWebhooks() bool { return h.s.webhooks.sends(h.name) }

// SendWebhook queues one delivery. The body is sent and signed as it is.
func (h *Host) SendWebhook(event, account, body string) {
	h.s.webhooks.queue(Webhook{Platform: h.name, Event: event, Account: account, Body: body})
}
