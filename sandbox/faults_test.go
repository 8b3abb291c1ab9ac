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
)

func TestFaultValidation(t *testing.T) {
	w := newWorld(t, sandbox.Options{})
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
	w := newWorld(t, sandbox.Options{})
	first, second := w.tt, w.AddTikTokAccount(sandbox.TikTokAccount{})
	w.Script(sandbox.Fault{Op: sandbox.OpTikTokCreatorInfo, Match: second.OpenID, Skip: 1, Times: 2, Mode: sandbox.ModeError, Code: "internal_error"})
	for i, step := range []struct {
		acc  sandbox.TikTokAccount
		want int
	}{{second, 200}, {first, 200}, {second, 500}, {first, 200}, {second, 500}, {second, 200}} {
		w.tt = step.acc
		if a := w.tiktok(pathInfo, ""); a.status != step.want {
			t.Errorf("call %d: %d, want %d", i, a.status, step.want)
		}
	}
	if w.CountCalls(sandbox.OpTikTokCreatorInfo) != 6 {
		t.Errorf("counted %d", w.CountCalls(sandbox.OpTikTokCreatorInfo))
	}
	w.Script(sandbox.Fault{Op: sandbox.OpTikTokCreatorInfo, Times: -1, Mode: sandbox.ModeRateLimit})
	for range 3 {
		w.wantTikTok(pathInfo, "", 429, "rate_limit_exceeded")
	}
	w.ClearFaults()
	w.wantTikTok(pathInfo, "", 200, "ok")
}

// Whatever becomes of the answer: without After nothing happened, with After the post is live, once.
func TestPublishFaultsBeforeAndAfterTheEffect(t *testing.T) {
	media := mediaHost(t, map[string][]byte{"/ok.jpg": jpegOf(640, 640)})
	reset := func(a answer) bool { return a.err != nil }
	for name, tc := range map[string]struct {
		fault sandbox.Fault
		live  int
		seen  func(answer) bool
	}{
		"reset before": {sandbox.Fault{Mode: sandbox.ModeReset}, 0, reset},
		"lost answer":  {sandbox.Fault{Mode: sandbox.ModeReset, After: true}, 1, reset},
		"truncated":    {sandbox.Fault{Mode: sandbox.ModeTruncate}, 1, func(a answer) bool { return errors.Is(a.err, io.ErrUnexpectedEOF) }},
		"gateway": {sandbox.Fault{Mode: sandbox.ModeStatus}, 0, func(a answer) bool {
			return a.status == 503 && a.header.Get("Content-Type") == "text/html" && bytes.Contains(a.body, []byte("<html>"))
		}},
		"gateway after": {sandbox.Fault{Mode: sandbox.ModeStatus, Status: 502, After: true}, 1, func(a answer) bool { return a.status == 502 }},
		"2207051 with the post live": {sandbox.Fault{Mode: sandbox.ModeError, Code: "4", Subcode: 2207051, After: true}, 1, func(a answer) bool {
			return a.status == 400 && bytes.Contains(a.body, []byte(`"error_subcode":2207051`)) && a.header.Get("Www-Authenticate") != ""
		}},
		"9007 after FINISHED": {sandbox.Fault{Mode: sandbox.ModeError, Code: "9007", Subcode: 2207027}, 0, func(a answer) bool {
			return a.status == 400 && bytes.Contains(a.body, []byte("Media ID is not available"))
		}},
		"throttled": {sandbox.Fault{Mode: sandbox.ModeRateLimit, Minutes: 7}, 0, func(a answer) bool {
			return a.status == 400 && strings.Contains(a.header.Get("X-Business-Use-Case-Usage"), `"estimated_time_to_regain_access":7`)
		}},
		"slow": {sandbox.Fault{Mode: sandbox.ModeSlow, Delay: time.Millisecond}, 1, func(a answer) bool { return a.status == 200 }},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, sandbox.Options{})
			id := w.finished(media.URL + "/ok.jpg")
			tc.fault.Op = sandbox.OpInstagramPublish
			w.Script(tc.fault)
			a := w.do(w.graphRequest("POST", w.ig.IGID+"/media_publish", "creation_id", id))
			if !tc.seen(a) {
				t.Errorf("the client saw %d %s %v", a.status, a.body, a.err)
			}
			w.wantLive(tc.live)
			want := "FINISHED"
			if tc.live == 1 {
				want = "PUBLISHED"
			}
			w.wantContainer(id, want)
		})
	}
}

func TestHangUntilTheClientLeaves(t *testing.T) {
	for _, after := range []bool{false, true} {
		w := newWorld(t, sandbox.Options{})
		w.Script(sandbox.Fault{Op: sandbox.OpTikTokInit, Mode: sandbox.ModeHang, After: after})
		ctx, leave := context.WithCancel(t.Context())
		defer leave()
		answered := make(chan answer, 1)
		call := w.ttRequest(pathInit, initBody(publicPost, 10, 10, 1)).WithContext(ctx)
		go func() { answered <- w.do(call) }()
		eventually(t, "the call hangs", func() bool { return len(w.PendingFaults()) == 0 })
		leave()
		if a := <-answered; !errors.Is(a.err, context.Canceled) {
			t.Fatalf("after=%v: %d %v", after, a.status, a.err)
		}
		eventually(t, "the hang ends with its client", func() bool { return w.CountCalls(sandbox.OpTikTokInit) == 1 })
	}
}

func TestReadOutage(t *testing.T) {
	media := mediaHost(t, map[string][]byte{"/ok.jpg": jpegOf(640, 640)})
	w := newWorld(t, sandbox.Options{})
	id := w.finished(media.URL + "/ok.jpg")
	outage := sandbox.Fault{Mode: sandbox.ModeError, Code: "100", Subcode: 33, Times: -1}
	for _, op := range []string{sandbox.OpInstagramContainerStatus, sandbox.OpInstagramPermalink} {
		outage.Op = op
		w.Script(outage)
	}
	m := w.wantGraph(200, 0, 0, "POST", w.ig.IGID+"/media_publish", "creation_id", id)
	w.wantGraph(400, 100, 33, "GET", id, "fields", "status_code")
	w.wantGraph(400, 100, 33, "GET", m.ID, "fields", "permalink")
	if list := w.wantGraph(200, 0, 0, "GET", w.ig.IGID+"/media"); len(list.Data) != 1 {
		t.Error("other reads of the account work")
	}
}

func (w *world) control(method, path, body string, status int, out any) {
	w.t.Helper()
	a := w.mustDo(w.request(method, w.URL()+"/_sandbox/"+path, body))
	if a.status != status {
		w.t.Fatalf("%s %s: %d %s", method, path, a.status, a.body)
	}
	if out != nil {
		a.json(w.t, out)
	}
}

func TestControlAPI(t *testing.T) {
	w := newWorld(t, sandbox.Options{})
	w.control("POST", "accounts/tiktok", `{"open_id":"-000Ctl","private":true}`, 200, &w.tt)
	if w.tt.AccessToken == "" || !w.tt.Private || !strings.HasPrefix(w.tt.AccessToken, "act.SIM") {
		t.Fatalf("account %+v", w.tt)
	}
	w.control("POST", "accounts/instagram", `{"username":"ctl"}`, 200, &w.ig)
	w.wantGraph(200, 0, 0, "GET", w.ig.IGID)

	w.control("POST", "faults", `[{"op":"tiktok.creator_info","mode":"slow","delay":"1ms"},{"op":"tiktok.creator_info","mode":"error","code":"internal_error"}]`, 204, nil)
	w.control("POST", "faults", `{"op":"tiktok.creator_info","mode":"rate_limit"}`, 204, nil)
	w.control("POST", "faults", `{"op":"tiktok.creator_info","mode":"rate_limit","tymes":2}`, 400, nil)
	w.control("POST", "faults", `{"op":"tiktok.nothing","mode":"reset"}`, 400, nil)
	var pending []map[string]any
	w.control("GET", "faults", "", 200, &pending)
	if len(pending) != 3 || pending[0]["delay"] != "1ms" {
		t.Errorf("pending %v", pending)
	}
	w.wantTikTok(pathInfo, "", 200, "ok")
	w.wantTikTok(pathInfo, "", 500, "internal_error")
	w.control("DELETE", "faults", "", 204, nil)
	w.wantTikTok(pathInfo, "", 200, "ok")

	var now struct{ Now time.Time }
	w.control("POST", "advance", `{"duration":"2h"}`, 200, &now)
	w.control("POST", "advance", `{"duration":"-1s"}`, 400, nil)
	if !now.Now.Equal(start.Add(2 * time.Hour)) {
		t.Errorf("now %v", now.Now)
	}
	w.wantTikTok(pathInfo, "", 401, "access_token_invalid")

	var calls struct {
		Counts map[string]int
		Calls  []sandbox.Call
	}
	w.control("GET", "calls?op=tiktok.creator_info", "", 200, &calls)
	if len(calls.Calls) != 4 || calls.Counts["tiktok.creator_info"] != 4 || calls.Calls[3].Code != "access_token_invalid" ||
		calls.Calls[1].Fault != sandbox.ModeError || calls.Calls[0].LogID == "" {
		t.Errorf("calls %+v", calls)
	}
	var live []json.RawMessage
	w.control("GET", "live", "", 200, &live)
	w.control("GET", "drafts", "", 200, &live)
}

func TestControlAPIHelps(t *testing.T) {
	w := newWorld(t, sandbox.Options{})
	for path, status := range map[string]int{"": 200, "nothing": 404} {
		index := w.mustDo(w.request("GET", w.URL()+"/_sandbox/"+path, ""))
		if index.status != status || !strings.HasPrefix(index.header.Get("Content-Type"), "text/plain") || !bytes.Contains(index.body, []byte("POST   /_sandbox/advance ")) {
			t.Errorf("%q: %d %s", path, index.status, index.body)
		}
	}
	for path, wanted := range map[string]string{
		"faults": `"op"`, "advance": `"duration"`, "accounts/tiktok": `"open_id"`, "accounts/instagram": `"ig_id"`,
		"accounts/facebook": `"pages"`, "revoke": `"platform"`, "webhooks": `"meta_verify_token"`, "webhooks/instagram": `"comment"`,
	} {
		var a struct{ Error string }
		w.control("POST", path, "", 400, &a)
		if !strings.Contains(a.Error, "the body is empty: send {") || !strings.Contains(a.Error, wanted) {
			t.Errorf("%s: %s", path, a.Error)
		}
	}
	var a struct{ Error string }
	w.control("POST", "advance", "{}", 400, &a)
	if !strings.Contains(a.Error, `{"duration":"2h"}`) {
		t.Error(a.Error)
	}
	w.control("POST", "faults", `{"op":"tiktok.init","mode":"sulk"}`, 400, &a)
	if !strings.Contains(a.Error, "truncate") {
		t.Error(a.Error)
	}
}

func TestFeedShowsWhatIsLive(t *testing.T) {
	media := mediaHost(t, map[string][]byte{"/ok.jpg": jpegOf(640, 640)})
	w := newWorld(t, sandbox.Options{})
	video := mp4(1000)
	w.putAll(w.init(`{"title":"<b>bold</b>","privacy_level":"PUBLIC_TO_EVERYONE"}`, 1000).Data.UploadURL, video)
	w.Advance(time.Minute)
	w.wantGraph(200, 0, 0, "POST", w.ig.IGID+"/media_publish", "creation_id", w.finished(media.URL+"/ok.jpg"))
	page := w.mustDo(w.request("GET", w.URL()+"/", ""))
	for _, p := range w.wantLive(2) {
		single := w.mustDo(w.request("GET", p.Permalink, ""))
		for _, want := range []string{"@" + p.Username, p.Permalink, p.Media[0].URL} {
			if !bytes.Contains(page.body, []byte(want)) || !bytes.Contains(single.body, []byte(want)) {
				t.Errorf("the page lacks %s", want)
			}
		}
	}
	if !bytes.Contains(page.body, []byte("&lt;b&gt;bold")) || !bytes.Contains(page.body, []byte("<video controls")) {
		t.Error("caption or video")
	}
	if !bytes.Contains(page.body, []byte(`<article style="order: 0">`)) || !bytes.Contains(page.body, []byte(`<article style="order: 1">`)) {
		t.Error("the order of both platforms' posts")
	}
	if !bytes.Contains(page.body, []byte("1.0 kB")) {
		t.Error("the size of the video")
	}
	part := w.mustDo(w.request("GET", w.LivePosts()[0].Media[0].URL, "", "Range", "bytes=0-9"))
	if part.status != http.StatusPartialContent || !bytes.Equal(part.body, video[:10]) || part.header.Get("Content-Type") != "video/mp4" {
		t.Errorf("range: %d %q %v", part.status, part.body, part.header)
	}
	if a := w.mustDo(w.request("GET", w.URL()+"/p/nothing/", "")); a.status != 404 {
		t.Errorf("unknown permalink: %d", a.status)
	}
}
