package db_test

import (
	"net/url"
	"strings"
	"testing"

	"socialqueue/db"
	"socialqueue/db/dbtest"
	"socialqueue/secrets"
)

// A database may tell its clients to use another encoding than ours.
func TestDatabaseWithAnotherClientEncoding(t *testing.T) {
	at := dbtest.PostgresURL(t)
	u, err := url.Parse(at)
	if err != nil {
		t.Fatal(err)
	}
	d := open(t, at)
	if _, err := d.Pool().ExecContext(t.Context(), "ALTER DATABASE "+strings.TrimPrefix(u.Path, "/")+" SET client_encoding = 'SQL_ASCII'"); err != nil {
		t.Fatal(err)
	}
	var encoding string
	if err := open(t, at).Pool().QueryRowContext(t.Context(), "SHOW client_encoding").Scan(&encoding); err != nil || encoding != "UTF8" {
		t.Errorf("client_encoding = %s, %v; want UTF8", encoding, err)
	}
}

func open(t *testing.T, at string) *db.DB {
	t.Helper()
	d, err := db.OpenPostgres(t.Context(), secrets.Secret(at), 2)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	return d
}
