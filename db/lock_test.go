package db_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"socialqueue/db"
	"socialqueue/db/dbtest"
	"socialqueue/secrets"
	"socialqueue/test/testkit"
)

// twoSchedulers opens one Postgres database twice, as two processes do.
func twoSchedulers(t *testing.T) (a, b *db.DB) {
	t.Helper()
	url := secrets.Secret(dbtest.PostgresURL(t))
	var both [2]*db.DB
	for i := range both {
		d, err := db.OpenPostgres(t.Context(), url, 2)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = d.Close() })
		both[i] = d
	}
	return both[0], both[1]
}

// holdTick runs a tick on d until release is called; release returns the tick's error.
func holdTick(t *testing.T, d *db.DB, name string) (release func() error) {
	t.Helper()
	held, end, ended := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	go func() {
		_, err := d.TryTick(context.WithoutCancel(t.Context()), name, func(context.Context) error {
			close(held)
			<-end
			return nil
		})
		ended <- err
	}()
	select {
	case <-held:
	case err := <-ended:
		t.Fatalf("the tick did not begin: %v", err)
	}
	return func() error {
		close(end)
		return <-ended
	}
}

// tryTick reports whether d could run a tick.
func tryTick(t *testing.T, d *db.DB, name string) (did bool) {
	t.Helper()
	ran, err := d.TryTick(t.Context(), name, func(context.Context) error { did = true; return nil })
	if err != nil || ran != did {
		t.Fatalf("ran = %v, err = %v, and the work was done: %v", ran, err, did)
	}
	return did
}

// TestOneSchedulerRunsATick checks that only one scheduler at a time runs a tick, and that
// another tick can run meanwhile.
func TestOneSchedulerRunsATick(t *testing.T) {
	a, b := twoSchedulers(t)
	release := holdTick(t, a, "sweep")
	if tryTick(t, b, "sweep") {
		t.Error("two schedulers run a tick at once")
	}
	if !tryTick(t, b, "admit") {
		t.Error("a tick waits for a tick of another name")
	}
	if err := release(); err != nil {
		t.Error(err)
	}
	if !tryTick(t, b, "sweep") {
		t.Error("the lock outlived its tick")
	}
}

// TestLockOfAVanishedScheduler checks that another scheduler gets the lock of one that no
// longer reaches the database, for example because its host vanished.
func TestLockOfAVanishedScheduler(t *testing.T) {
	a, b := twoSchedulers(t)
	a.SetTickLease(400 * time.Millisecond)
	release := holdTick(t, a, "sweep")
	if tryTick(t, b, "sweep") {
		t.Error("two schedulers run a tick at once")
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, "the other scheduler gets the lock", func() bool { return tryTick(t, b, "sweep") })
	if err := release(); err == nil {
		t.Error("the scheduler that lost its lock gets no error")
	}
}

// TestLockOfALongTick checks that a tick keeps its lock for longer than the lease, with one
// connection for the lock and the work.
func TestLockOfALongTick(t *testing.T) {
	a, b := twoSchedulers(t)
	a.Pool().SetMaxOpenConns(1)
	a.SetTickLease(200 * time.Millisecond)
	ran, err := a.TryTick(t.Context(), "sweep", func(ctx context.Context) error {
		for end := time.Now().Add(time.Second); time.Now().Before(end); {
			if err := a.Ping(ctx); err != nil {
				return err
			}
			if tryTick(t, b, "sweep") {
				return errors.New("two schedulers run a tick at once")
			}
		}
		return nil
	})
	if !ran || err != nil {
		t.Errorf("ran = %v, err = %v", ran, err)
	}
}
