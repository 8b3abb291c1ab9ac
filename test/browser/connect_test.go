//go:build browser

package browser

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// titles are what the platforms call themselves on their consent pages.
var titles = map[string]string{"tiktok": "TikTok", "instagram": "Facebook"}

// ask opens the consent page of a platform.
func (w *system) ask(b *browser, platform, returnURL string) {
	w.t.Helper()
	v := b.open(w.consentPage(platform, returnURL))
	b.wantPage(v, http.StatusOK, "Let this app use your "+titles[platform]+" account?")
}

func TestTikTokAccountIsConnected(t *testing.T) {
	w, b := newSystem(t), newBrowser(t)
	people := w.hire()
	w.ask(b, "tiktok", w.returnURL())
	b.photograph("tiktok-consent")
	b.choose(people.tiktok.Nickname)
	v := b.press("Allow")
	id := w.wantActive("tiktok", people.tiktok.OpenID)[0]
	w.wantReturned(v, "tiktok", map[string]string{"status": "connected", "account_id": id, "account_ids": id})
}

func TestInstagramAccountsAreConnected(t *testing.T) {
	w, b := newSystem(t), newBrowser(t)
	people := w.hire()
	w.ask(b, "instagram", w.returnURL())
	b.choose(people.facebook.Name)
	for _, page := range people.facebook.Pages {
		b.wantShown(page.Name)
		b.wantTicked(page.Name, true)
	}
	b.wantHidden(people.other.Pages[0].Name)
	b.photograph("facebook-consent")
	v := b.press("Allow")
	ids := w.wantActive("instagram", people.facebook.Pages[0].InstagramID, people.facebook.Pages[1].InstagramID)
	w.wantReturned(v, "instagram", map[string]string{
		"status": "connected", "account_id": ids[0], "account_ids": strings.Join(ids, ","),
		"unusable_pages": "1", "reasons": "no_instagram_account",
	})
}

func TestDenied(t *testing.T) {
	for platform, said := range map[string]string{
		"tiktok":    "access_denied: User cancelled the authorization",
		"instagram": "access_denied: 200: user_denied: Permissions error",
	} {
		t.Run(platform, func(t *testing.T) {
			w, b := newSystem(t), newBrowser(t)
			w.hire()
			w.ask(b, platform, w.returnURL())
			v := b.press("Deny")
			w.wantReturned(v, platform, map[string]string{"status": "error", "code": "ACCESS_DENIED", "detail": said})
			w.wantNoAccounts()
		})
	}
}

func TestScopeIsUnticked(t *testing.T) {
	w, b := newSystem(t), newBrowser(t)
	people := w.hire()
	w.ask(b, "tiktok", w.returnURL())
	b.choose(people.tiktok.Nickname)
	b.choose("video.publish")
	b.wantTicked("video.publish", false)
	v := b.press("Allow")
	w.wantReturned(v, "tiktok", map[string]string{"status": "error", "code": "SCOPES_MISSING"})
	w.wantNoAccounts()
}

// Without a return_url the user ends on a page of ours.

func TestOwnPageOfTikTok(t *testing.T) {
	w, b := newSystem(t), newBrowser(t)
	people := w.hire()

	w.ask(b, "tiktok", "")
	b.wantPage(b.press("Deny"), http.StatusBadRequest, "TikTok was not connected", "nothing was connected", "go back to the app", "ACCESS_DENIED")
	b.photograph("tiktok-denied")

	w.ask(b, "tiktok", "")
	b.choose(people.tiktok.Nickname)
	b.choose("video.publish")
	b.wantPage(b.press("Allow"), http.StatusBadRequest, "TikTok was not connected", "video.publish", "Go back to the app", "SCOPES_MISSING")
	b.photograph("tiktok-scopes-missing")
	w.wantNoAccounts()

	w.ask(b, "tiktok", "")
	b.choose(people.tiktok.Nickname)
	b.wantPage(b.press("Allow"), http.StatusOK, "TikTok is connected", people.tiktok.Nickname, "close this page")
	b.photograph("tiktok-connected")
	w.wantActive("tiktok", people.tiktok.OpenID)
}

func TestOwnPageOfInstagram(t *testing.T) {
	w, b := newSystem(t), newBrowser(t)
	people := w.hire()
	pages := people.facebook.Pages

	w.ask(b, "instagram", "")
	b.choose(people.facebook.Name)
	b.choose(pages[0].Name)
	b.choose(pages[1].Name)
	b.wantPage(b.press("Allow"), http.StatusBadRequest, "Instagram was not connected", pages[2].Name, "tick that Page", "NO_ACCOUNTS")
	b.photograph("instagram-no-accounts")
	w.wantNoAccounts()

	w.ask(b, "instagram", "")
	b.choose(people.facebook.Name)
	b.wantPage(b.press("Allow"), http.StatusOK, "Instagram is connected", "sim000001", "sim000002", pages[2].Name)
	b.photograph("instagram-connected")
	w.wantActive("instagram", pages[0].InstagramID, pages[1].InstagramID)
}

// A code works once, but people reload pages and go back.
func TestReloadAndBack(t *testing.T) {
	w, b := newSystem(t), newBrowser(t)
	people := w.hire()
	w.ask(b, "tiktok", "")
	b.choose(people.tiktok.Nickname)
	for _, again := range []func() visit{
		func() visit { return b.press("Allow") },
		b.reload,
		func() visit { b.back(); return b.press("Allow") },
	} {
		b.wantPage(again(), http.StatusOK, "TikTok is connected", people.tiktok.Nickname)
		w.wantActive("tiktok", people.tiktok.OpenID)
	}
}

func TestUnknownState(t *testing.T) {
	w, b := newSystem(t), newBrowser(t)
	v := b.open(w.url() + "/api/auth/tiktok/callback?code=made-up&state=made-up")
	b.wantPage(v, http.StatusBadRequest, "TikTok was not connected", "Go back to the app and connect the account from there", "STATE_INVALID")
	b.photograph("unknown-state")
}

// A platform does not send the user back to an app that it does not know.
func TestConsentIsRefused(t *testing.T) {
	for _, c := range []struct{ platform, parameter, heading string }{
		{"tiktok", "client_key", "Something went wrong"}, {"instagram", "client_id", "Invalid App ID"},
	} {
		t.Run(c.platform, func(t *testing.T) {
			w, b := newSystem(t), newBrowser(t)
			address, err := url.Parse(w.consentPage(c.platform, w.returnURL()))
			w.must(err)
			q := address.Query()
			q.Set(c.parameter, "mistyped")
			address.RawQuery = q.Encode()
			v := b.open(address.String())
			b.wantPage(v, http.StatusBadRequest, c.heading, c.parameter)
			if v.address.String() != address.String() {
				t.Errorf("the browser was sent to %s", v.address)
			}
			b.photograph(c.platform + "-refused")
		})
	}
}
