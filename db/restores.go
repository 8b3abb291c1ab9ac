package db

import (
	"context"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"socialqueue/highwater"
	"socialqueue/models"
)

// Restores stores what is known of restored backups, and the posts that wait for a person
// because of one.
type Restores struct{ conn }

// Standing is what a comparison of the database with its high-water mark showed.
type Standing struct {
	// Mark is what the mark has to be for this database.
	Mark highwater.Mark
	// Restore is the restore that was found by this comparison or an unfinished one
	// before it; nil if the database lacks nothing.
	Restore *models.Restore
	// Unmarked: the mark is gone, and the database is where it was.
	Unmarked bool
}

// Compare compares the database with the mark that is kept outside it, and stores a
// restore if the database lacks calls, or cannot be shown to have them all. The caller then
// writes the mark, and calls Settle. Several processes may do so at once, and each may end
// anywhere: the next one finds the same restore again.
//
// The database has them all if its ledger reaches up to the mark and the mark was made
// here, or where this database was before: a promoted standby, a copy on another server.
func (s *Restores) Compare(ctx context.Context, mark *highwater.Mark, now time.Time) (Standing, error) {
	var found Standing
	err := s.orm.WithContext(ctx).Transaction(func(tx *gorm.DB) (err error) {
		found, err = s.compare(tx, mark, now)
		return err
	})
	return found, wrap(err, "compare the database with its high-water mark")
}

func (s *Restores) compare(tx *gorm.DB, mark *highwater.Mark, now time.Time) (Standing, error) {
	var known string // where the database was, under a lock
	err := tx.Table("installation").Clauses(clause.Locking{Strength: clause.LockingStrengthUpdate}).Where("id = 1").Pluck("identity", &known).Error
	if err != nil {
		return Standing{}, err
	}
	here, err := s.identity(tx, known)
	if err != nil {
		return Standing{}, err
	}
	var top int64
	if err := tx.Raw("SELECT COALESCE(MAX(id), 0) FROM ledger").Scan(&top).Error; err != nil {
		return Standing{}, err
	}
	found := Standing{Mark: highwater.Mark{Identity: here, Seq: top}}
	reason := lacking(mark, known, here, top)
	switch {
	case reason == "" && mark == nil:
		found.Unmarked = known != ""
		return found, nil
	case reason == "":
		found.Mark.Seq = max(top, mark.Seq)
		return found, nil
	}
	found.Restore, err = record(tx, reason, evidence(mark, here), nil, now)
	return found, err
}

// Settle notes that the mark of this identity is written.
func (s *Restores) Settle(ctx context.Context, identity string) error {
	err := s.orm.WithContext(ctx).Exec("UPDATE installation SET identity = ? WHERE id = 1 AND identity <> ?", identity, identity).Error
	return wrap(err, "note which database this is")
}

// lacking returns the reason to believe that the database lacks calls; empty if there is
// none.
func lacking(mark *highwater.Mark, known, here string, top int64) models.RestoreReason {
	switch {
	case mark != nil && top < mark.Seq && (mark.Identity == here || mark.Identity == known):
		return models.RestoreBehind
	case mark != nil && mark.Identity != here && mark.Identity != known:
		return models.RestoreMoved
	case mark == nil && known != here && known != "":
		return models.RestoreMoved
	}
	return ""
}

// evidence names what shows a restore: the mark, or that there is none at this place.
func evidence(mark *highwater.Mark, here string) string {
	if mark == nil {
		return "no mark at " + here
	}
	return mark.String()
}

// identity names this database in its present place. An embedded one has a name of its own.
func (s *Restores) identity(tx *gorm.DB, known string) (string, error) {
	if s.dialect == SQLite {
		return known, nil
	}
	var here string
	err := tx.Raw("SELECT socialqueue_identity()").Scan(&here).Error
	return here, err
}

// record stores a restore, unless the newest one was found by the same evidence: then a
// process ended before it wrote the new mark.
func record(tx *gorm.DB, reason models.RestoreReason, evidence string, asOf *time.Time, now time.Time) (*models.Restore, error) {
	newest, err := newestRestore(tx)
	if err != nil {
		return nil, err
	}
	if newest != nil && newest.Evidence == evidence && evidence != "" {
		return newest, nil
	}
	restore := &models.Restore{FoundAt: now, Reason: reason, Evidence: evidence}
	if asOf != nil {
		restore.AsOf = *asOf
	} else if restore.AsOf, err = reach(tx, now); err != nil {
		return nil, err
	}
	return restore, tx.Create(restore).Error
}

// unknownReach is how long before its discovery a backup without any call is taken to be
// made.
const unknownReach = 30 * 24 * time.Hour

// reach is how far the database surely goes: the time of its newest recorded call. No call is
// recorded between a restore and its discovery, while posts and timelines go on.
func reach(tx *gorm.DB, now time.Time) (time.Time, error) {
	var last []models.LedgerEntry
	if err := tx.Order("id DESC").Limit(1).Find(&last).Error; err != nil {
		return time.Time{}, err
	}
	if len(last) == 0 || last[0].CreatedAt.After(now) {
		return now.Add(-unknownReach), nil
	}
	return last[0].CreatedAt, nil
}

func newestRestore(tx *gorm.DB) (*models.Restore, error) {
	var newest []models.Restore
	err := tx.Order("id DESC").Limit(1).Find(&newest).Error
	if err != nil || len(newest) == 0 {
		return nil, err
	}
	return &newest[0], nil
}

// Record stores what an operator says: that the database was restored from a backup of a
// time. mark is the one that is kept outside now.
func (s *Restores) Record(ctx context.Context, asOf time.Time, mark *highwater.Mark, now time.Time) (Standing, error) {
	var found Standing
	err := s.orm.WithContext(ctx).Transaction(func(tx *gorm.DB) (err error) {
		if found, err = s.compare(tx, mark, now); err != nil {
			return err
		}
		if found.Restore == nil {
			found.Restore, err = record(tx, models.RestoreOperator, "", &asOf, now)
			return err
		}
		if asOf.Before(found.Restore.AsOf) {
			found.Restore.AsOf = asOf
			return tx.Model(found.Restore).UpdateColumn("as_of", asOf).Error
		}
		return nil
	})
	return found, wrap(err, "record the restore")
}

// maxRestores bounds how many restores are kept in mind. An older one than these no longer
// matters.
const maxRestores = 50

// List lists the newest restores, newest first.
func (s *Restores) List(ctx context.Context) ([]models.Restore, error) {
	var all []models.Restore
	err := s.orm.WithContext(ctx).Order("id DESC").Limit(maxRestores).Find(&all).Error
	return all, wrap(err, "list restores")
}

// Reaches reports whether the ledger reaches up to an entry.
func (s *Restores) Reaches(ctx context.Context, seq int64) (bool, error) {
	var top int64
	err := s.orm.WithContext(ctx).Raw("SELECT COALESCE(MAX(id), 0) FROM ledger").Scan(&top).Error
	return top >= seq, wrap(err, "read how far the ledger goes")
}

// Held lists posts that wait for a person, oldest first, after the one with the id after. A
// reason narrows the list.
func (s *Restores) Held(ctx context.Context, reason models.HeldReason, after string, limit int) ([]models.Post, error) {
	q := s.orm.WithContext(ctx).Where("admission = 'held' AND id > ?", after)
	if reason != "" {
		q = q.Where("held_reason = ?", reason)
	}
	var posts []models.Post
	err := q.Order("id").Limit(limit).Find(&posts).Error
	return posts, wrap(err, "list held posts")
}

// CountHeld counts the posts that wait for a person, by reason.
func (s *Restores) CountHeld(ctx context.Context) (map[models.HeldReason]int64, error) {
	var rows []struct {
		HeldReason models.HeldReason
		N          int64
	}
	err := s.orm.WithContext(ctx).Model(&models.Post{}).Select("held_reason, COUNT(*) AS n").Where("admission = 'held'").
		Group("held_reason").Scan(&rows).Error
	counts := make(map[models.HeldReason]int64, len(rows))
	for _, row := range rows {
		counts[row.HeldReason] = row.N
	}
	return counts, wrap(err, "count held posts")
}

// Rivals lists the other posts of a post's lane, limit at most, with their content alone:
// those that are not live, as far as is known, and were not searched for since a restore.
func (s *Restores) Rivals(ctx context.Context, p *models.Post, restoreID int64, limit int) ([]models.Post, error) {
	var posts []models.Post
	err := s.orm.WithContext(ctx).Select("id", "platform", "kind", "content").
		Where("lane = ? AND id <> ? AND platform_post_id IS NULL AND restore_id < ? AND status NOT IN ?", p.Lane, p.ID, restoreID,
			[]models.Status{models.Canceled, models.Delivered}).
		Order("id DESC").Limit(limit).Find(&posts).Error
	return posts, wrap(err, "list the other posts of %s", p.Lane)
}
