package jobs

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/sirupsen/logrus"

	"socialqueue/observe"
)

// Tick is work that a scheduler repeats.
type Tick struct {
	Name  string
	Every time.Duration
	Do    func(context.Context) error
}

// errBehind means that more work came than a tick could do.
var errBehind = errors.New("the tick ended before its work was done; the next one goes on")

// batchMargin is how long before its time is over a tick of batches ends by itself.
const batchMargin = 10 * time.Second

// Batches returns a tick's work that is done in batches: until there is no more, or the tick
// has used its time. Then it returns an error, so that the tick does not count as done.
func Batches(do func(context.Context) (more bool, err error)) func(context.Context) error {
	return func(ctx context.Context) error {
		deadline, bounded := ctx.Deadline()
		for {
			more, err := do(ctx)
			if err != nil || !more {
				return err
			}
			if bounded && time.Until(deadline) < batchMargin {
				return errBehind
			}
		}
	}
}

// Locker makes sure that only one of several schedulers runs a tick at a time.
type Locker interface {
	TryTick(ctx context.Context, name string, fn func(context.Context) error) (ran bool, err error)
}

// Scheduler runs ticks until it is stopped. Any number of schedulers may run. A scheduler
// skips a tick that another one is running, and a tick may run twice.
type Scheduler struct {
	locker Locker
	ticks  []Tick
	log    logrus.FieldLogger
	cancel context.CancelFunc
	done   sync.WaitGroup
	stop   sync.Once

	mu    sync.Mutex
	beats map[string]time.Time

	metrics *observe.Metrics
}

// NewScheduler returns a Scheduler.
func NewScheduler(locker Locker, log logrus.FieldLogger, metrics *observe.Metrics, ticks ...Tick) *Scheduler {
	return &Scheduler{locker: locker, ticks: ticks, log: log, metrics: metrics, beats: map[string]time.Time{}}
}

// Start starts the ticks.
func (s *Scheduler) Start() {
	ctx, cancel := context.WithCancel(context.Background())
	s.cancel = cancel
	for _, tick := range s.ticks {
		s.beat(tick.Name)
		s.metrics.Ticks(tick.Name)
		s.done.Go(func() { s.loop(ctx, tick) })
	}
}

// Stop ends all ticks and waits for them. It may be called twice.
func (s *Scheduler) Stop() {
	s.stop.Do(func() {
		if s.cancel != nil {
			s.cancel()
		}
		s.done.Wait()
	})
}

const (
	// tickTimeout limits one tick, so that one that hangs is tried again. It is long enough
	// to refill an empty Redis.
	tickTimeout = 2 * time.Minute
	// staleAfter is how many more periods a tick may take to end before the scheduler counts
	// as dead.
	staleAfter = 3
)

// Alive reports whether every tick of this process still ends or is skipped in time. It
// calls neither Redis nor the database.
func (s *Scheduler) Alive(now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, tick := range s.ticks {
		if now.Sub(s.beats[tick.Name]) > tickTimeout+staleAfter*tick.Every {
			return false
		}
	}
	return true
}

func (s *Scheduler) loop(ctx context.Context, tick Tick) {
	every := time.NewTicker(tick.Every)
	defer every.Stop()
	for {
		s.run(ctx, tick)
		select {
		case <-ctx.Done():
			return
		case <-every.C:
		}
	}
}

func (s *Scheduler) run(ctx context.Context, tick Tick) {
	ctx, cancel := context.WithTimeout(ctx, tickTimeout)
	defer cancel()
	defer s.beat(tick.Name)
	ran, err := s.locker.TryTick(ctx, tick.Name, tick.Do)
	switch {
	case err == nil && ran:
		s.metrics.Ticked(tick.Name, time.Now())
	case err != nil && ctx.Err() == nil:
		s.log.WithField(observe.FieldAction, tick.Name).WithError(err).Warn("a tick failed; the next one tries again")
	}
}

// beat records that a tick ended, with whatever result: this process is alive. The metric
// says whether the work was done.
func (s *Scheduler) beat(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.beats[name] = time.Now()
}
