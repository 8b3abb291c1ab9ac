package instagram_test

import (
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"testing"

	"socialqueue/sandbox"
	"socialqueue/sandbox/sandboxtest"
)

const scopesWithMetadata = sandboxtest.FacebookScopes + ",pages_manage_metadata"

// subscribed lists the fields of the app's subscription to a Page.
func subscribed(w *sandboxtest.Env, page string) []string {
	w.T.Helper()
	var list struct {
		Data []struct {
			ID     string   `json:"id"`
			Fields []string `json:"subscribed_fields"`
		} `json:"data"`
	}
	w.MustDo(w.GraphRequest("GET", page+"/subscribed_apps")).JSON(w.T, &list)
	if len(list.Data) == 0 {
		return nil
	}
	if len(list.Data) > 1 || list.Data[0].ID != "100000000000001" {
		w.T.Fatalf("apps %+v", list.Data)
	}
	return list.Data[0].Fields
}

func TestSubscribePage(t *testing.T) {
	w := sandboxtest.New(t, sandbox.Options{})
	w.AddAnn()
	user := w.Login(url.Values{}, "scope", scopesWithMetadata).AccessToken
	bakery, workshop := w.PageToken("1001"), w.PageToken("1002")
	as := func(token string) { w.Instagram.PageToken = token }
	as(user)
	for _, method := range []string{"GET", "POST"} {
		w.WantGraph(400, 210, 0, method, "1001/subscribed_apps", "subscribed_fields", "feed")
	}
	as(workshop)
	w.WantGraph(400, 100, 33, "POST", "1001/subscribed_apps", "subscribed_fields", "feed")
	as(bakery)
	if got := subscribed(w, "1001"); got != nil {
		t.Errorf("subscribed from the start: %q", got)
	}
	for _, params := range [][]string{nil, {"subscribed_fields", ""}, {"subscribed_fields", "feed,"}, {"subscribed_fields", "comments"}, {"subscribed_fields", "feed", "more", "1"}} {
		w.WantGraph(400, 100, 0, "POST", "1001/subscribed_apps", params...)
	}
	for _, fields := range []string{"feed", "messages,name,mention"} {
		if a := w.MustDo(w.GraphRequest("POST", "1001/subscribed_apps", "subscribed_fields", fields)); string(a.Body) != `{"success":true}` {
			t.Errorf("%d %s", a.HTTPStatus, a.Body)
		}
		if got := subscribed(w, "1001"); !slices.Equal(got, strings.Split(fields, ",")) {
			t.Errorf("subscribed to %q, want %s", got, fields)
		}
	}
	as(workshop)
	if got := subscribed(w, "1002"); got != nil {
		t.Errorf("the other Page is subscribed to %q", got)
	}
}

func TestSubscribeNeedsPermission(t *testing.T) {
	w := sandboxtest.New(t, sandbox.Options{})
	w.AddAnn()
	w.Login(url.Values{})
	w.Instagram.PageToken = w.PageToken("1001")
	for _, method := range []string{"GET", "POST"} {
		a := w.WantGraph(403, 200, 0, method, "1001/subscribed_apps", "subscribed_fields", "feed")
		if !strings.Contains(a.Error.Message, "pages_manage_metadata") {
			t.Error(a.Error.Message)
		}
	}
}

// Webhooks about an account behind a Page come while the app is subscribed to the Page. Those
// about accounts without one always come.
func TestWebhooksNeedASubscription(t *testing.T) {
	w, r := sandboxtest.NewWithMetaWebhook(t, sandboxtest.Always(200))
	ann := w.AddAnn()
	w.Login(url.Values{}, "scope", scopesWithMetadata)
	user := w.Instagram.PageToken
	comment := func(igID, text string) sandbox.InstagramEntry {
		return w.CommentEntry(igID, sandbox.InstagramComment{Text: text})
	}
	bakery, other := w.Instagram.IGID, w.AddInstagramAccount(sandbox.InstagramAccount{}).IGID

	w.SendInstagram(comment(bakery, "too early"))
	w.Delivered(r, 0)
	a := w.MustDo(w.Request("POST", w.URL()+"/_sandbox/webhooks/instagram", `{"ig_id":"`+bakery+`","comment":{"text":"too early"}}`, "Content-Type", "application/json"))
	if a.HTTPStatus != 400 || !strings.Contains(string(a.Body), "subscribed") {
		t.Errorf("%d %s", a.HTTPStatus, a.Body)
	}
	w.SendInstagram(comment(bakery, "too early"), comment(other, "without a Page"))
	if got := texts(t, w.Delivered(r, 1)[0]); got != "without a Page" {
		t.Errorf("comments %q", got)
	}

	w.Instagram.PageToken = w.PageToken("1001")
	w.WantGraph(200, 0, 0, "POST", "1001/subscribed_apps", "subscribed_fields", "feed")
	w.SendInstagram(comment(bakery, "Lovely!"), comment(other, "without a Page"))
	if got := texts(t, w.Delivered(r, 2)[1]); got != "Lovely!,without a Page" {
		t.Errorf("comments %q", got)
	}

	w.Instagram.PageToken = user
	w.WantGraph(200, 0, 0, "DELETE", ann.ID+"/permissions")
	w.SendInstagram(comment(bakery, "too late"))
	w.Delivered(r, 2)
}

// texts are the comments of a delivery.
func texts(t *testing.T, got sandboxtest.Received) string {
	t.Helper()
	var body struct {
		Entry []struct {
			Changes []struct{ Value struct{ Text string } }
		}
	}
	if err := json.Unmarshal([]byte(got.Body), &body); err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, e := range body.Entry {
		all = append(all, e.Changes[0].Value.Text)
	}
	return strings.Join(all, ",")
}
