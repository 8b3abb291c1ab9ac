package sandbox_test

import (
	"strings"
	"testing"

	"socialqueue/sandbox"
)

func TestWebhookControl(t *testing.T) {
	w, r := newWorld(t, sandbox.Options{}), newReceiver(t, always(200))
	for _, body := range []string{`{}`, `{"tiktok_url":"nowhere"}`, `{"tiktok_url":"` + r.URL + `","meta_url":"` + r.URL + `","meta_verify_token":"not-ours"}`} {
		w.control("POST", "webhooks", body, 400, nil)
	}
	w.InvalidateTikTok(w.AddTikTokAccount(sandbox.TikTokAccount{}).OpenID)
	w.delivered(r, 0) // a handshake that fails changes nothing
	short := `{"ig_id":"17841400000000001","comment":{"text":"Grüße","username":"ann"}}`
	w.control("POST", "webhooks/instagram", short, 400, nil)

	w.control("POST", "webhooks", `{"tiktok_url":"`+r.URL+`","meta_url":"`+r.URL+`","meta_verify_token":"`+verifyToken+`"}`, 204, nil)
	var out struct{ Entries []sandbox.InstagramEntry }
	w.control("POST", "webhooks/instagram", short, 200, &out)
	if len(out.Entries) != 1 || !strings.Contains(string(out.Entries[0].Changes[0].Value), `"username":"ann"`) {
		t.Errorf("%+v", out)
	}
	w.control("POST", "webhooks/instagram", `{"entries":[{"id":"1","time":5,"changes":[{"field":"mentions","value":{"media_id":17918190000000001}}]}]}`, 200, nil)
	for _, body := range []string{`{}`, `{"ig_id":"1"}`, `{"entries":[{"id":"1"}]}`, `{"entries":[{"id":"1","changes":[{}]}],"ig_id":"1"}`} {
		w.control("POST", "webhooks/instagram", body, 400, nil)
	}
	w.InvalidateTikTok(w.tt.OpenID)
	bodies := ""
	for _, got := range w.delivered(r, 3) {
		bodies += got.body
	}
	for _, want := range []string{`"text":"Gr\u00fc\u00dfe"`, `"time":5,`, `{"media_id":17918190000000001}`, "authorization.removed"} {
		if !strings.Contains(bodies, want) {
			t.Errorf("%s lacks %s", bodies, want)
		}
	}
	var log []sandbox.Webhook
	w.control("GET", "webhooks", "", 200, &log)
	if len(log) != 3 || log[0].Body != w.Webhooks()[0].Body || !log[2].Delivered {
		t.Errorf("%+v", log)
	}
	w.control("POST", "webhooks", `{"tiktok_url":""}`, 204, nil)
	w.sendComment("Meta's address stays")
	w.delivered(r, 4)
}
