package instagram_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"socialqueue/sandbox"
	"socialqueue/sandbox/sandboxtest"
)

func TestWebhookHandshake(t *testing.T) {
	w, r := sandboxtest.New(t, sandbox.Options{}), sandboxtest.NewReceiver(t, sandboxtest.Always(200))
	var seen string
	rude := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen = r.URL.Query().Get("hub.challenge")
		_, _ = io.WriteString(w, seen+"\n")
	}))
	defer rude.Close()
	gone := httptest.NewServer(nil)
	gone.Close()
	for name, tc := range map[string]struct{ url, token, want string }{
		"wrong token":          {r.URL, "not-ours", `got 403 "who are you?\n"`},
		"more than the answer": {rude.URL, sandboxtest.VerifyToken, "want 200 and exactly the challenge"},
		"nobody there":         {gone.URL, sandboxtest.VerifyToken, "refused"},
		"no address":           {"http://a b", sandboxtest.VerifyToken, "not a URL"},
	} {
		err := w.SetMetaWebhook(t.Context(), tc.url, tc.token)
		if err == nil || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), tc.token) {
			t.Errorf("%s: %v", name, err)
		}
	}
	w.SendComment("to nobody")
	w.Delivered(r, 0)
	if seen == "" || strings.Trim(seen, "0123456789") != "" {
		t.Errorf("challenge %q", seen)
	}
	if err := w.SetMetaWebhook(t.Context(), r.URL+"/?keep=1", sandboxtest.VerifyToken); err != nil {
		t.Fatal(err)
	}
	w.SendComment("Lovely!")
	w.Delivered(r, 1)
	if err := w.SetMetaWebhook(t.Context(), "", ""); err != nil {
		t.Fatal(err)
	}
	w.SendComment("to nobody")
	w.Delivered(r, 1)
}

func TestWebhookHandshakeOfOptions(t *testing.T) {
	r := sandboxtest.NewReceiver(t, sandboxtest.Always(200))
	w := sandboxtest.New(t, sandbox.Options{MetaWebhookURL: r.URL, MetaVerifyToken: sandboxtest.VerifyToken})
	for n := range 2 {
		w.SendComment("Lovely!")
		w.Delivered(r, n+1)
	}
	if r.Handshakes != 1 {
		t.Errorf("%d handshakes", r.Handshakes)
	}

	wrong := sandboxtest.New(t, sandbox.Options{MetaWebhookURL: r.URL, MetaVerifyToken: "not-ours"})
	wrong.SendComment("never comes")
	if hook := wrong.Attempted(2); hook.Status != 0 || !strings.Contains(hook.Error, "handshake") {
		t.Errorf("%+v", hook)
	}
	w.Delivered(r, 2)
}

func TestWebhookInstagramBody(t *testing.T) {
	w, r := sandboxtest.NewWithMetaWebhook(t, sandboxtest.Always(200))
	w.SendInstagram(
		w.CommentEntry(w.Instagram.IGID, sandbox.InstagramComment{ID: "1791", Text: "Café <3 😀", FromID: "684", Username: "ann", MediaID: "180", ParentID: "1790"}),
		w.CommentEntry(w.Instagram.IGID, sandbox.InstagramComment{ID: "1792", Text: "ours", Username: "bakery", MediaID: "180", SelfIGScopedID: "685"}),
		w.MentionEntry(w.Instagram.IGID, "1803", "1793"),
		w.MentionEntry(w.Instagram.IGID, "1803", ""),
		w.StoryInsightsEntry(w.Instagram.IGID, sandbox.InstagramStoryInsights{MediaID: "1802", Impressions: 28, Reach: 17, TapsForward: 12, Exits: 1, Replies: -1}),
		w.MessageEntry(w.Instagram.IGID, "684", "aWdfZG1fMQ", "hi"),
		sandbox.InstagramEntry{ID: "1", Changes: []sandbox.InstagramChange{{Field: "comments", Value: json.RawMessage(`{ "id": "é" }`)}}},
	)
	head, change := `{"id":"17841400000000001","time":1795327200,`, func(field, value string) string {
		return `"changes":[{"field":"` + field + `","value":` + value + `}]}`
	}
	want := `{"object":"instagram","entry":[` + strings.Join([]string{
		head + change("comments", `{"id":"1791","text":"Caf\u00e9 <3 \ud83d\ude00","from":{"id":"684","username":"ann"},"media":{"id":"180","media_product_type":"FEED"},"parent_id":"1790"}`),
		head + change("comments", `{"id":"1792","text":"ours","from":{"id":"17841400000000001","username":"bakery","self_ig_scoped_id":"685"},"media":{"id":"180","media_product_type":"FEED"}}`),
		head + change("mentions", `{"media_id":"1803","comment_id":"1793"}`),
		head + change("mentions", `{"media_id":"1803"}`),
		head + change("story_insights", `{"media_id":"1802","impressions":28,"reach":17,"taps_forward":12,"taps_back":0,"exits":1,"replies":-1}`),
		`{"id":"17841400000000001","time":1795327200000,"messaging":[{"sender":{"id":"684"},"recipient":{"id":"17841400000000001"},"timestamp":1795327200000,"message":{"mid":"aWdfZG1fMQ","text":"hi"}}]}`,
		`{"id":"1","time":1795327200,` + change("comments", `{"id":"\u00e9"}`),
	}, ",") + `]}`
	got := w.Delivered(r, 1)[0]
	if got.Body != want {
		t.Errorf("got  %s\nwant %s", got.Body, want)
	}
	w.WantMetaSigned(got)
	if hook := w.Webhooks()[0]; hook.Event != "comments,mentions,messages,story_insights" || hook.Account != w.Instagram.IGID || hook.Attempts != 1 {
		t.Errorf("%+v", hook)
	}
}

func TestWebhookInstagramMakesUpIDs(t *testing.T) {
	w := sandboxtest.New(t, sandbox.Options{})
	var value struct {
		ID    string
		From  struct{ ID string }
		Media struct{ ID string }
	}
	if err := json.Unmarshal(w.CommentEntry("1", sandbox.InstagramComment{}).Changes[0].Value, &value); err != nil {
		t.Fatal(err)
	}
	if value.ID == "" || value.From.ID == "" || value.Media.ID == "" {
		t.Errorf("%+v", value)
	}
	if m := string(w.MessageEntry("1", "", "", "hi").Messaging[0]); strings.Contains(m, `""`) {
		t.Error(m)
	}
}

func TestWebhookInstagramRetries(t *testing.T) {
	w, r := sandboxtest.NewWithMetaWebhook(t, sandboxtest.Always(503))
	w.SendComment("Lovely!")
	w.Attempted(2) // the first retry is at once
	w.Advance(time.Second)
	w.Attempted(3)
	w.Advance(36*time.Hour - 2*time.Second)
	if hook := w.Attempted(4); hook.Dropped {
		t.Errorf("%+v", hook)
	}
	w.Advance(time.Second)
	w.Delivered(r, 4)
	if hook := w.Webhooks()[0]; !hook.Dropped || hook.Delivered {
		t.Errorf("%+v", hook)
	}
}

func TestWebhookInstagramRefusesWhatIsNoEntry(t *testing.T) {
	w, _ := sandboxtest.NewWithMetaWebhook(t, sandboxtest.Always(200))
	both := w.MessageEntry("1", "", "", "hi")
	both.Changes = w.MentionEntry("1", "2", "").Changes
	for name, entries := range map[string][]sandbox.InstagramEntry{
		"none": nil, "empty": {{ID: "1"}}, "no id": {w.MentionEntry("", "2", "")}, "both": {both},
		"no JSON": {{ID: "1", Changes: []sandbox.InstagramChange{{Field: "comments", Value: json.RawMessage("{")}}}},
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: accepted", name)
				}
			}()
			w.SendInstagram(entries...)
		}()
	}
}
