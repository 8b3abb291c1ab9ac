package db

import (
	"context"
	"fmt"
	"hash/fnv"
	"sync"
	"time"

	"gorm.io/gorm"
)

// tickLocks holds the names of the ticks that run in this process. It replaces advisory
// locks for SQLite, which only one process uses.
type tickLocks struct {
	mu   sync.Mutex
	held map[string]bool
}

// TickIdle is the time after which Postgres ends the idle transaction that holds the lock of
// a tick. It is longer than a tick may take, as the transaction is idle meanwhile. Without
// it, Postgres would keep the lock of a host that vanished until TCP keepalive notices, two
// hours by default, and no scheduler could run that tick.
const TickIdle = 3 * time.Minute

// TryTick runs fn unless another scheduler is running the tick of that name; then it does
// nothing and ran is false. The lock is released when fn returns, when the process dies, or
// after TickIdle.
func (d *DB) TryTick(ctx context.Context, name string, fn func(context.Context) error) (ran bool, err error) {
	if d.dialect == Postgres {
		return d.tryAdvisory(ctx, name, fn)
	}
	if !d.ticks.take(name) {
		return false, nil
	}
	defer d.ticks.release(name)
	return true, fn(ctx)
}

func (d *DB) tryAdvisory(ctx context.Context, name string, fn func(context.Context) error) (ran bool, err error) {
	key := fnv.New64a()
	_, _ = key.Write([]byte("socialqueue tick " + name))
	err = d.orm.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		// Set for this transaction only: PgBouncer does not support session settings.
		err := tx.Raw("SELECT pg_try_advisory_xact_lock(?) FROM set_config('idle_in_transaction_session_timeout', ?, true)",
			int64(key.Sum64()), fmt.Sprint(d.tickIdle.Milliseconds())).Scan(&ran).Error //nolint:gosec // any 64 bits will do
		if err != nil {
			return fmt.Errorf("take the lock of tick %s: %w", name, err)
		}
		if !ran {
			return nil
		}
		return fn(ctx)
	})
	return ran, err
}

func (l *tickLocks) take(name string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.held[name] {
		return false
	}
	if l.held == nil {
		l.held = map[string]bool{}
	}
	l.held[name] = true
	return true
}

func (l *tickLocks) release(name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.held, name)
}
