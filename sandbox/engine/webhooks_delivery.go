package engine

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"
)

const (
	maxSendings    = 8
	webhookTimeout = 10 * time.Second // real time; no platform's page tells theirs

	maxWebhookBackoff = time.Hour // our choice: the pages say "exponential" and "less often"

	maxWebhookAnswer = 64 << 10 // read of an answer, and thrown away
)

// delivery is a Webhook that is being delivered. Platform, Event, Account, Body and from never change; webhooks.mu
// guards the rest.
type delivery struct {
	Webhook
	from     *sender
	nextAt   time.Time
	firstAt  time.Time // of the first sending; its life counts from here
	failures int
	held     bool // waits for the next one of its platform
	waited   bool // a scripted wait is over: the next sending goes as it is
}

func (d *delivery) String() string {
	what := fmt.Sprintf("%s %s, %d attempts, last status %d", d.Platform, d.Event, d.Attempts, d.Status)
	if d.Error != "" {
		what += " (" + d.Error + ")"
	}
	if d.held {
		what += ", held until the next one"
	}
	return what
}

// turn is the key of deliveries that are sent one after the other: those of one account. The platforms promise no
// order; a test that wants disorder scripts it.
func (d *delivery) turn() string { return d.Platform + " " + d.Account }

func (d *delivery) expired(now time.Time) bool {
	return d.Attempts > 0 && !now.Before(d.firstAt.Add(d.from.Life))
}

// backoff returns the wait after the latest failure.
func (d *delivery) backoff() time.Duration {
	doublings := d.failures - 1
	if d.from.RetryAtOnce {
		doublings--
	}
	if doublings < 0 {
		return 0
	}
	return min(time.Second<<min(doublings, 12), maxWebhookBackoff)
}

func newWebhookClient() *http.Client {
	return &http.Client{
		Timeout:       webhookTimeout,
		Transport:     &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// dispatch removes settled deliveries, drops expired ones and sends those that are due, oldest first.
func (h *webhooks) dispatch() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.open = slices.DeleteFunc(h.open, func(d *delivery) bool { return d.settled() })
	now := h.s.Now()
	for _, d := range h.open {
		if len(h.busy) == maxSendings {
			break
		}
		switch {
		case h.busy[d.turn()]:
		case d.expired(now) || h.targets[d.Platform].url == "":
			d.Dropped = true
			h.release(d)
		case !d.held && !now.Before(d.nextAt):
			h.attempt(d, now)
		}
	}
}

// attempt sends d in the background, unless a fault delays it. h.mu is held.
func (h *webhooks) attempt(d *delivery, now time.Time) {
	mode, wait := h.misbehave(d, now)
	if wait || !h.s.begin() {
		return
	}
	SetDefault(&d.firstAt, now)
	h.busy[d.turn()] = true
	go h.send(d, h.targets[d.Platform], mode)
}

// misbehave returns the scripted fault of this sending, and whether the sending waits. h.mu is held.
func (h *webhooks) misbehave(d *delivery, now time.Time) (mode Mode, wait bool) {
	if d.waited {
		d.waited = false
		return "", false
	}
	f, _ := h.s.faults.take(d.from.Op, d.Account)
	switch {
	case f.Mode == ModeLate:
		d.nextAt, d.waited = now.Add(f.Delay), true
		return "", true
	case f.Mode == ModeReorder && h.held[d.Platform] == nil:
		h.held[d.Platform], d.held = d, true
		return "", true
	}
	return f.Mode, false
}

// send makes one attempt. Each attempt is signed again, as the signature may contain the time.
func (h *webhooks) send(d *delivery, to target, mode Mode) {
	defer h.s.work.Done()
	defer h.finish(d)
	header := h.sign(d, mode)
	sendings := 1
	if mode == ModeDuplicate {
		sendings = 2
	}
	for range sendings {
		status, err := h.post(d, to, header)
		h.note(d, header, status, err)
	}
}

// post makes one request. An address from the options is verified first; a failed handshake counts as a failed
// delivery.
func (h *webhooks) post(d *delivery, to target, header http.Header) (status int, err error) {
	if !to.verified {
		if err := d.from.Verify(h.s.ctx, h.client, to.url, to.token); err != nil {
			return 0, err
		}
		h.verified(d.Platform, to)
	}
	ctx, cancel := context.WithTimeout(h.s.ctx, webhookTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to.url, strings.NewReader(d.Body))
	if err != nil {
		return 0, err
	}
	req.Header = header.Clone()
	res, err := h.client.Do(req)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, maxWebhookAnswer)) // only the status counts
	return res.StatusCode, nil
}

// verified records a handshake, unless the address was changed meanwhile.
func (h *webhooks) verified(platform string, to target) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.targets[platform] == to {
		to.verified = true
		h.targets[platform] = to
	}
}

func (h *webhooks) note(d *delivery, header http.Header, status int, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	d.Attempts++
	d.Header, d.Status, d.Error = header, status, ""
	if err != nil {
		d.Error = err.Error()
	}
}

// finish settles d or schedules its retry, and releases a delivery that waited for it.
func (h *webhooks) finish(d *delivery) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.busy, d.turn())
	d.Delivered = d.Status == http.StatusOK
	if !d.Delivered {
		d.failures++
		d.nextAt = h.s.Now().Add(d.backoff())
	}
	h.release(h.held[d.Platform])
	h.poke()
}

// release ends the wait of a held delivery; d may be nil. h.mu is held.
func (h *webhooks) release(d *delivery) {
	if d != nil && d.held {
		d.held, d.waited = false, true
		delete(h.held, d.Platform)
	}
}
