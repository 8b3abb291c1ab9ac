// Package app wires the processes together and gives each one a life: New,
// Start, Stop, Addr. A main runs it, and a test runs any of them in-process.
package app

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// stopper is one step of taking a process down.
type stopper struct {
	name string
	stop func(context.Context) error
}

// lifecycle is the stack of those steps. The last thing that was built goes
// first, so nothing is taken away from under its user.
type lifecycle struct {
	mu       sync.Mutex
	stoppers []stopper
	stopping bool
}

// isStopping reports whether Stop was called: what still runs then takes nothing new.
func (l *lifecycle) isStopping() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.stopping
}

// onStop adds a step.
func (l *lifecycle) onStop(name string, stop func(context.Context) error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stoppers = append(l.stoppers, stopper{name, stop})
}

// Stop takes everything down, the last built first, and joins the errors. It
// may be called twice; the second call finds nothing to do. What does not end
// before ctx does is left behind and named.
func (l *lifecycle) Stop(ctx context.Context) error {
	l.mu.Lock()
	stoppers := l.stoppers
	l.stoppers, l.stopping = nil, true
	l.mu.Unlock()
	var errs []error
	for i := len(stoppers) - 1; i >= 0; i-- {
		if err := stoppers[i].stop(ctx); err != nil {
			errs = append(errs, fmt.Errorf("stop %s: %w", stoppers[i].name, err))
		}
	}
	return errors.Join(errs...)
}

// closing adapts a Close method.
func closing(closeIt func() error) func(context.Context) error {
	return func(context.Context) error { return closeIt() }
}

// waiting adapts a Stop method that takes no context: it is waited for until
// the context ends.
func waiting(stop func()) func(context.Context) error {
	return func(ctx context.Context) error {
		done := make(chan struct{})
		go func() {
			stop()
			close(done)
		}()
		select {
		case <-done:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
