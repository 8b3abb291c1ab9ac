package testkit

import (
	"sync"
	"time"
)

// Epoch is the time at which the clocks of tests start.
var Epoch = time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)

// Clock stands still unless a test moves it. It is safe for concurrent use.
type Clock struct {
	mu  sync.Mutex
	now time.Time
}

// NewClock returns a clock that shows Epoch.
func NewClock() *Clock { return &Clock{now: Epoch} }

// Now returns the time that the clock shows.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Advance moves the clock by d.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// Set moves the clock to now.
func (c *Clock) Set(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = now
}

// Reach moves the clock forward to at. It does nothing if at is past.
func (c *Clock) Reach(at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if at.After(c.now) {
		c.now = at
	}
}
