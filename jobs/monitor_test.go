package jobs

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/hibiken/asynq"
)

func askMonitor(t *testing.T, h http.Handler, method, path string) *httptest.ResponseRecorder {
	t.Helper()
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), method, path, http.NoBody))
	return rec
}

// The page loads nothing from other hosts, and its policy allows only its own scripts.
func TestMonitorIsShutIn(t *testing.T) {
	h := NewQueue(newClient(t), testKinds()).Monitor("/monitoring", false)
	for _, path := range []string{"/monitoring", "/monitoring/", "/monitoring/queues/publish"} {
		rec := askMonitor(t, h, "GET", path)
		page, policy := rec.Body.String(), rec.Header().Get("Content-Security-Policy")
		if rec.Code != 200 || !strings.Contains(page, `<div id="root">`) || !strings.HasPrefix(rec.Header().Get("Content-Type"), "text/html") {
			t.Fatalf("%s: %d %s", path, rec.Code, page)
		}
		if outside := regexp.MustCompile(`(href|src)="(https?:)?//[^"]*"`).FindAllString(page, -1); outside != nil {
			t.Errorf("%s: the page loads %q", path, outside)
		}
		scripts := regexp.MustCompile(`(?s)<script>(.*?)</script>`).FindAllStringSubmatch(page, -1)
		if len(scripts) != 2 {
			t.Errorf("%s: %d scripts stand in the page, want 2", path, len(scripts))
		}
		for _, script := range scripts {
			sum := sha256.Sum256([]byte(script[1]))
			if !strings.Contains(policy, "'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+"'") {
				t.Errorf("%s: the policy %q forbids a script of the page", path, policy)
			}
		}
		if !strings.Contains(policy, "default-src 'none'") || strings.Contains(policy, "script-src 'self' 'unsafe") {
			t.Errorf("%s: policy %q", path, policy)
		}
		for _, src := range regexp.MustCompile(`src="([^"]+)"`).FindAllStringSubmatch(page, -1) {
			if script := askMonitor(t, h, "GET", src[1]); script.Code != 200 || !strings.HasPrefix(script.Header().Get("Content-Type"), "application/javascript") {
				t.Errorf("%s: %d %s", src[1], script.Code, script.Header())
			}
		}
	}
}

// A task shows its ids, and no other fields.
func TestMonitorShowsTasks(t *testing.T) {
	client := newClient(t)
	q, task := NewQueue(client, testKinds()), aTask()
	task.AccountID, task.At = 7, time.Now().Add(time.Hour)
	if err := q.Enqueue(t.Context(), task); err != nil {
		t.Fatal(err)
	}
	foreign := asynq.NewTask("foreign:task", []byte(`{"v":1,"token":"act.hunter2"}`))
	if _, err := q.client.Enqueue(foreign, asynq.Queue(QueuePublish), asynq.ProcessIn(time.Hour)); err != nil {
		t.Fatal(err)
	}
	rec := askMonitor(t, q.Monitor("/monitoring", true), "GET", "/monitoring/api/queues/publish/scheduled_tasks")
	var answer struct {
		Tasks []struct{ Payload string }
	}
	if err := json.Unmarshal(rec.Body.Bytes(), &answer); err != nil || rec.Code != 200 || len(answer.Tasks) != 2 {
		t.Fatalf("%d %s: %v", rec.Code, rec.Body, err)
	}
	shown := answer.Tasks[0].Payload + answer.Tasks[1].Payload
	for _, want := range []string{task.PostID, `"platform":"tiktok"`, `"account_id":7`, "hidden fields"} {
		if !strings.Contains(shown, want) {
			t.Errorf("shown is %q, which lacks %q", shown, want)
		}
	}
	if strings.Contains(rec.Body.String(), "hunter2") {
		t.Error("an unknown field is shown")
	}
	if strings.Contains(showPayload(q.kinds.shown(), []byte("hunter2")), "hunter2") {
		t.Error("a payload that is no JSON is shown")
	}
}

// A viewer cannot pause a queue; an operator can.
func TestMonitorPauses(t *testing.T) {
	client := newClient(t)
	q := NewQueue(client, testKinds())
	if err := q.Enqueue(t.Context(), aTask()); err != nil {
		t.Fatal(err)
	}
	const pause = "/monitoring/api/queues/publish:pause"
	if rec := askMonitor(t, q.Monitor("/monitoring", true), "POST", pause); rec.Code != http.StatusMethodNotAllowed {
		t.Errorf("a read-only page answers %d", rec.Code)
	}
	if rec := askMonitor(t, q.Monitor("/monitoring", false), "POST", pause); rec.Code != http.StatusNoContent {
		t.Errorf("the page answers %d %s", rec.Code, rec.Body)
	}
	if info, err := q.inspector.GetQueueInfo(QueuePublish); err != nil || !info.Paused {
		t.Errorf("the queue %+v is not paused: %v", info, err)
	}
}

// Pausing twice is no error, nor is resuming twice.
func TestPause(t *testing.T) {
	q := NewQueue(newClient(t), testKinds()) // which never had a task
	for _, want := range []bool{true, true, false, false} {
		change := q.Resume
		if want {
			change = q.Pause
		}
		if err := change(QueuePublish); err != nil {
			t.Fatal(err)
		}
		if info, err := q.inspector.GetQueueInfo(QueuePublish); err != nil || info.Paused != want {
			t.Errorf("paused = %v, want %v: %v", info.Paused, want, err)
		}
	}
}
