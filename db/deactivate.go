package db

import (
	"fmt"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"socialqueue/models"
)

// lockAccount is the lock strength for an account's row. It blocks other writers of the row,
// but not the insertion of posts, whose foreign keys refer to the row.
const lockAccount = "NO KEY UPDATE"

// Deactivation says which account can no longer publish, and why.
type Deactivation struct {
	Platform models.Platform
	// AccountID is the account's id in the API.
	AccountID int64
	// Reason becomes the status reason of the account.
	Reason string
	// Note is the message in the timelines of the posts that are deferred or canceled with
	// the account.
	Note string
	// anonymous omits from the app's event everything that identifies the owner.
	anonymous bool
}

func (e Deactivation) lane() string { return models.Lane(e.Platform, e.AccountID) }

func (e Deactivation) rows(tx *gorm.DB) *gorm.DB {
	if e.Platform.BehindLogin() {
		return tx.Model(&models.InstagramAccount{}).Where("id = ?", e.AccountID)
	}
	return tx.Model(&models.OAuthAccount{}).Where("id = ?", e.AccountID)
}

// lockedStatus locks the account's row and returns its status; empty if there is no such
// account.
func (e Deactivation) lockedStatus(tx *gorm.DB) (models.AccountStatus, error) {
	var status []models.AccountStatus
	err := e.rows(tx).Clauses(clause.Locking{Strength: lockAccount}).Pluck("status", &status).Error
	if err != nil || len(status) == 0 {
		return "", err
	}
	return status[0], nil
}

// emit stores an event about the account, with the account as it is stored now.
func (e Deactivation) emit(tx *gorm.DB, event models.AppEvent, now time.Time) error {
	var ig *models.InstagramAccount
	login := e.AccountID
	if e.Platform.BehindLogin() {
		ig = &models.InstagramAccount{}
		if err := first(tx.Take(ig, e.AccountID).Error, fmt.Sprintf("Instagram account %d", e.AccountID)); err != nil {
			return err
		}
		login = ig.OAuthAccountID
	}
	var o models.OAuthAccount
	if err := first(tx.Take(&o, login).Error, fmt.Sprintf("OAuth account %d", login)); err != nil {
		return err
	}
	if e.anonymous {
		return emitAnonymously(tx, &o, ig, event, now)
	}
	return emitForAccount(tx, &o, ig, event, now)
}

// lockLogin locks the row whose tokens reach an account. It is taken before any other lock:
// of two transactions that disconnect the last two accounts of a login, one has to see that
// no account is left.
func lockLogin(tx *gorm.DB, e Deactivation) (id int64, err error) {
	if !e.Platform.BehindLogin() {
		return e.AccountID, lockOAuthAccount(tx, e.AccountID, &models.OAuthAccount{})
	}
	for {
		var before, after models.InstagramAccount
		if err := first(tx.Take(&before, e.AccountID).Error, fmt.Sprintf("Instagram account %d", e.AccountID)); err != nil {
			return 0, err
		}
		if err := lockOAuthAccount(tx, before.OAuthAccountID, &models.OAuthAccount{}); err != nil {
			return 0, err
		}
		err := first(tx.Take(&after, e.AccountID).Error, fmt.Sprintf("Instagram account %d", e.AccountID))
		if err != nil || after.OAuthAccountID == before.OAuthAccountID {
			return before.OAuthAccountID, err
		}
	}
}

func lockOAuthAccount(tx *gorm.DB, id int64, into *models.OAuthAccount) error {
	err := tx.Clauses(clause.Locking{Strength: lockAccount}).Where("id = ?", id).Take(into).Error
	return first(err, fmt.Sprintf("OAuth account %d", id))
}

// disconnectAccount marks an account as disconnected, and its login too if the login has no
// connected account left.
func disconnectAccount(tx *gorm.DB, e Deactivation, login int64, now time.Time) error {
	if !e.Platform.BehindLogin() {
		_, err := disconnectLogin(tx, login, e.Reason, now)
		return err
	}
	err := e.rows(tx).Where("status <> ?", models.AccountDisconnected).UpdateColumns(map[string]any{
		"status": models.AccountDisconnected, "status_reason": e.Reason, "access_token": "", "updated_at": now,
	}).Error
	if err != nil {
		return fmt.Errorf("disconnect Instagram account %d: %w", e.AccountID, err)
	}
	if err := tx.Model(&models.OAuthAccount{}).Where("id = ?", login).UpdateColumn("upkeep_at", now).Error; err != nil {
		return fmt.Errorf("schedule the maintenance of login %d: %w", login, err)
	}
	_, err = disconnectEmptyLogin(tx, login, e.Reason, now)
	return err
}

// disconnectEmptyLogin disconnects a Facebook login that has no connected account left, and
// reports whether it did.
func disconnectEmptyLogin(tx *gorm.DB, login int64, reason string, now time.Time) (ended bool, err error) {
	var left int64
	err = tx.Model(&models.InstagramAccount{}).
		Where("oauth_account_id = ? AND status <> ?", login, models.AccountDisconnected).Count(&left).Error
	if err != nil {
		return false, fmt.Errorf("count the accounts of login %d: %w", login, err)
	}
	if left > 0 {
		return false, nil
	}
	return disconnectLogin(tx, login, reason, now)
}

// disconnectLogin marks a row as disconnected and invalidates a refresh in progress. It
// reports false if the row was disconnected before.
func disconnectLogin(tx *gorm.DB, id int64, reason string, now time.Time) (ended bool, err error) {
	res := tx.Model(&models.OAuthAccount{}).Where("id = ? AND status <> ?", id, models.AccountDisconnected).
		UpdateColumns(map[string]any{
			"status": models.AccountDisconnected, "status_reason": reason, "refresh_fence": gorm.Expr("refresh_fence + 1"),
			"refresh_lease_until": nil, "refresh_failures": 0, "refresh_unsettled": false, "upkeep_at": now, "updated_at": now,
		})
	return changedAny(res, fmt.Sprintf("disconnect account %d", id))
}
