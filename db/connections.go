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

// Connections stores how accounts are connected, disconnected and erased.
type Connections struct{ conn }

// AllowReturn registers a host as a redirect target for an app's users. Registering it
// twice is not an error.
func (s *Connections) AllowReturn(ctx context.Context, h models.ReturnHost) error {
	err := s.translate(s.orm.WithContext(ctx).Clauses(clause.OnConflict{DoNothing: true}).Create(&h).Error)
	if errors.Is(err, gorm.ErrForeignKeyViolated) {
		return fmt.Errorf("app %d: %w", h.AppID, ErrNotFound)
	}
	if err != nil {
		return fmt.Errorf("store return host: %w", err)
	}
	return nil
}

// MayReturn reports whether an app registered a host.
func (s *Connections) MayReturn(ctx context.Context, appID int64, host string) (bool, error) {
	var n int64
	err := s.orm.WithContext(ctx).Model(&models.ReturnHost{}).Where("app_id = ? AND host = ?", appID, host).Count(&n).Error
	if err != nil {
		return false, fmt.Errorf("look up return host: %w", err)
	}
	return n > 0, nil
}

var (
	// ErrErasing means that the account's data is being deleted, as its owner requested.
	ErrErasing = errors.New("the account's data is being deleted; connect it again in a minute")
	// ErrNoAccounts means that a Facebook login has no Instagram account to connect.
	ErrNoAccounts = errors.New("the login has no Instagram account that can be connected")
)

// Connection is the result of a consent.
type Connection struct {
	Account *models.OAuthAccount
	// Pages are the Pages of a Facebook login.
	Pages []PageConnection
	// LeftReason is the status reason for logins whose accounts are now reached through
	// this one.
	LeftReason string
}

// PageConnection is a Page with its Instagram account. Instagram is nil if there is none to
// publish to; Page.Reason then says why.
type PageConnection struct {
	Page      models.FacebookPage
	Instagram *models.InstagramAccount
}

// Connect stores a consent in one transaction. In the same transaction it makes the first
// batch of the posts due that waited for it; WakeConnected handles the rest. An account
// that was connected before keeps its id, posts and history, and empty values do not
// overwrite stored ones.
//
// On return c holds the rows as they are stored. An Instagram account that another user
// has connected is left out, and its Page's reason says so. If no account is left, Connect
// returns ErrNoAccounts and stores nothing.
func (s *Connections) Connect(ctx context.Context, c *Connection, now time.Time) error {
	work := c.clone() // the transaction fills in ids, and the caller retries it after a failed commit
	err := s.orm.WithContext(ctx).Transaction(func(tx *gorm.DB) error { return s.connect(tx, work, now) })
	if err != nil && !errors.Is(err, ErrNoAccounts) {
		return err
	}
	*c = *work
	return err
}

// WakeConnected makes the rest of the posts due that waited for the accounts of a
// connection. After an error it can be called again.
func (s *Connections) WakeConnected(ctx context.Context, c *Connection, now time.Time) error {
	return s.changeAll(ctx, c.wakeChange(now))
}
