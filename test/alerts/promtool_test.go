//go:build alerts

package alerts

import (
	"bytes"
	"os/exec"
	"testing"
)

// What Prometheus' own tool says of the rules and their tests.
func TestRules(t *testing.T) {
	for _, args := range [][]string{{"check", "rules", rulesFile}, {"test", "rules", rulesTest}} {
		run(t, nil, args...)
	}
}

// checkMetrics asks it about what each process shows.
func (w *system) checkMetrics() {
	w.t.Helper()
	for name := range w.addrs {
		run(w.t, w.metrics(name), "check", "metrics")
	}
}

// run runs promtool, which has to be content.
func run(t *testing.T, stdin []byte, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), promtool, args...)
	cmd.Stdin = bytes.NewReader(stdin)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("promtool %v: %v\n%s", args, err, out)
	}
}
