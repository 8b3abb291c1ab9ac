package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func writeDotEnv(t *testing.T, content string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, ".env"), []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestLoadDotEnv(t *testing.T) {
	t.Setenv("SOCIALQUEUE_TEST_REAL", "real")
	t.Setenv("SOCIALQUEUE_TEST_FILE", "") // restores the environment after the test
	os.Unsetenv("SOCIALQUEUE_TEST_FILE")
	dir := writeDotEnv(t, "# settings\nSOCIALQUEUE_TEST_REAL=file\nSOCIALQUEUE_TEST_FILE=\"a b\"\n")
	if err := LoadDotEnv(dir); err != nil {
		t.Fatal(err)
	}
	if got := os.Getenv("SOCIALQUEUE_TEST_REAL"); got != "real" {
		t.Errorf("the real environment was overridden: %q", got)
	}
	if got := os.Getenv("SOCIALQUEUE_TEST_FILE"); got != "a b" {
		t.Errorf("got %q", got)
	}
}

func TestLoadDotEnvWithoutFile(t *testing.T) {
	if err := LoadDotEnv(t.TempDir()); err != nil {
		t.Error(err)
	}
}

func TestLoadDotEnvHidesContent(t *testing.T) {
	err := LoadDotEnv(writeDotEnv(t, "TIKTOK_CLIENT_SECRET hunter2\n"))
	if err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("err = %v", err)
	}
}
