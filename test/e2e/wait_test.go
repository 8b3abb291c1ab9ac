package e2e

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"socialqueue/sandbox"
	"socialqueue/test/testkit"
)

// untilStatus waits for a post and returns it as it is then.
func (w *system) untilStatus(limit time.Duration, id string, statuses ...string) post {
	w.t.Helper()
	var p post
	testkit.Await(w.t, limit, fmt.Sprintf("post %s is %v", id, statuses), func() (bool, string) {
		p = w.post(id)
		return slices.Contains(statuses, p.Status), fmt.Sprintf("%+v\n%s", p, story(w.events(id)))
	})
	return p
}

// untilAllLive waits until n posts of the app are published, and Redis holds
// nothing that could still send one; then it looks that each is live once.
func (w *system) untilAllLive(limit time.Duration, n int) {
	w.t.Helper()
	testkit.Await(w.t, limit, fmt.Sprintf("%d posts are live", n), func() (bool, string) {
		seen := map[string]int{}
		for _, p := range w.posts() {
			seen[p.Status]++
		}
		return seen["published"] == n, fmt.Sprintf("%v, %d live at the platforms", seen, len(w.sim.LivePosts()))
	})
	w.untilIdle(testkit.Patience)
	w.wantEachLiveOnce(n)
}

// untilIdle waits until no task is left in Redis.
func (w *system) untilIdle(limit time.Duration) {
	w.t.Helper()
	inspector := w.inspector()
	testkit.Await(w.t, limit, "Redis holds no task", func() (bool, string) {
		left, seen := 0, []string(nil)
		queues, err := inspector.Queues()
		w.must(err)
		for _, name := range queues {
			info, err := inspector.GetQueueInfo(name)
			w.must(err)
			left += info.Size
			seen = append(seen, fmt.Sprintf("%s %d (active %d)", name, info.Size, info.Active))
		}
		return left == 0, strings.Join(seen, ", ")
	})
}

// wantEachLiveOnce counts at the platforms, by caption: tests give every post
// one of its own.
func (w *system) wantEachLiveOnce(n int) {
	w.t.Helper()
	live := w.sim.LivePosts()
	times := map[string]int{}
	for _, p := range live {
		times[p.Caption]++
	}
	for caption, k := range times {
		if k != 1 {
			w.t.Errorf("%q is live %d times", caption, k)
		}
	}
	if len(live) != n || len(times) != n {
		w.t.Errorf("%d posts are live, %d different ones; want %d", len(live), len(times), n)
	}
}

// liveAs finds what went live under a caption, which must be exactly one post.
func (w *system) liveAs(caption string) sandbox.LivePost {
	w.t.Helper()
	var found []sandbox.LivePost
	for _, p := range w.sim.LivePosts() {
		if p.Caption == caption {
			found = append(found, p)
		}
	}
	if len(found) != 1 {
		w.t.Fatalf("%q is live %d times, want once", caption, len(found))
	}
	return found[0]
}

func (w *system) notLive(caption string) {
	w.t.Helper()
	for _, p := range w.sim.LivePosts() {
		if p.Caption == caption {
			w.t.Errorf("%q is live, but should not be", caption)
		}
	}
}
