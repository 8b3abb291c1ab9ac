package db

import (
	"context"
	"errors"
	"fmt"
	"time"

	"gorm.io/gorm"
)

// conn is the connection that all stores share.
type conn struct {
	orm     *gorm.DB
	dialect Dialect
}

// wrap adds what failed to err. It returns nil if err is nil.
func wrap(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", fmt.Sprintf(format, args...), err)
}

// forUpdate returns the clause that locks the rows of a query. With an ORDER BY, two
// transactions that change the same posts wait for each other and never deadlock.
func (d conn) forUpdate() string {
	if d.dialect == SQLite {
		return "" // SQLite allows only one writer
	}
	return "FOR UPDATE"
}

// skipLocked returns the clause that leaves out rows which another transaction is changing. The
// caller runs again soon and handles them then.
func (d conn) skipLocked() string {
	if d.dialect == SQLite {
		return ""
	}
	return "FOR UPDATE SKIP LOCKED"
}

// translate turns an error of the database into GORM's error. GORM does not do this itself
// for raw SQL.
func (d conn) translate(err error) error {
	if translator, ok := d.orm.Dialector.(gorm.ErrorTranslator); ok && err != nil {
		return translator.Translate(err)
	}
	return err
}

// overdue returns how much older than before the time is that query selects as first, or 0 if
// it selects no row. The query has before as @before.
func (d conn) overdue(ctx context.Context, before time.Time, query string) (time.Duration, error) {
	var row struct{ First *time.Time }
	if err := d.orm.WithContext(ctx).Raw(query, map[string]any{"before": before}).Scan(&row).Error; err != nil || row.First == nil {
		return 0, err
	}
	return before.Sub(*row.First), nil
}

// first turns GORM's "record not found" into ErrNotFound.
func first(err error, what string) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, gorm.ErrRecordNotFound):
		return fmt.Errorf("%s: %w", what, ErrNotFound)
	default:
		return fmt.Errorf("read %s: %w", what, err)
	}
}

// changedOne returns ErrStale if a guarded write of one row changed nothing.
func changedOne(res *gorm.DB, what string) error {
	ok, err := changedAny(res, what)
	if err == nil && !ok {
		err = fmt.Errorf("%s: %w", what, ErrStale)
	}
	return err
}

// changedAny reports whether a write changed a row. It is for writes that may legitimately
// change nothing.
func changedAny(res *gorm.DB, what string) (bool, error) {
	if res.Error != nil {
		return false, fmt.Errorf("%s: %w", what, res.Error)
	}
	return res.RowsAffected > 0, nil
}
