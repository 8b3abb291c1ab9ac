package db

import (
	"context"
	"fmt"
	"time"

	"gorm.io/gorm"

	"socialqueue/models"
)

// KnownIDs returns the set of those platform ids that belong to posts of a lane.
func (s *Runs) KnownIDs(ctx context.Context, lane string, ids []string) (map[string]bool, error) {
	known := make(map[string]bool, len(ids))
	if len(ids) == 0 {
		return known, nil
	}
	var found []string
	err := s.orm.WithContext(ctx).Model(&models.Post{}).Where("lane = ? AND platform_post_id IN ?", lane, ids).Pluck("platform_post_id", &found).Error
	if err != nil {
		return nil, fmt.Errorf("read known ids of %s: %w", lane, err)
	}
	for _, id := range found {
		known[id] = true
	}
	return known, nil
}

// PostOfUpload reads the post that a publish_id of TikTok was issued for. The post may have
// a newer publish_id by now.
func (s *Runs) PostOfUpload(ctx context.Context, publishID string) (*models.Post, error) {
	orm := s.orm.WithContext(ctx)
	var p models.Post
	res := orm.Where("publish_id = ?", publishID).Limit(1).Find(&p)
	if res.Error == nil && res.RowsAffected == 0 {
		res = orm.Where("id = (SELECT post_id FROM tiktok_posts WHERE publish_id = ?)", publishID).Limit(1).Find(&p)
	}
	if res.Error == nil && res.RowsAffected == 0 {
		res.Error = gorm.ErrRecordNotFound
	}
	return &p, first(res.Error, "post of upload "+publishID)
}

// LostCall is a recorded call of a post that has no id, because its answer was lost or is still
// to come.
type LostCall struct {
	Post  models.Post
	Entry models.LedgerEntry
}

// LostCalls lists the calls op without an id that were recorded within a time, for a platform's
// account, of whichever user and app; limit of them. What became of them does not matter: an
// id of that time may belong to any of them.
func (s *Runs) LostCalls(ctx context.Context, p models.Platform, providerAccountID string, op models.LedgerOp, from, to time.Time, limit int) ([]LostCall, error) {
	orm := s.orm.WithContext(ctx)
	var entries []models.LedgerEntry
	err := orm.Joins("JOIN posts ON posts.id = ledger.post_id").
		Where("ledger.created_at BETWEEN ? AND ? AND ledger.op = ? AND ledger.external_id IS NULL AND ledger.state <> ?", from, to, op, models.Void).
		Where("posts.platform = ? AND posts.oauth_account_id IN (?)", p,
			orm.Model(&models.OAuthAccount{}).Select("id").Where("provider = ? AND provider_account_id = ?", p, providerAccountID)).
		Order("ledger.id").Limit(limit).Find(&entries).Error
	if err != nil {
		return nil, fmt.Errorf("read the lost calls of an account: %w", err)
	}
	lost := make([]LostCall, len(entries))
	for i, e := range entries {
		lost[i].Entry = e
		if err := orm.First(&lost[i].Post, "id = ?", e.PostID).Error; err != nil {
			return nil, first(err, "post "+e.PostID)
		}
	}
	return lost, nil
}

// Adopt stores the id that the lost answer to a call had, and makes the next run of the post
// due now. The result of the call stays unknown. It returns ErrStale if a run holds the post or
// changed it meanwhile.
func (s *Runs) Adopt(ctx context.Context, call *LostCall, publishID string, event models.PostEvent, now time.Time) error {
	return s.orm.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		res := tx.Model(&models.LedgerEntry{}).
			Where("id = ? AND external_id IS NULL AND state = ?", call.Entry.ID, call.Entry.State).UpdateColumn("external_id", publishID)
		if err := changedOne(res, "adopt "+publishID); err != nil {
			return err
		}
		p := &call.Post
		res = tx.Model(&models.Post{}).Where("id = ? AND fence = ? AND (lease_until IS NULL OR lease_until < ?)", p.ID, p.Fence, now).
			UpdateColumn("publish_id", publishID)
		if err := changedOne(res, "adopt "+publishID); err != nil {
			return err
		}
		if p.RunAt != nil && p.RunAt.After(now) {
			return runNow(tx, p, event, now)
		}
		event.PostID, event.Fence = p.ID, p.Fence
		return tx.Create(&event).Error
	})
}

// RunNow makes the next run of a waiting post due now. It returns ErrStale if the post was
// changed meanwhile.
func (s *Runs) RunNow(ctx context.Context, p *models.Post, event models.PostEvent, now time.Time) error {
	return s.orm.WithContext(ctx).Transaction(func(tx *gorm.DB) error { return runNow(tx, p, event, now) })
}

func runNow(tx *gorm.DB, p *models.Post, event models.PostEvent, now time.Time) error {
	res := tx.Model(&models.Post{}).
		Where("id = ? AND fence = ? AND status = ? AND run_at > ? AND (lease_until IS NULL OR lease_until < ?)", p.ID, p.Fence, p.Status, now, now).
		UpdateColumns(map[string]any{
			"run_at": now, "admission": models.AdmissionAdmitted, "enqueued_at": now, "fence": p.Fence + 1, "looks": 0,
			"lease_until": nil, "lease_owner": "", "deferred_until": nil, "deferred_reason": "", "updated_at": now,
		})
	if err := changedOne(res, "make post "+p.ID+" due"); err != nil {
		return err
	}
	p.Fence, p.RunAt, p.Admission = p.Fence+1, &now, models.AdmissionAdmitted
	event.PostID, event.Fence = p.ID, p.Fence
	return tx.Create(&event).Error
}

// Availability says whether a video on TikTok is public, as of At.
type Availability struct {
	PublishID string
	Public    bool
	At        time.Time
}

// NoteAvailability stores an availability with an entry in the post's timeline, unless a
// newer one is stored. If two have the same time, "not public" wins. It reports whether it
// stored the availability.
func (s *Runs) NoteAvailability(ctx context.Context, a Availability, event models.PostEvent) (stored bool, err error) {
	err = s.orm.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		res := tx.Model(&models.TikTokPost{}).
			Where("publish_id = ? AND (availability_at IS NULL OR availability_at < ? OR (availability_at = ? AND publicly_available AND NOT ?))",
				a.PublishID, a.At, a.At, a.Public).
			UpdateColumns(map[string]any{"publicly_available": a.Public, "availability_at": a.At})
		if stored, err = changedAny(res, "store the availability of upload "+a.PublishID); err != nil || !stored {
			return err
		}
		return tx.Create(&event).Error
	})
	return stored, err
}

// TikTokAvailability reports whether an upload is public; nil if that is unknown.
func (s *Runs) TikTokAvailability(ctx context.Context, publishID string) (*bool, error) {
	var row models.TikTokPost
	err := s.orm.WithContext(ctx).Select("publicly_available").Where("publish_id = ?", publishID).Limit(1).Find(&row).Error
	return row.PubliclyAvailable, wrap(err, "read the availability of upload %s", publishID)
}

// Identify stores the platform's id and the link of a published post that lacks them, and
// ends the polls for them. It returns ErrStale if the post was changed meanwhile.
func (s *Runs) Identify(ctx context.Context, p *models.Post, id, permalink string, event models.PostEvent, now time.Time) error {
	return s.orm.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		res := tx.Model(&models.Post{}).
			Where("id = ? AND fence = ? AND status = ? AND platform_post_id IS NULL AND (lease_until IS NULL OR lease_until < ?)", p.ID, p.Fence, models.Published, now).
			UpdateColumns(map[string]any{
				"platform_post_id": id, "permalink": permalink, "fence": p.Fence + 1, "admission": models.AdmissionNone, "run_at": nil,
				"enqueued_at": nil, "lease_until": nil, "lease_owner": "", "deferred_until": nil, "deferred_reason": "", "updated_at": now,
			})
		if err := changedOne(res, "identify post "+p.ID); err != nil {
			return err
		}
		if err := tx.Model(&models.TikTokPost{}).Where("publish_id = ?", p.PublishID).UpdateColumns(map[string]any{"video_id": id, "updated_at": now}).Error; err != nil {
			return fmt.Errorf("identify the upload of post %s: %w", p.ID, err)
		}
		event.PostID, event.Fence = p.ID, p.Fence+1
		return tx.Create(&event).Error
	})
}

// unsettledLimit is how many of a lane's posts UnsettledInLane returns at most.
const unsettledLimit = 200

// UnsettledInLane lists the newest posts of a lane that are sent or being sent and whose id
// at the platform is unknown. It leaves out the post except.
func (s *Runs) UnsettledInLane(ctx context.Context, lane, except string) ([]models.Post, error) {
	var posts []models.Post
	err := s.orm.WithContext(ctx).
		Where("lane = ? AND id <> ? AND platform_post_id IS NULL AND status IN ?", lane, except,
			[]models.Status{models.Publishing, models.Processing, models.Uncertain, models.Published}).
		Order("id DESC").Limit(unsettledLimit).Find(&posts).Error
	if err != nil {
		return nil, fmt.Errorf("list unsettled posts of %s: %w", lane, err)
	}
	return posts, nil
}
