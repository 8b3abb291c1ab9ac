// Package tenants holds the use cases of apps, the tenants of an installation: their
// API keys, their users, and the idempotency keys of their requests.
package tenants

import (
	"context"
	"errors"
	"time"

	"github.com/sirupsen/logrus"

	"socialqueue/db"
	"socialqueue/models"
	"socialqueue/secrets"
)

// Deps holds the dependencies of a Service.
type Deps struct {
	DB *db.DB
	// Log may be nil in a process that does not authenticate.
	Log logrus.FieldLogger
	Now func() time.Time
}

// Service implements the use cases of apps. It is safe for concurrent use.
type Service struct {
	Deps
	keys  *keyCache
	usage usage
}

// New returns a Service.
func New(deps Deps) *Service {
	now := deps.Now
	deps.Now = func() time.Time { return models.Time(now()) }
	return &Service{Deps: deps, keys: newKeyCache(&deps)}
}

// CreateApp stores an app with its first API key. The key cannot be read again: only its
// hash is stored.
func (s *Service) CreateApp(ctx context.Context, name string) (appID int64, key secrets.Secret, err error) {
	key, row := s.newKey()
	app := &models.App{Name: name, CreatedAt: row.CreatedAt}
	if err := s.DB.Tenants.CreateApp(ctx, app, row); err != nil {
		return 0, "", err
	}
	return app.ID, key, nil
}

// CreateKey stores another API key of an app and returns it. It cannot be read again.
func (s *Service) CreateKey(ctx context.Context, appID int64) (secrets.Secret, error) {
	key, row := s.newKey()
	row.AppID = appID
	return key, s.DB.Tenants.CreateKey(ctx, row)
}

func (s *Service) newKey() (secrets.Secret, *models.APIKey) {
	key, prefix, hash := generateKey()
	return key, &models.APIKey{Prefix: prefix, Hash: hash, CreatedAt: s.Now()}
}

// RevokeKey revokes the key with a prefix. Running processes refuse it within two seconds.
// It returns models.ErrNotFound if no active key has that prefix.
func (s *Service) RevokeKey(ctx context.Context, prefix string) error {
	return s.DB.Tenants.RevokeKey(ctx, prefix, s.Now())
}

// EnsureUser stores a user of an app, or finds the one with the same external id. It
// reports whether it stored one. email may be empty. It returns *models.QuotaError if the app
// may have no more users.
func (s *Service) EnsureUser(ctx context.Context, appID int64, externalID, email string) (user *models.User, created bool, err error) {
	now := s.Now()
	user = &models.User{AppID: appID, ExternalID: externalID, CreatedAt: now, UpdatedAt: now}
	if email != "" {
		user.Email = &email
	}
	if err := s.Reserve(ctx, appID, models.QuotaUsers, 1); err != nil {
		return s.knownUser(ctx, appID, externalID, err)
	}
	created, err = s.DB.Tenants.EnsureUser(ctx, user)
	return user, created, err
}

// knownUser returns the user of an app that may have no more users, or refused if it is not
// one of them.
func (s *Service) knownUser(ctx context.Context, appID int64, externalID string, refused error) (*models.User, bool, error) {
	if _, full := errors.AsType[*models.QuotaError](refused); !full {
		return nil, false, refused
	}
	user, err := s.DB.Tenants.UserByExternalID(ctx, appID, externalID)
	if errors.Is(err, models.ErrNotFound) {
		err = refused
	}
	return user, false, err
}
