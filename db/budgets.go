package db

import (
	"context"
	"fmt"
	"time"

	"gorm.io/gorm"
)

// Budget is how many recorded calls a platform takes of an account in a time. The zero value is
// no limit.
type Budget struct {
	// Name is the same for all calls that share it, in every process.
	Name   string
	Most   int
	Within time.Duration
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

// reserve returns a *SpentError if a budget has no call left now. Until the transaction ends
// nobody else can use the budget, so that the call which it records is counted by the next one.
func (d conn) reserve(tx *gorm.DB, b Budget, now time.Time) error {
	if b.Name == "" {
		return nil
	}
	if d.dialect == Postgres { // the other has one writer
		if err := tx.Exec("SELECT pg_advisory_xact_lock(hashtextextended(?, 0))", b.Name).Error; err != nil {
			return fmt.Errorf("lock the budget %s: %w", b.Name, err)
		}
	}
	return b.free(tx, now)
}

func (b Budget) free(tx *gorm.DB, now time.Time) error {
	if b.Name == "" {
		return nil
	}
	var oldest []time.Time // of the newest calls that would be too many with one more
	err := tx.Table("ledger").Where("budget = ? AND created_at > ?", b.Name, now.Add(-b.Within)).
		Order("created_at DESC").Offset(b.Most-1).Limit(1).Pluck("created_at", &oldest).Error
	if err != nil {
		return fmt.Errorf("read the budget %s: %w", b.Name, err)
	}
	if len(oldest) > 0 {
		return &SpentError{oldest[0].Add(b.Within)}
	}
	return nil
}
