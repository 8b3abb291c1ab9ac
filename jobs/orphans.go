package jobs

import (
	"context"
	"fmt"
)

// Asynq can leave two kinds of orphans when Redis loses a part of its content or a reply
// gets lost: an id in a list without its task, which is taken and never ends, and an active
// task without a lease, which is never taken back. Neither loses a post, because the sweep
// enqueues another task; but both keep their ids taken.
//
// Asynq also stores no time with a task that it takes back from a worker that stops. Such a
// task runs, but until then its wait is unknown.

// Orphan is an id in Asynq whose task will never end, or whose wait is unknown.
type Orphan struct {
	Queue, State, ID string
	// NoLease means that the task is active without a lease, and NoSince that it is pending
	// without a time. If both are false, the task is missing.
	NoLease, NoSince bool
}

// orphanPage is how many ids of a state are read at once, and orphanScan at most.
const (
	orphanPage = 1000
	orphanScan = 100_000
)

// Orphans finds orphans, and with fix repairs them. With quick it reads only those that
// cannot wait for a person: active tasks, and the next page of pending ones.
func (q *Queue) Orphans(ctx context.Context, quick, fix bool) ([]Orphan, error) {
	var found []Orphan
	for _, queue := range Queues {
		for _, state := range asynqStates {
			most := int64(orphanScan)
			if quick && state != stateActive {
				most = 0
			}
			if quick && state == statePending {
				most = orphanPage
			}
			more, err := q.orphansOf(ctx, queue, state, most, fix)
			if err != nil {
				return found, fmt.Errorf("find orphans in queue %s: %w", queue, err)
			}
			found = append(found, more...)
		}
	}
	return found, nil
}

func (q *Queue) orphansOf(ctx context.Context, queue string, state asynqState, most int64, fix bool) ([]Orphan, error) {
	var found []Orphan
	removed := int64(0) // each removal moves the rest of the list up
	for from := int64(0); from < most; from += orphanPage {
		ids, err := q.keys.ids(ctx, queue, state, from-removed, orphanPage)
		if err != nil || len(ids) == 0 {
			return found, err
		}
		suspects, err := q.keys.suspects(ctx, queue, state, ids)
		if err != nil {
			return found, err
		}
		for _, o := range suspects {
			is, err := q.keys.repair(ctx, o, fix)
			if err != nil {
				return found, err
			}
			if is {
				found = append(found, o)
			}
			if is && fix && !o.NoLease && !o.NoSince {
				removed++
			}
		}
	}
	return found, nil
}
