package publish_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"socialqueue/models"
	"socialqueue/publish"
	tiktokposts "socialqueue/publish/tiktok"
	"socialqueue/sandbox"
)

// pulled is a video that TikTok fetches itself.
func pulled(l *link) flow {
	return flow{"tiktok pull", func(w *fixture) publish.Request {
		r := tiktokVideo.request(w)
		r.Files = []publish.File{{URL: l.url}}
		r.Options.(*tiktokposts.Options).Source = tiktokposts.SourcePull
		return r
	}}
}

// TestPull: TikTok fetches the video from the customer, and nobody else does.
func TestPull(t *testing.T) {
	w := onSQLite(t)
	l := newLink(t, sendVideo)
	p := w.settle(w.accept(pulled(l)))
	w.wantLive(1)
	w.wantStatus(p, models.Published)
	if n := l.served.Load(); n != 1 || w.sim.CountCalls(sandbox.OpTikTokChunk) != 0 || p.Attempts != 0 {
		t.Errorf("the link was fetched %d times: %s", n, w.story(p))
	}
	if files := w.files(p); len(files) != 1 || files[0].Media != nil || !files[0].Pulled {
		t.Errorf("files %+v", files)
	}
}

// TestPullIsNeverSentTwice: the power fails before or after each request.
func TestPullIsNeverSentTwice(t *testing.T) {
	l := newLink(t, sendVideo)
	calls := callsOf(t, pulled(l))
	for n := range calls {
		for _, answered := range []bool{false, true} {
			w := onSQLite(t)
			w.wire.CutPower(n, answered)
			p := w.accept(pulled(l))
			w.clock.Advance(time.Minute)
			for range 300 {
				w.step()
			}
			p = w.post(p)
			sent := w.sim.CountCalls(sandbox.OpTikTokInit)
			if live := len(w.sim.LivePosts()); sent > 1 || live > 1 || p.Status == models.Published && live != 1 || !p.Status.Ended() && p.Status != models.Uncertain {
				t.Errorf("cut at call %d, answered %v: sent %d times, %d live: %s", n, answered, sent, live, w.story(p))
			}
		}
	}
}

// TestPullThatFails: the link is dead. TikTok says so, and nothing is live.
func TestPullThatFails(t *testing.T) {
	w := onSQLite(t)
	p := w.settle(w.accept(pulled(newLink(t, refuse(403)))))
	w.wantLive(0)
	if w.wantStatus(p, models.Failed); !strings.Contains(p.ErrorMessage, "video_pull_failed") {
		t.Errorf("%s: %s", p.ErrorCode, p.ErrorMessage)
	}
}

// TestPullFromAnUnverifiedHost is refused before it is accepted.
func TestPullFromAnUnverifiedHost(t *testing.T) {
	w := onSQLite(t)
	for file, want := range map[publish.File]string{
		{URL: "https://cdn.example.org/v.mp4"}:             "not in TIKTOK_PULL_HOSTS",
		{URL: "https://notverified.example.com.evil.test"}: "not in TIKTOK_PULL_HOSTS",
		{URL: "http://media.verified.example.com/v.mp4"}:   "https links",
		{MediaID: w.video}: "media_url",
	} {
		r := tiktokVideo.request(w)
		r.Files = []publish.File{file}
		r.Options.(*tiktokposts.Options).Source = tiktokposts.SourcePull
		if _, err := w.Accept(w.ctx, r); !strings.Contains(fmt.Sprint(err), want) {
			t.Errorf("%+v: %v, want %q", file, err, want)
		}
	}
}
