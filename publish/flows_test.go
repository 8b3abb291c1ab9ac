package publish_test

import (
	"crypto/sha256"
	"encoding/hex"
	"testing"

	"socialqueue/db"
	"socialqueue/db/dbtest"
	"socialqueue/models"
	"socialqueue/sandbox/sample"
)

func TestGoesLiveOnce(t *testing.T) {
	for _, f := range flows {
		t.Run(f.name, func(t *testing.T) {
			dbtest.Each(t, func(t *testing.T, d *db.DB) {
				w := newFixture(t, d)
				p := w.settle(w.accept(f))
				w.wantLive(1)
				if p.Status != models.Published || p.PlatformPostID == nil || p.Permalink == nil || p.PublishedAt == nil || p.Attempts != 0 {
					t.Fatalf("post = %+v\n%s", p, w.story(p))
				}
				live := w.sim.LivePosts()[0]
				if live.ID != *p.PlatformPostID {
					t.Errorf("id = %s, the platform says %s", *p.PlatformPostID, live.ID)
				}
				for i, file := range f.request(w).Files {
					want := sample.Video
					if file.MediaID == w.picture {
						want = sample.Picture
					}
					if sum := sha256.Sum256(want); i >= len(live.Media) || live.Media[i].SHA256 != hex.EncodeToString(sum[:]) {
						t.Errorf("file %d that went live is not the one that was uploaded", i)
					}
				}
				if p.LeaseUntil != nil || p.RunAt != nil || p.UnfinishedRuns != 0 {
					t.Errorf("the row is left as if a run went on: %+v", p)
				}
			})
		})
	}
}
