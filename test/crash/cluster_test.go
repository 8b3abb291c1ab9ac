package crash_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"socialqueue/jobs"
	"socialqueue/sandbox"
	"socialqueue/test/testkit"
)

const (
	// defaultTopologyPosts is how many posts meet each topology.
	defaultTopologyPosts = 200
	slots                = 16384
	// nodeTimeout is how long a node of the cluster is silent before it counts as dead.
	nodeTimeout = 2 * time.Second
	// publishKey is one of the keys of the queue that publishes; all of them share a slot.
	publishKey = "asynq:{publish}:pending"
)

// TestRedisCluster: posts come in while the slot of their queue moves to another
// master, and that one dies.
func TestRedisCluster(t *testing.T) {
	t.Parallel() // they mostly wait
	c := newCluster(t)
	s := newSystem(t, setup{redisURL: c.url(), delays: &sandbox.Delays{}})
	s.wantReady(t)
	posts := s.startLoad(t, 0, wanted(t, "TOPOLOGY_POSTS", defaultTopologyPosts), 75*time.Millisecond)

	posts.until(25)
	moved := c.moveSlot(c.slotOf(publishKey))
	posts.until(50)
	killed := c.killOwner(c.slotOf(publishKey))
	s.anotherWorker(t, "worker-2") // starts while Redis fails over, and does the rest of the work
	outage := writeOutage(t, s.redis, publishKey+":probe", killed)
	stopped := stopWorker(t, s.worker)
	accepts := posts.end()

	s.await(t, endTimeout)
	_, lost, doubled := s.count(t)
	s.wantReady(t)
	s.wantMonitoring(t)
	fmt.Printf("cluster: %s lost=%d doubled=%d; slot of %d keys moved in %s; a master killed: write_outage=%.1fs; a worker stopped in %s\n",
		accepts, lost, doubled, moved.keys, moved.took.Round(time.Millisecond), outage.Seconds(), stopped)
	c.wantEveryMasterAsked(s)
}

// cluster is a Redis Cluster of three masters, each with a replica.
type cluster struct {
	t     *testing.T
	nodes []*node
}

// node is one server of the cluster.
type node struct {
	*server
	id      string
	busPort string
	client  *redis.Client
	dead    bool
}

func newCluster(t *testing.T) *cluster {
	t.Helper()
	c := &cluster{t: t}
	for i := range 6 {
		c.nodes = append(c.nodes, c.newNode(fmt.Sprint("cluster-", i)))
	}
	masters, replicas := c.nodes[:3], c.nodes[3:]
	for i, n := range masters {
		// each an epoch of its own, else they have to settle who is right first
		c.must(n.client.Do(c.ctx(), "CLUSTER", "SET-CONFIG-EPOCH", i+1).Err())
		c.must(n.client.ClusterAddSlotsRange(c.ctx(), i*slots/3, (i+1)*slots/3-1).Err())
	}
	for _, n := range c.nodes[1:] {
		host, port, _ := net.SplitHostPort(n.addr)
		c.must(masters[0].client.Do(c.ctx(), "CLUSTER", "MEET", host, port, n.busPort).Err())
	}
	for i, n := range replicas {
		master := masters[i]
		c.eventually("the replica knows its master", func() bool {
			return n.client.ClusterReplicate(c.ctx(), master.id).Err() == nil
		})
	}
	for _, n := range replicas {
		c.eventually("the replica has caught up", func() bool { return n.says("replication", "master_link_status:up") })
	}
	for _, n := range c.nodes {
		c.eventually("every node knows the whole cluster", func() bool {
			info := n.client.ClusterInfo(c.ctx()).Val()
			return strings.Contains(info, "cluster_state:ok") && strings.Contains(info, "cluster_known_nodes:6") &&
				strings.Count(n.client.ClusterNodes(c.ctx()).Val(), "slave") == len(replicas)
		})
	}
	return c
}

func (c *cluster) newNode(name string) *node {
	c.t.Helper()
	_, busPort, _ := net.SplitHostPort(testkit.FreeAddr(c.t))
	n := &node{busPort: busPort, server: redisServer(c.t, name, "--cluster-enabled", "yes", "--cluster-port", busPort,
		"--cluster-node-timeout", strconv.FormatInt(nodeTimeout.Milliseconds(), 10))}
	n.client = redis.NewClient(&redis.Options{Addr: n.addr, Password: redisPassword})
	c.t.Cleanup(func() { _ = n.client.Close() })
	var err error
	n.id, err = n.client.ClusterMyID(c.ctx()).Result()
	c.must(err)
	return n
}

// url names the three nodes that begin as masters.
func (c *cluster) url() string {
	return fmt.Sprintf("redis-cluster://%s@%s,%s,%s", redisUser, c.nodes[0].addr, c.nodes[1].addr, c.nodes[2].addr)
}

func (c *cluster) ctx() context.Context { return c.t.Context() }

func (c *cluster) must(err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
}

func (c *cluster) eventually(what string, is func() bool) {
	c.t.Helper()
	testkit.Eventually(c.t, what, is)
}

func (c *cluster) slotOf(key string) int {
	c.t.Helper()
	slot, err := c.alive()[0].client.ClusterKeySlot(c.ctx(), key).Result()
	c.must(err)
	return int(slot)
}

func (c *cluster) alive() []*node {
	var alive []*node
	for _, n := range c.nodes {
		if !n.dead {
			alive = append(alive, n)
		}
	}
	return alive
}

func (c *cluster) masters() []*node {
	var masters []*node
	for _, n := range c.alive() {
		if n.says("replication", "role:master") {
			masters = append(masters, n)
		}
	}
	return masters
}

// owner is the master that has a slot.
func (c *cluster) owner(slot int) *node {
	c.t.Helper()
	shards, err := c.alive()[0].client.ClusterShards(c.ctx()).Result()
	c.must(err)
	for _, shard := range shards {
		for _, r := range shard.Slots {
			if r.Start <= int64(slot) && int64(slot) <= r.End {
				return c.masterOf(shard)
			}
		}
	}
	c.t.Fatalf("nobody has slot %d", slot)
	return nil
}

func (c *cluster) masterOf(shard redis.ClusterShard) *node {
	c.t.Helper()
	for _, member := range shard.Nodes {
		i := slices.IndexFunc(c.nodes, func(n *node) bool { return n.id == member.ID })
		if member.Role == "master" && i >= 0 {
			return c.nodes[i]
		}
	}
	c.t.Fatalf("a shard without a master of ours: %+v", shard)
	return nil
}

// move is what it took to move a slot.
type move struct {
	keys int
	took time.Duration
}

// moveSlot moves a slot to another master, as an operator does who adds a node: key by
// key, while it is in use.
func (c *cluster) moveSlot(slot int) move {
	c.t.Helper()
	began, from := time.Now(), c.owner(slot)
	to := c.masters()[0]
	if to == from {
		to = c.masters()[1]
	}
	c.must(to.client.Do(c.ctx(), "CLUSTER", "SETSLOT", slot, "IMPORTING", from.id).Err())
	c.must(from.client.Do(c.ctx(), "CLUSTER", "SETSLOT", slot, "MIGRATING", to.id).Err())
	var m move
	for {
		keys, err := from.client.ClusterGetKeysInSlot(c.ctx(), slot, 10).Result()
		c.must(err)
		if len(keys) == 0 {
			break
		}
		c.must(migrate(c.ctx(), from.client, to.addr, keys))
		m.keys += len(keys)
	}
	c.must(to.client.Do(c.ctx(), "CLUSTER", "SETSLOT", slot, "NODE", to.id).Err()) // first who has it, then who had it
	for _, n := range c.masters() {
		c.must(n.client.Do(c.ctx(), "CLUSTER", "SETSLOT", slot, "NODE", to.id).Err())
	}
	c.eventually("the slot has moved", func() bool { return c.owner(slot) == to })
	m.took = time.Since(began)
	return m
}

func migrate(ctx context.Context, from *redis.Client, to string, keys []string) error {
	host, port, _ := net.SplitHostPort(to)
	args := []any{"MIGRATE", host, port, "", 0, 5000, "AUTH", redisPassword, "KEYS"}
	for _, key := range keys {
		args = append(args, key)
	}
	return from.Do(ctx, args...).Err()
}

// killOwner kills the master that has a slot, for good, and tells when.
func (c *cluster) killOwner(slot int) time.Time {
	c.t.Helper()
	n := c.owner(slot)
	n.end()
	n.dead = true
	return time.Now()
}

// wantEveryMasterAsked: an eviction policy that would lose tasks is found wherever it is.
func (c *cluster) wantEveryMasterAsked(s *system) {
	c.t.Helper()
	masters := c.masters()
	for _, n := range masters {
		c.must(n.client.ConfigSet(c.ctx(), "maxmemory-policy", "allkeys-lru").Err())
		for range 2 * len(masters) { // whoever asks one only asks another each time
			if err := jobs.CheckNoEviction(c.ctx(), s.redis); !errors.Is(err, jobs.ErrEvicts) {
				c.t.Errorf("master %s evicts, and that was not noticed: %v", n.addr, err)
			}
		}
		c.must(n.client.ConfigSet(c.ctx(), "maxmemory-policy", "noeviction").Err())
	}
	c.must(jobs.CheckNoEviction(c.ctx(), s.redis))
}

// says reports whether the server's INFO has a line.
func (n *node) says(section, line string) bool { return infoSays(n.client, section, line) }

func infoSays(client *redis.Client, section, line string) bool {
	for l := range strings.Lines(client.Info(context.Background(), section).Val()) {
		if strings.TrimSpace(l) == line {
			return true
		}
	}
	return false
}
