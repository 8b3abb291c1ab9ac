package sandbox_test

import (
	"net/url"
	"strings"
	"testing"

	"socialqueue/sandbox"
)

const (
	fbRedirect = "http://localhost:8080/api/auth/instagram/callback"
	fbScopes   = "pages_show_list,pages_read_engagement,business_management,instagram_basic,instagram_content_publish"
)

func (w *world) dialogURL(kv ...string) string {
	return w.FacebookDialogURL() + "/v25.0/dialog/oauth?" + pairs(url.Values{
		"client_id": {"100000000000001"}, "response_type": {"code"}, "scope": {fbScopes}, "redirect_uri": {fbRedirect},
		"state": {"st&1"}, "auth_type": {"rerequest"},
	}, kv).Encode()
}

// ann holds a bakery with an Instagram account and a workshop without.
func (w *world) ann() sandbox.FacebookUser {
	return w.AddFacebookUser(sandbox.FacebookUser{Name: "Ann", Pages: []sandbox.FacebookPage{
		{ID: "1001", Name: "Bakery", InstagramID: w.ig.IGID}, {ID: "1002", Name: "Workshop", Tasks: []string{"ANALYZE"}},
	}})
}

// login consents, by default to everything, and makes the short user token the world's.
func (w *world) login(form url.Values, kv ...string) fbToken {
	w.t.Helper()
	form.Set("decision", "allow")
	a := w.exchangeFB("code", w.wantConsent(w.dialogURL(kv...), form).Get("code"))
	w.wantOK(a.igAnswer)
	w.ig.PageToken = a.AccessToken
	return a
}

func TestFacebookDialogPage(t *testing.T) {
	w := newWorld(t, sandbox.Options{})
	u := w.ann()
	w.wantPage(w.dialogURL(), 200, "Ann", `value="`+u.ID+`"`, `value="new"`, `name="page" value="1002" checked`, "Bakery, with @bakery",
		`value="instagram_basic" checked>`)
	w.wantPage(w.dialogURL("auth_type", "", "state", ""), 200)
	for _, path := range []string{"/dialog/oauth", "/v99.0/dialog/oauth", "/v25.0/dialog", "/v25.0/dialog/oauth/"} {
		w.wantPage(w.FacebookDialogURL()+path+"?"+strings.SplitN(w.dialogURL(), "?", 2)[1], 404)
	}
}

func TestFacebookDialogRefusals(t *testing.T) {
	w := newWorld(t, sandbox.Options{FacebookRedirectURIs: []string{"https://app.test/callback"}})
	fits := []string{"redirect_uri", "https://app.test/callback"}
	w.wantPage(w.dialogURL(fits...), 200)
	for name, tc := range map[string]struct {
		key, value, page string
	}{
		"other app":        {"client_id", "1", "Invalid App ID"},
		"other redirect":   {"redirect_uri", "https://app.test/callback/", "URL Blocked"},
		"unregistered":     {"redirect_uri", fbRedirect, "URL Blocked"},
		"token response":   {"response_type", "token", "response_type"},
		"instagram login":  {"scope", "instagram_business_basic,instagram_business_content_publish", "Invalid Scopes"},
		"one of the wrong": {"scope", "instagram_basic,instagram_business_basic", "<code>instagram_business_basic</code>"},
		"unknown scope":    {"scope", "pages_show_all", "Invalid Scopes"},
		"space separated":  {"scope", "pages_show_list instagram_basic", "Invalid Scopes"},
		"no scope":         {"scope", "", "Invalid Scopes"},
	} {
		t.Run(name, func(t *testing.T) {
			w.t = t
			page := w.dialogURL(append(fits, tc.key, tc.value)...)
			w.wantPage(page, 400, tc.page)
			if to, a := w.consent(page, allow); a.status != 400 || to.String() != "" {
				t.Errorf("POST: %d, to %s", a.status, to)
			}
		})
	}
}

func TestFacebookDialogOutcomes(t *testing.T) {
	w := newWorld(t, sandbox.Options{})
	w.ann()
	to, a := w.consent(w.dialogURL(), allow)
	if got := to.Query(); a.status != 302 || !strings.HasPrefix(to.String(), fbRedirect+"?") || got.Get("state") != "st&1" ||
		got.Get("code") == "" || !strings.HasSuffix(a.header.Get("Location"), "#_=_") {
		t.Errorf("allow: %d %s", a.status, to)
	}
	to, _ = w.consent(w.dialogURL(), url.Values{"decision": {"deny"}})
	if to.RawQuery != "error=access_denied&error_code=200&error_description=Permissions+error&error_reason=user_denied&state=st%261" {
		t.Errorf("deny: %s", to)
	}
	w.AddFacebookUser(sandbox.FacebookUser{})
	for name, form := range map[string]url.Values{
		"several": {"decision": {"allow"}}, "unknown": {"decision": {"allow"}, "account": {"1"}}, "no decision": {"account": {"new"}},
	} {
		if to, a := w.consent(w.dialogURL(), form); a.status != 400 || to.String() != "" {
			t.Errorf("%s: %d, to %s", name, a.status, to)
		}
	}
}

func TestFacebookMakesANewUser(t *testing.T) {
	w := newWorld(t, sandbox.Options{})
	w.login(url.Values{"form": {"1"}, "account": {"new"}, "scope": strings.Split(fbScopes, ",")})
	pages := w.pages("me/accounts", "fields", "id,name,access_token,instagram_business_account{id,username}")
	if len(pages.Data) != 1 || pages.Data[0].AccessToken == "" || pages.Data[0].Instagram == nil {
		t.Fatalf("pages: %+v", pages.Data)
	}
	w.ig.PageToken = pages.Data[0].AccessToken
	w.wantGraph(200, 0, 0, "GET", pages.Data[0].Instagram.ID, "fields", "id,username")
}

func (w *world) permissions() string {
	w.t.Helper()
	var list []string
	for _, p := range w.pages("me/permissions").Data {
		list = append(list, p.Permission+"="+p.Status)
	}
	return strings.Join(list, " ")
}

func TestFacebookPermissions(t *testing.T) {
	w := newWorld(t, sandbox.Options{})
	w.ann()
	w.login(url.Values{"form": {"1"}, "scope": {"pages_show_list", "instagram_basic"}, "page": {"1001"}},
		"scope", "pages_show_list,instagram_basic,business_management")
	want := "pages_show_list=granted instagram_basic=granted business_management=declined"
	if got := w.permissions(); got != want {
		t.Errorf("permissions %s, want %s", got, want)
	}
	w.wantGraph(403, 200, 0, "GET", "me/businesses")
	w.wantGraph(403, 200, 0, "POST", w.ig.IGID+"/media", "image_url", "http://127.0.0.1/a.jpg")
	w.wantGraph(200, 0, 0, "GET", w.ig.IGID, "fields", "username")

	w.login(url.Values{}, "scope", "business_management", "auth_type", "") // declined once: not asked again
	if got := w.permissions(); got != want {
		t.Errorf("permissions %s, want %s", got, want)
	}
	w.login(url.Values{}, "scope", "business_management")
	if got := w.permissions(); !strings.Contains(got, "business_management=granted") || !strings.Contains(got, "instagram_basic=granted") {
		t.Errorf("permissions after a rerequest: %s", got)
	}
	w.wantGraph(200, 0, 0, "GET", "me/businesses")
}

func TestUntickedPage(t *testing.T) {
	w := newWorld(t, sandbox.Options{})
	w.ann()
	w.login(url.Values{"form": {"1"}, "scope": strings.Split(fbScopes, ","), "page": {"1002", "9999"}})
	pages := w.pages("me/accounts", "fields", "id,instagram_business_account")
	if len(pages.Data) != 1 || pages.Data[0].ID != "1002" || pages.Data[0].Instagram != nil {
		t.Errorf("pages: %+v", pages.Data)
	}
	w.wantGraph(400, 100, 33, "GET", "1001", "fields", "access_token")
	w.wantGraph(400, 100, 33, "GET", w.ig.IGID, "fields", "username")
	w.login(url.Values{})
	w.wantGraph(200, 0, 0, "GET", w.ig.IGID, "fields", "username")

	w.login(url.Values{"form": {"1"}, "scope": strings.Split(fbScopes, ",")})
	if pages := w.pages("me/accounts"); len(pages.Data) != 0 || pages.Paging.Next != "" {
		t.Errorf("no Page was ticked: %+v", pages.Data)
	}
}
