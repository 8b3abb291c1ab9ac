package db

import (
	"context"
	"fmt"
	"time"

	"gorm.io/gorm"

	"socialqueue/models"
)

// Operators reads the posts and accounts of all apps, for operators.
type Operators struct{ conn }

// AllPosts lists posts of all apps, newest first, or of the app f.AppID if it is not 0.
func (o *Operators) AllPosts(ctx context.Context, f PostFilter) ([]models.Post, error) {
	q := o.orm.WithContext(ctx)
	if f.AppID != 0 {
		q = q.Where("app_id = ?", f.AppID)
	}
	return f.list(q)
}

// AllAccounts lists accounts of all apps, in the order of Accounts.List.
func (o *Operators) AllAccounts(ctx context.Context, f AccountFilter) ([]Account, error) {
	return o.accounts(ctx, f)
}

// AccountByID reads an account of any app.
func (o *Operators) AccountByID(ctx context.Context, p models.Platform, id int64) (*Account, error) {
	return o.account(ctx, p, AccountFilter{ID: id, Limit: 1})
}

// FindPosts lists the posts that an id belongs to: a post id, a group id or TikTok's
// publish id.
func (o *Operators) FindPosts(ctx context.Context, id string, limit int) ([]models.Post, error) {
	var posts []models.Post
	err := o.orm.WithContext(ctx).Where("id = ? OR group_id = ? OR publish_id = ?", id, id, id).Order("id DESC").Limit(limit).Find(&posts).Error
	if err != nil {
		return nil, fmt.Errorf("find posts by id: %w", err)
	}
	return posts, nil
}

// OutcomeCount counts posts by status and, for failed posts, by error code.
type OutcomeCount struct {
	Platform  models.Platform
	Status    models.Status
	ErrorCode string
	N         int64
}

// Outcomes counts the posts that were accepted since a time, but only the newest limit of
// them. more reports whether there are more.
func (o *Operators) Outcomes(ctx context.Context, since time.Time, limit int) (counts []OutcomeCount, more bool, err error) {
	newest := o.orm.Model(&models.Post{}).Select("platform, status, error_code").Where("id >= ?", models.FirstIDAt(since)).Order("id DESC").Limit(limit + 1)
	err = o.orm.WithContext(ctx).Table("(?) AS newest", newest).
		Select("platform, status, CASE WHEN status = 'failed' THEN error_code ELSE '' END AS error_code, COUNT(*) AS n").
		Group("1, 2, 3").Order("4 DESC, 1, 2, 3").Scan(&counts).Error
	if err != nil {
		return nil, false, fmt.Errorf("count posts by status: %w", err)
	}
	var all int64
	for _, c := range counts {
		all += c.N
	}
	return counts, all > int64(limit), nil
}

// LaneState summarizes an account's posts. The counts cover the newest laneSample posts.
type LaneState struct {
	// Posts counts the posts that have not ended, by status.
	Posts []PostCount
	// PublishedToday counts the posts that went live in the last 24 hours.
	PublishedToday int64
	// Deferred counts the posts that wait for a limit of the platform. LongestDeferred is
	// the post that is deferred longest; nil if there is none.
	Deferred        int64
	LongestDeferred *models.Post
}

// laneSample is how many of a lane's newest posts LaneState counts.
const laneSample = 2000

// LaneState summarizes the posts of a lane.
func (o *Operators) LaneState(ctx context.Context, lane string, now time.Time) (LaneState, error) {
	var s LaneState
	newest := func() *gorm.DB {
		return o.orm.WithContext(ctx).Table("(?) AS newest", o.orm.Model(&models.Post{}).Where("lane = ?", lane).Order("id DESC").Limit(laneSample))
	}
	err := newest().Select("platform, status, COUNT(*) AS n").Where("admission <> ''").Group("platform, status").Order("status").Scan(&s.Posts).Error
	if err == nil {
		err = newest().Where("published_at > ?", now.Add(-24*time.Hour)).Count(&s.PublishedToday).Error
	}
	limits := []string{models.DeferredRateLimit, models.DeferredDailyCap, models.DeferredPendingCap, models.DeferredRestricted}
	if err == nil {
		err = newest().Where("deferred_reason IN ? AND admission <> ''", limits).Count(&s.Deferred).Error
	}
	if err == nil && s.Deferred > 0 {
		var last models.Post
		err = o.orm.WithContext(ctx).Where("lane = ? AND deferred_reason IN ? AND admission <> ''", lane, limits).Order("deferred_until DESC").Limit(1).Find(&last).Error
		s.LongestDeferred = &last
	}
	if err != nil {
		return s, fmt.Errorf("count the posts of %s: %w", lane, err)
	}
	return s, nil
}
