package crash_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"
)

// child is a process of ours that is killed and started again. One that gives up by
// itself, as when its database is down while it starts, is started again too, as every
// supervisor does.
type child struct {
	t    *testing.T
	path string
	env  []string
	logs *os.File

	mu   sync.Mutex
	cmd  *exec.Cmd
	done chan struct{}
	// ended is set while the test wants no process.
	ended bool
}

// restartAfter is the pause of docker/systemd.
const restartAfter = time.Second

// binaries is where the three processes are compiled to.
var binaries string

func TestMain(m *testing.M) {
	var err error
	if binaries, err = os.MkdirTemp("", "socialqueue-crash-bin-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	_ = os.RemoveAll(binaries)
	os.Exit(code)
}

// build compiles the three processes, once for all tests.
var build = sync.OnceValue(func() error {
	out, err := exec.Command("go", "build", "-o", binaries, "socialqueue/cmd/api", "socialqueue/cmd/worker", "socialqueue/cmd/scheduler").CombinedOutput()
	if err != nil {
		return fmt.Errorf("build: %w\n%s", err, out)
	}
	return nil
})

// newChild starts one of the processes under a name of its own, with its log in dir.
func newChild(t *testing.T, dir, program, name string, env []string) *child {
	t.Helper()
	if err := build(); err != nil {
		t.Fatal(err)
	}
	logs, err := os.Create(filepath.Join(dir, name+".log"))
	if err != nil {
		t.Fatal(err)
	}
	c := &child{t: t, path: filepath.Join(binaries, program), env: env, logs: logs}
	c.start()
	t.Cleanup(func() {
		c.kill(false)
		_ = logs.Close()
	})
	return c
}

func (c *child) start() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.run()
}

// run starts the process; the caller holds mu.
func (c *child) run() {
	cmd := exec.Command(c.path)
	cmd.Env, cmd.Stdout, cmd.Stderr = c.env, c.logs, c.logs
	if err := cmd.Start(); err != nil {
		c.t.Errorf("start %s: %v", c.path, err)
		return
	}
	done := make(chan struct{})
	c.cmd, c.done, c.ended = cmd, done, false
	go func() {
		_ = cmd.Wait() // its exit code says it all
		close(done)
		if cmd.ProcessState.ExitCode() == 1 {
			time.AfterFunc(restartAfter, func() { c.supervise(cmd) })
		}
	}()
}

// supervise starts the process again if gaveUp is still the last one.
func (c *child) supervise(gaveUp *exec.Cmd) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cmd == gaveUp && !c.ended {
		c.run()
	}
}

// kill ends the process with SIGKILL and, if asked, starts it again. It returns
// the pid that died and when.
func (c *child) kill(again bool) (pid int, at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	pid, at, c.ended = c.cmd.Process.Pid, time.Now(), true
	_ = c.cmd.Process.Kill()
	<-c.done
	if again {
		c.run()
	}
	return pid, at
}

// stop ends the process with SIGTERM and tells its exit code and how long it took.
func (c *child) stop() (code int, took time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	began := time.Now()
	c.ended = true
	_ = c.cmd.Process.Signal(syscall.SIGTERM) // one that is gone has an exit code all the same
	<-c.done
	return c.cmd.ProcessState.ExitCode(), time.Since(began)
}

// wanted reads how large a run shall be: short where nobody asked for a long one.
// `make crash` does.
func wanted(t *testing.T, name string, otherwise int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" && testing.Short() {
		return otherwise / 2
	}
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("%s=%q is no size of a run", name, text)
	}
	return n
}

// settings are the environment of all children.
func settings(values map[string]string) []string {
	env := []string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME")}
	for name, value := range values {
		env = append(env, fmt.Sprintf("%s=%s", name, value))
	}
	return env
}
