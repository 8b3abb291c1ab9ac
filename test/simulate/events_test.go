package simulate

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"socialqueue/models"
	"socialqueue/sandbox"
)

// events are what the platforms send. They send while they answer calls, on any actor's goroutine.
type events struct {
	mu   sync.Mutex
	open []event
	sent int
}

type event struct {
	at       time.Time
	platform string
	name     string
	body     string
	sign     func() http.Header
}

func (e *events) take(w sandbox.Webhook, sign func() http.Header) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.open = append(e.open, event{time.Now(), w.Platform, "platform sends " + w.Event, w.Body, sign})
}

func (e *events) len() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.open)
}

// next is when the first event is due, or by, whichever is sooner.
func (e *events) next(by time.Time) time.Time {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, o := range e.open {
		by = earlier(by, o.at)
	}
	return by
}

// begin delivers an event that is due. It may come late, twice, or not at all.
func (e *events) begin(h *history) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	now := time.Now()
	i := slices.IndexFunc(e.open, func(o event) bool { return !o.at.After(now) })
	if i < 0 {
		return false
	}
	due := e.open[i]
	e.sent++
	a := &actor{name: fmt.Sprintf("%s %d", due.name, e.sent)}
	switch {
	case h.happens(a, "is late", h.rates.queue):
		e.open[i].at = now.Add(time.Duration(1+h.pick(600)) * time.Second)
		return true
	case h.happens(a, "is repeated", h.rates.queue):
		e.open[i].at = now.Add(time.Duration(h.pick(60)) * time.Second)
	default:
		e.open = slices.Delete(e.open, i, i+1)
		if h.happens(a, "is lost", h.rates.queue) {
			return true
		}
	}
	h.spawn(a, func(ctx context.Context) error {
		return h.api.inbox.Receive(ctx, models.Platform(due.platform), due.sign(), []byte(due.body))
	}, nil)
	return true
}
