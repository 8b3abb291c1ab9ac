package sandbox_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"socialqueue/sandbox"
)

var delays = &sandbox.Delays{TikTokProcessing: 10 * time.Second, TikTokModeration: time.Minute,
	InstagramImage: 5 * time.Second, InstagramVideo: 30 * time.Second}

func TestStatusPath(t *testing.T) {
	w := newWorld(t, sandbox.Options{Delays: delays, Limits: noLimits})
	a := w.init(publicPost, 100)
	w.wantStatus(a.Data.PublishID, "PROCESSING_UPLOAD", "")
	w.putAll(a.Data.UploadURL, mp4(100))
	w.Advance(9 * time.Second)
	w.wantStatus(a.Data.PublishID, "PROCESSING_UPLOAD", "")
	w.wantLive(0)
	w.Advance(time.Second)
	if st := w.wantStatus(a.Data.PublishID, "PUBLISH_COMPLETE", ""); st.Data.PostIDs != nil {
		t.Errorf("ids before moderation: %s", st.Data.PostIDs)
	}
	live := w.wantLive(1)[0]
	if live.Caption != "New roast #coffee" || live.AccountID != w.tt.OpenID || !live.At.Equal(start.Add(10*time.Second)) {
		t.Errorf("live: %+v", live)
	}
	w.Advance(time.Minute)
	st := w.wantStatus(a.Data.PublishID, "PUBLISH_COMPLETE", "")
	if !regexp.MustCompile(`^\[\d{19}\]$`).Match(st.Data.PostIDs) || string(st.Data.PostIDs) != "["+live.ID+"]" {
		t.Errorf("ids %s, live %s", st.Data.PostIDs, live.ID)
	}
	if want := w.URL() + "/@simcafe/video/" + live.ID; live.Permalink != want {
		t.Errorf("permalink %s, want %s", live.Permalink, want)
	}
	w.wantLive(1)
}

func TestSelfOnlyNeverGetsIDs(t *testing.T) {
	w := newWorld(t, sandbox.Options{Delays: delays})
	a := w.init(`{"privacy_level":"SELF_ONLY"}`, 100)
	w.putAll(a.Data.UploadURL, mp4(100))
	w.Advance(time.Hour)
	if st := w.wantStatus(a.Data.PublishID, "PUBLISH_COMPLETE", ""); st.Data.PostIDs != nil {
		t.Errorf("ids: %s", st.Data.PostIDs)
	}
	w.wantLive(1)
}

func TestInboxIsDeliveredNotLive(t *testing.T) {
	w := newWorld(t, sandbox.Options{Delays: delays})
	a := w.wantTikTok(pathInbox, initBody("null", 100, 100, 1), 200, "ok")
	if !strings.HasPrefix(a.Data.PublishID, "v_inbox_file~v2.") {
		t.Errorf("publish_id %s", a.Data.PublishID)
	}
	w.putAll(a.Data.UploadURL, mp4(100))
	w.Advance(time.Minute)
	w.wantStatus(a.Data.PublishID, "SEND_TO_USER_INBOX", "")
	w.wantLive(0)
	if d := w.Drafts(); len(d) != 1 || d[0].PublishID != a.Data.PublishID {
		t.Errorf("drafts: %+v", d)
	}
}

func TestProcessingFindings(t *testing.T) {
	w := newWorld(t, sandbox.Options{Delays: delays})
	text := w.init(publicPost, 100)
	w.putAll(text.Data.UploadURL, []byte(strings.Repeat("not a video ", 9))[:100])
	w.wantStatus(text.Data.PublishID, "PROCESSING_UPLOAD", "") // an accepted upload is not a published one

	w.Script(sandbox.Fault{Op: sandbox.OpTikTokProcess, Mode: sandbox.ModeFail, Code: "internal"},
		sandbox.Fault{Op: sandbox.OpTikTokProcess, Mode: sandbox.ModeStuck})
	internal, stuck := w.init(publicPost, 100), w.init(publicPost, 100)
	w.putAll(internal.Data.UploadURL, mp4(100))
	w.putAll(stuck.Data.UploadURL, mp4(100))

	w.Advance(time.Hour)
	w.wantStatus(text.Data.PublishID, "FAILED", "file_format_check_failed")
	w.wantStatus(internal.Data.PublishID, "FAILED", "internal")
	w.wantStatus(stuck.Data.PublishID, "PROCESSING_UPLOAD", "")
	w.wantLive(0)
}

func TestPublishIDsBelongToTheirAccount(t *testing.T) {
	w := newWorld(t, sandbox.Options{})
	a := w.init(publicPost, 100)
	w.wantTikTok(pathStatus, `{"publish_id":"v_pub_file~v2-1.1"}`, 400, "invalid_publish_id")
	w.wantTikTok(pathCancel, fmt.Sprintf(`{"publish_id":%q}`, a.Data.PublishID), 400, "publish_not_cancellable")
	w.tt = w.AddTikTokAccount(sandbox.TikTokAccount{})
	w.wantTikTok(pathStatus, fmt.Sprintf(`{"publish_id":%q}`, a.Data.PublishID), 400, "token_not_authorized_for_specified_publish_id")
}

func pullBody(u string) string {
	return fmt.Sprintf(`{"post_info":%s,"source_info":{"source":"PULL_FROM_URL","video_url":%q}}`, publicPost, u)
}

func TestPull(t *testing.T) {
	media := mediaHost(t, map[string][]byte{"/ok.mp4": mp4(5000), "/page.html": []byte("<html>")})
	w := newWorld(t, sandbox.Options{Delays: delays, Limits: noLimits})
	for path, want := range map[string]string{"/ok.mp4": "PUBLISH_COMPLETE ", "/gone.mp4": "FAILED video_pull_failed",
		"/moved.mp4": "FAILED video_pull_failed", "/page.html": "FAILED file_format_check_failed"} {
		a := w.wantTikTok(pathInit, pullBody(media.URL+path), 200, "ok")
		if a.Data.UploadURL != "" || !strings.HasPrefix(a.Data.PublishID, "v_pub_url~v2-1.") {
			t.Errorf("init: %+v", a.Data)
		}
		eventually(t, path+" ends in "+want, func() bool {
			w.Advance(10 * time.Second)
			st := w.status(a.Data.PublishID)
			return st.Data.Status+" "+st.Data.FailReason == want
		})
	}
	if live := w.wantLive(1); live[0].SHA256 != sum(mp4(5000)) {
		t.Error("the pulled bytes differ")
	}
}

func TestPullCanBeCancelledWhileDownloading(t *testing.T) {
	media := slowHost(t)
	w := newWorld(t, sandbox.Options{Limits: noLimits})
	a := w.wantTikTok(pathInit, pullBody(media), 200, "ok")
	w.wantStatus(a.Data.PublishID, "PROCESSING_DOWNLOAD", "")
	id := fmt.Sprintf(`{"publish_id":%q}`, a.Data.PublishID)
	w.wantTikTok(pathCancel, id, 200, "ok")
	w.wantStatus(a.Data.PublishID, "FAILED", "publish_cancelled")
	w.wantTikTok(pathCancel, id, 400, "publish_not_cancellable")

	b := w.wantTikTok(pathInit, pullBody(media), 200, "ok")
	w.Advance(time.Hour)
	w.wantTikTok(pathInfo, "", 200, "ok")
	w.wantStatus(b.Data.PublishID, "FAILED", "video_pull_failed")
	w.wantLive(0)
}

func TestVerifiedPrefixes(t *testing.T) {
	w := newWorld(t, sandbox.Options{Limits: noLimits, VerifiedPrefixes: []string{"sim.test", "https://cdn.example/media/"}})
	for u, ok := range map[string]bool{
		"https://sim.test/a.mp4": true, "https://a.sim.test/x/a.mp4?sig=1": true, "https://notsim.test/a.mp4": false,
		"https://cdn.example/media/a.mp4": true, "https://cdn.example/other/a.mp4": false, "http://127.0.0.1:1/a.mp4": false,
	} {
		want, status := "url_ownership_unverified", 403
		if ok {
			want, status = "ok", 200
		}
		w.wantTikTok(pathInit, pullBody(u), status, want)
	}
}
