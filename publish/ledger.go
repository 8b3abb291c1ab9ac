package publish

import (
	"context"
	"errors"

	"socialqueue/models"
)

// intend writes a ledger entry before the call it tells of. If it fails the
// call must not be made.
func (r *run) intend(ctx context.Context, op models.LedgerOp) (*models.LedgerEntry, error) {
	if err := r.stopping(ctx); err != nil {
		return nil, err
	}
	now := r.Now()
	e := &models.LedgerEntry{PostID: r.post.ID, Op: op, State: models.Intended, Fence: r.post.Fence, CreatedAt: now}
	if err := r.DB.Runs.Intend(ctx, e, now); err != nil {
		if e.ID != 0 { // it may stand all the same: its commit got no answer
			err = errors.Join(err, r.settle(ctx, e, models.Void))
		}
		return nil, err
	}
	r.ledger = append(r.ledger, *e)
	return e, nil
}

// settle writes what became of the call of an entry. It is a fact: it is
// written even by a run that lost its lease.
func (r *run) settle(ctx context.Context, e *models.LedgerEntry, state models.LedgerState) error {
	now := r.Now()
	e.State, e.SettledAt = state, &now
	for i := range r.ledger {
		if r.ledger[i].ID == e.ID {
			r.ledger[i] = *e
		}
	}
	return r.persist(ctx, func(ctx context.Context) error { return r.DB.Runs.Settle(ctx, e) })
}

// void settles every entry of op that is not void yet: it is known that none of
// them made, or will make, anything live.
func (r *run) void(ctx context.Context, ops ...models.LedgerOp) error {
	for _, e := range append(models.Ledger(nil), r.ledger...) {
		for _, op := range ops {
			if e.Op != op || e.State == models.Void {
				continue
			}
			if err := r.settle(ctx, &e, models.Void); err != nil {
				return err
			}
		}
	}
	return nil
}
