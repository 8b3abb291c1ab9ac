package e2e

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"socialqueue/jobs"
	"socialqueue/sandbox/sample"
)

// One id leads from the request through the row and the task to every log line.
func TestOneCorrelationID(t *testing.T) {
	w := newWorld(t, setup{sandbox: unlimited()})
	w.startScheduler()
	ig := w.instagramAccount()
	const id = "e2e-correlation:1"
	body := picture(ig, w.upload("image/jpeg", sample.Picture), "correlated").with(fields{"publish_at": time.Now().Add(2 * time.Second)})
	rep := w.call(request{method: "POST", path: ig.path, json: body, headers: map[string]string{"X-Request-ID": id}}).want(202)
	if got := rep.header.Get("X-Request-ID"); got != id {
		t.Errorf("answered X-Request-ID is %q", got)
	}
	postID := rep.text("id")
	row, err := w.db.PostByID(t.Context(), postID)
	w.must(err)
	if row.CorrelationID != id {
		t.Errorf("the row has %q", row.CorrelationID)
	}
	w.wantTaskHeader(postID+":0", id)

	w.startWorker()
	w.untilStatus(10*time.Second, postID, "published")
	w.untilIdle(5 * time.Second)
	services := map[string]int{}
	for line := range strings.Lines(w.logs.String()) {
		var entry struct {
			Service       string
			CorrelationID string `json:"correlationId"`
			Metadata      struct {
				PostID string `json:"post_id"`
			}
		}
		w.must(json.Unmarshal([]byte(line), &entry))
		if entry.CorrelationID == id {
			services[entry.Service]++
		}
		if entry.Metadata.PostID == postID && entry.Service == "worker" && entry.CorrelationID != id && !strings.Contains(line, "old task") {
			t.Errorf("a line about the post does not name it: %s", line)
		}
	}
	if services["api"] != 1 || services["worker"] < 5 {
		t.Errorf("log lines with the id, by service: %v; want 1 of the api and one for each platform call", services)
	}
}

func (w *world) wantTaskHeader(taskID, id string) {
	w.t.Helper()
	w.until(5*time.Second, "the task is in Redis", func() (bool, string) {
		info, err := w.inspector().GetTaskInfo(jobs.QueuePublish, taskID)
		if err != nil {
			return false, err.Error()
		}
		if got := info.Headers["correlation_id"]; got != id {
			w.t.Errorf("the task's header is %q", got)
		}
		return true, ""
	})
}
