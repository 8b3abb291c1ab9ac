package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"gorm.io/gorm"
)

const (
	// statementTime is how long one statement may take, with the wait for a connection. A
	// server that hangs would otherwise keep a request, a tick or a lease for ever: Postgres'
	// own statement_timeout does not work while it hangs.
	statementTime = 15 * time.Second
	// transactionTime is the same for a whole transaction.
	transactionTime = 45 * time.Second
)

// within returns ctx with a deadline that is at most d away.
func within(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) <= d {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, d)
}

// noAnswer names the database in the error of a call whose time is over: a wait for a
// connection fails with "context deadline exceeded" alone. Package observe knows the text.
func noAnswer(err error) error {
	if !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return fmt.Errorf("the database did not answer in time: %w", err)
}

// boundCalls limits each statement of a pool or a transaction.
type boundCalls struct {
	gorm.ConnPool
	most time.Duration
}

// ExecContext limits a statement that returns no rows.
func (b boundCalls) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	ctx, cancel := within(ctx, b.most)
	defer cancel()
	res, err := b.ConnPool.ExecContext(ctx, query, args...)
	return res, noAnswer(err)
}

// QueryContext limits a query and the reading of its rows.
func (b boundCalls) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	ctx, cancel := within(ctx, b.most)
	rows, err := b.ConnPool.QueryContext(ctx, query, args...)
	return rows, noAnswer(release(cancel, err))
}

// QueryRowContext limits a query and the reading of its row.
func (b boundCalls) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	ctx, cancel := within(ctx, b.most)
	row := b.ConnPool.QueryRowContext(ctx, query, args...)
	_ = release(cancel, row.Err())
	return row
}

// release ends the context of a query that failed. That of a query with rows has to live
// until they are read, and ends by its deadline.
func release(cancel context.CancelFunc, err error) error {
	if err != nil {
		cancel()
	}
	return err
}

// boundPool is the connection pool with a time limit for every call of the stores, so that
// no caller can forget one.
type boundPool struct {
	boundCalls
	pool        *sql.DB
	transaction time.Duration
}

func bound(pool *sql.DB, statement, transaction time.Duration) boundPool {
	return boundPool{boundCalls{pool, statement}, pool, transaction}
}

var (
	_ gorm.ConnPoolBeginner = boundPool{}
	_ gorm.GetDBConnector   = boundPool{}
)

// GetDBConn returns the pool itself.
func (p boundPool) GetDBConn() (*sql.DB, error) { return p.pool, nil }

// BeginTx begins a transaction with a time limit, which holds for its statements and its
// commit too.
func (p boundPool) BeginTx(ctx context.Context, opts *sql.TxOptions) (gorm.ConnPool, error) {
	ctx, cancel := within(ctx, p.transaction)
	tx, err := p.pool.BeginTx(ctx, opts)
	if err != nil {
		cancel()
		return nil, noAnswer(err)
	}
	return &boundTx{boundCalls{tx, p.most}, tx, cancel}, nil
}

// boundTx is a transaction with a time limit.
type boundTx struct {
	boundCalls
	tx     *sql.Tx
	cancel context.CancelFunc
}

var _ gorm.TxCommitter = (*boundTx)(nil)

// Commit commits and ends the transaction's context.
func (t *boundTx) Commit() error {
	defer t.cancel()
	return noAnswer(t.tx.Commit())
}

// Rollback rolls back and ends the transaction's context.
func (t *boundTx) Rollback() error {
	defer t.cancel()
	return t.tx.Rollback()
}
