package app

import (
	"context"

	"socialqueue/secrets"
)

// AllowReturn lets the users of a tenant be sent back to a host after they
// connected an account.
func (a *AllInOne) AllowReturn(ctx context.Context, appID int64, host string) error {
	return a.tokens.AllowReturn(ctx, appID, host)
}

// CreateApp makes a tenant in the process's own database.
func (a *AllInOne) CreateApp(ctx context.Context, name string) (appID int64, key secrets.Secret, err error) {
	return a.tenants.CreateApp(ctx, name)
}
