package publish_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"socialqueue/db"
	"socialqueue/db/dbtest"
	"socialqueue/models"
	"socialqueue/publish"
	instagramposts "socialqueue/publish/instagram"
	"socialqueue/sandbox"
)

const firstComment = "More in our shop:\n\n#bread  #cake"

// commented is a flow whose post wants a first comment.
func commented(f flow) flow {
	return flow{f.name + " with a comment", func(w *fixture) publish.Request {
		r := f.request(w)
		r.Options.(*instagramposts.Options).Comment = firstComment
		return r
	}}
}

// settleComment runs the service until the first comment of a post is settled.
func (w *fixture) settleComment(p *models.Post) *models.FirstComment {
	w.t.Helper()
	for range 1000 {
		c := w.firstComment(p)
		if c != nil && c.DueAt == nil {
			return c
		}
		if c != nil && w.queue.Comments.Len() == 0 {
			w.clock.Reach(*c.DueAt)
		}
		w.step()
	}
	w.t.Fatalf("the first comment was not settled: %+v\n%s", w.firstComment(p), w.story(p))
	return nil
}

func (w *fixture) firstComment(p *models.Post) *models.FirstComment {
	w.t.Helper()
	found, err := w.db.FirstComments.Of(w.ctx, []string{p.ID})
	w.must(err)
	return found[p.ID]
}

// wantComments is the first question of every test of first comments.
func (w *fixture) wantComments(n int) {
	w.t.Helper()
	w.wantLive(1)
	for _, live := range w.sim.LivePosts() {
		if len(live.Comments) != n {
			w.t.Errorf("%d comments are live, want %d: %+v", len(live.Comments), n, live.Comments)
		}
	}
}

func (w *fixture) wantComment(p *models.Post, want models.CommentStatus) {
	w.t.Helper()
	if c := w.firstComment(p); c.Status != want {
		w.t.Errorf("the first comment is %s, want %s (%s): %s", c.Status, want, c.Error, w.story(p))
	}
	w.wantStatus(p, models.Published)
}

// shownComment is the first comment as apps see it.
func (w *fixture) shownComment(p *models.Post) string {
	w.t.Helper()
	p = w.post(p)
	w.must(w.ReadParts(w.ctx, p))
	shown, err := w.Show(p)
	w.must(err)
	if shown.FirstComment == nil {
		return ""
	}
	return string(shown.FirstComment.Status)
}

func TestFirstComment(t *testing.T) {
	for _, f := range []flow{instagramImage, instagramReel, instagramCarousel} {
		t.Run(f.name, func(t *testing.T) {
			dbtest.Each(t, func(t *testing.T, d *db.DB) {
				w := newFixture(t, d)
				p := w.accept(commented(f))
				if shown := w.shownComment(p); shown != "pending" {
					t.Errorf("at first it is shown as %q", shown)
				}
				p = w.settle(p)
				c := w.settleComment(p)
				w.wantComments(1)
				w.wantComment(p, models.CommentPosted)
				live := w.sim.LivePosts()[0].Comments[0]
				if live.Text != firstComment || c.CommentID == nil || *c.CommentID != live.ID || w.shownComment(p) != "posted" {
					t.Errorf("live %+v, row %+v", live, c)
				}
				if story := w.story(p); !strings.Contains(story, "the first comment is live") {
					t.Errorf("the timeline does not tell of it: %s", story)
				}
			})
		})
	}
}

// TestFirstCommentIsNeverMadeTwice: the power fails before or after each request.
func TestFirstCommentIsNeverMadeTwice(t *testing.T) {
	f := commented(instagramImage)
	w := onSQLite(t)
	w.settleComment(w.settle(w.accept(f)))
	calls := w.wire.Calls()
	for n := range calls {
		for _, answered := range []bool{false, true} {
			w := onSQLite(t)
			w.wire.CutPower(n, answered)
			p := w.settle(w.accept(f))
			w.settleComment(p)
			w.wantComments(1)
			w.wantComment(p, models.CommentPosted)
		}
	}
}

// TestLostFirstComment: each fault at the calls of a comment, with and without an effect.
func TestLostFirstComment(t *testing.T) {
	for _, fault := range []sandbox.Fault{
		{Mode: sandbox.ModeReset},
		{Mode: sandbox.ModeReset, After: true},
		{Mode: sandbox.ModeStatus, Status: 502},
		{Mode: sandbox.ModeStatus, Status: 502, After: true},
		{Mode: sandbox.ModeTruncate},
		{Mode: sandbox.ModeRateLimit},
		{Mode: sandbox.ModeError, Code: "2"},
		{Mode: sandbox.ModeError, Code: "1", After: true},
		{Mode: sandbox.ModeError, Code: "100", After: true}, // refused, and made
	} {
		for _, op := range []string{sandbox.OpInstagramComment, sandbox.OpInstagramComments} {
			w := onSQLite(t)
			fault.Op = op
			w.sim.Script(fault)
			p := w.settle(w.accept(commented(instagramImage)))
			w.settleComment(p)
			w.wantComments(1)
			w.wantComment(p, models.CommentPosted)
			if t.Failed() {
				t.Fatalf("%+v: %s", fault, w.story(p))
			}
		}
	}
}

// TestLateFirstComment: the process dies over the call, which arrives minutes later. Until it
// can no longer arrive, the comment is not made again.
func TestLateFirstComment(t *testing.T) {
	w := onSQLite(t)
	deliver := w.hold("/comments", 1)
	p := w.settle(w.accept(commented(instagramImage)))
	for w.firstComment(p) == nil || w.firstComment(p).SentAt == nil {
		w.step()
	}
	w.must(w.db.Pool().QueryRowContext(w.ctx, `UPDATE first_comments SET due_at = sent_at RETURNING post_id`).Scan(new(string)))
	for sent := *w.firstComment(p).SentAt; w.clock.Now().Before(sent.Add(publish.DefaultTimings().Arrival - 10*time.Second)); {
		w.step()
	}
	w.wantComments(0)
	deliver()
	w.settleComment(p)
	w.wantComments(1)
	w.wantComment(p, models.CommentPosted)
}

// TestFirstCommentRefused: the comment is given up, the post stays as it is.
func TestFirstCommentRefused(t *testing.T) {
	w := onSQLite(t)
	w.sim.Script(sandbox.Fault{Op: sandbox.OpInstagramComment, Mode: sandbox.ModeError, Code: "100", Message: "comments are switched off"})
	p := w.settle(w.accept(commented(instagramImage)))
	c := w.settleComment(p)
	w.wantComments(0)
	w.wantComment(p, models.CommentFailed)
	if !strings.Contains(c.Error, "comments are switched off") || w.sim.CountCalls(sandbox.OpInstagramComment) != 1 {
		t.Errorf("row %+v, %d calls", c, w.sim.CountCalls(sandbox.OpInstagramComment))
	}
}

// TestFirstCommentKeepsTheRefusal: between the refusal and the proof that nothing was made, the
// comments cannot be read. The app is told of the refusal all the same.
func TestFirstCommentKeepsTheRefusal(t *testing.T) {
	w := onSQLite(t)
	w.sim.Script(sandbox.Fault{Op: sandbox.OpInstagramComment, Mode: sandbox.ModeError, Code: "100", Message: "comments are switched off"})
	p := w.settle(w.accept(commented(instagramImage)))
	for w.sim.CountCalls(sandbox.OpInstagramComment) == 0 {
		w.step()
	}
	w.sim.Script(sandbox.Fault{Op: sandbox.OpInstagramComments, Mode: sandbox.ModeStatus, Status: 502, Times: 3})
	if c := w.settleComment(p); !strings.Contains(c.Error, "comments are switched off") {
		t.Errorf("row %+v", c)
	}
	w.wantComments(0)
	w.wantComment(p, models.CommentFailed)
}

// TestFirstCommentThatIsThrottled: waiting uses up no call.
func TestFirstCommentThatIsThrottled(t *testing.T) {
	w := onSQLite(t)
	w.sim.Script(sandbox.Fault{Op: sandbox.OpInstagramComment, Mode: sandbox.ModeRateLimit, Times: 8})
	p := w.settle(w.accept(commented(instagramImage)))
	if c := w.settleComment(p); c.Calls != 1 || w.sim.CountCalls(sandbox.OpInstagramComment) != 9 {
		t.Errorf("row %+v, %d calls", c, w.sim.CountCalls(sandbox.OpInstagramComment))
	}
	w.wantComments(1)
	w.wantComment(p, models.CommentPosted)
}

// TestFirstCommentAfterADay: no worker ran for longer. A comment that late is not made.
func TestFirstCommentAfterADay(t *testing.T) {
	w := onSQLite(t)
	p := w.settle(w.accept(commented(instagramImage)))
	w.clock.Advance(25 * time.Hour)
	w.settleComment(p)
	w.wantComments(0)
	w.wantComment(p, models.CommentFailed)
}

// TestFirstCommentBehindARestore: a call of which the restored database knows nothing may still
// arrive.
func TestFirstCommentBehindARestore(t *testing.T) {
	w := onSQLite(t)
	p := w.settle(w.accept(commented(instagramImage)))
	_, err := w.RecordRestore(w.ctx, w.clock.Now().Add(-time.Second), "test")
	w.must(err)
	for found := w.clock.Now(); w.clock.Now().Before(found.Add(publish.DefaultTimings().Arrival - 10*time.Second)); {
		w.step()
	}
	w.wantComments(0)
	w.settleComment(p)
	w.wantComments(1)
	w.wantComment(p, models.CommentPosted)
}

// TestFirstCommentCallThatABackupLacks: the call of a comment is on its way, and a backup is
// restored that was made before. The mark outside the database says that there was a call.
func TestFirstCommentCallThatABackupLacks(t *testing.T) {
	w := withBackup(t)
	deliver := w.hold("/comments", 1)
	p := w.settle(w.accept(commented(instagramImage)))
	w.backup()
	for w.firstComment(p).SentAt == nil {
		w.step()
	}
	w.restore()
	for restored := w.clock.Now(); w.clock.Now().Before(restored.Add(publish.DefaultTimings().Arrival - 10*time.Second)); {
		w.step()
	}
	w.wantComments(0)
	deliver()
	w.settleComment(p)
	w.wantComments(1)
	w.wantComment(p, models.CommentPosted)
}

// TestFirstCommentThatCannotBeRead: the answer is lost, and Instagram does not show comments
// for a day. Nobody knows, so it is not made again.
func TestFirstCommentThatCannotBeRead(t *testing.T) {
	w := onSQLite(t)
	w.sim.Script(sandbox.Fault{Op: sandbox.OpInstagramComment, Mode: sandbox.ModeReset, After: true})
	p := w.settle(w.accept(commented(instagramImage)))
	for w.sim.CountCalls(sandbox.OpInstagramComment) == 0 {
		w.step()
	}
	w.sim.Script(sandbox.Fault{Op: sandbox.OpInstagramComments, Mode: sandbox.ModeError, Code: "2", Times: 10_000})
	for c := w.firstComment(p); c.DueAt != nil; c = w.firstComment(p) {
		w.clock.Advance(c.DueAt.Sub(w.clock.Now()) + time.Second)
		w.step()
	}
	w.wantComments(1)
	w.wantComment(p, models.CommentUncertain)
}

// TestFirstCommentOfARestoredDatabase: the database has forgotten that the comment was made.
func TestFirstCommentOfARestoredDatabase(t *testing.T) {
	w := onSQLite(t)
	p := w.settle(w.accept(commented(instagramImage)))
	made := w.settleComment(p)
	w.must(w.db.Pool().QueryRowContext(w.ctx,
		`UPDATE first_comments SET status = 'pending', due_at = created_at, sent_at = NULL, calls = 0, comment_id = NULL RETURNING post_id`).Scan(new(string)))
	again := w.settleComment(p)
	w.wantComments(1)
	if *again.CommentID != *made.CommentID {
		t.Errorf("comment %s, was %s", *again.CommentID, *made.CommentID)
	}
}

// TestFirstCommentOfAPostThatIsNotLive: nothing is sent, and the app sees that.
func TestFirstCommentOfAPostThatIsNotLive(t *testing.T) {
	w := onSQLite(t)
	at := w.clock.Now().Add(time.Hour)
	p := w.accept(commented(instagramImage), func(r *publish.Request) { r.PublishAt = &at })
	if _, err := w.Cancel(w.ctx, w.app.ID, p.ID); err != nil {
		t.Fatal(err)
	}
	if shown := w.shownComment(p); shown != "not_sent" || w.firstComment(p) != nil {
		t.Errorf("shown as %q", shown)
	}
}

// TestFirstCommentNeedsAPermission: an account that was connected without it is told so before
// the post is accepted.
func TestFirstCommentNeedsAPermission(t *testing.T) {
	w := onSQLite(t)
	for scope, want := range map[string]string{
		"instagram_basic,instagram_content_publish": "needs the permission instagram_manage_comments",
		"instagram_basic,instagram_manage_comments": "",
		"": "", // imported: nobody knows
	} {
		w.must(w.db.Pool().QueryRowContext(w.ctx, `UPDATE oauth_accounts SET scope = $1 WHERE provider = 'instagram' RETURNING id`, scope).Scan(new(int64)))
		w.clock.Advance(time.Minute) // accounts are remembered for a moment
		r := commented(instagramImage).request(w)
		r.CorrelationID = correlation
		_, err := w.Accept(w.ctx, r)
		if got := fmt.Sprint(err); want == "" && err != nil || !strings.Contains(got, want) {
			t.Errorf("scope %q: %v", scope, err)
		}
	}
}
