package crash_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"
)

// postsEach is how many posts a round has.
const postsEach = 3

// senders is how many callers of the API there are: while Redis is away each post
// takes as long as the api tries to reach it.
const senders = 32

// load is posts that come in steadily, whatever happens meanwhile.
type load struct {
	t      *testing.T
	system *system
	first  int // round
	rounds int
	done   sync.WaitGroup

	mu       sync.Mutex
	more     *sync.Cond
	finished int
	slowest  time.Duration
}

// startLoad has n posts accepted, one round of them every so often. It is told how many
// posts there are already.
func (s *system) startLoad(t *testing.T, before, n int, every time.Duration) *load {
	t.Helper()
	l := &load{t: t, system: s, first: before / postsEach, rounds: (n + postsEach - 1) / postsEach}
	l.more = sync.NewCond(&l.mu)
	next := make(chan int)
	l.done.Go(func() {
		defer close(next)
		tick := time.NewTicker(every)
		defer tick.Stop()
		for round := range l.rounds {
			<-tick.C
			next <- l.first + round
		}
	})
	for range senders {
		l.done.Go(func() {
			for round := range next {
				l.round(round)
			}
		})
	}
	return l
}

func (l *load) round(round int) {
	began := time.Now()
	posts, err := l.system.tryAccept(context.Background(), round)
	if err != nil {
		l.t.Error(err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.system.posts = append(l.system.posts, posts...)
	l.slowest = max(l.slowest, time.Since(began)/postsEach)
	l.finished++
	l.more.Broadcast()
}

// until waits until so many percent of the posts are accepted.
func (l *load) until(percent int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.finished*100 < l.rounds*percent {
		l.more.Wait()
	}
}

// end waits for all and says how the API fared.
func (l *load) end() string {
	l.done.Wait()
	return fmt.Sprintf("accepted=%d slowest_accept=%s", len(l.system.posts), l.slowest.Round(time.Millisecond))
}
