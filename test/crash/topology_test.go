package crash_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"socialqueue/jobs"
	"socialqueue/test/testkit"
)

// writeOutage waits until Redis takes writes again and tells how long after since it
// did. It asks as our processes do.
func writeOutage(t *testing.T, client redis.UniversalClient, key string, since time.Time) time.Duration {
	t.Helper()
	testkit.Eventually(t, "Redis takes writes again", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		return client.Set(ctx, key, "1", time.Minute).Err() == nil
	})
	return time.Since(since)
}

// stopWorker ends a worker as an operator does and tells how long it took.
func stopWorker(t *testing.T, worker *child) time.Duration {
	t.Helper()
	code, took := worker.stop()
	if code != 0 || took > shutdownTimeout {
		t.Errorf("a worker ended with exit code %d after %s", code, took)
	}
	return took.Round(time.Millisecond)
}

// wantReady waits until the api says that everything is there.
func (s *system) wantReady(t *testing.T) {
	t.Helper()
	testkit.Eventually(t, "/readyz is 200", func() bool {
		status, _ := s.get(t, "/readyz")
		return status == http.StatusOK
	})
	if status, body := s.get(t, "/api/health/redis"); status != http.StatusOK {
		t.Errorf("/api/health/redis is %d: %s", status, body)
	}
}

// wantMonitoring: the operators' page shows the queues, and the servers that hold them.
func (s *system) wantMonitoring(t *testing.T) {
	t.Helper()
	status, body := s.get(t, "/monitoring/api/queues")
	var shown struct {
		Queues []struct {
			Queue string `json:"queue"`
		} `json:"queues"`
	}
	if err := json.Unmarshal([]byte(body), &shown); err != nil || status != http.StatusOK || len(shown.Queues) != len(jobs.Queues) {
		t.Errorf("/monitoring shows of the queues: %d %s", status, body)
	}
	if status, body := s.get(t, "/monitoring/api/redis_info"); status != http.StatusOK {
		t.Errorf("/monitoring shows of Redis: %d %s", status, body)
	}
}

func (s *system) get(t *testing.T, path string) (status int, body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.SetBasicAuth("operator", operatorPassword)
	resp, err := s.client.Do(req)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err.Error()
	}
	return resp.StatusCode, string(data)
}
