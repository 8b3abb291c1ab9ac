// Package testkit holds what the tests of several packages share. Each file has one theme: a clock, a queue, the
// simulated platforms, the wire to them, an app with its user, an HTTP client, logs, media files, processes, waiting.
// Databases come from db/dbtest, Redis from jobs/redistest. Only tests import it.
package testkit

import "testing"

// Must ends the test if err is not nil.
func Must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
