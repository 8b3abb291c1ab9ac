package db

import (
	"database/sql"
	"fmt"
	"strings"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"socialqueue/models"
)

// leaseGuard is the condition on a post's lease under which the post may be moved.
type leaseGuard uint8

const (
	// leaseFree: there is no lease, not even an expired one. It is the zero value.
	leaseFree leaseGuard = iota
	// leaseEnded: there is no lease, or it has expired.
	leaseEnded
	// leaseAny: the lease is not checked. The writer's own run holds it, as the fence
	// proves, or the post has ended, so that no run can hold it.
	leaseAny
)

// move is one change of posts' status. Every write of the column status goes through it. It
// checks that the transition table in models allows the change, and that the row still has
// the expected status, fence and lease. A writer that changes no row must stop and send
// nothing.
type move struct {
	// from are the states that the row may have.
	from []models.Status
	to   models.Status
	// lease is the condition on the lease at now.
	lease leaseGuard
	now   time.Time
}

// check returns ErrNoSuchMove unless the transition table allows the move.
func (m move) check() error {
	for _, from := range m.from {
		if !models.CanMove(from, m.to) {
			return fmt.Errorf("%s to %s: %w", from, m.to, ErrNoSuchMove)
		}
	}
	return nil
}

// where is the condition on the row, in SQL with the parameter @now. The states are literals
// so that partial indexes apply.
func (m move) where() string {
	states := make([]string, len(m.from))
	for i, from := range m.from {
		states[i] = "'" + string(from) + "'"
	}
	status := "status = " + states[0]
	if len(states) > 1 {
		status = "status IN (" + strings.Join(states, ", ") + ")"
	}
	switch m.lease {
	case leaseAny:
		return status
	case leaseEnded:
		return status + " AND (lease_until IS NULL OR lease_until < @now)"
	default:
		return status + " AND lease_until IS NULL"
	}
}

// set is the assignment of the new status, in SQL.
func (m move) set() string { return "status = '" + string(m.to) + "'" }

// one moves one post to m.to if its fence is still fence, and writes the given columns of
// row too. The caller stores the timeline entry and the app's event.
func (m move) one(tx *gorm.DB, row *models.Post, fence int64, columns ...string) error {
	if err := m.check(); err != nil {
		return fmt.Errorf("move post %s, %w", row.ID, err)
	}
	res := tx.Model(&models.Post{}).Where("id = ? AND fence = ?", row.ID, fence).
		Where(clause.NamedExpr{SQL: m.where(), Vars: []any{sql.Named("now", m.now)}}).
		Select(append([]string{"status"}, columns...)).UpdateColumns(row)
	return changedOne(res, fmt.Sprintf("move post %s to %s", row.ID, m.to))
}

// unsent are the states of a post whose sending has not begun.
var unsent = []models.Status{models.Scheduled, models.Queued}

// mutable lists the columns, besides status, that change after a post was accepted. It
// leaves out the lease: a run renews its lease in the background, so the row has a newer
// value than the run's copy of the post.
var mutable = []string{
	"publish_at", "miss_at", "source_url", "step", "media_id", "admission", "run_at", "enqueued_at", "fence", "attempts",
	"unfinished_runs", "looks", "waiting_since", "deferred_until", "deferred_reason", "publish_id", "container_id",
	"platform_post_id", "permalink", "error_code", "error_message", "started_at", "published_at", "updated_at", "restore_id", "held_reason",
}

// mutableAndLease is mutable with the lease, for a write that releases the lease.
var mutableAndLease = append([]string{"lease_until", "lease_owner"}, mutable...)
