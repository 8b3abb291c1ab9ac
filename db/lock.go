package db

import (
	"context"
	"fmt"
	"hash/fnv"
	"sync"

	"gorm.io/gorm"
)

// tickLocks holds the names that this process works on, for databases that
// only one process uses.
type tickLocks struct {
	mu   sync.Mutex
	held map[string]bool
}

// TryTick runs fn unless another scheduler is just running the tick of that
// name; then it does nothing and ran is false. The lock ends with fn, or with
// the process that held it.
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
		err := tx.Raw("SELECT pg_try_advisory_xact_lock(?)", int64(key.Sum64())).Scan(&ran).Error //nolint:gosec // any 64 bits will do
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
