package publish

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"socialqueue/db"
	"socialqueue/highwater"
	"socialqueue/models"
)

// intend records the call of a step before it is made. If it fails the call must not be
// made. Unless the step is declared harmless, the call counts as one that may make the post
// live.
func (r *run) intend(ctx context.Context, step *Step) (*models.LedgerEntry, error) {
	if err := r.stopping(ctx); err != nil {
		return nil, err
	}
	now := r.Now()
	e := &models.LedgerEntry{
		PostID: r.post.ID, Op: step.Op, Harmless: models.Harmless(step.Harmless), State: models.Intended, Fence: r.post.Fence, CreatedAt: now,
	}
	seen, budget := r.watch.compared(), r.budget(step)
	if budget.Name != "" {
		e.Budget = &budget.Name
	}
	err := r.DB.Runs.Intend(ctx, db.Intent{Entry: e, Mark: seen, Check: r.isCompared(seen), Budget: budget}, now)
	if err == nil && !step.Harmless {
		r.post.MissAt = nil
		err = r.raiseMark(ctx, e, seen)
	}
	if err != nil {
		if e.ID != 0 { // the call is not made; the record may be there even if its commit got no answer
			err = errors.Join(err, r.settle(ctx, e, models.Void))
		}
		return nil, err
	}
	r.ledger = append(r.ledger, *e)
	return e, nil
}

// isCompared returns a check of where a call is about to be recorded: in the database whose
// high-water mark was seen, and whose restores the run has taken into account. If not, it
// returns errRestored. A call that is recorded in any other one would also hide how far that
// one goes.
func (r *run) isCompared(seen highwater.Mark) func(db.Place) error {
	return func(at db.Place) error {
		if at.RestoreID > r.restoreID || !r.isHere(at.Name) || seen.Seq > 0 && !at.KnowsMark {
			return r.forget()
		}
		return nil
	}
}

// settle writes the result of a recorded call. The result is a fact, so even a run that lost
// its lease writes it.
func (r *run) settle(ctx context.Context, e *models.LedgerEntry, state models.LedgerState) error {
	now := r.Now()
	e.State, e.SettledAt = state, &now
	r.remember(e)
	return r.persist(ctx, func(ctx context.Context) error { return r.DB.Runs.Settle(ctx, e) })
}

// note writes what is known of a recorded call whose result is unknown.
func (r *run) note(ctx context.Context, e *models.LedgerEntry) error {
	r.remember(e)
	return r.persist(ctx, func(ctx context.Context) error { return r.DB.Runs.Settle(ctx, e) })
}

// remember puts an entry into the run's copy of the ledger.
func (r *run) remember(e *models.LedgerEntry) {
	for i := range r.ledger {
		if r.ledger[i].ID == e.ID {
			r.ledger[i] = *e
		}
	}
}

// void settles every entry of op that is not void yet: none of these calls made, or will
// make, anything live.
func (r *run) void(ctx context.Context, op models.LedgerOp) error {
	return r.voidWhere(ctx, func(e *models.LedgerEntry) bool { return e.Op == op })
}

// voidAll settles every entry: nothing that was recorded is, or will be, live.
func (r *run) voidAll(ctx context.Context) error {
	return r.voidWhere(ctx, func(*models.LedgerEntry) bool { return true })
}

func (r *run) voidWhere(ctx context.Context, which func(*models.LedgerEntry) bool) error {
	for _, e := range slices.Clone(r.ledger) {
		if e.State == models.Void || !which(&e) {
			continue
		}
		if err := r.settle(ctx, &e, models.Void); err != nil {
			return err
		}
	}
	return nil
}

// Ledger reads the recorded calls of a post, oldest first. Calls that the post's kind does
// not declare count as calls that may have made it live.
func (s *Service) Ledger(ctx context.Context, p *models.Post) (models.Ledger, error) {
	ledger, err := s.DB.Runs.Ledger(ctx, p.ID)
	if err != nil {
		return nil, err
	}
	kind := s.publishers.of(p)
	ledger.Distrust(func(op models.LedgerOp) bool { return kind != nil && kind.declares(op) })
	return ledger, nil
}

// Describe returns the text of a post, and short facts about it, for people. Both are empty
// where this program has no publisher for it.
func (s *Service) Describe(p *models.Post) (text string, facts []string, err error) {
	kind := s.publishers.of(p)
	if kind == nil {
		return "", nil, nil
	}
	options, err := kind.Decode(p.Options())
	if err != nil {
		return "", nil, fmt.Errorf("decode the options of post %s: %w", p.ID, err)
	}
	text, facts = options.Describe()
	return text, facts, nil
}
