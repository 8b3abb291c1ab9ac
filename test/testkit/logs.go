package testkit

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
)

// Logs collects log lines as they would be written. It is safe for concurrent use.
type Logs struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

// Write takes a line.
func (l *Logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

// String returns everything that was logged.
func (l *Logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// With returns the lines that have one of these messages.
func (l *Logs) With(messages ...string) []string {
	var found []string
	for line := range strings.Lines(l.String()) {
		if slices.ContainsFunc(messages, func(m string) bool { return strings.Contains(line, `"message":"`+m+`"`) }) {
			found = append(found, line)
		}
	}
	return found
}

// Last returns the last line.
func (l *Logs) Last(t testing.TB) map[string]any {
	t.Helper()
	lines := strings.Split(strings.TrimSpace(l.String()), "\n")
	var line map[string]any
	Must(t, json.Unmarshal([]byte(lines[len(lines)-1]), &line))
	return line
}

// ShowOnFailure adds the last warnings and errors to the output of a test that fails.
func (l *Logs) ShowOnFailure(t testing.TB) {
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("warnings and errors of the processes:\n%s", l.warnings())
		}
	})
}

func (l *Logs) warnings() string {
	var found []string
	for line := range strings.Lines(l.String()) {
		if strings.Contains(line, `"level":"warn`) || strings.Contains(line, `"level":"error"`) {
			found = append(found, line)
		}
	}
	const most = 60
	if n := len(found); n > most {
		found = append([]string{fmt.Sprintf("(%d earlier ones)\n", n-most)}, found[n-most:]...)
	}
	return strings.Join(found, "")
}
