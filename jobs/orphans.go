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
//
// It also notes no time at a task that it takes back from a worker that stops. That one
// runs, but until then nobody sees how long it has been waiting.

// Orphan is an id in Asynq that nobody will see to, or whose wait nobody sees.
type Orphan struct {
	Queue, State, ID string
	// NoLease: its task is there, but active without a lease. NoSince: its task is there,
	// but does not say since when it is pending. Otherwise its task is not there.
	NoLease, NoSince bool
}

// orphanPage is how many ids of a state are looked at in one go, and orphanLook at most.
const (
	orphanPage = 1000
	orphanLook = 100_000
)

// mendMessage tells whether an id is in a list or set without its task, and with ARGV[2]
// takes it out. A list is searched from its end: it is looked at from there. KEYS: the
// task, the list or set, the leases.
var mendMessage = redis.NewScript(`
if redis.call("EXISTS", KEYS[1]) == 1 then return 0 end
local list = redis.call("TYPE", KEYS[2]).ok == "list"
if list and not redis.call("LPOS", KEYS[2], ARGV[1], "RANK", -1) then return 0 end
if not list and not redis.call("ZSCORE", KEYS[2], ARGV[1]) then return 0 end
if ARGV[2] == "1" then
	if list then redis.call("LREM", KEYS[2], -1, ARGV[1]) else redis.call("ZREM", KEYS[2], ARGV[1]) end
	redis.call("ZREM", KEYS[3], ARGV[1])
end
return 1`)

// mendLease tells whether an id is active without a lease, and with ARGV[2] gives it one
// that is over, so that Asynq takes the task back. KEYS: the active ones, the leases.
var mendLease = redis.NewScript(`
if redis.call("ZSCORE", KEYS[2], ARGV[1]) or not redis.call("LPOS", KEYS[1], ARGV[1]) then return 0 end
if ARGV[2] == "1" then redis.call("ZADD", KEYS[2], ARGV[3], ARGV[1]) end
return 1`)

// mendSince tells whether a task is pending without a time, and with ARGV[1] gives it
// that of ARGV[2]. KEYS: the task.
var mendSince = redis.NewScript(`
local state, since = unpack(redis.call("HMGET", KEYS[1], "state", "pending_since"))
if state ~= "pending" or since then return 0 end
if ARGV[1] == "1" then redis.call("HSET", KEYS[1], "pending_since", ARGV[2]) end
return 1`)

// Orphans finds them, and with fix mends them. With quick it looks at those only that
// cannot wait for a person: the active ones, and a page of the pending ones that are next.
func (q *Queue) Orphans(ctx context.Context, quick, fix bool) ([]Orphan, error) {
	var found []Orphan
	for _, queue := range Queues {
		for _, state := range queueStates {
			most := int64(orphanLook)
			if quick && state.key != "active" {
				most = 0
			}
			if quick && state.key == "pending" {
				most = orphanPage
			}
			more, err := q.orphansOf(ctx, queue, state.key, state.list, most, fix)
			if err != nil {
				return found, fmt.Errorf("look for orphans in queue %s: %w", queue, err)
			}
			found = append(found, more...)
		}
	}
	return found, nil
}

func (q *Queue) orphansOf(ctx context.Context, queue, state string, list bool, most int64, fix bool) ([]Orphan, error) {
	var found []Orphan
	taken := int64(0) // which moves the rest of the list up
	for from := int64(0); from < most; from += orphanPage {
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
			if is && fix && !o.NoLease && !o.NoSince {
				taken++
			}
		}
	}
	return found, nil
}

// ids is a page of a list or set, counted from where workers take: the end of a list.
func (q *Queue) ids(ctx context.Context, key string, list bool, from int64) ([]string, error) {
	if list {
		return q.redis.LRange(ctx, key, -from-orphanPage, -from-1).Result()
	}
	return q.redis.ZRange(ctx, key, from, from+orphanPage-1).Result()
}

// suspects looks at ids without holding anybody up; what it sees may be over a moment
// later.
func (q *Queue) suspects(ctx context.Context, queue, state string, ids []string) ([]Orphan, error) {
	pipe := q.redis.Pipeline()
	tasks, marks := make([]*redis.IntCmd, len(ids)), make([]redis.Cmder, len(ids))
	for i, id := range ids {
		task := queueKey(queue, "t:"+id)
		tasks[i] = pipe.Exists(ctx, task)
		switch state {
		case "active":
			marks[i] = pipe.ZScore(ctx, queueKey(queue, "lease"), id)
		case "pending":
			marks[i] = pipe.HGet(ctx, task, "pending_since")
		}
	}
	if _, err := pipe.Exec(ctx); err != nil && !errors.Is(err, redis.Nil) {
		return nil, err
	}
	var found []Orphan
	for i, id := range ids {
		o := Orphan{Queue: queue, State: state, ID: id}
		unmarked := marks[i] != nil && errors.Is(marks[i].Err(), redis.Nil)
		if tasks[i].Val() > 0 {
			o.NoLease, o.NoSince = unmarked && state == "active", unmarked && state == "pending"
		}
		if tasks[i].Val() == 0 || unmarked {
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
	task, lease := queueKey(o.Queue, "t:"+o.ID), queueKey(o.Queue, "lease")
	var n int
	var err error
	switch {
	case o.NoLease:
		over := time.Now().Add(-time.Minute).Unix()
		n, err = mendLease.Run(ctx, q.redis, []string{queueKey(o.Queue, "active"), lease}, o.ID, do, over).Int()
	case o.NoSince:
		n, err = mendSince.Run(ctx, q.redis, []string{task}, do, time.Now().UnixNano()).Int()
	default:
		n, err = mendMessage.Run(ctx, q.redis, []string{task, queueKey(o.Queue, o.State), lease}, o.ID, do).Int()
	}
	return n == 1, err
}
