package db

import (
	"context"
	"time"

	"socialqueue/models"
)

// Backlog tells how much there is to do. It counts what is under way, by indices that
// hold nothing else: what has ended, however much that is, costs nothing.
type Backlog struct {
	// Posts under way, by platform and status.
	Posts []PostCount
	// Overdue is how long the post has been due that waits for a worker longest, or to be
	// given to one. Those that wait for their turn or for the end of a pause do not count.
	Overdue time.Duration
	// Accounts by platform and status.
	Accounts []AccountCount
	// TokensEnding are the active accounts whose token ends within a day and that no
	// refresh is going to renew: the last one failed, or there is nothing to refresh with.
	// Accounts behind a login do not count: their tokens have no end.
	TokensEnding []PlatformCount
	// WebhookEvents are the platforms' events that are not settled, and OldestEvent is
	// how long the oldest has been due.
	WebhookEvents int64
	OldestEvent   time.Duration
	// Deliveries are those to apps that are not settled, but for endpoints that are told
	// nothing, and OldestDelivery is how long the oldest has been waiting.
	Deliveries     int64
	OldestDelivery time.Duration
	// DisabledEndpoints are those that were disabled for failing, or as they answered that
	// they are gone; not those that their app disabled.
	DisabledEndpoints int64
	// Pauses are the platforms and accounts to which operators let nothing be sent.
	Pauses int64
}

// PostCount counts posts.
type PostCount struct {
	Platform models.Platform
	Status   models.Status
	N        int64
}

// PlatformCount counts something of one platform. None is not among them.
type PlatformCount struct {
	Platform models.Platform
	N        int64
}

// AccountCount counts accounts.
type AccountCount struct {
	Platform models.Platform
	Status   models.AccountStatus
	N        int64
}

// Backlog asks for all of it.
func (o *Operators) Backlog(ctx context.Context, now time.Time) (Backlog, error) {
	var b Backlog
	orm := o.orm.WithContext(ctx)
	err := orm.Raw(`SELECT platform, status, COUNT(*) AS n FROM (
			SELECT platform, status FROM posts WHERE admission = 'waiting'
			UNION ALL SELECT platform, status FROM posts WHERE admission = 'parked'
			UNION ALL SELECT platform, status FROM posts WHERE admission = 'admitted' AND fence >= 0) live
		GROUP BY platform, status`).Scan(&b.Posts).Error
	if err == nil {
		err = orm.Raw(`
			SELECT provider AS platform, status, COUNT(*) AS n FROM oauth_accounts WHERE provider <> @behind GROUP BY provider, status
			UNION ALL SELECT CAST(@behind AS text), status, COUNT(*) FROM instagram_accounts GROUP BY status`,
			map[string]any{"behind": accountsBehind}).Scan(&b.Accounts).Error
	}
	if err == nil {
		err = orm.Raw(`
			SELECT provider AS platform, COUNT(*) AS n FROM oauth_accounts WHERE provider <> ? AND status = 'active'
				AND expires_at < ? AND (refresh_failures > 0 OR refresh_token IS NULL OR refresh_token = '') GROUP BY provider`,
			accountsBehind, now.Add(24*time.Hour)).Scan(&b.TokensEnding).Error
	}
	if err != nil {
		return b, wrap(err, "count posts and accounts")
	}
	for _, ask := range []struct {
		n      *int64
		oldest *time.Duration
		count  string
		first  string
	}{
		{nil, &b.Overdue, "", overdue},
		{&b.WebhookEvents, &b.OldestEvent, "SELECT COUNT(*) FROM webhook_events WHERE run_at IS NOT NULL", "SELECT run_at AS first FROM webhook_events WHERE run_at <= @now ORDER BY run_at LIMIT 1"},
		{
			&b.Deliveries, &b.OldestDelivery, "SELECT COUNT(*) FROM webhook_deliveries WHERE status = 'pending' AND " + toEnabled,
			"SELECT give_up_at AS first FROM webhook_deliveries WHERE status = 'pending' AND created_at <= @now AND " + toEnabled + " ORDER BY give_up_at LIMIT 1",
		},
		{&b.DisabledEndpoints, nil, "SELECT COUNT(*) FROM webhook_endpoints WHERE status = 'disabled' AND deleted_at IS NULL AND status_reason <> '" + models.DisabledByApp + "'", ""},
		{&b.Pauses, nil, "SELECT COUNT(*) FROM pauses", ""},
	} {
		if err := o.countAndAge(ctx, ask.n, ask.oldest, ask.count, ask.first, now); err != nil {
			return b, wrap(err, "count what waits")
		}
	}
	if b.Deliveries > 0 {
		b.OldestDelivery = max(b.OldestDelivery+deliverFor, 0) // it was asked when that one is given up
	}
	return b, nil
}

// overdue finds what a worker should have by now. The tick takes what waits to where it
// belongs when it is due, parked what is held: so what still waits is not seen to.
const overdue = `SELECT run_at AS first FROM (
		SELECT run_at FROM posts WHERE admission = 'admitted' AND fence >= 0 AND (lease_until IS NULL OR lease_until < @now) AND run_at <= @now
		UNION ALL
		SELECT run_at FROM (SELECT run_at FROM posts WHERE admission = 'waiting' AND run_at <= @now ORDER BY run_at LIMIT 1) first
	) late ORDER BY run_at LIMIT 1`

// toEnabled keeps to what is delivered: what waits for an endpoint that an app disabled
// waits for the app.
const toEnabled = "endpoint_id IN (SELECT id FROM webhook_endpoints WHERE status = 'enabled' AND deleted_at IS NULL)"

// countAndAge asks how many there are, and how old the oldest is.
func (o *Operators) countAndAge(ctx context.Context, n *int64, age *time.Duration, count, first string, now time.Time) error {
	orm := o.orm.WithContext(ctx)
	if n != nil {
		if err := orm.Raw(count).Scan(n).Error; err != nil {
			return err
		}
	}
	if age == nil {
		return nil
	}
	var row struct{ First *time.Time }
	if err := orm.Raw(first, map[string]any{"now": now}).Scan(&row).Error; err != nil {
		return err
	}
	if row.First != nil {
		*age = now.Sub(*row.First)
	}
	return nil
}
