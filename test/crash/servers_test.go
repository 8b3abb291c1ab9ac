package crash_test

import (
	"context"
	"database/sql"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"socialqueue/test/testkit"

	"github.com/redis/go-redis/v9"
)

// server is a PostgreSQL or a Redis of the test's own, which is killed and started
// again on the data that it had.
type server struct {
	t     *testing.T
	name  string
	addr  string
	url   string
	args  []string
	attr  *syscall.SysProcAttr
	logs  *os.File
	ready func(context.Context) error

	password string // of a Redis or a sentinel

	mu  sync.Mutex
	cmd *exec.Cmd
}

// serverReady is how long a server gets to start: it may have a lot to recover.
const serverReady = 60 * time.Second

func newServer(t *testing.T, s *server) *server {
	t.Helper()
	logs, err := os.Create(filepath.Join(t.TempDir(), s.name+".log"))
	if err != nil {
		t.Fatal(err)
	}
	s.t, s.logs = t, logs
	s.start()
	t.Cleanup(func() {
		s.end()
		_ = logs.Close()
		if t.Failed() {
			t.Logf("the end of %s's log:\n%s", s.name, s.logTail())
		}
	})
	return s
}

func (s *server) logTail() []byte {
	text, _ := os.ReadFile(s.logs.Name()) // a log that is gone shows as empty
	return text[max(0, len(text)-2000):]
}

// start starts the server and waits until it answers. One that was just killed may
// not start at once: what it left behind has to end first.
func (s *server) start() {
	s.t.Helper()
	err := testkit.Poll(context.Background(), serverReady, s.name+" answers", func() (bool, string) {
		s.cmd = exec.Command(s.args[0], s.args[1:]...)
		s.cmd.Dir, s.cmd.Stdout, s.cmd.Stderr, s.cmd.SysProcAttr = "/", s.logs, s.logs, s.attr
		err := s.cmd.Start()
		if err == nil {
			err = s.awaitAnswer(5 * time.Second)
		}
		if err != nil {
			s.end()
			return false, err.Error()
		}
		return true, ""
	})
	if err != nil {
		s.t.Errorf("%s does not start: %v\n%s", s.name, err, s.logTail())
	}
}

func (s *server) awaitAnswer(within time.Duration) error {
	return testkit.Poll(context.Background(), within, s.name+" answers", func() (bool, string) {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		err := s.ready(ctx)
		return err == nil, fmt.Sprint(err)
	})
}

// end kills the server with all of its processes.
func (s *server) end() {
	if s.cmd.Process == nil {
		return
	}
	_ = syscall.Kill(-s.cmd.Process.Pid, syscall.SIGKILL)
	_ = s.cmd.Wait() // it was killed: the error is no news
}

// kill kills the server and starts it again.
func (s *server) kill() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.end()
	s.start()
}

// ownPostgres is a PostgreSQL that does not lie about what it wrote.
func ownPostgres(t *testing.T) *server {
	t.Helper()
	bin, dir := os.Getenv("TEST_POSTGRES_BIN"), serverDir(t)
	if bin == "" {
		t.Fatal("TEST_POSTGRES_BIN is not set: this test kills a PostgreSQL of its own, so it needs the binaries (scripts/with-services finds or installs them)")
	}
	attr := postgresUser(t, dir)
	data := filepath.Join(dir, "data")
	initdb := exec.Command(filepath.Join(bin, "initdb"), "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
	initdb.Dir, initdb.SysProcAttr = "/", attr
	if out, err := initdb.CombinedOutput(); err != nil {
		t.Fatalf("initdb: %v\n%s", err, out)
	}
	_, port, _ := net.SplitHostPort(testkit.FreeAddr(t))
	return newServer(t, postgresServer("postgres", bin, dir, data, port, attr))
}

// postgresServer is a PostgreSQL on a folder with data.
func postgresServer(name, bin, dir, data, port string, attr *syscall.SysProcAttr) *server {
	url := fmt.Sprintf("postgresql://postgres@127.0.0.1:%s/postgres?sslmode=disable&connect_timeout=2", port)
	return &server{
		name: name, url: url, attr: attr,
		args: []string{filepath.Join(bin, "postgres"), "-D", data, "-p", port, "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=" + dir, "-c", "max_connections=200"},
		ready: func(ctx context.Context) error {
			d, err := sql.Open("pgx", url)
			if err != nil {
				return err
			}
			defer d.Close()
			return d.PingContext(ctx)
		},
	}
}

// ownRedis is a Redis that keeps what it was told.
func ownRedis(t *testing.T) *server {
	t.Helper()
	s := redisServer(t, "redis")
	s.url = "redis://" + redisUser + "@" + s.addr + "/0"
	return s
}

// redisPassword is that of every Redis of the test's own, with signs that a URL has to
// encode.
const redisPassword = "of+a/test@%"

// redisUser is how it stands in a URL.
var redisUser = url.UserPassword("", redisPassword).String()

// redisServer starts a Redis of the test's own, with further settings.
func redisServer(t *testing.T, name string, settings ...string) *server {
	t.Helper()
	addr := testkit.FreeAddr(t)
	_, port, _ := net.SplitHostPort(addr)
	args := []string{redisBinary(t), "--bind", "127.0.0.1", "--port", port, "--dir", serverDir(t), "--save", "", "--appendonly", "yes", "--appendfsync", "everysec", "--maxmemory-policy", "noeviction", "--repl-diskless-sync-delay", "0", "--requirepass", redisPassword, "--masterauth", redisPassword}
	return newServer(t, &server{
		name: name, addr: addr, password: redisPassword, attr: &syscall.SysProcAttr{Setpgid: true}, args: append(args, settings...), ready: pings(addr, redisPassword),
	})
}

func redisBinary(t *testing.T) string {
	t.Helper()
	bin := os.Getenv("TEST_REDIS_SERVER")
	if bin == "" {
		t.Fatal("TEST_REDIS_SERVER is not set: this test kills a Redis of its own, so it needs the binary (scripts/with-services finds or installs it)")
	}
	return bin
}

func pings(addr, password string) func(context.Context) error {
	return func(ctx context.Context) error {
		client := redis.NewClient(&redis.Options{Addr: addr, Password: password, MaxRetries: -1})
		defer client.Close()
		return client.Ping(ctx).Err()
	}
}

// serverDir is a folder that other users may enter, too: PostgreSQL does not run as
// root.
func serverDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "socialqueue-crash-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// postgresUser makes PostgreSQL a process group of its own, and run as somebody who is
// not root.
func postgresUser(t *testing.T, dir string) *syscall.SysProcAttr {
	t.Helper()
	attr := &syscall.SysProcAttr{Setpgid: true}
	if os.Getuid() != 0 {
		return attr
	}
	account, err := user.Lookup("postgres")
	if err != nil {
		account, err = user.Lookup("nobody")
	}
	if err != nil {
		t.Fatal(err)
	}
	uid, _ := strconv.Atoi(account.Uid)
	gid, _ := strconv.Atoi(account.Gid)
	if err := os.Chown(dir, uid, gid); err != nil {
		t.Fatal(err)
	}
	attr.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)} //nolint:gosec // ids of users fit
	return attr
}
