package publish

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"socialqueue/db"
	"socialqueue/models"
	"socialqueue/observe"
)

// tickBatch is how many posts one tick reads at once.
const tickBatch = 500

// Sweep finds posts that should have a task in Asynq and have none, or a dead
// one, and gives them one. It is the guarantee behind every enqueue, and one
// tick of the scheduler.
func (s *Service) Sweep(ctx context.Context) error {
	lost, err := s.Queue.Lost(ctx)
	if err != nil {
		return fmt.Errorf("ask Redis: %w", err)
	}
	if lost {
		return s.refill(ctx)
	}
	posts, err := s.DB.Admission.Unattended(ctx, s.Now(), s.Timings.CheckAfter, tickBatch)
	if err != nil {
		return err
	}
	for i := range posts {
		if err := s.attend(ctx, &posts[i]); err != nil {
			return err
		}
	}
	return nil
}

// MissLate ends posts that wait and are later than they themselves allow. A
// post that a worker claims too late is ended there. It is one tick of the
// scheduler.
func (s *Service) MissLate(ctx context.Context) error {
	restores, err := s.knownRestores(ctx)
	if err != nil {
		return err
	}
	var newest *models.Restore
	if len(restores) > 0 {
		newest = &restores[0]
	}
	now := s.Now()
	posts, err := s.DB.Admission.TooLate(ctx, newest, now, tickBatch)
	if err != nil {
		return err
	}
	for i := range posts {
		if err := s.miss(ctx, &posts[i], now); err != nil {
			return err
		}
	}
	return nil
}

func (s *Service) miss(ctx context.Context, p *models.Post, now time.Time) error {
	ledger, err := s.Ledger(ctx, p)
	if err != nil {
		return err
	}
	from := p.Status
	p.Status = models.Missed
	end(p, now)
	err = s.DB.Posts.ChangeUnsent(ctx, p, models.PostEvent{
		PostID: p.ID, At: now, Type: models.EventState, From: from, To: p.Status, Message: tooLate(p, ledger), Fence: p.Fence + 1,
	})
	if errors.Is(err, db.ErrStale) {
		return nil // a worker has it: it decides
	}
	if err == nil {
		s.Metrics.PostReached(string(p.Platform), string(p.Kind), string(p.Status))
	}
	return err
}

// tooLate says that a post missed its time, and which calls were made for it until then.
// They are harmless ones: once a call that can make it live is recorded, nothing is missed.
func tooLate(p *models.Post, ledger models.Ledger) string {
	var made []string
	for _, e := range ledger {
		if e.State == models.Done {
			made = append(made, strings.TrimSpace(string(e.Op)+" "+deref(e.ExternalID)))
		}
	}
	if len(made) == 0 {
		return fmt.Sprintf("not started within max_lateness (%s)", p.MaxLateness())
	}
	return fmt.Sprintf("not sent within max_lateness (%s); made until then, which puts nothing live: %s", p.MaxLateness(), strings.Join(made, ", "))
}

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// refill enqueues everything that should be in Asynq, after Redis lost it.
func (s *Service) refill(ctx context.Context) error {
	refilled, after := 0, ""
	for {
		posts, err := s.DB.Admission.Admitted(ctx, after, tickBatch)
		if err != nil {
			return err
		}
		for i := range posts {
			if err := s.refillOne(ctx, &posts[i]); err != nil {
				return err
			}
			refilled++
			after = posts[i].ID
		}
		if len(posts) < tickBatch {
			break
		}
	}
	s.Metrics.Repaired(observe.RepairRefill, refilled)
	if refilled > 0 {
		s.Log.WithField("posts", refilled).Warn("Redis had lost its tasks; all are enqueued again")
	}
	return s.Queue.Refilled(ctx)
}

// refillOne enqueues a post unless a worker runs it: that one enqueues the next
// task itself.
func (s *Service) refillOne(ctx context.Context, p *models.Post) error {
	now := s.Now()
	if p.LeaseUntil != nil && p.LeaseUntil.After(now) {
		return nil
	}
	if err := s.Queue.Enqueue(ctx, TaskOf(p)); err != nil {
		return fmt.Errorf("enqueue post %s: %w", p.ID, err)
	}
	return s.DB.Admission.SeenInAsynq(ctx, p.ID, p.Fence, now)
}

// attend makes sure that an unattended post has a task that will run.
func (s *Service) attend(ctx context.Context, p *models.Post) error {
	task := TaskOf(p)
	state, err := s.Queue.State(ctx, task)
	if err != nil {
		return fmt.Errorf("look for the task of post %s: %w", p.ID, err)
	}
	if verdictOn(state) == replace {
		err := s.DB.Admission.Refence(ctx, p, s.Now())
		if errors.Is(err, db.ErrStale) {
			return nil // it moved: no longer unattended
		}
		if err != nil {
			return err
		}
		task.Fence = p.Fence
	}
	if state != TaskPending {
		s.Metrics.Repaired(observe.RepairPost, 1)
		observe.OfPost(s.Log, p).WithField("was", state.String()).Info("the sweep enqueued a post that had no live task")
	}
	if err := s.Queue.Enqueue(ctx, task); err != nil {
		return fmt.Errorf("enqueue post %s: %w", p.ID, err)
	}
	return s.DB.Admission.SeenInAsynq(ctx, p.ID, p.Fence, s.Now())
}

type verdict uint8

const (
	enqueueAgain verdict = iota
	replace
)

// verdictOn says what an unattended post needs. A task that is active although
// nobody holds the post was taken by a worker that died before its claim; one
// that is dead keeps its id taken. Both need a task of another name.
func verdictOn(state TaskState) verdict {
	if state == TaskDead || state == TaskActive {
		return replace
	}
	return enqueueAgain
}

// String gives the state's name for logs.
func (t TaskState) String() string {
	return [...]string{"missing", "pending", "active", "dead"}[t]
}
