// Package dbtest gives each test its own migrated database, with real commits and locks.
package dbtest

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib" // the "pgx" driver, for CREATE DATABASE

	"socialqueue/db"
	"socialqueue/secrets"
)

const testConns = 20

// DiskFull has a Postgres database refuse new tables, and with them db.TryWrite, as it does
// when its disk is full. DROP EVENT TRIGGER full_disk ends it.
const DiskFull = `
	CREATE FUNCTION full_disk() RETURNS event_trigger LANGUAGE plpgsql AS $$
	BEGIN RAISE 'could not extend file "base/5/1": No space left on device' USING ERRCODE = '53100'; END $$;
	CREATE EVENT TRIGGER full_disk ON ddl_command_start WHEN TAG IN ('CREATE TABLE AS') EXECUTE FUNCTION full_disk()`

// Each runs test once for every dialect, each time on a fresh database.
func Each(t *testing.T, test func(t *testing.T, d *db.DB)) {
	t.Helper()
	t.Run("postgres", func(t *testing.T) { test(t, Postgres(t)) })
	t.Run("sqlite", func(t *testing.T) { test(t, SQLite(t)) })
}

// SQLite creates a database file that is deleted after the test.
func SQLite(t testing.TB) *db.DB {
	t.Helper()
	file := filepath.Join(t.TempDir(), "test.db")
	empty, err := migratedFile(t)
	if err == nil {
		err = os.WriteFile(file, empty, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	d, err := db.OpenSQLite(t.Context(), file)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeDB(t, d) })
	return d
}

// migratedFile migrates one SQLite database per test process; tests get copies of it.
func migratedFile(t testing.TB) ([]byte, error) {
	templates.Lock()
	defer templates.Unlock()
	if templates.file != nil {
		return templates.file, nil
	}
	name := filepath.Join(t.TempDir(), "template.db")
	d, err := db.OpenSQLite(t.Context(), name)
	if err != nil {
		return nil, err
	}
	if _, err := d.Migrate(t.Context()); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	if err := d.Close(); err != nil {
		return nil, err
	}
	templates.file, err = os.ReadFile(name)
	return templates.file, err
}

// Postgres creates a database on the server of TEST_DATABASE_URL and drops it after the
// test. Without a server the test fails; it is not skipped.
func Postgres(t testing.TB) *db.DB {
	t.Helper()
	d, err := db.OpenPostgres(t.Context(), secrets.Secret(PostgresURL(t)), testConns)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeDB(t, d) })
	return d
}

// PostgresURL creates a migrated database like Postgres and returns its URL.
func PostgresURL(t testing.TB) string {
	t.Helper()
	server := os.Getenv("TEST_DATABASE_URL")
	if server == "" {
		t.Fatal("TEST_DATABASE_URL is not set: run the tests with `make test`, which starts the servers")
	}
	template, err := migratedTemplate(server)
	if err != nil {
		t.Fatal(err)
	}
	name := "sq_" + randomName()
	if err := onServer(server, fmt.Sprintf("CREATE DATABASE %s TEMPLATE %s", name, template)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := onServer(server, fmt.Sprintf("DROP DATABASE %s WITH (FORCE)", name)); err != nil {
			t.Error(err)
		}
	})
	return withDatabase(server, name)
}

var templates struct {
	sync.Mutex
	name string
	file []byte
}

// migratedTemplate migrates one database per test process; tests get copies of it, which is
// much faster.
func migratedTemplate(server string) (string, error) {
	templates.Lock()
	defer templates.Unlock()
	if templates.name != "" {
		return templates.name, nil
	}
	name := "sq_template_" + randomName()
	if err := onServer(server, "CREATE DATABASE "+name); err != nil {
		return "", err
	}
	d, err := db.OpenPostgres(context.Background(), secrets.Secret(withDatabase(server, name)), 2)
	if err != nil {
		return "", err
	}
	if _, err := d.Migrate(context.Background()); err != nil {
		return "", err
	}
	if err := d.Close(); err != nil {
		return "", err
	}
	templates.name = name
	return name, nil
}

func onServer(server, statement string) error {
	conn, err := sql.Open("pgx", server)
	if err != nil {
		return fmt.Errorf("open test server: %w", err)
	}
	defer conn.Close()
	if _, err := conn.Exec(statement); err != nil {
		return fmt.Errorf("%s: %w", statement, err)
	}
	return nil
}

func withDatabase(server, name string) string {
	u, err := url.Parse(server)
	if err != nil {
		panic("TEST_DATABASE_URL is not a URL")
	}
	u.Path = "/" + name
	return u.String()
}

func randomName() string {
	b := make([]byte, 6)
	_, _ = rand.Read(b)
	return hex.EncodeToString(b)
}

func closeDB(t testing.TB, d *db.DB) {
	t.Helper()
	if err := d.Close(); err != nil {
		t.Error(err)
	}
}
