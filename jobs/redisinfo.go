package jobs

import (
	"cmp"
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"socialqueue/observe"
)

// RedisNode describes a Redis that takes writes.
type RedisNode struct {
	Addr    string
	Version string
	// Policy is its maxmemory-policy; empty if it does not say.
	Policy string
	// Used and Max are its memory in bytes; Max is 0 if there is no limit.
	Used, Max int64
	// Evicted counts the keys that it evicted since it started.
	Evicted int64
	// Replicas is the number of connected replicas.
	Replicas int64
	// AppendOnly and Snapshots say how it persists its content, and Broken which of them
	// failed last; empty if none did.
	AppendOnly, Snapshots bool
	Broken                string
	// Skew is how far its clock is ahead of ours.
	Skew time.Duration
}

// Ping returns an error unless Redis answers.
func (q *Queue) Ping(ctx context.Context) error {
	if err := q.redis.Ping(ctx).Err(); err != nil {
		return fmt.Errorf("reach redis: %w", err)
	}
	return nil
}

// RedisNodes returns the Redis in use, or every master of a cluster.
func (q *Queue) RedisNodes(ctx context.Context) ([]RedisNode, error) {
	cluster, isCluster := q.redis.(*redis.ClusterClient)
	if !isCluster {
		node, err := askNode(ctx, q.redis)
		return []RedisNode{node}, err
	}
	var mu sync.Mutex
	var nodes []RedisNode
	err := cluster.ForEachMaster(ctx, func(ctx context.Context, master *redis.Client) error {
		node, err := askNode(ctx, master)
		node.Addr = master.Options().Addr
		mu.Lock()
		defer mu.Unlock()
		nodes = append(nodes, node)
		return err
	})
	return nodes, err
}

func askNode(ctx context.Context, client redis.Cmdable) (RedisNode, error) {
	var n RedisNode
	began := time.Now()
	at, err := client.Time(ctx).Result()
	if err != nil {
		return n, fmt.Errorf("read the clock of Redis: %w", err)
	}
	n.Skew = at.Sub(began.Add(time.Since(began) / 2))
	text, err := client.Info(ctx).Result()
	if err != nil {
		return n, fmt.Errorf("read INFO of Redis: %w", err)
	}
	info := infoOf(text)
	number := func(name string) int64 {
		value, _ := strconv.ParseInt(info[name], 10, 64) // a missing value counts as 0
		return value
	}
	n.Version, n.Policy, n.Used, n.Max, n.Evicted = info["redis_version"], info["maxmemory_policy"], number("used_memory"), number("maxmemory"), number("evicted_keys")
	n.Replicas = number("connected_slaves")
	n.AppendOnly = info["aof_enabled"] == "1"
	if saves, err := client.ConfigGet(ctx, "save").Result(); err == nil { // managed services refuse CONFIG
		n.Snapshots = saves["save"] != ""
	}
	for name, what := range map[string]string{
		"aof_last_write_status": "the last write of its append-only file", "aof_last_bgrewrite_status": "the last rewriting of its append-only file",
		"rdb_last_bgsave_status": "its last snapshot",
	} {
		if info[name] == "err" {
			n.Broken = what
		}
	}
	return n, nil
}

// RedisGauges returns memory, evictions, persistence and replicas of Redis, for every
// master of a cluster.
func (q *Queue) RedisGauges(ctx context.Context) ([]observe.Gauge, error) {
	nodes, err := q.RedisNodes(ctx)
	if err != nil {
		return nil, err
	}
	var gauges []observe.Gauge
	replicas := int64(0)
	for _, n := range nodes {
		labels, broken := []string{"node", cmp.Or(n.Addr, "redis")}, 0.0
		if n.Broken != "" {
			broken = 1
		}
		replicas += n.Replicas
		gauges = append(gauges,
			observe.Gauge{Name: "redis_memory_bytes", Help: "Memory that Redis uses.", Labels: labels, Value: float64(n.Used)},
			observe.Gauge{Name: "redis_memory_max_bytes", Help: "Memory that Redis may use (maxmemory); 0 means no limit.", Labels: labels, Value: float64(n.Max)},
			observe.Gauge{Name: "redis_evicted_keys", Help: "Keys that Redis evicted since it started, because its memory was full.", Labels: labels, Value: float64(n.Evicted)},
			observe.Gauge{Name: "redis_persistence_failed", Help: "Whether the last write or rewrite of the append-only file, or the last snapshot, failed.", Labels: labels, Value: broken},
		)
	}
	// No node label, as masters change.
	return append(gauges, observe.Gauge{Name: "redis_replicas", Help: "Connected replicas of all masters.", Value: float64(replicas)}), nil
}

// infoOf parses the answer of INFO.
func infoOf(text string) map[string]string {
	info := map[string]string{}
	for line := range strings.Lines(text) {
		if name, value, found := strings.Cut(strings.TrimSpace(line), ":"); found {
			info[name] = value
		}
	}
	return info
}
