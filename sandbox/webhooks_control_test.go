package sandbox_test

import (
	"strings"
	"testing"

	"socialqueue/sandbox"
	"socialqueue/sandbox/sandboxtest"
)

func TestWebhookControl(t *testing.T) {
	w, r := sandboxtest.New(t, sandbox.Options{}), sandboxtest.NewReceiver(t, sandboxtest.Always(200))
	for _, body := range []string{`{}`, `{"tiktok_url":"nowhere"}`, `{"tiktok_url":"` + r.URL + `","meta_url":"` + r.URL + `","meta_verify_token":"not-ours"}`} {
		w.Control("POST", "webhooks", body, 400, nil)
	}
	w.InvalidateTikTok(w.AddTikTokAccount(sandbox.TikTokAccount{}).OpenID)
	w.Delivered(r, 0) // a handshake that fails changes nothing
	short := `{"ig_id":"17841400000000001","comment":{"text":"Grüße","username":"ann"}}`
	w.Control("POST", "webhooks/instagram", short, 400, nil)

	w.Control("POST", "webhooks", `{"tiktok_url":"`+r.URL+`","meta_url":"`+r.URL+`","meta_verify_token":"`+sandboxtest.VerifyToken+`"}`, 204, nil)
	var out struct{ Entries []sandbox.InstagramEntry }
	w.Control("POST", "webhooks/instagram", short, 200, &out)
	if len(out.Entries) != 1 || !strings.Contains(string(out.Entries[0].Changes[0].Value), `"username":"ann"`) {
		t.Errorf("%+v", out)
	}
	w.Control("POST", "webhooks/instagram", `{"entries":[{"id":"1","time":5,"changes":[{"field":"mentions","value":{"media_id":17918190000000001}}]}]}`, 200, nil)
	for _, body := range []string{`{}`, `{"ig_id":"1"}`, `{"entries":[{"id":"1"}]}`, `{"entries":[{"id":"1","changes":[{}]}],"ig_id":"1"}`} {
		w.Control("POST", "webhooks/instagram", body, 400, nil)
	}
	w.InvalidateTikTok(w.TikTok.OpenID)
	bodies := ""
	for _, got := range w.Delivered(r, 3) {
		bodies += got.Body
	}
	for _, want := range []string{`"text":"Gr\u00fc\u00dfe"`, `"time":5,`, `{"media_id":17918190000000001}`, "authorization.removed"} {
		if !strings.Contains(bodies, want) {
			t.Errorf("%s lacks %s", bodies, want)
		}
	}
	var log []sandbox.Webhook
	w.Control("GET", "webhooks", "", 200, &log)
	if len(log) != 3 || log[0].Body != w.Webhooks()[0].Body || !log[2].Delivered {
		t.Errorf("%+v", log)
	}
	w.Control("POST", "webhooks", `{"tiktok_url":""}`, 204, nil)
	w.SendComment("Meta's address stays")
	w.Delivered(r, 4)
}
