package db

import (
	"context"
	"fmt"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"socialqueue/models"
)

// Subscriptions stores to which Pages' webhooks the app is subscribed.
type Subscriptions struct{ conn }

// unsubscribed matches the Pages whose accounts are active and send no webhooks. A Page that
// an account was reached through before does not count.
const unsubscribed = `facebook_pages.subscribed_at IS NULL AND facebook_pages.instagram_account_id IS NOT NULL AND EXISTS (SELECT 1 FROM instagram_accounts i
	WHERE i.id = facebook_pages.instagram_account_id AND i.oauth_account_id = facebook_pages.oauth_account_id
	AND i.page_id = facebook_pages.page_id AND i.status = 'active')`

const subscriptionDue = unsubscribed + ` AND (facebook_pages.subscribe_at IS NULL OR facebook_pages.subscribe_at <= ?)`

// MakeDue makes the maintenance due of logins with Pages that the app has yet to subscribe to.
// It leaves out logins whose maintenance is due until soon anyway, or whose next refresh is
// scheduled after a failed one. It considers limit Pages.
func (s *Subscriptions) MakeDue(ctx context.Context, now, soon time.Time, limit int) error {
	err := s.orm.WithContext(ctx).Exec(`UPDATE oauth_accounts SET upkeep_at = ? WHERE id IN (
		SELECT facebook_pages.oauth_account_id FROM facebook_pages JOIN oauth_accounts login ON login.id = facebook_pages.oauth_account_id
		WHERE login.status <> 'disconnected' AND login.refresh_failures = 0 AND (login.upkeep_at IS NULL OR login.upkeep_at > ?) AND `+subscriptionDue+` LIMIT ?)`,
		now, soon, now, limit).Error
	return wrap(err, "schedule the subscriptions of Pages")
}

// Claim returns the accounts of a login whose Pages the app has to subscribe to now. They are
// due again at next, whatever becomes of the caller, and nobody else tries them until then.
func (s *Subscriptions) Claim(ctx context.Context, loginID int64, now, next time.Time) ([]models.InstagramAccount, error) {
	var pages []models.FacebookPage
	err := s.orm.WithContext(ctx).Model(&pages).Clauses(clause.Returning{}).
		Where("oauth_account_id = ? AND "+subscriptionDue, loginID, now).UpdateColumns(map[string]any{"subscribe_at": next}).Error
	if err != nil || len(pages) == 0 {
		return nil, wrap(err, "claim the subscriptions of login %d", loginID)
	}
	ids := make([]int64, len(pages))
	for i, p := range pages {
		ids[i] = *p.InstagramAccountID
	}
	var accounts []models.InstagramAccount
	err = s.orm.WithContext(ctx).Where("id IN ?", ids).Order("id").Find(&accounts).Error
	return accounts, wrap(err, "read the accounts to subscribe of login %d", loginID)
}

// Record stores the results of calls for Pages: SubscribedAt, or SubscribeAt and
// SubscriptionError. It changes nothing at a Page that was subscribed meanwhile, or that the
// login no longer has.
func (s *Subscriptions) Record(ctx context.Context, results []models.FacebookPage) error {
	return s.orm.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		for _, p := range results {
			err := tx.Model(&p).Where("subscribed_at IS NULL").
				Select("subscribed_at", "subscribe_at", "subscription_error").UpdateColumns(&p).Error
			if err != nil {
				return fmt.Errorf("store the subscription to Page %s: %w", p.PageID, err)
			}
		}
		return nil
	})
}

// Unsubscribed is a connected account that sends no webhooks.
type Unsubscribed struct {
	Username string
	// Reason is empty if nothing was tried yet.
	Reason string `gorm:"column:subscription_error"`
}

// Missing counts the connected accounts that send no webhooks because the app is not
// subscribed to their Page, and returns the first of them.
func (s *Subscriptions) Missing(ctx context.Context, limit int) (n int64, examples []Unsubscribed, err error) {
	missing := s.orm.WithContext(ctx).Model(&models.FacebookPage{}).Where(unsubscribed).Session(&gorm.Session{})
	if err := missing.Count(&n).Error; err != nil {
		return 0, nil, fmt.Errorf("count unsubscribed Pages: %w", err)
	}
	err = missing.
		Select("COALESCE(instagram_accounts.username, '') AS username, facebook_pages.subscription_error").
		Joins("JOIN instagram_accounts ON instagram_accounts.id = facebook_pages.instagram_account_id").
		Order("instagram_accounts.id").Limit(limit).Scan(&examples).Error
	return n, examples, wrap(err, "list unsubscribed Pages")
}
