package sandbox_test

import (
	"net/url"
	"strings"
	"testing"

	"socialqueue/sandbox"
	"socialqueue/sandbox/sandboxtest"
)

func TestTikTokTriggers(t *testing.T) {
	w := sandboxtest.New(t, sandbox.Options{Limits: sandboxtest.NoLimits})
	a := w.ExchangeTikTok(w.TikTokCode(url.Values{}))
	w.ExpireTikTokAccess(a.OpenID)
	w.WantAccess(a.AccessToken, false)
	b := w.RefreshTikTok(a.RefreshToken)
	w.WantAccess(b.AccessToken, true)
	w.InvalidateTikTok(a.OpenID)
	w.WantAccess(b.AccessToken, false)
	w.WantOAuthError(w.TryRefreshTikTok(b.RefreshToken), "invalid_grant", "")
	w.AddTikTokAccount(sandbox.TikTokAccount{OpenID: a.OpenID, Private: true})
	w.WantAccess(b.AccessToken, false) // new settings do not connect it again
	w.WantAccess(w.ExchangeTikTok(w.TikTokCode(url.Values{})).AccessToken, true)
}

func TestInvalidateFacebook(t *testing.T) {
	w := sandboxtest.New(t, sandbox.Options{})
	u := w.AddAnn()
	other := w.AddFacebookUser(sandbox.FacebookUser{Name: "Bob", Pages: []sandbox.FacebookPage{{ID: "2001", InstagramID: w.Instagram.IGID}}})
	for _, subcode := range []int{458, 459, 460, 464, 467} {
		spared := w.Login(url.Values{"account": {other.ID}}).AccessToken
		user := w.LongToken(w.Login(url.Values{"account": {u.ID}}).AccessToken).AccessToken
		page := w.PageToken("1001")
		w.InvalidateFacebook(u.ID, subcode)
		for _, token := range []string{user, page} {
			w.Instagram.PageToken = token
			a := w.WantGraph(400, 190, subcode, "GET", w.Instagram.IGID)
			if !strings.Contains(a.Header.Get("Www-Authenticate"), `"invalid_token" "Error validating access token`) {
				t.Errorf("www-authenticate %q", a.Header.Get("Www-Authenticate"))
			}
			if d := w.Debug(token); d.IsValid || d.Error.Subcode != subcode || d.UserID != u.ID || (len(d.Scopes) == 0) != (subcode == 458) {
				t.Errorf("%d: %+v", subcode, d)
			}
		}
		w.WantGraphError(w.ExchangeFacebook("grant_type", "fb_exchange_token", "fb_exchange_token", user).GraphAnswer, 190, subcode)
		w.Instagram.PageToken = spared
		w.WantGraph(200, 0, 0, "GET", w.Instagram.IGID)
	}
}

func TestLosePage(t *testing.T) {
	w := sandboxtest.New(t, sandbox.Options{})
	u := w.AddAnn()
	user := w.Login(url.Values{}).AccessToken
	lost, kept := w.PageToken("1001"), w.PageToken("1002")
	w.LosePage(u.ID, "1001")
	if got := w.Pages("me/accounts").IDs(); got != "1002" {
		t.Errorf("pages: %s", got)
	}
	w.WantGraph(400, 100, 33, "GET", "1001", "fields", "access_token")
	w.WantGraph(400, 100, 33, "GET", w.Instagram.IGID)
	w.Instagram.PageToken = lost
	w.WantGraph(400, 190, 492, "GET", w.Instagram.IGID)
	w.Instagram.PageToken = kept
	w.WantGraph(200, 0, 0, "GET", "me")

	w.AddFacebookUser(u) // back in the role: a new token, the old one stays dead
	w.Instagram.PageToken = user
	again := w.PageToken("1001")
	w.Instagram.PageToken = again
	w.WantGraph(200, 0, 0, "GET", w.Instagram.IGID)
	w.Instagram.PageToken = lost
	w.WantGraph(400, 190, 492, "GET", w.Instagram.IGID)
}

func TestFacebookRevoke(t *testing.T) {
	w := sandboxtest.New(t, sandbox.Options{})
	u := w.AddAnn()
	user := w.LongToken(w.Login(url.Values{}).AccessToken).AccessToken
	page := w.PageToken("1001")
	remove := func(path string) string {
		return string(w.MustDo(w.GraphRequest("DELETE", path)).Body)
	}
	if got := remove("me/permissions/business_management"); got != `{"success":true}` {
		t.Errorf("one permission: %s", got)
	}
	w.WantGraph(403, 200, 0, "GET", "me/businesses")
	w.WantGraph(400, 100, 0, "DELETE", "me/permissions/ads_read")
	w.Instagram.PageToken = page
	w.WantGraph(400, 100, 33, "DELETE", u.ID+"/accounts")
	w.Instagram.PageToken = user
	if got := remove(u.ID + "/permissions"); got != `{"success":true}` {
		t.Errorf("all: %s", got)
	}
	for _, token := range []string{user, page} {
		w.Instagram.PageToken = token
		w.WantGraph(400, 190, 458, "GET", w.Instagram.IGID)
	}
	w.Login(url.Values{}, "auth_type", "") // what was declined before went with the app
	w.WantGraph(200, 0, 0, "GET", "me/businesses")
}

func TestTriggersPanicOnUnknownIDs(t *testing.T) {
	w := sandboxtest.New(t, sandbox.Options{})
	u := w.AddAnn()
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
	w := sandboxtest.New(t, sandbox.Options{})
	var u sandbox.FacebookUser
	w.Control("POST", "accounts/facebook", `{"name":"Ann","pages":[{"id":"1001","instagram_id":"`+w.Instagram.IGID+`"},{"name":"Shop","business":"77","client":true,"no_token":true}]}`, 200, &u)
	if u.ID == "" || len(u.Pages) != 2 || u.Pages[0].Name == "" || len(u.Pages[0].Tasks) != 3 || u.Pages[1].ID == "" || !u.Pages[1].NoToken {
		t.Fatalf("user %+v", u)
	}
	user := w.Login(url.Values{}).AccessToken
	page := w.PageToken("1001")
	w.Control("POST", "revoke", `{"platform":"facebook","id":"`+u.ID+`","page":"1001"}`, 204, nil)
	w.Instagram.PageToken = page
	w.WantGraph(400, 190, 492, "GET", w.Instagram.IGID)
	w.Control("POST", "revoke", `{"platform":"facebook","id":"`+u.ID+`","subcode":460}`, 204, nil)
	w.Instagram.PageToken = user
	w.WantGraph(400, 190, 460, "GET", "me")
	w.Control("POST", "revoke", `{"platform":"facebook","id":"`+u.ID+`"}`, 204, nil)
	w.WantGraph(400, 190, 458, "GET", "me")

	tt := w.TikTok
	w.Control("POST", "revoke", `{"platform":"tiktok","id":"-000Sim","access_only":true}`, 204, nil)
	w.WantAccess(tt.AccessToken, false)
	b := w.RefreshTikTok(tt.RefreshToken)
	w.Control("POST", "revoke", `{"platform":"tiktok","id":"-000Sim"}`, 204, nil)
	w.WantOAuthError(w.TryRefreshTikTok(b.RefreshToken), "invalid_grant", "")

	for _, body := range []string{`{}`, `{"platform":"tiktok","id":"-000Nobody"}`, `{"platform":"facebook","id":"1"}`, `{"platform":"instagram","id":"1"}`} {
		w.Control("POST", "revoke", body, 400, nil)
	}
}
