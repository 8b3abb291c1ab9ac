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

// AllowReturn registers a host that an app's users may be sent back to.
// Registering it again is no error.
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
	// ErrErasing: the account's data is being deleted at its owner's wish.
	ErrErasing = errors.New("the account's data is being deleted; connect it again in a minute")
	// ErrNoAccounts: a Facebook login has no Instagram account that it may connect.
	ErrNoAccounts = errors.New("the login shows no Instagram account that can be connected")
)

// Connection is what a consent brought.
type Connection struct {
	Account *models.OAuthAccount
	// Pages are those of a Facebook login.
	Pages []PageConnection
	// LeftReason is the status reason of a login whose accounts this one reaches now.
	LeftReason string
}

// PageConnection is a Page with the Instagram account behind it; that is nil
// where Page.Reason says why there is none to post to.
type PageConnection struct {
	Page      models.FacebookPage
	Instagram *models.InstagramAccount
}

// Connect stores a consent in one transaction: the tokens, and that the first of
// the posts which waited for them go on; WakeConnected sees to the rest. Accounts
// that are known keep their ids, posts and history, and nothing that is known of
// them is overwritten by something empty.
//
// On return c holds the rows as they are stored; an Instagram account that
// another user holds is left out and its Page says so. If none is left the answer
// is ErrNoAccounts, and nothing is stored.
func (s *Connections) Connect(ctx context.Context, c *Connection, now time.Time) error {
	work := c.clone() // ids are filled in, and a connect whose commit failed is tried again
	err := s.orm.WithContext(ctx).Transaction(func(tx *gorm.DB) error { return s.connect(tx, work, now) })
	if err != nil && !errors.Is(err, ErrNoAccounts) {
		return err
	}
	*c = *work
	return err
}

// WakeConnected lets the rest of the posts go on that waited for the accounts of a
// connection. It may be cut off and called again.
func (s *Connections) WakeConnected(ctx context.Context, c *Connection, now time.Time) error {
	return s.changeRest(ctx, c.waking(now))
}
