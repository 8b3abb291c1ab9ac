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

// AllPosts lists posts of whichever app, newest first; f.AppID narrows if it is not 0.
func (o *Operators) AllPosts(ctx context.Context, f PostFilter) ([]models.Post, error) {
	q := o.orm.WithContext(ctx)
	if f.AppID != 0 {
		q = q.Where("app_id = ?", f.AppID)
	}
	return f.list(q)
}

// AllAccounts lists accounts of whichever app, as Accounts.List does.
func (o *Operators) AllAccounts(ctx context.Context, f AccountFilter) ([]Account, error) {
	return o.accounts(ctx, f)
}

// AccountByID finds an account whoever owns it.
func (o *Operators) AccountByID(ctx context.Context, p models.Platform, id int64) (*Account, error) {
	return o.account(ctx, p, AccountFilter{ID: id, Limit: 1})
}

// FindPosts lists the posts that some id belongs to: ours, that of their group, or the
// one that TikTok gave. There are few.
func (o *Operators) FindPosts(ctx context.Context, id string, limit int) ([]models.Post, error) {
	var posts []models.Post
	err := o.orm.WithContext(ctx).Where("id = ? OR group_id = ? OR publish_id = ?", id, id, id).Order("id DESC").Limit(limit).Find(&posts).Error
	if err != nil {
		return nil, fmt.Errorf("find posts by id: %w", err)
	}
	return posts, nil
}

// EndCount counts posts that ended in one way. ErrorCode is that of failed ones.
type EndCount struct {
	Platform  models.Platform
	Status    models.Status
	ErrorCode string
	N         int64
}

// Ends counts what became of the newest posts, at most limit, of those that were
// accepted since a time. more tells that there were more.
func (o *Operators) Ends(ctx context.Context, since time.Time, limit int) (counts []EndCount, more bool, err error) {
	newest := o.orm.Model(&models.Post{}).Select("platform, status, error_code").Where("id >= ?", models.FirstIDAt(since)).Order("id DESC").Limit(limit + 1)
	err = o.orm.WithContext(ctx).Table("(?) AS newest", newest).
		Select("platform, status, CASE WHEN status = 'failed' THEN error_code ELSE '' END AS error_code, COUNT(*) AS n").
		Group("1, 2, 3").Order("4 DESC, 1, 2, 3").Scan(&counts).Error
	if err != nil {
		return nil, false, fmt.Errorf("count what became of posts: %w", err)
	}
	var all int64
	for _, c := range counts {
		all += c.N
	}
	return counts, all > int64(limit), nil
}

// LaneState is how an account's posts stand.
type LaneState struct {
	// Posts are those that have not ended, by status.
	Posts []PostCount
	// PublishedToday counts those that went live in the 24 hours before, of the newest
	// posts.
	PublishedToday int64
	// PutOff counts those that wait for a limit of the platform. Longest is the one of
	// them that waits longest; nil if there is none.
	PutOff  int64
	Longest *models.Post
}

// laneLook bounds how many of a lane's newest posts are looked at.
const laneLook = 2000

// LaneState tells how an account's posts stand.
func (o *Operators) LaneState(ctx context.Context, lane string, now time.Time) (LaneState, error) {
	var s LaneState
	newest := func() *gorm.DB {
		return o.orm.WithContext(ctx).Table("(?) AS newest", o.orm.Model(&models.Post{}).Where("lane = ?", lane).Order("id DESC").Limit(laneLook))
	}
	err := newest().Select("platform, status, COUNT(*) AS n").Where("admission <> ''").Group("platform, status").Order("status").Scan(&s.Posts).Error
	if err == nil {
		err = newest().Where("published_at > ?", now.Add(-24*time.Hour)).Count(&s.PublishedToday).Error
	}
	limits := []string{models.DeferredRateLimit, models.DeferredDailyCap}
	if err == nil {
		err = newest().Where("deferred_reason IN ? AND admission <> ''", limits).Count(&s.PutOff).Error
	}
	if err == nil && s.PutOff > 0 {
		var last models.Post
		err = o.orm.WithContext(ctx).Where("lane = ? AND deferred_reason IN ? AND admission <> ''", lane, limits).Order("deferred_until DESC").Limit(1).Find(&last).Error
		s.Longest = &last
	}
	if err != nil {
		return s, fmt.Errorf("look at the posts of %s: %w", lane, err)
	}
	return s, nil
}
