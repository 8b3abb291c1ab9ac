package publish

import (
	"context"
	"errors"
	"time"

	"socialqueue/db"
)

// keepLease renews the lease until stop is called. The returned context ends
// when the lease is lost.
func (r *run) keepLease(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	done := make(chan struct{})
	id, fence := r.post.ID, r.post.Fence
	go func() {
		defer close(done)
		r.renew(ctx, id, fence, cancel)
	}()
	return ctx, func() {
		cancel(context.Canceled)
		<-done
	}
}

func (s *Service) renew(ctx context.Context, id string, fence int64, lost context.CancelCauseFunc) {
	every := time.NewTicker(s.Timings.Lease / 4)
	defer every.Stop()
	held := time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-every.C:
		}
		err := s.renewOnce(ctx, id, fence)
		if err == nil {
			held = time.Now()
			continue
		}
		if errors.Is(err, db.ErrStale) || time.Since(held) >= s.Timings.Lease {
			lost(errLostLease)
			return
		}
	}
}

// renewOnce has a time limit, so that a database that hangs does not hide the end of the
// lease.
func (s *Service) renewOnce(ctx context.Context, id string, fence int64) error {
	ctx, cancel := context.WithTimeout(ctx, s.Timings.Lease/4)
	defer cancel()
	return s.DB.Runs.Renew(ctx, id, fence, s.Now().Add(s.Timings.Lease))
}

// pause waits, unless the process stops or the run loses its lease first.
func (r *run) pause(ctx context.Context, d time.Duration) error {
	if err := r.stopping(ctx); err != nil {
		return err
	}
	if d <= 0 {
		return nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-r.drain:
		return errDraining
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// stopping returns an error once the process stops or the lease is lost. It is checked before
// every call that takes long or may make the post live.
func (r *run) stopping(ctx context.Context) error {
	select {
	case <-r.drain:
		return errDraining
	case <-ctx.Done():
		return context.Cause(ctx)
	default:
		return nil
	}
}
