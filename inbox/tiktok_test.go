package inbox_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"socialqueue/db"
	"socialqueue/inbox"
	"socialqueue/models"
	"socialqueue/observe"
	"socialqueue/platform/tiktok"
	"socialqueue/publish"
	tiktokposts "socialqueue/publish/tiktok"
	"socialqueue/sandbox"
	"socialqueue/sandbox/sample"
)

// processing is a video that TikTok has, and whose next poll is a while off.
func (w *fixture) processing() *models.Post {
	w.t.Helper()
	p := w.acceptVideo("a video", everyone, nil)
	return w.until(p.ID, "processing", is(models.Processing))
}

// A webhook makes the next poll due at once, under each of its names.
func TestAnEventEndsTheWait(t *testing.T) {
	for name, event := range map[string]func(w *fixture, publishID string) string{
		"complete": func(w *fixture, id string) string {
			return tiktokEvent(tiktok.EventPublishComplete, id, "", w.clock.Now())
		},
		"failed": func(w *fixture, id string) string {
			return tiktokEvent(tiktok.EventPublishFailed, id, "", w.clock.Now())
		},
		"inbox": func(w *fixture, id string) string {
			return tiktokEvent(tiktok.EventInboxDelivered, id, "", w.clock.Now())
		},
		"on view": func(w *fixture, id string) string {
			return tiktokEvent(tiktok.EventPubliclyAvailable, id, "77", w.clock.Now())
		},
		"hidden": func(w *fixture, id string) string {
			return tiktokEvent(tiktok.EventNoLongerAvailable, id, "77", w.clock.Now())
		},
		"hidden, well spelled": func(w *fixture, id string) string {
			return tiktokEvent("post.publish.no_longer_publicly_available", id, "77", w.clock.Now())
		},
		"guide, deleted": func(_ *fixture, id string) string {
			return fmt.Sprintf(`{"type":"video.delete","publish_id":%q,"video_id":"77"}`, id)
		},
		"legacy, failed": func(_ *fixture, id string) string {
			return fmt.Sprintf(`{"event":"video.upload.failed","create_time":1,"content":"{\"share_id\":\"%s\"}"}`, id)
		},
		"legacy": func(_ *fixture, id string) string {
			return fmt.Sprintf(`{"event":"video.publish.completed","create_time":1,"content":"{\"share_id\":\"%s\"}"}`, id)
		},
		"guide": func(_ *fixture, id string) string {
			return fmt.Sprintf(`{"type":"video.publish","publish_id":%q,"video_id":"77"}`, id)
		},
	} {
		t.Run(name, func(t *testing.T) {
			each(t, func(t *testing.T, w *fixture) {
				p := w.processing()
				w.clock.Advance(2500 * time.Millisecond) // TikTok is done; the next poll is in 2.5 s
				for range 2 {                            // TikTok sends at least once
					w.sendTikTok(event(w, *p.PublishID))
					w.runEvents()
				}
				if got := w.post(p.ID); !got.RunAt.Equal(w.clock.Now()) || got.Fence != p.Fence+1 || got.Status != models.Processing {
					t.Fatalf("the post is %s and runs at %s, now is %s", got.Status, got.RunAt, w.clock.Now())
				}
				before := w.clock.Now()
				if w.runPost(); w.post(p.ID).Status != models.Published || !w.clock.Now().Equal(before) {
					t.Errorf("the post is %s at %s", w.post(p.ID).Status, w.clock.Now())
				}
				w.wantEvents(models.WebhookProcessed)
			})
		})
	}
}

// An event does not believe itself: TikTok says that the post failed, or is live, and
// when asked that it still works on it.
func TestEventsAreNotBelieved(t *testing.T) {
	each(t, func(t *testing.T, w *fixture) {
		p := w.processing()
		for _, event := range []string{tiktok.EventPublishFailed, tiktok.EventPublishComplete} {
			w.sendTikTok(tiktokEvent(event, *p.PublishID, "", w.clock.Now()))
			w.runEvents()
			w.runPost()
			if got := w.post(p.ID); got.Status != models.Processing || !got.RunAt.After(w.clock.Now()) {
				t.Errorf("after %s the post is %s", event, got.Status)
			}
		}
	})
}

// While a worker has the post the event waits, and has its effect then.
func TestAnEventWaitsForTheWorker(t *testing.T) {
	each(t, func(t *testing.T, w *fixture) {
		p := w.processing()
		w.clock.Advance(5 * time.Second)
		_, err := w.db.Runs.Claim(w.ctx, p.ID, p.Fence, "a worker", w.clock.Now(), 20*time.Second)
		w.must(err)
		w.sendTikTok(tiktokEvent(tiktok.EventPublishComplete, *p.PublishID, "", w.clock.Now()))
		w.runEvents()
		w.wantEvents(models.WebhookPending)
		w.clock.Advance(30 * time.Second) // the worker died
		w.tick()
		w.runEvents()
		w.wantEvents(models.WebhookProcessed)
		lines := 0
		for _, line := range w.logs.AllEntries() {
			if line.Message == "webhook event" && line.Data[observe.FieldPostID] == p.ID && line.Data[observe.FieldUserID] == p.UserID {
				lines++
			}
		}
		if lines < 2 {
			t.Errorf("%d log lines about the event name the post and its user, want both tries", lines)
		}
		w.until(p.ID, "published", is(models.Published))
	})
}

// A published post gets its id from an event, and is not polled again.
func TestTheIDComesWithAnEvent(t *testing.T) {
	each(t, func(t *testing.T, w *fixture) {
		p := w.processing()
		w.clock.Advance(2500 * time.Millisecond) // it is live, and moderation takes another moment
		w.sendTikTok(tiktokEvent(tiktok.EventPublishComplete, *p.PublishID, "", w.clock.Now()))
		w.runEvents()
		w.runPost()
		p = w.post(p.ID)
		if p.Status != models.Published || p.PlatformPostID != nil || p.RunAt == nil {
			t.Fatalf("the post %+v has its id already", p)
		}
		w.sendTikTok(tiktokEvent(tiktok.EventPubliclyAvailable, *p.PublishID, "7602997517160123666", w.clock.Now()))
		w.runEvents()
		got := w.post(p.ID)
		if got.PlatformPostID == nil || *got.PlatformPostID != "7602997517160123666" || !strings.HasSuffix(*got.Permalink, "/@simtiktok/video/7602997517160123666") || got.RunAt != nil {
			t.Errorf("the post is %+v", got)
		}
		w.wantVideo(p, "7602997517160123666")
		polls := w.sim.CountCalls(sandbox.OpTikTokStatus)
		for w.runPost() {
			continue
		}
		if w.sim.CountCalls(sandbox.OpTikTokStatus) != polls {
			t.Error("the post is still polled")
		}
	})
}

// wantVideo compares the id in the row of the original guide.
func (w *fixture) wantVideo(p *models.Post, want string) {
	w.t.Helper()
	var got string
	w.must(w.db.Pool().QueryRowContext(w.ctx, fmt.Sprintf("SELECT COALESCE(video_id, '') FROM tiktok_posts WHERE publish_id = '%s'", *p.PublishID)).Scan(&got))
	if got != want {
		w.t.Errorf("the row's video is %q, want %q", got, want)
	}
}

// A video for its creator alone has no id, and the post ends without one. If it is made
// public much later, the post gets the id from the event, and is not polled for it.
func TestMadePublicLater(t *testing.T) {
	each(t, func(t *testing.T, w *fixture) {
		p := w.until(w.acceptVideo("a diary", "SELF_ONLY", nil).ID, "published", is(models.Published))
		if p.PlatformPostID != nil || p.RunAt != nil {
			t.Fatalf("the post is %+v", p)
		}
		w.clock.Advance(40 * 24 * time.Hour)
		polls := w.sim.CountCalls(sandbox.OpTikTokStatus)
		for range 2 {
			w.sendTikTok(tiktokEvent(tiktok.EventPubliclyAvailable, *p.PublishID, "7602997517160123666", w.clock.Now()))
			w.runEvents()
			w.tick()
		}
		got := w.post(p.ID)
		if got.PlatformPostID == nil || *got.PlatformPostID != "7602997517160123666" || got.Permalink == nil || got.Status != models.Published || got.RunAt != nil {
			t.Errorf("the post is %+v", got)
		}
		w.wantVideo(p, "7602997517160123666")
		if public, err := w.db.Runs.TikTokAvailability(w.ctx, *p.PublishID); err != nil || public == nil || !*public {
			t.Errorf("on view = %v, %v", public, err)
		}
		if w.runPost() || w.sim.CountCalls(sandbox.OpTikTokStatus) != polls {
			t.Error("the post is polled again")
		}
		w.wantEvents(models.WebhookProcessed)
	})
}

// The stored availability of a video follows TikTok's own times.
func TestAvailability(t *testing.T) {
	const on, off = tiktok.EventPubliclyAvailable, tiktok.EventNoLongerAvailable
	for name, tt := range map[string]struct {
		events []string
		at     []int
		want   bool
	}{
		"on":                   {[]string{on}, []int{1}, true},
		"off, then on":         {[]string{off, on}, []int{1, 2}, true},
		"on comes late":        {[]string{off, on}, []int{2, 1}, false},
		"off comes late":       {[]string{on, off}, []int{2, 1}, true},
		"at once, off first":   {[]string{off, on}, []int{1, 1}, false},
		"at once, off last":    {[]string{on, off}, []int{1, 1}, false},
		"on, off, on again":    {[]string{on, off, on}, []int{1, 2, 3}, true},
		"spelled as it should": {[]string{on, "post.publish.no_longer_publicly_available"}, []int{1, 2}, false},
	} {
		t.Run(name, func(t *testing.T) {
			w := newSQLiteWorld(t)
			p := w.processing()
			p = w.until(p.ID, "published", is(models.Published))
			for i, event := range tt.events {
				w.sendTikTok(tiktokEvent(event, *p.PublishID, "77", w.clock.Now().Add(time.Duration(tt.at[i])*time.Second)))
				w.runEvents()
			}
			if got, err := w.db.Runs.TikTokAvailability(w.ctx, *p.PublishID); err != nil || got == nil || *got != tt.want {
				t.Errorf("on view = %v, want %v: %v", got, tt.want, err)
			}
			if got := w.post(p.ID); got.Status != models.Published {
				t.Errorf("the post is %s", got.Status)
			}
		})
	}
}

// An event without a post or account here becomes unmatched after a wait in which they may
// appear. An event of an unknown kind is settled at once.
func TestNothingOfOurs(t *testing.T) {
	each(t, func(t *testing.T, w *fixture) {
		w.sendTikTok(tiktokEvent(tiktok.EventPublishComplete, "v_pub_file~v2-1.1", "", w.clock.Now()))
		w.sendTikTok(`{"event":"new.in.2027","user_openid":"-000tt","content":"{}"}`)
		w.sendTikTok(`{"event":"authorization.removed","create_time":1795000000,"user_openid":"-000nobody","content":"{\"reason\":1}"}`)
		w.runEvents()
		w.wantEvents(models.WebhookPending, models.WebhookUnknown, models.WebhookUnmatched)
		for range 100 {
			w.clock.Advance(time.Minute)
			w.tick()
			w.runEvents()
		}
		w.wantEvents(models.WebhookUnmatched, models.WebhookUnknown, models.WebhookUnmatched)
	})
}

// An event that arrives before its upload is stored is applied when it is.
func TestEarly(t *testing.T) {
	each(t, func(t *testing.T, w *fixture) {
		p := w.processing()
		w.hideUpload(p)
		w.sendTikTok(tiktokEvent(tiktok.EventPublishComplete, *p.PublishID, "", w.clock.Now()))
		w.runEvents()
		w.wantEvents(models.WebhookPending)
		w.showUpload(p)
		w.clock.Advance(3 * time.Second)
		w.tick()
		w.runEvents()
		w.wantEvents(models.WebhookProcessed)
		if got := w.post(p.ID); !got.RunAt.Equal(w.clock.Now()) {
			t.Errorf("the post runs at %s, now is %s", got.RunAt, w.clock.Now())
		}
	})
}

// The event ends the account, and its waiting posts with it; the same event once
// more, and an older one, do nothing.
func TestRemoved(t *testing.T) {
	each(t, func(t *testing.T, w *fixture) {
		at := w.clock.Now().Add(time.Hour)
		p := w.acceptVideo("later", everyone, &at)
		w.clock.Advance(time.Minute)
		body := fmt.Sprintf(`{"event":"authorization.removed","create_time":%d,"user_openid":%q,"content":"{\"reason\":1}"}`, w.clock.Now().Unix(), openID)
		for range 2 {
			w.sendTikTok(body)
			w.runEvents()
		}
		w.wantEvents(models.WebhookProcessed)
		if got := w.post(p.ID); got.Status != models.Canceled {
			t.Errorf("the waiting post is %s", got.Status)
		}
		a, err := w.db.Accounts.OAuthAccount(w.ctx, w.tiktok)
		w.must(err)
		if a.Status != models.AccountDisconnected {
			t.Errorf("the account is %s", a.Status)
		}
	})
}

// Who signed what, and when, and in which form.
func TestTikTokSignatures(t *testing.T) {
	w := newSQLiteWorld(t)
	body := tiktokEvent(tiktok.EventPublishComplete, "p", "", w.clock.Now())
	stamped := func(at time.Time) string {
		return fmt.Sprintf("t=%d,s=%s", at.Unix(), hmacHex(tiktokSecret, fmt.Sprintf("%d.%s", at.Unix(), body)))
	}
	plain := hmacHex(tiktokSecret, body)
	now := w.clock.Now()
	for name, tt := range map[string]struct {
		signature   string
		takesPlain  bool
		tolerance   time.Duration
		wantRefused bool
	}{
		"good":                           {stamped(now), false, 5 * time.Minute, false},
		"old":                            {stamped(now.Add(-5*time.Minute - time.Second)), false, 5 * time.Minute, true},
		"old, with more tolerance":       {stamped(now.Add(-6 * time.Minute)), false, 10 * time.Minute, false},
		"from the future":                {stamped(now.Add(6 * time.Minute)), false, 5 * time.Minute, true},
		"none":                           {"", true, 5 * time.Minute, true},
		"plain":                          {plain, false, 5 * time.Minute, true},
		"plain, where that is taken":     {plain, true, 5 * time.Minute, false},
		"wrong, where plain is taken":    {strings.Repeat("0", 64), true, 5 * time.Minute, true},
		"stamped, where plain is taken":  {stamped(now), true, 5 * time.Minute, false},
		"too old, where plain is taken":  {stamped(now.Add(-time.Hour)), true, 5 * time.Minute, true},
		"plain of the body with a blank": {hmacHex(tiktokSecret, body+" "), true, 5 * time.Minute, true},
	} {
		t.Run(name, func(t *testing.T) {
			w.fromTikTok.Plain, w.fromTikTok.Tolerance = tt.takesPlain, tt.tolerance
			before := len(w.events())
			err := w.receiveTikTok(w.inbox(), tt.signature, body)
			if tt.wantRefused != errors.Is(err, inbox.ErrNotAuthentic) || (!tt.wantRefused && err != nil) {
				t.Errorf("error %v, want refused %v", err, tt.wantRefused)
			}
			if tt.wantRefused && len(w.events()) != before {
				t.Error("something is stored of what was refused")
			}
		})
	}
	w.wantEvents(models.WebhookPending) // the good ones are one event
}

// hideUpload makes an upload unknown, and showUpload makes it known again.
func (w *fixture) hideUpload(p *models.Post) { w.renameUpload(p, *p.PublishID, "hidden") }
func (w *fixture) showUpload(p *models.Post) { w.renameUpload(p, "hidden", *p.PublishID) }

func (w *fixture) renameUpload(p *models.Post, from, to string) {
	w.t.Helper()
	for _, table := range []string{"posts", "tiktok_posts"} {
		_, err := w.db.Pool().ExecContext(w.ctx, fmt.Sprintf("UPDATE %s SET publish_id = '%s' WHERE publish_id = '%s'", table, to, from))
		w.must(err)
	}
	if _, err := w.db.Runs.PostOfUpload(w.ctx, to); err != nil || errors.Is(err, db.ErrNotFound) {
		w.t.Fatalf("the upload %s of post %s: %v", to, p.ID, err)
	}
}

// TestALostIDComesWithAnEvent: the answer to a post of photos was lost, with the id that TikTok
// gave it. The event of its completion names it, and no event of a failure or of another kind of post does.
func TestALostIDComesWithAnEvent(t *testing.T) {
	each(t, func(t *testing.T, w *fixture) {
		w.sim.Script(sandbox.Fault{Op: sandbox.OpTikTokPhoto, Mode: sandbox.ModeReset, After: true})
		p, err := w.posts.Accept(w.ctx, publish.Request{
			Kind: models.Photo, AccountID: w.tiktok, FilesField: "media", Files: []publish.File{{MediaID: w.upload(sample.Picture)}},
			AppID: w.app.ID, Platform: models.TikTok, Options: &tiktokposts.Options{PrivacyLevel: "PUBLIC_TO_EVERYONE"},
		})
		w.must(err)
		w.until(p.ID, "uncertain", is(models.Uncertain))
		w.clock.Advance(time.Minute)
		live := w.sim.LivePosts()
		if len(live) != 1 {
			t.Fatalf("%d posts are live, want 1", len(live))
		}
		w.sendTikTok(tiktokEvent("post.publish.failed", live[0].PublishID, "", w.clock.Now()))
		w.sendTikTok(tiktokEvent("post.publish.complete", "v_pub_file~v2-1.1", "", w.clock.Now()))
		w.runEvents()
		if got := w.post(p.ID); got.PublishID != nil || got.Status != models.Uncertain {
			t.Fatalf("post is %s with publish_id %v", got.Status, got.PublishID)
		}
		w.sendTikTok(tiktokEvent("post.publish.complete", live[0].PublishID, "", w.clock.Now()))
		w.runEvents()
		got := w.until(p.ID, "published", is(models.Published))
		if got.PublishID == nil || *got.PublishID != live[0].PublishID || len(w.sim.LivePosts()) != 1 {
			t.Errorf("publish_id %v, %d posts are live", got.PublishID, len(w.sim.LivePosts()))
		}
	})
}
