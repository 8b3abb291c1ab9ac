package db

import (
	"context"
	"fmt"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"socialqueue/models"
)

// eventBatch is how many timeline entries go into one statement.
const eventBatch = 500

// Ending is how an account stops being able to post.
type Ending struct {
	Platform models.Platform
	// AccountID is the account as the API names it.
	AccountID int64
	// Reason is told in the account and in the timelines of its posts.
	Reason string
}

func (e Ending) lane() string { return models.Lane(e.Platform, e.AccountID) }

func (e Ending) rows(tx *gorm.DB) *gorm.DB {
	if e.Platform == models.Instagram {
		return tx.Model(&models.InstagramAccount{}).Where("id = ?", e.AccountID)
	}
	return tx.Model(&models.OAuthAccount{}).Where("id = ?", e.AccountID)
}

// Reauthorize notes that the platform refused an account's token for good. In
// the same transaction its due posts are put off, each with the reason in its
// timeline, until that time or until the account is connected again. stillRefused
// narrows the write to the token that was refused, so that an account which got
// a new one meanwhile stays as it is; then the answer is ErrStale.
func (d *DB) Reauthorize(ctx context.Context, e Ending, stillRefused Refused, until, now time.Time) error {
	return d.orm.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		set := map[string]any{"status": models.AccountReauthorize, "status_reason": e.Reason, "updated_at": now}
		if e.Platform == models.TikTok {
			set["upkeep_at"], set["refresh_lease_until"], set["refresh_unsettled"] = nil, nil, false
		}
		res := stillRefused.narrow(e.rows(tx)).Where("status = ?", models.AccountActive).UpdateColumns(set)
		if err := changedOne(res, fmt.Sprintf("mark %s account %d", e.Platform, e.AccountID)); err != nil {
			return err
		}
		return deferLane(tx, e, until, now)
	})
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

// laneChange is a post of a lane that was changed behind its back.
type laneChange struct {
	ID    string
	Fence int64
}

// deferLane puts off the posts of a lane that are due and that no worker has.
func deferLane(tx *gorm.DB, e Ending, until, now time.Time) error {
	var changed []laneChange
	err := tx.Raw(`
		UPDATE posts SET admission = 'waiting', enqueued_at = NULL, run_at = @until, deferred_until = @until, deferred_reason = @reason,
			fence = fence + 1, updated_at = @now
		WHERE lane = @lane AND status = 'queued' AND lease_until IS NULL
		RETURNING id, fence`,
		map[string]any{"lane": e.lane(), "until": until, "reason": models.DeferredReauthorize, "now": now}).Scan(&changed).Error
	if err != nil {
		return fmt.Errorf("put off the posts of %s: %w", e.lane(), err)
	}
	return noteChanges(tx, changed, models.PostEvent{
		At: now, Type: models.EventNote, Message: "waits until the account is connected again: " + e.Reason,
	})
}

// noteChanges writes the same entry into the timeline of every changed post.
func noteChanges(tx *gorm.DB, changed []laneChange, entry models.PostEvent) error {
	events := make([]models.PostEvent, len(changed))
	for i, c := range changed {
		events[i] = entry
		events[i].PostID, events[i].Fence = c.ID, c.Fence
	}
	if len(events) == 0 {
		return nil
	}
	if err := tx.CreateInBatches(&events, eventBatch).Error; err != nil {
		return fmt.Errorf("write timelines: %w", err)
	}
	return nil
}

// Disconnect ends an account for good and cancels the posts whose sending has
// not begun, each with the reason in its timeline, in one transaction. An account
// that is disconnected already stays as it is.
//
// The tokens of a TikTok account, and those of a Facebook login with its last
// account, stay sealed in the row until they are revoked: the upkeep that does so
// is due at once. The login's id is returned then, else 0.
func (d *DB) Disconnect(ctx context.Context, e Ending, now time.Time) (toRevoke int64, err error) {
	err = d.orm.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		toRevoke, err = disconnect(tx, e, now)
		return err
	})
	return toRevoke, err
}

func disconnect(tx *gorm.DB, e Ending, now time.Time) (toRevoke int64, err error) {
	login, err := lockLogin(tx, e)
	if err != nil {
		return 0, err
	}
	set := map[string]any{"status": models.AccountDisconnected, "status_reason": e.Reason, "updated_at": now}
	if e.Platform == models.Instagram {
		set["access_token"] = ""
	} else {
		endLogin(set, now)
	}
	res := e.rows(tx).Where("status <> ?", models.AccountDisconnected).UpdateColumns(set)
	if res.Error != nil {
		return 0, fmt.Errorf("disconnect %s account %d: %w", e.Platform, e.AccountID, res.Error)
	}
	if err := cancelLane(tx, e, now); err != nil {
		return 0, err
	}
	switch {
	case res.RowsAffected == 0:
		return 0, nil
	case e.Platform == models.TikTok:
		return e.AccountID, nil
	}
	return endEmptyLogin(tx, login, e.Reason, now)
}

// lockLogin locks the row whose tokens reach an account, before anything else:
// of two that disconnect the last accounts of a login, one has to see it empty.
func lockLogin(tx *gorm.DB, e Ending) (id int64, err error) {
	id = e.AccountID
	if e.Platform == models.Instagram {
		var ig models.InstagramAccount
		if err := first(tx.Take(&ig, e.AccountID).Error, fmt.Sprintf("Instagram account %d", e.AccountID)); err != nil {
			return 0, err
		}
		id = ig.OAuthAccountID
	}
	var login models.OAuthAccount
	err = tx.Clauses(clause.Locking{Strength: clause.LockingStrengthUpdate}).Take(&login, id).Error
	return id, first(err, fmt.Sprintf("OAuth account %d", id))
}

// endLogin ends whatever is under way with the tokens of a row.
func endLogin(set map[string]any, now time.Time) {
	set["refresh_fence"], set["refresh_lease_until"], set["refresh_failures"] = gorm.Expr("refresh_fence + 1"), nil, 0
	set["refresh_unsettled"], set["upkeep_at"] = false, now
}

// endEmptyLogin ends a Facebook login if its last Instagram account is gone.
func endEmptyLogin(tx *gorm.DB, login int64, reason string, now time.Time) (toRevoke int64, err error) {
	set := map[string]any{"status": models.AccountDisconnected, "status_reason": reason, "updated_at": now}
	endLogin(set, now)
	res := tx.Model(&models.OAuthAccount{}).
		Where("id = ? AND status <> ?", login, models.AccountDisconnected).
		Where("NOT EXISTS (SELECT 1 FROM instagram_accounts i WHERE i.oauth_account_id = oauth_accounts.id AND i.status <> ?)", models.AccountDisconnected).
		UpdateColumns(set)
	if res.Error != nil {
		return 0, fmt.Errorf("disconnect login %d: %w", login, res.Error)
	}
	if res.RowsAffected == 0 {
		return 0, nil
	}
	return login, nil
}

// cancelLane cancels the posts of a lane whose sending has not begun.
func cancelLane(tx *gorm.DB, e Ending, now time.Time) error {
	for _, from := range []models.Status{models.Scheduled, models.Queued} {
		var changed []laneChange
		err := tx.Raw(`
			UPDATE posts SET status = 'canceled', admission = '', enqueued_at = NULL, run_at = NULL, deferred_until = NULL, deferred_reason = '',
				fence = fence + 1, updated_at = @now
			WHERE lane = @lane AND status = @from AND lease_until IS NULL
			RETURNING id, fence`,
			map[string]any{"lane": e.lane(), "from": from, "now": now}).Scan(&changed).Error
		if err != nil {
			return fmt.Errorf("cancel the posts of %s: %w", e.lane(), err)
		}
		err = noteChanges(tx, changed, models.PostEvent{
			At: now, Type: models.EventState, From: from, To: models.Canceled, Message: "canceled: " + e.Reason,
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// ForgetTokens removes the tokens of a disconnected account: they were revoked,
// or are dead.
func (d *DB) ForgetTokens(ctx context.Context, id int64) error {
	return forgetTokens(d.orm.WithContext(ctx), id)
}

func forgetTokens(tx *gorm.DB, id int64) error {
	err := tx.Model(&models.OAuthAccount{}).Where("id = ? AND status = ?", id, models.AccountDisconnected).
		UpdateColumns(map[string]any{"access_token": "", "refresh_token": nil, "upkeep_at": nil, "refresh_failures": 0}).Error
	if err != nil {
		return fmt.Errorf("forget the tokens of account %d: %w", id, err)
	}
	return nil
}

// Deauthorize ends a TikTok account, or a Facebook login with all its accounts,
// whose owner withdrew the consent at the platform: its tokens are dead and go
// at once.
func (d *DB) Deauthorize(ctx context.Context, account *models.OAuthAccount, reason string, now time.Time) error {
	return d.orm.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		return deauthorize(tx, account, reason, now)
	})
}

func deauthorize(tx *gorm.DB, account *models.OAuthAccount, reason string, now time.Time) error {
	endings := []Ending{{Platform: models.TikTok, AccountID: account.ID, Reason: reason}}
	if account.Provider == models.Instagram {
		var ids []int64
		if err := tx.Model(&models.InstagramAccount{}).Where("oauth_account_id = ?", account.ID).Pluck("id", &ids).Error; err != nil {
			return fmt.Errorf("list the accounts of login %d: %w", account.ID, err)
		}
		endings = endings[:0]
		for _, id := range ids {
			endings = append(endings, Ending{Platform: models.Instagram, AccountID: id, Reason: reason})
		}
	}
	for _, e := range endings {
		if _, err := disconnect(tx, e, now); err != nil {
			return err
		}
	}
	set := map[string]any{"status": models.AccountDisconnected, "status_reason": reason, "updated_at": now}
	endLogin(set, now)
	err := tx.Model(&models.OAuthAccount{}).Where("id = ? AND status <> ?", account.ID, models.AccountDisconnected).UpdateColumns(set).Error
	if err != nil {
		return fmt.Errorf("disconnect account %d: %w", account.ID, err)
	}
	return forgetTokens(tx, account.ID)
}
