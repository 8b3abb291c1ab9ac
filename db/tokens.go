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

// Tokens stores the refresh of tokens, and seals secrets with a new key.
type Tokens struct{ conn }

// ErrBusy: another process is refreshing the account's tokens.
var ErrBusy = errors.New("another process is refreshing the account's tokens")

// ClaimRefresh makes the caller the only one who may refresh an account's
// tokens, until lease from now on. check sees the row under its lock and says
// whether the refresh is still needed: its error is handed back and nothing is
// written. ErrBusy: somebody else has the claim.
//
// When it returns nil the row says that a refresh is under way, so whoever finds
// it after a crash knows that the refresh token may be used up. The row that is
// returned is the one before the claim, but for its new fence.
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

// RefreshEnd is how a claimed refresh ended.
type RefreshEnd struct {
	AccountID int64
	// Fence is the claim's.
	Fence int64
	// Unsettled: the answer is not known.
	Unsettled bool
	// Failures counts the refreshes in a row that gave no token.
	Failures int
	// MaintenanceAt is when the account is seen to again; nil is never.
	MaintenanceAt *time.Time
	// Tokens is nil if there are no new ones.
	Tokens *NewTokens
}

// NewTokens is what a refresh brought, sealed. What is nil stays as it is.
type NewTokens struct {
	Access      string
	Refresh     *string
	Scope       *string
	ExpiresAt   *time.Time
	ReconnectBy *time.Time
}

// EndRefresh writes how a claimed refresh ended and gives the claim up, in one
// statement: the new tokens are there for all or for nobody. ErrStale: the
// account got other tokens meanwhile, or was disconnected.
func (s *Tokens) EndRefresh(ctx context.Context, e RefreshEnd, now time.Time) error {
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
	return changedOne(res, fmt.Sprintf("end the refresh of account %d", e.AccountID))
}

// ReleaseRefresh gives the claim of a refresh up and leaves the rest as it is.
// ErrStale is as with EndRefresh.
func (s *Tokens) ReleaseRefresh(ctx context.Context, id, fence int64) error {
	res := s.orm.WithContext(ctx).Model(&models.OAuthAccount{}).Where("id = ? AND refresh_fence = ?", id, fence).
		UpdateColumns(map[string]any{"refresh_lease_until": nil, "refresh_unsettled": false})
	return changedOne(res, fmt.Sprintf("release account %d", id))
}

// ReplacePageToken gives an Instagram account the token that was read anew, if
// it still has the old one.
func (s *Tokens) ReplacePageToken(ctx context.Context, id int64, old, token string, now time.Time) error {
	res := s.orm.WithContext(ctx).Model(&models.InstagramAccount{}).
		Where("id = ? AND access_token = ? AND status <> ?", id, old, models.AccountDisconnected).
		UpdateColumns(map[string]any{"access_token": token, "status": models.AccountActive, "status_reason": "", "updated_at": now})
	return changedOne(res, fmt.Sprintf("store the page token of Instagram account %d", id))
}

// SetUpkeep notes when an account is seen to next, and how many refreshes failed in
// a row, unless its tokens or its status changed since it was read: then that
// decides.
func (s *Tokens) SetUpkeep(ctx context.Context, a *models.OAuthAccount, failures int, at *time.Time) error {
	err := s.orm.WithContext(ctx).Model(&models.OAuthAccount{}).
		Where("id = ? AND refresh_fence = ? AND status = ?", a.ID, a.RefreshFence, a.Status).
		UpdateColumns(map[string]any{"refresh_failures": failures, "upkeep_at": at}).Error
	if err != nil {
		return fmt.Errorf("note the upkeep of account %d: %w", a.ID, err)
	}
	return nil
}

// Upkeep names an account that somebody has to see to, and the fence that its
// tokens have.
type Upkeep struct {
	ID    int64
	Fence int64 `gorm:"column:refresh_fence"`
}

// DueUpkeep lists the accounts whose upkeep is due, the longest waiting first.
// Those that somebody is just refreshing are left out.
func (s *Tokens) DueUpkeep(ctx context.Context, now time.Time, limit int) ([]Upkeep, error) {
	var due []Upkeep
	err := s.orm.WithContext(ctx).Model(&models.OAuthAccount{}).
		Where("upkeep_at <= ? AND (refresh_lease_until IS NULL OR refresh_lease_until < ?)", now, now).
		Order("upkeep_at").Limit(limit).Find(&due).Error
	if err != nil {
		return nil, fmt.Errorf("list accounts whose upkeep is due: %w", err)
	}
	return due, nil
}

// AskBeforePosts makes the upkeep due of accounts that have posts due until then
// and that nobody asked for since stale: once, whatever comes of it. The Pages of a
// Facebook login may post when that has ended. An account whose refresh is just
// failing has a time of its own. It looks at limit posts
// at most, the soonest first.
func (s *Tokens) AskBeforePosts(ctx context.Context, now, until, stale time.Time, limit int) error {
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
		return fmt.Errorf("look for accounts with posts due soon: %w", err)
	}
	return nil
}

// EndLogin notes that Meta takes a Facebook login's own token no more, and gives
// the claim of its refresh up. Its accounts stay as they are. ErrStale: the login
// was connected anew, or disconnected. Doing it twice is no error.
func (s *Tokens) EndLogin(ctx context.Context, id, fence int64, reason string, now time.Time) error {
	res := s.orm.WithContext(ctx).Model(&models.OAuthAccount{}).
		Where("id = ? AND refresh_fence = ? AND status <> ?", id, fence, models.AccountDisconnected).
		UpdateColumns(map[string]any{
			"status": models.AccountReauthorize, "status_reason": reason, "upkeep_at": nil, "refresh_lease_until": nil,
			"refresh_unsettled": false, "updated_at": now,
		})
	return changedOne(res, fmt.Sprintf("end login %d", id))
}
