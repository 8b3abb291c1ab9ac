package db

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"gorm.io/gorm"

	"socialqueue/models"
)

// Posts stores the posts of apps and their timelines.
type Posts struct{ conn }

// Destination is what accepting a post needs to know of its account and files.
type Destination struct {
	UserID             int64
	OAuthAccountID     int64
	InstagramAccountID *int64
	Status             models.AccountStatus
	// Media holds those of the files that the app has, by id.
	Media map[string]*models.Media
}

type destinationRow struct {
	UserID         int64
	OAuthAccountID int64 `gorm:"column:oauth_account_id"`
	Status         models.AccountStatus
	File           joinedMedia `gorm:"embedded"`
}

// Destination reads an app's account and some of its files with one query. It
// returns ErrNotFound if the app has no such account.
func (s *Posts) Destination(ctx context.Context, appID int64, p models.Platform, accountID int64, mediaIDs []string) (*Destination, error) {
	query := `SELECT a.user_id, a.id AS oauth_account_id, a.status, ` + joinedMediaColumns + `
		FROM oauth_accounts a JOIN users u ON u.id = a.user_id
		LEFT JOIN media m ON m.id IN @media AND m.app_id = u.app_id
		WHERE a.id = @account AND a.provider = @platform AND u.app_id = @app`
	if p.BehindLogin() {
		query = `SELECT i.user_id, i.oauth_account_id, i.status, ` + joinedMediaColumns + `
		FROM instagram_accounts i JOIN users u ON u.id = i.user_id
		LEFT JOIN media m ON m.id IN @media AND m.app_id = u.app_id
		WHERE i.id = @account AND u.app_id = @app`
	}
	var rows []destinationRow // one for each file
	res := s.orm.WithContext(ctx).Raw(query, map[string]any{
		"app": appID, "platform": p, "account": accountID, "media": mediaIDs,
	}).Scan(&rows)
	if res.Error != nil {
		return nil, fmt.Errorf("read %s account %d: %w", p, accountID, res.Error)
	}
	if len(rows) == 0 {
		return nil, fmt.Errorf("%s account %d: %w", p, accountID, ErrNotFound)
	}
	dest := &Destination{
		UserID: rows[0].UserID, OAuthAccountID: rows[0].OAuthAccountID, Status: rows[0].Status, Media: map[string]*models.Media{},
	}
	if p.BehindLogin() {
		dest.InstagramAccountID = &accountID
	}
	for i := range rows {
		if m := rows[i].File.media(appID); m != nil {
			dest.Media[m.ID] = m
		}
	}
	return dest, nil
}

// insertPost stores a new post. One that is to go into Asynq at once does so
// only if its lane has a place; that is decided in the same statement. The order
// in the count keeps Postgres on the lane's own index of admitted posts, also
// while its statistics know the table as small.
const insertPost = `
	INSERT INTO posts (id, app_id, user_id, platform, oauth_account_id, instagram_account_id, kind, group_id, content, source_url,
		publish_at, max_lateness_ms, miss_at, correlation_id, trace_parent, lane, status, step, media_id, run_at, enqueued_at, created_at, updated_at,
		admission)
	VALUES (@id, @app_id, @user_id, @platform, @oauth_account_id, @instagram_account_id, @kind, @group_id, @content, @source_url,
		@publish_at, @max_lateness_ms, @miss_at, @correlation_id, @trace_parent, @lane, @status, @step, @media_id, @run_at, @enqueued_at, @created_at, @updated_at,
		CASE WHEN @admission <> 'admitted' THEN @admission
			WHEN (SELECT COUNT(*) FROM (
				SELECT 1 FROM posts p WHERE p.lane = @lane AND p.admission = 'admitted'
					AND p.status IN ('scheduled', 'queued', 'publishing') AND p.run_at <= @updated_at
				ORDER BY p.run_at LIMIT @places) busy) < @places THEN 'admitted'
			ELSE 'parked' END)
	RETURNING admission`

// Insert stores an accepted post with its files and completes the request's idempotency
// key, if it has one, in the same transaction. When it returns nil the post is
// durable. A post that is to be admitted is parked instead if its lane has as
// many due posts in Asynq as it has places. ErrNotFound: one of its files was
// cleaned up this moment.
func (s *Posts) Insert(ctx context.Context, p *models.Post, files []models.PostMedia, places int, done *Completion) error {
	content, err := json.Marshal(p.Content)
	if err != nil {
		return fmt.Errorf("encode post: %w", err)
	}
	values := map[string]any{
		"id": p.ID, "app_id": p.AppID, "user_id": p.UserID, "platform": p.Platform, "oauth_account_id": p.OAuthAccountID,
		"instagram_account_id": p.InstagramAccountID, "kind": p.Kind, "group_id": p.GroupID, "content": string(content),
		"source_url": p.SourceURL, "publish_at": p.PublishAt, "max_lateness_ms": p.MaxLatenessMs, "miss_at": p.MissAt,
		"correlation_id": p.CorrelationID, "trace_parent": p.TraceParent, "lane": p.Lane, "status": p.Status, "step": p.Step, "media_id": p.MediaID, "run_at": p.RunAt,
		"enqueued_at": p.EnqueuedAt, "created_at": p.CreatedAt, "updated_at": p.UpdatedAt, "admission": p.Admission, "places": places,
	}
	return s.completing(ctx, done, func(tx *gorm.DB) error {
		err := s.translate(s.insertWithFiles(tx, values, files, &p.Admission))
		if errors.Is(err, gorm.ErrForeignKeyViolated) {
			return fmt.Errorf("store post: its file: %w", ErrNotFound)
		}
		if err != nil {
			return fmt.Errorf("store post: %w", err)
		}
		return nil
	})
}

// Get finds a post of an app.
func (s *Posts) Get(ctx context.Context, appID int64, id string) (*models.Post, error) {
	var p models.Post
	err := s.orm.WithContext(ctx).Where("app_id = ? AND id = ?", appID, id).Take(&p).Error
	return &p, first(err, "post "+id)
}

// ByID finds a post whoever owns it.
func (s *Posts) ByID(ctx context.Context, id string) (*models.Post, error) {
	var p models.Post
	err := s.orm.WithContext(ctx).Where("id = ?", id).Take(&p).Error
	return &p, first(err, "post "+id)
}

// ByPublishID finds an app's post by the id TikTok gave it.
func (s *Posts) ByPublishID(ctx context.Context, appID int64, publishID string) (*models.Post, error) {
	var p models.Post
	err := s.orm.WithContext(ctx).Where("app_id = ? AND publish_id = ?", appID, publishID).Take(&p).Error
	return &p, first(err, "post with publish id "+publishID)
}

// PostFilter narrows a list of posts. Zero values do not narrow.
type PostFilter struct {
	AppID     int64
	Status    models.Status
	Platform  models.Platform
	AccountID int64
	GroupID   string
	// Before is the id of the last post of the page before this one.
	Before string
	Limit  int
}

// List lists posts of an app, newest first.
func (s *Posts) List(ctx context.Context, f PostFilter) ([]models.Post, error) {
	return f.list(s.orm.WithContext(ctx).Where("app_id = ?", f.AppID))
}

func (f PostFilter) list(q *gorm.DB) ([]models.Post, error) {
	if f.Status != "" {
		q = q.Where("status = ?", f.Status)
	}
	if f.Platform != "" {
		q = q.Where("platform = ?", f.Platform)
	}
	if f.AccountID != 0 {
		lanes, err := lanesOf(q.Session(&gorm.Session{NewDB: true}), f.Platform, f.AccountID)
		if err != nil {
			return nil, err
		}
		q = q.Where("lane IN ?", lanes)
	}
	if f.GroupID != "" {
		q = q.Where("group_id = ?", f.GroupID)
	}
	if f.Before != "" {
		q = q.Where("id < ?", f.Before)
	}
	var posts []models.Post
	if err := q.Order("id DESC").Limit(f.Limit).Find(&posts).Error; err != nil {
		return nil, fmt.Errorf("list posts: %w", err)
	}
	return posts, nil
}

// lanesOf finds the lanes of the accounts with that id: one on the platform, or one on
// each if none is named.
func lanesOf(orm *gorm.DB, p models.Platform, accountID int64) ([]string, error) {
	if p != "" {
		return []string{models.Lane(p, accountID)}, nil
	}
	var own []models.Platform
	err := orm.Model(&models.OAuthAccount{}).Where("id = CAST(? AS bigint)", accountID).Pluck("provider", &own).Error
	if err != nil {
		return nil, fmt.Errorf("look up account %d: %w", accountID, err)
	}
	lanes := []string{models.Lane(accountsBehind, accountID)}
	for _, p := range own {
		lanes = append(lanes, models.Lane(p, accountID))
	}
	return lanes, nil
}

// Events reads a post's timeline, oldest first.
func (s *Posts) Events(ctx context.Context, postID string) ([]models.PostEvent, error) {
	var events []models.PostEvent
	if err := s.orm.WithContext(ctx).Where("post_id = ?", postID).Order("id").Find(&events).Error; err != nil {
		return nil, fmt.Errorf("read the timeline of post %s: %w", postID, err)
	}
	return events, nil
}

// AddEvents appends to timelines. It is for facts; they need no fence.
func (s *Posts) AddEvents(ctx context.Context, events ...models.PostEvent) error {
	if len(events) == 0 {
		return nil
	}
	if err := s.orm.WithContext(ctx).Create(&events).Error; err != nil {
		return fmt.Errorf("write timeline: %w", err)
	}
	return nil
}

// ChangeUnsent writes the columns of a post whose sending has not begun, gives
// it a new fence so that its old task finds nothing to do, and notes the event.
// It returns ErrStale if sending began or the post moved on since p was read.
func (s *Posts) ChangeUnsent(ctx context.Context, p *models.Post, event models.PostEvent) error {
	return s.change(ctx, p, event, move{from: unsent, lease: leaseFree})
}

// Revive writes the columns of an ended post that is to run again.
func (s *Posts) Revive(ctx context.Context, p *models.Post, event models.PostEvent) error {
	return s.change(ctx, p, event, move{from: []models.Status{models.Failed, models.Missed}, lease: leaseAny})
}

// change moves a post to its status in p, under a new fence.
func (s *Posts) change(ctx context.Context, p *models.Post, event models.PostEvent, m move) error {
	old := p.Fence
	p.Fence++
	m.to = p.Status
	return s.orm.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		if err := m.one(tx, p, old, mutable...); err != nil {
			return err
		}
		if err := tellOfMove(tx, p, event.From); err != nil {
			return err
		}
		return wrap(tx.Create(&event).Error, "write timeline of post %s", p.ID)
	})
}
