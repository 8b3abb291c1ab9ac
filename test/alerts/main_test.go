//go:build alerts

// Package alerts sees each alert of docker/prometheus/alerts.yml fire once: the whole
// system runs on a real Postgres and a real Redis, a real Prometheus watches it by
// those rules, and a test breaks the very thing that an alert is there for. `make
// alerts` runs it; it needs prometheus and promtool.
package alerts

import (
	"fmt"
	"os"
	"os/exec"
	"testing"

	"go.uber.org/goleak"
)

// The programs; PROMETHEUS and PROMTOOL give them other names.
var prometheus, promtool string

func TestMain(m *testing.M) {
	var err error
	if prometheus, err = find("PROMETHEUS", "prometheus"); err == nil {
		promtool, err = find("PROMTOOL", "promtool")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	goleak.VerifyTestMain(m)
}

// find says what is missing, as a test that skipped would look like one that passed.
func find(env, name string) (string, error) {
	if given := os.Getenv(env); given != "" {
		name = given
	}
	path, err := exec.LookPath(name)
	if err != nil {
		return "", fmt.Errorf("%s is not there (%w): install Prometheus (Debian: apt-get install prometheus), or set %s to where it is", name, err, env)
	}
	return path, nil
}
