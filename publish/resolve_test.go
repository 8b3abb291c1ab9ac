package publish_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"socialqueue/db"
	"socialqueue/models"
	"socialqueue/publish"
	"socialqueue/sandbox"
)

// uncertainPost is one whose sending call was made; arrived says whether it had its
// effect. Nobody can read what became of it.
func (w *fixture) uncertainPost(f flow, arrived bool) *models.Post {
	w.t.Helper()
	op := sandbox.OpInstagramPublish
	if f.name == tiktokVideo.name {
		op = sandbox.OpTikTokChunk
		w.sim.Script(sandbox.Fault{Op: sandbox.OpTikTokStatus, Mode: sandbox.ModeStatus, Status: 503, Times: -1})
	}
	w.sim.Script(sandbox.Fault{Op: op, Mode: sandbox.ModeReset, After: arrived})
	p := w.accept(f)
	w.until(p, "uncertain", func(p *models.Post) bool { return p.Status == models.Uncertain })
	w.sim.ClearFaults()
	return w.post(p)
}

// An operator found the post at the platform: it is published under the id that was
// given, no call is made for it any more, and the timeline says who said so.
func TestResolveLive(t *testing.T) {
	for _, f := range []flow{instagramImage, tiktokVideo} {
		t.Run(f.name, func(t *testing.T) {
			w := onSQLite(t)
			p := w.uncertainPost(f, true)
			before := w.wire.Calls()
			got, err := w.ResolveLive(w.ctx, p.ID, "18001", "https://example.com/p/1", "anna")
			w.must(err)
			stored := w.settle(p)
			if stored.Status != models.Published || *stored.PlatformPostID != "18001" || *stored.Permalink != "https://example.com/p/1" || stored.PublishedAt == nil || stored.Fence != got.Fence {
				t.Errorf("stored %+v", stored)
			}
			if !strings.Contains(w.story(p), "settled by anna: live as 18001") {
				t.Errorf("the timeline says %s", w.story(p))
			}
			w.clock.Advance(48 * time.Hour)
			w.tick()
			if calls := w.wire.Calls() - before; calls != 0 {
				t.Errorf("%d calls were made for a settled post", calls)
			}
			w.wantLive(1)
			if _, err := w.ResolveLive(w.ctx, p.ID, "18002", "", "anna"); !errors.Is(err, publish.ErrConflict) {
				t.Errorf("settled twice: %v", err)
			}
		})
	}
}

// What no platform would say is not stored: apps are told of it.
func TestResolveLiveRefuses(t *testing.T) {
	w := onSQLite(t)
	p := w.uncertainPost(instagramImage, true)
	for name, tt := range map[string]struct{ id, permalink, field string }{
		"no id":            {"", "", "platform_post_id"},
		"only spaces":      {" \t", "", "platform_post_id"},
		"two ids":          {"1 2", "", "platform_post_id"},
		"NUL":              {"1\x002", "", "platform_post_id"},
		"no UTF-8":         {"\xff", "", "platform_post_id"},
		"a control code":   {"1\x1b[2J", "", "platform_post_id"},
		"a long id":        {strings.Repeat("1", 256), "", "platform_post_id"},
		"a script":         {"1", "javascript:alert(1)", "permalink"},
		"no TLS":           {"1", "http://example.com/p", "permalink"},
		"no host":          {"1", "https:///p", "permalink"},
		"a port alone":     {"1", "https://:443/p", "permalink"},
		"a space":          {"1", "https://example.com/a b", "permalink"},
		"a link, no UTF-8": {"1", "https://example.com/\xff", "permalink"},
		"a long link":      {"1", "https://example.com/" + strings.Repeat("p", 500), "permalink"},
	} {
		_, err := w.ResolveLive(w.ctx, p.ID, tt.id, tt.permalink, "anna")
		if fields, ok := errors.AsType[models.FieldErrors](err); !ok || len(fields) != 1 || fields[0].Field != tt.field {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got := w.post(p); got.Status != models.Uncertain {
		t.Errorf("the post is %s", got.Status)
	}
	got, err := w.ResolveLive(w.ctx, p.ID, strings.Repeat("1", 255)+"\n", " https://example.com/p/ä?x=1 ", "anna")
	w.must(err)
	if *got.PlatformPostID != strings.Repeat("1", 255) || *got.Permalink != "https://example.com/p/ä?x=1" {
		t.Errorf("stored %q, %q", *got.PlatformPostID, *got.Permalink)
	}
}

// An operator saw that the post is not live: it is sent again, from the beginning.
func TestRelease(t *testing.T) {
	for _, f := range []flow{instagramImage, instagramReel, tiktokVideo} {
		t.Run(f.name, func(t *testing.T) {
			w := onSQLite(t)
			p := w.uncertainPost(f, false)
			_, err := w.Release(w.ctx, p.ID, "anna")
			w.must(err)
			if got := w.post(p); got.Status != models.Queued || got.Attempts != 0 || got.PublishID != nil || got.ContainerID != nil {
				t.Errorf("released %+v", got)
			}
			p = w.settle(p)
			w.wantStatus(p, models.Published)
			w.wantLive(1)
			if !strings.Contains(w.story(p), "settled by anna: not live; sent again") {
				t.Errorf("the timeline says %s", w.story(p))
			}
		})
	}
}

// Only what is uncertain is settled by hand, and nothing under a worker's hands.
func TestResolveRefuses(t *testing.T) {
	w := onSQLite(t)
	for _, err := range []error{
		second(w.ResolveLive(w.ctx, models.NewID(), "1", "", "anna")), second(w.Release(w.ctx, models.NewID(), "anna")),
	} {
		if !errors.Is(err, db.ErrNotFound) {
			t.Errorf("a post that does not exist: %v", err)
		}
	}
	p := w.accept(instagramImage)
	if _, err := w.Release(w.ctx, p.ID, "anna"); !errors.Is(err, publish.ErrConflict) {
		t.Errorf("a queued post: %v", err)
	}
	w.settle(p)
	p = w.uncertainPost(instagramReel, true)
	_, err := w.db.Runs.Claim(w.ctx, p.ID, p.Fence, "a worker", *p.RunAt, time.Minute)
	w.must(err)
	w.clock.Advance(time.Second)
	if _, err := w.Release(w.ctx, p.ID, "anna"); !errors.Is(err, publish.ErrConflict) {
		t.Errorf("a post that a worker has: %v", err)
	}
}

func second(_ *models.Post, err error) error { return err }
