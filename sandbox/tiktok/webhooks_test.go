package tiktok_test

import (
	"fmt"
	"testing"
	"time"

	"socialqueue/sandbox"
	"socialqueue/sandbox/sandboxtest"
)

// The vector keeps the tests' own check honest; the sender has to satisfy that check in all others.
func TestWebhookSignatureVector(t *testing.T) {
	const body = `{"client_key":"sim_client_key","event":"post.publish.complete","create_time":1790000000,"user_openid":"-000simUser","content":"{\"publish_id\":\"v_pub_file~v2-1.7600000000000000001\",\"publish_type\":\"DIRECT_PUBLISH\"}"}`
	const header = "t=1790000000,s=9d18e18461740b74096a5e7f0f814a0f58d23b96190163bfbb766b150a5f70a0"
	if at, ok := sandboxtest.TikTokSignedAt(header, "sim_client_secret", body); !ok || at != 1790000000 {
		t.Errorf("the vector: %d %v", at, ok)
	}
	if _, ok := sandboxtest.TikTokSignedAt(header, "sim_client_secret", body+" "); ok {
		t.Error("another body passes")
	}
}

func TestWebhookDirectPost(t *testing.T) {
	w, r := sandboxtest.NewWithTikTokWebhook(t, sandboxtest.Always(200))
	id := w.Init(sandboxtest.PublicPost, 100).Data
	w.PutFile(id.UploadURL, sandboxtest.MP4(100))
	w.Advance(9 * time.Second)
	w.Delivered(r, 0)
	w.Advance(time.Second)
	first := w.Delivered(r, 1)[0]
	want := fmt.Sprintf(`{"client_key":"sim-client-key","event":"post.publish.complete","create_time":%d,"user_openid":"-000Sim","content":"{\"publish_id\":\"%s\",\"publish_type\":\"DIRECT_PUBLISH\"}"}`,
		sandboxtest.StartTime.Add(10*time.Second).Unix(), id.PublishID)
	if first.Body != want || first.Header.Get("Content-Type") != "application/json" {
		t.Errorf("got %s %s\nwant %s", first.Header, first.Body, want)
	}
	w.WantTikTokSigned(first, sandboxtest.StartTime.Add(10*time.Second))

	w.Advance(2 * time.Minute) // a minute after the id came
	w.Status(id.PublishID)
	live := w.WantLive(1)[0]
	available := sandboxtest.TikTokEvents(t, w.Delivered(r, 2))[1]
	if available.Event != "post.publish.publicly_available" || available.Decoded.PostID != live.ID ||
		available.Decoded.PublishID != id.PublishID || available.CreateTime != sandboxtest.StartTime.Add(70*time.Second).Unix() {
		t.Errorf("available %+v", available)
	}
	w.Advance(time.Hour)
	w.Status(id.PublishID)
	w.Delivered(r, 2) // each event once, however often one looks
}

// The loop has to notice by itself; nobody calls the sandbox here after the clock has moved.
func TestWebhookWithoutAnybodyLooking(t *testing.T) {
	w, r := sandboxtest.NewWithTikTokWebhook(t, sandboxtest.Always(200))
	w.PutFile(w.Init(sandboxtest.PublicPost, 100).Data.UploadURL, sandboxtest.MP4(100))
	w.Advance(2 * time.Minute)
	sandboxtest.Eventually(t, "both events", func() bool { return len(r.All()) == 2 })
}

func TestWebhookOtherEnds(t *testing.T) {
	w, r := sandboxtest.NewWithTikTokWebhook(t, sandboxtest.Always(200))
	end := sandboxtest.StartTime.Add(10 * time.Second).Unix()
	send := func(info string, data []byte) string {
		a := w.Init(info, int64(len(data))).Data
		w.PutFile(a.UploadURL, data)
		return a.PublishID
	}
	self := send(`{"privacy_level":"SELF_ONLY"}`, sandboxtest.MP4(100))
	failed := send(sandboxtest.PublicPost, []byte("not a video"))
	draft := w.WantTikTok(sandboxtest.PathInbox, sandboxtest.InitBody("null", 100, 100, 1), 200, "ok").Data
	w.PutFile(draft.UploadURL, sandboxtest.MP4(100))
	w.Advance(time.Hour)
	got := map[string]string{}
	for _, e := range sandboxtest.TikTokEvents(t, w.Delivered(r, 3)) { // no id for SELF_ONLY
		got[e.Decoded.PublishID] = fmt.Sprint(e.Event, " ", e.CreateTime-end, " ", e.Content)
	}
	for id, want := range map[string]string{
		self:            `post.publish.complete 0 {"publish_id":"` + self + `","publish_type":"DIRECT_PUBLISH"}`,
		failed:          `post.publish.failed 0 {"publish_id":"` + failed + `","publish_type":"DIRECT_PUBLISH","reason":"file_format_check_failed"}`,
		draft.PublishID: `post.publish.inbox_delivered 0 {"publish_id":"` + draft.PublishID + `","publish_type":"INBOX_SHARE"}`,
	} {
		if got[id] != want {
			t.Errorf("got  %s\nwant %s", got[id], want)
		}
	}
}

func TestWebhookOfADownloadThatEnds(t *testing.T) {
	w, r := sandboxtest.NewWithTikTokWebhook(t, sandboxtest.Always(200))
	media := sandboxtest.SlowHost(t)
	cancelled := w.WantTikTok(sandboxtest.PathInit, sandboxtest.PullBody(media), 200, "ok").Data.PublishID
	w.WantTikTok(sandboxtest.PathCancel, fmt.Sprintf(`{"publish_id":%q}`, cancelled), 200, "ok")
	w.WantTikTok(sandboxtest.PathInit, sandboxtest.PullBody(media), 200, "ok")
	w.Advance(2 * time.Hour)
	events := sandboxtest.TikTokEvents(t, w.Delivered(r, 2))
	if events[0].Decoded.Reason != "publish_cancelled" || events[1].Decoded.Reason != "video_pull_failed" ||
		events[1].CreateTime != sandboxtest.StartTime.Add(time.Hour).Unix() {
		t.Errorf("%+v", events)
	}
}

func TestWebhookAuthorizationRemoved(t *testing.T) {
	w, r := sandboxtest.NewWithTikTokWebhook(t, sandboxtest.Always(200))
	byApp := w.TikTok
	byScript, byControl := w.AddTikTokAccount(sandbox.TikTokAccount{}), w.AddTikTokAccount(sandbox.TikTokAccount{})
	w.MustDo(w.Request("POST", w.TikTokURL()+"/v2/oauth/revoke/", "client_key=sim-client-key&client_secret=sim-client-secret&token="+byApp.AccessToken,
		"Content-Type", "application/x-www-form-urlencoded"))
	w.ExpireTikTokAccess(byScript.OpenID) // no removal: the refresh token lives
	for range 2 {
		w.InvalidateTikTok(byScript.OpenID)
		w.Control("POST", "revoke", `{"platform":"tiktok","id":"`+byControl.OpenID+`"}`, 204, nil)
	}
	got := map[string]string{}
	for _, e := range sandboxtest.TikTokEvents(t, w.Delivered(r, 3)) {
		got[e.OpenID] = e.Event + " " + e.Content
	}
	for id, reason := range map[string]int{byApp.OpenID: 5, byScript.OpenID: 1, byControl.OpenID: 1} {
		if want := fmt.Sprintf(`authorization.removed {"reason":%d}`, reason); got[id] != want {
			t.Errorf("%s: %s, want %s", id, got[id], want)
		}
	}
}

func TestWebhookAddressComesAndGoes(t *testing.T) {
	w, r := sandboxtest.New(t, sandbox.Options{Delays: sandboxtest.Delays, Limits: sandboxtest.NoLimits}), sandboxtest.NewReceiver(t, sandboxtest.Always(200))
	w.PutFile(w.Init(sandboxtest.PublicPost, 100).Data.UploadURL, sandboxtest.MP4(100))
	w.SendComment("nobody listens")
	w.Advance(time.Hour)
	w.SetTikTokWebhook(r.URL)
	w.Delivered(r, 0) // what happened before is not told
	if hooks := w.Webhooks(); len(hooks) != 0 {
		t.Errorf("%+v", hooks)
	}
	w.InvalidateTikTok(w.TikTok.OpenID)
	w.Delivered(r, 1)
	w.SetTikTokWebhook("")
	other := w.AddTikTokAccount(sandbox.TikTokAccount{})
	w.InvalidateTikTok(other.OpenID)
	w.Delivered(r, 1)
}

func TestWebhookRetries(t *testing.T) {
	for _, refusal := range []int{500, 307, 201} {
		w, r := sandboxtest.NewWithTikTokWebhook(t, func(n int) int {
			if n < 5 {
				return refusal
			}
			return 200
		})
		w.InvalidateTikTok(w.TikTok.OpenID)
		w.Attempted(1)
		for i, wait := range []time.Duration{1, 2, 4, 8} {
			w.Advance(wait*time.Second - time.Millisecond)
			if hook := w.Attempted(i + 1); hook.Status != refusal || hook.Delivered {
				t.Fatalf("%+v", hook)
			}
			w.Advance(time.Millisecond)
			w.Attempted(i + 2)
		}
		got := w.Delivered(r, 5)
		w.WantTikTokSigned(got[0], sandboxtest.StartTime)
		w.WantTikTokSigned(got[4], sandboxtest.StartTime.Add(15*time.Second)) // signed anew
		if hook := w.Webhooks()[0]; !hook.Delivered || hook.Status != 200 || hook.Body != got[4].Body ||
			hook.Header.Get("TikTok-Signature") != got[4].Header.Get("TikTok-Signature") {
			t.Errorf("the log cannot replay it: %+v", hook)
		}
	}
}

func TestWebhookIsDroppedAfter72Hours(t *testing.T) {
	w, r := sandboxtest.NewWithTikTokWebhook(t, sandboxtest.Always(500))
	w.InvalidateTikTok(w.TikTok.OpenID)
	w.Attempted(1)
	for n := 2; n < 50; n++ { // the wait never exceeds an hour
		w.Advance(time.Hour)
		w.Attempted(n)
	}
	w.Advance(23 * time.Hour)
	before := w.Attempted(50)
	w.Advance(time.Hour)
	if got := w.Delivered(r, 50); before.Dropped || len(got) != 50 || !w.Webhooks()[0].Dropped {
		t.Errorf("before %+v, after %+v", before, w.Webhooks()[0])
	}
}
