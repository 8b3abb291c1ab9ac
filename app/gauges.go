package app

import (
	"context"
	"time"

	"socialqueue/db"
	"socialqueue/models"
	"socialqueue/observe"
)

// ask adds the gauges of queues, database and Redis. Only schedulers have them: if every
// process had them, the same numbers would be counted several times.
func (c *core) ask() {
	c.metrics.AddSources(c.log, map[string]observe.Source{"queues": c.queue.Gauges, "database": c.backlog, "redis": c.queue.RedisGauges})
}

// backlog returns the gauges of pending work.
func (c *core) backlog(ctx context.Context) ([]observe.Gauge, error) {
	b, err := c.db.Operators.Backlog(ctx, c.opts.Now().UTC())
	if err != nil {
		return nil, err
	}
	gauges, err := c.restored(ctx)
	if err != nil {
		return nil, err
	}
	overdue, err := c.cleanUps(ctx)
	if err != nil {
		return nil, err
	}
	breakers, err := c.breakers(ctx)
	if err != nil {
		return nil, err
	}
	gauges = append(append(gauges, overdue...), breakers...)
	for _, n := range b.Posts {
		gauges = append(gauges, observe.Gauge{
			Name: "posts", Help: "Posts that have not ended.", Labels: []string{"platform", string(n.Platform), "status", string(n.Status)}, Value: float64(n.N),
		})
	}
	for _, n := range b.Accounts {
		gauges = append(gauges, observe.Gauge{
			Name: "accounts", Help: "Connected accounts.", Labels: []string{"platform", string(n.Platform), "status", string(n.Status)}, Value: float64(n.N),
		})
	}
	for _, p := range c.platforms {
		if p.Name.BehindLogin() {
			continue
		}
		gauges = append(gauges, observe.Gauge{
			Name: "accounts_token_ending", Help: "Active accounts whose token expires within a day, and whose last refresh failed or that have no refresh token.",
			Labels: []string{"platform", string(p.Name)}, Value: float64(tokensEnding(b, p.Name)),
		})
	}
	return append(gauges,
		observe.Gauge{Name: "posts_overdue_seconds", Help: "Longest wait of a due post for a worker, or to be enqueued.", Value: b.Overdue.Seconds()},
		observe.Gauge{Name: "webhook_events_pending", Help: "Events of platforms that are not settled.", Value: float64(b.WebhookEvents)},
		observe.Gauge{Name: "webhook_events_oldest_age_seconds", Help: "Age of the oldest due event.", Value: b.OldestEvent.Seconds()},
		observe.Gauge{Name: "outbox_unsent", Help: "Webhook deliveries to apps that are pending.", Value: float64(b.Deliveries)},
		observe.Gauge{Name: "outbox_oldest_age_seconds", Help: "Age of the oldest pending delivery.", Value: b.OldestDelivery.Seconds()},
		observe.Gauge{Name: "webhook_endpoints_disabled", Help: "Endpoints of apps that were disabled because they failed or answered 410.", Value: float64(b.DisabledEndpoints)},
		observe.Gauge{Name: "pauses", Help: "Platforms and accounts that operators paused.", Value: float64(b.Pauses)},
	), nil
}

// breakers returns a gauge for each kind of call that fails for post after post.
func (c *core) breakers(ctx context.Context) ([]observe.Gauge, error) {
	all, err := c.db.Breakers.List(ctx)
	if err != nil {
		return nil, err
	}
	var gauges []observe.Gauge
	for _, b := range all {
		open := 0.0
		if b.Open() {
			open = 1
		}
		gauges = append(gauges, observe.Gauge{
			Name: "breaker_open", Help: "1 while a kind of call to a platform is not made because it keeps failing; 0 while failures are counted, and no value else.",
			Labels: []string{"platform", string(b.Platform), "operation", b.Op}, Value: open,
		})
	}
	return gauges, nil
}

// cleanUps returns, for each kind of thing that a clean-up removes, how long the oldest that it
// should have removed is overdue.
func (c *core) cleanUps(ctx context.Context) ([]observe.Gauge, error) {
	var gauges []observe.Gauge
	for _, kind := range []struct {
		name    string
		overdue func(context.Context) (time.Duration, error)
	}{
		{"media", c.posts.FilesOverdue},
		{"idempotency_keys", c.posts.KeysOverdue},
		{"webhook_events", c.inbox.PruneOverdue},
		{"webhook_deliveries", c.notify.CleanUpOverdue},
	} {
		overdue, err := kind.overdue(ctx)
		if err != nil {
			return nil, err
		}
		gauges = append(gauges, observe.Gauge{
			Name: "clean_up_overdue_seconds", Help: "How long the oldest thing that a clean-up should have removed is overdue; 0 if there is none.",
			Labels: []string{"kind", kind.name}, Value: overdue.Seconds(),
		})
	}
	return gauges, nil
}

// restored returns the gauges of restored backups.
func (c *core) restored(ctx context.Context) ([]observe.Gauge, error) {
	held, err := c.db.Restores.CountHeld(ctx)
	if err != nil {
		return nil, err
	}
	restores, err := c.db.Restores.List(ctx)
	if err != nil {
		return nil, err
	}
	found := 0.0
	if len(restores) > 0 {
		found = float64(restores[0].FoundAt.UnixMilli()) / 1000
	}
	var gauges []observe.Gauge
	for _, reason := range models.HeldReasons {
		gauges = append(gauges, observe.Gauge{
			Name: "posts_held", Help: "Posts that are not sent until an operator releases them, because the database was restored.",
			Labels: []string{"reason", string(reason)}, Value: float64(held[reason]),
		})
	}
	return append(gauges, observe.Gauge{
		Name: "restored_timestamp_seconds", Help: "When the database was last found restored from a backup or replaced; 0 if never.", Value: found,
	}), nil
}

func tokensEnding(b db.Backlog, p models.Platform) int64 {
	for _, n := range b.TokensEnding {
		if n.Platform == p {
			return n.N
		}
	}
	return 0
}
