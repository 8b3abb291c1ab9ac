package db

import (
	"context"
	"errors"
	"fmt"
	"time"

	"gorm.io/gorm"

	"socialqueue/models"
)

// Tenants stores apps, their API keys, their users and their idempotency keys.
type Tenants struct{ conn }

// CreateApp stores an app and its first API key together.
func (s *Tenants) CreateApp(ctx context.Context, app *models.App, key *models.APIKey) error {
	err := s.orm.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
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

// Weight reads how many turns an app has where others have one. It returns ErrNotFound if there is
// no such app.
func (s *Tenants) Weight(ctx context.Context, appID int64) (int, error) {
	var app models.App
	err := first(s.orm.WithContext(ctx).First(&app, appID).Error, fmt.Sprintf("app %d", appID))
	return app.Weight, err
}

// SetWeight sets how many turns an app has where others have one. It returns ErrNotFound if there
// is no such app.
func (s *Tenants) SetWeight(ctx context.Context, appID int64, weight int) error {
	ok, err := changedAny(s.orm.WithContext(ctx).Model(&models.App{}).Where("id = ?", appID).Update("weight", weight), "set the weight of an app")
	if err == nil && !ok {
		err = fmt.Errorf("app %d: %w", appID, ErrNotFound)
	}
	return err
}

// CreateKey stores another API key of an app. It returns ErrNotFound if there is no such app.
func (s *Tenants) CreateKey(ctx context.Context, key *models.APIKey) error {
	var app models.App
	if err := first(s.orm.WithContext(ctx).First(&app, key.AppID).Error, fmt.Sprintf("app %d", key.AppID)); err != nil {
		return err
	}
	if err := s.orm.WithContext(ctx).Create(key).Error; err != nil {
		return fmt.Errorf("store API key: %w", err)
	}
	return nil
}

// KeyByPrefix reads a key that is not revoked. It returns ErrNotFound if there is none.
func (s *Tenants) KeyByPrefix(ctx context.Context, prefix string) (*models.APIKey, error) {
	var key models.APIKey
	err := s.orm.WithContext(ctx).Where("prefix = ? AND revoked_at IS NULL", prefix).Take(&key).Error
	return &key, first(err, "API key")
}

// TouchKey records when a key was last used.
func (s *Tenants) TouchKey(ctx context.Context, id int64, now time.Time) error {
	err := s.orm.WithContext(ctx).Model(&models.APIKey{}).Where("id = ?", id).Update("last_used_at", now).Error
	if err != nil {
		return fmt.Errorf("record the use of API key %d: %w", id, err)
	}
	return nil
}

// RevokeKey revokes the key with that prefix. It returns ErrNotFound if there is none, or if
// it is already revoked.
func (s *Tenants) RevokeKey(ctx context.Context, prefix string, now time.Time) error {
	res := s.orm.WithContext(ctx).Model(&models.APIKey{}).
		Where("prefix = ? AND revoked_at IS NULL", prefix).Update("revoked_at", now)
	ok, err := changedAny(res, "revoke API key")
	if err == nil && !ok {
		err = fmt.Errorf("API key %s: %w", prefix, ErrNotFound)
	}
	return err
}

// EnsureUser stores a user, or reads the app's user with the same external id into user. It
// reports whether it stored a new one.
func (s *Tenants) EnsureUser(ctx context.Context, user *models.User) (created bool, err error) {
	err = s.orm.WithContext(ctx).Create(user).Error
	if err == nil {
		return true, nil
	}
	if !errors.Is(err, gorm.ErrDuplicatedKey) {
		return false, fmt.Errorf("store user: %w", err)
	}
	found, err := s.UserByExternalID(ctx, user.AppID, user.ExternalID)
	*user = *found
	return false, err
}

// UserByExternalID reads a user of an app by the app's own id. It returns ErrNotFound if the
// app has no such user.
func (s *Tenants) UserByExternalID(ctx context.Context, appID int64, externalID string) (*models.User, error) {
	var user models.User
	err := s.orm.WithContext(ctx).Where("app_id = ? AND external_id = ?", appID, externalID).Take(&user).Error
	return &user, first(err, "user")
}

// User reads a user of an app. It returns ErrNotFound if the app has no such user.
func (s *Tenants) User(ctx context.Context, appID, id int64) (*models.User, error) {
	var user models.User
	err := s.orm.WithContext(ctx).Where("app_id = ? AND id = ?", appID, id).Take(&user).Error
	return &user, first(err, fmt.Sprintf("user %d", id))
}

// Apps returns the names of apps by id.
func (s *Tenants) Apps(ctx context.Context, ids []int64) (map[int64]string, error) {
	var apps []models.App
	if err := s.orm.WithContext(ctx).Where("id IN ?", ids).Find(&apps).Error; err != nil {
		return nil, fmt.Errorf("read the names of apps: %w", err)
	}
	names := make(map[int64]string, len(apps))
	for _, a := range apps {
		names[a.ID] = a.Name
	}
	return names, nil
}
