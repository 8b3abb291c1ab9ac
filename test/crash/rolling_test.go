package crash_test

import (
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"socialqueue/sandbox"
	"socialqueue/test/testkit"
)

const (
	defaultRollingTime = 12 * time.Second
	// restartEvery is the time between two restarts, of one worker and then another.
	restartEvery = 2 * time.Second
)

// TestRollingRestart: workers are replaced one after the other, as a deployment does,
// while posts come in. Nothing of a post shows it.
func TestRollingRestart(t *testing.T) {
	t.Parallel() // they mostly wait
	s := newSystem(t, setup{delays: &sandbox.Delays{}})
	workers := []*child{s.worker, s.anotherWorker(t, "worker-2")}
	s.wantReady(t)
	whole := rollingTime(t)

	calm := s.postsFor(t, whole/3, nil)
	var stops []time.Duration
	restarted := s.postsFor(t, whole*2/3, func() {
		w := workers[len(stops)%len(workers)]
		stops = append(stops, stopWorker(t, w))
		w.start()
		s.untilUp(t, w)
	})
	s.await(t, endTimeout)
	_, lost, doubled := s.count(t)
	attempts := s.number(t, `SELECT COALESCE(SUM(attempts), 0) FROM posts`)
	if attempts != 0 {
		t.Errorf("the restarts used up %d attempts", attempts)
	}
	slices.Sort(stops)
	undisturbed, disturbed := s.lateness(t, calm), s.lateness(t, restarted)
	fmt.Printf("rolling: accepted=%d lost=%d doubled=%d attempts=%d handed_back=%d; restarts=%d, a worker took p50=%s max=%s of %s to stop; late by p50=%s p99=%s, undisturbed p50=%s p99=%s\n",
		len(s.posts), lost, doubled, attempts, s.number(t, `SELECT COUNT(*) FROM post_events WHERE message LIKE 'handed back%'`),
		len(stops), quantile(stops, 50), quantile(stops, 100), shutdownTimeout,
		quantile(disturbed, 50), quantile(disturbed, 99), quantile(undisturbed, 50), quantile(undisturbed, 99))
}

// untilUp waits until a worker that was just started works, as a deployment does before it
// replaces the next one. A process that is still loading ends at once by SIGTERM.
func (s *system) untilUp(t *testing.T, worker *child) {
	t.Helper()
	host, err := os.Hostname()
	testkit.Must(t, err)
	testkit.Eventually(t, "the new worker beats", func() bool {
		n, err := s.redis.Exists(t.Context(), fmt.Sprintf("socialqueue:worker:%s:%d", host, worker.cmd.Process.Pid)).Result()
		return err == nil && n == 1
	})
}

func rollingTime(t *testing.T) time.Duration {
	t.Helper()
	text := os.Getenv("ROLLING_TIME")
	if text == "" {
		return defaultRollingTime
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < defaultRollingTime {
		t.Fatalf("ROLLING_TIME=%q is no duration of at least %s", text, defaultRollingTime)
	}
	return d
}

// postsFor has posts accepted for so long and, meanwhile, something done every so often.
// It returns the posts.
func (s *system) postsFor(t *testing.T, long time.Duration, meanwhile func()) []accepted {
	t.Helper()
	before := len(s.posts)
	const every = 100 * time.Millisecond
	l := s.startLoad(t, before, 3*int(long/every), every)
	if meanwhile != nil {
		tick := time.NewTicker(restartEvery)
		defer tick.Stop()
		for range int(long / restartEvery) {
			<-tick.C
			meanwhile()
		}
	}
	l.end()
	return s.posts[before:]
}

// lateness is how long after its time each post was begun, shortest first.
func (s *system) lateness(t *testing.T, posts []accepted) []time.Duration {
	t.Helper()
	var late []time.Duration
	for _, p := range posts {
		var seconds float64
		err := s.rows.QueryRow(`SELECT EXTRACT(EPOCH FROM started_at - publish_at) FROM posts WHERE id = $1`, p.id).Scan(&seconds)
		if err != nil {
			t.Fatal(err)
		}
		late = append(late, time.Duration(seconds*float64(time.Second)))
	}
	slices.Sort(late)
	return late
}

func (s *system) number(t *testing.T, query string) int {
	t.Helper()
	var n int
	if err := s.rows.QueryRow(query).Scan(&n); err != nil {
		t.Error(err)
	}
	return n
}
