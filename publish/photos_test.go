package publish_test

import (
	"bytes"
	pictures "image"
	"image/color"
	"image/jpeg"
	"image/png"
	"testing"
	"time"

	"socialqueue/models"
	"socialqueue/publish"
	tiktokposts "socialqueue/publish/tiktok"
	"socialqueue/sandbox"
	"socialqueue/test/testkit"
)

var tiktokPhotos = flow{"tiktok photos", func(w *fixture) publish.Request {
	return publish.Request{
		AppID: w.app.ID, Platform: models.TikTok, Kind: models.Photo, AccountID: w.tiktok, FilesField: "media",
		Files:   []publish.File{{MediaID: w.picture}, {MediaID: w.picture}},
		Options: &tiktokposts.Options{Title: "Opening day", Description: "Come by #coffee", PrivacyLevel: "PUBLIC_TO_EVERYONE"},
	}
}}

// inbox has a post sent to the creator's inbox.
func inbox(r *publish.Request) {
	o := r.Options.(*tiktokposts.Options)
	o.Mode, o.PrivacyLevel = tiktokposts.ModeInbox, ""
}

// untilFetched moves the clock until TikTok, which fetches in real time, has got what it was sent and shown it.
func (w *fixture) untilFetched(shown func() bool) {
	w.t.Helper()
	testkit.Eventually(w.t, "TikTok fetched the files", func() bool {
		w.clock.Advance(time.Second)
		return shown()
	})
}

// TestPhotosGoLiveOnce: a photo that TikTok takes goes out as it is, a PNG with alpha and a
// large one as JPEGs of ours, in order.
func TestPhotosGoLiveOnce(t *testing.T) {
	w := onSQLite(t)
	glass := pictures.NewNRGBA(pictures.Rect(0, 0, 600, 400))
	glass.Set(1, 1, color.NRGBA{R: 255, A: 255})
	var withAlpha, large bytes.Buffer
	w.must(png.Encode(&withAlpha, glass))
	w.must(jpeg.Encode(&large, pictures.NewGray(pictures.Rect(0, 0, 3000, 4000)), nil))
	p := w.accept(tiktokPhotos, func(r *publish.Request) {
		r.Files = append(r.Files[:1], publish.File{MediaID: w.upload(withAlpha.Bytes())}, publish.File{MediaID: w.upload(large.Bytes())})
	})
	p = w.settle(p)
	w.wantStatus(p, models.Published)
	w.wantLive(1)
	live := w.sim.LivePosts()[0]
	if live.Kind != "photo" || live.Caption != "Come by #coffee" || live.Title != "Opening day" || len(live.Media) != 3 {
		t.Errorf("live: %+v", live)
	}
	if p.PlatformPostID == nil || *p.PlatformPostID != live.ID || *p.Permalink != "https://www.tiktok.com/@simcafe/photo/"+live.ID {
		t.Errorf("post %v %v, live as %s", p.PlatformPostID, p.Permalink, live.ID)
	}
	for i, m := range live.Media {
		if m.ContentType != "image/jpeg" {
			t.Errorf("photo %d is %s", i+1, m.ContentType)
		}
	}
	if n := w.sim.CountCalls(sandbox.OpTikTokPhoto); n != 1 || p.Attempts != 0 {
		t.Errorf("%d calls, %d attempts: %s", n, p.Attempts, w.story(p))
	}
}

// TestPhotosAreNeverSentTwice: the power fails before or after each request, and nothing else
// tells of the post. It is live once at most, and if the call that makes it may have arrived,
// that call is not made again.
func TestPhotosAreNeverSentTwice(t *testing.T) {
	calls := callsOf(t, tiktokPhotos)
	for n := range calls {
		for _, after := range []bool{false, true} {
			w := onSQLite(t)
			w.wire.CutPower(n, after)
			p := w.accept(tiktokPhotos)
			w.clock.Advance(time.Minute)
			for range 400 {
				w.step()
			}
			p = w.post(p)
			sent := w.sim.CountCalls(sandbox.OpTikTokPhoto)
			switch {
			case p.Status == models.Published:
				w.wantLive(1)
			case p.Status == models.Uncertain && len(w.sim.LivePosts()) <= 1:
			default:
				t.Errorf("cut at call %d, answered %v: %d live: %s", n, after, len(w.sim.LivePosts()), w.story(p))
			}
			if sent > 1 {
				t.Errorf("cut at call %d, answered %v: the photos were sent %d times: %s", n, after, sent, w.story(p))
			}
		}
	}
}

// TestLostPhotosAreFoundByTheirID: the answer with the post's id is lost. TikTok cannot be
// asked without it, so the post stays uncertain, until a webhook brings the id.
func TestLostPhotosAreFoundByTheirID(t *testing.T) {
	w := onSQLite(t)
	w.sim.Script(sandbox.Fault{Op: sandbox.OpTikTokPhoto, Mode: sandbox.ModeReset, After: true})
	p := w.accept(tiktokPhotos)
	w.until(p, "uncertain", func(p *models.Post) bool { return p.Status == models.Uncertain })
	w.untilFetched(func() bool { return len(w.sim.LivePosts()) == 1 })
	w.clock.Advance(time.Hour)
	for range 50 {
		w.step()
	}
	w.wantStatus(p, models.Uncertain)
	w.wantLive(1)
	id := w.sim.LivePosts()[0].PublishID
	sighting := publish.Sighting{
		Platform: models.TikTok, ProviderAccountID: w.ttSim.OpenID, Op: tiktokposts.OpPhotos, PublishID: id, At: w.clock.Now(), Why: "TikTok sent complete",
	}
	for name, change := range map[string]func(*publish.Sighting){
		"another account": func(s *publish.Sighting) { s.ProviderAccountID = "-000other" },
		"another call":    func(s *publish.Sighting) { s.Op = "tiktok.init" },
		"an older event":  func(s *publish.Sighting) { s.At = s.At.Add(-2 * time.Hour) },
		"a late event":    func(s *publish.Sighting) { s.At = s.At.Add(25 * time.Hour) },
		"another mode":    func(s *publish.Sighting) { s.Fits = func(*models.Post) bool { return false } },
	} {
		other := sighting
		change(&other)
		if got, _, err := w.Adopt(w.ctx, other); err != nil || got != nil {
			t.Errorf("%s: adopted %v, %v", name, got, err)
		}
	}
	got, effect, err := w.Adopt(w.ctx, sighting)
	if err != nil || effect != publish.EffectPolling || got.ID != p.ID {
		t.Fatalf("adopted %v, %v, %v", got, effect, err)
	}
	p = w.settle(p)
	w.wantStatus(p, models.Published)
	w.wantLive(1)
	if p.PublishID == nil || *p.PublishID != id || w.sim.CountCalls(sandbox.OpTikTokPhoto) != 1 {
		t.Errorf("publish_id %v: %s", p.PublishID, w.story(p))
	}
}

// TestTwoLostPhotosAreToldApartByAPerson: either could be the one that an event names.
func TestTwoLostPhotosAreToldApartByAPerson(t *testing.T) {
	w := onSQLite(t)
	w.sim.Script(sandbox.Fault{Op: sandbox.OpTikTokPhoto, Mode: sandbox.ModeReset, After: true, Times: 2})
	var first *models.Post
	for range 2 {
		first = w.accept(tiktokPhotos)
		w.until(first, "uncertain", func(p *models.Post) bool { return p.Status == models.Uncertain })
	}
	w.untilFetched(func() bool { return len(w.sim.LivePosts()) == 2 })
	sighting := publish.Sighting{
		Platform: models.TikTok, ProviderAccountID: w.ttSim.OpenID, Op: tiktokposts.OpPhotos, PublishID: w.sim.LivePosts()[0].PublishID, At: w.clock.Now(),
	}
	if got, _, err := w.Adopt(w.ctx, sighting); err != nil || got != nil {
		t.Errorf("adopted %v, %v", got, err)
	}
	if _, err := w.ResolveLive(w.ctx, first.ID, "771", "", "ops"); err != nil {
		t.Fatal(err)
	}
	if got, _, err := w.Adopt(w.ctx, sighting); err != nil || got != nil {
		t.Errorf("settled by a person, the first could still be the one: adopted %v, %v", got, err)
	}
}

// TestPhotosThatTikTokCannotFetch: nothing is live, so they are sent again.
func TestPhotosThatTikTokCannotFetch(t *testing.T) {
	w := onSQLite(t)
	w.sim.Script(sandbox.Fault{Op: sandbox.OpTikTokProcess, Mode: sandbox.ModeFail, Code: "photo_pull_failed"})
	p := w.settle(w.accept(tiktokPhotos))
	w.wantStatus(p, models.Published)
	w.wantLive(1)
	if n := w.sim.CountCalls(sandbox.OpTikTokPhoto); n != 2 {
		t.Errorf("%d calls: %s", n, w.story(p))
	}
}

// TestToTheInbox: a video and photos end as delivered, and creator_info, which such an account
// may not allow, is not asked.
func TestToTheInbox(t *testing.T) {
	for _, f := range []flow{tiktokVideo, tiktokPhotos} {
		t.Run(f.name, func(t *testing.T) {
			for n := range 2 {
				w := onSQLite(t)
				if n == 1 {
					w.wire.CutPower(0, true)
				}
				p := w.accept(f, inbox)
				for range 100 {
					w.step()
				}
				want := models.Delivered
				if n == 1 && f.name == tiktokPhotos.name {
					want = models.Uncertain // its one call got no answer
				}
				w.wantStatus(p, want)
				w.wantLive(0)
				w.untilFetched(func() bool { return len(w.sim.Drafts()) > 0 })
				if d := w.sim.Drafts(); len(d) != 1 || w.sim.CountCalls(sandbox.OpTikTokCreatorInfo) != 0 {
					t.Errorf("%d drafts: %s", len(d), w.story(w.post(p)))
				}
			}
		})
	}
}

// TestPendingShares: TikTok takes five drafts a day. The sixth waits, and says for what.
func TestPendingShares(t *testing.T) {
	w := onSQLite(t)
	w.sim.Script(sandbox.Fault{Op: sandbox.OpTikTokInbox, Mode: sandbox.ModeError, Status: 403, Code: "spam_risk_too_many_pending_share"})
	p := w.accept(tiktokVideo, inbox)
	w.step()
	got := w.post(p)
	if got.Status != models.Queued || got.DeferredReason != models.DeferredPendingCap || got.Attempts != 0 {
		t.Errorf("deferred_reason %q: %s", got.DeferredReason, w.story(got))
	}
}

// TestDerivativesGoWithTheirPicture: the JPEG that was made of a photo is deleted with it, and
// no orphan while the photo is needed.
func TestDerivativesGoWithTheirPicture(t *testing.T) {
	w := onSQLite(t)
	var large bytes.Buffer
	w.must(jpeg.Encode(&large, pictures.NewGray(pictures.Rect(0, 0, 2000, 2000)), nil))
	id := w.upload(large.Bytes())
	w.settle(w.accept(tiktokPhotos, func(r *publish.Request) { r.Files = []publish.File{{MediaID: id}} }))
	derived := id + ".width1080"
	w.wantInStore(derived, true)
	w.clock.Set(time.Now().Add(3 * 24 * time.Hour))
	w.must(w.RemoveOrphans(w.ctx))
	w.wantInStore(derived, true)
	w.clock.Advance(8 * 24 * time.Hour)
	w.cleanUp()
	w.wantFile(id, false)
	w.wantInStore(derived, false)
}
