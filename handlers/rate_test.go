package handlers_test

import (
	"fmt"
	"testing"
	"time"

	"socialqueue/handlers"
)

// TestRateOfAKey lets one key send more than it may. Other keys and public routes are not
// affected, and the key may go on after the time in Retry-After.
func TestRateOfAKey(t *testing.T) {
	w := onSQLite(t)
	w.deps.Rate = handlers.RateLimit{PerSecond: 2, Burst: 5}
	w.build()
	list := func(as *tenant) *reply { return w.do(call{method: "GET", path: "/api/posts", as: as}) }
	for i := range 5 {
		r := list(nil).want(200)
		if got, want := r.Header.Get("RateLimit"), fmt.Sprintf(`"key";r=%d;t=%d`, 4-i, (i+2)/2); got != want {
			t.Errorf("request %d: RateLimit %s, want %s", i, got, want)
		}
		if got := r.Header.Get("RateLimit-Policy"); got != `"key";q=5;w=3` {
			t.Errorf("RateLimit-Policy %s", got)
		}
	}
	r := list(nil)
	r.WantProblem(429, "RATE_LIMITED", "")
	if r.Header.Get("Retry-After") != "1" {
		t.Errorf("Retry-After %q", r.Header.Get("Retry-After"))
	}
	list(&w.theirs).want(200)
	w.do(call{method: "GET", path: "/livez", noKey: true}).want(200)
	w.clock.Advance(time.Second)
	list(nil).want(200)
	list(nil).want(200)
	list(nil).WantProblem(429, "RATE_LIMITED", "")
}

// TestTimelineHasPages reads a timeline that an app made long.
func TestTimelineHasPages(t *testing.T) {
	each(t, func(t *testing.T, w *fixture) {
		at := func(n int) string {
			return w.clock.Now().Add(24*time.Hour + time.Duration(n)*time.Second).Format(time.RFC3339)
		}
		id := w.do(call{method: "POST", path: "/api/tiktok/upload", json: w.tiktok(w.upload("upright.mp4"), map[string]any{"publish_at": at(0)})}).want(202).Text("id")
		const changes = 7
		for n := range changes {
			w.do(call{method: "PATCH", path: "/api/posts/" + id, json: map[string]any{"publish_at": at(n + 1)}}).want(200)
		}
		path, seen, pages := "/api/posts/"+id+"/events?limit=3", 0, 0
		for cursor := ""; ; pages++ {
			answer := w.do(call{method: "GET", path: path + cursor}).want(200).Object()
			seen += len(answer["events"].([]any))
			next, more := answer["next_cursor"].(string)
			if !more {
				break
			}
			cursor = "&cursor=" + next
		}
		if seen != changes+1 || pages != 2 {
			t.Errorf("%d entries on %d pages, want %d on 3", seen, pages+1, changes+1)
		}
		for _, bad := range []string{"limit=0", "limit=501", "cursor=x", "cursor=-1", "page=2"} {
			w.do(call{method: "GET", path: "/api/posts/" + id + "/events?" + bad}).want(422)
		}
	})
}
