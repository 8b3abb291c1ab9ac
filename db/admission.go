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

// inLane are the states in which a post occupies its lane (Status.InLane).
var inLane = []models.Status{models.Scheduled, models.Queued, models.Publishing}

// wide are the columns of a post that only its runs need. Lists that may have hundreds of
// posts leave them out.
var wide = []string{"content", "source_url"}

// Waiting lists posts that wait for their time and are due before until, the soonest first.
func (s *Admission) Waiting(ctx context.Context, until time.Time, limit int) ([]models.Post, error) {
	var posts []models.Post
	err := s.orm.WithContext(ctx).Omit(wide...).
		Where("admission = 'waiting' AND run_at <= ?", until).Order("run_at, id").Limit(limit).Find(&posts).Error
	if err != nil {
		return nil, fmt.Errorf("list waiting posts: %w", err)
	}
	return posts, nil
}

// LaneLoad counts the posts of a lane that are in Asynq.
type LaneLoad struct {
	Lane string
	// Due counts the posts that are due, Total all of them.
	Due, Total int
}

// waitsForCall holds for a post that only waits until the platform takes one more call of its
// account. If that is within callWait it counts as due: a post that was admitted in its place
// would have to wait too.
const waitsForCall = "deferred_reason = '" + models.DeferredRateLimit + "'"

const callWait = 2 * time.Minute

// LaneLoads counts the posts in Asynq by lane. Lanes that have none are left out.
func (s *Admission) LaneLoads(ctx context.Context, lanes []string, now time.Time) (map[string]LaneLoad, error) {
	var rows []LaneLoad
	err := s.orm.WithContext(ctx).Model(&models.Post{}).
		Select("lane, COUNT(*) AS total, SUM(CASE WHEN run_at <= ? OR run_at <= ? AND "+waitsForCall+" THEN 1 ELSE 0 END) AS due", now, now.Add(callWait)).
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

// Admit marks posts as admitted to Asynq, unless another process changed them first. It
// returns the posts it marked; the caller must enqueue a task for each.
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

// Park marks waiting posts as waiting for their lane, which is full.
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

// MarkPaused marks waiting posts as stopped by an operator's pause, and stores the events
// for their apps.
func (s *Admission) MarkPaused(ctx context.Context, ids []string, now time.Time) error {
	if len(ids) == 0 {
		return nil
	}
	return s.orm.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		var paused []string
		err := tx.Raw(`
			UPDATE posts SET admission = 'parked', deferred_reason = ?, deferred_until = NULL, updated_at = ? WHERE admission = 'waiting' AND id IN ?
			RETURNING id`, models.DeferredPaused, now, ids).Scan(&paused).Error
		if err == nil {
			paused, err = recordDeferral(tx, paused, models.DeferredPaused)
		}
		if err != nil {
			return wrap(err, "mark posts as paused")
		}
		return emitForPosts(tx, paused, models.EventPostDeferred, now)
	})
}

// queueBatch is how many posts QueueDue moves at once.
const queueBatch = 5000

// QueueDue moves scheduled posts that are due, and that no worker has claimed, to queued, a
// batch of them.
func (s *Admission) QueueDue(ctx context.Context, now time.Time) error {
	skipLocked := "FOR UPDATE SKIP LOCKED" // another process is changing the row; the next tick handles it
	if s.dialect == SQLite {
		skipLocked = ""
	}
	m := move{from: []models.Status{models.Scheduled}, to: models.Queued, lease: leaseFree}
	if err := m.check(); err != nil {
		return fmt.Errorf("queue due posts, %w", err)
	}
	err := s.orm.WithContext(ctx).Exec(fmt.Sprintf(`
		UPDATE posts SET %s, updated_at = @now WHERE id IN (
			SELECT id FROM posts WHERE %s AND run_at <= @now ORDER BY run_at LIMIT %d %s)`, m.set(), m.where(), queueBatch, skipLocked),
		map[string]any{"now": now}).Error
	return wrap(err, "queue due posts")
}

// TooLate lists waiting posts that may no longer start. It leaves out posts of a restored
// database that were not searched for yet: they may be live.
func (s *Admission) TooLate(ctx context.Context, restored *models.Restore, now time.Time, limit int) ([]models.Post, error) {
	// source_url is not left out: it is written back with the end of the post.
	q := s.orm.WithContext(ctx).Omit("content").
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

// Parked lists the posts that wait for their lane or for the end of a pause, the first
// first.
func (s *Admission) Parked(ctx context.Context, lane string, limit int) ([]models.Post, error) {
	var posts []models.Post
	err := s.orm.WithContext(ctx).Omit(wide...).
		Where("admission = 'parked' AND lane = ?", lane).Order("run_at, id").Limit(limit).Find(&posts).Error
	if err != nil {
		return nil, fmt.Errorf("list parked posts of %s: %w", lane, err)
	}
	return posts, nil
}

// ParkedLanes lists the lanes that have parked posts. It reads one index entry per lane
// (a loose index scan), so a long backlog in one lane costs nothing extra.
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

// Unattended lists admitted posts that no worker processes although they are due: their
// lease expired, or they have been due for checkAfter and their task was not seen in Asynq
// in that time.
func (s *Admission) Unattended(ctx context.Context, now time.Time, checkAfter time.Duration, limit int) ([]models.Post, error) {
	var posts []models.Post
	err := s.unattended(ctx, now, checkAfter).Omit(wide...).Order("enqueued_at NULLS FIRST").Limit(limit).Find(&posts).Error
	if err != nil {
		return nil, fmt.Errorf("list unattended posts: %w", err)
	}
	return posts, nil
}

func (s *Admission) unattended(ctx context.Context, now time.Time, checkAfter time.Duration) *gorm.DB {
	seen := now.Add(-checkAfter)
	return s.orm.WithContext(ctx).Model(&models.Post{}).
		Where("admission = 'admitted' AND fence >= 0 AND run_at <= ?", now). // the condition of the partial index
		Where(`(lease_until < ? AND (enqueued_at IS NULL OR enqueued_at <= lease_until OR enqueued_at < ?))
			OR (lease_until IS NULL AND (enqueued_at IS NULL OR (enqueued_at < ? AND run_at < ?)))`, now, seen, seen, seen)
}

// Admitted lists the posts that should have a task in Asynq, page by page in the order of
// their ids. It serves to rebuild Redis after it lost its data.
func (s *Admission) Admitted(ctx context.Context, after string, limit int) ([]models.Post, error) {
	var posts []models.Post
	err := s.orm.WithContext(ctx).Omit(wide...).
		Where("admission = 'admitted' AND id > ?", after).Order("id").Limit(limit).Find(&posts).Error
	if err != nil {
		return nil, fmt.Errorf("list admitted posts: %w", err)
	}
	return posts, nil
}

// SeenInAsynq records that the task of a post's fence is in Asynq.
func (s *Admission) SeenInAsynq(ctx context.Context, id string, fence int64, now time.Time) error {
	err := s.orm.WithContext(ctx).Model(&models.Post{}).
		Where("id = ? AND fence = ?", id, fence).UpdateColumn("enqueued_at", now).Error
	if err != nil {
		return fmt.Errorf("record the task of post %s: %w", id, err)
	}
	return nil
}

// NotInAsynq records that enqueuing the tasks of posts failed, so that the next sweep
// retries at once.
func (s *Admission) NotInAsynq(ctx context.Context, posts []models.Post) error {
	fences := map[int64][]string{}
	for _, p := range posts {
		fences[p.Fence] = append(fences[p.Fence], p.ID)
	}
	for fence, ids := range fences { // few statements: most posts have had no run yet
		err := s.orm.WithContext(ctx).Model(&models.Post{}).
			Where("id IN ? AND fence = ?", ids, fence).UpdateColumn("enqueued_at", nil).Error
		if err != nil {
			return fmt.Errorf("record the missing tasks of %d posts: %w", len(ids), err)
		}
	}
	return nil
}

// Refence gives a post that no worker runs a new fence, so that a task that is stuck in
// Asynq can be replaced. It returns ErrStale if a worker claimed the post meanwhile.
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

// WakeLane makes the posts of a lane due that were deferred because of a token.
func (s *Admission) WakeLane(ctx context.Context, lane string, now time.Time) error {
	return s.changeAll(ctx, wakeChange(now, lane))
}
