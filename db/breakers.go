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

// Breakers stores which calls to platforms fail, for all processes.
type Breakers struct{ conn }

// Failure is a call that a platform did not take.
type Failure struct {
	// Breaker names the call and says how it failed, and when.
	Breaker models.Breaker
	PostID  string
	// Opens is how many posts have to fail, with none that succeeds between them, until the
	// breaker opens, and Forget the time after which a failure no longer counts.
	Opens  int
	Forget time.Duration
	// Probe is when the first call is tried after the breaker opened.
	Probe time.Time
}

// List reads all breakers: those that are open, and those whose call failed lately.
func (s *Breakers) List(ctx context.Context) ([]models.Breaker, error) {
	var all []models.Breaker
	err := s.orm.WithContext(ctx).Order("name").Find(&all).Error
	return all, wrap(err, "list breakers")
}

// Fail counts a failure, and returns the breaker as it is now. opened reports that this failure
// opened it.
func (s *Breakers) Fail(ctx context.Context, f Failure) (b models.Breaker, opened bool, err error) {
	err = s.orm.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		first := f.Breaker
		first.Posts = []string{}
		// An update that changes nothing locks the row, which might be deleted before it is read.
		same := clause.OnConflict{Columns: []clause.Column{{Name: "name"}}, DoUpdates: clause.AssignmentColumns([]string{"name"})}
		if err := tx.Clauses(same).Create(&first).Error; err != nil {
			return err
		}
		if err := tx.Clauses(clause.Locking{Strength: "UPDATE"}).Where("name = ?", f.Breaker.Name).Take(&b).Error; err != nil {
			return err
		}
		if !b.Open() && f.Breaker.FailedAt.Sub(b.FailedAt) > f.Forget {
			b.Posts = nil
		}
		b.Message, b.FailedAt = f.Breaker.Message, f.Breaker.FailedAt
		if !b.Open() && !slices.Contains(b.Posts, f.PostID) {
			b.Posts = append(b.Posts, f.PostID)
		}
		if opened = !b.Open() && len(b.Posts) >= f.Opens; opened {
			b.OpenedAt, b.ProbeAt, b.Probes = &f.Breaker.FailedAt, &f.Probe, 0
		}
		return tx.Save(&b).Error
	})
	if err != nil {
		return b, false, fmt.Errorf("count a failure of %s: %w", f.Breaker.Name, err)
	}
	return b, opened, nil
}

// Probe lets one caller try a call whose breaker is open: it reports whether that is this one. The
// next may try at next. The account that tried last leaves the first wait to others.
func (s *Breakers) Probe(ctx context.Context, name, lane string, now, next time.Time, wait time.Duration) (bool, error) {
	res := s.orm.WithContext(ctx).Exec(`
		UPDATE breakers SET probe_at = @next, probes = probes + 1, probe_lane = @lane
		WHERE name = @name AND opened_at IS NOT NULL AND (probe_at <= @now AND probe_lane <> @lane OR probe_at <= @late)`,
		map[string]any{"name": name, "lane": lane, "now": now, "next": next, "late": now.Add(-wait)})
	return changedAny(res, "probe "+name)
}

// Forget deletes breakers that nobody has met since before.
func (s *Breakers) Forget(ctx context.Context, before time.Time) error {
	err := s.orm.WithContext(ctx).Exec("DELETE FROM breakers WHERE failed_at < @before AND (probe_at IS NULL OR probe_at < @before)", map[string]any{"before": before}).Error
	return wrap(err, "forget old breakers")
}

// Close forgets the failures of a call that succeeded. It reports whether its breaker was open.
func (s *Breakers) Close(ctx context.Context, name string) (wasOpen bool, err error) {
	var open []bool
	err = s.orm.WithContext(ctx).Raw("DELETE FROM breakers WHERE name = ? RETURNING opened_at IS NOT NULL AS open", name).Scan(&open).Error
	return len(open) > 0 && open[0], wrap(err, "close the breaker of %s", name)
}
