package jobs

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

// What Asynq v0.26 can leave behind when Redis loses a part of its content or a reply
// gets lost on the way: an id in a list without its task, which is taken and never ends,
// and an active task without a lease, which nobody takes back. Neither loses a post, as
// the sweep gives it another task; but they hold their ids, and can never be seen to.

// Orphan is an id in Asynq that nobody will see to.
type Orphan struct {
	Queue, State, ID string
	// NoLease: its task is there, but active without a lease. Otherwise its task is not
	// there.
	NoLease bool
}

// orphanPage is how many ids of a state are looked at in one go, and orphanLook at most.
const (
	orphanPage = 1000
	orphanLook = 100_000
)

// mendMessage tells whether an id is in a list or set without its task, and with ARGV[2]
// takes it out. KEYS: the task, the list or set, the leases.
var mendMessage = redis.NewScript(`
if redis.call("EXISTS", KEYS[1]) == 1 then return 0 end
local list = redis.call("TYPE", KEYS[2]).ok == "list"
if list and not redis.call("LPOS", KEYS[2], ARGV[1]) then return 0 end
if not list and not redis.call("ZSCORE", KEYS[2], ARGV[1]) then return 0 end
if ARGV[2] == "1" then
	if list then redis.call("LREM", KEYS[2], 0, ARGV[1]) else redis.call("ZREM", KEYS[2], ARGV[1]) end
	redis.call("ZREM", KEYS[3], ARGV[1])
end
return 1`)

// mendLease tells whether an id is active without a lease, and with ARGV[2] gives it one
// that is over, so that Asynq takes the task back. KEYS: the active ones, the leases.
var mendLease = redis.NewScript(`
if redis.call("ZSCORE", KEYS[2], ARGV[1]) or not redis.call("LPOS", KEYS[1], ARGV[1]) then return 0 end
if ARGV[2] == "1" then redis.call("ZADD", KEYS[2], ARGV[3], ARGV[1]) end
return 1`)

// Orphans finds them, in all states or in the active ones only, and with fix mends them.
func (q *Queue) Orphans(ctx context.Context, onlyActive, fix bool) ([]Orphan, error) {
	var found []Orphan
	for _, queue := range Queues {
		for _, state := range queueStates {
			if onlyActive && state.key != "active" {
				continue
			}
			more, err := q.orphansOf(ctx, queue, state.key, state.list, fix)
			if err != nil {
				return found, fmt.Errorf("look for orphans in queue %s: %w", queue, err)
			}
			found = append(found, more...)
		}
	}
	return found, nil
}

func (q *Queue) orphansOf(ctx context.Context, queue, state string, list, fix bool) ([]Orphan, error) {
	var found []Orphan
	taken := int64(0) // which moves the rest of the list up
	for from := int64(0); from < orphanLook; from += orphanPage {
		ids, err := q.ids(ctx, queueKey(queue, state), list, from-taken)
		if err != nil || len(ids) == 0 {
			return found, err
		}
		suspects, err := q.suspects(ctx, queue, state, ids)
		if err != nil {
			return found, err
		}
		for _, o := range suspects {
			is, err := q.mend(ctx, o, fix)
			if err != nil {
				return found, err
			}
			if is {
				found = append(found, o)
			}
			if is && fix && !o.NoLease {
				taken++
			}
		}
	}
	return found, nil
}

func (q *Queue) ids(ctx context.Context, key string, list bool, from int64) ([]string, error) {
	if list {
		return q.redis.LRange(ctx, key, from, from+orphanPage-1).Result()
	}
	return q.redis.ZRange(ctx, key, from, from+orphanPage-1).Result()
}

// suspects looks at ids without holding anybody up; what it sees may be over a moment
// later.
func (q *Queue) suspects(ctx context.Context, queue, state string, ids []string) ([]Orphan, error) {
	pipe := q.redis.Pipeline()
	tasks, leases := make([]*redis.IntCmd, len(ids)), make([]*redis.FloatCmd, len(ids))
	for i, id := range ids {
		tasks[i] = pipe.Exists(ctx, queueKey(queue, "t:"+id))
		leases[i] = pipe.ZScore(ctx, queueKey(queue, "lease"), id)
	}
	if _, err := pipe.Exec(ctx); err != nil && !errors.Is(err, redis.Nil) {
		return nil, err
	}
	var found []Orphan
	for i, id := range ids {
		o := Orphan{Queue: queue, State: state, ID: id}
		switch {
		case tasks[i].Val() == 0:
			found = append(found, o)
		case state == "active" && errors.Is(leases[i].Err(), redis.Nil):
			o.NoLease = true
			found = append(found, o)
		}
	}
	return found, nil
}

// mend looks again, in one step, and with fix mends it in the same.
func (q *Queue) mend(ctx context.Context, o Orphan, fix bool) (bool, error) {
	do := "0"
	if fix {
		do = "1"
	}
	lease := queueKey(o.Queue, "lease")
	if o.NoLease {
		over := time.Now().Add(-time.Minute).Unix()
		n, err := mendLease.Run(ctx, q.redis, []string{queueKey(o.Queue, "active"), lease}, o.ID, do, over).Int()
		return n == 1, err
	}
	n, err := mendMessage.Run(ctx, q.redis, []string{queueKey(o.Queue, "t:"+o.ID), queueKey(o.Queue, o.State), lease}, o.ID, do).Int()
	return n == 1, err
}
