package db_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"socialqueue/db"
	"socialqueue/db/dbtest"
	"socialqueue/secrets"
)

// previousRelease is the version of the previous release's schema. A new release sets it to
// its own last migration.
const previousRelease = 5

// TestPreviousReleaseWorks checks that the migrations of this release leave everything that
// the previous one uses: its programs run on the new schema during an upgrade, and after a
// rollback.
func TestPreviousReleaseWorks(t *testing.T) {
	for _, c := range []struct {
		dialect string
		open    func(*testing.T) *db.DB
		schema  func(*testing.T, *db.DB) map[string]string
	}{
		{"postgres", emptyPostgres, postgresSchema},
		{"sqlite", emptySQLite, sqliteSchema},
	} {
		t.Run(c.dialect, func(t *testing.T) {
			d := c.open(t)
			if err := d.MigrateTo(t.Context(), previousRelease); err != nil {
				t.Fatal(err)
			}
			before := c.schema(t, d)
			if len(before) < 150 {
				t.Fatalf("found only %d parts of the schema: %v", len(before), before)
			}
			if _, err := d.Migrate(t.Context()); err != nil {
				t.Fatal(err)
			}
			for _, change := range breaking(before, c.schema(t, d)) {
				t.Errorf("the previous release does not work with %s: add first, and remove in a later release", change)
			}
		})
	}
}

// TestBreakingChanges makes each kind of change once.
func TestBreakingChanges(t *testing.T) {
	for _, c := range []struct{ name, statement, want string }{
		{"new table", "CREATE TABLE extra (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, app INT NOT NULL REFERENCES apps (id))", ""},
		{"nullable column", "ALTER TABLE pauses ADD COLUMN extra TEXT", ""},
		{"column with a default", "ALTER TABLE pauses ADD COLUMN extra INT NOT NULL DEFAULT 3", ""},
		{"index", "CREATE INDEX extra ON pauses (reason)", ""},
		{"no index", "DROP INDEX posts_status", ""},
		{"column without a default", "CREATE TABLE p (scope VARCHAR(64) PRIMARY KEY, reason TEXT NOT NULL DEFAULT '', paused_by VARCHAR(100) NOT NULL, created_at TIMESTAMP NOT NULL, extra INT NOT NULL);" +
			"DROP TABLE pauses; ALTER TABLE p RENAME TO pauses", "the new column pauses.extra: integer not null"},
		{"renamed column", "ALTER TABLE pauses RENAME COLUMN reason TO why", `the change of column pauses.reason from "text not null default ''" to ""`},
		{"dropped column", "ALTER TABLE posts DROP COLUMN trace_parent", `the change of column posts.trace_parent from "text not null default ''" to ""`},
		{"dropped table", "DROP TABLE pauses", `the change of primary key pauses (scope) from "yes" to ""`},
		{"unique index", "CREATE UNIQUE INDEX extra ON pauses (reason)", "the new index extra: unique on pauses reason"},
		{"foreign key", "ALTER TABLE pauses ADD COLUMN app_id INT REFERENCES apps (id)", "the new foreign key pauses (app_id): apps(id)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := dbtest.SQLite(t)
			before := sqliteSchema(t, d)
			if _, err := d.Pool().ExecContext(t.Context(), c.statement); err != nil {
				t.Fatal(err)
			}
			got := breaking(before, sqliteSchema(t, d))
			if c.want == "" && len(got) > 0 || c.want != "" && !slices.Contains(got, c.want) {
				t.Errorf("breaking changes = %q, want %q", got, c.want)
			}
		})
	}
}

// breaking lists what an older program cannot work with: parts of its schema that are gone or
// changed, and new ones that may refuse the rows that it writes.
func breaking(before, after map[string]string) []string {
	tables := map[string]bool{}
	for part := range before {
		if name, ok := strings.CutPrefix(part, "column "); ok {
			table, _, _ := strings.Cut(name, ".")
			tables[table] = true
		}
	}
	var all []string
	for part, was := range before {
		if is := after[part]; is != was && !strings.HasPrefix(part, "index ") {
			all = append(all, fmt.Sprintf("the change of %s from %q to %q", part, was, is))
		}
	}
	for part, is := range after {
		if _, old := before[part]; !old && tables[tableOf(part, is)] && refuses(part, is) {
			all = append(all, "the new "+part+": "+is)
		}
	}
	slices.Sort(all)
	return all
}

// tableOf returns the table that a part of a schema belongs to.
func tableOf(part, definition string) string {
	kind, name, _ := strings.Cut(part, " ")
	switch kind {
	case "column":
		table, _, _ := strings.Cut(name, ".")
		return table
	case "index":
		return strings.Fields(definition[strings.Index(definition, "on "):])[1]
	default: // unique T (…), primary key T (…), foreign key T (…), constraint of T
		name, _, _ = strings.Cut(part, " (")
		return name[strings.LastIndex(name, " ")+1:]
	}
}

// refuses reports whether a new part of a table may refuse the rows of a program that does not
// know it.
func refuses(part, definition string) bool {
	switch {
	case strings.HasPrefix(part, "column "):
		return strings.Contains(definition, "not null") && !strings.Contains(definition, " default ")
	case strings.HasPrefix(part, "index "):
		return strings.HasPrefix(definition, "unique")
	default:
		return true
	}
}

// emptyPostgres opens a schema without tables.
func emptyPostgres(t *testing.T) *db.DB {
	t.Helper()
	url := dbtest.PostgresURL(t)
	if _, err := openPostgres(t, url).Pool().ExecContext(t.Context(), "CREATE SCHEMA empty"); err != nil {
		t.Fatal(err)
	}
	return openPostgres(t, url+"&search_path=empty")
}

func openPostgres(t *testing.T, url string) *db.DB {
	t.Helper()
	d, err := db.OpenPostgres(t.Context(), secrets.Secret(url), 2)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	return d
}

// emptySQLite opens a file without tables.
func emptySQLite(t *testing.T) *db.DB {
	t.Helper()
	d, err := db.OpenSQLite(t.Context(), filepath.Join(t.TempDir(), "empty.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	return d
}
