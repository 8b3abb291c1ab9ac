package db_test

import (
	"sync"
	"testing"
	"time"

	"socialqueue/db"
	"socialqueue/highwater"
	"socialqueue/models"
)

// call records a call, as it is the ledger that is compared with the mark.
func (f *fixture) call(at time.Time) *models.LedgerEntry {
	f.t.Helper()
	p := f.post(nil)
	claimed, err := f.Runs.Claim(f.t.Context(), p.ID, 0, "w", at, time.Minute)
	f.must(err)
	e := &models.LedgerEntry{PostID: p.ID, Op: "instagram.publish", State: models.Intended, Fence: claimed.Fence, CreatedAt: at}
	_, err = f.Runs.Intend(f.t.Context(), e, at)
	f.must(err)
	return e
}

// settled is the database after a first process compared it.
func (f *fixture) settled() highwater.Mark {
	f.t.Helper()
	found, err := f.Restores.Compare(f.t.Context(), nil, epoch)
	f.must(err)
	if found.Restore != nil {
		f.t.Fatalf("a new database was found restored: %+v", found.Restore)
	}
	f.must(f.Restores.Settle(f.t.Context(), found.Mark.Identity))
	return found.Mark
}

// TestCompare: what a mark says about a database whose ledger has one call.
func TestCompare(t *testing.T) {
	other := "another/database"
	for name, tc := range map[string]struct {
		mark     func(here string, top int64) *highwater.Mark
		known    string // where the database was; empty: here
		want     models.RestoreReason
		unmarked bool
	}{
		"the mark is that of its newest call":       {func(here string, top int64) *highwater.Mark { return &highwater.Mark{Identity: here, Seq: top} }, "", "", false},
		"the mark is older":                         {func(here string, top int64) *highwater.Mark { return &highwater.Mark{Identity: here, Seq: top - 1} }, "", "", false},
		"the mark is ahead":                         {func(here string, top int64) *highwater.Mark { return &highwater.Mark{Identity: here, Seq: top + 1} }, "", models.RestoreBehind, false},
		"no mark, and the database is where it was": {func(string, int64) *highwater.Mark { return nil }, "", "", true},
		"the mark is of another database":           {func(_ string, top int64) *highwater.Mark { return &highwater.Mark{Identity: other, Seq: top} }, "", models.RestoreMoved, false},
		"moved, with all calls":                     {func(_ string, top int64) *highwater.Mark { return &highwater.Mark{Identity: other, Seq: top} }, other, "", false},
		"moved, and behind":                         {func(_ string, top int64) *highwater.Mark { return &highwater.Mark{Identity: other, Seq: top + 1} }, other, models.RestoreBehind, false},
		"moved, and no mark":                        {func(string, int64) *highwater.Mark { return nil }, other, models.RestoreMoved, false},
	} {
		t.Run(name, func(t *testing.T) {
			each(t, func(t *testing.T, f *fixture) {
				if tc.known != "" && f.Dialect() == db.SQLite {
					return // an embedded database has the same identity everywhere
				}
				ctx, here, e := t.Context(), f.settled().Identity, f.call(epoch)
				if tc.known != "" {
					f.must(f.Restores.Settle(ctx, tc.known))
				}
				mark := tc.mark(here, e.ID)
				found, err := f.Restores.Compare(ctx, mark, epoch.Add(time.Hour))
				f.must(err)
				if found.Unmarked != tc.unmarked || found.Mark.Identity != here {
					t.Errorf("standing %+v", found)
				}
				if tc.want == "" {
					if found.Restore != nil {
						t.Errorf("found restored: %+v", found.Restore)
					}
					return
				}
				if found.Restore == nil || found.Restore.Reason != tc.want || found.Mark.Seq != e.ID || !found.Restore.AsOf.Equal(epoch) {
					t.Fatalf("standing %+v, restore %+v; want %s as of the newest call", found, found.Restore, tc.want)
				}
				again, err := f.Restores.Compare(ctx, mark, epoch.Add(2*time.Hour)) // the mark was not written
				f.must(err)
				if again.Restore == nil || again.Restore.ID != found.Restore.ID {
					t.Errorf("the same mark showed another restore: %+v", again.Restore)
				}
			})
		})
	}
}

// TestCompareAtOnce: of many processes that start at once, all find the same restore.
func TestCompareAtOnce(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		mark := f.settled()
		mark.Seq = 7
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				if _, err := f.Restores.Compare(t.Context(), &mark, epoch); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if restores, err := f.Restores.List(t.Context()); err != nil || len(restores) != 1 {
			t.Errorf("%d restores, %v; want one", len(restores), err)
		}
	})
}

// TestRecord: an operator's word makes a restore, or moves the beginning of the one that the
// mark shows anyway.
func TestRecord(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		ctx, mark, asOf := t.Context(), f.settled(), epoch.Add(-time.Hour)
		found, err := f.Restores.Record(ctx, asOf, &mark, epoch)
		f.must(err)
		if r := found.Restore; r == nil || r.Reason != models.RestoreOperator || !r.AsOf.Equal(asOf) {
			t.Errorf("restore %+v", found.Restore)
		}
		mark.Seq = 9
		earlier := epoch.Add(-90 * 24 * time.Hour)
		found, err = f.Restores.Record(ctx, earlier, &mark, epoch)
		f.must(err)
		if r := found.Restore; r == nil || r.Reason != models.RestoreBehind || !r.AsOf.Equal(earlier) {
			t.Errorf("restore %+v", found.Restore)
		}
	})
}
