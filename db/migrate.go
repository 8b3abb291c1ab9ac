package db

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

//go:embed migrations
var migrations embed.FS

// ErrMigrationsMissing means that the schema is older than this program.
var ErrMigrationsMissing = errors.New("migrations are missing: run `socialqueue migrate`")

// Migrate upgrades the schema to this program's version and returns how many migrations it
// applied. Several processes may call it at once.
func (d *DB) Migrate(ctx context.Context) (applied int, err error) {
	provider, err := d.migrations()
	if err != nil {
		return 0, err
	}
	results, err := provider.Up(ctx)
	if err != nil {
		return 0, fmt.Errorf("migrate: %w", err)
	}
	return len(results), nil
}

// CheckMigrated returns ErrMigrationsMissing if migrations are pending.
func (d *DB) CheckMigrated(ctx context.Context) error {
	provider, err := d.migrations()
	if err != nil {
		return err
	}
	pending, err := provider.HasPending(ctx)
	if err != nil {
		return fmt.Errorf("read the schema's version: %w", err)
	}
	if pending {
		return ErrMigrationsMissing
	}
	return nil
}

func (d *DB) migrations() (*goose.Provider, error) {
	files, err := fs.Sub(migrations, "migrations/"+string(d.dialect))
	if err != nil {
		return nil, fmt.Errorf("find migrations: %w", err)
	}
	dialect, opts := goose.DialectSQLite3, []goose.ProviderOption{goose.WithDisableGlobalRegistry(true)}
	if d.dialect == Postgres {
		dialect = goose.DialectPostgres
		locker, err := lock.NewPostgresSessionLocker()
		if err != nil {
			return nil, fmt.Errorf("prepare the migration lock: %w", err)
		}
		opts = append(opts, goose.WithSessionLocker(locker))
	}
	provider, err := goose.NewProvider(dialect, d.sql, files, opts...)
	if err != nil {
		return nil, fmt.Errorf("prepare migrations: %w", err)
	}
	return provider, nil
}
