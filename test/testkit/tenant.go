package testkit

import (
	"strings"
	"testing"
	"time"

	"socialqueue/db"
	"socialqueue/models"
	"socialqueue/oauth"
	"socialqueue/secrets"
	"socialqueue/tenants"
)

// Key is the encryption key of tests that need no other.
const Key = "0123456789abcdef0123456789abcdef"

// Keyring parses encryption keys as TOKEN_ENCRYPTION_KEY holds them.
func Keyring(t testing.TB, keys string) *secrets.Keyring {
	t.Helper()
	ring, err := secrets.ParseKeyring(keys)
	Must(t, err)
	return ring
}

// Tenant is an app with its API key and a user.
type Tenant struct {
	App    models.App
	User   models.User
	Key    secrets.Secret
	Prefix string // of Key
}

// NewTenant makes an app.
func NewTenant(t testing.TB, d *db.DB, name string, now time.Time) Tenant {
	t.Helper()
	id, key, err := tenants.New(tenants.Deps{DB: d, Now: func() time.Time { return now }}).CreateApp(t.Context(), name)
	Must(t, err)
	app := models.App{ID: id, Name: name, CreatedAt: now}
	return Tenant{App: app, User: NewUser(t, d, app, "u", now), Key: key, Prefix: strings.Split(key.Reveal(), "_")[1]}
}

// NewUser makes a user of an app.
func NewUser(t testing.TB, d *db.DB, app models.App, externalID string, now time.Time) models.User {
	t.Helper()
	user := models.User{AppID: app.ID, ExternalID: externalID, CreatedAt: now, UpdatedAt: now}
	_, err := d.Tenants.EnsureUser(t.Context(), &user)
	Must(t, err)
	return user
}

// Connect imports an account of the tenant and returns its id.
func (n Tenant) Connect(t testing.TB, accounts *oauth.Service, in oauth.Import) int64 {
	t.Helper()
	return Connect(t, accounts, n.User, in)
}

// Connect imports an account of a user and returns its id.
func Connect(t testing.TB, accounts *oauth.Service, user models.User, in oauth.Import) int64 {
	t.Helper()
	in.AppID, in.UserID = user.AppID, user.ID
	id, err := accounts.Import(t.Context(), in)
	Must(t, err)
	return id
}

// Importer returns a service that imports accounts and does nothing else.
func Importer(d *db.DB, keys *secrets.Keyring, now func() time.Time) *oauth.Service {
	return oauth.New(oauth.Deps{DB: d, Keys: keys, Now: now})
}
