package instagram_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"socialqueue/sandbox"
	"socialqueue/sandbox/sandboxtest"
)

const (
	shortLife = 5403 * time.Second
	longLife  = 5_183_944 * time.Second
)

func TestFacebookCodeExchange(t *testing.T) {
	w := sandboxtest.New(t, sandbox.Options{})
	u := w.AddAnn()
	for _, req := range []*http.Request{
		w.TokenRequest("GET", "/v25.0/oauth/access_token", "code", w.FacebookCode()),
		w.TokenRequest("POST", "/v25.0/oauth/access_token", "code", w.FacebookCode(), "grant_type", "authorization_code"),
		w.TokenRequest("GET", "/oauth/access_token", "code", w.FacebookCode()),
	} {
		a := w.SendToken(req)
		w.WantOK(a.GraphAnswer)
		if a.TokenType != "bearer" || a.ExpiresIn != 5403 || a.AccessToken == "" {
			t.Errorf("%s %s: %+v", req.Method, req.URL.Path, a)
		}
		w.Instagram.PageToken = a.AccessToken
		if me := w.WantGraph(200, 0, 0, "GET", "me", "fields", "id,name"); me.ID != u.ID {
			t.Errorf("me: %s", me.ID)
		}
	}
	if n := w.CountCalls(sandbox.OpInstagramExchangeCode); n != 3 {
		t.Errorf("counted %d", n)
	}
}

func TestFacebookExchangeRefusals(t *testing.T) {
	w := sandboxtest.New(t, sandbox.Options{})
	w.AddAnn()
	for name, tc := range map[string]struct {
		key, value    string
		code, subcode int
		message       string
	}{
		"other app":      {"client_id", "1", 101, 0, "Error validating application. Invalid application ID."},
		"other secret":   {"client_secret", "x", 1, 0, "Error validating client secret."},
		"no code":        {"code", "", 100, 0, ""},
		"unknown code":   {"code", "AQnothing", 100, 0, ""},
		"other redirect": {"redirect_uri", sandboxtest.FacebookRedirect + "/", 100, 36008, "redirect_uri"},
		"other host":     {"redirect_uri", "http://127.0.0.1:8080/api/auth/instagram/callback", 100, 36008, ""},
		"other grant":    {"grant_type", "client_credentials", 100, 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			w.T = t
			a := w.ExchangeFacebook("code", w.FacebookCode(), tc.key, tc.value)
			w.WantGraphError(a.GraphAnswer, tc.code, tc.subcode)
			if !strings.Contains(a.Error.Message, tc.message) || a.AccessToken != "" {
				t.Errorf("%+v", a)
			}
		})
	}
	w.T = t
	a := w.SendToken(w.TokenRequest("GET", "/v99.0/oauth/access_token", "code", w.FacebookCode()))
	w.WantGraphError(a.GraphAnswer, 2500, 0)
}

func TestFacebookCodeOnceAndForAnHour(t *testing.T) {
	w := sandboxtest.New(t, sandbox.Options{})
	w.AddAnn()
	code, old := w.FacebookCode(), w.FacebookCode()
	w.Advance(time.Hour - time.Second)
	w.WantOK(w.ExchangeFacebook("code", code).GraphAnswer)
	again := w.ExchangeFacebook("code", code)
	w.WantGraphError(again.GraphAnswer, 100, 36009)
	if want := `OAuth "Facebook Platform" "invalid_code" "This authorization code has been used."`; again.Header.Get("Www-Authenticate") != want {
		t.Errorf("www-authenticate %q", again.Header.Get("Www-Authenticate"))
	}
	w.Advance(time.Second)
	w.WantGraphError(w.ExchangeFacebook("code", old).GraphAnswer, 100, 36007)
	w.WantGraphError(w.ExchangeFacebook("code", old).GraphAnswer, 100, 36007)
}

func TestLongToken(t *testing.T) {
	w := sandboxtest.New(t, sandbox.Options{})
	w.AddAnn()
	short := w.Login(url.Values{}).AccessToken
	long := w.LongToken(short)
	if long.ExpiresIn != 5183944 || long.AccessToken == short {
		t.Errorf("long token: %+v", long)
	}
	w.Instagram.PageToken = short
	w.WantGraph(200, 0, 0, "GET", "me")
	w.Advance(shortLife)
	a := w.WantGraph(400, 190, 463, "GET", "me")
	if !strings.Contains(a.Header.Get("Www-Authenticate"), "invalid_token") {
		t.Errorf("www-authenticate %q", a.Header.Get("Www-Authenticate"))
	}
	w.WantGraphError(w.ExchangeFacebook("grant_type", "fb_exchange_token", "fb_exchange_token", short).GraphAnswer, 190, 463)

	w.Advance(longLife - shortLife - time.Second)
	renewed := w.LongToken(long.AccessToken)
	if renewed.ExpiresIn != 5183944 {
		t.Errorf("renewed: %+v", renewed)
	}
	w.Advance(time.Second)
	w.WantGraphError(w.ExchangeFacebook("grant_type", "fb_exchange_token", "fb_exchange_token", long.AccessToken).GraphAnswer, 190, 463)
	w.WantGraph(200, 0, 0, "GET", "me")
	if n := w.CountCalls(sandbox.OpInstagramExchangeToken); n != 4 {
		t.Errorf("counted %d", n)
	}
	w.WantGraphError(w.ExchangeFacebook("grant_type", "fb_exchange_token", "fb_exchange_token", w.PageToken("1001")).GraphAnswer, 100, 0)
	w.WantGraphError(w.ExchangeFacebook("grant_type", "fb_exchange_token").GraphAnswer, 190, 0)
}

func TestNoExpiresIn(t *testing.T) {
	w := sandboxtest.New(t, sandbox.Options{NoExpiresIn: true})
	if a := w.LongToken(w.Login(url.Values{}).AccessToken); a.ExpiresIn != 0 || a.AccessToken == "" {
		t.Errorf("%+v", a)
	}
}

// Tokens of AddInstagramAccount can be prolonged like those of the dialog.
func TestAddedUserTokensAreExchanged(t *testing.T) {
	w := sandboxtest.New(t, sandbox.Options{})
	w.LongToken(w.Instagram.UserToken)
	w.Advance(59 * 24 * time.Hour)
	w.WantGraph(200, 0, 0, "GET", w.Instagram.IGID, "fields", "username")
}

func TestDebugToken(t *testing.T) {
	w := sandboxtest.New(t, sandbox.Options{})
	u, added := w.AddAnn(), w.Instagram.PageToken
	consent := sandboxtest.StartTime.Unix()
	short := w.Login(url.Values{}).AccessToken
	shortPage := w.PageToken("1001")
	w.Advance(time.Minute)
	long := w.LongToken(short).AccessToken
	longPage := w.PageToken("1001")
	for name, tc := range map[string]struct {
		token, kind, profile string
		expiresAt            int64
	}{
		"short user": {short, "USER", "", consent + 5403},
		"short page": {shortPage, "PAGE", "1001", consent + 5403},
		"long user":  {long, "USER", "", consent + 60 + 5183944},
		"long page":  {longPage, "PAGE", "1001", 0},
	} {
		d := w.Debug(tc.token)
		if !d.IsValid || d.AppID != "100000000000001" || d.Application == "" || d.Type != tc.kind || d.ProfileID != tc.profile || d.UserID != u.ID ||
			d.ExpiresAt == nil || *d.ExpiresAt != tc.expiresAt || d.IssuedAt == 0 || d.DataExpires != consent+90*86400 ||
			strings.Join(d.Scopes, ",") != sandboxtest.FacebookScopes || d.Error.Code != 0 {
			t.Errorf("%s: %+v", name, d)
		}
		for _, g := range d.GranularList {
			if g.Scope == "instagram_basic" && !slices.Equal(g.Targets, []string{w.Instagram.IGID}) {
				t.Errorf("%s: %v", name, g)
			}
			if g.Scope == "pages_show_list" && len(g.Targets) != map[string]int{"USER": 2, "PAGE": 1}[tc.kind] {
				t.Errorf("%s: %v", name, g)
			}
		}
	}
	w.Advance(shortLife)
	for token, subcode := range map[string]int{short: 463, shortPage: 463, "EAAnothing": 0} {
		if d := w.Debug(token); d.IsValid || d.Error.Code != 190 || d.Error.Subcode != subcode || d.Error.Message == "" || d.Scopes == nil {
			t.Errorf("invalid token: %+v", d)
		}
	}
	if d := w.Debug(longPage); !d.IsValid {
		t.Errorf("a Page token of a long one: %+v", d)
	}
	if d := w.Debug(sandboxtest.New(t, sandbox.Options{}).Instagram.PageToken); d.IsValid {
		t.Errorf("another sandbox's token: %+v", d)
	}
	if d := w.Debug(w.Instagram.UserToken); !d.IsValid || d.Type != "USER" || len(d.Scopes) == 0 {
		t.Errorf("a token of AddInstagramAccount: %+v", d)
	}
	if d := w.Debug(added); !d.IsValid || d.Type != "PAGE" || d.ProfileID != w.Instagram.PageID || *d.ExpiresAt != 0 {
		t.Errorf("a Page token of AddInstagramAccount: %+v", d)
	}
}

func TestDebugTokenIsForTheApp(t *testing.T) {
	w := sandboxtest.New(t, sandbox.Options{})
	for name, q := range map[string]url.Values{
		"user token":   {"input_token": {w.Instagram.UserToken}, "access_token": {w.Instagram.UserToken}},
		"wrong secret": {"input_token": {w.Instagram.UserToken}, "access_token": {"100000000000001|x"}},
		"no token":     {"input_token": {w.Instagram.UserToken}},
	} {
		a := w.Send(w.Request("GET", w.GraphURL()+"/v25.0/debug_token?"+q.Encode(), ""))
		if w.WantGraphError(a, 190, 0); a.ID != "" {
			t.Errorf("%s: %+v", name, a)
		}
	}
	q := url.Values{"access_token": {"100000000000001|sim-app-secret"}}
	w.WantGraphError(w.Send(w.Request("GET", w.GraphURL()+"/debug_token?"+q.Encode(), "")), 100, 0)
}
