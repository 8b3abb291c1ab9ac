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
	// Unmarked: the mark of recorded calls is gone, and the database is where it was.
	Unmarked bool
}

// Compare compares the database with the mark that is kept outside it, and stores a
// restore if the database lacks calls, or cannot be shown to have them all. The caller then
// writes the mark, and calls Settle. Several processes may do so at once, and each may end
// anywhere: the next one finds the same restore, or what it left already stored.
//
// The database has them all if the call of the mark is recorded in it, and the mark was made
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
	own, err := newestMark(tx, here)
	if err != nil {
		return Standing{}, err
	}
	has, recorded, err := knows(tx, mark, own)
	if err != nil {
		return Standing{}, err
	}
	found := Standing{Mark: own}
	if recorded && mark.Identity == here {
		found.Mark = *mark // others raise it just now
	}
	reason := lacking(mark, known, here, has)
	switch {
	case reason == "" && mark == nil:
		found.Unmarked = known != "" && own.Seq > 0 // a new database has lost nothing
		return found, nil
	case reason == "":
		return found, nil
	}
	number, err := beyond(tx, mark, own)
	if err != nil {
		return found, err
	}
	found.Restore, err = s.record(tx, reason, evidence(mark, here), number, nil, now)
	if err == nil {
		found.Mark = markOf(found.Restore, here)
	}
	return found, err
}

// newestMark is the mark of the newest call that the database knows of. A restore takes a
// number behind all calls that it was found to lack.
func newestMark(tx *gorm.DB, here string) (highwater.Mark, error) {
	var calls []models.LedgerEntry
	if err := tx.Select("id", "created_at").Order("id DESC").Limit(1).Find(&calls).Error; err != nil {
		return highwater.Mark{}, err
	}
	mark := highwater.Mark{Identity: here}
	for _, e := range calls {
		mark = highwater.New(here, e.ID, e.CreatedAt)
	}
	var erased struct {
		ErasedSeq int64
		ErasedAt  *time.Time
	}
	if err := tx.Table("installation").Where("id = 1").Take(&erased).Error; err != nil {
		return highwater.Mark{}, err
	}
	if erased.ErasedSeq > mark.Seq && erased.ErasedAt != nil {
		mark = highwater.New(here, erased.ErasedSeq, *erased.ErasedAt)
	}
	newest, err := newestRestore(tx)
	if err == nil && newest != nil && newest.Beyond > mark.Seq {
		mark = markOf(newest, here)
	}
	return mark, err
}

func markOf(r *models.Restore, here string) highwater.Mark {
	return highwater.New(here, r.Beyond, r.FoundAt)
}

// knows reports whether the database has the call of a mark, and whether it is recorded; own
// is the newest mark. Of an older call it is enough that its number was not given to another
// one: erased calls are gone.
func knows(tx *gorm.DB, mark *highwater.Mark, own highwater.Mark) (has, recorded bool, err error) {
	switch {
	case mark == nil || mark.Seq == 0:
		return true, false, nil
	case mark.Seq >= own.Seq:
		same := mark.Seq == own.Seq && mark.At == own.At
		return same, same, nil
	}
	var found struct{ Known, Taken bool }
	err = tx.Raw("SELECT "+knowsMark+" AS known, EXISTS (SELECT 1 FROM ledger WHERE id = @mark) AS taken",
		map[string]any{"mark": mark.Seq, "at": mark.Time()}).Scan(&found).Error
	return found.Known || !found.Taken, found.Known, err
}

// beyond is a number behind every call that was made, whether the database has it or not, and
// behind every restore. own is the newest mark of the database.
func beyond(tx *gorm.DB, mark *highwater.Mark, own highwater.Mark) (int64, error) {
	var top int64
	if err := tx.Raw("SELECT COALESCE(MAX(CASE WHEN id > beyond THEN id ELSE beyond END), 0) FROM restores").Scan(&top).Error; err != nil {
		return 0, err
	}
	if mark != nil {
		top = max(top, mark.Seq)
	}
	return max(top, own.Seq) + 1, nil
}

// Doubt returns the reason for which Compare would store a restore; empty if there is none.
// unmarked reports that the mark is gone, and the database is where it was. It changes
// nothing. The mark has to be read before: the ledger then reaches up to it.
func (s *Restores) Doubt(ctx context.Context, mark *highwater.Mark) (reason models.RestoreReason, unmarked bool, err error) {
	tx := s.orm.WithContext(ctx)
	var known string
	if err := tx.Table("installation").Where("id = 1").Pluck("identity", &known).Error; err != nil {
		return "", false, wrap(err, "read which database this is")
	}
	here, err := s.identity(tx, known)
	if err != nil {
		return "", false, wrap(err, "read which database this is")
	}
	own, err := newestMark(tx, here)
	if err != nil {
		return "", false, wrap(err, "read how far the ledger goes")
	}
	has, _, err := knows(tx, mark, own)
	if err != nil {
		return "", false, wrap(err, "read the call of the high-water mark")
	}
	reason = lacking(mark, known, here, has)
	return reason, reason == "" && mark == nil && known != "", nil
}

// Settle notes that the mark of this identity is written.
func (s *Restores) Settle(ctx context.Context, identity string) error {
	err := s.orm.WithContext(ctx).Exec("UPDATE installation SET identity = ? WHERE id = 1 AND identity <> ?", identity, identity).Error
	return wrap(err, "note which database this is")
}

// lacking returns the reason to believe that the database lacks calls; empty if there is
// none.
func lacking(mark *highwater.Mark, known, here string, has bool) models.RestoreReason {
	switch {
	case mark != nil && !has && (mark.Identity == here || mark.Identity == known):
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
// process ended before it wrote the new mark. The ledger goes on counting beyond the calls
// that the database lacks: restored once more from the same backup, it is behind again.
func (s *Restores) record(tx *gorm.DB, reason models.RestoreReason, evidence string, beyond int64, asOf *time.Time, now time.Time) (*models.Restore, error) {
	newest, err := newestRestore(tx)
	if err != nil {
		return nil, err
	}
	if newest != nil && newest.Evidence == evidence && evidence != "" {
		return newest, nil
	}
	restore := &models.Restore{ID: beyond, FoundAt: now, Reason: reason, Evidence: evidence, Beyond: beyond}
	if err := s.countFrom(tx, beyond); err != nil {
		return nil, err
	}
	if asOf != nil {
		restore.AsOf = *asOf
	} else if restore.AsOf, err = reach(tx, now); err != nil {
		return nil, err
	}
	return restore, tx.Create(restore).Error
}

// countFrom has the ledger give higher ids than that from now on.
func (s *Restores) countFrom(tx *gorm.DB, id int64) error {
	if s.dialect == SQLite {
		if err := tx.Exec("INSERT INTO sqlite_sequence (name, seq) SELECT 'ledger', 0 WHERE NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = 'ledger')").Error; err != nil {
			return err
		}
		return tx.Exec("UPDATE sqlite_sequence SET seq = MAX(seq, ?) WHERE name = 'ledger'", id).Error
	}
	return tx.Exec("SELECT setval(pg_get_serial_sequence('ledger', 'id'), GREATEST(?, nextval(pg_get_serial_sequence('ledger', 'id'))))", id).Error
}

// unknownReach is how long before its discovery a backup without any call is taken to be
// made.
const unknownReach = 30 * 24 * time.Hour

// reach is how far the database surely goes: the time of the newest call in it that was made and
// that raised the mark. Anything else may have been recorded between a restore and its discovery:
// a harmless call, by a process that had compared its database long before, and a call that was
// not made, as the mark could not be raised for it.
func reach(tx *gorm.DB, now time.Time) (time.Time, error) {
	var last []models.LedgerEntry
	if err := tx.Where("sends AND state = ?", models.Done).Order("id DESC").Limit(1).Find(&last).Error; err != nil {
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
			here := found.Mark.Identity
			own, err := newestMark(tx, here)
			if err != nil {
				return err
			}
			number, err := beyond(tx, mark, own)
			if err != nil {
				return err
			}
			found.Restore, err = s.record(tx, models.RestoreOperator, "", number, &asOf, now)
			if err == nil {
				found.Mark = markOf(found.Restore, here)
			}
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

// Knows reports whether the database has the call of a mark.
func (s *Restores) Knows(ctx context.Context, mark highwater.Mark) (bool, error) {
	orm := s.orm.WithContext(ctx)
	own, err := newestMark(orm, mark.Identity)
	if err != nil {
		return false, wrap(err, "read how far the ledger goes")
	}
	has, _, err := knows(orm, &mark, own)
	return has, wrap(err, "read the call of the high-water mark")
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
