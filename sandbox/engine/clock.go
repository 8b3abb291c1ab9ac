package engine

import (
	"sync"
	"time"
)

// clock is the virtual time of a Server: a base clock plus what Advance added. Every lifetime, window and delay of
// the simulation reads it; only network timeouts run on real time.
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

// Now is the sandbox's virtual time.
func (s *Server) Now() time.Time { return s.clock.now() }

// Advance moves the virtual clock forward: tokens, rate windows and processing all age by d.
// Webhooks that this makes due are on their way soon after; WaitWebhooks waits for them.
func (s *Server) Advance(d time.Duration) {
	s.clock.advance(d)
	s.webhooks.poke()
}
