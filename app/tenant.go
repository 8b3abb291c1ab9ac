package app

import (
	"context"

	"socialqueue/secrets"
)

// AllowReturn registers a host as a return address for the users of a tenant.
func (a *AllInOne) AllowReturn(ctx context.Context, appID int64, host string) error {
	return a.tokens.AllowReturn(ctx, appID, host)
}

// CreateApp creates a tenant in the process's own database.
func (a *AllInOne) CreateApp(ctx context.Context, name string) (appID int64, key secrets.Secret, err error) {
	return a.tenants.CreateApp(ctx, name)
}
