package db

import (
	"fmt"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"socialqueue/models"
)

// lockAccount locks an account's row against others that change it, but not
// against posts that are accepted for it, which refer to its id.
const lockAccount = "NO KEY UPDATE"

// Ending is how an account stops being able to post.
type Ending struct {
	Platform models.Platform
	// AccountID is the account as the API names it.
	AccountID int64
	// Reason is the status reason of the account.
	Reason string
	// Note is the message in the timelines of the posts that wait or are canceled
	// with the account.
	Note string
	// anonymous: the app is told without what says whose account it was.
	anonymous bool
}

func (e Ending) lane() string { return models.Lane(e.Platform, e.AccountID) }

func (e Ending) rows(tx *gorm.DB) *gorm.DB {
	if e.Platform.BehindLogin() {
		return tx.Model(&models.InstagramAccount{}).Where("id = ?", e.AccountID)
	}
	return tx.Model(&models.OAuthAccount{}).Where("id = ?", e.AccountID)
}

// lockedStatus locks the account's row and reads its status; empty if there is no
// such account.
func (e Ending) lockedStatus(tx *gorm.DB) (models.AccountStatus, error) {
	var status []models.AccountStatus
	err := e.rows(tx).Clauses(clause.Locking{Strength: lockAccount}).Pluck("status", &status).Error
	if err != nil || len(status) == 0 {
		return "", err
	}
	return status[0], nil
}

// tell tells the app of the account as it is stored now.
func (e Ending) tell(tx *gorm.DB, event models.AppEvent, now time.Time) error {
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
		return tellAnonymously(tx, &o, ig, event, now)
	}
	return tellOfAccount(tx, &o, ig, event, now)
}

// lockLogin locks the row whose tokens reach an account, before anything else: of
// two that disconnect the last accounts of a login, one has to see it empty.
func lockLogin(tx *gorm.DB, e Ending) (id int64, err error) {
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

// end writes that an account is disconnected, and its login with it if that was
// the last one.
func end(tx *gorm.DB, e Ending, login int64, now time.Time) error {
	if !e.Platform.BehindLogin() {
		_, err := endLogin(tx, login, e.Reason, now)
		return err
	}
	err := e.rows(tx).Where("status <> ?", models.AccountDisconnected).UpdateColumns(map[string]any{
		"status": models.AccountDisconnected, "status_reason": e.Reason, "access_token": "", "updated_at": now,
	}).Error
	if err != nil {
		return fmt.Errorf("disconnect Instagram account %d: %w", e.AccountID, err)
	}
	if err := tx.Model(&models.OAuthAccount{}).Where("id = ?", login).UpdateColumn("upkeep_at", now).Error; err != nil {
		return fmt.Errorf("ask for the upkeep of login %d: %w", login, err)
	}
	_, err = endEmptyLogin(tx, login, e.Reason, now)
	return err
}

// endEmptyLogin ends a Facebook login that reaches no account any more, and reports
// whether it did.
func endEmptyLogin(tx *gorm.DB, login int64, reason string, now time.Time) (ended bool, err error) {
	var left int64
	err = tx.Model(&models.InstagramAccount{}).
		Where("oauth_account_id = ? AND status <> ?", login, models.AccountDisconnected).Count(&left).Error
	if err != nil {
		return false, fmt.Errorf("count the accounts of login %d: %w", login, err)
	}
	if left > 0 {
		return false, nil
	}
	return endLogin(tx, login, reason, now)
}

// endLogin ends a row's tokens and whatever is under way with them. It reports
// false if they had ended before.
func endLogin(tx *gorm.DB, id int64, reason string, now time.Time) (ended bool, err error) {
	res := tx.Model(&models.OAuthAccount{}).Where("id = ? AND status <> ?", id, models.AccountDisconnected).
		UpdateColumns(map[string]any{
			"status": models.AccountDisconnected, "status_reason": reason, "refresh_fence": gorm.Expr("refresh_fence + 1"),
			"refresh_lease_until": nil, "refresh_failures": 0, "refresh_unsettled": false, "upkeep_at": now, "updated_at": now,
		})
	return changedAny(res, fmt.Sprintf("disconnect account %d", id))
}
