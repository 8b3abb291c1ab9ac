package db

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"gorm.io/gorm"
)

// NoWritesError means that the database answers queries and takes no writes.
type NoWritesError struct {
	// Do says what to do.
	Do string
	// Err is what the database answered to a write.
	Err error
}

// Error returns everything, for operators.
func (e *NoWritesError) Error() string { return fmt.Sprintf("%s: %v", e.Public(), e.Err) }

// Unwrap returns Err.
func (e *NoWritesError) Unwrap() error { return e.Err }

// Public returns the text without what the database answered.
func (e *NoWritesError) Public() string { return "the database takes no writes: " + e.Do }

// SQLSTATEs of refused writes (PostgreSQL documentation, appendix A).
const (
	noPrivilege = "42501"
	diskFull    = "53100"
	readOnly    = "25006"

	tooManyConnections   = "53300"
	operatorIntervention = "57" // a class
)

// refusedWrite returns the NoWritesError for the error of a write. No answer is no refusal,
// and neither is a server that stops or has no connection left.
func refusedWrite(err error) error {
	refused, ok := errors.AsType[*pgconn.PgError](err)
	if !ok || strings.HasPrefix(refused.Code, operatorIntervention) || refused.Code == tooManyConnections {
		return fmt.Errorf("try to write into the database: %w", noAnswer(err))
	}
	do := "read the log of Postgres"
	switch refused.Code {
	case diskFull:
		do = "free space on the disk of Postgres"
	case readOnly:
		do = "it is a standby or set to read-only; let DATABASE_URL lead to the primary, and see that default_transaction_read_only is off"
	}
	return &NoWritesError{Do: do, Err: err}
}

// TryWrite writes a temporary table, and returns a *NoWritesError if the database refuses: on
// a full disk it still answers queries. A role that may not make temporary tables passes.
func (o *Operators) TryWrite(ctx context.Context) error {
	if o.dialect == SQLite {
		return nil
	}
	err := o.orm.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		if err := tx.Exec("SET LOCAL temp_tablespaces = ''").Error; err != nil {
			return err
		}
		return tx.Exec("CREATE TEMPORARY TABLE socialqueue_try ON COMMIT DROP AS SELECT repeat('x', 100) FROM generate_series(1, 1000)").Error
	})
	if refused, ok := errors.AsType[*pgconn.PgError](err); err == nil || ok && refused.Code == noPrivilege {
		return nil
	}
	return refusedWrite(err)
}

const (
	// writeFresh is how long the answer of CheckWritable is shared. Probes ask it often, and
	// anybody can.
	writeFresh = 5 * time.Second
	// writeTime is how long its write may take.
	writeTime = 2 * time.Second
)

// lastWrite is the last answer of CheckWritable.
type lastWrite struct {
	mu  sync.Mutex
	at  time.Time // guarded by mu, as the rest
	err error
}

// CheckWritable is TryWrite for callers that ask all the time: in writeFresh all of a process
// share one answer. It may take writeTime, whatever the deadline of ctx is.
func (d *DB) CheckWritable(ctx context.Context) error {
	d.write.mu.Lock()
	defer d.write.mu.Unlock()
	if d.write.at.IsZero() || time.Since(d.write.at) >= writeFresh {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), writeTime) // others wait for it too
		defer cancel()
		d.write.err, d.write.at = d.Operators.TryWrite(ctx), time.Now()
	}
	return d.write.err
}
