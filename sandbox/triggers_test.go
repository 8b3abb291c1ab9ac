package sandbox_test

import (
	"net/url"
	"strings"
	"testing"

	"socialqueue/sandbox"
)

func TestTikTokTriggers(t *testing.T) {
	w := newWorld(t, sandbox.Options{Limits: noLimits})
	a := w.exchange(w.code(url.Values{}))
	w.ExpireTikTokAccess(a.OpenID)
	w.wantAccess(a.AccessToken, false)
	b := w.refresh(a.RefreshToken)
	w.wantAccess(b.AccessToken, true)
	w.InvalidateTikTok(a.OpenID)
	w.wantAccess(b.AccessToken, false)
	w.wantOAuthError(w.tryRefresh(b.RefreshToken), "invalid_grant", "")
	w.AddTikTokAccount(sandbox.TikTokAccount{OpenID: a.OpenID, Private: true})
	w.wantAccess(b.AccessToken, false) // new settings do not connect it again
	w.wantAccess(w.exchange(w.code(url.Values{})).AccessToken, true)
}

func TestInvalidateFacebook(t *testing.T) {
	w := newWorld(t, sandbox.Options{})
	u := w.ann()
	other := w.AddFacebookUser(sandbox.FacebookUser{Name: "Bob", Pages: []sandbox.FacebookPage{{ID: "2001", InstagramID: w.ig.IGID}}})
	for _, subcode := range []int{458, 459, 460, 464, 467} {
		spared := w.login(url.Values{"account": {other.ID}}).AccessToken
		user := w.long(w.login(url.Values{"account": {u.ID}}).AccessToken).AccessToken
		page := w.pageToken("1001")
		w.InvalidateFacebook(u.ID, subcode)
		for _, token := range []string{user, page} {
			w.ig.PageToken = token
			a := w.wantGraph(400, 190, subcode, "GET", w.ig.IGID)
			if !strings.Contains(a.header.Get("Www-Authenticate"), `"invalid_token" "Error validating access token`) {
				t.Errorf("www-authenticate %q", a.header.Get("Www-Authenticate"))
			}
			if d := w.debug(token); d.IsValid || d.Error.Subcode != subcode || d.UserID != u.ID || (len(d.Scopes) == 0) != (subcode == 458) {
				t.Errorf("%d: %+v", subcode, d)
			}
		}
		w.wantGraphError(w.exchangeFB("grant_type", "fb_exchange_token", "fb_exchange_token", user).igAnswer, 190, subcode)
		w.ig.PageToken = spared
		w.wantGraph(200, 0, 0, "GET", w.ig.IGID)
	}
}

func TestLosePage(t *testing.T) {
	w := newWorld(t, sandbox.Options{})
	u := w.ann()
	user := w.login(url.Values{}).AccessToken
	lost, kept := w.pageToken("1001"), w.pageToken("1002")
	w.LosePage(u.ID, "1001")
	if got := w.pages("me/accounts").ids(); got != "1002" {
		t.Errorf("pages: %s", got)
	}
	w.wantGraph(400, 100, 33, "GET", "1001", "fields", "access_token")
	w.wantGraph(400, 100, 33, "GET", w.ig.IGID)
	w.ig.PageToken = lost
	w.wantGraph(400, 190, 492, "GET", w.ig.IGID)
	w.ig.PageToken = kept
	w.wantGraph(200, 0, 0, "GET", "me")

	w.AddFacebookUser(u) // back in the role: a new token, the old one stays dead
	w.ig.PageToken = user
	again := w.pageToken("1001")
	w.ig.PageToken = again
	w.wantGraph(200, 0, 0, "GET", w.ig.IGID)
	w.ig.PageToken = lost
	w.wantGraph(400, 190, 492, "GET", w.ig.IGID)
}

func TestFacebookRevoke(t *testing.T) {
	w := newWorld(t, sandbox.Options{})
	u := w.ann()
	user := w.long(w.login(url.Values{}).AccessToken).AccessToken
	page := w.pageToken("1001")
	remove := func(path string) string {
		return string(w.mustDo(w.graphRequest("DELETE", path)).body)
	}
	if got := remove("me/permissions/business_management"); got != `{"success":true}` {
		t.Errorf("one permission: %s", got)
	}
	w.wantGraph(403, 200, 0, "GET", "me/businesses")
	w.wantGraph(400, 100, 0, "DELETE", "me/permissions/ads_read")
	w.ig.PageToken = page
	w.wantGraph(400, 100, 33, "DELETE", u.ID+"/accounts")
	w.ig.PageToken = user
	if got := remove(u.ID + "/permissions"); got != `{"success":true}` {
		t.Errorf("all: %s", got)
	}
	for _, token := range []string{user, page} {
		w.ig.PageToken = token
		w.wantGraph(400, 190, 458, "GET", w.ig.IGID)
	}
	w.login(url.Values{}, "auth_type", "") // what was declined before went with the app
	w.wantGraph(200, 0, 0, "GET", "me/businesses")
}

func TestTriggersPanicOnUnknownIDs(t *testing.T) {
	w := newWorld(t, sandbox.Options{})
	u := w.ann()
	for name, trigger := range map[string]func(){
		"tiktok":        func() { w.InvalidateTikTok("-000Nobody") },
		"tiktok access": func() { w.ExpireTikTokAccess("-000Nobody") },
		"facebook":      func() { w.InvalidateFacebook("1", 460) },
		"page's user":   func() { w.LosePage("1", "1001") },
		"page":          func() { w.LosePage(u.ID, "1") },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: accepted", name)
				}
			}()
			trigger()
		}()
	}
}

func TestControlRevoke(t *testing.T) {
	w := newWorld(t, sandbox.Options{})
	var u sandbox.FacebookUser
	w.control("POST", "accounts/facebook", `{"name":"Ann","pages":[{"id":"1001","instagram_id":"`+w.ig.IGID+`"},{"name":"Shop","business":"77","client":true,"no_token":true}]}`, 200, &u)
	if u.ID == "" || len(u.Pages) != 2 || u.Pages[0].Name == "" || len(u.Pages[0].Tasks) != 3 || u.Pages[1].ID == "" || !u.Pages[1].NoToken {
		t.Fatalf("user %+v", u)
	}
	user := w.login(url.Values{}).AccessToken
	page := w.pageToken("1001")
	w.control("POST", "revoke", `{"platform":"facebook","id":"`+u.ID+`","page":"1001"}`, 204, nil)
	w.ig.PageToken = page
	w.wantGraph(400, 190, 492, "GET", w.ig.IGID)
	w.control("POST", "revoke", `{"platform":"facebook","id":"`+u.ID+`","subcode":460}`, 204, nil)
	w.ig.PageToken = user
	w.wantGraph(400, 190, 460, "GET", "me")
	w.control("POST", "revoke", `{"platform":"facebook","id":"`+u.ID+`"}`, 204, nil)
	w.wantGraph(400, 190, 458, "GET", "me")

	tt := w.tt
	w.control("POST", "revoke", `{"platform":"tiktok","id":"-000Sim","access_only":true}`, 204, nil)
	w.wantAccess(tt.AccessToken, false)
	b := w.refresh(tt.RefreshToken)
	w.control("POST", "revoke", `{"platform":"tiktok","id":"-000Sim"}`, 204, nil)
	w.wantOAuthError(w.tryRefresh(b.RefreshToken), "invalid_grant", "")

	for _, body := range []string{`{}`, `{"platform":"tiktok","id":"-000Nobody"}`, `{"platform":"facebook","id":"1"}`, `{"platform":"instagram","id":"1"}`} {
		w.control("POST", "revoke", body, 400, nil)
	}
}
