package db

import (
	"context"
	"fmt"
	"time"

	"gorm.io/gorm"

	"socialqueue/models"
)

// Admission decides which posts have a task in Asynq.
type Admission struct{ conn }

// inLane are the states whose posts take a turn of their account (Status.InLane).
var inLane = []models.Status{models.Scheduled, models.Queued, models.Publishing}

// Waiting lists posts that wait for their time and are due until then, soonest
// first.
func (s *Admission) Waiting(ctx context.Context, until time.Time, limit int) ([]models.Post, error) {
	var posts []models.Post
	err := s.orm.WithContext(ctx).
		Where("admission = 'waiting' AND run_at <= ?", until).Order("run_at, id").Limit(limit).Find(&posts).Error
	if err != nil {
		return nil, fmt.Errorf("list waiting posts: %w", err)
	}
	return posts, nil
}

// LaneLoad says how many posts of a lane are in Asynq.
type LaneLoad struct {
	Lane string
	// Due counts those whose time has come, Total all of them.
	Due, Total int
}

// LaneLoads counts the posts of lanes that are in Asynq. Lanes without any are
// left out.
func (s *Admission) LaneLoads(ctx context.Context, lanes []string, now time.Time) (map[string]LaneLoad, error) {
	var rows []LaneLoad
	err := s.orm.WithContext(ctx).Model(&models.Post{}).
		Select("lane, COUNT(*) AS total, SUM(CASE WHEN run_at <= ? THEN 1 ELSE 0 END) AS due", now).
		Where("admission = 'admitted' AND status IN ? AND lane IN ?", inLane, lanes).
		Group("lane").Scan(&rows).Error
	if err != nil {
		return nil, fmt.Errorf("count lanes: %w", err)
	}
	loads := make(map[string]LaneLoad, len(rows))
	for _, row := range rows {
		loads[row.Lane] = row
	}
	return loads, nil
}

// Admit moves posts into Asynq's care, unless somebody else moved them first.
// It returns those it moved; each now needs its task.
func (s *Admission) Admit(ctx context.Context, posts []models.Post, now time.Time) ([]models.Post, error) {
	admitted := posts[:0:0]
	for _, p := range posts {
		res := s.orm.WithContext(ctx).Exec(`
			UPDATE posts SET admission = 'admitted', enqueued_at = ?, updated_at = ?,
				deferred_reason = CASE WHEN deferred_reason = 'paused' THEN '' ELSE deferred_reason END
			WHERE id = ? AND fence = ? AND admission IN ('waiting', 'parked')`, now, now, p.ID, p.Fence)
		ok, err := changedAny(res, "admit post "+p.ID)
		if err != nil {
			return admitted, err
		}
		if ok {
			admitted = append(admitted, p)
		}
	}
	return admitted, nil
}

// Park sets posts aside until their lane has a place.
func (s *Admission) Park(ctx context.Context, ids []string, now time.Time) error {
	if len(ids) == 0 {
		return nil
	}
	err := s.orm.WithContext(ctx).Exec(`
		UPDATE posts SET admission = 'parked', updated_at = ? WHERE admission = 'waiting' AND id IN ?`, now, ids).Error
	if err != nil {
		return fmt.Errorf("park posts: %w", err)
	}
	return nil
}

// Hold sets posts aside that an operator's pause keeps back, and tells apps that they
// wait.
func (s *Admission) Hold(ctx context.Context, ids []string, now time.Time) error {
	if len(ids) == 0 {
		return nil
	}
	return s.orm.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		var held []string
		err := tx.Raw(`
			UPDATE posts SET admission = 'parked', deferred_reason = ?, deferred_until = NULL, updated_at = ? WHERE admission = 'waiting' AND id IN ?
			RETURNING id`, models.DeferredPaused, now, ids).Scan(&held).Error
		if err == nil {
			held, err = noteDeferral(tx, held, models.DeferredPaused)
		}
		if err != nil {
			return wrap(err, "hold posts")
		}
		return tellOfPosts(tx, held, models.EventPostDeferred, now)
	})
}

// QueueDue turns scheduled posts whose time has come, and that no worker took
// yet, into queued ones.
func (s *Admission) QueueDue(ctx context.Context, now time.Time) error {
	skipLocked := "FOR UPDATE SKIP LOCKED" // who changes one just now decides; the next tick sees to it
	if s.dialect == SQLite {
		skipLocked = ""
	}
	m := move{from: []models.Status{models.Scheduled}, to: models.Queued, lease: leaseFree}
	if err := m.check(); err != nil {
		return fmt.Errorf("queue due posts, %w", err)
	}
	err := s.orm.WithContext(ctx).Exec(fmt.Sprintf(`
		UPDATE posts SET %s, updated_at = @now WHERE id IN (
			SELECT id FROM posts WHERE %s AND run_at <= @now %s)`, m.set(), m.where(), skipLocked), map[string]any{"now": now}).Error
	return wrap(err, "queue due posts")
}

// TooLate lists posts that wait although it is too late for them to begin.
//
// Posts of a restored database that were not searched for yet are left out: they may be
// live.
func (s *Admission) TooLate(ctx context.Context, restored *models.Restore, now time.Time, limit int) ([]models.Post, error) {
	q := s.orm.WithContext(ctx).
		Where("miss_at IS NOT NULL AND status IN ('scheduled', 'queued') AND miss_at < ? AND lease_until IS NULL AND admission <> 'held'", now)
	if restored != nil {
		q = q.Where("restore_id >= ? OR created_at >= ?", restored.ID, restored.FoundAt)
	}
	var posts []models.Post
	err := q.
		Order("miss_at").Limit(limit).Find(&posts).Error
	if err != nil {
		return nil, fmt.Errorf("list late posts: %w", err)
	}
	return posts, nil
}

// Parked lists the first posts of a lane that wait for their turn.
func (s *Admission) Parked(ctx context.Context, lane string, limit int) ([]models.Post, error) {
	var posts []models.Post
	err := s.orm.WithContext(ctx).
		Where("admission = 'parked' AND lane = ?", lane).Order("run_at, id").Limit(limit).Find(&posts).Error
	if err != nil {
		return nil, fmt.Errorf("list parked posts of %s: %w", lane, err)
	}
	return posts, nil
}

// ParkedLanes lists the lanes in which posts wait for their turn. It hops from
// lane to lane through the index, so a backlog in one costs no more than one.
func (s *Admission) ParkedLanes(ctx context.Context) ([]string, error) {
	var lanes []string
	err := s.orm.WithContext(ctx).Raw(`
		WITH RECURSIVE hop (lane) AS (
			SELECT MIN(lane) FROM posts WHERE admission = 'parked'
			UNION ALL
			SELECT (SELECT MIN(lane) FROM posts WHERE admission = 'parked' AND lane > hop.lane) FROM hop WHERE hop.lane IS NOT NULL
		) SELECT lane FROM hop WHERE lane IS NOT NULL`).Scan(&lanes).Error
	if err != nil {
		return nil, fmt.Errorf("list lanes with parked posts: %w", err)
	}
	return lanes, nil
}

// Unattended lists admitted posts that nobody works on although they should be:
// their lease ran out, or they are due since checkAfter and were not seen in
// Asynq since then.
func (s *Admission) Unattended(ctx context.Context, now time.Time, checkAfter time.Duration, limit int) ([]models.Post, error) {
	var posts []models.Post
	err := s.unattended(ctx, now, checkAfter).Order("enqueued_at NULLS FIRST").Limit(limit).Find(&posts).Error
	if err != nil {
		return nil, fmt.Errorf("list unattended posts: %w", err)
	}
	return posts, nil
}

func (s *Admission) unattended(ctx context.Context, now time.Time, checkAfter time.Duration) *gorm.DB {
	seen := now.Add(-checkAfter)
	return s.orm.WithContext(ctx).Model(&models.Post{}).
		Where("admission = 'admitted' AND fence >= 0 AND run_at <= ?", now). // as the index has it
		Where(`(lease_until < ? AND (enqueued_at IS NULL OR enqueued_at <= lease_until OR enqueued_at < ?))
			OR (lease_until IS NULL AND (enqueued_at IS NULL OR (enqueued_at < ? AND run_at < ?)))`, now, seen, seen, seen)
}

// Admitted lists all posts that should have a task in Asynq, page by page in
// the order of their ids, for when Redis lost them.
func (s *Admission) Admitted(ctx context.Context, after string, limit int) ([]models.Post, error) {
	var posts []models.Post
	err := s.orm.WithContext(ctx).
		Where("admission = 'admitted' AND id > ?", after).Order("id").Limit(limit).Find(&posts).Error
	if err != nil {
		return nil, fmt.Errorf("list admitted posts: %w", err)
	}
	return posts, nil
}

// SeenInAsynq notes that the task of a post's fence is in Asynq.
func (s *Admission) SeenInAsynq(ctx context.Context, id string, fence int64, now time.Time) error {
	err := s.orm.WithContext(ctx).Model(&models.Post{}).
		Where("id = ? AND fence = ?", id, fence).UpdateColumn("enqueued_at", now).Error
	if err != nil {
		return fmt.Errorf("note the task of post %s: %w", id, err)
	}
	return nil
}

// NotInAsynq notes that the tasks of posts' fences did not get into Asynq, so that
// the next sweep tries again at once.
func (s *Admission) NotInAsynq(ctx context.Context, posts []models.Post) error {
	fences := map[int64][]string{}
	for _, p := range posts {
		fences[p.Fence] = append(fences[p.Fence], p.ID)
	}
	for fence, ids := range fences { // there are few: most posts have had no run yet
		err := s.orm.WithContext(ctx).Model(&models.Post{}).
			Where("id IN ? AND fence = ?", ids, fence).UpdateColumn("enqueued_at", nil).Error
		if err != nil {
			return fmt.Errorf("note the missing tasks of %d posts: %w", len(ids), err)
		}
	}
	return nil
}

// Refence gives a post that nobody runs a new fence, so that a task that is
// stuck in Asynq can be replaced. ErrStale: somebody runs it after all.
func (s *Admission) Refence(ctx context.Context, p *models.Post, now time.Time) error {
	res := s.orm.WithContext(ctx).Model(&models.Post{}).
		Where("id = ? AND fence = ? AND (lease_until IS NULL OR lease_until < ?)", p.ID, p.Fence, now).
		UpdateColumns(map[string]any{"fence": p.Fence + 1, "enqueued_at": now})
	if err := changedOne(res, "refence post "+p.ID); err != nil {
		return err
	}
	p.Fence++
	return nil
}

// CountUnattended counts the posts that Unattended lists, and names one of them.
func (s *Admission) CountUnattended(ctx context.Context, now time.Time, checkAfter time.Duration) (n int, example string, err error) {
	row := struct {
		N       int
		Example string
	}{}
	err = s.unattended(ctx, now, checkAfter).Select("COUNT(*) AS n, COALESCE(MIN(id), '') AS example").Scan(&row).Error
	return row.N, row.Example, wrap(err, "count unattended posts")
}

// WakeLane makes the posts of a lane due that were put off for want of a token.
func (s *Admission) WakeLane(ctx context.Context, lane string, now time.Time) error {
	return s.changeRest(ctx, waking(now, lane))
}
