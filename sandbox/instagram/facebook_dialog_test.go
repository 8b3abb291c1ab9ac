package instagram_test

import (
	"net/url"
	"strings"
	"testing"

	"socialqueue/sandbox"
	"socialqueue/sandbox/sandboxtest"
)

func TestFacebookDialogPage(t *testing.T) {
	w := sandboxtest.New(t, sandbox.Options{})
	u := w.AddAnn()
	w.WantPage(w.DialogURL(), 200, "Ann", `value="`+u.ID+`"`, `value="new"`, `name="page" value="1002" checked`, "Bakery, with @bakery",
		`value="instagram_basic" checked>`)
	w.WantPage(w.DialogURL("auth_type", "", "state", ""), 200)
	for _, path := range []string{"/dialog/oauth", "/v99.0/dialog/oauth", "/v25.0/dialog", "/v25.0/dialog/oauth/"} {
		w.WantPage(w.FacebookDialogURL()+path+"?"+strings.SplitN(w.DialogURL(), "?", 2)[1], 404)
	}
}

func TestFacebookDialogRefusals(t *testing.T) {
	w := sandboxtest.New(t, sandbox.Options{FacebookRedirectURIs: []string{"https://app.test/callback"}})
	fits := []string{"redirect_uri", "https://app.test/callback"}
	w.WantPage(w.DialogURL(fits...), 200)
	for name, tc := range map[string]struct {
		key, value, page string
	}{
		"other app":        {"client_id", "1", "Invalid App ID"},
		"other redirect":   {"redirect_uri", "https://app.test/callback/", "URL Blocked"},
		"unregistered":     {"redirect_uri", sandboxtest.FacebookRedirect, "URL Blocked"},
		"token response":   {"response_type", "token", "response_type"},
		"instagram login":  {"scope", "instagram_business_basic,instagram_business_content_publish", "Invalid Scopes"},
		"one of the wrong": {"scope", "instagram_basic,instagram_business_basic", "<code>instagram_business_basic</code>"},
		"unknown scope":    {"scope", "pages_show_all", "Invalid Scopes"},
		"space separated":  {"scope", "pages_show_list instagram_basic", "Invalid Scopes"},
		"no scope":         {"scope", "", "Invalid Scopes"},
	} {
		t.Run(name, func(t *testing.T) {
			w.T = t
			page := w.DialogURL(append(fits, tc.key, tc.value)...)
			w.WantPage(page, 400, tc.page)
			if to, a := w.PostConsent(page, sandboxtest.Allow); a.HTTPStatus != 400 || to.String() != "" {
				t.Errorf("POST: %d, to %s", a.HTTPStatus, to)
			}
		})
	}
}

func TestFacebookDialogOutcomes(t *testing.T) {
	w := sandboxtest.New(t, sandbox.Options{})
	w.AddAnn()
	to, a := w.PostConsent(w.DialogURL(), sandboxtest.Allow)
	if got := to.Query(); a.HTTPStatus != 302 || !strings.HasPrefix(to.String(), sandboxtest.FacebookRedirect+"?") || got.Get("state") != "st&1" ||
		got.Get("code") == "" || !strings.HasSuffix(a.Header.Get("Location"), "#_=_") {
		t.Errorf("allow: %d %s", a.HTTPStatus, to)
	}
	to, _ = w.PostConsent(w.DialogURL(), url.Values{"decision": {"deny"}})
	if to.RawQuery != "error=access_denied&error_code=200&error_description=Permissions+error&error_reason=user_denied&state=st%261" {
		t.Errorf("deny: %s", to)
	}
	w.AddFacebookUser(sandbox.FacebookUser{})
	for name, form := range map[string]url.Values{
		"several": {"decision": {"allow"}}, "unknown": {"decision": {"allow"}, "account": {"1"}}, "no decision": {"account": {"new"}},
	} {
		if to, a := w.PostConsent(w.DialogURL(), form); a.HTTPStatus != 400 || to.String() != "" {
			t.Errorf("%s: %d, to %s", name, a.HTTPStatus, to)
		}
	}
}

func TestFacebookMakesANewUser(t *testing.T) {
	w := sandboxtest.New(t, sandbox.Options{})
	w.Login(url.Values{"form": {"1"}, "account": {"new"}, "scope": strings.Split(sandboxtest.FacebookScopes, ",")})
	pages := w.Pages("me/accounts", "fields", "id,name,access_token,instagram_business_account{id,username}")
	if len(pages.Data) != 1 || pages.Data[0].AccessToken == "" || pages.Data[0].Instagram == nil {
		t.Fatalf("pages: %+v", pages.Data)
	}
	w.Instagram.PageToken = pages.Data[0].AccessToken
	w.WantGraph(200, 0, 0, "GET", pages.Data[0].Instagram.ID, "fields", "id,username")
}

func TestFacebookPermissions(t *testing.T) {
	w := sandboxtest.New(t, sandbox.Options{})
	w.AddAnn()
	w.Login(url.Values{"form": {"1"}, "scope": {"pages_show_list", "instagram_basic"}, "page": {"1001"}},
		"scope", "pages_show_list,instagram_basic,business_management")
	want := "pages_show_list=granted instagram_basic=granted business_management=declined"
	if got := w.Permissions(); got != want {
		t.Errorf("permissions %s, want %s", got, want)
	}
	w.WantGraph(403, 200, 0, "GET", "me/businesses")
	w.WantGraph(403, 200, 0, "POST", w.Instagram.IGID+"/media", "image_url", "http://127.0.0.1/a.jpg")
	w.WantGraph(200, 0, 0, "GET", w.Instagram.IGID, "fields", "username")

	w.Login(url.Values{}, "scope", "business_management", "auth_type", "") // declined once: not asked again
	if got := w.Permissions(); got != want {
		t.Errorf("permissions %s, want %s", got, want)
	}
	w.Login(url.Values{}, "scope", "business_management")
	if got := w.Permissions(); !strings.Contains(got, "business_management=granted") || !strings.Contains(got, "instagram_basic=granted") {
		t.Errorf("permissions after a rerequest: %s", got)
	}
	w.WantGraph(200, 0, 0, "GET", "me/businesses")
}

func TestUntickedPage(t *testing.T) {
	w := sandboxtest.New(t, sandbox.Options{})
	w.AddAnn()
	w.Login(url.Values{"form": {"1"}, "scope": strings.Split(sandboxtest.FacebookScopes, ","), "page": {"1002", "9999"}})
	pages := w.Pages("me/accounts", "fields", "id,instagram_business_account")
	if len(pages.Data) != 1 || pages.Data[0].ID != "1002" || pages.Data[0].Instagram != nil {
		t.Errorf("pages: %+v", pages.Data)
	}
	w.WantGraph(400, 100, 33, "GET", "1001", "fields", "access_token")
	w.WantGraph(400, 100, 33, "GET", w.Instagram.IGID, "fields", "username")
	w.Login(url.Values{})
	w.WantGraph(200, 0, 0, "GET", w.Instagram.IGID, "fields", "username")

	w.Login(url.Values{"form": {"1"}, "scope": strings.Split(sandboxtest.FacebookScopes, ",")})
	if pages := w.Pages("me/accounts"); len(pages.Data) != 0 || pages.Paging.Next != "" {
		t.Errorf("no Page was ticked: %+v", pages.Data)
	}
}
