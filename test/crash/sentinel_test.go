package crash_test

import (
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"socialqueue/sandbox"
	"socialqueue/test/testkit"
)

const (
	masterName       = "main"
	sentinels        = 3
	sentinelPassword = "of&the=sentinels"
	// downAfter is how long the master is silent before a sentinel takes it for dead.
	downAfter = 2 * time.Second
)

// TestRedisSentinel: posts come in while the master dies, and while it comes back as a
// replica of the one that took its place.
func TestRedisSentinel(t *testing.T) {
	t.Parallel() // they mostly wait
	g := newSentinelGroup(t)
	s := newSystem(t, setup{redisURL: g.url(), delays: &sandbox.Delays{}})
	s.wantReady(t)
	posts := s.startLoad(t, 0, wanted(t, "TOPOLOGY_POSTS", defaultTopologyPosts), 75*time.Millisecond)

	posts.until(33)
	killed := time.Now()
	g.master.end()
	s.anotherWorker(t, "worker-2") // starts while Redis fails over, and does the rest of the work
	outage := writeOutage(t, s.redis, "probe", killed)
	stopped := stopWorker(t, s.worker)
	posts.until(66)
	g.master.start()
	accepts := posts.end()

	s.await(t, endTimeout)
	g.wantOldMasterFollows()
	_, lost, doubled := s.count(t)
	s.wantReady(t)
	s.wantMonitoring(t)
	fmt.Printf("sentinel: %s lost=%d doubled=%d; the master killed: write_outage=%.1fs (silent for %s is dead); a worker stopped in %s; the old master came back as a replica\n",
		accepts, lost, doubled, outage.Seconds(), downAfter, stopped)
}

// sentinelGroup is a master and its replica with the sentinels that watch them.
type sentinelGroup struct {
	t               *testing.T
	master, replica *server
	addrs           []string // of the sentinels
}

func newSentinelGroup(t *testing.T) *sentinelGroup {
	t.Helper()
	g := &sentinelGroup{t: t, master: redisServer(t, "redis-a")}
	host, port, _ := net.SplitHostPort(g.master.addr)
	g.replica = redisServer(t, "redis-b", "--replicaof", host, port)
	g.eventually("the replica has caught up", g.replica, "replication", "master_link_status:up")
	var watching []*server
	for i := range sentinels {
		watching = append(watching, sentinel(t, fmt.Sprint("sentinel-", i), host, port))
		g.addrs = append(g.addrs, watching[i].addr)
	}
	for _, s := range watching {
		g.eventually("the sentinels know the replica and each other", s, "sentinel",
			fmt.Sprintf("master0:name=%s,status=ok,address=%s,slaves=1,sentinels=%d", masterName, g.master.addr, sentinels))
	}
	return g
}

// sentinel starts one. It keeps what it learns in its file of settings.
func sentinel(t *testing.T, name, host, port string) *server {
	t.Helper()
	dir, addr := serverDir(t), testkit.FreeAddr(t)
	_, own, _ := net.SplitHostPort(addr)
	settings := filepath.Join(dir, "sentinel.conf")
	lines := []string{
		"bind 127.0.0.1", "port " + own, "dir " + dir,
		fmt.Sprintf("sentinel monitor %s %s %s %d", masterName, host, port, sentinels/2+1),
		fmt.Sprintf("sentinel down-after-milliseconds %s %d", masterName, downAfter.Milliseconds()),
		fmt.Sprintf("sentinel auth-pass %s %s", masterName, redisPassword),
		"requirepass " + sentinelPassword, "sentinel sentinel-pass " + sentinelPassword,
	}
	if err := os.WriteFile(settings, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return newServer(t, &server{
		name: name, addr: addr, password: sentinelPassword, attr: &syscall.SysProcAttr{Setpgid: true}, args: []string{redisBinary(t), settings, "--sentinel"}, ready: pings(addr, sentinelPassword),
	})
}

func (g *sentinelGroup) url() string {
	query := url.Values{"master": {masterName}, "sentinel_password": {sentinelPassword}}
	return "redis-sentinel://" + redisUser + "@" + strings.Join(g.addrs, ",") + "/?" + query.Encode()
}

// wantOldMasterFollows waits until the one that died follows the one that took its place.
func (g *sentinelGroup) wantOldMasterFollows() {
	g.t.Helper()
	_, port, _ := net.SplitHostPort(g.replica.addr)
	g.eventually("the old master is a replica", g.master, "replication", "role:slave")
	g.eventually("it follows the new one", g.master, "replication", "master_port:"+port)
	g.eventually("it has caught up", g.master, "replication", "master_link_status:up")
}

func (g *sentinelGroup) eventually(what string, s *server, section, line string) {
	g.t.Helper()
	client := redis.NewClient(&redis.Options{Addr: s.addr, Password: s.password})
	defer client.Close()
	testkit.Eventually(g.t, what, func() bool { return infoSays(client, section, line) })
}
