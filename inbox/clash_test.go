package inbox_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"socialqueue/models"
	"socialqueue/platform/tiktok"
	"socialqueue/sandbox"
)

// Meta repeats a request that got no answer while the first one is still being processed,
// in any order: both are accepted, and each notice is stored once.
func TestTheSameBatchAtOnce(t *testing.T) {
	rounds := 10
	if testing.Short() {
		rounds = 3
	}
	each(t, func(t *testing.T, w *fixture) {
		for round := range rounds {
			var entries []string
			for i := range 300 {
				entries = append(entries, fmt.Sprintf(`{"id":%q,"time":1795687009,"changes":[{"field":"mentions","value":{"media_id":"m%d-%d"}}]}`, igID, round, i))
			}
			there := `{"object":"instagram","entry":[` + strings.Join(entries, ",") + `]}`
			slices.Reverse(entries)
			back := `{"object":"instagram","entry":[` + strings.Join(entries, ",") + `]}`
			var wg sync.WaitGroup
			for _, body := range []string{there, back, there, back} {
				wg.Go(func() {
					if err := w.receiveMeta(body); err != nil {
						t.Errorf("round %d: %v", round, err)
					}
				})
			}
			wg.Wait()
			if n := len(w.events()); n != 300*(round+1) {
				t.Fatalf("round %d: %d events", round, n)
			}
		}
	})
}

// Two workers that give one event its effect at the same time give it once.
func TestTwoWorkersOneEvent(t *testing.T) {
	each(t, func(t *testing.T, w *fixture) {
		w.sendMeta(change("comments", lovely))
		e := w.events()[0]
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				if err := w.Process(w.ctx, e.ID); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		w.wantEvents(models.WebhookProcessed)
		if _, media := w.comments(); media != "1801 1 - false" || len(w.commentsReported()) != 1 {
			t.Errorf("%s, %d events about comments", media, len(w.commentsReported()))
		}
	})
}

// A post whose first upload failed has another one. The id of the
// first one's video is not the post's id.
func TestAnUploadThatWasGivenUp(t *testing.T) {
	each(t, func(t *testing.T, w *fixture) {
		w.sim.Script(sandbox.Fault{Op: sandbox.OpTikTokProcess, Mode: sandbox.ModeFail, Code: "internal"})
		p := w.processing()
		first := *p.PublishID
		p = w.until(p.ID, "at TikTok once more", func(p *models.Post) bool {
			return p.Status == models.Processing && *p.PublishID != first
		})
		w.clock.Advance(2500 * time.Millisecond) // it is live, and moderation takes another moment
		w.sendTikTok(tiktokEvent(tiktok.EventPublishComplete, *p.PublishID, "", w.clock.Now()))
		w.runEvents()
		w.runPost()
		if p = w.post(p.ID); p.Status != models.Published || p.PlatformPostID != nil {
			t.Fatalf("the post %+v has its id already", p)
		}
		w.sendTikTok(tiktokEvent(tiktok.EventPubliclyAvailable, first, "77", w.clock.Now()))
		w.runEvents()
		if got := w.post(p.ID); got.PlatformPostID != nil {
			t.Errorf("the post has the id %s of an upload that was given up", *got.PlatformPostID)
		}
		p = w.until(p.ID, "identified", func(p *models.Post) bool { return p.PlatformPostID != nil })
		if live := w.sim.LivePosts(); len(live) != 1 || live[0].ID != *p.PlatformPostID {
			t.Errorf("the post is %s, live are %+v", *p.PlatformPostID, live)
		}
	})
}

// Waiting for a worker uses none of the tries that an event has for a post that is not
// known yet, and for internal errors.
func TestWaitingForAWorkerIsNoTry(t *testing.T) {
	each(t, func(t *testing.T, w *fixture) {
		p := w.processing()
		w.clock.Advance(5 * time.Second)
		p, err := w.db.Runs.Claim(w.ctx, p.ID, p.Fence, "a worker", w.clock.Now(), time.Hour)
		w.must(err)
		w.sendTikTok(tiktokEvent(tiktok.EventPubliclyAvailable, *p.PublishID, "77", w.clock.Now()))
		for range 60 {
			w.runEvents()
			w.clock.Advance(30 * time.Second)
			w.must(w.Sweep(w.ctx))
		}
		w.wantEvents(models.WebhookPending)
		_, err = w.db.Pool().ExecContext(w.ctx, "ALTER TABLE tiktok_posts RENAME TO mislaid")
		w.must(err)
		_, err = w.db.Pool().ExecContext(w.ctx, "UPDATE posts SET lease_until = NULL")
		w.must(err)
		w.runEvents()
		w.wantEvents(models.WebhookPending)
	})
}

// A comment whose id fits into its column is stored, and a longer id is refused.
func TestLongIDs(t *testing.T) {
	each(t, func(t *testing.T, w *fixture) {
		w.sendMeta(change("comments", strings.Replace(lovely, "179001", strings.Repeat("1", 255), 1)))
		w.sendMeta(change("comments", strings.Replace(lovely, "179001", strings.Repeat("2", 256), 1)))
		w.runEvents()
		w.wantEvents(models.WebhookProcessed, models.WebhookUnknown)
	})
}
