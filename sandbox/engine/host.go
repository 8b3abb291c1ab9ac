package engine

import (
	"context"
	"net/http"
	"time"
)

// Host is a platform's access to its server: clock, faults, files, background work, live posts and webhooks.
type Host struct {
	s    *Server
	name string
}

// Options returns the server's options with defaults filled in.
func (h *Host) Options() Options { return h.s.opts }

// URL returns the address of the server without a trailing slash. It is empty before Start unless Options.BaseURL is
// set.
func (h *Host) URL() string { return h.s.URL() }

// Now returns the virtual time.
func (h *Host) Now() time.Time { return h.s.Now() }

// NextID returns a number that is never returned again.
func (h *Host) NextID() uint64 { return h.s.ids.next() }

// Secret returns a random token with the given prefix.
func (h *Host) Secret(prefix string) string { return newSecret(prefix) }

// NewExchange starts the record of a call.
func (h *Host) NewExchange(r *http.Request) *Exchange { return h.s.newExchange(r) }

// Perform runs one call through the fault script, answers it and logs it. serve makes the effect and returns the answer
// without the fault.
func (h *Host) Perform(w http.ResponseWriter, x *Exchange, f Face, serve func(*Exchange) Reply) {
	h.s.perform(w, x, f, serve)
}

// Answer sends a reply without consulting the fault script, and logs the call.
func (h *Host) Answer(w http.ResponseWriter, x *Exchange, f Face, rep Reply) {
	h.s.answer(w, x, f, rep, "")
}

// TakeFault returns and consumes the next scripted fault of an operation that is not a call, such as processing.
func (h *Host) TakeFault(op, account string) (Fault, bool) { return h.s.faults.take(op, account) }

// NewBlob opens an empty file.
func (h *Host) NewBlob() (*Blob, error) { return h.s.newBlob() }

// Fetch streams the file at rawURL into b and returns its declared media type. It returns ErrTooLarge for a file of
// more than limit bytes.
func (h *Host) Fetch(ctx context.Context, rawURL string, b *Blob, limit int64) (mediaType string, err error) {
	return h.s.fetcher.fetch(ctx, rawURL, b, limit)
}

// Context returns a context that ends when the server is closed.
func (h *Host) Context() context.Context { return h.s.ctx }

// Go runs f in the background; Close waits for it. After Close has begun, Go returns false and does not run f.
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

// GoLive records a post that the public or its audience can see. Its permalink is a path: the host may not be known
// yet.
func (h *Host) GoLive(p LivePost, files ...*Blob) {
	p.Platform = h.name
	h.s.live.add(p, files...)
}

// AddComment records a comment on a live post of the platform.
func (h *Host) AddComment(postID string, c LiveComment) { h.s.live.comment(h.name, postID, c) }

// AddDraft records a post that waits for its user and is not live.
func (h *Host) AddDraft(p LivePost, files ...*Blob) {
	p.Platform = h.name
	h.s.live.addDraft(p, files...)
}

// SendsWebhooks reports whether the platform's webhooks have an address. Without one, SendWebhook does nothing.
func (h *Host) SendsWebhooks() bool { return h.s.webhooks.sends(h.name) }

// SendWebhook queues one delivery. The body is sent and signed unchanged. Deliveries of one account are sent in order.
func (h *Host) SendWebhook(event, account, body string) {
	h.s.webhooks.queue(Webhook{Platform: h.name, Event: event, Account: account, Body: body})
}
