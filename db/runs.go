package db

import (
	"context"
	"fmt"
	"slices"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"socialqueue/models"
)

// Runs stores what workers do with a post: who has it, what was sent, and what came of it.
type Runs struct{ conn }

// earliness is how much before its time a run may be claimed: Asynq keeps whole
// seconds, so a task can arrive that early. The caller waits out the rest.
const earliness = time.Second

// EarlyError: a run was asked for before its time, by the clock of this process.
type EarlyError struct {
	// In is how long it still is.
	In time.Duration
}

// Error tells how early it is.
func (e *EarlyError) Error() string { return fmt.Sprintf("the run is due in %s only", e.In) }

// Claim takes the next run of a post for owner until lease from now on. The
// task that asks names the fence it was made for; if the row has another one,
// or a live lease, the task is an old one and the answer is ErrStale; one that
// comes too soon gets an *EarlyError. On success the post carries a new fence, and one that
// was unsent is publishing.
func (s *Runs) Claim(ctx context.Context, id string, fence int64, owner string, now time.Time, lease time.Duration) (*models.Post, error) {
	var p models.Post
	err := s.orm.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		// The row is locked from here on: the tick that queues due posts comes at
		// the very moment their tasks do, and a status that changed in between
		// would turn the live task away as an old one.
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
		take(&p, owner, now, lease)
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

func take(p *models.Post, owner string, now time.Time, lease time.Duration) {
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

// Renew prolongs the lease of the run that holds fence. ErrStale means that
// another run took over: stop.
func (s *Runs) Renew(ctx context.Context, id string, fence int64, until time.Time) error {
	res := s.orm.WithContext(ctx).Model(&models.Post{}).
		Where("id = ? AND fence = ? AND lease_until IS NOT NULL", id, fence).UpdateColumn("lease_until", until)
	return changedOne(res, "renew lease of post "+id)
}

// Intend writes a ledger entry before the call it tells of, if the run that
// holds the entry's fence still has its lease. The call may be made only after
// this returned nil.
//
// at is where it was written. Before a call that can make the post live, the caller compares
// it with what it knows: the database may have been replaced since.
func (s *Runs) Intend(ctx context.Context, e *models.LedgerEntry, now time.Time) (at Place, err error) {
	miss := "" // once sending begins it can no longer be too late to begin
	if !e.Harmless {
		miss = ", miss_at = NULL"
	}
	err = s.orm.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		res := tx.Raw(fmt.Sprintf(`
			UPDATE posts SET updated_at = @now%s WHERE id = @id AND fence = @fence AND lease_until > @now
			RETURNING %s AS name, (SELECT COALESCE(MAX(id), 0) FROM restores) AS restore_id`, miss, s.place()),
			map[string]any{"now": now, "id": e.PostID, "fence": e.Fence}).Scan(&at)
		if err := changedOne(res, "write ledger of post "+e.PostID); err != nil {
			return err
		}
		if err := tx.Create(e).Error; err != nil {
			return fmt.Errorf("write ledger of post %s: %w", e.PostID, err)
		}
		return nil
	})
	return at, err
}

// Place says which state of which database a call was recorded in.
type Place struct {
	// Name is the end of the database's identity (Restores.Compare), which is cheap to
	// read; empty for an embedded one.
	Name string
	// RestoreID is the newest restore.
	RestoreID int64
}

func (s *Runs) place() string {
	if s.dialect == SQLite {
		return "''"
	}
	return "socialqueue_place()"
}

// Settle writes what became of a guarded call. It is a fact, so it needs no
// fence: a run that lost its lease still tells its successor what it learned.
func (s *Runs) Settle(ctx context.Context, e *models.LedgerEntry) error {
	err := s.orm.WithContext(ctx).Model(e).Where("post_id = ? AND fence = ?", e.PostID, e.Fence).Select("state", "external_id", "sealed_url", "settled_at").UpdateColumns(e).Error
	if err != nil {
		return fmt.Errorf("settle ledger of post %s: %w", e.PostID, err)
	}
	return nil
}

// Ledger reads the guarded calls of a post, oldest first.
func (s *Runs) Ledger(ctx context.Context, postID string) (models.Ledger, error) {
	var entries []models.LedgerEntry
	if err := s.orm.WithContext(ctx).Where("post_id = ?", postID).Order("id").Find(&entries).Error; err != nil {
		return nil, fmt.Errorf("read ledger of post %s: %w", postID, err)
	}
	return entries, nil
}

// RunWrite is one step of a run, all of it written or nothing.
type RunWrite struct {
	Post   *models.Post
	From   models.Status
	Events []models.PostEvent
	// Release ends the run: the post's lease is written too.
	Release bool
	// File is a file of the post to write along; nil if none changed.
	File *models.PostMedia
	// Record is a row of the platform's own table to write along; nil if there is none.
	Record models.Record
}

// Write writes the state of a post from the run that holds its fence, if the
// row still has the status the run knows. ErrStale: another run took over.
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
		if err := tellOfMove(tx, w.Post, w.From); err != nil {
			return err
		}
		return writeAlong(tx, w)
	})
}

// writeAlong writes copies: Create fills in ids, and a write whose commit got no
// answer is written again.
func writeAlong(tx *gorm.DB, w RunWrite) error {
	if len(w.Events) > 0 {
		events := slices.Clone(w.Events)
		if err := tx.Create(&events).Error; err != nil {
			return fmt.Errorf("write timeline of post %s: %w", w.Post.ID, err)
		}
	}
	if w.File != nil {
		if err := keepFile(tx, *w.File); err != nil {
			return err
		}
	}
	if w.Record == nil {
		return nil
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

// Resolution is how an uncertain post is settled by hand.
type Resolution struct {
	Post *models.Post
	// From is the status that the post had.
	From models.Status
	// Calls is what its guarded calls that are not void came to.
	Calls models.LedgerState
	Event models.PostEvent
	Now   time.Time
}

// Resolve writes it, unless a worker has the post or it moved on since it was read:
// then the answer is ErrStale. The post gets a new fence.
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
		if err := tellOfMove(tx, &row, r.From); err != nil {
			return err
		}
		if err := tx.Create(&r.Event).Error; err != nil {
			return fmt.Errorf("write timeline of post %s: %w", row.ID, err)
		}
		*r.Post = row
		return nil
	})
}
