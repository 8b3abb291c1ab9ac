package tiktok_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"socialqueue/sandbox"
	"socialqueue/sandbox/sandboxtest"
)

func TestStatusPath(t *testing.T) {
	w := sandboxtest.New(t, sandbox.Options{Delays: sandboxtest.Delays, Limits: sandboxtest.NoLimits})
	a := w.Init(sandboxtest.PublicPost, 100)
	w.WantStatus(a.Data.PublishID, "PROCESSING_UPLOAD", "")
	w.PutFile(a.Data.UploadURL, sandboxtest.MP4(100))
	w.Advance(9 * time.Second)
	w.WantStatus(a.Data.PublishID, "PROCESSING_UPLOAD", "")
	w.WantLive(0)
	w.Advance(time.Second)
	if st := w.WantStatus(a.Data.PublishID, "PUBLISH_COMPLETE", ""); st.Data.PostIDs != nil {
		t.Errorf("ids before moderation: %s", st.Data.PostIDs)
	}
	live := w.WantLive(1)[0]
	if live.Caption != "New roast #coffee" || live.AccountID != w.TikTok.OpenID || !live.At.Equal(sandboxtest.StartTime.Add(10*time.Second)) {
		t.Errorf("live: %+v", live)
	}
	w.Advance(time.Minute)
	st := w.WantStatus(a.Data.PublishID, "PUBLISH_COMPLETE", "")
	if !regexp.MustCompile(`^\[\d{19}\]$`).Match(st.Data.PostIDs) || string(st.Data.PostIDs) != "["+live.ID+"]" {
		t.Errorf("ids %s, live %s", st.Data.PostIDs, live.ID)
	}
	if want := w.URL() + "/@simcafe/video/" + live.ID; live.Permalink != want {
		t.Errorf("permalink %s, want %s", live.Permalink, want)
	}
	w.WantLive(1)
}

func TestSelfOnlyNeverGetsIDs(t *testing.T) {
	w := sandboxtest.New(t, sandbox.Options{Delays: sandboxtest.Delays})
	a := w.Init(`{"privacy_level":"SELF_ONLY"}`, 100)
	w.PutFile(a.Data.UploadURL, sandboxtest.MP4(100))
	w.Advance(time.Hour)
	if st := w.WantStatus(a.Data.PublishID, "PUBLISH_COMPLETE", ""); st.Data.PostIDs != nil {
		t.Errorf("ids: %s", st.Data.PostIDs)
	}
	w.WantLive(1)
}

func TestInboxIsDeliveredNotLive(t *testing.T) {
	w := sandboxtest.New(t, sandbox.Options{Delays: sandboxtest.Delays})
	a := w.WantTikTok(sandboxtest.PathInbox, sandboxtest.InitBody("null", 100, 100, 1), 200, "ok")
	if !strings.HasPrefix(a.Data.PublishID, "v_inbox_file~v2.") {
		t.Errorf("publish_id %s", a.Data.PublishID)
	}
	w.PutFile(a.Data.UploadURL, sandboxtest.MP4(100))
	w.Advance(time.Minute)
	w.WantStatus(a.Data.PublishID, "SEND_TO_USER_INBOX", "")
	w.WantLive(0)
	if d := w.Drafts(); len(d) != 1 || d[0].PublishID != a.Data.PublishID {
		t.Errorf("drafts: %+v", d)
	}
}

func TestProcessingFindings(t *testing.T) {
	w := sandboxtest.New(t, sandbox.Options{Delays: sandboxtest.Delays})
	text := w.Init(sandboxtest.PublicPost, 100)
	w.PutFile(text.Data.UploadURL, []byte(strings.Repeat("not a video ", 9))[:100])
	w.WantStatus(text.Data.PublishID, "PROCESSING_UPLOAD", "") // an accepted upload is not a published one

	w.Script(sandbox.Fault{Op: sandbox.OpTikTokProcess, Mode: sandbox.ModeFail, Code: "internal"},
		sandbox.Fault{Op: sandbox.OpTikTokProcess, Mode: sandbox.ModeStuck})
	internal, stuck := w.Init(sandboxtest.PublicPost, 100), w.Init(sandboxtest.PublicPost, 100)
	w.PutFile(internal.Data.UploadURL, sandboxtest.MP4(100))
	w.PutFile(stuck.Data.UploadURL, sandboxtest.MP4(100))

	w.Advance(time.Hour)
	w.WantStatus(text.Data.PublishID, "FAILED", "file_format_check_failed")
	w.WantStatus(internal.Data.PublishID, "FAILED", "internal")
	w.WantStatus(stuck.Data.PublishID, "PROCESSING_UPLOAD", "")
	w.WantLive(0)
}

func TestPublishIDsBelongToTheirAccount(t *testing.T) {
	w := sandboxtest.New(t, sandbox.Options{})
	a := w.Init(sandboxtest.PublicPost, 100)
	w.WantTikTok(sandboxtest.PathStatus, `{"publish_id":"v_pub_file~v2-1.1"}`, 400, "invalid_publish_id")
	w.WantTikTok(sandboxtest.PathCancel, fmt.Sprintf(`{"publish_id":%q}`, a.Data.PublishID), 400, "publish_not_cancellable")
	w.TikTok = w.AddTikTokAccount(sandbox.TikTokAccount{})
	w.WantTikTok(sandboxtest.PathStatus, fmt.Sprintf(`{"publish_id":%q}`, a.Data.PublishID), 400, "token_not_authorized_for_specified_publish_id")
}

func TestPull(t *testing.T) {
	media := sandboxtest.MediaHost(t, map[string][]byte{"/ok.mp4": sandboxtest.MP4(5000), "/page.html": []byte("<html>")})
	w := sandboxtest.New(t, sandbox.Options{Delays: sandboxtest.Delays, Limits: sandboxtest.NoLimits})
	for path, want := range map[string]string{"/ok.mp4": "PUBLISH_COMPLETE ", "/gone.mp4": "FAILED video_pull_failed",
		"/moved.mp4": "FAILED video_pull_failed", "/page.html": "FAILED file_format_check_failed"} {
		a := w.WantTikTok(sandboxtest.PathInit, sandboxtest.PullBody(media.URL+path), 200, "ok")
		if a.Data.UploadURL != "" || !strings.HasPrefix(a.Data.PublishID, "v_pub_url~v2-1.") {
			t.Errorf("init: %+v", a.Data)
		}
		sandboxtest.Eventually(t, path+" ends in "+want, func() bool {
			w.Advance(10 * time.Second)
			st := w.Status(a.Data.PublishID)
			return st.Data.Status+" "+st.Data.FailReason == want
		})
	}
	if live := w.WantLive(1); live[0].SHA256 != sandboxtest.SHA256(sandboxtest.MP4(5000)) {
		t.Error("the pulled bytes differ")
	}
}

func TestPullCanBeCancelledWhileDownloading(t *testing.T) {
	media := sandboxtest.SlowHost(t)
	w := sandboxtest.New(t, sandbox.Options{Limits: sandboxtest.NoLimits})
	a := w.WantTikTok(sandboxtest.PathInit, sandboxtest.PullBody(media), 200, "ok")
	w.WantStatus(a.Data.PublishID, "PROCESSING_DOWNLOAD", "")
	id := fmt.Sprintf(`{"publish_id":%q}`, a.Data.PublishID)
	w.WantTikTok(sandboxtest.PathCancel, id, 200, "ok")
	w.WantStatus(a.Data.PublishID, "FAILED", "publish_cancelled")
	w.WantTikTok(sandboxtest.PathCancel, id, 400, "publish_not_cancellable")

	b := w.WantTikTok(sandboxtest.PathInit, sandboxtest.PullBody(media), 200, "ok")
	w.Advance(time.Hour)
	w.WantTikTok(sandboxtest.PathInfo, "", 200, "ok")
	w.WantStatus(b.Data.PublishID, "FAILED", "video_pull_failed")
	w.WantLive(0)
}

func TestVerifiedPrefixes(t *testing.T) {
	w := sandboxtest.New(t, sandbox.Options{Limits: sandboxtest.NoLimits, VerifiedPrefixes: []string{"sim.test", "https://cdn.example/media/"}})
	for u, ok := range map[string]bool{
		"https://sim.test/a.mp4": true, "https://a.sim.test/x/a.mp4?sig=1": true, "https://notsim.test/a.mp4": false,
		"https://cdn.example/media/a.mp4": true, "https://cdn.example/other/a.mp4": false, "http://127.0.0.1:1/a.mp4": false,
	} {
		want, status := "url_ownership_unverified", 403
		if ok {
			want, status = "ok", 200
		}
		w.WantTikTok(sandboxtest.PathInit, sandboxtest.PullBody(u), status, want)
	}
}
