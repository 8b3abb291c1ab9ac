package db

import (
	"context"
	"fmt"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"socialqueue/highwater"
	"socialqueue/models"
)

// Runs stores the work on posts: claims, leases, the ledger of calls, and results.
type Runs struct{ conn }

// earliness is how early a run may be claimed. Asynq keeps times in whole seconds, so a task
// can arrive up to a second early. The caller waits for the remaining time.
const earliness = time.Second

// EarlyError means that a run was claimed before it is due, by the clock of this process.
type EarlyError struct {
	// In is the time until the run is due.
	In time.Duration
}

// Error implements error.
func (e *EarlyError) Error() string { return fmt.Sprintf("the run is not due for another %s", e.In) }

// Claim claims the next run of a post for owner, with a lease of the given duration. fence
// is the fence that the task was made for. Claim returns ErrStale if the post has another
// fence or a live lease: the task is outdated. It returns an *EarlyError if the run is not
// due yet. On success the post has a new fence, and a post that was scheduled or queued is
// publishing.
func (s *Runs) Claim(ctx context.Context, id string, fence int64, owner string, now time.Time, lease time.Duration) (*models.Post, error) {
	var p models.Post
	err := s.orm.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		// Lock the row: the tick that queues due posts runs at the same moment as their
		// tasks. If it changed the status between this read and the write below, a valid
		// task would be rejected as outdated.
		if err := first(tx.Clauses(clause.Locking{Strength: clause.LockingStrengthUpdate}).Where("id = ?", id).Take(&p).Error, "post "+id); err != nil {
			return err
		}
		if p.Fence == fence && p.RunAt != nil && p.RunAt.After(now.Add(earliness)) {
			return &EarlyError{In: p.RunAt.Sub(now)}
		}
		if p.Fence != fence || p.Admission != models.AdmissionAdmitted || p.RunAt == nil {
			return fmt.Errorf("claim post %s with fence %d: %w", id, fence, ErrStale)
		}
		from := p.Status
		applyClaim(&p, owner, now, lease)
		m := move{from: []models.Status{from}, to: p.Status, lease: leaseEnded, now: now}
		err := m.one(tx, &p, fence, "fence", "lease_until", "lease_owner", "unfinished_runs", "deferred_until", "deferred_reason", "started_at", "updated_at")
		if err != nil || p.Status == from {
			return err
		}
		return tx.Create(&models.PostEvent{
			PostID: id, At: now, Type: models.EventState, From: from, To: p.Status, Fence: p.Fence, Message: models.NoteClaimed,
		}).Error
	})
	if err != nil {
		return nil, err
	}
	return &p, nil
}

func applyClaim(p *models.Post, owner string, now time.Time, lease time.Duration) {
	until := now.Add(lease)
	p.Fence++
	p.LeaseUntil, p.LeaseOwner = &until, owner
	p.UnfinishedRuns++
	p.DeferredUntil, p.DeferredReason = nil, ""
	p.UpdatedAt = now
	if p.StartedAt == nil {
		p.StartedAt = &now
	}
	if p.Status.Unsent() {
		p.Status = models.Publishing
	}
}

// Renew extends the lease of the run that holds fence. It returns ErrStale if another run
// took over; the caller must then stop.
func (s *Runs) Renew(ctx context.Context, id string, fence int64, until time.Time) error {
	res := s.orm.WithContext(ctx).Model(&models.Post{}).
		Where("id = ? AND fence = ? AND lease_until IS NOT NULL", id, fence).UpdateColumn("lease_until", until)
	return changedOne(res, "renew lease of post "+id)
}

// Intent is a call that is about to be made.
type Intent struct {
	Entry *models.LedgerEntry
	// Mark is the high-water mark, and Check says whether the database in which the entry is
	// about to be stored is the one that was compared with it.
	Mark  highwater.Mark
	Check func(Place) error
	// Budget limits how often such a call is made.
	Budget Budget
}

// Intend stores the ledger entry of a call that is about to be made. It returns ErrStale
// unless the run with the entry's fence still has its lease, the error of Check, or a
// *SpentError if the budget has no call left; then nothing is stored. Make the call only after
// Intend returned nil.
func (s *Runs) Intend(ctx context.Context, in Intent, now time.Time) error {
	e := in.Entry
	miss := "" // once sending begins it can no longer be too late to begin
	if !e.Harmless {
		miss = ", miss_at = NULL"
	}
	return s.orm.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		var at Place
		res := tx.Raw(fmt.Sprintf(`
			UPDATE posts SET updated_at = @now%s WHERE id = @id AND fence = @fence AND lease_until > @now
			RETURNING %s`, miss, s.placeColumns()),
			map[string]any{"now": now, "id": e.PostID, "fence": e.Fence, "mark": in.Mark.Seq, "at": in.Mark.Time()}).Scan(&at)
		if err := changedOne(res, "write ledger of post "+e.PostID); err != nil {
			return err
		}
		return s.record(tx, in, at, now)
	})
}

// record stores the entry of an intent, if its check and its budget allow it.
func (d conn) record(tx *gorm.DB, in Intent, at Place, now time.Time) error {
	if err := in.Check(at); err != nil {
		return err
	}
	if err := d.reserve(tx, in.Budget, now); err != nil {
		return err
	}
	return wrap(tx.Create(in.Entry).Error, "write ledger of post %s", in.Entry.PostID)
}

// Place says which state of which database a call is recorded in.
type Place struct {
	// Name is the end of the database's identity (Restores.Compare), which is cheap to
	// read; empty for an embedded one.
	Name string
	// RestoreID is the newest restore.
	RestoreID int64
	// KnowsMark reports whether the call of the mark is recorded in it.
	KnowsMark bool
}

// knowsMark holds if the call of a mark is recorded. A restore takes a number too, and the
// newest of the erased calls is remembered.
const knowsMark = `(EXISTS (SELECT 1 FROM ledger WHERE id = @mark AND created_at = @at)
	OR EXISTS (SELECT 1 FROM restores WHERE beyond = @mark AND found_at = @at)
	OR EXISTS (SELECT 1 FROM installation WHERE erased_seq = @mark AND erased_at = @at))`

// placeColumns are the columns of a Place; @mark and @at are those of a mark.
func (d conn) placeColumns() string {
	name := "socialqueue_place()"
	if d.dialect == SQLite {
		name = "''"
	}
	return name + " AS name, (SELECT COALESCE(MAX(id), 0) FROM restores) AS restore_id, " + knowsMark + " AS knows_mark"
}

// Settle stores the result of a call in its ledger entry. It does not check the lease: the
// result is a fact, and a run that lost its lease still has to pass it to its successor.
func (s *Runs) Settle(ctx context.Context, e *models.LedgerEntry) error {
	err := s.orm.WithContext(ctx).Model(e).Where("post_id = ? AND fence = ?", e.PostID, e.Fence).Select("state", "external_id", "refusal", "sealed_url", "settled_at").UpdateColumns(e).Error
	if err != nil {
		return fmt.Errorf("settle ledger of post %s: %w", e.PostID, err)
	}
	return nil
}

// Ledger reads the recorded calls of a post, oldest first.
func (s *Runs) Ledger(ctx context.Context, postID string) (models.Ledger, error) {
	var entries []models.LedgerEntry
	if err := s.orm.WithContext(ctx).Where("post_id = ?", postID).Order("id").Find(&entries).Error; err != nil {
		return nil, fmt.Errorf("read ledger of post %s: %w", postID, err)
	}
	return entries, nil
}

// RunWrite is a write of a run. It is atomic.
type RunWrite struct {
	Post   *models.Post
	From   models.Status
	Events []models.PostEvent
	// Release also writes the post's lease, which ends the run.
	Release bool
	// Record is a row of the platform's own table; nil if there is none.
	Record models.Record
	// FirstComment is that of a post that is live now; nil if there is none.
	FirstComment *models.FirstComment
	// FreeLane is set if the post leaves its place in its lane: it is how many places the lane
	// has. The next parked posts then wait for their app's turn.
	FreeLane int
}

// Write stores the post of a run. It returns ErrStale if the row no longer has the run's
// fence and the status w.From: another run took over.
func (s *Runs) Write(ctx context.Context, w RunWrite) error {
	columns := mutable
	if w.Release {
		columns = mutableAndLease
	}
	m := move{from: []models.Status{w.From}, to: w.Post.Status, lease: leaseAny}
	return s.orm.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		if err := m.one(tx, w.Post, w.Post.Fence, columns...); err != nil {
			return err
		}
		if err := emitMove(tx, w.Post, w.From); err != nil {
			return err
		}
		if err := writeAlong(tx, w); err != nil || w.FreeLane == 0 {
			return err
		}
		return conn{tx, s.dialect}.freeLane(w.Post.Lane, w.FreeLane, w.Post.UpdatedAt)
	})
}

// writeAlong stores the events, the record and the first comment of a run's write.
func writeAlong(tx *gorm.DB, w RunWrite) error {
	if err := addEvents(tx, w.Events); err != nil {
		return err
	}
	if err := beginFirstComment(tx, w.Post, w.FirstComment); err != nil || w.Record == nil {
		return err
	}
	row, key, updates := w.Record.Upsert()
	err := tx.Clauses(clause.OnConflict{
		Columns: []clause.Column{{Name: key}}, DoUpdates: clause.AssignmentColumns(updates),
	}).Create(row).Error
	if err != nil {
		return fmt.Errorf("write %s row of post %s: %w", w.Record.TableName(), w.Post.ID, err)
	}
	return nil
}

// Resolution is an operator's settlement of an uncertain post.
type Resolution struct {
	Post *models.Post
	// From is the status that the post had.
	From models.Status
	// Calls is the new state of the post's ledger entries that are not void.
	Calls models.LedgerState
	Event models.PostEvent
	Now   time.Time
	// FirstComment is that of a post that is live; nil if there is none.
	FirstComment *models.FirstComment
}

// Resolve stores a settlement and gives the post a new fence. It returns ErrStale if a
// worker has the post or if the post was changed since it was read.
func (s *Runs) Resolve(ctx context.Context, r Resolution) error {
	return s.orm.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		old := r.Post.Fence
		row := *r.Post
		row.Fence++
		m := move{from: []models.Status{r.From}, to: row.Status, lease: leaseEnded, now: r.Now}
		if err := m.one(tx, &row, old, mutableAndLease...); err != nil {
			return err
		}
		err := tx.Model(&models.LedgerEntry{}).Where("post_id = ? AND state <> ?", row.ID, models.Void).
			UpdateColumns(map[string]any{"state": r.Calls, "settled_at": r.Now}).Error
		if err != nil {
			return fmt.Errorf("settle the ledger of post %s: %w", row.ID, err)
		}
		if err := emitMove(tx, &row, r.From); err != nil {
			return err
		}
		if err := tx.Create(&r.Event).Error; err != nil {
			return fmt.Errorf("write timeline of post %s: %w", row.ID, err)
		}
		if err := beginFirstComment(tx, &row, r.FirstComment); err != nil {
			return err
		}
		*r.Post = row
		return nil
	})
}
