package e2e

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"socialqueue/doctor"
	"socialqueue/sandbox"
	"socialqueue/test/testkit"
)

// TestCommentsArriveAfterConnecting: who connects an account gets the comments on its posts,
// unless its owner did not allow that. The doctor says so, and connecting again mends it.
func TestCommentsArriveAfterConnecting(t *testing.T) {
	t.Parallel()
	told := make(chan string, 10)
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var event struct {
			Type    string
			Comment struct{ Text string }
		}
		if err := json.NewDecoder(r.Body).Decode(&event); err != nil || event.Type != "comment.received" {
			t.Errorf("event %+v: %v", event, err)
		}
		told <- event.Comment.Text
	}))
	defer receiver.Close()
	w := newSystem(t, setup{sandbox: unlimited(), env: map[string]string{
		"WEBHOOK_ALLOW_PRIVATE_HOSTS": "true", "INSTAGRAM_WEBHOOK_VERIFY_TOKEN": "verify-this",
	}})
	w.must(w.sim.SetMetaWebhook(t.Context(), w.url()+"/api/webhooks/instagram", "verify-this"))
	w.call(testkit.Call{Method: "POST", Path: "/api/webhook-endpoints", JSON: fields{"url": receiver.URL, "events": []string{"comment.received"}}}).Want(201)
	w.startWorker()
	w.startScheduler()
	w.allowReturn()
	const bakery, cafe = "17841400000000001", "17841400000000002"
	for person, igID := range map[string]string{"9001": bakery, "9002": cafe} {
		w.sim.AddInstagramAccount(sandbox.InstagramAccount{IGID: igID, Username: map[string]string{bakery: "bakery", cafe: "cafe"}[igID]})
		w.sim.AddFacebookUser(sandbox.FacebookUser{ID: person, Pages: []sandbox.FacebookPage{{ID: "10" + person, InstagramID: igID}}})
	}
	connect := func(person string, choose url.Values) {
		t.Helper()
		if q := w.connectVia("instagram", person, choose); q.Get("status") != "connected" {
			t.Fatalf("connect of %s: %v", person, q)
		}
	}
	comment := func(igID, text string) {
		w.sim.SendInstagram(w.sim.CommentEntry(igID, sandbox.InstagramComment{Text: text, Username: "ann"}))
	}
	hear := func(want string) {
		t.Helper()
		select {
		case got := <-told:
			if got != want {
				t.Errorf("the app heard of %q, want %q", got, want)
			}
		case <-time.After(testkit.Patience):
			t.Fatalf("the app did not hear of %q", want)
		}
	}

	connect("9001", nil)
	connect("9002", url.Values{"scope": {"pages_show_list", "pages_read_engagement", "instagram_basic", "instagram_content_publish", "instagram_manage_comments"}})
	comment(cafe, "nobody hears this")
	comment(bakery, "Lovely!")
	hear("Lovely!")
	wantFound(t, w.examine(doctor.Options{}, nil), doctor.Warn, "subscriptions",
		"1 connected Instagram accounts get no webhooks about comments, such as @cafe (the permission pages_manage_metadata was not allowed)")

	connect("9002", nil)
	comment(cafe, "Good coffee")
	hear("Good coffee")
	wantFound(t, w.examine(doctor.Options{}, nil), doctor.OK, "subscriptions", "no connected Instagram account lacks webhooks")
}
