// Package app wires the processes together. Each has New, Start, Stop and Addr. A main runs
// it, and tests run any of them in-process.
package app

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// stopper is one step of stopping a process.
type stopper struct {
	name string
	stop func(context.Context) error
}

// lifecycle is a stack of those steps. What was built last stops first, so that nothing
// stops before its users.
type lifecycle struct {
	mu       sync.Mutex
	stoppers []stopper
	stopping bool
}

// isStopping reports whether Stop was called. A stopping process takes no new work.
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

// Stop runs all steps, the last added first, and joins the errors. It may be called twice;
// the second call does nothing. A step that does not end before ctx is abandoned, and the
// error names it.
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

// closing adapts a Close method. It waits until the context ends: a storage that hangs must
// not keep the process.
func closing(closeIt func() error) func(context.Context) error {
	return func(ctx context.Context) error {
		done := make(chan error, 1)
		go func() { done <- closeIt() }()
		select {
		case err := <-done:
			return err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// waiting adapts a Stop method without a context. It waits until the context ends.
func waiting(stop func()) func(context.Context) error {
	return closing(func() error {
		stop()
		return nil
	})
}
