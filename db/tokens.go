package db

import (
	"context"
	"errors"
	"fmt"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"socialqueue/models"
)

// Tokens stores refreshed tokens, schedules token maintenance, and re-encrypts secrets.
type Tokens struct{ conn }

// ErrBusy means that another process is refreshing the account's tokens.
var ErrBusy = errors.New("another process is refreshing the account's tokens")

// ClaimRefresh gives the caller the exclusive right to refresh an account's tokens for the
// duration of lease. It calls check with the locked row; if the refresh is no longer needed,
// check returns an error, which ClaimRefresh returns without writing anything. ClaimRefresh
// returns ErrBusy if another process has the claim.
//
// When it returns nil the row is marked with refresh_unsettled, so after a crash the next
// process knows that the refresh token may be used up. The returned row is the one before
// the claim, except for its new fence.
func (s *Tokens) ClaimRefresh(ctx context.Context, id int64, now time.Time, lease time.Duration, check func(*models.OAuthAccount) error) (*models.OAuthAccount, error) {
	var a models.OAuthAccount
	err := s.orm.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		err := tx.Clauses(clause.Locking{Strength: lockAccount}).Where("id = ?", id).Take(&a).Error
		if err := first(err, fmt.Sprintf("OAuth account %d", id)); err != nil {
			return err
		}
		if err := check(&a); err != nil {
			return err
		}
		if a.RefreshLeaseUntil != nil && a.RefreshLeaseUntil.After(now) {
			return ErrBusy
		}
		a.RefreshFence++
		err = tx.Model(&models.OAuthAccount{}).Where("id = ?", id).UpdateColumns(map[string]any{
			"refresh_fence": a.RefreshFence, "refresh_lease_until": now.Add(lease), "refresh_unsettled": true,
		}).Error
		if err != nil {
			return fmt.Errorf("claim the refresh of account %d: %w", id, err)
		}
		return nil
	})
	return &a, err
}

// RefreshResult is the result of a claimed refresh.
type RefreshResult struct {
	AccountID int64
	// Fence is the fence of the claim.
	Fence int64
	// Unsettled means that the platform's response is unknown.
	Unsettled bool
	// Failures counts the consecutive refreshes that returned no token.
	Failures int
	// MaintenanceAt is the time of the next maintenance; nil if none is planned.
	MaintenanceAt *time.Time
	// Tokens holds the new tokens; nil if there are none.
	Tokens *NewTokens
}

// NewTokens holds refreshed tokens, encrypted. Nil fields stay as they are.
type NewTokens struct {
	Access      string
	Refresh     *string
	Scope       *string
	ExpiresAt   *time.Time
	ReconnectBy *time.Time
}

// FinishRefresh stores the result of a claimed refresh and releases the claim, in one
// statement. It returns ErrStale if the account got other tokens meanwhile or was
// disconnected.
func (s *Tokens) FinishRefresh(ctx context.Context, e RefreshResult, now time.Time) error {
	set := map[string]any{
		"refresh_lease_until": nil, "refresh_unsettled": e.Unsettled, "refresh_failures": e.Failures, "upkeep_at": e.MaintenanceAt,
	}
	if t := e.Tokens; t != nil {
		set["access_token"], set["expires_at"], set["refreshed_at"], set["asked_at"], set["updated_at"] = t.Access, t.ExpiresAt, now, now, now
		if t.Refresh != nil {
			set["refresh_token"] = *t.Refresh
		}
		if t.Scope != nil {
			set["scope"] = *t.Scope
		}
		if t.ReconnectBy != nil {
			set["reconnect_by"] = *t.ReconnectBy
		}
	}
	res := s.orm.WithContext(ctx).Model(&models.OAuthAccount{}).Where("id = ? AND refresh_fence = ?", e.AccountID, e.Fence).UpdateColumns(set)
	return changedOne(res, fmt.Sprintf("finish the refresh of account %d", e.AccountID))
}

// ReleaseRefresh releases the claim of a refresh that was not sent. It returns ErrStale like
// FinishRefresh.
func (s *Tokens) ReleaseRefresh(ctx context.Context, id, fence int64) error {
	res := s.orm.WithContext(ctx).Model(&models.OAuthAccount{}).Where("id = ? AND refresh_fence = ?", id, fence).
		UpdateColumns(map[string]any{"refresh_lease_until": nil, "refresh_unsettled": false})
	return changedOne(res, fmt.Sprintf("release the refresh of account %d", id))
}

// ReplacePageToken stores a page token that was read again from Meta. It returns ErrStale if
// the account no longer has the old token.
func (s *Tokens) ReplacePageToken(ctx context.Context, id int64, old, token string, now time.Time) error {
	res := s.orm.WithContext(ctx).Model(&models.InstagramAccount{}).
		Where("id = ? AND access_token = ? AND status <> ?", id, old, models.AccountDisconnected).
		UpdateColumns(map[string]any{"access_token": token, "status": models.AccountActive, "status_reason": "", "updated_at": now})
	return changedOne(res, fmt.Sprintf("store the page token of Instagram account %d", id))
}

// SetMaintenance schedules the next maintenance of an account, or none if at is nil, and
// stores the number of consecutive failed refreshes. It changes nothing if the account's
// tokens or status changed since it was read: that change has scheduled its own maintenance.
func (s *Tokens) SetMaintenance(ctx context.Context, a *models.OAuthAccount, failures int, at *time.Time) error {
	err := s.orm.WithContext(ctx).Model(&models.OAuthAccount{}).
		Where("id = ? AND refresh_fence = ? AND status = ?", a.ID, a.RefreshFence, a.Status).
		UpdateColumns(map[string]any{"refresh_failures": failures, "upkeep_at": at}).Error
	if err != nil {
		return fmt.Errorf("schedule the maintenance of account %d: %w", a.ID, err)
	}
	return nil
}

// Maintenance is due token maintenance: an account and the fence of its tokens.
type Maintenance struct {
	ID    int64
	Fence int64 `gorm:"column:refresh_fence"`
}

// DueMaintenance lists the accounts whose maintenance is due, the longest waiting first. It
// leaves out accounts that a process is refreshing.
func (s *Tokens) DueMaintenance(ctx context.Context, now time.Time, limit int) ([]Maintenance, error) {
	var due []Maintenance
	err := s.orm.WithContext(ctx).Model(&models.OAuthAccount{}).
		Where("upkeep_at <= ? AND (refresh_lease_until IS NULL OR refresh_lease_until < ?)", now, now).
		Order("upkeep_at").Limit(limit).Find(&due).Error
	if err != nil {
		return nil, fmt.Errorf("list accounts with due maintenance: %w", err)
	}
	return due, nil
}

// CheckBeforePosts makes the maintenance due of accounts that have posts due before until
// and whose token was not checked since stale. It records the check, so that each account is
// checked once, whatever the result. A Facebook login that needs a new consent is checked
// too, as its Pages may still be able to publish. An account with failed refreshes is left
// out, as its next refresh is already scheduled. It considers the limit soonest posts.
func (s *Tokens) CheckBeforePosts(ctx context.Context, now, until, stale time.Time, limit int) error {
	err := s.orm.WithContext(ctx).Exec(`
		UPDATE oauth_accounts SET upkeep_at = @now, asked_at = @now
		WHERE (status = 'active' OR status = 'reauth_required'
				AND EXISTS (SELECT 1 FROM instagram_accounts behind WHERE behind.oauth_account_id = oauth_accounts.id))
			AND (asked_at IS NULL OR asked_at < @stale) AND (upkeep_at IS NULL OR upkeep_at > @now) AND refresh_failures = 0
			AND id IN (SELECT COALESCE(i.oauth_account_id, soon.oauth_account_id) FROM (
				SELECT oauth_account_id, instagram_account_id FROM posts
				WHERE status = 'scheduled' AND run_at <= @until ORDER BY run_at LIMIT @limit) soon
			LEFT JOIN instagram_accounts i ON i.id = soon.instagram_account_id)`,
		map[string]any{"now": now, "until": until, "stale": stale, "limit": limit}).Error
	if err != nil {
		return fmt.Errorf("schedule checks of accounts with posts due soon: %w", err)
	}
	return nil
}

// ReauthorizeLogin records that Meta refuses a Facebook login's own token, and releases the
// claim of its refresh. The accounts behind the login stay as they are. It returns ErrStale
// if the login was connected again or disconnected. Calling it twice is not an error.
func (s *Tokens) ReauthorizeLogin(ctx context.Context, id, fence int64, reason string, now time.Time) error {
	res := s.orm.WithContext(ctx).Model(&models.OAuthAccount{}).
		Where("id = ? AND refresh_fence = ? AND status <> ?", id, fence, models.AccountDisconnected).
		UpdateColumns(map[string]any{
			"status": models.AccountReauthorize, "status_reason": reason, "upkeep_at": nil, "refresh_lease_until": nil,
			"refresh_unsettled": false, "updated_at": now,
		})
	return changedOne(res, fmt.Sprintf("mark login %d for reauthorization", id))
}
