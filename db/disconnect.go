package db

import (
	"context"
	"fmt"
	"time"

	"gorm.io/gorm"

	"socialqueue/models"
)

// Reauthorize records that the platform permanently refused an account's token. It defers
// the first batch of the due posts to until, or until the account is connected again, with
// the reason in their timelines; DeferPosts handles the rest. refused is the token that was
// refused: if the account has another one by now, Reauthorize changes nothing and returns
// ErrStale. Calling it twice is not an error.
func (s *Connections) Reauthorize(ctx context.Context, e Deactivation, refused Refused, until, now time.Time) error {
	return s.orm.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		set := map[string]any{"status": models.AccountReauthorize, "status_reason": e.Reason, "updated_at": now}
		if !e.Platform.BehindLogin() {
			set["upkeep_at"], set["refresh_lease_until"], set["refresh_unsettled"] = nil, nil, false
		}
		before, err := e.lockedStatus(tx)
		if err != nil {
			return err
		}
		res := refused.narrow(e.rows(tx)).Where("status <> ?", models.AccountDisconnected).UpdateColumns(set)
		if err := changedOne(res, fmt.Sprintf("mark %s account %d", e.Platform, e.AccountID)); err != nil {
			return err
		}
		if before == models.AccountActive {
			if err := e.emit(tx, models.EventAccountReauthorize, now); err != nil {
				return err
			}
		}
		return s.changeFirst(tx, deferChange(e, until, now))
	})
}

// DeferPosts defers the due posts of an account that has to be connected again. A post that
// it misses is deferred by its next run.
func (s *Connections) DeferPosts(ctx context.Context, e Deactivation, until, now time.Time) error {
	return s.changeWhile(ctx, e, models.AccountReauthorize, deferChange(e, until, now))
}

// Refused identifies the token that a platform refused: by its encrypted value, or, if
// Sealed is empty, by the fence of the refused refresh.
type Refused struct {
	Fence  int64
	Sealed string
}

func (r Refused) narrow(q *gorm.DB) *gorm.DB {
	if r.Sealed != "" {
		return q.Where("access_token = ?", r.Sealed)
	}
	return q.Where("refresh_fence = ?", r.Fence)
}

// Disconnect disconnects an account and cancels the first batch of the posts whose sending
// has not begun, with the reason in their timelines. An account that is already
// disconnected stays as it is.
//
// Disconnect returns the id of the row whose tokens have to be revoked: the account's, or
// its login's. The maintenance of that row is due at once; it revokes the tokens if they
// are no longer needed, and cancels the rest of the posts (FinishDisconnect). Until then
// the tokens stay in the row, encrypted.
func (s *Connections) Disconnect(ctx context.Context, e Deactivation, now time.Time) (login int64, err error) {
	err = s.orm.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		if login, err = lockLogin(tx, e); err != nil {
			return err
		}
		before, err := e.lockedStatus(tx)
		if err != nil {
			return err
		}
		if err := disconnectAccount(tx, e, login, now); err != nil {
			return err
		}
		if before != models.AccountDisconnected {
			if err := e.emit(tx, models.EventAccountDisconnected, now); err != nil {
				return err
			}
		}
		return s.changeFirst(tx, cancelChanges(e, now)...)
	})
	return login, err
}

// FinishDisconnect cancels the rest of the posts of a row's disconnected accounts. note
// turns an account's status reason into the message for the timelines. After an error
// FinishDisconnect can be called again.
func (s *Connections) FinishDisconnect(ctx context.Context, a *models.OAuthAccount, note func(reason string) string, now time.Time) error {
	var disconnected []Deactivation
	if !a.Provider.BehindLogin() && a.Status == models.AccountDisconnected {
		disconnected = append(disconnected, Deactivation{Platform: a.Provider, AccountID: a.ID, Reason: a.StatusReason, Note: note(a.StatusReason)})
	}
	var gone []models.InstagramAccount
	err := s.orm.WithContext(ctx).Where("oauth_account_id = ? AND status = ?", a.ID, models.AccountDisconnected).Find(&gone).Error
	if err != nil {
		return fmt.Errorf("list the disconnected accounts of login %d: %w", a.ID, err)
	}
	for _, ig := range gone {
		disconnected = append(disconnected, Deactivation{Platform: ig.Platform(), AccountID: ig.ID, Reason: ig.StatusReason, Note: note(ig.StatusReason)})
	}
	for _, e := range disconnected {
		if err := s.changeWhile(ctx, e, models.AccountDisconnected, cancelChanges(e, now)...); err != nil {
			return err
		}
	}
	return nil
}

// ForgetTokens deletes the tokens of a disconnected account after they were revoked or
// found invalid. It changes nothing if the account has other tokens by now.
func (s *Connections) ForgetTokens(ctx context.Context, a *models.OAuthAccount) error {
	err := forgetTokens(s.orm.WithContext(ctx).Where("refresh_fence = ?", a.RefreshFence), a.ID, nil)
	if err != nil {
		return fmt.Errorf("delete the tokens of account %d: %w", a.ID, err)
	}
	return nil
}

func forgetTokens(tx *gorm.DB, id int64, maintenance *time.Time) error {
	return tx.Model(&models.OAuthAccount{}).Where("id = ? AND status = ?", id, models.AccountDisconnected).
		UpdateColumns(map[string]any{"access_token": "", "refresh_token": nil, "upkeep_at": maintenance, "refresh_failures": 0}).Error
}

// Deauthorize disconnects a TikTok account, or a Facebook login with all its accounts, after
// the owner withdrew the consent at the platform at that time. The tokens no longer work
// and are deleted at once; the maintenance that is then due cancels the posts. It reports
// false, and changes nothing, if the owner has consented again since. Calling it twice is
// not an error.
func (s *Connections) Deauthorize(ctx context.Context, id int64, reason string, at, now time.Time) (ended bool, err error) {
	var a models.OAuthAccount
	err = s.orm.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		if err := lockOAuthAccount(tx, id, &a); err != nil {
			return err
		}
		if ended = !a.ConnectedSince(at); !ended {
			return nil
		}
		return deauthorize(tx, &a, Deactivation{Reason: reason}, now)
	})
	return ended, err
}

// deauthorize disconnects a row that the caller has locked, with the accounts behind it,
// and stores their events. It leaves the posts to the maintenance.
func deauthorize(tx *gorm.DB, a *models.OAuthAccount, how Deactivation, now time.Time) error {
	gone, err := connectedThrough(tx, a)
	if err != nil {
		return err
	}
	if err := disconnectAll(tx, a, how.Reason, now); err != nil {
		return err
	}
	for _, e := range gone {
		e.anonymous = how.anonymous
		if err := e.emit(tx, models.EventAccountDisconnected, now); err != nil {
			return err
		}
	}
	return nil
}

// connectedThrough lists the accounts of a row that are not disconnected: the row itself or
// the accounts behind it.
func connectedThrough(tx *gorm.DB, a *models.OAuthAccount) ([]Deactivation, error) {
	if !a.Provider.BehindLogin() {
		if a.Status == models.AccountDisconnected {
			return nil, nil
		}
		return []Deactivation{{Platform: a.Provider, AccountID: a.ID}}, nil
	}
	var ids []int64
	err := tx.Model(&models.InstagramAccount{}).Where("oauth_account_id = ? AND status <> ?", a.ID, models.AccountDisconnected).
		Order("id").Pluck("id", &ids).Error
	if err != nil {
		return nil, fmt.Errorf("list the accounts of login %d: %w", a.ID, err)
	}
	connected := make([]Deactivation, len(ids))
	for i, id := range ids {
		connected[i] = Deactivation{Platform: a.Provider, AccountID: id}
	}
	return connected, nil
}

// disconnectAll disconnects a row and the accounts behind it, and deletes their tokens.
func disconnectAll(tx *gorm.DB, a *models.OAuthAccount, reason string, now time.Time) error {
	err := tx.Model(&models.InstagramAccount{}).Where("oauth_account_id = ? AND status <> ?", a.ID, models.AccountDisconnected).
		UpdateColumns(map[string]any{"status": models.AccountDisconnected, "status_reason": reason, "access_token": "", "updated_at": now}).Error
	if err != nil {
		return fmt.Errorf("disconnect the accounts of login %d: %w", a.ID, err)
	}
	if _, err := disconnectLogin(tx, a.ID, reason, now); err != nil {
		return err
	}
	if err := forgetTokens(tx, a.ID, &now); err != nil { // the maintenance cancels the posts
		return fmt.Errorf("delete the tokens of account %d: %w", a.ID, err)
	}
	return nil
}
