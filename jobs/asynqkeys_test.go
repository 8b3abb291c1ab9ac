package jobs

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestAsynqVersion fails when Asynq's version changes, so that the code that uses its
// internal keys is checked.
func TestAsynqVersion(t *testing.T) {
	mod, err := os.ReadFile("../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	used := ""
	for line := range strings.Lines(string(mod)) {
		if name, version, _ := strings.Cut(strings.TrimSpace(strings.TrimPrefix(line, "require ")), " "); name == "github.com/hibiken/asynq" {
			used, _, _ = strings.Cut(version, " ")
		}
	}
	if used != asynqVersion {
		t.Errorf("go.mod has Asynq %s, asynqkeys.go was written for %s: compare its keys with those of the new version, run the tests, then change asynqVersion", used, asynqVersion)
	}
	if strings.Contains(string(mod), "github.com/hibiken/asynq =>") || strings.Contains(string(mod), "github.com/hibiken/asynq "+used+" =>") {
		t.Error("go.mod replaces Asynq by a version that is not checked")
	}
}

// TestOneFileKnowsAsynqKeys checks that no other file of the program uses a key of Asynq.
func TestOneFileKnowsAsynqKeys(t *testing.T) {
	found := 0
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil || !strings.Contains(string(text), `"asynq:`) && !strings.Contains(string(text), "queueKey(") {
			return err
		}
		found++
		if filepath.Base(path) != "asynqkeys.go" {
			t.Errorf("%s names a key of Asynq: that belongs in asynqkeys.go", path)
		}
		return nil
	})
	if err != nil || found == 0 {
		t.Errorf("%d files name keys of Asynq: %v", found, err)
	}
}
