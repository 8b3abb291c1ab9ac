package tiktok_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"socialqueue/sandbox"
	"socialqueue/sandbox/sandboxtest"
)

func TestPhotoPost(t *testing.T) {
	files := [][]byte{sandboxtest.JPEG(1080, 1920), sandboxtest.WebP(1080, 566), sandboxtest.JPEG(320, 320)}
	media := sandboxtest.MediaHost(t, map[string][]byte{"/1.jpg": files[0], "/2.webp": files[1], "/3.jpg": files[2]})
	w := sandboxtest.New(t, sandbox.Options{Delays: sandboxtest.Delays})
	id := w.Photos(media.URL+"/1.jpg", media.URL+"/2.webp", media.URL+"/3.jpg").Data.PublishID
	if !strings.HasPrefix(id, "p_pub_url~v2.") {
		t.Errorf("publish_id %s", id)
	}
	w.WantStatus(id, "PROCESSING_DOWNLOAD", "")
	w.WantLive(0)
	st := w.WantEnd(id, "PUBLISH_COMPLETE", "")
	if want := len(files[0]) + len(files[1]) + len(files[2]); st.Data.Downloaded != int64(want) || st.Data.PostIDs != nil {
		t.Errorf("%d bytes, want %d; ids %s", st.Data.Downloaded, want, st.Data.PostIDs)
	}
	live := w.WantLive(1)[0]
	if live.Kind != "photo" || live.Title != "Opening day" || live.Caption != "Come by #coffee" || live.PublishID != id ||
		live.Privacy != "PUBLIC_TO_EVERYONE" || live.Permalink != w.URL()+"/@simcafe/photo/"+live.ID {
		t.Errorf("live: %+v", live)
	}
	w.Advance(time.Minute)
	if st := w.Status(id); string(st.Data.PostIDs) != "["+live.ID+"]" {
		t.Errorf("ids %s, live %s", st.Data.PostIDs, live.ID)
	}
	w.WantFiles(live, files...)
	page := w.MustDo(w.Request("GET", live.Permalink, "")).Body
	if !bytes.Contains(page, []byte("Opening day")) || !bytes.Contains(page, []byte("Come by #coffee")) {
		t.Error("the page lacks the text")
	}
}

func TestPhotoDraft(t *testing.T) {
	media := sandboxtest.MediaHost(t, map[string][]byte{"/1.jpg": sandboxtest.JPEG(640, 640), "/2.jpg": sandboxtest.JPEG(320, 320)})
	w := sandboxtest.New(t, sandbox.Options{Unaudited: true, Delays: sandboxtest.Delays, Limits: &sandbox.Limits{TikTokPendingShares: 2}})
	urls := []string{media.URL + "/1.jpg", media.URL + "/2.jpg"}
	body := sandboxtest.PhotoBody("MEDIA_UPLOAD", `{"title":"Draft","description":"Later","privacy_level":"dropped"}`, urls...)
	id := w.WantTikTok(sandboxtest.PathPhoto, body, 200, "ok").Data.PublishID
	if !strings.HasPrefix(id, "p_inbox_url~v2.") {
		t.Errorf("publish_id %s", id)
	}
	w.WantTikTok(sandboxtest.PathInbox, sandboxtest.InitBody("null", 9, 9, 1), 200, "ok")
	w.WantTikTok(sandboxtest.PathPhoto, body, 403, "spam_risk_too_many_pending_share")
	w.WantEnd(id, "SEND_TO_USER_INBOX", "")
	w.WantLive(0)
	drafts := w.Drafts()
	if len(drafts) != 1 || drafts[0].PublishID != id || drafts[0].Title != "Draft" || drafts[0].Caption != "Later" ||
		drafts[0].Privacy != "" || len(drafts[0].Media) != 2 {
		t.Errorf("drafts: %+v", drafts)
	}
	w.Advance(24 * time.Hour)
	w.TikTok = w.AddTikTokAccount(sandbox.TikTokAccount{OpenID: w.TikTok.OpenID, AccessToken: "act.SIMnew"})
	w.WantTikTok(sandboxtest.PathPhoto, sandboxtest.PhotoBody("MEDIA_UPLOAD", "null", urls...), 200, "ok")
}

// TestPhotoFindings: one bad photo fails the whole post.
func TestPhotoFindings(t *testing.T) {
	media := sandboxtest.MediaHost(t, map[string][]byte{
		"/ok.jpg": sandboxtest.JPEG(1080, 1080), "/wide.jpg": sandboxtest.JPEG(1081, 540), "/wide.webp": sandboxtest.WebP(1081, 540),
		"/a.png": []byte("\x89PNG\r\n\x1a\n"), "/png.jpg": []byte("\x89PNG\r\n\x1a\n"), "/cut.jpg": sandboxtest.JPEG(640, 640)[:10],
		"/video.mp4": sandboxtest.MP4(100), "/big.jpg": append(sandboxtest.JPEG(640, 640), make([]byte, 20_000_000)...),
		"/late.jpg": lateHeader(sandboxtest.JPEG(640, 640)),
	})
	w := sandboxtest.New(t, sandbox.Options{Delays: sandboxtest.Delays, Limits: sandboxtest.NoLimits})
	for path, reason := range map[string]string{
		"/wide.jpg": "picture_size_check_failed", "/wide.webp": "picture_size_check_failed", "/big.jpg": "picture_size_check_failed",
		"/a.png": "file_format_check_failed", "/png.jpg": "file_format_check_failed", "/cut.jpg": "file_format_check_failed",
		"/video.mp4": "file_format_check_failed", "/gone.jpg": "photo_pull_failed", "/moved.jpg": "photo_pull_failed",
	} {
		id := w.Photos(media.URL+"/ok.jpg", media.URL+path, media.URL+"/ok.jpg").Data.PublishID
		w.WantEnd(id, "FAILED", reason)
	}
	w.WantLive(0)
	w.WantEnd(w.Photos(media.URL+"/late.jpg").Data.PublishID, "PUBLISH_COMPLETE", "")
}

// lateHeader puts 1 MB of application data before the dimensions of a JPEG.
func lateHeader(jpeg []byte) []byte {
	segment := append([]byte{0xff, 0xe1, 0xff, 0xff}, make([]byte, 0xffff-2)...)
	return slices.Concat(jpeg[:2], bytes.Repeat(segment, 16), jpeg[2:])
}

func TestPhotoInitValidation(t *testing.T) {
	w := sandboxtest.New(t, sandbox.Options{Limits: sandboxtest.NoLimits})
	const u = "http://127.0.0.1:1/a.jpg"
	good := sandboxtest.PhotoBody("DIRECT_POST", sandboxtest.PublicPhoto, u)
	draft := sandboxtest.PhotoBody("MEDIA_UPLOAD", sandboxtest.PublicPhoto, u)
	with := func(old, changed string) string { return strings.Replace(good, old, changed, 1) }
	info := func(info string) string { return sandboxtest.PhotoBody("DIRECT_POST", info, u) }
	text := func(mode, title, description string) string {
		return sandboxtest.PhotoBody(mode, fmt.Sprintf(`{"privacy_level":"SELF_ONLY","title":%q,"description":%q}`, title, description), u)
	}
	many := func(n int) string {
		return sandboxtest.PhotoBody("DIRECT_POST", sandboxtest.PublicPhoto, slices.Repeat([]string{u}, n)...)
	}
	for name, tc := range map[string]struct {
		body, code string
		status     int
	}{
		"fine":                  {good, "ok", 200},
		"fine draft":            {draft, "ok", 200},
		"draft without info":    {strings.Replace(draft, sandboxtest.PublicPhoto, "null", 1), "ok", 200},
		"all settings":          {with(`{"media_type"`, `{"is_aigc":true,"new_field":{"a":1},"media_type"`), "ok", 200},
		"label not a bool":      {with(`{"media_type"`, `{"is_aigc":"true","media_type"`), "invalid_params", 400},
		"music not a bool":      {info(`{"privacy_level":"SELF_ONLY","auto_add_music":1}`), "invalid_params", 400},
		"no json":               {`{`, "invalid_params", 400},
		"no media type":         {with(`"media_type":"PHOTO",`, ""), "invalid_param", 400},
		"video":                 {with(`"PHOTO"`, `"VIDEO"`), "invalid_param", 400},
		"no mode":               {with(`"post_mode":"DIRECT_POST",`, ""), "invalid_param", 400},
		"mode of the table":     {with(`"DIRECT_POST"`, `"DIRECT POST"`), "invalid_param", 400},
		"no info":               {info("null"), "invalid_param", 400},
		"no privacy":            {info(`{"title":"x"}`), "invalid_param", 400},
		"unknown privacy":       {info(`{"privacy_level":"EVERYONE"}`), "privacy_level_option_mismatch", 403},
		"option of private":     {info(`{"privacy_level":"FOLLOWER_OF_CREATOR"}`), "privacy_level_option_mismatch", 403},
		"branded and private":   {info(`{"privacy_level":"SELF_ONLY","brand_content_toggle":true}`), "invalid_param", 400},
		"longest text":          {text("DIRECT_POST", strings.Repeat("😀", 45), strings.Repeat("😀", 2000)), "ok", 200},
		"title of 91":           {text("DIRECT_POST", strings.Repeat("😀", 45)+"x", ""), "invalid_param", 400},
		"description of 4001":   {text("DIRECT_POST", "", strings.Repeat("😀", 2000)+"x"), "invalid_param", 400},
		"draft title of 91":     {text("MEDIA_UPLOAD", strings.Repeat("x", 91), ""), "invalid_param", 400},
		"draft of 4001":         {text("MEDIA_UPLOAD", "", strings.Repeat("x", 4001)), "invalid_param", 400},
		"no source":             {`{"media_type":"PHOTO","post_mode":"DIRECT_POST","post_info":` + sandboxtest.PublicPhoto + `}`, "invalid_param", 400},
		"upload":                {with("PULL_FROM_URL", "FILE_UPLOAD"), "invalid_param", 400},
		"no cover":              {with(`"photo_cover_index":0,`, ""), "invalid_param", 400},
		"cover outside":         {with(`"photo_cover_index":0`, `"photo_cover_index":1`), "invalid_param", 400},
		"cover before":          {with(`"photo_cover_index":0`, `"photo_cover_index":-1`), "invalid_param", 400},
		"cover a string":        {with(`"photo_cover_index":0`, `"photo_cover_index":"0"`), "invalid_params", 400},
		"last as cover":         {strings.Replace(many(3), `"photo_cover_index":0`, `"photo_cover_index":2`, 1), "ok", 200},
		"no photo":              {with(`"`+u+`"`, ""), "invalid_param", 400},
		"35 photos":             {many(35), "ok", 200},
		"36 photos":             {many(36), "invalid_param", 400},
		"pull over http":        {with(u, u+`","http://cdn.sim.test/a.jpg`), "invalid_param", 400},
		"pull from a public ip": {with(u, "https://8.8.8.8/a.jpg"), "invalid_param", 400},
		"second one unverified": {with(u, u+`","https://cdn.sim.test/a.jpg`), "url_ownership_unverified", 403},
	} {
		t.Run(name, func(t *testing.T) {
			w := *w
			w.T = t
			w.WantTikTok(sandboxtest.PathPhoto, tc.body, tc.status, tc.code)
		})
	}
}

func TestPhotoBlocks(t *testing.T) {
	media := sandboxtest.MediaHost(t, map[string][]byte{"/1.jpg": sandboxtest.JPEG(640, 640)})
	direct := sandboxtest.PhotoBody("DIRECT_POST", sandboxtest.PublicPhoto, media.URL+"/1.jpg")
	draft := sandboxtest.PhotoBody("MEDIA_UPLOAD", sandboxtest.PublicPhoto, media.URL+"/1.jpg")
	w := sandboxtest.New(t, sandbox.Options{Limits: &sandbox.Limits{TikTokActiveCreators: 1}, Delays: &sandbox.Delays{}})

	w.TikTok = w.AddTikTokAccount(sandbox.TikTokAccount{OpenID: "capped", PostsCap: 1})
	w.WantEnd(w.WantTikTok(sandboxtest.PathPhoto, direct, 200, "ok").Data.PublishID, "PUBLISH_COMPLETE", "")
	w.WantTikTok(sandboxtest.PathPhoto, direct, 403, "spam_risk_too_many_posts")
	w.WantTikTok(sandboxtest.PathPhoto, draft, 200, "ok")

	w.TikTok = w.AddTikTokAccount(sandbox.TikTokAccount{OpenID: "second creator"})
	w.WantTikTok(sandboxtest.PathPhoto, direct, 403, "reached_active_user_cap")
	w.WantTikTok(sandboxtest.PathPhoto, draft, 200, "ok")

	w.TikTok = w.AddTikTokAccount(sandbox.TikTokAccount{OpenID: "banned", Banned: true})
	w.WantTikTok(sandboxtest.PathPhoto, direct, 403, "spam_risk_user_banned_from_posting")
	w.WantTikTok(sandboxtest.PathPhoto, draft, 403, "spam_risk_user_banned_from_posting")

	w.TikTok = w.AddTikTokAccount(sandbox.TikTokAccount{OpenID: "uploader", Scopes: []string{"video.upload"}})
	w.WantTikTok(sandboxtest.PathPhoto, direct, 401, "scope_not_authorized")
	w.WantTikTok(sandboxtest.PathPhoto, draft, 200, "ok")
	w.TikTok = w.AddTikTokAccount(sandbox.TikTokAccount{OpenID: "publisher", Scopes: []string{"video.publish"}})
	w.WantTikTok(sandboxtest.PathPhoto, draft, 401, "scope_not_authorized")
}

func TestPhotosOfAnUnauditedClient(t *testing.T) {
	w := sandboxtest.New(t, sandbox.Options{Unaudited: true, Limits: sandboxtest.NoLimits})
	const code = "unaudited_client_can_only_post_to_private_accounts"
	self := sandboxtest.PhotoBody("DIRECT_POST", `{"privacy_level":"SELF_ONLY"}`, "http://127.0.0.1:1/a.jpg")
	w.WantTikTok(sandboxtest.PathPhoto, self, 403, code)
	w.AddTikTokAccount(sandbox.TikTokAccount{OpenID: w.TikTok.OpenID, Private: true})
	w.WantTikTok(sandboxtest.PathPhoto, strings.Replace(self, "SELF_ONLY", "MUTUAL_FOLLOW_FRIENDS", 1), 403, code)
	w.WantTikTok(sandboxtest.PathPhoto, self, 200, "ok")
}

// TestPhotoBudget: the three init calls have a limit each.
func TestPhotoBudget(t *testing.T) {
	w := sandboxtest.New(t, sandbox.Options{})
	for range 7 {
		w.CallTikTok(sandboxtest.PathInit, "{}")
		w.CallTikTok(sandboxtest.PathInbox, "{}")
	}
	for range 6 {
		w.WantTikTok(sandboxtest.PathPhoto, "{}", 400, "invalid_param")
	}
	w.WantTikTok(sandboxtest.PathPhoto, "{}", 429, "rate_limit_exceeded")
}

// TestPhotoFaults: an init that took effect makes the post live, whatever its client got to see.
func TestPhotoFaults(t *testing.T) {
	media := sandboxtest.MediaHost(t, map[string][]byte{"/1.jpg": sandboxtest.JPEG(640, 640)})
	body := sandboxtest.PhotoBody("DIRECT_POST", sandboxtest.PublicPhoto, media.URL+"/1.jpg")
	for name, tc := range map[string]struct {
		fault  sandbox.Fault
		status int // 0: no answer
		live   int
	}{
		"answer lost":         {sandbox.Fault{Mode: sandbox.ModeReset, After: true}, 0, 1},
		"call lost":           {sandbox.Fault{Mode: sandbox.ModeReset}, 0, 0},
		"answer cut":          {sandbox.Fault{Mode: sandbox.ModeTruncate}, 200, 1},
		"gateway after":       {sandbox.Fault{Mode: sandbox.ModeStatus, Status: 502, After: true}, 502, 1},
		"gateway before":      {sandbox.Fault{Mode: sandbox.ModeStatus}, 503, 0},
		"error after":         {sandbox.Fault{Mode: sandbox.ModeError, Code: "internal_error", After: true}, 500, 1},
		"app version":         {sandbox.Fault{Mode: sandbox.ModeError, Code: "app_version_check_failed"}, 400, 0},
		"rate limit":          {sandbox.Fault{Mode: sandbox.ModeRateLimit}, 429, 0},
		"processing fails":    {sandbox.Fault{Op: sandbox.OpTikTokProcess, Mode: sandbox.ModeFail, Code: "spam_risk_text"}, 200, 0},
		"processing is stuck": {sandbox.Fault{Op: sandbox.OpTikTokProcess, Mode: sandbox.ModeStuck}, 200, 0},
	} {
		t.Run(name, func(t *testing.T) {
			w := sandboxtest.New(t, sandbox.Options{Delays: &sandbox.Delays{}})
			if tc.fault.Op == "" {
				tc.fault.Op = sandbox.OpTikTokPhoto
			}
			w.Script(tc.fault)
			if a := w.Do(w.TikTokRequest(sandboxtest.PathPhoto, body)); a.HTTPStatus != tc.status {
				t.Errorf("answered %d, want %d", a.HTTPStatus, tc.status)
			}
			if tc.live == 1 {
				sandboxtest.Eventually(t, "the post is live", func() bool { return len(w.LivePosts()) == 1 })
			}
			if tc.fault.Op == sandbox.OpTikTokProcess {
				sandboxtest.Eventually(t, "the file was processed", func() bool { return len(w.PendingFaults()) == 0 })
			}
			w.Advance(time.Hour)
			w.WantLive(tc.live)
			if left := w.PendingFaults(); len(left) != 0 {
				t.Errorf("not met: %+v", left)
			}
		})
	}
}

func TestPhotoPullEnds(t *testing.T) {
	media := sandboxtest.SlowHost(t)
	w := sandboxtest.New(t, sandbox.Options{Limits: sandboxtest.NoLimits})
	a := w.Photos(media, media).Data.PublishID
	w.WantStatus(a, "PROCESSING_DOWNLOAD", "")
	w.WantTikTok(sandboxtest.PathCancel, fmt.Sprintf(`{"publish_id":%q}`, a), 200, "ok")
	w.WantStatus(a, "FAILED", "publish_cancelled")

	b := w.Photos(media).Data.PublishID
	w.Advance(time.Hour)
	w.WantStatus(b, "FAILED", "photo_pull_failed")
	w.WantLive(0)
}

func TestPhotoWebhooks(t *testing.T) {
	media := sandboxtest.MediaHost(t, map[string][]byte{"/1.jpg": sandboxtest.JPEG(640, 640)})
	w, r := sandboxtest.NewWithTikTokWebhook(t, sandboxtest.Always(200))
	draft := w.WantTikTok(sandboxtest.PathPhoto, sandboxtest.PhotoBody("MEDIA_UPLOAD", "{}", media.URL+"/1.jpg"), 200, "ok").Data.PublishID
	w.WantEnd(draft, "SEND_TO_USER_INBOX", "")
	failed := w.Photos(media.URL + "/gone.jpg").Data.PublishID
	w.WantEnd(failed, "FAILED", "photo_pull_failed")
	post := w.Photos(media.URL + "/1.jpg").Data.PublishID
	w.WantEnd(post, "PUBLISH_COMPLETE", "")
	w.Advance(time.Minute)
	var got []string
	for _, e := range sandboxtest.TikTokEvents(t, w.Delivered(r, 4)) {
		got = append(got, e.Event+" "+e.Content)
	}
	want := []string{
		`post.publish.inbox_delivered {"publish_id":"` + draft + `","publish_type":"INBOX_SHARE"}`,
		`post.publish.failed {"publish_id":"` + failed + `","publish_type":"DIRECT_PUBLISH","reason":"photo_pull_failed"}`,
		`post.publish.complete {"publish_id":"` + post + `","publish_type":"DIRECT_PUBLISH"}`,
		`post.publish.publicly_available {"publish_id":"` + post + `","publish_type":"DIRECT_PUBLISH","post_id":"` + w.WantLive(1)[0].ID + `"}`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}
