// Package crash_test kills the processes of a running system over and over,
// and counts what is live at the platforms afterwards.
package crash_test

import (
	"fmt"
	"math/rand/v2"
	"net/url"
	"slices"
	"testing"
	"time"

	"socialqueue/models"
	"socialqueue/sandbox"
)

const (
	defaultRounds = 12
	// pointTimeout is how long a round waits for its post to reach the armed
	// point.
	pointTimeout = 8 * time.Second
	// endTimeout is how long the posts get to end after the last kill.
	endTimeout = 4 * time.Minute
)

// points are all the places at which a worker dies: around every call of every
// flow, and so around every write to the ledger.
func points() []point {
	var all []point
	for _, op := range []string{
		sandbox.OpTikTokInit, sandbox.OpInstagramPublish, sandbox.OpTikTokChunk, sandbox.OpInstagramContainer,
		sandbox.OpInstagramUpload, sandbox.OpTikTokStatus, sandbox.OpInstagramContainerStatus,
		sandbox.OpTikTokCreatorInfo, sandbox.OpInstagramQuota, sandbox.OpInstagramPermalink, sandbox.OpTikTokPhoto,
		sandbox.OpInstagramComments, sandbox.OpInstagramComment,
	} {
		for _, p := range phases {
			all = append(all, point{op, p})
		}
	}
	return all
}

// sending are the calls that make something at a platform.
var sending = []string{
	sandbox.OpTikTokInit, sandbox.OpTikTokChunk, sandbox.OpInstagramContainer, sandbox.OpInstagramUpload, sandbox.OpInstagramPublish,
	sandbox.OpTikTokPhoto, sandbox.OpInstagramComment,
}

func TestCrash(t *testing.T) {
	rounds := wanted(t, "CRASH_ROUNDS", defaultRounds)
	s := newSystem(t, setup{})
	all := points()
	for round := range rounds {
		posts := s.accept(t, round)
		s.posts = append(s.posts, posts...)
		switch {
		case round%8 == 7:
			s.killOther(round)
		case round%3 == 2:
			time.Sleep(time.Duration(rand.IntN(2500)) * time.Millisecond)
			s.killWorker()
		default:
			s.killAt(t, all[(round-round/3-round/8)%len(all)])
		}
		if round%25 == 24 {
			fmt.Printf("crash: %d of %d rounds, %d posts accepted, %d live\n", round+1, rounds, len(s.posts), len(s.sim.LivePosts()))
		}
		s.sim.Script(sandbox.Fault{Op: sending[round%len(sending)], Mode: sandbox.ModeReset, After: true})
	}
	s.await(t, endTimeout)
	once, lost, doubled := s.count(t)
	fmt.Printf("crash: rounds=%d kills=%d points_reached=%d/%d accepted=%d live_once=%d unsettled=%d lost=%d doubled=%d interrupted=%d\n",
		rounds, s.kills, len(s.reached), len(points()), len(s.posts), once, s.unsettled, lost, doubled, len(s.interrupted))
	s.tellRecoveries(t)
}

// killAt waits until a worker reaches the point and kills it there.
func (s *system) killAt(t *testing.T, p point) {
	t.Helper()
	hit := s.wire.arm(p, func() { s.killWorker() })
	select {
	case <-hit:
		s.reached[p]++
	case <-time.After(pointTimeout):
		s.wire.disarm()
		s.killWorker()
	}
}

// killWorker kills the worker and notes the posts it held.
func (s *system) killWorker() {
	pid, at := s.worker.kill(true)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kills++
	for _, held := range s.heldBy(pid) {
		s.interrupted = append(s.interrupted, interruption{post: held.id, fence: held.fence, at: at})
	}
}

// killOther kills the scheduler or the api: neither may matter.
func (s *system) killOther(round int) {
	if round%16 == 7 {
		s.scheduler.kill(true)
	} else {
		s.api.kill(true)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kills++
}

// count counts how often each accepted post is live, and whether images have their first
// comment once. A story has no caption, so stories are
// told apart by their number alone. Photos whose one call got no answer are uncertain: they are
// live once at most.
func (s *system) count(t *testing.T) (once, lost, doubled int) {
	t.Helper()
	live := map[string]int{}
	stories := 0
	for _, p := range s.sim.LivePosts() {
		live[p.Caption]++
		if p.Kind == string(models.Image) && (len(p.Comments) != 1 || p.Comments[0].Text != commentOf(p.Caption)) {
			t.Errorf("%q has the comments %+v, and not its own once", p.Caption, p.Comments)
		}
		if p.Kind == string(models.Story) {
			stories++
		}
	}
	for _, p := range s.posts {
		if p.kind == models.Story {
			stories--
			if status := s.statusOf(t, p.id); status != "published" {
				t.Errorf("story %s is %s\n%s", p.id, status, s.story(t, p.id))
			}
			once++
			continue
		}
		if p.kind == models.Photo && s.statusOf(t, p.id) == "uncertain" {
			if s.unsettled++; live[p.caption] > 1 {
				doubled++
				t.Errorf("photos %s are live %d times\n%s", p.id, live[p.caption], s.story(t, p.id))
			}
			continue
		}
		switch n := live[p.caption]; {
		case n == 0:
			lost++
			t.Errorf("post %s (%s) is not live: %s\n%s", p.id, p.caption, s.statusOf(t, p.id), s.story(t, p.id))
		case n > 1:
			doubled++
			t.Errorf("post %s (%s) is live %d times\n%s", p.id, p.caption, n, s.story(t, p.id))
		default:
			once++
		}
		if status := s.statusOf(t, p.id); live[p.caption] == 1 && status != "published" {
			t.Errorf("post %s is live, and its row says %s\n%s", p.id, status, s.story(t, p.id))
		}
	}
	if stories != 0 {
		t.Errorf("%+d stories more are live than were accepted", stories)
	}
	return once, lost, doubled
}

// tellRecoveries says how long interrupted posts stood still.
func (s *system) tellRecoveries(t *testing.T) {
	t.Helper()
	if waits := s.recoveries(t); len(waits) > 0 {
		fmt.Printf("crash: recovery after kill: p50=%s p90=%s max=%s (n=%d)\n",
			quantile(waits, 50), quantile(waits, 90), waits[len(waits)-1].Round(time.Millisecond), len(waits))
	}
}

func quantile(sorted []time.Duration, percent int) time.Duration {
	return sorted[(len(sorted)-1)*percent/100].Round(time.Millisecond)
}

// recoveries are the times from a kill to the next claim of each post that the
// dead worker held, shortest first.
func (s *system) recoveries(t *testing.T) []time.Duration {
	t.Helper()
	var waits []time.Duration
	for _, i := range s.interrupted {
		if next, ok := s.nextRun(t, i); ok {
			waits = append(waits, next.Sub(i.at))
		}
	}
	slices.Sort(waits)
	return waits
}

func mustURL(t *testing.T, raw string) *url.URL {
	t.Helper()
	u, err := url.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	return u
}
