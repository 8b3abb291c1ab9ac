package publish_test

import (
	"testing"

	"socialqueue/models"
	"socialqueue/observe"
	"socialqueue/sandbox"
)

// What the metrics are told of a post's runs, under the words of their contract.
func TestAttemptsAreNoted(t *testing.T) {
	for name, tc := range map[string]struct {
		fault sandbox.Fault
		want  observe.Attempt
	}{
		"a limit":         {sandbox.Fault{Op: sandbox.OpTikTokCreatorInfo, Mode: sandbox.ModeRateLimit}, observe.Attempt{Outcome: observe.AttemptSnooze, Class: observe.ClassRateLimited}},
		"no answer":       {sandbox.Fault{Op: sandbox.OpTikTokInit, Mode: sandbox.ModeReset, After: true}, observe.Attempt{Outcome: observe.AttemptRetry, Class: observe.ClassTimeout}},
		"a token refused": {sandbox.Fault{Op: sandbox.OpTikTokCreatorInfo, Mode: sandbox.ModeError, Code: "access_token_invalid", Status: 401}, observe.Attempt{Outcome: observe.AttemptSnooze, Class: observe.ClassAuth}},
		"a refusal":       {sandbox.Fault{Op: sandbox.OpTikTokInit, Mode: sandbox.ModeError, Code: "invalid_params", Status: 400}, observe.Attempt{Outcome: observe.AttemptDead, Class: observe.ClassPermanent}},
	} {
		t.Run(name, func(t *testing.T) {
			w := onSQLite(t)
			w.sim.Script(tc.fault)
			w.accept(tiktokVideo)
			w.step()
			if got := w.lastAttempt(); got != tc.want {
				t.Errorf("got %+v, want %+v", got, tc.want)
			}
		})
	}
}

// A run that nothing is left for is none that did something.
func TestOldTasksAreRevoked(t *testing.T) {
	w := onSQLite(t)
	p := w.accept(tiktokVideo)
	task, ok := w.queue.Posts.Take()
	if !ok {
		t.Fatal("there is no task")
	}
	w.must(w.run(task))
	if got := w.lastAttempt(); got != (observe.Attempt{Outcome: observe.AttemptSuccess}) {
		t.Errorf("of its run the metrics are told %+v", got)
	}
	w.must(w.run(task))
	if got := w.lastAttempt(); got != (observe.Attempt{Outcome: observe.AttemptRevoked}) {
		t.Errorf("of an old task the metrics are told %+v", got)
	}
	w.wantStatus(w.settle(p), models.Published)
}
