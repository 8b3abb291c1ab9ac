package crash_test

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// child is a process of ours that is killed and started again, as a supervisor
// would.
type child struct {
	t    *testing.T
	path string
	env  []string
	logs *os.File

	mu   sync.Mutex
	cmd  *exec.Cmd
	done chan struct{}
}

// build compiles the three processes, once.
func build(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	cmd := exec.Command("go", "build", "-o", dir, "socialqueue/cmd/api", "socialqueue/cmd/worker", "socialqueue/cmd/scheduler")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	return dir
}

func newChild(t *testing.T, dir, name string, env []string) *child {
	t.Helper()
	logs, err := os.Create(filepath.Join(dir, name+".log"))
	if err != nil {
		t.Fatal(err)
	}
	c := &child{t: t, path: filepath.Join(dir, name), env: env, logs: logs}
	c.start()
	t.Cleanup(func() {
		c.kill(false)
		_ = logs.Close()
	})
	return c
}

func (c *child) start() {
	cmd := exec.Command(c.path)
	cmd.Env, cmd.Stdout, cmd.Stderr = c.env, c.logs, c.logs
	if err := cmd.Start(); err != nil {
		c.t.Errorf("start %s: %v", c.path, err)
		return
	}
	done := make(chan struct{})
	c.cmd, c.done = cmd, done
	go func() {
		_ = cmd.Wait() // it is killed: the error is no news
		close(done)
	}()
}

// kill ends the process with SIGKILL and, if asked, starts it again. It returns
// the pid that died and when.
func (c *child) kill(again bool) (pid int, at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	pid, at = c.cmd.Process.Pid, time.Now()
	_ = c.cmd.Process.Kill()
	<-c.done
	if again {
		c.start()
	}
	return pid, at
}

func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// settings are the environment of all children.
func settings(values map[string]string) []string {
	env := []string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME")}
	for name, value := range values {
		env = append(env, fmt.Sprintf("%s=%s", name, value))
	}
	return env
}
