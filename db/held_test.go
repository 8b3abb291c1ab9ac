package db_test

import (
	"testing"
	"time"

	"socialqueue/db"
	"socialqueue/models"
)

// TestHeldPostsStayHeld checks that an account that has to be connected again does not put
// its held posts back in line.
func TestHeldPostsStayHeld(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		ctx := t.Context()
		held := f.post(func(p *models.Post) {
			p.Admission, p.EnqueuedAt, p.DeferredReason = models.AdmissionHeld, nil, models.DeferredRestored
		})
		_, err := f.Pool().ExecContext(ctx, "UPDATE posts SET held_reason = $1", models.HeldUnsearchable)
		f.must(err)
		e := db.Deactivation{Platform: models.TikTok, AccountID: f.account.ID, Reason: "why"}
		f.must(f.Connections.Reauthorize(ctx, e, db.Refused{Fence: f.account.RefreshFence}, epoch.Add(time.Hour), epoch))
		f.must(f.Connections.DeferPosts(ctx, e, epoch.Add(time.Hour), epoch))
		if got := f.reload(held); got.Admission != models.AdmissionHeld || got.DeferredReason != models.DeferredRestored {
			t.Errorf("the held post is %s, deferred for %q", got.Admission, got.DeferredReason)
		}
		counts, err := f.Restores.CountHeld(ctx)
		f.must(err)
		if counts[models.HeldUnsearchable] != 1 || len(counts) != 1 {
			t.Errorf("held: %v, want one %s", counts, models.HeldUnsearchable)
		}
	})
}
