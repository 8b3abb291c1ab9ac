package doctor

import (
	"strings"
	"testing"

	"socialqueue/db/dbtest"
)

// TestDatabaseWithoutWrites checks a database that answers queries and takes no writes.
func TestDatabaseWithoutWrites(t *testing.T) {
	d := &doctor{Deps: Deps{DB: dbtest.Postgres(t)}}
	d.DB.Pool().SetMaxOpenConns(1)
	for _, readOnly := range []string{"off", "on"} {
		if _, err := d.DB.Pool().ExecContext(t.Context(), "SET default_transaction_read_only = "+readOnly); err != nil {
			t.Fatal(err)
		}
		d.found = nil
		d.run(t.Context(), check{name: "database", run: d.database})
		if len(d.found) != 1 || strings.Contains(d.found[0].What, "takes no writes") != (readOnly == "on") {
			t.Errorf("read-only is %s: %+v", readOnly, d.found)
		}
		if strings.Contains(d.found[0].Do, "lead to the primary") != (readOnly == "on") {
			t.Errorf("read-only is %s: it says to do %q", readOnly, d.found[0].Do)
		}
	}
}
