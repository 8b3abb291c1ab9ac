package bench

import (
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"socialqueue/test/testkit"
)

// caller is an app.
type caller struct {
	url, key string
	http     *http.Client
}

func (c caller) send(b *testing.B, path, contentType string, body io.Reader, length int64, answer any) {
	b.Helper()
	req, err := http.NewRequest(http.MethodPost, c.url+path, body)
	must(b, err)
	req.ContentLength = length
	req.Header.Set("Content-Type", contentType)
	req.Header.Set("Authorization", "Bearer "+c.key)
	want := http.StatusAccepted
	if path == "/api/media" {
		want = http.StatusCreated
	}
	do(b, c.http, req, want, answer)
}

func (c caller) get(b *testing.B, path string, answer any) {
	b.Helper()
	req, err := http.NewRequest(http.MethodGet, c.url+path, nil)
	must(b, err)
	req.Header.Set("Authorization", "Bearer "+c.key)
	do(b, c.http, req, http.StatusOK, answer)
}

func (c caller) untilUp(b *testing.B) {
	b.Helper()
	testkit.Await(b, 30*time.Second, "the api answers", func() (bool, string) {
		resp, err := c.http.Get(c.url + "/livez")
		if err == nil {
			_ = resp.Body.Close()
		}
		return err == nil, fmt.Sprint(err)
	})
}

// untilSent waits until a post is live and tells how long its chunks took, from
// the beginning of the first to the end of the last.
func (c caller) untilSent(b *testing.B, id string) time.Duration {
	b.Helper()
	testkit.Await(b, 5*time.Minute, "the post is published", func() (bool, string) {
		var p struct{ Status string }
		c.get(b, "/api/posts/"+id, &p)
		if p.Status == "failed" {
			b.Fatal("the post is failed")
		}
		return p.Status == "published", p.Status
	})
	var timeline struct {
		Events []struct {
			At         time.Time
			Operation  string
			DurationMs int64 `json:"duration_ms"`
		}
	}
	c.get(b, "/api/posts/"+id+"/events", &timeline)
	var first, last time.Time
	for _, e := range timeline.Events {
		if e.Operation != "tiktok.chunk" {
			continue
		}
		if first.IsZero() {
			first = e.At
		}
		last = e.At.Add(time.Duration(e.DurationMs) * time.Millisecond)
	}
	return last.Sub(first)
}
