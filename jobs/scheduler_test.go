package jobs

import (
	"context"
	"errors"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"socialqueue/observe"
)

// soleLock allows one running tick per name.
type soleLock struct {
	mu   sync.Mutex
	held map[string]bool
}

func (l *soleLock) TryTick(ctx context.Context, name string, fn func(context.Context) error) (bool, error) {
	l.mu.Lock()
	if l.held[name] {
		l.mu.Unlock()
		return false, nil
	}
	l.held[name] = true
	l.mu.Unlock()
	defer func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.held, name)
	}()
	return true, fn(ctx)
}

func TestSchedulerTicks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var good, bad atomic.Int32
		s := NewScheduler(&soleLock{held: map[string]bool{}}, quiet(), observe.NewMetrics(),
			Tick{Name: "good", Every: time.Second, Do: func(context.Context) error { good.Add(1); return nil }},
			Tick{Name: "bad", Every: time.Second, Do: func(context.Context) error { bad.Add(1); return errors.New("no") }},
		)
		s.Start()
		time.Sleep(10*time.Second + time.Millisecond)
		s.Stop()
		s.Stop()
		if good.Load() != 11 || bad.Load() != 11 {
			t.Errorf("ticks = %d and %d, want 11 each: an error must not end a loop", good.Load(), bad.Load())
		}
	})
}

// TestTickedIsWorkDone checks that the metric is the time when a tick's work was done, not
// just when the loop ran.
func TestTickedIsWorkDone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		metrics, lock := observe.NewMetrics(), &soleLock{held: map[string]bool{"held": true}} // by another scheduler
		ok := func(context.Context) error { return nil }
		s := NewScheduler(lock, quiet(), metrics,
			Tick{Name: "good", Every: time.Second, Do: ok},
			Tick{Name: "bad", Every: time.Second, Do: func(context.Context) error { return errors.New("no") }},
			Tick{Name: "held", Every: time.Second, Do: ok},
		)
		s.Start()
		time.Sleep(10*time.Second + time.Millisecond)
		s.Stop()
		if !s.Alive(time.Now()) {
			t.Error("not alive although every tick comes around")
		}
		shown := httptest.NewRecorder()
		metrics.Handler().ServeHTTP(shown, httptest.NewRequest("GET", "/metrics", nil))
		for _, want := range []string{`{tick="bad"} 0`, `{tick="held"} 0`, `{tick="good"} 9.466848`} { // synctest begins in 2000
			if !strings.Contains(shown.Body.String(), "socialqueue_scheduler_last_tick_timestamp_seconds"+want) {
				t.Errorf("the metrics do not say %s", want)
			}
		}
	})
}

// TestStuckTickIsNotAlive checks that a tick that hangs is interrupted and tried again, and
// that the scheduler is not alive while none ends.
func TestStuckTickIsNotAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var runs atomic.Int32
		s := NewScheduler(&soleLock{held: map[string]bool{}}, quiet(), observe.NewMetrics(), Tick{Name: "stuck", Every: time.Second, Do: func(ctx context.Context) error {
			runs.Add(1)
			<-ctx.Done()
			return ctx.Err()
		}})
		s.Start()
		defer s.Stop()
		if !s.Alive(time.Now()) {
			t.Error("not alive at the start")
		}
		if s.Alive(time.Now().Add(tickTimeout + time.Minute)) {
			t.Error("alive though no tick came around for longer than one may take")
		}
		time.Sleep(3 * tickTimeout)
		if runs.Load() < 3 {
			t.Errorf("%d runs: a tick that hangs was not cut off", runs.Load())
		}
	})
}
