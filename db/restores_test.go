package db_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"socialqueue/db"
	"socialqueue/highwater"
	"socialqueue/models"
)

// anywhere records a call in whichever database there is.
func anywhere(db.Place) error { return nil }

// call records a call that was made, as it is the ledger that is compared with the mark.
func (f *fixture) call(at time.Time) *models.LedgerEntry {
	f.t.Helper()
	return f.recorded(at, false, models.Done)
}

func (f *fixture) recorded(at time.Time, harmless models.Harmless, state models.LedgerState) *models.LedgerEntry {
	f.t.Helper()
	p := f.post(nil)
	claimed, err := f.Runs.Claim(f.t.Context(), p.ID, 0, "w", at, time.Minute)
	f.must(err)
	e := &models.LedgerEntry{PostID: p.ID, Op: "instagram.publish", Harmless: harmless, State: models.Intended, Fence: claimed.Fence, CreatedAt: at}
	err = f.Runs.Intend(f.t.Context(), db.Intent{Entry: e, Check: anywhere}, at)
	f.must(err)
	e.State = state
	f.must(f.Runs.Settle(f.t.Context(), e))
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

// TestRestoresAreNumberedBeyondTheLostDatabase: a process that still has the list of the lost
// database in mind, with restores that only that one knew, must not take them for this one's.
func TestRestoresAreNumberedBeyondTheLostDatabase(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		ctx, mark := t.Context(), f.settled()
		e := f.call(epoch)
		for _, lost := range []int64{7, 20} {
			mark.Seq, mark.At = e.ID+lost, epoch.UnixMicro()
			found, err := f.Restores.Compare(ctx, &mark, epoch)
			f.must(err)
			if found.Restore == nil || found.Restore.ID <= mark.Seq {
				t.Fatalf("the mark has %d, and the restore is %+v", mark.Seq, found.Restore)
			}
		}
	})
}

// TestRecordedRestoresAreNumberedBehindAll: an operator's word, while the mark is older than the
// ledger and than a restore that is stored. The next comparison finds nothing more.
func TestRecordedRestoresAreNumberedBehindAll(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		ctx, mark := t.Context(), f.settled()
		e := f.call(epoch)
		old := highwater.New(mark.Identity, e.ID, epoch)
		last := int64(0)
		f.call(epoch.Add(time.Second)) // the mark is not raised by harmless calls
		for range 2 {                  // the second time, the new mark could not be written
			found, err := f.Restores.Record(ctx, epoch, &old, epoch.Add(time.Minute))
			f.must(err)
			if found.Restore.ID <= max(last, e.ID+1) {
				t.Fatalf("numbered %d, behind %d", found.Restore.ID, max(last, e.ID+1))
			}
			last, mark = found.Restore.ID, found.Mark
		}
		if found, err := f.Restores.Compare(ctx, &mark, epoch.Add(2*time.Minute)); err != nil || found.Restore != nil {
			t.Errorf("found %+v, %v", found.Restore, err)
		}
	})
}

// TestCompare: what a mark says about a database whose ledger has one call.
func TestCompare(t *testing.T) {
	other := "another/database"
	for name, tc := range map[string]struct {
		// mark names a call by its distance from the newest one of the database, and by the
		// distance of the time when it was recorded; nil is no mark.
		mark     *[2]int64
		of       string // whose mark it is; empty: this database's
		known    string // where the database was; empty: here
		want     models.RestoreReason
		unmarked bool
		// recorded: the mark stays as it is.
		recorded bool
	}{
		"the mark is that of its newest call":       {mark: &[2]int64{0, 0}, recorded: true},
		"the mark is that of an older call":         {mark: &[2]int64{-1, -1}, recorded: true},
		"the call of the mark was erased":           {mark: &[2]int64{-2, 0}},
		"the mark is ahead":                         {mark: &[2]int64{1, 1}, want: models.RestoreBehind},
		"its number was given to another call":      {mark: &[2]int64{0, -5}, want: models.RestoreBehind},
		"an older number was given to another call": {mark: &[2]int64{-1, 5}, want: models.RestoreBehind},
		"no mark, and the database is where it was": {unmarked: true},
		"the mark is of another database":           {mark: &[2]int64{0, 0}, of: other, want: models.RestoreMoved},
		"moved, with all calls":                     {mark: &[2]int64{0, 0}, of: other, known: other},
		"moved, and behind":                         {mark: &[2]int64{1, 1}, of: other, known: other, want: models.RestoreBehind},
		"moved, and no mark":                        {known: other, want: models.RestoreMoved},
	} {
		t.Run(name, func(t *testing.T) {
			each(t, func(t *testing.T, f *fixture) {
				if tc.known != "" && f.Dialect() == db.SQLite {
					return // an embedded database has the same identity everywhere
				}
				ctx, here := t.Context(), f.settled().Identity
				f.call(epoch) // erased below
				f.call(epoch.Add(-time.Second))
				e := f.call(epoch)
				if _, err := f.Pool().ExecContext(ctx, fmt.Sprintf("DELETE FROM ledger WHERE id = %d", e.ID-2)); err != nil {
					t.Fatal(err)
				}
				if tc.known != "" {
					f.must(f.Restores.Settle(ctx, tc.known))
				}
				var mark *highwater.Mark
				if tc.mark != nil {
					m := highwater.New(here, e.ID+tc.mark[0], epoch.Add(time.Duration(tc.mark[1])*time.Second))
					if tc.of != "" {
						m.Identity = tc.of
					}
					mark = &m
				}
				found, err := f.Restores.Compare(ctx, mark, epoch.Add(time.Hour))
				f.must(err)
				if found.Unmarked != tc.unmarked || found.Mark.Identity != here {
					t.Errorf("standing %+v", found)
				}
				if tc.want == "" {
					if tc.recorded != (mark != nil && found.Mark == *mark) {
						t.Errorf("the mark becomes %v, it was %v", found.Mark, mark)
					}
					if found.Restore != nil {
						t.Errorf("found restored: %+v", found.Restore)
					}
					return
				}
				if found.Restore == nil || found.Restore.Reason != tc.want || found.Mark.Seq <= e.ID || !found.Restore.AsOf.Equal(epoch) {
					t.Fatalf("standing %+v, restore %+v; want %s as of the newest call", found, found.Restore, tc.want)
				}
				if next := f.call(epoch.Add(time.Hour)); next.ID <= found.Mark.Seq {
					t.Errorf("the next call has the number %d, the mark is %d", next.ID, found.Mark.Seq)
				}
				_, err = f.Restores.Compare(ctx, mark, epoch.Add(2*time.Hour)) // the new mark was not written
				f.must(err)
				if all, err := f.Restores.List(ctx); err != nil || len(all) != 1 {
					t.Errorf("the same mark showed %d restores, %v", len(all), err)
				}
			})
		})
	}
}

// TestReachOfARestoredDatabase: a process that compared the database long before may record calls
// in the restored one before anybody notices. Those that raise no mark say nothing about how far
// the backup goes.
func TestReachOfARestoredDatabase(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		mark := f.settled()
		f.call(epoch)
		later := epoch.Add(time.Minute)
		f.recorded(later, true, models.Done)      // a harmless call
		f.recorded(later, false, models.Void)     // the mark could not be raised
		f.recorded(later, false, models.Intended) // nor could that be noted
		mark.Seq, mark.At = 100, epoch.Add(30*time.Second).UnixMicro()
		found, err := f.Restores.Compare(t.Context(), &mark, later)
		f.must(err)
		if r := found.Restore; r == nil || !r.AsOf.Equal(epoch) {
			t.Errorf("restore %+v, want one as of %s", r, epoch)
		}
	})
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
