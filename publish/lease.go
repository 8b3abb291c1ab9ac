package publish

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"socialqueue/db"
	"socialqueue/models"
)

// moves is when a run last made progress: bytes were read, or a call ended. It is safe for
// concurrent use.
type moves struct{ at atomic.Int64 }

func (m *moves) progress() { m.at.Store(time.Now().UnixNano()) }

// stalled reports whether there was no progress for so long that nothing is to be expected. A
// storage that hangs keeps a run for ever, and no time-out ends that: the system call does
// not return. Another run then takes over.
func (m *moves) stalled(after time.Duration) bool {
	return time.Since(time.Unix(0, m.at.Load())) > after
}

// moving notes the progress of reading.
type moving struct {
	io.ReadCloser
	moves *moves
}

// Read reads and notes that bytes came.
func (m moving) Read(p []byte) (int, error) {
	n, err := m.ReadCloser.Read(p)
	if n > 0 {
		m.moves.progress()
	}
	return n, err
}

// keepLease keeps the lease of a run.
func (r *run) keepLease(ctx context.Context) (context.Context, func()) {
	id, fence := r.post.ID, r.post.Fence
	renew := func(ctx context.Context, until time.Time) error { return r.DB.Runs.Renew(ctx, id, fence, until) }
	return r.keep(ctx, renew, &r.moves, func() { r.noteStall(id, fence) })
}

// noteStall says why another run will take the post over. The run itself may never say
// anything again: it hangs in a call.
func (r *run) noteStall(id string, fence int64) {
	why := fmt.Sprintf("nothing moved for %s, so this run gave the post up: the storage of the files or the platform hangs; another run takes over", r.Timings.Stall)
	r.log.Warn(why)
	ctx, cancel := context.WithTimeout(context.Background(), writeTimeout)
	defer cancel()
	if err := r.DB.Posts.AddEvents(ctx, models.PostEvent{PostID: id, At: r.Now(), Type: models.EventNote, Message: why, Fence: fence}); err != nil {
		r.log.WithError(err).Warn("could not write into the timeline that a run hangs")
	}
}

// keep renews a lease until stop is called, as long as there is progress; without, it calls
// stalled. The returned context ends when the lease is lost.
func (s *Service) keep(ctx context.Context, renew func(ctx context.Context, until time.Time) error, moves *moves, stalled func()) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	moves.progress()
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.renewing(ctx, renew, moves, stalled, cancel)
	}()
	return ctx, func() {
		cancel(context.Canceled)
		<-done
	}
}

func (s *Service) renewing(ctx context.Context, renew func(ctx context.Context, until time.Time) error, moves *moves, stalled func(), lost context.CancelCauseFunc) {
	every := time.NewTicker(s.Timings.Lease / 4)
	defer every.Stop()
	held := time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-every.C:
		}
		if moves.stalled(s.Timings.Stall) {
			lost(errStalled)
			stalled()
			return
		}
		err := s.renewOnce(ctx, renew)
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
func (s *Service) renewOnce(ctx context.Context, renew func(ctx context.Context, until time.Time) error) error {
	ctx, cancel := context.WithTimeout(ctx, s.Timings.Lease/4)
	defer cancel()
	return renew(ctx, s.Now().Add(s.Timings.Lease))
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
