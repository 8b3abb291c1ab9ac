// Package e2e tests the system through its front door: api, workers and
// schedulers run on a real Postgres and a real Redis, apps post over HTTP, and
// what counts is what the simulated platforms then show.
package e2e

import (
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
