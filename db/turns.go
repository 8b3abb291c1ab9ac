package db

import (
	"context"
	"fmt"
	"strings"
	"time"

	"gorm.io/gorm"

	"socialqueue/models"
)

// AppLoad is what an app has in Asynq of the posts that begin with a step.
type AppLoad struct {
	AppID int64
	// Weight is how many turns the app has where others have one.
	Weight int
	// Due counts the posts that are due, Total all of them.
	Due, Total int
}

// Turn is one decision about whose posts go to the workers next. Only one process decides at a
// time.
type Turn struct {
	conn // within the transaction
	now  time.Time
}

// InTurn runs fn unless another process is deciding; then it does nothing and ran is false. What
// fn changes is stored when it returns nil.
func (s *Admission) InTurn(ctx context.Context, now time.Time, fn func(*Turn) error) (ran bool, err error) {
	err = s.orm.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		ran = true
		if s.dialect == Postgres { // SQLite has one writer
			// The lock ends with the transaction, so it also works behind a pooler. If the machine
			// loses its power here, the server ends the transaction soon: nobody else can decide
			// meanwhile.
			err := tx.Raw("SELECT pg_try_advisory_xact_lock(hashtextextended('turn', 0)) FROM set_config('idle_in_transaction_session_timeout', '10s', TRUE)").Scan(&ran).Error
			if err != nil || !ran {
				return wrap(err, "lock the turns of apps")
			}
		}
		return fn(&Turn{conn{tx, s.dialect}, now})
	})
	return ran && err == nil, err
}

// Loads counts the posts in Asynq whose sending has not come to an end, by app. Apps that have
// none are left out.
func (t *Turn) Loads(step models.Step) ([]AppLoad, error) {
	var loads []AppLoad
	err := t.orm.Raw(`
		SELECT n.app_id, n.due, n.total, a.weight FROM (
			SELECT app_id, COUNT(*) AS total, SUM(CASE WHEN run_at <= ? THEN 1 ELSE 0 END) AS due
			FROM posts WHERE admission = 'admitted' AND status IN ('scheduled', 'queued', 'publishing') AND step = ? GROUP BY app_id) n
		JOIN apps a ON a.id = n.app_id`, t.now, step).Scan(&loads).Error
	return loads, wrap(err, "count the posts of apps in Asynq")
}

// Waiting lists apps with waiting posts that are due before until, from the app behind after on. It
// reads a few index entries per app that has any waiting posts, however many. Due and Total are not
// set.
func (t *Turn) Waiting(step models.Step, until time.Time, after int64, limit int) ([]AppLoad, error) {
	var apps []AppLoad
	err := t.orm.Raw(`
		WITH RECURSIVE hop (app_id) AS (
			SELECT MIN(app_id) FROM posts WHERE `+waitsForTurn+` AND step = @step AND app_id > @after
			UNION ALL
			SELECT (SELECT MIN(app_id) FROM posts WHERE `+waitsForTurn+` AND step = @step AND app_id > hop.app_id) FROM hop WHERE hop.app_id IS NOT NULL
		) SELECT first.app_id, a.weight FROM (
			SELECT app_id FROM hop WHERE app_id IS NOT NULL
				AND EXISTS (SELECT 1 FROM posts p WHERE p.admission = 'waiting' AND p.status IN ('scheduled', 'queued') AND p.step = @step AND p.app_id = hop.app_id AND p.run_at <= @until)
			LIMIT @limit) first JOIN apps a ON a.id = first.app_id
		ORDER BY first.app_id`, map[string]any{"step": step, "until": until, "after": after, "limit": limit}).Scan(&apps).Error
	return apps, wrap(err, "list the apps whose posts wait")
}

// waitsForTurn is the condition of the index that turns are read from.
const waitsForTurn = "admission = 'waiting' AND status IN ('scheduled', 'queued')"

// turnColumns are what a task and a log entry need of a post.
const turnColumns = "id, app_id, user_id, platform, oauth_account_id, instagram_account_id, kind, publish_at, correlation_id, trace_parent, lane, status, step, run_at, fence, created_at"

// unionTerms is how many queries are sent as one. SQLite takes 500.
const unionTerms = 100

// Next lists the waiting posts of apps that are due before until, the first of each app, the
// soonest first.
func (t *Turn) Next(step models.Step, apps []int64, until time.Time, each int) ([]models.Post, error) {
	var all []models.Post
	for len(apps) > 0 {
		some := apps[:min(len(apps), unionTerms)]
		apps = apps[len(some):]
		terms, args := make([]string, len(some)), make([]any, 0, 4*len(some))
		for i, id := range some {
			terms[i] = `SELECT * FROM (SELECT ` + turnColumns + ` FROM posts
				WHERE ` + waitsForTurn + ` AND step = ? AND app_id = ? AND run_at <= ? ORDER BY run_at, id LIMIT ?) one`
			args = append(args, step, id, until, each)
		}
		var posts []models.Post
		if err := t.orm.Raw(strings.Join(terms, " UNION ALL "), args...).Scan(&posts).Error; err != nil {
			return nil, fmt.Errorf("list the next posts of %d apps: %w", len(some), err)
		}
		all = append(all, posts...)
	}
	return all, nil
}

// Polls lists waiting posts that the platform may have and that are due before until, the soonest
// first. They wait for no turn.
func (t *Turn) Polls(until time.Time, limit int) ([]models.Post, error) {
	var posts []models.Post
	err := t.orm.Model(&models.Post{}).Select(turnColumns).
		Where("admission = 'waiting' AND status IN ('publishing', 'processing', 'uncertain', 'published') AND run_at <= ?", until).Order("run_at").Limit(limit).Find(&posts).Error
	return posts, wrap(err, "list the posts to poll")
}

// Lanes counts the posts in Asynq by lane. Lanes that have none are left out.
func (t *Turn) Lanes(lanes []string) (map[string]LaneLoad, error) { return t.laneLoads(lanes, t.now) }

// Admit marks waiting posts as admitted to Asynq, unless another process changes them. It returns
// the posts that it marked; the caller enqueues a task for each after the turn.
func (t *Turn) Admit(posts []models.Post) ([]models.Post, error) { return t.admit(posts, t.now) }

// ParkLanes parks the waiting posts of lanes that are due: the lanes are full. It leaves out what goes
// beyond limit.
func (t *Turn) ParkLanes(lanes []string, limit int) error {
	if len(lanes) == 0 {
		return nil
	}
	err := t.orm.Exec(`
		UPDATE posts SET admission = 'parked', updated_at = @now WHERE id IN (
			SELECT id FROM posts WHERE admission = 'waiting' AND status IN ('scheduled', 'queued') AND lane IN @lanes AND run_at <= @now LIMIT @limit `+t.skipLocked()+`)`,
		map[string]any{"lanes": lanes, "now": t.now, "limit": limit}).Error
	return wrap(err, "park the posts of %d lanes", len(lanes))
}

// Park marks waiting posts as waiting for their lane, which is full.
func (t *Turn) Park(posts []models.Post) error {
	_, err := t.park(posts, "")
	return wrap(err, "park %d posts", len(posts))
}

// Pause marks waiting posts as stopped by an operator's pause, and stores the events for their
// apps.
func (t *Turn) Pause(posts []models.Post) error {
	paused, err := t.park(posts, models.DeferredPaused)
	if err == nil && len(paused) > 0 {
		paused, err = recordDeferral(t.orm, paused, models.DeferredPaused)
	}
	if err != nil {
		return fmt.Errorf("mark %d posts as paused: %w", len(posts), err)
	}
	return emitForPosts(t.orm, paused, models.EventPostDeferred, t.now)
}

// park parks those of some posts that still wait and that nobody else is changing.
func (t *Turn) park(posts []models.Post, reason string) (parked []string, err error) {
	if len(posts) == 0 {
		return nil, nil
	}
	err = t.orm.Raw(`
		UPDATE posts SET admission = 'parked', updated_at = ?,
			deferred_until = CASE WHEN ? <> '' THEN NULL ELSE deferred_until END, deferred_reason = CASE WHEN ? <> '' THEN ? ELSE deferred_reason END
		WHERE id IN (SELECT id FROM posts WHERE (id, fence) IN (VALUES `+places(len(posts))+`) AND admission = 'waiting' `+t.skipLocked()+`)
		RETURNING id`, append([]any{t.now, reason, reason, reason}, namesAndFences(posts)...)...).Scan(&parked).Error
	return parked, err
}

// places are n pairs of parameters. The types of the first are those of all.
func places(n int) string {
	return "(CAST(? AS VARCHAR(36)), CAST(? AS BIGINT))" + strings.Repeat(", (?, ?)", n-1)
}

func namesAndFences(posts []models.Post) []any {
	args := make([]any, 0, 2*len(posts))
	for _, p := range posts {
		args = append(args, p.ID, p.Fence)
	}
	return args
}
