package app

import (
	"context"
	"time"

	"socialqueue/apikey"
	"socialqueue/db"
	"socialqueue/models"
	"socialqueue/secrets"
)

// CreateApp makes a tenant with its first API key. The key is shown this one
// time: only its hash is stored.
func CreateApp(ctx context.Context, d *db.DB, name string) (appID int64, key secrets.Secret, err error) {
	now := models.Time(time.Now())
	key, row := newKey(now)
	tenant := &models.App{Name: name, CreatedAt: now}
	if err := d.Tenants.CreateApp(ctx, tenant, row); err != nil {
		return 0, "", err
	}
	return tenant.ID, key, nil
}

// CreateKey makes a further API key of a tenant.
func CreateKey(ctx context.Context, d *db.DB, appID int64) (secrets.Secret, error) {
	key, row := newKey(models.Time(time.Now()))
	row.AppID = appID
	return key, d.Tenants.CreateKey(ctx, row)
}

func newKey(now time.Time) (secrets.Secret, *models.APIKey) {
	key, prefix, hash := apikey.Generate()
	return key, &models.APIKey{Prefix: prefix, Hash: hash, CreatedAt: now}
}

// AllowReturn lets the users of a tenant be sent back to a host after they
// connected an account.
func (a *AllInOne) AllowReturn(ctx context.Context, appID int64, host string) error {
	return a.tokens.AllowReturn(ctx, appID, host)
}

// CreateApp makes a tenant in the process's own database.
func (a *AllInOne) CreateApp(ctx context.Context, name string) (appID int64, key secrets.Secret, err error) {
	return CreateApp(ctx, a.db, name)
}
