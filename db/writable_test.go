package db_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"socialqueue/db"
	"socialqueue/db/dbtest"
)

// TestTryWrite checks that a database that takes no writes says what to do about it.
func TestTryWrite(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) { f.must(f.Operators.TryWrite(t.Context())) })
	for name, c := range map[string]struct{ refuse, do string }{
		"full":      {dbtest.DiskFull, "free space"},
		"read-only": {"SET default_transaction_read_only = on", "lead to the primary"},
		"other":     {strings.ReplaceAll(dbtest.DiskFull, "53100", "58030"), "read the log of Postgres"},
	} {
		t.Run(name, func(t *testing.T) {
			d := dbtest.Postgres(t)
			d.Pool().SetMaxOpenConns(1)
			if _, err := d.Pool().ExecContext(t.Context(), c.refuse); err != nil {
				t.Fatal(err)
			}
			refused, ok := errors.AsType[*db.NoWritesError](d.Operators.TryWrite(t.Context()))
			if !ok || !strings.Contains(refused.Do, c.do) || !strings.Contains(refused.Error(), "SQLSTATE") || strings.Contains(refused.Public(), "SQLSTATE") {
				t.Errorf("got %+v", refused)
			}
		})
	}
}

// TestCheckWritableIsShared checks that callers within five seconds share one answer, and that
// a caller who leaves spoils it for nobody.
func TestCheckWritableIsShared(t *testing.T) {
	d := dbtest.Postgres(t)
	d.Pool().SetMaxOpenConns(1)
	writes := func(value string) {
		t.Helper()
		if _, err := d.Pool().ExecContext(t.Context(), "SET default_transaction_read_only = "+value); err != nil {
			t.Fatal(err)
		}
	}
	gone, leave := context.WithCancel(t.Context())
	leave()
	if err := d.CheckWritable(gone); err != nil {
		t.Errorf("a caller who left: %v", err)
	}
	writes("on")
	if err := d.CheckWritable(t.Context()); err != nil {
		t.Errorf("within five seconds: %v", err)
	}
	d.AgeWrite(6 * time.Second)
	if err := d.CheckWritable(t.Context()); err == nil {
		t.Error("after six seconds a read-only database takes writes")
	}
	writes("off")
	if err := d.CheckWritable(t.Context()); err == nil {
		t.Error("the refusal is not shared")
	}
	d.AgeWrite(6 * time.Second)
	if err := d.CheckWritable(t.Context()); err != nil {
		t.Errorf("after another six seconds: %v", err)
	}
}
