package publish_test

import (
	"testing"
	"time"

	"socialqueue/db"
	"socialqueue/db/dbtest"
	"socialqueue/models"
	"socialqueue/oauth"
	"socialqueue/publish"
	"socialqueue/sandbox"
	"socialqueue/sandbox/sample"
	"socialqueue/secrets"
	"socialqueue/test/testkit"
	"socialqueue/view"
)

// tenant is another app with accounts of its own.
type tenant struct {
	w        *fixture
	app      models.App
	video    string
	accounts []int64
	next     int
}

func (w *fixture) tenant(accounts int) *tenant {
	w.t.Helper()
	app, user := w.app, w.user
	defer func() { w.app, w.user = app, user }()
	other := testkit.NewTenant(w.t, w.db, "another shop", w.clock.Now())
	w.app, w.user = other.App, other.User
	n := &tenant{w: w, app: w.app}
	for range accounts {
		a := w.sim.AddTikTokAccount(sandbox.TikTokAccount{PostsCap: -1, ExpiresAt: w.clock.Now().Add(30 * 24 * time.Hour)})
		n.accounts = append(n.accounts, testkit.Connect(w.t, w.tokens, w.user, oauth.Import{
			Platform: models.TikTok, ProviderAccountID: a.OpenID, Username: a.Username, Access: secrets.Secret(a.AccessToken),
		}))
	}
	n.video = w.upload(sample.Video)
	return n
}

// accept accepts a post of the tenant's next account.
func (n *tenant) accept(changes ...func(*publish.Request)) *models.Post {
	n.w.t.Helper()
	account := n.accounts[n.next%len(n.accounts)]
	n.next++
	return n.w.accept(tiktokVideo, append(changes, func(r *publish.Request) {
		r.AppID, r.AccountID, r.Files = n.app.ID, account, []publish.File{{MediaID: n.video}}
	})...)
}

// inAsynq counts the posts of an app that the workers have or begin soon.
func (n *tenant) inAsynq() (count int) {
	n.w.must(n.w.db.Pool().QueryRowContext(n.w.ctx,
		"SELECT COUNT(*) FROM posts WHERE app_id = $1 AND admission = 'admitted' AND status IN ('scheduled', 'queued', 'publishing')", n.app.ID).Scan(&count))
	return count
}

// Of a backlog of one app only as many posts are in Asynq as the workers can begin soon, and the
// post of another app does not wait behind the backlog.
func TestTurnsBetweenApps(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := newFixture(t, d)
		w.queue.SetPlaces(4)
		a, b := w.tenant(10), w.tenant(1)
		var backlog []*models.Post
		for range 40 {
			backlog = append(backlog, a.accept())
			w.clock.Advance(time.Millisecond)
		}
		if n := a.inAsynq(); n != 8 {
			t.Errorf("%d posts of the backlog are in Asynq, want 8", n)
		}
		other := b.accept()
		if w.post(other).Admission != models.AdmissionAdmitted {
			t.Fatal("another app's post waits behind the backlog")
		}
		w.clock.Advance(3 * time.Second)
		if got := view.OfPost(w.post(backlog[30]), w.clock.Now()).DeferredReason; got == nil || *got != models.DeferredApp {
			t.Errorf("the reason of a post of the backlog is %v", got)
		}
		other = w.settle(other)
		sooner := 0
		for _, p := range backlog {
			if n := a.inAsynq(); n > 8 {
				t.Errorf("%d posts are in Asynq", n)
			}
			p = w.settle(p)
			w.wantStatus(p, models.Published)
			if p.StartedAt.Before(*other.StartedAt) {
				sooner++
			}
		}
		if sooner > 8 {
			t.Errorf("%d posts of the backlog started before the other app's", sooner)
		}
		w.wantLive(41)
	})
}

// Two apps with a backlog have as much in Asynq as their weights say.
func TestWeightsOfApps(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := newFixture(t, d)
		w.queue.SetPlaces(4)
		a, b := w.tenant(10), w.tenant(10)
		w.must(w.db.Tenants.SetWeight(w.ctx, a.app.ID, 3))
		at := w.clock.Now().Add(time.Hour)
		later := func(r *publish.Request) { r.PublishAt = &at }
		for range 10 {
			b.accept(later)
			a.accept(later)
		}
		w.clock.Advance(time.Hour)
		w.tick()
		if a.inAsynq() != 6 || b.inAsynq() != 2 {
			t.Errorf("%d and %d posts are in Asynq, want 6 and 2", a.inAsynq(), b.inAsynq())
		}
	})
}

// A post that may be live is looked for although its app has as much in Asynq as it may have.
func TestPollsWaitForNoTurn(t *testing.T) {
	w := onSQLite(t)
	a := w.tenant(10)
	w.queue.SetPlaces(1)
	p := a.accept()
	w.until(p, "processing", func(p *models.Post) bool { return p.Status == models.Processing })
	_, err := w.db.Pool().ExecContext(w.ctx, "UPDATE posts SET admission = 'waiting', enqueued_at = NULL WHERE id = $1", p.ID)
	w.must(err)
	for range 10 {
		a.accept()
	}
	w.clock.Advance(time.Hour)
	w.tick()
	if got := w.post(p); got.Admission != models.AdmissionAdmitted || a.inAsynq() != 2 {
		t.Errorf("the post that may be live is %s beside %d others", got.Admission, a.inAsynq())
	}
}

// Posts that are admitted ahead of their time hold up none that is due.
func TestTurnsAheadOfTime(t *testing.T) {
	w := onSQLite(t)
	w.queue.SetPlaces(2)
	a := w.tenant(10)
	at := w.clock.Now().Add(time.Minute)
	for range 8 {
		a.accept(func(r *publish.Request) { r.PublishAt = &at })
	}
	w.tick()
	if n := a.inAsynq(); n != 4 {
		t.Errorf("%d posts are admitted ahead of their time, want 4", n)
	}
	if p := a.accept(); w.post(p).Admission != models.AdmissionAdmitted {
		t.Error("a post that is due waits for posts that are not")
	}
}
