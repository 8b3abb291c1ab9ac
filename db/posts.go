package db

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"gorm.io/gorm"

	"socialqueue/models"
)

// Posts stores the posts of apps and their timelines.
type Posts struct{ conn }

// Destination is the account and the files of a new post, as far as they are needed to
// accept it.
type Destination struct {
	UserID             int64
	OAuthAccountID     int64
	InstagramAccountID *int64
	Status             models.AccountStatus
	// Scope lists what the account's owner granted, separated by commas; empty if that is not
	// known.
	Scope string
	// Account is what the account allows and has by default.
	Account models.PostingAccount
	// Media holds the files that belong to the app, by id.
	Media map[string]*models.Media
}

type destinationRow struct {
	UserID         int64
	OAuthAccountID int64 `gorm:"column:oauth_account_id"`
	Status         models.AccountStatus
	Scope          string
	Account        models.PostingAccount `gorm:"embedded"`
	File           joinedMedia           `gorm:"embedded"`
}

// Destination reads an app's account and some of its files with one query. It
// returns ErrNotFound if the app has no such account.
func (s *Posts) Destination(ctx context.Context, appID int64, p models.Platform, accountID int64, mediaIDs []string) (*Destination, error) {
	query := `SELECT a.user_id, a.id AS oauth_account_id, a.status, COALESCE(a.scope, '') AS scope, ` + joinedMediaColumns + `
		FROM oauth_accounts a JOIN users u ON u.id = a.user_id
		LEFT JOIN media m ON m.id IN @media AND m.app_id = u.app_id
		WHERE a.id = @account AND a.provider = @platform AND u.app_id = @app`
	if p.BehindLogin() {
		query = `SELECT i.user_id, i.oauth_account_id, i.status, COALESCE(a.scope, '') AS scope, i.default_location_id, i.trials_refused_at, ` + joinedMediaColumns + `
		FROM instagram_accounts i JOIN users u ON u.id = i.user_id JOIN oauth_accounts a ON a.id = i.oauth_account_id
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
		UserID: rows[0].UserID, OAuthAccountID: rows[0].OAuthAccountID, Status: rows[0].Status, Scope: rows[0].Scope, Account: rows[0].Account,
		Media: map[string]*models.Media{},
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

// insertPost stores a new post. A post that should be admitted to Asynq at once is parked
// instead if its lane is full; the same statement decides this. The ORDER BY in the count
// makes Postgres use the lane's index of admitted posts even while its statistics say that
// the table is small.
const insertPost = `
	INSERT INTO posts (id, app_id, user_id, platform, oauth_account_id, instagram_account_id, kind, group_id, content, source_url,
		publish_at, max_lateness_ms, miss_at, correlation_id, trace_parent, lane, status, step, media_id, run_at, enqueued_at, created_at, updated_at,
		admission)
	VALUES (@id, @app_id, @user_id, @platform, @oauth_account_id, @instagram_account_id, @kind, @group_id, @content, @source_url,
		@publish_at, @max_lateness_ms, @miss_at, @correlation_id, @trace_parent, @lane, @status, @step, @media_id, @run_at, @enqueued_at, @created_at, @updated_at,
		CASE WHEN @admission <> 'admitted' THEN @admission
			WHEN (SELECT COUNT(*) FROM (
				SELECT 1 FROM posts p WHERE p.lane = @lane AND p.admission = 'admitted'
					AND p.status IN ('scheduled', 'queued', 'publishing') AND (p.run_at <= @updated_at OR p.run_at <= @soon AND ` + waitsForCall + `)
				ORDER BY p.run_at LIMIT @lane_limit) busy) < @lane_limit THEN 'admitted'
			ELSE 'parked' END)
	RETURNING admission`

// NewPost is an accepted post with its files.
type NewPost struct {
	Post  *models.Post
	Files []models.PostMedia
}

// Insert stores accepted posts and completes the request's idempotency key, if it has one:
// all in one transaction. When it returns nil the posts are durable. A post that should be
// admitted is parked instead if its lane already has laneLimit due posts in Asynq. Insert
// returns ErrNotFound if one of the files was cleaned up meanwhile.
func (s *Posts) Insert(ctx context.Context, posts []NewPost, laneLimit int, done *Completion) error {
	return s.completing(ctx, done, func(tx *gorm.DB) error {
		if len(posts) == 1 {
			return s.insert(tx, posts[0], laneLimit)
		}
		return tx.Transaction(func(tx *gorm.DB) error {
			for _, p := range posts {
				if err := s.insert(tx, p, laneLimit); err != nil {
					return err
				}
			}
			return nil
		})
	})
}

func (s *Posts) insert(tx *gorm.DB, n NewPost, laneLimit int) error {
	p := n.Post
	content, err := json.Marshal(p.Content)
	if err != nil {
		return fmt.Errorf("encode post: %w", err)
	}
	values := map[string]any{
		"id": p.ID, "app_id": p.AppID, "user_id": p.UserID, "platform": p.Platform, "oauth_account_id": p.OAuthAccountID,
		"instagram_account_id": p.InstagramAccountID, "kind": p.Kind, "group_id": p.GroupID, "content": string(content),
		"source_url": p.SourceURL, "publish_at": p.PublishAt, "max_lateness_ms": p.MaxLatenessMs, "miss_at": p.MissAt,
		"correlation_id": p.CorrelationID, "trace_parent": p.TraceParent, "lane": p.Lane, "status": p.Status, "step": p.Step, "media_id": p.MediaID, "run_at": p.RunAt,
		"enqueued_at": p.EnqueuedAt, "created_at": p.CreatedAt, "updated_at": p.UpdatedAt, "admission": p.Admission, "lane_limit": laneLimit,
		"soon": p.UpdatedAt.Add(callWait),
	}
	err = s.translate(s.insertWithFiles(tx, values, n.Files, &p.Admission))
	if errors.Is(err, gorm.ErrForeignKeyViolated) {
		return fmt.Errorf("store post: its file: %w", ErrNotFound)
	}
	if err != nil {
		return fmt.Errorf("store post: %w", err)
	}
	return nil
}

// Get reads a post of an app. It returns ErrNotFound if the app has no such post.
func (s *Posts) Get(ctx context.Context, appID int64, id string) (*models.Post, error) {
	var p models.Post
	err := s.orm.WithContext(ctx).Where("app_id = ? AND id = ?", appID, id).Take(&p).Error
	return &p, first(err, "post "+id)
}

// ByID reads a post of any app.
func (s *Posts) ByID(ctx context.Context, id string) (*models.Post, error) {
	var p models.Post
	err := s.orm.WithContext(ctx).Where("id = ?", id).Take(&p).Error
	return &p, first(err, "post "+id)
}

// ByPublishID reads an app's post by its publish id at TikTok.
func (s *Posts) ByPublishID(ctx context.Context, appID int64, publishID string) (*models.Post, error) {
	var p models.Post
	err := s.orm.WithContext(ctx).Where("app_id = ? AND publish_id = ?", appID, publishID).Take(&p).Error
	return &p, first(err, "post with publish id "+publishID)
}

// PostFilter selects posts. Zero values do not filter.
type PostFilter struct {
	AppID     int64
	Status    models.Status
	Platform  models.Platform
	AccountID int64
	GroupID   string
	// Before is the cursor: the id of the last post of the previous page.
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

// lanesOf returns the lanes of the accounts with that id: one on the given platform, or one
// per platform if p is empty.
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

// MaxEvents is how many entries of a timeline Events reads. Apps can add some with every
// change of a post.
const MaxEvents = 1000

// Events reads the first MaxEvents entries of a post's timeline, oldest first.
func (s *Posts) Events(ctx context.Context, postID string) ([]models.PostEvent, error) {
	return s.EventsAfter(ctx, postID, 0, MaxEvents)
}

// EventsAfter reads a page of a post's timeline, oldest first: the entries after the one with
// that id.
func (s *Posts) EventsAfter(ctx context.Context, postID string, after int64, limit int) ([]models.PostEvent, error) {
	var events []models.PostEvent
	if err := s.orm.WithContext(ctx).Where("post_id = ? AND id > ?", postID, after).Order("id").Limit(limit).Find(&events).Error; err != nil {
		return nil, fmt.Errorf("read the timeline of post %s: %w", postID, err)
	}
	return events, nil
}

// AddEvents appends entries to timelines. It checks no fence: the entries are facts.
func (s *Posts) AddEvents(ctx context.Context, events ...models.PostEvent) error {
	return addEvents(s.orm.WithContext(ctx), events)
}

// addEvents inserts copies, as Create sets ids, and a caller may repeat a write whose commit
// got no response.
func addEvents(tx *gorm.DB, events []models.PostEvent) error {
	if len(events) == 0 {
		return nil
	}
	rows := slices.Clone(events)
	if err := tx.Create(&rows).Error; err != nil {
		return fmt.Errorf("write timeline of post %s: %w", rows[0].PostID, err)
	}
	return nil
}

// ChangeUnsent writes a post whose sending has not begun, and appends the event to its
// timeline. The post gets a new fence, so its old task has no effect. ChangeUnsent returns
// ErrStale if sending began or the post was changed since p was read.
func (s *Posts) ChangeUnsent(ctx context.Context, p *models.Post, event models.PostEvent) error {
	return s.change(ctx, p, event, move{from: unsent, lease: leaseFree})
}

// Revive writes a failed or missed post that is retried.
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
		if err := emitMove(tx, p, event.From); err != nil {
			return err
		}
		return wrap(tx.Create(&event).Error, "write timeline of post %s", p.ID)
	})
}
