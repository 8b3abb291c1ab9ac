package bench

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// build makes the commands as they ship and returns their folder.
func build(b *testing.B, names ...string) string {
	b.Helper()
	bin := b.TempDir()
	args := []string{"build", "-ldflags=-s -w", "-o", bin + "/"}
	for _, name := range names {
		args = append(args, "socialqueue/cmd/"+name)
	}
	out, err := exec.Command("go", args...).CombinedOutput()
	if err != nil {
		b.Fatalf("go build: %v\n%s", err, out)
	}
	return bin
}

// process is a child that logs into a file.
type process struct {
	cmd *exec.Cmd
	log string
}

func start(b *testing.B, path string, env map[string]string) *process {
	b.Helper()
	name := filepath.Base(path)
	log, err := os.Create(filepath.Join(b.TempDir(), name+".log"))
	must(b, err)
	defer log.Close()
	cmd := exec.Command(path)
	for key, value := range env {
		cmd.Env = append(cmd.Env, key+"="+value)
	}
	cmd.Stderr = log
	must(b, cmd.Start())
	p := &process{cmd: cmd, log: log.Name()}
	b.Cleanup(func() { p.stop(b) })
	return p
}

// stop ends the child as an operator would. It may be called twice.
func (p *process) stop(b *testing.B) {
	b.Helper()
	if p.cmd.ProcessState != nil {
		return
	}
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	if err := p.cmd.Wait(); err != nil || b.Failed() {
		text, _ := os.ReadFile(p.log)
		b.Errorf("%s: %v\n%s", p.cmd.Path, err, text[max(len(text)-4000, 0):])
	}
}

// memory is the most that a process ever held.
type memory struct {
	peak  float64 // MiB
	parts string  // what is resident now, by kind
}

// memory reads it from the kernel. rusage would count what the parent held
// between fork and exec.
func (p *process) memory(b *testing.B) memory {
	b.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	must(b, err)
	mib := map[string]float64{}
	for line := range strings.Lines(string(status)) {
		name, value, _ := strings.Cut(line, ":")
		kib, err := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 64)
		if err == nil {
			mib[name] = kib / 1024
		}
	}
	return memory{mib["VmHWM"], fmt.Sprintf("now: anonymous %.1f, program file %.1f", mib["RssAnon"], mib["RssFile"])}
}
