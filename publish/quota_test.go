package publish_test

import (
	"testing"
	"time"

	"socialqueue/db"
	"socialqueue/db/dbtest"
	"socialqueue/models"
)

// What Instagram tells of an account's limit before each post is kept, and an answer that
// comes late does not replace a newer one.
func TestTheQuotaIsKept(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := newFixture(t, d)
		asked := w.clock.Now()
		w.wantStatus(w.settle(w.accept(instagramImage)), models.Published)
		first := w.quota()
		if first.ReadAt == nil || first.ReadAt.Before(asked) || first.Used != 0 || first.Total != 100 || first.Window() != 24*time.Hour {
			t.Fatalf("quota = %+v", first)
		}
		w.clock.Advance(time.Hour)
		w.wantStatus(w.settle(w.accept(instagramImage)), models.Published)
		second := w.quota()
		if second.Used != 1 || !second.ReadAt.After(*first.ReadAt) {
			t.Errorf("after another post quota = %+v", second)
		}
		w.must(w.db.Accounts.NoteQuota(w.ctx, models.Instagram, w.insta, first))
		if now := w.quota(); now.Used != second.Used || !now.ReadAt.Equal(*second.ReadAt) {
			t.Errorf("an older answer replaced %+v: %+v", second, now)
		}
	})
}

func (w *fixture) quota() models.Quota {
	w.t.Helper()
	account, err := w.db.Accounts.InstagramAccount(w.ctx, w.insta)
	w.must(err)
	return account.Quota
}
