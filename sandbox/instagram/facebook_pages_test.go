package instagram_test

import (
	"fmt"
	"net/url"
	"reflect"
	"strings"
	"testing"

	"socialqueue/sandbox"
	"socialqueue/sandbox/sandboxtest"
)

func TestPageFields(t *testing.T) {
	w := sandboxtest.New(t, sandbox.Options{})
	w.AddInstagramAccount(sandbox.InstagramAccount{IGID: w.Instagram.IGID, Name: "Bakery & Sons", FollowersCount: 1204})
	w.AddAnn()
	w.Login(url.Values{})
	list := w.Pages("me/accounts", "fields", "id,name,access_token,tasks,instagram_business_account{id,username,name,profile_picture_url,followers_count,media_count}")
	if list.IDs() != "1001 1002" || list.Paging.Next != "" || list.Paging.Cursors.After == "" {
		t.Fatalf("list: %+v", list)
	}
	bakery, workshop := list.Data[0], list.Data[1]
	ig := bakery.Instagram
	if bakery.Name != "Bakery" || bakery.AccessToken == "" || !reflect.DeepEqual(bakery.Tasks, []string{"CREATE_CONTENT", "MODERATE", "ANALYZE"}) ||
		ig == nil || ig.ID != w.Instagram.IGID || ig.Username != "bakery" || ig.Name != "Bakery & Sons" || ig.Followers != 1204 || ig.Media == nil || ig.Picture == "" {
		t.Errorf("bakery: %+v %+v", bakery, ig)
	}
	if workshop.Instagram != nil || workshop.AccessToken == bakery.AccessToken || !reflect.DeepEqual(workshop.Tasks, []string{"ANALYZE"}) {
		t.Errorf("workshop: %+v", workshop)
	}
	bare := w.MustDo(w.GraphRequest("GET", "me/accounts", "fields", "instagram_business_account"))
	if want := fmt.Sprintf(`{"data":[{"id":"1001","instagram_business_account":{"id":"%s"}},{"id":"1002"}],`, w.Instagram.IGID); !strings.HasPrefix(string(bare.Body), want) {
		t.Errorf("without nested fields: %s", bare.Body)
	}
	for _, fields := range []string{"id,email", "instagram_business_account{id,email}", "instagram_business_account{id"} {
		w.WantGraph(400, 100, 0, "GET", "me/accounts", "fields", fields)
	}
}

func TestPersonalAccountsAreNotThere(t *testing.T) {
	w := sandboxtest.New(t, sandbox.Options{})
	w.AddAnn()
	w.Login(url.Values{})
	w.AddInstagramAccount(sandbox.InstagramAccount{IGID: w.Instagram.IGID, AccountType: "PERSONAL"})
	if p := w.Pages("me/accounts", "fields", "instagram_business_account").Data[0]; p.Instagram != nil {
		t.Errorf("%+v", p.Instagram)
	}
	w.WantGraph(400, 100, 33, "GET", w.Instagram.IGID, "fields", "username")
}

func TestPagesOverSeveralAnswers(t *testing.T) {
	w := sandboxtest.New(t, sandbox.Options{})
	var many []sandbox.FacebookPage
	for i := range 130 {
		many = append(many, sandbox.FacebookPage{ID: fmt.Sprint(5000 + i)})
	}
	w.AddFacebookUser(sandbox.FacebookUser{Pages: many})
	token := w.Login(url.Values{}).AccessToken
	if list := w.Pages("me/accounts"); len(list.Data) != 25 {
		t.Errorf("by default %d", len(list.Data))
	}
	first := w.Pages("me/accounts", "limit", "500", "fields", "id")
	if len(first.Data) != 100 || first.Paging.Next == "" {
		t.Fatalf("first: %d, next %q", len(first.Data), first.Paging.Next)
	}
	next, err := url.Parse(first.Paging.Next)
	if err != nil || !strings.HasPrefix(first.Paging.Next, w.GraphURL()+"/v25.0/me/accounts?") || next.Query().Get("access_token") != token {
		t.Fatalf("next: %s %v", first.Paging.Next, err)
	}
	w.WantGraphError(w.Send(w.Request("GET", first.Paging.Next, "")), 100, 0) // the proof is not in it
	a := w.MustDo(w.Request("GET", first.Paging.Next+"&appsecret_proof="+sandboxtest.Proof(token), ""))
	var second sandboxtest.PageList
	a.JSON(t, &second)
	if len(second.Data) != 30 || second.Paging.Next != "" || second.Data[0].ID != "5100" || second.Data[29].ID != "5129" {
		t.Errorf("second: %d %s, next %q", a.HTTPStatus, second.IDs(), second.Paging.Next)
	}
	back := w.Pages("me/accounts", "limit", "2", "before", second.Paging.Cursors.Before)
	if back.IDs() != "5098 5099" {
		t.Errorf("before: %s", back.IDs())
	}
	w.WantGraph(400, 100, 0, "GET", "me/accounts", "after", "nonsense")
	w.WantGraph(400, 100, 0, "GET", "me/accounts", "limit", "0")
}

func TestPortfolioPages(t *testing.T) {
	w := sandboxtest.New(t, sandbox.Options{})
	w.AddFacebookUser(sandbox.FacebookUser{Pages: []sandbox.FacebookPage{
		{ID: "1"}, {ID: "2", Business: "77", InstagramID: w.Instagram.IGID}, {ID: "3", Business: "77", Client: true, NoToken: true}, {ID: "4", Business: "88"},
	}})
	w.Login(url.Values{})
	for path, want := range map[string]string{
		"me/accounts": "1", "me/businesses": "77 88", "77/owned_pages": "2", "77/client_pages": "3", "88/owned_pages": "4", "88/client_pages": "",
	} {
		if got := w.Pages(path).IDs(); got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
	if b := w.Pages("me/businesses", "fields", "id,name", "limit", "1"); b.Data[0].Name == "" || b.Paging.Next == "" {
		t.Errorf("businesses: %+v", b)
	}
	client := w.Pages("77/client_pages", "fields", "id,access_token")
	if client.Data[0].AccessToken != "" || w.PageToken("3") != "" {
		t.Error("a Page listed without a token has one")
	}
	w.Instagram.PageToken = w.Pages("77/owned_pages", "fields", "access_token").Data[0].AccessToken
	w.WantGraph(200, 0, 0, "GET", w.Instagram.IGID, "fields", "username")
	w.WantGraph(400, 100, 33, "GET", "77/owned_pages") // not with a Page token

	w.Login(url.Values{"scope": {"pages_show_list"}})
	w.WantGraph(403, 200, 0, "GET", "me/businesses")
	w.WantGraph(403, 200, 0, "GET", "77/owned_pages")
	w.WantGraph(200, 0, 0, "GET", "me/accounts", "fields", "id")
	w.WantGraph(403, 200, 0, "GET", "me/accounts", "fields", "id,instagram_business_account")
}

func TestPageTokensPublish(t *testing.T) {
	media := sandboxtest.MediaHost(t, map[string][]byte{"/ok.jpg": sandboxtest.JPEG(640, 640)})
	w := sandboxtest.New(t, sandbox.Options{Delays: &sandbox.Delays{}})
	second := w.AddInstagramAccount(sandbox.InstagramAccount{})
	w.AddFacebookUser(sandbox.FacebookUser{Pages: []sandbox.FacebookPage{
		{ID: "1001", InstagramID: w.Instagram.IGID}, {ID: "1002", InstagramID: second.IGID, Tasks: []string{"ANALYZE"}},
		{ID: "1003", InstagramID: "17841499999999999", Tasks: []string{"PROFILE_PLUS_CREATE_CONTENT"}},
	}})
	user := w.LongToken(w.Login(url.Values{}).AccessToken).AccessToken
	third := w.PageToken("1003")
	w.Instagram.PageToken = w.PageToken("1001")
	id := w.Container("image_url", media.URL+"/ok.jpg")
	w.WantGraph(200, 0, 0, "POST", w.Instagram.IGID+"/media_publish", "creation_id", id)
	w.WantLive(1)
	w.WantGraph(400, 100, 33, "GET", second.IGID, "fields", "username") // another Page's account
	w.WantGraph(400, 100, 33, "GET", "1002", "fields", "access_token")
	if me := w.WantGraph(200, 0, 0, "GET", "me"); me.ID != "1001" {
		t.Errorf("me of a Page token: %s", me.ID)
	}
	if w.PageToken("1001") != w.Instagram.PageToken {
		t.Error("a Page token asks for itself")
	}
	w.WantGraph(400, 100, 0, "GET", "me/accounts")

	w.Instagram.PageToken = user
	w.WantGraph(200, 0, 0, "POST", w.Instagram.IGID+"/media", "image_url", media.URL+"/ok.jpg")
	w.WantGraph(200, 0, 0, "GET", second.IGID, "fields", "username")
	w.WantGraph(403, 10, 0, "POST", second.IGID+"/media", "image_url", media.URL+"/ok.jpg") // ANALYZE is not enough
	w.Instagram.PageToken = third
	w.WantGraph(200, 0, 0, "POST", "17841499999999999/media", "image_url", media.URL+"/ok.jpg")
}

// A Page token lives as long as the user token it came from, unless that was a long one.
func TestPageTokensOfShortTokensDie(t *testing.T) {
	w := sandboxtest.New(t, sandbox.Options{})
	w.AddAnn()
	short := w.Login(url.Values{}).AccessToken
	fromShort := w.Pages("me/accounts").Data[0].AccessToken
	w.LongToken(short)
	fromLong := w.Pages("me/accounts").Data[0].AccessToken
	w.Advance(shortLife)
	w.Instagram.PageToken = fromShort
	w.WantGraph(400, 190, 463, "GET", w.Instagram.IGID)
	w.Instagram.PageToken = fromLong
	w.WantGraph(200, 0, 0, "GET", w.Instagram.IGID)
	w.Advance(longLife)
	w.WantGraph(200, 0, 0, "GET", w.Instagram.IGID)
}

func TestLoginCallsNeedTheProof(t *testing.T) {
	w := sandboxtest.New(t, sandbox.Options{})
	u := w.AddAnn()
	token := w.Login(url.Values{}).AccessToken
	for _, call := range []string{"GET me", "GET me/permissions", "GET me/accounts", "GET me/businesses", "GET 1001", "DELETE " + u.ID + "/permissions"} {
		method, path, _ := strings.Cut(call, " ")
		req := w.Request(method, w.GraphURL()+"/v25.0/"+path+"?access_token="+token, "")
		w.WantGraphError(w.Send(req), 100, 0)
		w.WantGraphError(w.Send(w.GraphRequest(method, path, "appsecret_proof", sandboxtest.Proof("x"))), 100, 0)
	}
	w.WantGraphError(w.Send(w.Request("GET", w.GraphURL()+"/me?access_token="+token+"&appsecret_proof="+sandboxtest.Proof(token), "")), 2500, 0)
	w.WantGraph(200, 0, 0, "GET", "me")
}
