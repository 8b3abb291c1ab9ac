package db

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"time"

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
	provider, err := d.migrations(true)
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
	provider, err := d.migrations(false)
	if err != nil {
		return err
	}
	pending, err := provider.HasPending(ctx)
	if err != nil {
		return fmt.Errorf("read the schema's version: %w", noAnswer(err))
	}
	if pending {
		return ErrMigrationsMissing
	}
	return nil
}

// migrationRetry is how often a process asks whether another one has finished migrating.
const migrationRetry = time.Second

// migrations returns the migrations. If locked is set, only one process at a time applies them. The
// lock is a row, because a pooler may not keep a session for an advisory lock.
func (d *DB) migrations(locked bool) (*goose.Provider, error) {
	files, err := fs.Sub(migrations, "migrations/"+string(d.dialect))
	if err != nil {
		return nil, fmt.Errorf("find migrations: %w", err)
	}
	dialect, opts := goose.DialectSQLite3, []goose.ProviderOption{goose.WithDisableGlobalRegistry(true)}
	if d.dialect == Postgres {
		dialect = goose.DialectPostgres
	}
	if d.dialect == Postgres && locked {
		locker, err := lock.NewPostgresTableLocker(lock.WithTableLockTimeout(migrationRetry, 300))
		if err != nil {
			return nil, fmt.Errorf("prepare the migration lock: %w", err)
		}
		opts = append(opts, goose.WithLocker(locker))
	}
	provider, err := goose.NewProvider(dialect, d.sql, files, opts...)
	if err != nil {
		return nil, fmt.Errorf("prepare migrations: %w", err)
	}
	return provider, nil
}
