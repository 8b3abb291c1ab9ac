package jobs

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"time"

	"github.com/hibiken/asynq"
)

// share limits how many workers of a pool one app may occupy: as many as are configured. The
// pool has some more, for the other apps, so that the slow files and endpoints of one app
// hold up no other. It is safe for concurrent use.
type share struct {
	most int

	mu sync.Mutex
	by map[int64]int
	// freed tells one that waits that a worker became free.
	freed chan struct{}
}

func newShare(most int) *share {
	return &share{most: most, by: map[int64]int{}, freed: make(chan struct{}, 1)}
}

// reserve is how many workers a pool has beyond the share of one app.
func reserve(workers int) int { return max(1, workers/4) }

// take occupies a worker for an app. It reports whether the app may have one more. App 0
// stands for work that belongs to no app and has no limit.
func (s *share) take(app int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if app != 0 && s.by[app] >= s.most {
		return false
	}
	s.by[app]++
	return true
}

// wait is take, but waits a moment for a worker to become free. So the next job of a busy app
// begins at once where its jobs are short, and the workers beyond its share pass its jobs by
// where they are long.
func (s *share) wait(ctx context.Context, app int64) bool {
	if s.take(app) {
		return true
	}
	timer := time.NewTimer(shareMoment)
	defer timer.Stop()
	for {
		select {
		case <-s.freed:
			if s.take(app) {
				return true
			}
		case <-timer.C:
			return s.take(app)
		case <-ctx.Done():
			return false
		}
	}
}

// give frees a worker that take occupied.
func (s *share) give(app int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.by[app]--; s.by[app] == 0 {
		delete(s.by, app)
	}
	select {
	case s.freed <- struct{}{}:
	default:
	}
}

const (
	// shareMoment is how long a job waits for a worker of its app's share.
	shareMoment = 50 * time.Millisecond
	// shareWait is how soon it is offered again after that.
	shareWait = time.Second
)

var errShareUsed = errors.New("the app occupies its share of the workers")

// appOf returns the app that a task works for; 0 if its payload names none.
func appOf(t *asynq.Task) int64 {
	var args struct {
		AppID int64 `json:"app_id"`
	}
	if err := json.Unmarshal(t.Payload(), &args); err != nil {
		return 0
	}
	return args.AppID
}
