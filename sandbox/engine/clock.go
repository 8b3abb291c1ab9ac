package engine

import (
	"sync"
	"time"
)

// clock is the virtual time of a Server: the base clock plus what Advance added. Lifetimes, rate windows and delays use
// it; only network timeouts use real time.
type clock struct {
	base func() time.Time

	mu     sync.Mutex
	offset time.Duration
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.base().Add(c.offset)
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.offset += d
}

// Now returns the virtual time.
func (s *Server) Now() time.Time { return s.clock.now() }

// Advance moves the virtual clock forward by d: tokens, rate windows and processing age. Webhooks that become due are
// sent soon after; WaitWebhooks waits for them.
func (s *Server) Advance(d time.Duration) {
	s.clock.advance(d)
	s.webhooks.poke()
}
