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

// twoSchedulers are two processes on one Postgres.
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

// holdTick has d work on a tick until it is let go, and returns what then comes of it.
func holdTick(t *testing.T, d *db.DB, name string) (letGo func() error) {
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

// tries reports whether d got to run a tick.
func tries(t *testing.T, d *db.DB, name string) (did bool) {
	t.Helper()
	ran, err := d.TryTick(t.Context(), name, func(context.Context) error { did = true; return nil })
	if err != nil || ran != did {
		t.Fatalf("ran = %v, err = %v, and the work was done: %v", ran, err, did)
	}
	return did
}

// One scheduler at a time runs a tick; another tick it does not hold up.
func TestOneSchedulerRunsATick(t *testing.T) {
	a, b := twoSchedulers(t)
	letGo := holdTick(t, a, "sweep")
	if tries(t, b, "sweep") {
		t.Error("two schedulers run a tick at once")
	}
	if !tries(t, b, "admit") {
		t.Error("a tick waits for another one")
	}
	if err := letGo(); err != nil {
		t.Error(err)
	}
	if !tries(t, b, "sweep") {
		t.Error("the lock outlived its tick")
	}
}

// The lock of a scheduler that is not heard of any more, as when its host vanished, goes
// to another one.
func TestLockOfAVanishedScheduler(t *testing.T) {
	a, b := twoSchedulers(t)
	a.SetTickIdle(200 * time.Millisecond)
	letGo := holdTick(t, a, "sweep")
	testkit.Eventually(t, "Postgres gives the lock to the other scheduler", func() bool { return tries(t, b, "sweep") })
	if err := letGo(); err == nil {
		t.Error("the scheduler that lost its lock does not learn of it")
	}
}

// A connection that held the lock of a tick is none the worse for it.
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
	if !tries(t, d, "sweep") {
		t.Fatal("the tick did not run")
	}
	if after := idle(); after != before {
		t.Errorf("idle_in_transaction_session_timeout was %s and became %s", before, after)
	}
}
