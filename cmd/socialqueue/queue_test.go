package main

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"socialqueue/app"
	"socialqueue/config"
	"socialqueue/db/dbtest"
	"socialqueue/jobs"
	"socialqueue/jobs/redistest"
	"socialqueue/secrets"
)

// run runs a command on the test's servers and returns its standard error.
func run(t *testing.T, args ...string) (logged string, err error) {
	t.Helper()
	var out, log bytes.Buffer
	cmd := root()
	cmd.SetArgs(args)
	cmd.SetOut(&out)
	cmd.SetErr(&log)
	err = cmd.ExecuteContext(t.Context())
	return log.String(), err
}

// Who pauses and resumes a queue is logged, because Asynq does not store it.
func TestPausedQueueIsLogged(t *testing.T) {
	t.Setenv("DATABASE_URL", dbtest.PostgresURL(t))
	redisURL := redistest.URL(t)
	t.Setenv("REDIS_URL", redisURL)
	t.Setenv("LOG_FORMAT", "json")
	settings, err := config.ParseRedisURL(secrets.Secret(redisURL))
	if err != nil {
		t.Fatal(err)
	}
	client := jobs.NewRedis(settings)
	t.Cleanup(func() { _ = client.Close() })
	for _, tt := range []struct {
		args   []string
		says   string
		paused int
	}{
		{[]string{"queue", "pause", "publish", "--by", "anna"}, `"message":"paused by anna","action":"operator","metadata":{"queue":"publish"}`, 1},
		{[]string{"queue", "resume", "publish"}, `"message":"resumed by ` + whoami() + `","action":"operator","metadata":{"queue":"publish"}`, 0},
	} {
		logged, err := run(t, tt.args...)
		if err != nil || !strings.Contains(logged, tt.says) {
			t.Errorf("%v: %v, logged %q, want %q", tt.args, err, logged, tt.says)
		}
		if paused, err := jobs.NewQueue(client, app.TaskKinds()).Paused(); err != nil || len(paused) != tt.paused {
			t.Errorf("%v: %v are paused (%v), want %d", tt.args, paused, err, tt.paused)
		}
	}
}

// An invalid command line is refused with its own exit code, and nothing is tried.
func TestMisuse(t *testing.T) {
	for _, line := range []string{
		"queue pause publish --reason maintenance", "queue pause nothing", "queue pause", "queue pause publish --platform tiktok",
		"queue nothing", "nothing", "migrate now", "queue pause publish --what", "post show", "post show x", "app create", "post resolve x --live 1",
	} {
		if _, err := run(t, strings.Fields(line)...); err == nil || exitCode(err) != exitMisuse {
			t.Errorf("%s: %v", line, err)
		}
	}
	if exitCode(errors.New("reach redis: unknown command 'x'")) != exitFailure {
		t.Error("a failure is taken for misuse")
	}
}
