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

// What it says of the metrics of each process, when that has done some work.
func TestMetrics(t *testing.T) {
	w := newWorld(t)
	w.work(startPrometheus(t, freeAddr(t), password, w.addrs))
	for name := range w.addrs {
		shown := w.metrics(name)
		t.Run(name, func(t *testing.T) { run(t, shown, "check", "metrics") })
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
