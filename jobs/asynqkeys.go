package jobs

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

// This file holds everything that uses Asynq's own keys in Redis. They are not part of
// Asynq's API: another version may name or use them differently. A test compares
// asynqVersion with go.mod. Before you change it, compare this file with Asynq's
// internal/base and internal/rdb, and settleHook with its processor.

// asynqVersion is the version of Asynq that this file was written for.
const asynqVersion = "v0.26.0"

// asynqQueues is Asynq's set of queue names. A client writes a name once; after a loss of
// data no tool would show the queue.
const asynqQueues = "asynq:queues"

// asynqState is a state of tasks that wait, run or were archived. Its name is also
// its key in a queue, which is a list or else a sorted set.
type asynqState struct {
	name string
	list bool
}

var (
	statePending   = asynqState{"pending", true}
	stateActive    = asynqState{"active", true}
	stateScheduled = asynqState{"scheduled", false}
	stateRetry     = asynqState{"retry", false}
	stateArchived  = asynqState{"archived", false}

	asynqStates = []asynqState{statePending, stateActive, stateScheduled, stateRetry, stateArchived}
)

// asynqKeys reads and repairs Asynq's keys.
type asynqKeys struct{ redis redis.UniversalClient }

// queueKey returns a key of a queue.
func queueKey(queue, key string) string { return "asynq:{" + queue + "}:" + key }

// taskKey returns the key of the hash that holds a task.
func taskKey(queue, id string) string { return queueKey(queue, "t:"+id) }

// name adds queues to Asynq's set of names.
func (k asynqKeys) name(ctx context.Context, queues ...string) error {
	names := make([]any, len(queues))
	for i, name := range queues {
		names[i] = name
	}
	return k.redis.SAdd(ctx, asynqQueues, names...).Err()
}

// isNamed reports whether a queue is in Asynq's set of names.
func (k asynqKeys) isNamed(ctx context.Context, queue string) (bool, error) {
	return k.redis.SIsMember(ctx, asynqQueues, queue).Result()
}

// isPaused reports whether a queue is paused.
func (k asynqKeys) isPaused(ctx context.Context, queue string) (bool, error) {
	n, err := k.redis.Exists(ctx, queueKey(queue, "paused")).Result()
	return n > 0, err
}

// queueSize is how many tasks a queue has in each of asynqStates, whether it is
// paused, and the ids of the tasks that are next.
type queueSize struct {
	tasks  []int64
	paused bool
	next   []string
}

// size reads lengths, and contents only of the next tasks, so a million tasks cost as much
// as ten.
func (k asynqKeys) size(ctx context.Context, queue string, next int64) (queueSize, error) {
	pipe := k.redis.Pipeline()
	lengths := make([]*redis.IntCmd, len(asynqStates))
	for i, s := range asynqStates {
		if s.list {
			lengths[i] = pipe.LLen(ctx, queueKey(queue, s.name))
		} else {
			lengths[i] = pipe.ZCard(ctx, queueKey(queue, s.name))
		}
	}
	paused, ids := pipe.Exists(ctx, queueKey(queue, "paused")), pipe.LRange(ctx, queueKey(queue, statePending.name), -next, -1)
	if _, err := pipe.Exec(ctx); err != nil {
		return queueSize{}, err
	}
	size := queueSize{tasks: make([]int64, len(lengths)), paused: paused.Val() > 0, next: ids.Val()}
	for i, n := range lengths {
		size.tasks[i] = n.Val()
	}
	return size, nil
}

// longestWait returns how long the oldest of some pending tasks has been pending. A task
// may have no time: Asynq stores none when it takes a task back from a worker that stops,
// the task of an id may be lost, and a worker may have taken it just now.
func (k asynqKeys) longestWait(ctx context.Context, queue string, ids []string) (time.Duration, error) {
	pipe := k.redis.Pipeline()
	since := make([]*redis.StringCmd, len(ids))
	for i, id := range ids {
		since[i] = pipe.HGet(ctx, taskKey(queue, id), "pending_since")
	}
	if _, err := pipe.Exec(ctx); err != nil && !errors.Is(err, redis.Nil) {
		return 0, err
	}
	longest := time.Duration(0)
	for i, id := range ids {
		if errors.Is(since[i].Err(), redis.Nil) {
			continue
		}
		nanos, err := since[i].Int64()
		if err != nil {
			return 0, fmt.Errorf("read pending_since of task %s: %w", id, err)
		}
		longest = max(longest, time.Since(time.Unix(0, nanos)))
	}
	return longest, nil
}

// listScan is how far a list is searched for a task. A longer one counts as holding it.
const listScan = 5000

// isListed reports whether a waiting task is in the list or set that workers take tasks
// from.
func (k asynqKeys) isListed(ctx context.Context, queue, state, id string) (bool, error) {
	key := queueKey(queue, state)
	var err error
	if state == statePending.name {
		_, err = k.redis.LPos(ctx, key, id, redis.LPosArgs{MaxLen: listScan}).Result()
		if n, lenErr := k.redis.LLen(ctx, key).Result(); lenErr != nil || n > listScan {
			return true, lenErr
		}
	} else {
		_, err = k.redis.ZScore(ctx, key, id).Result()
	}
	if errors.Is(err, redis.Nil) {
		return false, nil
	}
	return err == nil, err
}

// ids returns a page of a list or set, counted from the end that workers take tasks from.
func (k asynqKeys) ids(ctx context.Context, queue string, state asynqState, from, page int64) ([]string, error) {
	key := queueKey(queue, state.name)
	if state.list {
		return k.redis.LRange(ctx, key, -from-page, -from-1).Result()
	}
	return k.redis.ZRange(ctx, key, from, from+page-1).Result()
}

// archived returns how many tasks of a queue are archived, and how many of them were
// archived before a time.
func (k asynqKeys) archived(ctx context.Context, queue string, before time.Time) (all, old int64, err error) {
	key := queueKey(queue, stateArchived.name)
	if old, err = k.redis.ZCount(ctx, key, "-inf", fmt.Sprint(before.Unix())).Result(); err != nil {
		return 0, 0, err
	}
	all, err = k.redis.ZCard(ctx, key).Result()
	return all, old, err
}

// suspects returns those of some ids that look like orphans. It takes no lock, so its
// result may be outdated a moment later.
func (k asynqKeys) suspects(ctx context.Context, queue string, state asynqState, ids []string) ([]Orphan, error) {
	pipe := k.redis.Pipeline()
	tasks, marks := make([]*redis.IntCmd, len(ids)), make([]redis.Cmder, len(ids))
	for i, id := range ids {
		task := taskKey(queue, id)
		tasks[i] = pipe.Exists(ctx, task)
		switch state {
		case stateActive:
			marks[i] = pipe.ZScore(ctx, queueKey(queue, "lease"), id)
		case statePending:
			marks[i] = pipe.HGet(ctx, task, "pending_since")
		}
	}
	if _, err := pipe.Exec(ctx); err != nil && !errors.Is(err, redis.Nil) {
		return nil, err
	}
	var found []Orphan
	for i, id := range ids {
		o := Orphan{Queue: queue, State: state.name, ID: id}
		unmarked := marks[i] != nil && errors.Is(marks[i].Err(), redis.Nil)
		if tasks[i].Val() > 0 {
			o.NoLease, o.NoSince = unmarked && state == stateActive, unmarked && state == statePending
		}
		if tasks[i].Val() == 0 || unmarked {
			found = append(found, o)
		}
	}
	return found, nil
}

// repairMessage reports whether an id is in a list or set without its task, and
// removes it if ARGV[2] is 1. A list is searched from its end, as workers take from
// there. KEYS: the task, the list or set, the leases.
var repairMessage = redis.NewScript(`
if redis.call("EXISTS", KEYS[1]) == 1 then return 0 end
local list = redis.call("TYPE", KEYS[2]).ok == "list"
if list and not redis.call("LPOS", KEYS[2], ARGV[1], "RANK", -1) then return 0 end
if not list and not redis.call("ZSCORE", KEYS[2], ARGV[1]) then return 0 end
if ARGV[2] == "1" then
	if list then redis.call("LREM", KEYS[2], -1, ARGV[1]) else redis.call("ZREM", KEYS[2], ARGV[1]) end
	redis.call("ZREM", KEYS[3], ARGV[1])
end
return 1`)

// repairLease reports whether an id is active without a lease. If ARGV[2] is 1 it adds an
// expired lease, so that Asynq takes the task back. KEYS: the active ids, the leases.
var repairLease = redis.NewScript(`
if redis.call("ZSCORE", KEYS[2], ARGV[1]) or not redis.call("LPOS", KEYS[1], ARGV[1]) then return 0 end
if ARGV[2] == "1" then redis.call("ZADD", KEYS[2], ARGV[3], ARGV[1]) end
return 1`)

// repairSince reports whether a task is pending without a time. If ARGV[1] is 1 it sets the
// time to ARGV[2]. KEYS: the task.
var repairSince = redis.NewScript(`
local state, since = unpack(redis.call("HMGET", KEYS[1], "state", "pending_since"))
if state ~= "pending" or since then return 0 end
if ARGV[1] == "1" then redis.call("HSET", KEYS[1], "pending_since", ARGV[2]) end
return 1`)

// repair reports whether a suspect is an orphan, and with fix repairs it in the same
// step.
func (k asynqKeys) repair(ctx context.Context, o Orphan, fix bool) (bool, error) {
	do := "0"
	if fix {
		do = "1"
	}
	task, lease := taskKey(o.Queue, o.ID), queueKey(o.Queue, "lease")
	var n int
	var err error
	switch {
	case o.NoLease:
		over := time.Now().Add(-time.Minute).Unix()
		n, err = repairLease.Run(ctx, k.redis, []string{queueKey(o.Queue, stateActive.name), lease}, o.ID, do, over).Int()
	case o.NoSince:
		n, err = repairSince.Run(ctx, k.redis, []string{task}, do, time.Now().UnixNano()).Int()
	default:
		n, err = repairMessage.Run(ctx, k.redis, []string{task, queueKey(o.Queue, o.State), lease}, o.ID, do).Int()
	}
	return n == 1, err
}
