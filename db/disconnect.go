package db

import (
	"context"
	"fmt"
	"time"

	"gorm.io/gorm"

	"socialqueue/models"
)

// Reauthorize notes that the platform refused an account's token for good, and
// puts the first of its due posts off, each with the reason in its timeline, until
// that time or until the account is connected again. PutOff sees to the rest.
// refused narrows the write to the token that was refused, so that an account which
// got a new one meanwhile stays as it is; then the answer is ErrStale. Doing it
// twice is no error.
func (s *Connections) Reauthorize(ctx context.Context, e Ending, refused Refused, until, now time.Time) error {
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
			if err := e.tell(tx, models.EventAccountReauthorize, now); err != nil {
				return err
			}
		}
		return s.changeFirst(tx, deferring(e, until, now))
	})
}

// PutOff puts the due posts of an account off that has to be connected again. A
// post that this does not reach finds out by itself.
func (s *Connections) PutOff(ctx context.Context, e Ending, until, now time.Time) error {
	return s.changeWhile(ctx, e, models.AccountReauthorize, deferring(e, until, now))
}

// Refused names the token that a platform refused: by the fence of the refresh
// that was refused, or else as it is sealed.
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

// Disconnect ends an account for good and cancels the first of the posts whose
// sending has not begun, each with the reason in its timeline. An account that is
// disconnected already stays as it is.
//
// The tokens of a TikTok account, and those of a Facebook login with its last
// account, stay sealed in the row until they are revoked. The upkeep of that row,
// whose id is returned, is due at once: it revokes, and sees to the rest of the
// posts (FinishEnding).
func (s *Connections) Disconnect(ctx context.Context, e Ending, now time.Time) (login int64, err error) {
	err = s.orm.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		if login, err = lockLogin(tx, e); err != nil {
			return err
		}
		before, err := e.lockedStatus(tx)
		if err != nil {
			return err
		}
		if err := end(tx, e, login, now); err != nil {
			return err
		}
		if before != models.AccountDisconnected {
			if err := e.tell(tx, models.EventAccountDisconnected, now); err != nil {
				return err
			}
		}
		return s.changeFirst(tx, canceling(e, now)...)
	})
	return login, err
}

// FinishEnding cancels the rest of the posts of a row's disconnected accounts. note
// makes the message in their timelines from the reason of their account. FinishEnding
// may be cut off and called again.
func (s *Connections) FinishEnding(ctx context.Context, a *models.OAuthAccount, note func(reason string) string, now time.Time) error {
	var endings []Ending
	if !a.Provider.BehindLogin() && a.Status == models.AccountDisconnected {
		endings = append(endings, Ending{Platform: a.Provider, AccountID: a.ID, Reason: a.StatusReason, Note: note(a.StatusReason)})
	}
	var gone []models.InstagramAccount
	err := s.orm.WithContext(ctx).Where("oauth_account_id = ? AND status = ?", a.ID, models.AccountDisconnected).Find(&gone).Error
	if err != nil {
		return fmt.Errorf("list the disconnected accounts of login %d: %w", a.ID, err)
	}
	for _, ig := range gone {
		endings = append(endings, Ending{Platform: ig.Platform(), AccountID: ig.ID, Reason: ig.StatusReason, Note: note(ig.StatusReason)})
	}
	for _, e := range endings {
		if err := s.changeWhile(ctx, e, models.AccountDisconnected, canceling(e, now)...); err != nil {
			return err
		}
	}
	return nil
}

// ForgetTokens removes the tokens of a disconnected account, which were revoked or
// are dead, unless it has others by now.
func (s *Connections) ForgetTokens(ctx context.Context, a *models.OAuthAccount) error {
	err := forgetTokens(s.orm.WithContext(ctx).Where("refresh_fence = ?", a.RefreshFence), a.ID, nil)
	if err != nil {
		return fmt.Errorf("forget the tokens of account %d: %w", a.ID, err)
	}
	return nil
}

func forgetTokens(tx *gorm.DB, id int64, upkeep *time.Time) error {
	return tx.Model(&models.OAuthAccount{}).Where("id = ? AND status = ?", id, models.AccountDisconnected).
		UpdateColumns(map[string]any{"access_token": "", "refresh_token": nil, "upkeep_at": upkeep, "refresh_failures": 0}).Error
}

// Deauthorize ends a TikTok account, or a Facebook login with all its accounts,
// whose owner withdrew the consent at the platform at that time: its tokens are
// dead and go at once, and the posts with the upkeep that is due. It reports false
// if the owner consented again since. Doing it twice is no error.
func (s *Connections) Deauthorize(ctx context.Context, id int64, reason string, at, now time.Time) (ended bool, err error) {
	var a models.OAuthAccount
	err = s.orm.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		if err := lockOAuthAccount(tx, id, &a); err != nil {
			return err
		}
		if ended = !a.ConnectedSince(at); !ended {
			return nil
		}
		return deauthorize(tx, &a, Ending{Reason: reason}, now)
	})
	return ended, err
}

// deauthorize writes the end of a row that the caller has locked, and tells of it.
// how is how its accounts end. The posts follow.
func deauthorize(tx *gorm.DB, a *models.OAuthAccount, how Ending, now time.Time) error {
	gone, err := connectedThrough(tx, a)
	if err != nil {
		return err
	}
	if err := endAll(tx, a, how.Reason, now); err != nil {
		return err
	}
	for _, e := range gone {
		e.anonymous = how.anonymous
		if err := e.tell(tx, models.EventAccountDisconnected, now); err != nil {
			return err
		}
	}
	return nil
}

// connectedThrough lists the accounts, as the API names them, that a row reaches
// and that are not disconnected.
func connectedThrough(tx *gorm.DB, a *models.OAuthAccount) ([]Ending, error) {
	if !a.Provider.BehindLogin() {
		if a.Status == models.AccountDisconnected {
			return nil, nil
		}
		return []Ending{{Platform: a.Provider, AccountID: a.ID}}, nil
	}
	var ids []int64
	err := tx.Model(&models.InstagramAccount{}).Where("oauth_account_id = ? AND status <> ?", a.ID, models.AccountDisconnected).
		Order("id").Pluck("id", &ids).Error
	if err != nil {
		return nil, fmt.Errorf("list the accounts of login %d: %w", a.ID, err)
	}
	endings := make([]Ending, len(ids))
	for i, id := range ids {
		endings[i] = Ending{Platform: a.Provider, AccountID: id}
	}
	return endings, nil
}

// endAll writes the end of a row and of the accounts behind it.
func endAll(tx *gorm.DB, a *models.OAuthAccount, reason string, now time.Time) error {
	err := tx.Model(&models.InstagramAccount{}).Where("oauth_account_id = ? AND status <> ?", a.ID, models.AccountDisconnected).
		UpdateColumns(map[string]any{"status": models.AccountDisconnected, "status_reason": reason, "access_token": "", "updated_at": now}).Error
	if err != nil {
		return fmt.Errorf("disconnect the accounts of login %d: %w", a.ID, err)
	}
	if _, err := endLogin(tx, a.ID, reason, now); err != nil {
		return err
	}
	if err := forgetTokens(tx, a.ID, &now); err != nil { // the upkeep that is due finishes with the posts
		return fmt.Errorf("forget the tokens of account %d: %w", a.ID, err)
	}
	return nil
}
