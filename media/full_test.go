//go:build unix

package media

import (
	"syscall"
	"testing"
)

// TestTryOnAFullDisk checks that a try that fails leaves nothing behind.
func TestTryOnAFullDisk(t *testing.T) {
	s, dir := openFiles(t, 1)
	refuseWrites(t)
	if err := s.Try(t.Context()); err == nil {
		t.Error("no error")
	}
	if files := filesIn(t, dir); len(files) != 0 {
		t.Errorf("left behind: %v", files)
	}
}

// refuseWrites makes every write to a file fail until the test ends.
func refuseWrites(t *testing.T) {
	t.Helper()
	var before syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &before); err != nil {
		t.Fatal(err)
	}
	none := before
	none.Cur = 0
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &none); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &before); err != nil {
			t.Error(err)
		}
	})
}
