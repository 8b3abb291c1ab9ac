package oauth_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"socialqueue/db"
	"socialqueue/db/dbtest"
	"socialqueue/models"
	"socialqueue/oauth"
	"socialqueue/sandbox"
	"socialqueue/test/testkit"
)

func (w *fixture) disconnect(p models.Platform, id int64) *db.Account {
	w.t.Helper()
	a, err := w.Disconnect(w.ctx, w.app.ID, p, id)
	w.must(err)
	return a
}

func TestDisconnectTikTok(t *testing.T) {
	each(t, func(w *fixture) {
		a, bystander := w.connectTikTok("-000one"), w.connectTikTok("-000two")
		token := w.token(w.post(models.TikTok, a.ID, nil)).Access
		waiting := w.post(models.TikTok, a.ID, func(p *models.Post) {
			at := w.clock.Now().Add(time.Hour)
			p.Status, p.RunAt = models.Scheduled, &at
		})
		processing := w.post(models.TikTok, a.ID, func(p *models.Post) { p.Status = models.Processing })
		others := w.post(models.TikTok, bystander.ID, nil)

		if got := w.disconnect(models.TikTok, a.ID); got.OAuth.Status != models.AccountDisconnected || got.OAuth.StatusReason == "" {
			w.t.Errorf("account %+v", got.OAuth)
		}
		if got := w.reload(waiting); got.Status != models.Canceled || got.RunAt != nil || got.Admission != models.AdmissionNone || got.Fence != 1 {
			w.t.Errorf("the waiting post is %+v", got)
		}
		if got := w.timeline(waiting); got != "state scheduled>canceled canceled: the account was disconnected\n" {
			w.t.Errorf("timeline %q", got)
		}
		if got := w.reload(processing); got.Status != models.Processing {
			w.t.Errorf("the post at the platform is %s", got.Status)
		}
		if got := w.reload(others); got.Status != models.Queued {
			w.t.Errorf("the bystander's post is %s", got.Status)
		}
		if _, err := w.tiktok.CreatorInfo(w.ctx, token); err == nil {
			w.t.Error("the token still works at the platform")
		}
		if b := w.account(a.ID); b.AccessToken != "" || b.RefreshToken != nil || b.MaintenanceAt != nil {
			w.t.Errorf("tokens are kept: %+v", b)
		}
		w.disconnect(models.TikTok, a.ID) // twice is no error
		w.wantCalls(sandbox.OpTikTokRevoke, 1)
		w.live(48*time.Hour, time.Hour)
		w.wantStatus(a.ID, models.AccountDisconnected)
		if _, err := w.For(w.ctx, processing); !errors.Is(err, oauth.ErrDisconnected) {
			w.t.Errorf("For returned %v", err)
		}
		if again := w.connectTikTok("-000one"); again.ID != a.ID || again.Status != models.AccountActive {
			w.t.Errorf("connected again: %+v", again)
		}
	})
}

// A platform that is down does not keep an account connected: revoking is retried, and
// after a day the tokens are deleted anyway.
func TestRevokeIsTriedAgain(t *testing.T) {
	for name, tc := range map[string]struct {
		times, calls int
	}{"back soon": {3, 4}, "never back": {-1, 0}} {
		t.Run(name, func(t *testing.T) {
			each(t, func(w *fixture) {
				a := w.connectTikTok("-000one")
				w.sim.Script(sandbox.Fault{Op: sandbox.OpTikTokRevoke, Mode: sandbox.ModeStatus, Times: tc.times})
				w.disconnect(models.TikTok, a.ID)
				if b := w.account(a.ID); b.Status != models.AccountDisconnected || b.AccessToken == "" || b.MaintenanceAt == nil {
					w.t.Fatalf("account %+v", b)
				}
				w.live(25*time.Hour, 10*time.Minute)
				if b := w.account(a.ID); b.AccessToken != "" || b.RefreshToken != nil || b.MaintenanceAt != nil {
					w.t.Errorf("account %+v", b)
				}
				if tc.calls > 0 {
					w.wantCalls(sandbox.OpTikTokRevoke, tc.calls)
				}
			})
		})
	}
}

// A platform knows one consent per person. A user who disconnects must not disconnect
// another user with it.
func TestSharedConsentIsNotRevoked(t *testing.T) {
	each(t, func(w *fixture) {
		a := w.connectTikTok("-000one")
		other := w.newUser(w.app, "colleague")
		o := w.finish(w.allow(models.TikTok, w.beginFor(other, models.TikTok, ""), "-000one"))
		w.disconnect(models.TikTok, a.ID)
		w.wantCalls(sandbox.OpTikTokRevoke, 0)
		if b := w.account(a.ID); b.AccessToken != "" {
			w.t.Error("the tokens are kept")
		}
		_, err := w.Disconnect(w.ctx, w.app.ID, models.TikTok, o.Accounts[0].ID)
		w.must(err)
		w.wantCalls(sandbox.OpTikTokRevoke, 1)
	})
}

func TestDisconnectInstagram(t *testing.T) {
	each(t, func(w *fixture) {
		ig := w.connectFacebook("9001", "17841400000000001", "17841400000000002")
		p, other := w.post(models.Instagram, ig[0].ID, nil), w.post(models.Instagram, ig[1].ID, nil)
		w.disconnect(models.Instagram, ig[0].ID)
		if got := w.reload(p); got.Status != models.Canceled {
			w.t.Errorf("its post is %s", got.Status)
		}
		if got := w.reload(other); got.Status != models.Queued {
			w.t.Errorf("the other account's post is %s", got.Status)
		}
		w.wantCalls(sandbox.OpInstagramRevoke, 0) // the login still serves the other one
		w.wantStatus(ig[0].OAuthAccountID, models.AccountActive)
		w.token(other)
		w.disconnect(models.Instagram, ig[1].ID)
		w.wantCalls(sandbox.OpInstagramRevoke, 1)
		if login := w.account(ig[0].OAuthAccountID); login.Status != models.AccountDisconnected || login.AccessToken != "" {
			w.t.Errorf("login %+v", login)
		}
		if got := w.instagram(ig[1].ID); got.AccessToken != "" {
			w.t.Error("a Page token is kept")
		}
	})
}

func TestRemoved(t *testing.T) {
	each(t, func(w *fixture) {
		a, bystander := w.connectTikTok("-000one"), w.connectTikTok("-000two")
		p := w.post(models.TikTok, a.ID, nil)
		w.clock.Advance(time.Minute)
		removed := func(openID string, at time.Time, known bool) {
			w.t.Helper()
			got, err := w.Removed(w.ctx, models.TikTok, openID, "the person disconnected this app at TikTok", at)
			w.must(err)
			if got != known {
				w.t.Errorf("%s: known = %v, want %v", openID, got, known)
			}
		}
		removed("-000nobody", w.clock.Now(), false)
		removed("-000one", testkit.Epoch.Add(-time.Minute), true) // an old event: the account was connected since
		w.wantStatus(a.ID, models.AccountActive)
		for range 2 { // TikTok sends twice
			removed("-000one", w.clock.Now(), true)
		}
		w.wantStatus(a.ID, models.AccountDisconnected)
		w.wantStatus(bystander.ID, models.AccountActive)
		w.tick()
		if b := w.account(a.ID); b.AccessToken != "" || b.RefreshToken != nil || b.MaintenanceAt != nil || !strings.Contains(b.StatusReason, "disconnected this app at TikTok") {
			w.t.Errorf("account %+v", b)
		}
		if got := w.timeline(p); got != "state queued>canceled canceled: the person disconnected this app at TikTok\n" {
			w.t.Errorf("timeline %q", got)
		}
		w.wantCalls(sandbox.OpTikTokRevoke, 0)
	})
}

func (w *fixture) signedRequest(userID string, at time.Time) string {
	payload, err := json.Marshal(map[string]any{"algorithm": "HMAC-SHA256", "issued_at": at.Unix(), "user_id": userID})
	w.must(err)
	encoded := base64.RawURLEncoding.EncodeToString(payload)
	mac := hmac.New(sha256.New, []byte(w.sim.Options().FacebookAppSecret))
	mac.Write([]byte(encoded))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil)) + "." + encoded
}

func TestWithdrawn(t *testing.T) {
	each(t, func(w *fixture) {
		ig, bystander := w.connectFacebook("9001", "17841400000000001", "17841400000000002"), w.connectFacebook("9002", "17841400000000009")
		p := w.post(models.Instagram, ig[1].ID, nil)
		w.clock.Advance(time.Minute)
		good := w.signedRequest("9001", w.clock.Now())
		for _, bad := range []string{"", ".", good + "x", "x" + good, strings.Replace(good, ".", "", 1)} {
			if err := w.Withdrawn(w.ctx, models.Instagram, bad); !errors.Is(err, oauth.ErrNotAuthentic) {
				w.t.Errorf("%q: %v", bad, err)
			}
		}
		w.must(w.Withdrawn(w.ctx, models.Instagram, w.signedRequest("9001", testkit.Epoch.Add(-time.Minute)))) // an old event
		w.wantStatus(ig[0].OAuthAccountID, models.AccountActive)
		w.must(w.Withdrawn(w.ctx, models.Instagram, good))
		w.must(w.Withdrawn(w.ctx, models.Instagram, good))
		for _, a := range ig {
			if got := w.instagram(a.ID); got.Status != models.AccountDisconnected || got.AccessToken != "" {
				w.t.Errorf("account %+v", got)
			}
		}
		if login := w.account(ig[0].OAuthAccountID); login.Status != models.AccountDisconnected || login.AccessToken != "" {
			w.t.Errorf("login %+v", login)
		}
		if got := w.reload(p); got.Status != models.Canceled {
			w.t.Errorf("the post is %s", got.Status)
		}
		if got := w.instagram(bystander[0].ID); got.Status != models.AccountActive {
			w.t.Errorf("the bystander is %s", got.Status)
		}
		w.wantCalls(sandbox.OpInstagramRevoke, 0)
	})
}

// A deletion removes all data of the person, and nothing of anyone else.
func TestDataIsDeleted(t *testing.T) {
	each(t, func(w *fixture) {
		ig, bystander := w.connectFacebook("9001", "17841400000000001", "17841400000000002"), w.connectFacebook("9002", "17841400000000009")
		var theirs []*models.Post
		for range 450 { // more than one transaction takes
			theirs = append(theirs, w.post(models.Instagram, ig[0].ID, nil))
		}
		ours := w.post(models.Instagram, bystander[0].ID, nil)
		err := w.db.Runs.Intend(w.ctx, db.Intent{Entry: &models.LedgerEntry{PostID: w.claim(theirs[0]).ID, Op: "instagram.create_container", Harmless: true, State: models.Intended, Fence: 1, CreatedAt: w.clock.Now()}, Check: func(db.Place) error { return nil }}, w.clock.Now())
		w.must(err)
		w.clock.Advance(time.Minute)
		request := w.signedRequest("9001", w.clock.Now())
		if _, err := w.RequestDeletion(w.ctx, models.Instagram, "x"+request); !errors.Is(err, oauth.ErrNotAuthentic) {
			w.t.Errorf("a forged request: %v", err)
		}
		code, err := w.RequestDeletion(w.ctx, models.Instagram, request)
		w.must(err)
		if again, err := w.RequestDeletion(w.ctx, models.Instagram, request); err != nil || again != code {
			w.t.Errorf("asked twice: %q, %v; want %q", again, err, code)
		}
		if got := w.instagram(ig[0].ID); got.Status != models.AccountDisconnected {
			w.t.Errorf("the account is %s at once", got.Status)
		}
		if o := w.finish(w.allow(models.Instagram, w.begin(models.Instagram), "9001")); o.Code != oauth.CodeErasing {
			w.t.Errorf("connected in the middle of it: %+v", o)
		}
		if d, err := w.db.Connections.DataDeletion(w.ctx, code); err != nil || d.CompletedAt != nil {
			w.t.Errorf("deletion %+v, %v", d, err)
		}
		w.must(w.Erase(w.ctx))
		if d, err := w.db.Connections.DataDeletion(w.ctx, code); err != nil || d.CompletedAt == nil {
			w.t.Errorf("deletion %+v, %v", d, err)
		}
		for _, id := range []int64{ig[0].ID, ig[1].ID} {
			if _, err := w.db.Accounts.InstagramAccount(w.ctx, id); !errors.Is(err, db.ErrNotFound) {
				w.t.Errorf("account %d: %v", id, err)
			}
		}
		if _, err := w.db.Accounts.OAuthAccount(w.ctx, ig[0].OAuthAccountID); !errors.Is(err, db.ErrNotFound) {
			w.t.Errorf("the login: %v", err)
		}
		for _, p := range theirs {
			if _, err := w.db.Posts.ByID(w.ctx, p.ID); !errors.Is(err, db.ErrNotFound) {
				w.t.Fatalf("post %s: %v", p.ID, err)
			}
		}
		if got := w.reload(ours); got.Status != models.Queued {
			w.t.Errorf("the bystander's post is %s", got.Status)
		}
		nobody, err := w.RequestDeletion(w.ctx, models.Instagram, w.signedRequest("9999", w.clock.Now()))
		w.must(err)
		if d, err := w.db.Connections.DataDeletion(w.ctx, nobody); err != nil || d.CompletedAt == nil {
			w.t.Errorf("a person who is not known: %+v, %v", d, err)
		}
		w.connectFacebook("9001", "17841400000000001")
	})
}

// claim claims a post as a worker does.
func (w *fixture) claim(p *models.Post) *models.Post {
	w.t.Helper()
	now := w.clock.Now()
	admitted, err := w.db.Admission.Admit(w.ctx, []models.Post{*p}, now)
	w.must(err)
	if len(admitted) != 1 {
		w.t.Fatal("the post was not admitted")
	}
	claimed, err := w.db.Runs.Claim(w.ctx, p.ID, p.Fence, "test", now, time.Minute)
	w.must(err)
	return claimed
}

// Two requests that disconnect the last accounts of a login at the same time also
// disconnect the login.
func TestLastAccountsDisconnectedAtOnce(t *testing.T) {
	w := newFixture(t, dbtest.Postgres(t), sandbox.Options{})
	for i := range 10 {
		person := fmt.Sprintf("90%02d", i)
		ig := w.connectFacebook(person, fmt.Sprintf("178414000000001%02d", i), fmt.Sprintf("178414000000002%02d", i))
		done := make(chan error)
		for _, a := range ig {
			go func() {
				_, err := w.Disconnect(w.ctx, w.app.ID, models.Instagram, a.ID)
				done <- err
			}()
		}
		w.must(errors.Join(<-done, <-done))
		w.wantStatus(ig[0].OAuthAccountID, models.AccountDisconnected)
	}
}

// A change of an account reaches all of its posts, however many there are.
func TestBacklogs(t *testing.T) {
	each(t, func(w *fixture) {
		const backlog = 1100 // more than two transactions take
		a := w.connectTikTok("-000one")
		posts := make([]*models.Post, backlog)
		for i := range posts {
			posts[i] = w.post(models.TikTok, a.ID, func(p *models.Post) { p.PublishAt = w.clock.Now().Add(time.Duration(i-backlog) * time.Second) })
		}
		count := func(what func(*models.Post) bool) (n int) {
			for _, p := range posts {
				if what(w.reload(p)) {
					n++
				}
			}
			return n
		}
		w.clock.Advance(91 * time.Minute)
		w.sim.InvalidateTikTok("-000one")
		w.tick()
		w.wantStatus(a.ID, models.AccountReauthorize)
		if n := count(func(p *models.Post) bool { return p.DeferredReason == models.DeferredReauthorize }); n != backlog {
			w.t.Errorf("%d posts wait, want %d", n, backlog)
		}
		w.connectTikTok("-000one")
		if n := count(func(p *models.Post) bool { return p.DeferredReason == "" && p.RunAt.Equal(p.PublishAt) }); n != backlog {
			w.t.Errorf("%d posts go on in the order of their times, want %d", n, backlog)
		}
		w.disconnect(models.TikTok, a.ID)
		if n := count(func(p *models.Post) bool { return p.Status == models.Canceled }); n != backlog {
			w.t.Errorf("%d posts are canceled, want %d", n, backlog)
		}
	})
}

// A disconnect that was interrupted before it reached every post is completed by token
// maintenance.
func TestDisconnectCutOff(t *testing.T) {
	each(t, func(w *fixture) {
		a, ig := w.connectTikTok("-000one"), w.connectFacebook("9001", "17841400000000001", "17841400000000002")
		for p, id := range map[models.Platform]int64{models.TikTok: a.ID, models.Instagram: ig[0].ID} {
			_, err := w.db.Connections.Disconnect(w.ctx, db.Deactivation{Platform: p, AccountID: id, Reason: "asked"}, w.clock.Now())
			w.must(err)
		}
		left := []*models.Post{w.post(models.TikTok, a.ID, nil), w.post(models.Instagram, ig[0].ID, nil)} // as if they had not been reached
		w.tick()
		for _, p := range left {
			if got := w.reload(p); got.Status != models.Canceled {
				w.t.Errorf("the %s post is %s", got.Platform, got.Status)
			}
		}
	})
}

// A second deletion request also deletes what the person connected since the first.
func TestSecondDeletionTakesAll(t *testing.T) {
	each(t, func(w *fixture) {
		w.connectFacebook("9001", "17841400000000001")
		w.clock.Advance(time.Minute)
		first, err := w.RequestDeletion(w.ctx, models.Instagram, w.signedRequest("9001", w.clock.Now()))
		w.must(err)
		w.clock.Advance(time.Minute)
		_, other := w.tenant("other")
		o := w.finish(w.allow(models.Instagram, w.beginFor(other, models.Instagram, ""), "9001"))
		if o.Code != "" {
			w.t.Fatalf("outcome %+v", o)
		}
		w.clock.Advance(time.Minute)
		second, err := w.RequestDeletion(w.ctx, models.Instagram, w.signedRequest("9001", w.clock.Now()))
		w.must(err)
		if second != first {
			w.t.Errorf("codes %s and %s", first, second)
		}
		w.must(w.Erase(w.ctx))
		if _, err := w.db.Accounts.InstagramAccount(w.ctx, o.Accounts[0].ID); !errors.Is(err, db.ErrNotFound) {
			w.t.Errorf("the account connected in between: %v", err)
		}
		if d, err := w.db.Connections.DataDeletion(w.ctx, first); err != nil || d.CompletedAt == nil {
			w.t.Errorf("deletion %+v, %v", d, err)
		}
	})
}

// A disconnect that is still being completed does not cancel posts made after the account
// was connected again.
func TestDisconnectSparesNewPosts(t *testing.T) {
	each(t, func(w *fixture) {
		a, ig := w.connectTikTok("-000one"), w.connectFacebook("9001", "17841400000000001")[0]
		w.disconnect(models.TikTok, a.ID)
		w.disconnect(models.Instagram, ig.ID)
		stale, login := w.account(a.ID), w.account(ig.OAuthAccountID)
		w.connectTikTok("-000one")
		w.connectFacebook("9001", "17841400000000001")
		posts := []*models.Post{
			w.post(models.TikTok, a.ID, nil), w.post(models.Instagram, ig.ID, nil), w.post(models.Instagram, ig.ID, w.inHalfAnHour),
		}
		for _, row := range []*models.OAuthAccount{stale, login} {
			w.must(w.db.Connections.FinishDisconnect(w.ctx, row, func(reason string) string { return reason }, w.clock.Now()))
		}
		for p, id := range map[models.Platform]int64{models.TikTok: a.ID, models.Instagram: ig.ID} {
			w.must(w.db.Connections.DeferPosts(w.ctx, db.Deactivation{Platform: p, AccountID: id, Reason: "dead"}, w.clock.Now().Add(time.Hour), w.clock.Now()))
		}
		for _, p := range posts {
			if got := w.reload(p); got.Status != p.Status || got.DeferredReason != "" {
				w.t.Errorf("the %s post is %s, deferred for %q: %s", got.Platform, got.Status, got.DeferredReason, w.timeline(p))
			}
		}
	})
}
