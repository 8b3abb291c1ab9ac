package sandbox_test

import (
	"fmt"
	"net/url"
	"reflect"
	"strings"
	"testing"

	"socialqueue/sandbox"
)

type pageList struct {
	Data []struct {
		ID          string   `json:"id"`
		Name        string   `json:"name"`
		AccessToken string   `json:"access_token"`
		Tasks       []string `json:"tasks"`
		Permission  string   `json:"permission"`
		Status      string   `json:"status"`
		Instagram   *struct {
			ID        string `json:"id"`
			Username  string `json:"username"`
			Name      string `json:"name"`
			Picture   string `json:"profile_picture_url"`
			Followers int    `json:"followers_count"`
			Media     *int   `json:"media_count"`
		} `json:"instagram_business_account"`
	} `json:"data"`
	Paging struct {
		Next    string `json:"next"`
		Cursors struct {
			Before string `json:"before"`
			After  string `json:"after"`
		} `json:"cursors"`
	} `json:"paging"`
}

func (l pageList) ids() string {
	var ids []string
	for _, p := range l.Data {
		ids = append(ids, p.ID)
	}
	return strings.Join(ids, " ")
}

// pages reads a list with the world's token.
func (w *world) pages(path string, params ...string) pageList {
	w.t.Helper()
	a := w.mustDo(w.graphRequest("GET", path, params...))
	if a.status != 200 {
		w.t.Fatalf("%s: %d %s", path, a.status, a.body)
	}
	var out pageList
	a.json(w.t, &out)
	return out
}

// pageToken reads one Page's token, as a client's last resort does.
func (w *world) pageToken(id string) string {
	w.t.Helper()
	var out struct {
		AccessToken string `json:"access_token"`
	}
	w.mustDo(w.graphRequest("GET", id, "fields", "access_token")).json(w.t, &out)
	return out.AccessToken
}

func TestPageFields(t *testing.T) {
	w := newWorld(t, sandbox.Options{})
	w.AddInstagramAccount(sandbox.InstagramAccount{IGID: w.ig.IGID, Name: "Bakery & Sons", FollowersCount: 1204})
	w.ann()
	w.login(url.Values{})
	list := w.pages("me/accounts", "fields", "id,name,access_token,tasks,instagram_business_account{id,username,name,profile_picture_url,followers_count,media_count}")
	if list.ids() != "1001 1002" || list.Paging.Next != "" || list.Paging.Cursors.After == "" {
		t.Fatalf("list: %+v", list)
	}
	bakery, workshop := list.Data[0], list.Data[1]
	ig := bakery.Instagram
	if bakery.Name != "Bakery" || bakery.AccessToken == "" || !reflect.DeepEqual(bakery.Tasks, []string{"CREATE_CONTENT", "MODERATE", "ANALYZE"}) ||
		ig == nil || ig.ID != w.ig.IGID || ig.Username != "bakery" || ig.Name != "Bakery & Sons" || ig.Followers != 1204 || ig.Media == nil || ig.Picture == "" {
		t.Errorf("bakery: %+v %+v", bakery, ig)
	}
	if workshop.Instagram != nil || workshop.AccessToken == bakery.AccessToken || !reflect.DeepEqual(workshop.Tasks, []string{"ANALYZE"}) {
		t.Errorf("workshop: %+v", workshop)
	}
	bare := w.mustDo(w.graphRequest("GET", "me/accounts", "fields", "instagram_business_account"))
	if want := fmt.Sprintf(`{"data":[{"id":"1001","instagram_business_account":{"id":"%s"}},{"id":"1002"}],`, w.ig.IGID); !strings.HasPrefix(string(bare.body), want) {
		t.Errorf("without nested fields: %s", bare.body)
	}
	for _, fields := range []string{"id,email", "instagram_business_account{id,email}", "instagram_business_account{id"} {
		w.wantGraph(400, 100, 0, "GET", "me/accounts", "fields", fields)
	}
}

func TestPersonalAccountsAreNotThere(t *testing.T) {
	w := newWorld(t, sandbox.Options{})
	w.ann()
	w.login(url.Values{})
	w.AddInstagramAccount(sandbox.InstagramAccount{IGID: w.ig.IGID, AccountType: "PERSONAL"})
	if p := w.pages("me/accounts", "fields", "instagram_business_account").Data[0]; p.Instagram != nil {
		t.Errorf("%+v", p.Instagram)
	}
	w.wantGraph(400, 100, 33, "GET", w.ig.IGID, "fields", "username")
}

func TestPagesOverSeveralAnswers(t *testing.T) {
	w := newWorld(t, sandbox.Options{})
	var many []sandbox.FacebookPage
	for i := range 130 {
		many = append(many, sandbox.FacebookPage{ID: fmt.Sprint(5000 + i)})
	}
	w.AddFacebookUser(sandbox.FacebookUser{Pages: many})
	token := w.login(url.Values{}).AccessToken
	if list := w.pages("me/accounts"); len(list.Data) != 25 {
		t.Errorf("by default %d", len(list.Data))
	}
	first := w.pages("me/accounts", "limit", "500", "fields", "id")
	if len(first.Data) != 100 || first.Paging.Next == "" {
		t.Fatalf("first: %d, next %q", len(first.Data), first.Paging.Next)
	}
	next, err := url.Parse(first.Paging.Next)
	if err != nil || !strings.HasPrefix(first.Paging.Next, w.GraphURL()+"/v25.0/me/accounts?") || next.Query().Get("access_token") != token {
		t.Fatalf("next: %s %v", first.Paging.Next, err)
	}
	w.wantGraphError(w.send(w.request("GET", first.Paging.Next, "")), 100, 0) // the proof is not in it
	a := w.mustDo(w.request("GET", first.Paging.Next+"&appsecret_proof="+proof(token), ""))
	var second pageList
	a.json(t, &second)
	if len(second.Data) != 30 || second.Paging.Next != "" || second.Data[0].ID != "5100" || second.Data[29].ID != "5129" {
		t.Errorf("second: %d %s, next %q", a.status, second.ids(), second.Paging.Next)
	}
	back := w.pages("me/accounts", "limit", "2", "before", second.Paging.Cursors.Before)
	if back.ids() != "5098 5099" {
		t.Errorf("before: %s", back.ids())
	}
	w.wantGraph(400, 100, 0, "GET", "me/accounts", "after", "nonsense")
	w.wantGraph(400, 100, 0, "GET", "me/accounts", "limit", "0")
}

func TestPortfolioPages(t *testing.T) {
	w := newWorld(t, sandbox.Options{})
	w.AddFacebookUser(sandbox.FacebookUser{Pages: []sandbox.FacebookPage{
		{ID: "1"}, {ID: "2", Business: "77", InstagramID: w.ig.IGID}, {ID: "3", Business: "77", Client: true, NoToken: true}, {ID: "4", Business: "88"},
	}})
	w.login(url.Values{})
	for path, want := range map[string]string{
		"me/accounts": "1", "me/businesses": "77 88", "77/owned_pages": "2", "77/client_pages": "3", "88/owned_pages": "4", "88/client_pages": "",
	} {
		if got := w.pages(path).ids(); got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
	if b := w.pages("me/businesses", "fields", "id,name", "limit", "1"); b.Data[0].Name == "" || b.Paging.Next == "" {
		t.Errorf("businesses: %+v", b)
	}
	client := w.pages("77/client_pages", "fields", "id,access_token")
	if client.Data[0].AccessToken != "" || w.pageToken("3") != "" {
		t.Error("a Page listed without a token has one")
	}
	w.ig.PageToken = w.pages("77/owned_pages", "fields", "access_token").Data[0].AccessToken
	w.wantGraph(200, 0, 0, "GET", w.ig.IGID, "fields", "username")
	w.wantGraph(400, 100, 33, "GET", "77/owned_pages") // not with a Page token

	w.login(url.Values{"scope": {"pages_show_list"}})
	w.wantGraph(403, 200, 0, "GET", "me/businesses")
	w.wantGraph(403, 200, 0, "GET", "77/owned_pages")
	w.wantGraph(200, 0, 0, "GET", "me/accounts", "fields", "id")
	w.wantGraph(403, 200, 0, "GET", "me/accounts", "fields", "id,instagram_business_account")
}

func TestPageTokensPublish(t *testing.T) {
	media := mediaHost(t, map[string][]byte{"/ok.jpg": jpegOf(640, 640)})
	w := newWorld(t, sandbox.Options{Delays: &sandbox.Delays{}})
	second := w.AddInstagramAccount(sandbox.InstagramAccount{})
	w.AddFacebookUser(sandbox.FacebookUser{Pages: []sandbox.FacebookPage{
		{ID: "1001", InstagramID: w.ig.IGID}, {ID: "1002", InstagramID: second.IGID, Tasks: []string{"ANALYZE"}},
		{ID: "1003", InstagramID: "17841499999999999", Tasks: []string{"PROFILE_PLUS_CREATE_CONTENT"}},
	}})
	user := w.long(w.login(url.Values{}).AccessToken).AccessToken
	third := w.pageToken("1003")
	w.ig.PageToken = w.pageToken("1001")
	id := w.container("image_url", media.URL+"/ok.jpg")
	w.wantGraph(200, 0, 0, "POST", w.ig.IGID+"/media_publish", "creation_id", id)
	w.wantLive(1)
	w.wantGraph(400, 100, 33, "GET", second.IGID, "fields", "username") // another Page's account
	w.wantGraph(400, 100, 33, "GET", "1002", "fields", "access_token")
	if me := w.wantGraph(200, 0, 0, "GET", "me"); me.ID != "1001" {
		t.Errorf("me of a Page token: %s", me.ID)
	}
	if w.pageToken("1001") != w.ig.PageToken {
		t.Error("a Page token asks for itself")
	}
	w.wantGraph(400, 100, 0, "GET", "me/accounts")

	w.ig.PageToken = user
	w.wantGraph(200, 0, 0, "POST", w.ig.IGID+"/media", "image_url", media.URL+"/ok.jpg")
	w.wantGraph(200, 0, 0, "GET", second.IGID, "fields", "username")
	w.wantGraph(403, 10, 0, "POST", second.IGID+"/media", "image_url", media.URL+"/ok.jpg") // ANALYZE is not enough
	w.ig.PageToken = third
	w.wantGraph(200, 0, 0, "POST", "17841499999999999/media", "image_url", media.URL+"/ok.jpg")
}

// A Page token lives as long as the user token it came from, unless that was a long one.
func TestPageTokensOfShortTokensDie(t *testing.T) {
	w := newWorld(t, sandbox.Options{})
	w.ann()
	short := w.login(url.Values{}).AccessToken
	fromShort := w.pages("me/accounts").Data[0].AccessToken
	w.long(short)
	fromLong := w.pages("me/accounts").Data[0].AccessToken
	w.Advance(shortLife)
	w.ig.PageToken = fromShort
	w.wantGraph(400, 190, 463, "GET", w.ig.IGID)
	w.ig.PageToken = fromLong
	w.wantGraph(200, 0, 0, "GET", w.ig.IGID)
	w.Advance(longLife)
	w.wantGraph(200, 0, 0, "GET", w.ig.IGID)
}

func TestLoginCallsNeedTheProof(t *testing.T) {
	w := newWorld(t, sandbox.Options{})
	u := w.ann()
	token := w.login(url.Values{}).AccessToken
	for _, call := range []string{"GET me", "GET me/permissions", "GET me/accounts", "GET me/businesses", "GET 1001", "DELETE " + u.ID + "/permissions"} {
		method, path, _ := strings.Cut(call, " ")
		req := w.request(method, w.GraphURL()+"/v25.0/"+path+"?access_token="+token, "")
		w.wantGraphError(w.send(req), 100, 0)
		w.wantGraphError(w.send(w.graphRequest(method, path, "appsecret_proof", proof("x"))), 100, 0)
	}
	w.wantGraphError(w.send(w.request("GET", w.GraphURL()+"/me?access_token="+token+"&appsecret_proof="+proof(token), "")), 2500, 0)
	w.wantGraph(200, 0, 0, "GET", "me")
}
