package db

import (
	"context"
	"errors"
	"fmt"
	"time"

	"gorm.io/gorm"

	"socialqueue/models"
)

// CreateApp stores an app and its first API key together.
func (d *DB) CreateApp(ctx context.Context, app *models.App, key *models.APIKey) error {
	err := d.orm.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		if err := tx.Create(app).Error; err != nil {
			return err
		}
		key.AppID = app.ID
		return tx.Create(key).Error
	})
	if err != nil {
		return fmt.Errorf("store app: %w", err)
	}
	return nil
}

// CreateKey stores a further API key of an app.
func (d *DB) CreateKey(ctx context.Context, key *models.APIKey) error {
	var app models.App
	if err := first(d.orm.WithContext(ctx).First(&app, key.AppID).Error, fmt.Sprintf("app %d", key.AppID)); err != nil {
		return err
	}
	if err := d.orm.WithContext(ctx).Create(key).Error; err != nil {
		return fmt.Errorf("store API key: %w", err)
	}
	return nil
}

// KeyByPrefix finds a key that is not revoked.
func (d *DB) KeyByPrefix(ctx context.Context, prefix string) (*models.APIKey, error) {
	var key models.APIKey
	err := d.orm.WithContext(ctx).Where("prefix = ? AND revoked_at IS NULL", prefix).Take(&key).Error
	return &key, first(err, "API key")
}

// TouchKey notes that a key was used.
func (d *DB) TouchKey(ctx context.Context, id int64, now time.Time) error {
	err := d.orm.WithContext(ctx).Model(&models.APIKey{}).Where("id = ?", id).Update("last_used_at", now).Error
	if err != nil {
		return fmt.Errorf("note the use of API key %d: %w", id, err)
	}
	return nil
}

// RevokeKey ends a key. It returns ErrNotFound if there is no live one with
// that prefix.
func (d *DB) RevokeKey(ctx context.Context, prefix string, now time.Time) error {
	res := d.orm.WithContext(ctx).Model(&models.APIKey{}).
		Where("prefix = ? AND revoked_at IS NULL", prefix).Update("revoked_at", now)
	if res.Error != nil {
		return fmt.Errorf("revoke API key: %w", res.Error)
	}
	if res.RowsAffected == 0 {
		return fmt.Errorf("API key %s: %w", prefix, ErrNotFound)
	}
	return nil
}

// EnsureUser stores a user, or finds the app's user with the same external id.
// It tells which of the two it did.
func (d *DB) EnsureUser(ctx context.Context, user *models.User) (created bool, err error) {
	err = d.orm.WithContext(ctx).Create(user).Error
	if err == nil {
		return true, nil
	}
	if !errors.Is(err, gorm.ErrDuplicatedKey) {
		return false, fmt.Errorf("store user: %w", err)
	}
	var found models.User
	err = d.orm.WithContext(ctx).Where("app_id = ? AND external_id = ?", user.AppID, user.ExternalID).Take(&found).Error
	*user = found
	return false, first(err, "user")
}

// User finds a user of an app.
func (d *DB) User(ctx context.Context, appID, id int64) (*models.User, error) {
	var user models.User
	err := d.orm.WithContext(ctx).Where("app_id = ? AND id = ?", appID, id).Take(&user).Error
	return &user, first(err, fmt.Sprintf("user %d", id))
}
