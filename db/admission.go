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

// wide are the columns of a post that only its runs need. Lists that may have hundreds of
// posts leave them out.
var wide = []string{"content", "source_url"}

// LaneLoad counts the posts of a lane that are in Asynq.
type LaneLoad struct {
	Lane string
	// Due counts the posts that are due, Total all of them.
	Due, Total int
}

// waitsForCall holds for a post that only waits until the platform takes one more call of its
// account, or any such call. If that is within callWait it counts as due: a post that was admitted
// in its place would have to wait too.
const waitsForCall = "deferred_reason IN ('" + models.DeferredRateLimit + "', '" + models.DeferredDown + "')"

const callWait = 2 * time.Minute

// occupies holds for a post that takes a place of its lane at @now. One that only waits for a call
// takes one if it is due before @soon.
const occupies = "status IN ('scheduled', 'queued', 'publishing') AND (run_at <= @now OR run_at <= @soon AND " + waitsForCall + ")"

// waitsOutside holds for a post outside of Asynq that takes a place of its lane although it is not
// due: it comes back soon, and is to go first then.
const waitsOutside = "status IN ('scheduled', 'queued') AND " + waitsForCall + " AND run_at > @now AND run_at <= @soon"

// laneLoads counts the posts by lane that are in Asynq, or will be soon. Lanes that have none are left
// out.
func (d conn) laneLoads(lanes []string, now time.Time) (map[string]LaneLoad, error) {
	var rows []LaneLoad
	err := d.orm.Raw(`
		SELECT lane, SUM(total) AS total, SUM(due) AS due FROM (
			SELECT lane, COUNT(*) AS total, SUM(CASE WHEN `+occupies+` THEN 1 ELSE 0 END) AS due FROM posts
			WHERE admission = 'admitted' AND status IN ('scheduled', 'queued', 'publishing') AND lane IN @lanes GROUP BY lane
			UNION ALL
			SELECT lane, 0 AS total, COUNT(*) AS due FROM posts
			WHERE admission = 'waiting' AND lane IN @lanes AND `+waitsOutside+` GROUP BY lane) n GROUP BY lane`,
		map[string]any{"lanes": lanes, "now": now, "soon": now.Add(callWait)}).Scan(&rows).Error
	if err != nil {
		return nil, fmt.Errorf("count lanes: %w", err)
	}
	loads := make(map[string]LaneLoad, len(rows))
	for _, row := range rows {
		loads[row.Lane] = row
	}
	return loads, nil
}

// Admit is Turn.Admit, without a turn.
func (s *Admission) Admit(ctx context.Context, posts []models.Post, now time.Time) ([]models.Post, error) {
	return conn{s.orm.WithContext(ctx), s.dialect}.admit(posts, now)
}

func (d conn) admit(posts []models.Post, now time.Time) ([]models.Post, error) {
	if len(posts) == 0 {
		return nil, nil
	}
	var ids []string
	err := d.orm.Raw(`
		UPDATE posts SET admission = 'admitted', enqueued_at = ?, updated_at = ?,
			deferred_reason = CASE WHEN deferred_reason = 'paused' THEN '' ELSE deferred_reason END
		WHERE id IN (SELECT id FROM posts WHERE (id, fence) IN (VALUES `+places(len(posts))+`) AND admission = 'waiting' `+d.skipLocked()+`)
		RETURNING id`, append([]any{now, now}, namesAndFences(posts)...)...).Scan(&ids).Error
	if err != nil {
		return nil, fmt.Errorf("admit %d posts: %w", len(posts), err)
	}
	marked := make(map[string]bool, len(ids))
	for _, id := range ids {
		marked[id] = true
	}
	admitted := posts[:0:0]
	for _, p := range posts {
		if marked[p.ID] {
			admitted = append(admitted, p)
		}
	}
	return admitted, nil
}

// FreeLane lets the next parked posts of a lane that are due wait for their app's turn, as many as
// the lane has free places.
func (s *Admission) FreeLane(ctx context.Context, lane string, places int, now time.Time) error {
	return conn{s.orm.WithContext(ctx), s.dialect}.freeLane(lane, places, now)
}

func (d conn) freeLane(lane string, places int, now time.Time) error {
	err := d.orm.Exec(`
		UPDATE posts SET admission = 'waiting', updated_at = @now WHERE id IN (
			SELECT id FROM posts WHERE admission = 'parked' AND lane = @lane AND run_at <= @now ORDER BY run_at, id
			LIMIT (SELECT CASE WHEN n.taken < @places THEN @places - n.taken ELSE 0 END FROM (SELECT `+taken("@lane")+` AS taken) n) `+d.skipLocked()+`)`,
		map[string]any{"lane": lane, "places": places, "now": now, "soon": now.Add(callWait)}).Error
	return wrap(err, "free the lane %s", lane)
}

// taken counts the places of a lane that are taken: by posts in Asynq, and by those that wait for
// their app's turn.
func taken(lane string) string {
	return `(SELECT COUNT(*) FROM posts p WHERE p.admission = 'admitted' AND p.lane = ` + lane + ` AND ` + occupies + `)
		+ (SELECT COUNT(*) FROM (SELECT 1 FROM posts p WHERE p.admission = 'waiting' AND p.lane = ` + lane + ` AND (p.status IN ('scheduled', 'queued') AND p.run_at <= @now OR ` + waitsOutside + `)
			LIMIT @places) ready)`
}

// AnyWaiting reports whether a waiting post is due before until.
func (s *Admission) AnyWaiting(ctx context.Context, until time.Time) (bool, error) {
	var first []models.Post
	// The first one is read off the index whatever Postgres expects of until. EXISTS would not be.
	err := s.orm.WithContext(ctx).Select("run_at").Where("admission = 'waiting' AND run_at IS NOT NULL").Order("run_at").Limit(1).Find(&first).Error
	return len(first) > 0 && !first[0].RunAt.After(until), wrap(err, "look for waiting posts")
}

// FreeLanes lists those of some lanes with parked posts that have a free place for one that is due. It looks at limit
// lanes from the one behind after on, and returns the last one; it is empty at the end of them.
// Each costs a few index entries, however many posts are parked.
func (s *Admission) FreeLanes(ctx context.Context, after string, limit, places int, now time.Time) (free []string, last string, err error) {
	var lanes []struct {
		Lane  string
		Taken int
		// Due is when the first parked post is.
		Due *time.Time
	}
	err = s.orm.WithContext(ctx).Raw(`
		WITH RECURSIVE hop (lane, n) AS (
			SELECT MIN(lane), 1 FROM posts WHERE admission = 'parked' AND lane > @after
			UNION ALL
			SELECT (SELECT MIN(lane) FROM posts WHERE admission = 'parked' AND lane > hop.lane), hop.n + 1 FROM hop WHERE hop.lane IS NOT NULL AND hop.n < @limit
		) SELECT hop.lane, `+taken("hop.lane")+` AS taken,
			(SELECT run_at FROM posts WHERE admission = 'parked' AND lane = hop.lane ORDER BY run_at LIMIT 1) AS due
		FROM hop WHERE hop.lane IS NOT NULL ORDER BY hop.n`,
		map[string]any{"after": after, "limit": limit, "places": places, "now": now, "soon": now.Add(callWait)}).Scan(&lanes).Error
	if err != nil {
		return nil, "", fmt.Errorf("list lanes with parked posts: %w", err)
	}
	for _, l := range lanes {
		if l.Taken < places && l.Due != nil && !l.Due.After(now) {
			free = append(free, l.Lane)
		}
	}
	if len(lanes) == limit {
		last = lanes[limit-1].Lane
	}
	return free, last, nil
}

// queueBatch is how many posts QueueDue moves at once.
const queueBatch = 5000

// QueueDue moves scheduled posts that are due, and that no worker has claimed, to queued, a
// batch of them.
func (s *Admission) QueueDue(ctx context.Context, now time.Time) error {
	m := move{from: []models.Status{models.Scheduled}, to: models.Queued, lease: leaseFree}
	if err := m.check(); err != nil {
		return fmt.Errorf("queue due posts, %w", err)
	}
	err := s.orm.WithContext(ctx).Exec(fmt.Sprintf(`
		UPDATE posts SET %s, updated_at = @now WHERE id IN (
			SELECT id FROM posts WHERE %s AND run_at <= @now ORDER BY run_at LIMIT %d %s)`, m.set(), m.where(), queueBatch, s.skipLocked()),
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
