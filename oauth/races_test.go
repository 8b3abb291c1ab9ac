package oauth_test

import (
	"database/sql"
	"errors"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the "pgx" driver, for locks behind the service's back

	"socialqueue/db"
	"socialqueue/db/dbtest"
	"socialqueue/models"
	"socialqueue/oauth"
	"socialqueue/sandbox"
	"socialqueue/secrets"
	"socialqueue/test/testkit"
)

// onPostgres returns the fixture on Postgres and a second connection.
func onPostgres(t *testing.T) (*fixture, *sql.DB) {
	t.Helper()
	url := dbtest.PostgresURL(t)
	d, err := db.OpenPostgres(t.Context(), secrets.Secret(url), 20)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	beside, err := sql.Open("pgx", url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = beside.Close() })
	return newFixture(t, d, sandbox.Options{}), beside
}

// hold locks a row from beside until the returned function is called.
func (w *fixture) hold(beside *sql.DB, query string, args ...any) (release func()) {
	w.t.Helper()
	tx, err := beside.BeginTx(w.ctx, nil)
	w.must(err)
	_, err = tx.ExecContext(w.ctx, query, args...)
	w.must(err)
	return func() { w.must(tx.Rollback()) }
}

// untilBlocked waits until n statements wait for locks.
func (w *fixture) untilBlocked(beside *sql.DB, n int) {
	w.t.Helper()
	testkit.Eventually(w.t, "statements wait", func() bool {
		var waiting int
		w.must(beside.QueryRowContext(w.ctx,
			"SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'").Scan(&waiting))
		return waiting >= n
	})
}

// An event about the old consent that arrives while a new one is being stored does not
// disconnect the account.
func TestOldEventMeetsNewConsent(t *testing.T) {
	w, beside := onPostgres(t)
	a := w.connectTikTok("-000one")
	p := w.post(models.TikTok, a.ID, nil)
	later := w.post(models.TikTok, a.ID, func(p *models.Post) {
		at := w.clock.Now().Add(24 * time.Hour)
		p.Status, p.RunAt, p.PublishAt = models.Scheduled, &at, at
	})
	_, err := beside.ExecContext(w.ctx, "UPDATE posts SET deferred_reason = $1 WHERE id = $2", models.DeferredReauthorize, p.ID)
	w.must(err)
	w.clock.Advance(time.Minute)
	removedAt := w.clock.Now()
	w.clock.Advance(time.Minute)
	cb := w.allow(models.TikTok, w.begin(models.TikTok), "-000one")

	release := w.hold(beside, "SELECT 1 FROM posts WHERE id = $1 FOR UPDATE", p.ID) // so that the connect waits with its row locked
	connected, removed := make(chan oauth.Outcome, 1), make(chan error, 1)
	go func() {
		o, err := w.Finish(w.ctx, cb)
		if err != nil {
			t.Error(err)
		}
		connected <- o
	}()
	w.untilBlocked(beside, 1)
	go func() {
		_, err := w.Removed(w.ctx, models.TikTok, "-000one", "removed", removedAt)
		removed <- err
	}()
	w.untilBlocked(beside, 2)
	release()
	if o := <-connected; o.Code != "" {
		t.Fatalf("outcome %+v", o)
	}
	w.must(<-removed)
	if b := w.account(a.ID); b.Status != models.AccountActive || b.AccessToken == "" {
		t.Errorf("account %+v", b)
	}
	if got := w.reload(later); got.Status != models.Scheduled {
		t.Errorf("the scheduled post is %s", got.Status)
	}
}

// Maintenance that read the account before it was connected again does not clear the time
// of its next maintenance.
func TestLateMaintenanceMeetsNewConsent(t *testing.T) {
	w, beside := onPostgres(t)
	a := w.connectTikTok("-000one")
	w.clock.Advance(91 * time.Minute)
	w.sim.InvalidateTikTok("-000one")
	w.tick()
	w.wantStatus(a.ID, models.AccountReauthorize)
	cb := w.allow(models.TikTok, w.begin(models.TikTok), "-000one")
	p := w.post(models.TikTok, a.ID, nil)
	_, err := beside.ExecContext(w.ctx, "UPDATE posts SET deferred_reason = $1 WHERE id = $2", models.DeferredReauthorize, p.ID)
	w.must(err)
	release := w.hold(beside, "SELECT 1 FROM posts WHERE id = $1 FOR UPDATE", p.ID)
	connected, maintained := make(chan error, 1), make(chan error, 1)
	go func() {
		_, err := w.Finish(w.ctx, cb)
		connected <- err
	}()
	w.untilBlocked(beside, 1)
	go func() { maintained <- w.Maintain(w.ctx, a.ID) }()
	w.untilBlocked(beside, 2)
	release()
	w.must(errors.Join(<-connected, <-maintained))
	if b := w.account(a.ID); b.Status != models.AccountActive || b.MaintenanceAt == nil {
		t.Errorf("account %s, next maintenance %v", b.Status, b.MaintenanceAt)
	}
}

// A check that is under way does not overwrite a disconnect or a new consent.
func TestCheckOvertaken(t *testing.T) {
	imported := func(w *fixture, openID string) int64 { // one without a refresh token is only ever checked
		w.t.Helper()
		account := w.person(openID)
		id, err := w.Import(w.ctx, oauth.Import{
			AppID: w.app.ID, UserID: w.user.ID, Platform: models.TikTok, ProviderAccountID: openID, Access: secrets.Secret(account.AccessToken),
		})
		w.must(err)
		return id
	}
	during := func(w *fixture, id int64, overtake func()) {
		w.t.Helper()
		w.must(w.late("/v2/user/info/", func() error { return w.Maintain(w.ctx, id) }, overtake))
	}
	each(t, func(w *fixture) {
		id := imported(w, "-000one")
		during(w, id, func() {
			w.sim.Script(sandbox.Fault{Op: sandbox.OpTikTokRevoke, Mode: sandbox.ModeStatus})
			w.disconnect(models.TikTok, id)
		})
		w.live(time.Hour, time.Minute)
		w.wantCalls(sandbox.OpTikTokRevoke, 2) // the second one worked
		if b := w.account(id); b.AccessToken != "" || b.MaintenanceAt != nil {
			w.t.Errorf("account %+v", b)
		}

		id = imported(w, "-000two")
		cb := w.allow(models.TikTok, w.begin(models.TikTok), "-000two")
		during(w, id, func() { w.finish(cb) })
		if b := w.account(id); b.MaintenanceAt == nil {
			w.t.Error("the new consent has no next maintenance")
		}
	})
}

// A pair that arrives too late for its account is revoked, unless another user has the same
// person's account connected.
func TestLatePairOfASharedConsent(t *testing.T) {
	each(t, func(w *fixture) {
		a := w.connectTikTok("-000one")
		colleague := w.newUser(w.app, "colleague")
		w.clock.Advance(91 * time.Minute)
		cb := w.allow(models.TikTok, w.beginFor(colleague, models.TikTok, ""), "-000one")
		w.must(w.late("/v2/oauth/token/", func() error { return w.Maintain(w.ctx, a.ID) }, func() {
			w.finish(cb)
			w.disconnect(models.TikTok, a.ID)
		}))
		w.wantCalls(sandbox.OpTikTokRevoke, 0)
	})
}

// A disconnect and the tick that queues due posts change the same posts at once.
func TestDisconnectMeetsTheTick(t *testing.T) {
	w := newFixture(t, dbtest.Postgres(t), sandbox.Options{})
	for i := range 10 {
		a := w.connectTikTok("-000n" + string(rune('a'+i)))
		for n := range 100 {
			w.post(models.TikTok, a.ID, func(p *models.Post) {
				at := w.clock.Now().Add(-time.Duration(n) * time.Second) // the other way round than their ids
				p.Status, p.RunAt = models.Scheduled, &at
			})
		}
		tick := make(chan error)
		go func() { tick <- w.db.Admission.QueueDue(w.ctx, w.clock.Now()) }()
		w.disconnect(models.TikTok, a.ID)
		w.must(<-tick)
	}
}
