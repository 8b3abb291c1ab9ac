package db

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"socialqueue/models"
)

// tickLocks holds the names of the ticks that run in this process. With SQLite, which only
// one process uses, they are the only locks.
type tickLocks struct {
	mu   sync.Mutex
	held map[string]bool
}

// tickLease is how long after its last renewal a scheduler keeps the lock of a tick. A
// scheduler that died holds the tick up for this long.
//
// The lock is a row with a lease and not an advisory lock: those need a transaction or a
// session that stays open during the tick, which takes a connection out of a small pool, and
// which a pooler such as PgBouncer may not offer.
const tickLease = 5 * time.Second

// errLostTick means that another scheduler may be running the tick.
var errLostTick = errors.New("the scheduler lost the lock of the tick")

// TryTick runs fn unless another scheduler is running the tick of that name; then it does
// nothing and ran is false. The lock is released when fn returns, and tickLease after this
// process died. The context of fn ends if the lock is lost.
func (d *DB) TryTick(ctx context.Context, name string, fn func(context.Context) error) (ran bool, err error) {
	if !d.ticks.take(name) {
		return false, nil
	}
	defer d.ticks.release(name)
	if d.dialect == SQLite {
		return true, fn(ctx)
	}
	owner := models.NewID()
	if ok, err := d.takeTick(ctx, name, owner); err != nil || !ok {
		return false, err
	}
	ctx, stop := d.keepTick(ctx, name, owner)
	err = fn(ctx)
	if lost := context.Cause(ctx); errors.Is(lost, errLostTick) {
		err = errors.Join(err, lost)
	}
	stop()
	return true, errors.Join(err, d.endTick(context.WithoutCancel(ctx), name, owner))
}

// takeTick takes the lock, unless another owner's lease has not ended. Time is the server's.
func (d *DB) takeTick(ctx context.Context, name, owner string) (bool, error) {
	res := d.orm.WithContext(ctx).Exec(`
		INSERT INTO tick_locks (name, owner, until) VALUES (?, ?, now() + ? * INTERVAL '1 millisecond')
		ON CONFLICT (name) DO UPDATE SET owner = EXCLUDED.owner, until = EXCLUDED.until WHERE tick_locks.until < now()`,
		name, owner, d.tickLease.Milliseconds())
	return changedAny(res, "take the lock of tick "+name)
}

// keepTick renews the lock until stop is called. The returned context ends when the lock is
// lost.
func (d *DB) keepTick(ctx context.Context, name, owner string) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	var done sync.WaitGroup
	done.Go(func() {
		every := time.NewTicker(d.tickLease / 4)
		defer every.Stop()
		until := time.Now().Add(d.tickLease)
		for {
			select {
			case <-ctx.Done():
				return
			case <-every.C:
			}
			began := time.Now()
			switch err := d.renewTick(ctx, name, owner); {
			case err == nil:
				until = began.Add(d.tickLease)
			case errors.Is(err, ErrStale), time.Now().After(until):
				cancel(errLostTick)
				return
			}
		}
	})
	return ctx, func() {
		cancel(context.Canceled)
		done.Wait()
	}
}

func (d *DB) renewTick(ctx context.Context, name, owner string) error {
	ctx, cancel := context.WithTimeout(ctx, d.tickLease/4)
	defer cancel()
	res := d.orm.WithContext(ctx).Exec(`
		UPDATE tick_locks SET until = now() + ? * INTERVAL '1 millisecond' WHERE name = ? AND owner = ?`, d.tickLease.Milliseconds(), name, owner)
	return changedOne(res, "renew the lock of tick "+name)
}

// endTick gives the lock back. If that fails, the lease ends.
func (d *DB) endTick(ctx context.Context, name, owner string) error {
	ctx, cancel := context.WithTimeout(ctx, d.tickLease)
	defer cancel()
	err := d.orm.WithContext(ctx).Exec(`UPDATE tick_locks SET until = 'epoch' WHERE name = ? AND owner = ?`, name, owner).Error
	if err != nil {
		return fmt.Errorf("give back the lock of tick %s: %w", name, err)
	}
	return nil
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
