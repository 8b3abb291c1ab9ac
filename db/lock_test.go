package db_test

import (
	"context"
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
// longer responds, for example because its host vanished.
func TestLockOfAVanishedScheduler(t *testing.T) {
	a, b := twoSchedulers(t)
	a.SetTickIdle(200 * time.Millisecond)
	release := holdTick(t, a, "sweep")
	testkit.Eventually(t, "Postgres gives the lock to the other scheduler", func() bool { return tryTick(t, b, "sweep") })
	if err := release(); err == nil {
		t.Error("the scheduler that lost its lock gets no error")
	}
}

// TestTickIdleEndsWithTheTick checks that the timeout does not outlive the transaction of
// the tick.
func TestTickIdleEndsWithTheTick(t *testing.T) {
	d, _ := twoSchedulers(t)
	d.Pool().SetMaxOpenConns(1)
	idle := func() (set string) {
		t.Helper()
		if err := d.Pool().QueryRowContext(t.Context(), "SHOW idle_in_transaction_session_timeout").Scan(&set); err != nil {
			t.Fatal(err)
		}
		return set
	}
	before := idle()
	if !tryTick(t, d, "sweep") {
		t.Fatal("the tick did not run")
	}
	if after := idle(); after != before {
		t.Errorf("idle_in_transaction_session_timeout was %s and became %s", before, after)
	}
}
