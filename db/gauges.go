package db

import (
	"context"
	"time"

	"socialqueue/models"
)

// Backlog counts the pending work. The queries use partial indexes on pending rows, so
// finished rows do not slow them down.
type Backlog struct {
	// Posts that have not ended, by platform and status.
	Posts []PostCount
	// Overdue is how long the most overdue post has been due without a worker. Posts that
	// wait for their lane or for the end of a pause do not count, nor do held ones.
	Overdue time.Duration
	// Accounts by platform and status.
	Accounts []AccountCount
	// TokensEnding counts the active accounts whose token expires within a day and will not
	// be refreshed: the last refresh failed, or there is no refresh token. Accounts behind a
	// login do not count: their tokens do not expire.
	TokensEnding []PlatformCount
	// WebhookEvents counts the platforms' events that are not settled; OldestEvent is how
	// long the oldest has been due.
	WebhookEvents int64
	OldestEvent   time.Duration
	// Deliveries counts the pending deliveries to enabled endpoints of apps; OldestDelivery
	// is the age of the oldest.
	Deliveries     int64
	OldestDelivery time.Duration
	// DisabledEndpoints counts the endpoints that were disabled because they failed or
	// answered 410 Gone. Endpoints that their app disabled do not count.
	DisabledEndpoints int64
	// Pauses counts the paused platforms and accounts.
	Pauses int64
}

// PostCount counts posts.
type PostCount struct {
	Platform models.Platform
	Status   models.Status
	N        int64
}

// PlatformCount is a count for one platform. A platform with a count of 0 is left out.
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

// Backlog reads the counts.
func (o *Operators) Backlog(ctx context.Context, now time.Time) (Backlog, error) {
	var b Backlog
	orm := o.orm.WithContext(ctx)
	err := orm.Raw(`SELECT platform, status, COUNT(*) AS n FROM (
			SELECT platform, status FROM posts WHERE admission = 'waiting'
			UNION ALL SELECT platform, status FROM posts WHERE admission = 'parked'
			UNION ALL SELECT platform, status FROM posts WHERE admission = 'held'
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
	for _, q := range []struct {
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
		if err := o.countAndAge(ctx, q.n, q.oldest, q.count, q.first, now); err != nil {
			return b, wrap(err, "count pending work")
		}
	}
	if b.Deliveries > 0 {
		b.OldestDelivery = max(b.OldestDelivery+deliverFor, 0) // the query returns give_up_at
	}
	return b, nil
}

// overdue reads the due time of the most overdue post that should have a worker: an admitted
// post without a live lease, or a waiting post whose turn should have come.
var overdue = `SELECT run_at AS first FROM (
		SELECT run_at FROM posts WHERE admission = 'admitted' AND fence >= 0 AND (lease_until IS NULL OR lease_until < @now) AND run_at <= @now
		UNION ALL
		SELECT run_at FROM (SELECT run_at FROM posts WHERE ` + leftOut(models.StepPublish) + ` AND run_at <= @now ORDER BY run_at LIMIT 1) publish
		UNION ALL
		SELECT run_at FROM (SELECT run_at FROM posts WHERE ` + leftOut(models.StepTransfer) + ` AND run_at <= @now ORDER BY run_at LIMIT 1) transfer
	) late ORDER BY run_at LIMIT 1`

// leftOut holds for waiting posts that begin with a step, while no such post is due and in Asynq:
// the workers have nothing to do, so none of those that are due should wait.
func leftOut(step models.Step) string {
	of := "step = '" + string(step) + "'"
	return "admission = 'waiting' AND " + of + " AND NOT EXISTS (SELECT 1 FROM posts WHERE admission = 'admitted' AND status IN ('scheduled', 'queued', 'publishing') AND " + of + " AND run_at <= @now)"
}

// toEnabled selects the deliveries to enabled endpoints; no others are made.
const toEnabled = "endpoint_id IN (SELECT id FROM webhook_endpoints WHERE status = 'enabled' AND deleted_at IS NULL)"

// countAndAge runs the query count into n, and the query first for the age of the oldest
// row. n or age may be nil.
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
