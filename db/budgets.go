package db

import (
	"context"
	"fmt"
	"time"

	"gorm.io/gorm"

	"socialqueue/models"
)

// Budget limits how many calls of an account may be recorded in a time. The zero value is no
// limit.
type Budget struct {
	// Name is the same for all calls that share it, in every process.
	Name   string
	Most   int
	Within time.Duration
	// Effective: calls that had no effect do not count.
	Effective bool
}

// SpentError is returned for a call that would use more than its budget.
type SpentError struct {
	// Until is when the next call is free.
	Until time.Time
}

// Error says until when.
func (e *SpentError) Error() string {
	return "no call is free until " + e.Until.UTC().Format(time.RFC3339)
}

// Free returns a *SpentError if a budget has no call left now.
func (s *Runs) Free(ctx context.Context, b Budget, now time.Time) error {
	return b.free(s.orm.WithContext(ctx), now)
}

// WaitsAhead reports whether a post of the same account that was to be published sooner waits for the
// same reason, and goes on by then.
func (s *Runs) WaitsAhead(ctx context.Context, p *models.Post, reason string, by time.Time) (bool, error) {
	var ahead bool
	err := s.orm.WithContext(ctx).Raw(`
		SELECT EXISTS (SELECT 1 FROM posts WHERE lane = @lane AND admission = 'admitted' AND status IN ('scheduled', 'queued') AND deferred_reason = @reason AND run_at <= @by
			AND (publish_at < @at OR publish_at = @at AND (created_at < @created OR created_at = @created AND id < @id)))`,
		map[string]any{"lane": p.Lane, "at": p.PublishAt, "created": p.CreatedAt, "id": p.ID, "by": by, "reason": reason}).Scan(&ahead).Error
	return ahead, wrap(err, "read what waits before post %s", p.ID)
}

// reserve returns a *SpentError if a budget has no call left now. Until the transaction ends
// nobody else can use the budget, so that the call which it records is counted by the next one.
func (d conn) reserve(tx *gorm.DB, b Budget, now time.Time) error {
	if b.Name == "" {
		return nil
	}
	if d.dialect == Postgres { // SQLite has one writer
		// A machine that loses its power here would keep the account waiting for as long as the
		// server takes it to be alive.
		err := tx.Exec("SELECT set_config('idle_in_transaction_session_timeout', '60s', TRUE), pg_advisory_xact_lock(hashtextextended(?, 0))", b.Name).Error
		if err != nil {
			return fmt.Errorf("lock the budget %s: %w", b.Name, err)
		}
	}
	return b.free(tx, now)
}

func (b Budget) free(tx *gorm.DB, now time.Time) error {
	if b.Name == "" {
		return nil
	}
	var oldest []time.Time // the call that has to be too old before the next one is free
	err := b.calls(tx, now).Order("created_at DESC").Offset(b.Most-1).Limit(1).Pluck("created_at", &oldest).Error
	if err != nil {
		return fmt.Errorf("read the budget %s: %w", b.Name, err)
	}
	if len(oldest) > 0 {
		return &SpentError{oldest[0].Add(b.Within)}
	}
	return nil
}

// calls are those that count now.
func (b Budget) calls(tx *gorm.DB, now time.Time) *gorm.DB {
	q := tx.Table("ledger").Where("budget = ? AND created_at > ?", b.Name, now.Add(-b.Within))
	if b.Effective {
		q = q.Where("state <> ?", models.Void)
	}
	return q
}

// Used counts the calls that count now.
func (s *Runs) Used(ctx context.Context, b Budget, now time.Time) (int, error) {
	var n int64
	err := b.calls(s.orm.WithContext(ctx), now).Count(&n).Error
	return int(n), wrap(err, "count the calls of the budget %s", b.Name)
}

// TakePace notes a read of the pace of that name, of which at most burst + t/every may be made in a
// time t. If it is one too many it is not noted, and TakePace returns when it may be made.
func (s *Runs) TakePace(ctx context.Context, name string, every time.Duration, burst int, now time.Time) (free time.Time, err error) {
	// used_until is when all reads so far are used up: each takes up a time of every. It is at most
	// a burst ahead of now; what is farther ahead was written by a clock that is wrong.
	var until []int64
	spare := time.Duration(burst-1) * every
	err = s.orm.WithContext(ctx).Raw(`
		INSERT INTO paces (name, used_until) VALUES (@name, @one)
		ON CONFLICT (name) DO UPDATE SET used_until = CASE WHEN paces.used_until > @now AND paces.used_until <= @latest THEN paces.used_until + @every ELSE @one END
			WHERE paces.used_until <= @latest OR paces.used_until > @wrong
		RETURNING used_until`, map[string]any{
		"name": name, "now": now.UnixMilli(), "every": every.Milliseconds(), "one": now.Add(every).UnixMilli(), "latest": now.Add(spare).UnixMilli(),
		"wrong": now.Add(time.Duration(burst)*every + time.Minute).UnixMilli(),
	}).Scan(&until).Error
	if err == nil && len(until) == 0 {
		err = s.orm.WithContext(ctx).Table("paces").Where("name = ?", name).Pluck("used_until", &until).Error
		if err == nil && len(until) > 0 {
			free = time.UnixMilli(until[0]).Add(-spare)
		}
	}
	return free, wrap(err, "keep the pace %s", name)
}
