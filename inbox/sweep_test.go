package inbox_test

import (
	"testing"
	"time"

	"socialqueue/db"
	"socialqueue/models"
	"socialqueue/publish"
)

// While Redis does not answer, events are stored, and they are processed when it is back.
func TestRedisIsAway(t *testing.T) {
	each(t, func(t *testing.T, w *fixture) {
		w.queue.Events.SetDown(true)
		w.sendMeta(change("comments", lovely))
		w.wantEvents(models.WebhookPending)
		if err := w.Sweep(w.ctx); err == nil {
			t.Error("the sweep does not say that Redis is away")
		}
		w.queue.Events.SetDown(false)
		w.must(w.Sweep(w.ctx)) // at once: that it is missing was noted
		w.runEvents()
		w.wantEvents(models.WebhookProcessed)
	})
}

// A task that Redis lost, that is archived, or whose worker died, is replaced after a
// while; one that only waits is left alone.
func TestSweep(t *testing.T) {
	for name, tt := range map[string]struct {
		lose  func(w *fixture, e *models.WebhookEvent)
		after time.Duration
		fence int64
		tasks int
	}{
		"lost, at once":       {func(w *fixture, _ *models.WebhookEvent) { w.queue.Events.Clear() }, 0, 0, 0},
		"lost":                {func(w *fixture, _ *models.WebhookEvent) { w.queue.Events.Clear() }, 16 * time.Second, 0, 1},
		"archived":            {func(w *fixture, e *models.WebhookEvent) { w.queue.PutEvent(e, publish.TaskDead) }, 16 * time.Second, 1, 1},
		"active all the time": {func(w *fixture, e *models.WebhookEvent) { w.queue.PutEvent(e, publish.TaskActive) }, 16 * time.Second, 1, 1},
		"waiting":             {func(*fixture, *models.WebhookEvent) {}, 16 * time.Second, 0, 1},
	} {
		t.Run(name, func(t *testing.T) {
			each(t, func(t *testing.T, w *fixture) {
				w.sendMeta(change("comments", lovely))
				tt.lose(w, &w.events()[0])
				w.clock.Advance(tt.after)
				for range 2 {
					w.must(w.Sweep(w.ctx))
				}
				if e := w.events()[0]; e.Fence != tt.fence || w.queue.Events.Len() != tt.tasks {
					t.Errorf("fence %d and %d tasks, want %d and %d", e.Fence, w.queue.Events.Len(), tt.fence, tt.tasks)
				}
				w.runEvents()
			})
		})
	}
}

// An event that is processed again has no second effect.
func TestReplay(t *testing.T) {
	each(t, func(t *testing.T, w *fixture) {
		w.sendMeta(change("comments", lovely))
		w.runEvents()
		n, err := w.db.Inbox.Replay(w.ctx, db.WebhookFilter{Status: models.WebhookProcessed, Limit: 10}, w.clock.Now())
		w.must(err)
		w.wantEvents(models.WebhookPending)
		w.must(w.Sweep(w.ctx))
		w.runEvents()
		w.wantEvents(models.WebhookProcessed)
		if _, media := w.comments(); n != 1 || media != "1801 1 - false" || len(w.commentsReported()) != 1 {
			t.Errorf("%d replayed; then %s, %d events about comments", n, media, len(w.commentsReported()))
		}
	})
}

// Settled events are deleted after 30 days, others stay.
func TestPrune(t *testing.T) {
	each(t, func(t *testing.T, w *fixture) {
		w.sendMeta(change("comments", lovely))
		w.runEvents()
		w.sendMeta(change("media", `{"id":"1"}`))
		w.clock.Advance(30*24*time.Hour - time.Second)
		w.prune()
		w.wantEvents(models.WebhookProcessed, models.WebhookPending)
		w.clock.Advance(2 * time.Second)
		w.prune()
		w.wantEvents(models.WebhookPending)
	})
}

// After an internal error an event is tried again. It is given up with the error as its
// outcome, for an operator to read and replay.
func TestInternalErrors(t *testing.T) {
	each(t, func(t *testing.T, w *fixture) {
		w.sendMeta(change("comments", lovely))
		_, err := w.db.Pool().ExecContext(w.ctx, "ALTER TABLE instagram_comments RENAME TO mislaid")
		w.must(err)
		for range 6 * 24 {
			w.clock.Advance(10 * time.Minute)
			w.must(w.Sweep(w.ctx))
			w.runEvents()
		}
		w.wantEvents(models.WebhookUnmatched)
		if e := w.events()[0]; e.Attempts != 9 || e.Outcome == "" {
			t.Errorf("event %+v", e)
		}
		_, err = w.db.Pool().ExecContext(w.ctx, "ALTER TABLE mislaid RENAME TO instagram_comments")
		w.must(err)
		_, err = w.db.Inbox.Replay(w.ctx, db.WebhookFilter{Limit: 10}, w.clock.Now())
		w.must(err)
		w.must(w.Sweep(w.ctx))
		w.runEvents()
		w.wantEvents(models.WebhookProcessed)
	})
}

// prune prunes until there is no more.
func (w *fixture) prune() {
	w.t.Helper()
	for more := true; more; {
		var err error
		more, err = w.Prune(w.ctx)
		w.must(err)
	}
}
