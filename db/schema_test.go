package db_test

import (
	"database/sql"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"socialqueue/db"
	"socialqueue/db/dbtest"
)

// intended are the intended differences between the two schemas: PostgreSQL's definition,
// then SQLite's. now() and CURRENT_TIMESTAMP return the same time.
var intended = map[string][2]string{
	"column oauth_accounts.created_at":     {"time default now", "time default current_timestamp"},
	"column oauth_accounts.updated_at":     {"time default now", "time default current_timestamp"},
	"column instagram_accounts.created_at": {"time default now", "time default current_timestamp"},
	"column instagram_accounts.updated_at": {"time default now", "time default current_timestamp"},
	"column tiktok_posts.created_at":       {"time default now", "time default current_timestamp"},
	"column tiktok_posts.updated_at":       {"time default now", "time default current_timestamp"},
	"column ig_media.created_at":           {"time default now", "time default current_timestamp"},
	"column ig_media.updated_at":           {"time default now", "time default current_timestamp"},
}

// TestSchemasAgree migrates both databases and compares their schemas. Each migration
// is written twice, so a change can be missing from one of them.
func TestSchemasAgree(t *testing.T) {
	postgres, sqlite := postgresSchema(t, dbtest.Postgres(t)), sqliteSchema(t, dbtest.SQLite(t))
	if len(postgres) < 200 {
		t.Fatalf("found only %d parts of the schema: %v", len(postgres), postgres)
	}
	for _, difference := range differences(postgres, sqlite) {
		t.Error(difference)
	}
}

// TestSchemaDifferences changes each kind of schema part once and checks that the comparison
// finds it.
func TestSchemaDifferences(t *testing.T) {
	d := dbtest.SQLite(t)
	want := sqliteSchema(t, d)
	for _, c := range []struct{ name, statement, difference string }{
		{"table", "CREATE TABLE extra (id INTEGER PRIMARY KEY AUTOINCREMENT)", `column extra.id: PostgreSQL "", SQLite "integer not null"`},
		{"column", "ALTER TABLE pauses ADD COLUMN extra TEXT", `column pauses.extra: PostgreSQL "", SQLite "text"`},
		{"default", "ALTER TABLE pauses ADD COLUMN more INT NOT NULL DEFAULT 3", `column pauses.more: PostgreSQL "", SQLite "integer not null default 3"`},
		{"index", "CREATE INDEX pauses_extra ON pauses (created_at) WHERE reason <> ''", `index pauses_extra: PostgreSQL "", SQLite "on pauses created_at where reason <> ''"`},
		{"unique", "CREATE TABLE names (name TEXT NOT NULL UNIQUE)", `unique names (name): PostgreSQL "", SQLite "yes"`},
		{"foreign key", "CREATE TABLE owned (app INT REFERENCES apps (id))", `foreign key owned (app): PostgreSQL "", SQLite "apps(id)"`},
		{"missing", "DROP TABLE pauses", `primary key pauses (scope): PostgreSQL "yes", SQLite ""`},
	} {
		if _, err := d.Pool().ExecContext(t.Context(), c.statement); err != nil {
			t.Fatal(err)
		}
		if got := differences(want, sqliteSchema(t, d)); !slices.Contains(got, c.difference) {
			t.Errorf("%s: differences = %q, want among them %q", c.name, got, c.difference)
		}
	}
}

// differences lists the differences that are not intended, and the intended ones that
// do not exist.
func differences(postgres, sqlite map[string]string) []string {
	var all []string
	for part := range postgres {
		if _, ok := sqlite[part]; !ok {
			sqlite[part] = ""
		}
	}
	for part, inSQLite := range sqlite {
		inPostgres := postgres[part]
		meant, isMeant := intended[part]
		if isMeant && meant != [2]string{inPostgres, inSQLite} {
			all = append(all, fmt.Sprintf("%s: PostgreSQL %q, SQLite %q, which is not the intended difference %q", part, inPostgres, inSQLite, meant))
		}
		if !isMeant && inPostgres != inSQLite {
			all = append(all, fmt.Sprintf("%s: PostgreSQL %q, SQLite %q", part, inPostgres, inSQLite))
		}
	}
	slices.Sort(all)
	return all
}

// families are the types that hold the same values in both databases. SQLite takes
// any length and any size.
var families = map[string]string{
	"character varying": "text", "character": "text", "text": "text", "varchar": "text", "char": "text",
	"integer": "integer", "bigint": "integer", "smallint": "integer", "int": "integer",
	"timestamp with time zone": "time", "timestamp without time zone": "time", "timestamp": "time",
	"jsonb":   "text", // SQLite has no type for JSON
	"boolean": "boolean", "bytea": "bytes", "blob": "bytes",
}

// column describes a column in a form that both databases share.
func column(t *testing.T, kind string, notNull bool, standard string) string {
	t.Helper()
	kind, _, _ = strings.Cut(strings.ToLower(kind), "(")
	text, ok := families[strings.TrimSpace(kind)]
	if !ok {
		t.Fatalf("unknown column type %q", kind)
	}
	if notNull {
		text += " not null"
	}
	if standard != "" && !strings.HasPrefix(standard, "nextval(") { // SQLite numbers rows by itself
		text += " default " + plain(standard)
	}
	return text
}

var (
	cast   = regexp.MustCompile(`::[a-z ]+(\[\])?`)
	anyOf  = regexp.MustCompile(`= any \(\(?array\[([^\]]*)\]\)?\)`)
	spaces = regexp.MustCompile(`\s+`)
)

// plain normalizes an expression. PostgreSQL shows casts and parentheses that the migration
// does not have.
func plain(expression string) string {
	text := cast.ReplaceAllString(strings.ToLower(expression), "")
	text = anyOf.ReplaceAllString(text, "in ($1)")
	text = strings.NewReplacer("(", " ", ")", " ").Replace(text)
	text = spaces.ReplaceAllString(text, " ")
	return strings.ReplaceAll(strings.TrimSpace(text), " ,", ",")
}

// index describes a CREATE INDEX without its name.
func index(statement string) string {
	text := strings.NewReplacer("public.", "", "USING btree ", "", "CREATE INDEX", "", "CREATE UNIQUE INDEX", "unique").Replace(statement)
	_, text, _ = strings.Cut(text, " ON ")
	if strings.HasPrefix(statement, "CREATE UNIQUE") {
		return "unique on " + plain(text)
	}
	return "on " + plain(text)
}

// query calls row for each row of a query, with its columns as strings; NULL is empty.
func query(t *testing.T, d *db.DB, statement string, row func(c []string)) {
	t.Helper()
	rows, err := d.Pool().QueryContext(t.Context(), statement)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	names, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	for rows.Next() {
		values, into, text := make([]sql.NullString, len(names)), make([]any, len(names)), make([]string, len(names))
		for i := range values {
			into[i] = &values[i]
		}
		if err := rows.Scan(into...); err != nil {
			t.Fatal(err)
		}
		for i := range values {
			text[i] = values[i].String
		}
		row(text)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
}

// postgresSchema describes the parts of a schema, one line each.
func postgresSchema(t *testing.T, d *db.DB) map[string]string {
	t.Helper()
	found := map[string]string{}
	query(t, d, `SELECT table_name, column_name, data_type, is_nullable, column_default FROM information_schema.columns
		WHERE table_schema = current_schema() AND table_name NOT IN ('goose_db_version', 'goose_lock')`, func(c []string) {
		found["column "+c[0]+"."+c[1]] = column(t, c[2], c[3] == "NO", c[4])
	})
	query(t, d, `SELECT c.contype, c.conrelid::regclass, c.confrelid::regclass, pg_get_constraintdef(c.oid),
			(SELECT string_agg(a.attname, ', ' ORDER BY k.n) FROM unnest(c.conkey) WITH ORDINALITY k(num, n)
				JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = k.num)
		FROM pg_constraint c WHERE c.connamespace = current_schema()::regnamespace AND c.conrelid NOT IN ('goose_db_version'::regclass, 'goose_lock'::regclass)`, func(c []string) {
		_, to, _ := strings.Cut(c[3], " REFERENCES ")
		switch c[0] {
		case "p":
			found["primary key "+c[1]+" ("+c[4]+")"] = "yes"
		case "u":
			found["unique "+c[1]+" ("+c[4]+")"] = "yes"
		case "f":
			found["foreign key "+c[1]+" ("+c[4]+")"] = to
		default:
			found["constraint of "+c[1]] += c[3]
		}
	})
	query(t, d, `SELECT i.indexrelid::regclass, pg_get_indexdef(i.indexrelid) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
		WHERE c.relnamespace = current_schema()::regnamespace AND NOT EXISTS (SELECT 1 FROM pg_constraint WHERE conindid = i.indexrelid)`, func(c []string) {
		found["index "+c[0]] = index(c[1])
	})
	return found
}

// sqliteSchema describes the parts of a schema as postgresSchema does.
func sqliteSchema(t *testing.T, d *db.DB) map[string]string {
	t.Helper()
	found, keys := map[string]string{}, map[string][]string{}
	const tables = `FROM sqlite_master m JOIN %s c WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%%' AND m.name <> 'goose_db_version' `
	query(t, d, fmt.Sprintf(`SELECT m.name, c.name, c.type, c."notnull", c.pk, c.dflt_value `+tables+` ORDER BY m.name, c.pk`, "pragma_table_info(m.name)"), func(c []string) {
		inKey := c[4] != "0" // SQLite does not report key columns as NOT NULL
		found["column "+c[0]+"."+c[1]] = column(t, c[2], c[3] == "1" || inKey, c[5])
		if inKey {
			keys[c[0]] = append(keys[c[0]], c[1])
		}
	})
	for table, columns := range keys {
		found["primary key "+table+" ("+strings.Join(columns, ", ")+")"] = "yes"
	}
	query(t, d, fmt.Sprintf(`SELECT m.name, (SELECT group_concat(name, ', ') FROM (SELECT name FROM pragma_index_info(c.name) ORDER BY seqno)) `+
		tables+` AND c.origin = 'u'`, "pragma_index_list(m.name)"), func(c []string) {
		found["unique "+c[0]+" ("+c[1]+")"] = "yes"
	})
	query(t, d, fmt.Sprintf(`SELECT m.name, group_concat(c."from", ', '), c."table", group_concat(c."to", ', '), c.on_delete, c.on_update `+
		tables+` GROUP BY m.name, c.id`, "pragma_foreign_key_list(m.name)"), func(c []string) {
		to := c[2] + "(" + c[3] + ")"
		if c[5] != "NO ACTION" {
			to += " ON UPDATE " + c[5]
		}
		if c[4] != "NO ACTION" {
			to += " ON DELETE " + c[4]
		}
		found["foreign key "+c[0]+" ("+c[1]+")"] = to
	})
	query(t, d, "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL", func(c []string) {
		found["index "+c[0]] = index(c[1])
	})
	return found
}
