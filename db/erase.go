package db

import (
	"context"
	"fmt"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"socialqueue/models"
)

// Deletion is a person's request to delete their data.
type Deletion struct {
	Provider          models.Platform
	ProviderAccountID string
	// RequestedAt is when the person asked for it. Accounts that they connected later stay.
	RequestedAt time.Time
	// Code is the confirmation code with which the person can look up the request.
	Code   string
	Reason string
}

// RequestDeletion disconnects a person's accounts and marks them for deletion. It returns
// the code of the request, or that of an earlier request that is still in progress. Erase
// deletes the posts; until then none of them can be sent, as the tokens are gone. If there
// is nothing to delete, the request is complete at once.
func (s *Connections) RequestDeletion(ctx context.Context, r Deletion, now time.Time) (code string, err error) {
	err = s.orm.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		code, err = requestDeletion(tx, r, now)
		return err
	})
	return code, err
}

func requestDeletion(tx *gorm.DB, r Deletion, now time.Time) (code string, err error) {
	var accounts []models.OAuthAccount
	err = tx.Clauses(clause.Locking{Strength: lockAccount}).
		Where("provider = ? AND provider_account_id = ?", r.Provider, r.ProviderAccountID).Order("id").Find(&accounts).Error
	if err != nil {
		return "", fmt.Errorf("list %s accounts: %w", r.Provider, err)
	}
	request := models.DataDeletion{Code: r.Code, RequestedAt: now, CompletedAt: &now}
	for _, a := range accounts {
		if a.DeletionCode != nil {
			request.Code, request.CompletedAt = *a.DeletionCode, nil
		}
	}
	for i := range accounts {
		a := &accounts[i]
		if a.DeletionCode != nil || a.ConnectedSince(r.RequestedAt) {
			continue
		}
		request.CompletedAt = nil
		if err := deauthorize(tx, a, Deactivation{Reason: r.Reason, anonymous: true}, now); err != nil {
			return "", err
		}
		if err := tx.Model(a).UpdateColumn("deletion_code", request.Code).Error; err != nil {
			return "", fmt.Errorf("mark account %d: %w", a.ID, err)
		}
	}
	if err := tx.Clauses(clause.OnConflict{DoNothing: true}).Create(&request).Error; err != nil {
		return "", fmt.Errorf("store the deletion request: %w", err)
	}
	return request.Code, nil
}

// DataDeletion reads a deletion request by its code.
func (s *Connections) DataDeletion(ctx context.Context, code string) (*models.DataDeletion, error) {
	var request models.DataDeletion
	err := s.orm.WithContext(ctx).Where("code = ?", code).Take(&request).Error
	return &request, first(err, "deletion request")
}

// Erase deletes a part of the data that is marked for deletion, at most limit posts, and
// reports whether there may be more. After an error it can be called again.
func (s *Connections) Erase(ctx context.Context, limit int, now time.Time) (more bool, err error) {
	var login models.OAuthAccount
	res := s.orm.WithContext(ctx).Where("deletion_code IS NOT NULL").Order("id").Limit(1).Find(&login)
	if res.Error != nil {
		return false, fmt.Errorf("look for data to delete: %w", res.Error)
	}
	if res.RowsAffected == 0 {
		return false, nil
	}
	err = s.orm.WithContext(ctx).Transaction(func(tx *gorm.DB) error { return eraseSome(tx, &login, limit, now) })
	if err != nil {
		return false, fmt.Errorf("delete the data of login %d: %w", login.ID, err)
	}
	return true, nil
}

func eraseSome(tx *gorm.DB, login *models.OAuthAccount, limit int, now time.Time) error {
	var accounts []int64 // locked, so that no other login takes one over while it is deleted
	err := tx.Model(&models.InstagramAccount{}).Clauses(clause.Locking{Strength: clause.LockingStrengthUpdate}).
		Where("oauth_account_id = ?", login.ID).Order("id").Pluck("id", &accounts).Error
	if err != nil {
		return err
	}
	var lanes []string
	if !login.Provider.BehindLogin() {
		lanes = append(lanes, models.Lane(login.Provider, login.ID))
	}
	for _, id := range accounts {
		lanes = append(lanes, models.Lane(login.Provider, id))
	}
	var posts []string
	if err := tx.Model(&models.Post{}).Where("lane IN ?", lanes).Order("id").Limit(limit).Pluck("id", &posts).Error; err != nil {
		return err
	}
	if len(posts) > 0 {
		return erasePosts(tx, posts)
	}
	if err := eraseEvents(tx, login, accounts, lanes); err != nil {
		return err
	}
	if err := eraseLogin(tx, login, accounts); err != nil {
		return err
	}
	return tx.Exec(`UPDATE data_deletions SET completed_at = ?
		WHERE code = ? AND NOT EXISTS (SELECT 1 FROM oauth_accounts WHERE deletion_code = data_deletions.code)`, now, login.DeletionCode).Error
}

// eraseCalls remembers the newest of the calls that are erased with some posts: without it
// the database would look as if it lacked them.
const eraseCalls = `
	UPDATE installation SET erased_seq = erased.id, erased_at = erased.created_at
	FROM (SELECT id, created_at FROM ledger WHERE post_id IN ? ORDER BY id DESC LIMIT 1) AS erased
	WHERE erased.id > installation.erased_seq`

// erasePosts deletes posts with their timelines, ledgers and idempotency keys. The clean-up
// of unused files later deletes their files.
func erasePosts(tx *gorm.DB, posts []string) error {
	return inTurn(tx, posts,
		eraseCalls, "DELETE FROM post_events WHERE post_id IN ?", "DELETE FROM ledger WHERE post_id IN ?",
		"DELETE FROM idempotency_keys WHERE post_id IN ?", "DELETE FROM posts WHERE id IN ?")
}

// eraseEvents deletes the platforms' webhook events about the accounts, and the deliveries
// to apps about them. The account.disconnected events stay: they contain no personal data
// (emitAnonymously).
func eraseEvents(tx *gorm.DB, login *models.OAuthAccount, accounts []int64, lanes []string) error {
	platformIDs := []string{login.ProviderAccountID}
	var rows []models.InstagramAccount
	if err := tx.Where("id IN ?", accounts).Find(&rows).Error; err != nil {
		return err
	}
	for i := range rows {
		platformIDs = append(platformIDs, rows[i].PlatformID())
	}
	if err := tx.Exec("DELETE FROM webhook_events WHERE platform = ? AND account IN ?", login.Provider, platformIDs).Error; err != nil {
		return err
	}
	return tx.Exec("DELETE FROM webhook_deliveries WHERE lane IN ?", lanes).Error
}

// eraseLogin deletes a login with its accounts. Posts of an account that is reached through
// another login by now are assigned to that login.
func eraseLogin(tx *gorm.DB, login *models.OAuthAccount, accounts []int64) error {
	err := inTurn(tx, login.ID,
		`UPDATE posts SET oauth_account_id = (SELECT i.oauth_account_id FROM instagram_accounts i WHERE i.id = posts.instagram_account_id)
			WHERE oauth_account_id = ? AND instagram_account_id IS NOT NULL`,
		"DELETE FROM tiktok_posts WHERE oauth_account_id = ?", "DELETE FROM facebook_pages WHERE oauth_account_id = ?")
	if err == nil && len(accounts) > 0 {
		err = inTurn(tx, accounts,
			"UPDATE facebook_pages SET instagram_account_id = NULL WHERE instagram_account_id IN ?",
			"DELETE FROM ig_media WHERE instagram_account_id IN ?", "DELETE FROM instagram_comments WHERE instagram_account_id IN ?",
			"DELETE FROM instagram_accounts WHERE id IN ?")
	}
	if err != nil {
		return err
	}
	return tx.Delete(&models.OAuthAccount{}, login.ID).Error
}

// inTurn runs statements one after the other, all with the same argument.
func inTurn(tx *gorm.DB, arg any, statements ...string) error {
	for _, statement := range statements {
		if err := tx.Exec(statement, arg).Error; err != nil {
			return err
		}
	}
	return nil
}
