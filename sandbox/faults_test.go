package sandbox_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"socialqueue/sandbox"
	"socialqueue/sandbox/sandboxtest"
)

func TestFaultValidation(t *testing.T) {
	w := sandboxtest.New(t, sandbox.Options{})
	for name, f := range map[string]sandbox.Fault{
		"unknown op":         {Op: "tiktok.publish", Mode: sandbox.ModeReset},
		"unknown mode":       {Op: sandbox.OpTikTokInit, Mode: "explode"},
		"fail on a call":     {Op: sandbox.OpTikTokInit, Mode: sandbox.ModeFail, Code: "internal"},
		"reset on no call":   {Op: sandbox.OpTikTokProcess, Mode: sandbox.ModeReset},
		"error without code": {Op: sandbox.OpTikTokInit, Mode: sandbox.ModeError},
		"text for a number":  {Op: sandbox.OpInstagramPublish, Mode: sandbox.ModeError, Code: "internal"},
		"negative skip":      {Op: sandbox.OpTikTokInit, Mode: sandbox.ModeReset, Skip: -1},
	} {
		if w.ValidateFault(f) == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestFaultsSkipRepeatAndMatch(t *testing.T) {
	w := sandboxtest.New(t, sandbox.Options{})
	first, second := w.TikTok, w.AddTikTokAccount(sandbox.TikTokAccount{})
	w.Script(sandbox.Fault{Op: sandbox.OpTikTokCreatorInfo, Match: second.OpenID, Skip: 1, Times: 2, Mode: sandbox.ModeError, Code: "internal_error"})
	for i, step := range []struct {
		acc  sandbox.TikTokAccount
		want int
	}{{second, 200}, {first, 200}, {second, 500}, {first, 200}, {second, 500}, {second, 200}} {
		w.TikTok = step.acc
		if a := w.CallTikTok(sandboxtest.PathInfo, ""); a.HTTPStatus != step.want {
			t.Errorf("call %d: %d, want %d", i, a.HTTPStatus, step.want)
		}
	}
	if w.CountCalls(sandbox.OpTikTokCreatorInfo) != 6 {
		t.Errorf("counted %d", w.CountCalls(sandbox.OpTikTokCreatorInfo))
	}
	w.Script(sandbox.Fault{Op: sandbox.OpTikTokCreatorInfo, Times: -1, Mode: sandbox.ModeRateLimit})
	for range 3 {
		w.WantTikTok(sandboxtest.PathInfo, "", 429, "rate_limit_exceeded")
	}
	w.ClearFaults()
	w.WantTikTok(sandboxtest.PathInfo, "", 200, "ok")
}

// Whatever becomes of the answer: without After nothing happened, with After the post is live, once.
func TestPublishFaultsBeforeAndAfterTheEffect(t *testing.T) {
	media := sandboxtest.MediaHost(t, map[string][]byte{"/ok.jpg": sandboxtest.JPEG(640, 640)})
	reset := func(a sandboxtest.Answer) bool { return a.Err != nil }
	for name, tc := range map[string]struct {
		fault sandbox.Fault
		live  int
		seen  func(sandboxtest.Answer) bool
	}{
		"reset before": {sandbox.Fault{Mode: sandbox.ModeReset}, 0, reset},
		"lost answer":  {sandbox.Fault{Mode: sandbox.ModeReset, After: true}, 1, reset},
		"truncated":    {sandbox.Fault{Mode: sandbox.ModeTruncate}, 1, func(a sandboxtest.Answer) bool { return errors.Is(a.Err, io.ErrUnexpectedEOF) }},
		"gateway": {sandbox.Fault{Mode: sandbox.ModeStatus}, 0, func(a sandboxtest.Answer) bool {
			return a.HTTPStatus == 503 && a.Header.Get("Content-Type") == "text/html" && bytes.Contains(a.Body, []byte("<html>"))
		}},
		"gateway after": {sandbox.Fault{Mode: sandbox.ModeStatus, Status: 502, After: true}, 1, func(a sandboxtest.Answer) bool { return a.HTTPStatus == 502 }},
		"2207051 with the post live": {sandbox.Fault{Mode: sandbox.ModeError, Code: "4", Subcode: 2207051, After: true}, 1, func(a sandboxtest.Answer) bool {
			return a.HTTPStatus == 400 && bytes.Contains(a.Body, []byte(`"error_subcode":2207051`)) && a.Header.Get("Www-Authenticate") != ""
		}},
		"9007 after FINISHED": {sandbox.Fault{Mode: sandbox.ModeError, Code: "9007", Subcode: 2207027}, 0, func(a sandboxtest.Answer) bool {
			return a.HTTPStatus == 400 && bytes.Contains(a.Body, []byte("Media ID is not available"))
		}},
		"throttled": {sandbox.Fault{Mode: sandbox.ModeRateLimit, Minutes: 7}, 0, func(a sandboxtest.Answer) bool {
			return a.HTTPStatus == 400 && strings.Contains(a.Header.Get("X-Business-Use-Case-Usage"), `"estimated_time_to_regain_access":7`)
		}},
		"slow": {sandbox.Fault{Mode: sandbox.ModeSlow, Delay: time.Millisecond}, 1, func(a sandboxtest.Answer) bool { return a.HTTPStatus == 200 }},
	} {
		t.Run(name, func(t *testing.T) {
			w := sandboxtest.New(t, sandbox.Options{})
			id := w.FinishedContainer(media.URL + "/ok.jpg")
			tc.fault.Op = sandbox.OpInstagramPublish
			w.Script(tc.fault)
			a := w.Do(w.GraphRequest("POST", w.Instagram.IGID+"/media_publish", "creation_id", id))
			if !tc.seen(a) {
				t.Errorf("the client saw %d %s %v", a.HTTPStatus, a.Body, a.Err)
			}
			w.WantLive(tc.live)
			want := "FINISHED"
			if tc.live == 1 {
				want = "PUBLISHED"
			}
			w.WantContainer(id, want)
		})
	}
}

func TestHangUntilTheClientLeaves(t *testing.T) {
	for _, after := range []bool{false, true} {
		w := sandboxtest.New(t, sandbox.Options{})
		w.Script(sandbox.Fault{Op: sandbox.OpTikTokInit, Mode: sandbox.ModeHang, After: after})
		ctx, leave := context.WithCancel(t.Context())
		defer leave()
		answered := make(chan sandboxtest.Answer, 1)
		call := w.TikTokRequest(sandboxtest.PathInit, sandboxtest.InitBody(sandboxtest.PublicPost, 10, 10, 1)).WithContext(ctx)
		go func() { answered <- w.Do(call) }()
		sandboxtest.Eventually(t, "the call hangs", func() bool { return len(w.PendingFaults()) == 0 })
		leave()
		if a := <-answered; !errors.Is(a.Err, context.Canceled) {
			t.Fatalf("after=%v: %d %v", after, a.HTTPStatus, a.Err)
		}
		sandboxtest.Eventually(t, "the hang ends with its client", func() bool { return w.CountCalls(sandbox.OpTikTokInit) == 1 })
	}
}

func TestReadOutage(t *testing.T) {
	media := sandboxtest.MediaHost(t, map[string][]byte{"/ok.jpg": sandboxtest.JPEG(640, 640)})
	w := sandboxtest.New(t, sandbox.Options{})
	id := w.FinishedContainer(media.URL + "/ok.jpg")
	outage := sandbox.Fault{Mode: sandbox.ModeError, Code: "100", Subcode: 33, Times: -1}
	for _, op := range []string{sandbox.OpInstagramContainerStatus, sandbox.OpInstagramPermalink} {
		outage.Op = op
		w.Script(outage)
	}
	m := w.WantGraph(200, 0, 0, "POST", w.Instagram.IGID+"/media_publish", "creation_id", id)
	w.WantGraph(400, 100, 33, "GET", id, "fields", "status_code")
	w.WantGraph(400, 100, 33, "GET", m.ID, "fields", "permalink")
	if list := w.WantGraph(200, 0, 0, "GET", w.Instagram.IGID+"/media"); len(list.Data) != 1 {
		t.Error("other reads of the account work")
	}
}

func TestControlAPI(t *testing.T) {
	w := sandboxtest.New(t, sandbox.Options{})
	w.Control("POST", "accounts/tiktok", `{"open_id":"-000Ctl","private":true}`, 200, &w.TikTok)
	if w.TikTok.AccessToken == "" || !w.TikTok.Private || !strings.HasPrefix(w.TikTok.AccessToken, "act.SIM") {
		t.Fatalf("account %+v", w.TikTok)
	}
	w.Control("POST", "accounts/instagram", `{"username":"ctl"}`, 200, &w.Instagram)
	w.WantGraph(200, 0, 0, "GET", w.Instagram.IGID)

	w.Control("POST", "faults", `[{"op":"tiktok.creator_info","mode":"slow","delay":"1ms"},{"op":"tiktok.creator_info","mode":"error","code":"internal_error"}]`, 204, nil)
	w.Control("POST", "faults", `{"op":"tiktok.creator_info","mode":"rate_limit"}`, 204, nil)
	w.Control("POST", "faults", `{"op":"tiktok.creator_info","mode":"rate_limit","tymes":2}`, 400, nil)
	w.Control("POST", "faults", `{"op":"tiktok.nothing","mode":"reset"}`, 400, nil)
	var pending []map[string]any
	w.Control("GET", "faults", "", 200, &pending)
	if len(pending) != 3 || pending[0]["delay"] != "1ms" {
		t.Errorf("pending %v", pending)
	}
	w.WantTikTok(sandboxtest.PathInfo, "", 200, "ok")
	w.WantTikTok(sandboxtest.PathInfo, "", 500, "internal_error")
	w.Control("DELETE", "faults", "", 204, nil)
	w.WantTikTok(sandboxtest.PathInfo, "", 200, "ok")

	var now struct{ Now time.Time }
	w.Control("POST", "advance", `{"duration":"2h"}`, 200, &now)
	w.Control("POST", "advance", `{"duration":"-1s"}`, 400, nil)
	if !now.Now.Equal(sandboxtest.StartTime.Add(2 * time.Hour)) {
		t.Errorf("now %v", now.Now)
	}
	w.WantTikTok(sandboxtest.PathInfo, "", 401, "access_token_invalid")

	var calls struct {
		Counts map[string]int
		Calls  []sandbox.Call
	}
	w.Control("GET", "calls?op=tiktok.creator_info", "", 200, &calls)
	if len(calls.Calls) != 4 || calls.Counts["tiktok.creator_info"] != 4 || calls.Calls[3].Code != "access_token_invalid" ||
		calls.Calls[1].Fault != sandbox.ModeError || calls.Calls[0].LogID == "" {
		t.Errorf("calls %+v", calls)
	}
	var live []json.RawMessage
	w.Control("GET", "live", "", 200, &live)
	w.Control("GET", "drafts", "", 200, &live)
}

func TestControlAPIHelps(t *testing.T) {
	w := sandboxtest.New(t, sandbox.Options{})
	for path, status := range map[string]int{"": 200, "nothing": 404} {
		index := w.MustDo(w.Request("GET", w.URL()+"/_sandbox/"+path, ""))
		if index.HTTPStatus != status || !strings.HasPrefix(index.Header.Get("Content-Type"), "text/plain") || !bytes.Contains(index.Body, []byte("POST   /_sandbox/advance ")) {
			t.Errorf("%q: %d %s", path, index.HTTPStatus, index.Body)
		}
	}
	for path, wanted := range map[string]string{
		"faults": `"op"`, "advance": `"duration"`, "accounts/tiktok": `"open_id"`, "accounts/instagram": `"ig_id"`,
		"accounts/facebook": `"pages"`, "revoke": `"platform"`, "webhooks": `"meta_verify_token"`, "webhooks/instagram": `"comment"`,
	} {
		var a struct{ Error string }
		w.Control("POST", path, "", 400, &a)
		if !strings.Contains(a.Error, "the body is empty: send {") || !strings.Contains(a.Error, wanted) {
			t.Errorf("%s: %s", path, a.Error)
		}
	}
	var a struct{ Error string }
	w.Control("POST", "advance", "{}", 400, &a)
	if !strings.Contains(a.Error, `{"duration":"2h"}`) {
		t.Error(a.Error)
	}
	w.Control("POST", "faults", `{"op":"tiktok.init","mode":"sulk"}`, 400, &a)
	if !strings.Contains(a.Error, "truncate") {
		t.Error(a.Error)
	}
}

func TestFeedShowsWhatIsLive(t *testing.T) {
	media := sandboxtest.MediaHost(t, map[string][]byte{"/ok.jpg": sandboxtest.JPEG(640, 640)})
	w := sandboxtest.New(t, sandbox.Options{})
	video := sandboxtest.MP4(1000)
	w.PutFile(w.Init(`{"title":"<b>bold</b>","privacy_level":"PUBLIC_TO_EVERYONE"}`, 1000).Data.UploadURL, video)
	w.Advance(time.Minute)
	w.WantGraph(200, 0, 0, "POST", w.Instagram.IGID+"/media_publish", "creation_id", w.FinishedContainer(media.URL+"/ok.jpg"))
	page := w.MustDo(w.Request("GET", w.URL()+"/", ""))
	for _, p := range w.WantLive(2) {
		single := w.MustDo(w.Request("GET", p.Permalink, ""))
		for _, want := range []string{"@" + p.Username, p.Permalink, p.Media[0].URL} {
			if !bytes.Contains(page.Body, []byte(want)) || !bytes.Contains(single.Body, []byte(want)) {
				t.Errorf("the page lacks %s", want)
			}
		}
	}
	if !bytes.Contains(page.Body, []byte("&lt;b&gt;bold")) || !bytes.Contains(page.Body, []byte("<video controls")) {
		t.Error("caption or video")
	}
	if !bytes.Contains(page.Body, []byte(`<article style="order: 0">`)) || !bytes.Contains(page.Body, []byte(`<article style="order: 1">`)) {
		t.Error("the order of both platforms' posts")
	}
	if !bytes.Contains(page.Body, []byte("1.0 kB")) {
		t.Error("the size of the video")
	}
	part := w.MustDo(w.Request("GET", w.LivePosts()[0].Media[0].URL, "", "Range", "bytes=0-9"))
	if part.HTTPStatus != http.StatusPartialContent || !bytes.Equal(part.Body, video[:10]) || part.Header.Get("Content-Type") != "video/mp4" {
		t.Errorf("range: %d %q %v", part.HTTPStatus, part.Body, part.Header)
	}
	if a := w.MustDo(w.Request("GET", w.URL()+"/p/nothing/", "")); a.HTTPStatus != 404 {
		t.Errorf("unknown permalink: %d", a.HTTPStatus)
	}
}

// TestFeedShowsEveryFile: a carousel is one post with a file for each child, in order; a story has one file.
func TestFeedShowsEveryFile(t *testing.T) {
	first, second, third := sandboxtest.JPEG(640, 640), sandboxtest.MP4(400), sandboxtest.JPEG(320, 320)
	media := sandboxtest.MediaHost(t, map[string][]byte{"/1.jpg": first, "/2.mp4": second, "/3.jpg": third})
	w := sandboxtest.New(t, sandbox.Options{Delays: &sandbox.Delays{}})
	last := w.Container("image_url", media.URL+"/3.jpg", "is_carousel_item", "true") // made in another order than shown
	video := w.Container("video_url", media.URL+"/2.mp4", "media_type", "VIDEO", "is_carousel_item", "true")
	cover := w.Container("image_url", media.URL+"/1.jpg", "is_carousel_item", "true")
	parent := w.Container("media_type", "CAROUSEL", "children", cover+","+video+","+last)
	story := w.Container("media_type", "STORIES", "video_url", media.URL+"/2.mp4")
	for _, id := range []string{parent, story} {
		sandboxtest.Eventually(t, "FINISHED", func() bool {
			return w.WantGraph(200, 0, 0, "GET", id, "fields", "status_code").StatusCode == "FINISHED"
		})
		w.Publish(id)
	}
	var live []sandbox.LivePost
	w.Control("GET", "live", "", 200, &live)
	if len(live) != 2 || live[0].Kind != "carousel" || live[1].Kind != "story" {
		t.Fatalf("live: %+v", live)
	}
	w.WantFiles(live[0], first, second, third)
	w.WantFiles(live[1], second)
	page := w.MustDo(w.Request("GET", w.URL()+"/", "")).Body
	if n := bytes.Count(page, []byte("<article ")); n != 2 {
		t.Errorf("the page has %d posts, want 2", n)
	}
	for _, m := range append(live[0].Media, live[1].Media...) {
		if bytes.Count(page, []byte(m.URL+`"`)) != 1 {
			t.Errorf("the page does not show %s once", m.URL)
		}
	}
}
