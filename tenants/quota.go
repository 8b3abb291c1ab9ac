package tenants

import (
	"context"
	"fmt"
	"sync"
	"time"

	"socialqueue/models"
)

// A count is reused for some time: counting millions of posts with every request would make
// the quota dearer than what it protects. What this process adds is added to the count, so
// with several processes an app may exceed its quota by what the others added meanwhile.
const (
	// recountFar and recountNear are for counts far from the quota and near it.
	recountFar  = time.Minute
	recountNear = 5 * time.Second
	// recountFull is for one that has reached it.
	recountFull = time.Second
	// usageSize limits the counts in memory. It is far above the number of apps.
	usageSize = 10_000
)

// usage remembers what apps have of their quotas. It is safe for concurrent use.
type usage struct {
	mu    sync.Mutex
	known map[usageKey]*count
}

type usageKey struct {
	appID int64
	quota models.AppQuota
}

type count struct {
	turn       chan struct{} // one request at a time uses the count or has the database count
	used, most int64
	at         time.Time
}

func (u *usage) of(key usageKey) *count {
	u.mu.Lock()
	defer u.mu.Unlock()
	c, ok := u.known[key]
	if ok {
		return c
	}
	if u.known == nil || len(u.known) >= usageSize {
		u.known = map[usageKey]*count{}
	}
	c = &count{turn: make(chan struct{}, 1)}
	u.known[key] = c
	return c
}

// Reserve checks that an app may have n more of something, and counts them as used. It
// returns *models.QuotaError if there is no room.
func (s *Service) Reserve(ctx context.Context, appID int64, q models.AppQuota, n int64) error {
	c := s.usage.of(usageKey{appID, q})
	select {
	case c.turn <- struct{}{}:
		defer func() { <-c.turn }()
	case <-ctx.Done():
		return fmt.Errorf("count %s of app %d: %w", q, appID, ctx.Err())
	}
	now := s.Now()
	if age := now.Sub(c.at); c.at.IsZero() || age >= c.life(n) {
		used, err := s.DB.Tenants.Used(ctx, appID, q)
		if err != nil {
			return err
		}
		most, err := s.DB.Tenants.Quota(ctx, appID, q)
		if err != nil {
			return err
		}
		c.used, c.most, c.at = used, most, now
	}
	if c.used+n > c.most {
		return q.Exceeded(c.most)
	}
	c.used += n
	return nil
}

// life is how long the count may be used for a request of n more.
func (c *count) life(n int64) time.Duration {
	switch {
	case c.used+n > c.most:
		return recountFull
	case c.used+n > c.most/2:
		return recountNear
	default:
		return recountFar
	}
}
