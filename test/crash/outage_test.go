package crash_test

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"socialqueue/test/testkit"
)

// A worker that is killed says goodbye to nobody: its silence shows.
func TestLossOfTheOnlyWorkerIsSeen(t *testing.T) {
	t.Parallel() // it mostly waits
	s := newSystem(t, setup{})
	ready := func(want int) (body string) {
		t.Helper()
		testkit.Eventually(t, "the answer of /readyz", func() bool {
			resp, err := s.client.Get(s.url + "/readyz")
			if err != nil {
				return false
			}
			defer func() { _ = resp.Body.Close() }()
			read, err := io.ReadAll(resp.Body)
			body = string(read)
			return err == nil && resp.StatusCode == want
		})
		return body
	}
	ready(http.StatusOK)
	_, killed := s.worker.kill(false)
	if body := ready(http.StatusServiceUnavailable); !strings.Contains(body, "no worker is alive") {
		t.Errorf("/readyz says %s", body)
	}
	if took := time.Since(killed); took > 5*time.Second {
		t.Errorf("/readyz said so after %s", took)
	}
	s.worker.start()
	ready(http.StatusOK)
}

// An outage is one line a minute in the log of each process, and not hundreds.
func TestLogOfAnOutage(t *testing.T) {
	t.Parallel() // it mostly waits
	const lasts = 20 * time.Second
	redis, postgres := ownRedis(t), ownPostgres(t)
	s := newSystem(t, setup{redisURL: redis.url, databaseURL: postgres.url})
	for _, outage := range []struct {
		name   string
		server *server
	}{{"redis", redis}, {"postgres", postgres}} {
		testkit.Eventually(t, "/readyz is 200", func() bool {
			resp, err := s.client.Get(s.url + "/readyz")
			return err == nil && resp.Body.Close() == nil && resp.StatusCode == http.StatusOK
		})
		before := map[string]int{}
		for _, name := range []string{"api", "worker", "scheduler"} {
			before[name] = len(s.complaints(t, name))
		}
		outage.server.end()
		for end := time.Now().Add(lasts); time.Now().Before(end); time.Sleep(500 * time.Millisecond) {
			resp, err := s.client.Get(s.url + "/readyz")
			if err == nil {
				_ = resp.Body.Close()
			}
		}
		for name, n := range before {
			if lines := s.complaints(t, name)[n:]; len(lines) > 1 || name == "scheduler" && len(lines) == 0 {
				t.Errorf("%s is away: %s logs %d lines in %s:\n%s", outage.name, name, len(lines), lasts, strings.Join(lines, ""))
			}
		}
		outage.server.start()
	}
}

// complaints returns the warnings and errors in the log of a process.
func (s *system) complaints(t *testing.T, name string) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(s.dir, name+".log"))
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for line := range strings.Lines(string(text)) {
		if !strings.Contains(line, `"level":"info"`) {
			lines = append(lines, line)
		}
	}
	return lines
}
