package db_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"gorm.io/gorm"

	"socialqueue/db/dbtest"
)

// TestCallsEnd has a server that does not answer in time: every call ends by itself, also one
// whose context has no deadline, and the connection can be used again.
func TestCallsEnd(t *testing.T) {
	d := dbtest.Postgres(t)
	d.Pool().SetMaxOpenConns(1)
	const most = 200 * time.Millisecond
	pool, ctx := d.WithTimes(most, 2*most), context.WithoutCancel(t.Context())
	const slow = "SELECT pg_sleep(30)"
	for name, do := range map[string]func() error{
		"statement": func() error {
			_, err := pool.ExecContext(ctx, slow)
			return err
		},
		"query": func() error {
			rows, err := pool.QueryContext(ctx, slow)
			if err != nil {
				return err
			}
			defer rows.Close()
			for rows.Next() {
			}
			return rows.Err()
		},
		"row": func() error {
			var void any
			return pool.QueryRowContext(ctx, slow).Scan(&void)
		},
		"statement of a transaction": func() error {
			tx, err := pool.BeginTx(ctx, nil)
			if err != nil {
				return err
			}
			_, err = tx.ExecContext(ctx, slow)
			_ = tx.(gorm.TxCommitter).Rollback()
			return err
		},
		"transaction of many quick statements": func() error {
			tx, err := pool.BeginTx(ctx, nil)
			if err != nil {
				return err
			}
			for err == nil {
				_, err = tx.ExecContext(ctx, "SELECT 1")
			}
			return tx.(gorm.TxCommitter).Commit()
		},
		"wait for a connection": func() error {
			tx, err := d.Pool().BeginTx(ctx, nil)
			if err != nil {
				return err
			}
			defer func() { _ = tx.Rollback() }()
			_, err = pool.ExecContext(ctx, "SELECT 1")
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			began := time.Now()
			err := do()
			if err == nil {
				t.Error("no error")
			}
			bare := errors.Is(err, context.DeadlineExceeded) && !strings.Contains(err.Error(), "the database did not answer in time: ")
			if bare && name != "row" { // Scan returns that of a row
				t.Errorf("the error does not name the database: %v", err)
			}
			if took := time.Since(began); took > 10*time.Second {
				t.Errorf("it took %s", took)
			}
			if _, err := d.Pool().ExecContext(t.Context(), "SELECT 1"); err != nil {
				t.Errorf("the connection is lost: %v", err)
			}
		})
	}
}
