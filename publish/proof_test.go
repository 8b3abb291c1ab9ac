package publish_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"socialqueue/models"
	"socialqueue/publish"
	"socialqueue/sandbox"
)

// TestRepeatWaitsUntilNothingCanArrive: a call that may make the post live is lost, and every
// read shows no effect. It is made again only after a read that began when the first one
// could no longer arrive.
func TestRepeatWaitsUntilNothingCanArrive(t *testing.T) {
	for _, f := range flows {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			w := onSQLite(t)
			path, op := sending(f)
			lost := w.hold(path, 1+chunkTries(f))
			defer lost()
			var again time.Time
			p := w.accept(f)
			w.until(p, "recorded", func(p *models.Post) bool {
				ledger, err := w.db.Runs.Ledger(w.ctx, p.ID)
				w.must(err)
				return ledger.Latest(op) != nil
			})
			w.wire.OnCall(func(r *http.Request) {
				if strings.Contains(r.URL.Path, path) && again.IsZero() {
					again = w.clock.Now()
				}
			})
			w.until(p, "published", func(p *models.Post) bool { return p.Status == models.Published })
			ledger, err := w.db.Runs.Ledger(w.ctx, p.ID)
			w.must(err)
			for _, e := range ledger {
				if e.Op != op {
					continue
				}
				if waited := again.Sub(e.CreatedAt); waited < publish.DefaultTimings().Arrival {
					t.Errorf("%s was made again after %s: %s", op, waited, w.story(p))
				}
				break
			}
			w.wantLive(1)
		})
	}
}

// TestUnreadableIsSteadilyUncertain: the answer to the sending call is lost and nothing can be
// read for ten minutes. The post becomes uncertain once, stays so, and is settled within a
// minute after reads work again.
func TestUnreadableIsSteadilyUncertain(t *testing.T) {
	w := onSQLite(t)
	w.sim.Script(sandbox.Fault{Op: sandbox.OpInstagramPublish, Mode: sandbox.ModeReset, After: true})
	p := w.accept(instagramImage)
	w.until(p, "uncertain", func(p *models.Post) bool { return p.Status == models.Uncertain })
	w.sim.Script(
		sandbox.Fault{Op: sandbox.OpInstagramContainerStatus, Mode: sandbox.ModeStatus, Status: 500, Times: -1},
		sandbox.Fault{Op: sandbox.OpInstagramMedia, Mode: sandbox.ModeStatus, Status: 500, Times: -1},
	)
	for begin := w.clock.Now(); w.clock.Now().Sub(begin) < 10*time.Minute; {
		w.moveTo(w.post(p))
		w.wantStatus(p, models.Uncertain)
	}
	w.sim.ClearFaults()
	readable := w.clock.Now()
	w.until(p, "published", func(p *models.Post) bool { return p.Status == models.Published })
	if took := w.clock.Now().Sub(readable); took > time.Minute {
		t.Errorf("settled %s after reads worked again", took)
	}
	w.wantLive(1)
	if n := w.sim.CountCalls(sandbox.OpInstagramPublish); n != 1 {
		t.Errorf("media_publish was called %d times, want once", n)
	}
	events, err := w.db.Posts.Events(w.ctx, p.ID)
	w.must(err)
	uncertain := 0
	for _, e := range events {
		if e.To == models.Uncertain && e.From != e.To {
			uncertain++
		}
	}
	if uncertain != 1 {
		t.Errorf("the post became uncertain %d times: %s", uncertain, w.story(p))
	}
}

// TestSettleWhateverTheStatus: as long as the result of a call is unknown an operator can
// settle the post, also while it waits for the call to be made again.
func TestSettleWhateverTheStatus(t *testing.T) {
	w := onSQLite(t)
	w.sim.Script(sandbox.Fault{Op: sandbox.OpInstagramPublish, Mode: sandbox.ModeError, Code: "4", Subcode: 2207051, Times: -1})
	p := w.accept(instagramImage)
	p = w.until(p, "waiting to be sent again", w.foundMissing(instagramImage))
	if p.Status != models.Processing {
		t.Fatalf("the post is %s: %s", p.Status, w.story(p))
	}
	_, err := w.ResolveLive(w.ctx, p.ID, "18001", "", "anna")
	w.must(err)
	w.wantStatus(p, models.Published)
}

// TestRefusedReadsDecideNothing: Meta refuses to show the container, or the quota, of an
// account on which publishing works (seen in the field, 2026-05).
func TestRefusedReadsDecideNothing(t *testing.T) {
	for _, op := range []string{sandbox.OpInstagramContainerStatus, sandbox.OpInstagramQuota} {
		for _, code := range []string{"10", "200", "100"} {
			for name, times := range map[string]int{"once": 1, "always": -1} {
				t.Run(op+" "+code+" "+name, func(t *testing.T) {
					t.Parallel()
					w := onSQLite(t)
					w.sim.Script(sandbox.Fault{Op: op, Mode: sandbox.ModeError, Code: code, Times: times})
					p := w.settle(w.accept(instagramImage))
					w.wantLive(1)
					w.wantStatus(p, models.Published)
					if p.Attempts != 0 || p.ErrorCode != "" {
						t.Errorf("%d attempts, error %q: %s", p.Attempts, p.ErrorCode, w.story(p))
					}
				})
			}
		}
	}
}

func late(within time.Duration) func(*publish.Request) {
	return func(r *publish.Request) { r.MaxLateness = &within }
}

// TestMissedNamesWhatWasMade: a post that misses its time after its upload was opened says so.
func TestMissedNamesWhatWasMade(t *testing.T) {
	w := onSQLite(t)
	p := w.accept(tiktokVideo, late(30*time.Second))
	w.wire.OnCall(func(r *http.Request) {
		if strings.Contains(r.URL.Path, "/init/") {
			close(w.drain) // the worker stops behind this call
		}
	})
	w.step()
	w.drain = make(chan struct{})
	w.clock.Advance(time.Minute)
	p = w.settle(p)
	w.wantStatus(p, models.Missed)
	if story := w.story(p); !strings.Contains(story, "not sent within max_lateness (30s)") || !strings.Contains(story, "tiktok.init "+*p.PublishID) {
		t.Errorf("the timeline does not name the upload: %s", story)
	}
	w.wantLive(0)
}

// TestSentIsNeverMissed: once a call was made that can make the post live, it is not missed,
// although that call was refused and the post waits in the queue.
func TestSentIsNeverMissed(t *testing.T) {
	w := onSQLite(t)
	w.sim.Script(sandbox.Fault{Op: sandbox.OpTikTokChunk, Mode: sandbox.ModeStatus, Status: 403})
	p := w.accept(tiktokVideo, late(30*time.Second))
	w.until(p, "queued again", func(p *models.Post) bool { return p.Status == models.Queued && p.StartedAt != nil })
	w.clock.Advance(10 * time.Minute)
	w.must(w.MissLate(w.ctx))
	w.wantStatus(w.settle(p), models.Published)
	w.wantLive(1)
}

// TestFailedReadsClaimNothing: the timeline does not say of a read that failed what became of
// the post.
func TestFailedReadsClaimNothing(t *testing.T) {
	w := onSQLite(t)
	w.sim.Script(sandbox.Fault{Op: sandbox.OpInstagramContainerStatus, Mode: sandbox.ModeStatus, Status: 500, Times: 2})
	p := w.settle(w.accept(instagramImage))
	if story := w.story(p); !strings.Contains(story, "nothing was read: ") || strings.Contains(story, "nothing happened") {
		t.Errorf("want the failed reads called so: %s", story)
	}
}
