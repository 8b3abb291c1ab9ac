package sandbox_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"socialqueue/sandbox"
)

const (
	shortLife = 5403 * time.Second
	longLife  = 5_183_944 * time.Second
)

type fbToken struct {
	igAnswer
	AccessToken string `json:"access_token"`
	TokenType   string `json:"token_type"`
	ExpiresIn   int64  `json:"expires_in"`
}

func (w *world) wantOK(a igAnswer) {
	w.t.Helper()
	if a.status != 200 || a.Error.Code != 0 {
		w.t.Fatalf("got %d %d/%d %s", a.status, a.Error.Code, a.Error.Subcode, a.Error.Message)
	}
}

func (w *world) wantGraphError(a igAnswer, code, subcode int) {
	w.t.Helper()
	if a.status != 400 || a.Error.Code != code || a.Error.Subcode != subcode || a.Error.Transient {
		w.t.Errorf("got %d %d/%d %s, want %d/%d", a.status, a.Error.Code, a.Error.Subcode, a.Error.Message, code, subcode)
	}
}

func (w *world) tokenRequest(method, path string, kv ...string) *http.Request {
	q := pairs(url.Values{"client_id": {"100000000000001"}, "client_secret": {"sim-app-secret"}, "redirect_uri": {fbRedirect}}, kv)
	if method == "GET" {
		return w.request("GET", w.GraphURL()+path+"?"+q.Encode(), "")
	}
	return w.request(method, w.GraphURL()+path, q.Encode(), "Content-Type", "application/x-www-form-urlencoded")
}

func (w *world) sendToken(req *http.Request) fbToken {
	w.t.Helper()
	a := w.mustDo(req)
	var out fbToken
	a.json(w.t, &out)
	out.status, out.header = a.status, a.header
	return out
}

// exchangeFB asks for a token with the given parameters.
func (w *world) exchangeFB(kv ...string) fbToken {
	w.t.Helper()
	return w.sendToken(w.tokenRequest("POST", "/v25.0/oauth/access_token", kv...))
}

func (w *world) long(token string) fbToken {
	w.t.Helper()
	a := w.exchangeFB("grant_type", "fb_exchange_token", "fb_exchange_token", token)
	w.wantOK(a.igAnswer)
	w.ig.PageToken = a.AccessToken
	return a
}

func (w *world) fbCode() string {
	w.t.Helper()
	return w.wantConsent(w.dialogURL(), allow).Get("code")
}

func TestFacebookCodeExchange(t *testing.T) {
	w := newWorld(t, sandbox.Options{})
	u := w.ann()
	for _, req := range []*http.Request{
		w.tokenRequest("GET", "/v25.0/oauth/access_token", "code", w.fbCode()),
		w.tokenRequest("POST", "/v25.0/oauth/access_token", "code", w.fbCode(), "grant_type", "authorization_code"),
		w.tokenRequest("GET", "/oauth/access_token", "code", w.fbCode()),
	} {
		a := w.sendToken(req)
		w.wantOK(a.igAnswer)
		if a.TokenType != "bearer" || a.ExpiresIn != 5403 || a.AccessToken == "" {
			t.Errorf("%s %s: %+v", req.Method, req.URL.Path, a)
		}
		w.ig.PageToken = a.AccessToken
		if me := w.wantGraph(200, 0, 0, "GET", "me", "fields", "id,name"); me.ID != u.ID {
			t.Errorf("me: %s", me.ID)
		}
	}
	if n := w.CountCalls(sandbox.OpInstagramExchangeCode); n != 3 {
		t.Errorf("counted %d", n)
	}
}

func TestFacebookExchangeRefusals(t *testing.T) {
	w := newWorld(t, sandbox.Options{})
	w.ann()
	for name, tc := range map[string]struct {
		key, value    string
		code, subcode int
		message       string
	}{
		"other app":      {"client_id", "1", 101, 0, "Error validating application. Invalid application ID."},
		"other secret":   {"client_secret", "x", 1, 0, "Error validating client secret."},
		"no code":        {"code", "", 100, 0, ""},
		"unknown code":   {"code", "AQnothing", 100, 0, ""},
		"other redirect": {"redirect_uri", fbRedirect + "/", 100, 36008, "redirect_uri"},
		"other host":     {"redirect_uri", "http://127.0.0.1:8080/api/auth/instagram/callback", 100, 36008, ""},
		"other grant":    {"grant_type", "client_credentials", 100, 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			w.t = t
			a := w.exchangeFB("code", w.fbCode(), tc.key, tc.value)
			w.wantGraphError(a.igAnswer, tc.code, tc.subcode)
			if !strings.Contains(a.Error.Message, tc.message) || a.AccessToken != "" {
				t.Errorf("%+v", a)
			}
		})
	}
	w.t = t
	a := w.sendToken(w.tokenRequest("GET", "/v99.0/oauth/access_token", "code", w.fbCode()))
	w.wantGraphError(a.igAnswer, 2500, 0)
}

func TestFacebookCodeOnceAndForAnHour(t *testing.T) {
	w := newWorld(t, sandbox.Options{})
	w.ann()
	code, old := w.fbCode(), w.fbCode()
	w.Advance(time.Hour - time.Second)
	w.wantOK(w.exchangeFB("code", code).igAnswer)
	again := w.exchangeFB("code", code)
	w.wantGraphError(again.igAnswer, 100, 36009)
	if want := `OAuth "Facebook Platform" "invalid_code" "This authorization code has been used."`; again.header.Get("Www-Authenticate") != want {
		t.Errorf("www-authenticate %q", again.header.Get("Www-Authenticate"))
	}
	w.Advance(time.Second)
	w.wantGraphError(w.exchangeFB("code", old).igAnswer, 100, 36007)
	w.wantGraphError(w.exchangeFB("code", old).igAnswer, 100, 36007)
}

func TestLongToken(t *testing.T) {
	w := newWorld(t, sandbox.Options{})
	w.ann()
	short := w.login(url.Values{}).AccessToken
	long := w.long(short)
	if long.ExpiresIn != 5183944 || long.AccessToken == short {
		t.Errorf("long token: %+v", long)
	}
	w.ig.PageToken = short
	w.wantGraph(200, 0, 0, "GET", "me")
	w.Advance(shortLife)
	a := w.wantGraph(400, 190, 463, "GET", "me")
	if !strings.Contains(a.header.Get("Www-Authenticate"), "invalid_token") {
		t.Errorf("www-authenticate %q", a.header.Get("Www-Authenticate"))
	}
	w.wantGraphError(w.exchangeFB("grant_type", "fb_exchange_token", "fb_exchange_token", short).igAnswer, 190, 463)

	w.Advance(longLife - shortLife - time.Second)
	renewed := w.long(long.AccessToken)
	if renewed.ExpiresIn != 5183944 {
		t.Errorf("renewed: %+v", renewed)
	}
	w.Advance(time.Second)
	w.wantGraphError(w.exchangeFB("grant_type", "fb_exchange_token", "fb_exchange_token", long.AccessToken).igAnswer, 190, 463)
	w.wantGraph(200, 0, 0, "GET", "me")
	if n := w.CountCalls(sandbox.OpInstagramExchangeToken); n != 4 {
		t.Errorf("counted %d", n)
	}
	w.wantGraphError(w.exchangeFB("grant_type", "fb_exchange_token", "fb_exchange_token", w.pageToken("1001")).igAnswer, 100, 0)
	w.wantGraphError(w.exchangeFB("grant_type", "fb_exchange_token").igAnswer, 190, 0)
}

func TestNoExpiresIn(t *testing.T) {
	w := newWorld(t, sandbox.Options{NoExpiresIn: true})
	if a := w.long(w.login(url.Values{}).AccessToken); a.ExpiresIn != 0 || a.AccessToken == "" {
		t.Errorf("%+v", a)
	}
}

// Tokens of AddInstagramAccount can be prolonged like those of the dialog.
func TestAddedUserTokensAreExchanged(t *testing.T) {
	w := newWorld(t, sandbox.Options{})
	w.long(w.ig.UserToken)
	w.Advance(59 * 24 * time.Hour)
	w.wantGraph(200, 0, 0, "GET", w.ig.IGID, "fields", "username")
}

type debugData struct {
	AppID        string   `json:"app_id"`
	Type         string   `json:"type"`
	Application  string   `json:"application"`
	IsValid      bool     `json:"is_valid"`
	IssuedAt     int64    `json:"issued_at"`
	ExpiresAt    *int64   `json:"expires_at"`
	DataExpires  int64    `json:"data_access_expires_at"`
	Scopes       []string `json:"scopes"`
	UserID       string   `json:"user_id"`
	ProfileID    string   `json:"profile_id"`
	GranularList []struct {
		Scope   string   `json:"scope"`
		Targets []string `json:"target_ids"`
	} `json:"granular_scopes"`
	Error struct {
		Code, Subcode int
		Message       string
	} `json:"error"`
}

func (w *world) debug(token string) debugData {
	w.t.Helper()
	q := url.Values{"input_token": {token}, "access_token": {"100000000000001|sim-app-secret"}}
	a := w.mustDo(w.request("GET", w.GraphURL()+"/v25.0/debug_token?"+q.Encode(), ""))
	var out struct{ Data debugData }
	a.json(w.t, &out)
	if a.status != 200 {
		w.t.Fatalf("debug_token: %d %s", a.status, a.body)
	}
	return out.Data
}

func TestDebugToken(t *testing.T) {
	w := newWorld(t, sandbox.Options{})
	u, added := w.ann(), w.ig.PageToken
	consent := start.Unix()
	short := w.login(url.Values{}).AccessToken
	shortPage := w.pageToken("1001")
	w.Advance(time.Minute)
	long := w.long(short).AccessToken
	longPage := w.pageToken("1001")
	for name, tc := range map[string]struct {
		token, kind, profile string
		expiresAt            int64
	}{
		"short user": {short, "USER", "", consent + 5403},
		"short page": {shortPage, "PAGE", "1001", consent + 5403},
		"long user":  {long, "USER", "", consent + 60 + 5183944},
		"long page":  {longPage, "PAGE", "1001", 0},
	} {
		d := w.debug(tc.token)
		if !d.IsValid || d.AppID != "100000000000001" || d.Application == "" || d.Type != tc.kind || d.ProfileID != tc.profile || d.UserID != u.ID ||
			d.ExpiresAt == nil || *d.ExpiresAt != tc.expiresAt || d.IssuedAt == 0 || d.DataExpires != consent+90*86400 ||
			strings.Join(d.Scopes, ",") != fbScopes || d.Error.Code != 0 {
			t.Errorf("%s: %+v", name, d)
		}
		for _, g := range d.GranularList {
			if g.Scope == "instagram_basic" && !slices.Equal(g.Targets, []string{w.ig.IGID}) {
				t.Errorf("%s: %v", name, g)
			}
			if g.Scope == "pages_show_list" && len(g.Targets) != map[string]int{"USER": 2, "PAGE": 1}[tc.kind] {
				t.Errorf("%s: %v", name, g)
			}
		}
	}
	w.Advance(shortLife)
	for token, subcode := range map[string]int{short: 463, shortPage: 463, "EAAnothing": 0} {
		if d := w.debug(token); d.IsValid || d.Error.Code != 190 || d.Error.Subcode != subcode || d.Error.Message == "" || d.Scopes == nil {
			t.Errorf("invalid token: %+v", d)
		}
	}
	if d := w.debug(longPage); !d.IsValid {
		t.Errorf("a Page token of a long one: %+v", d)
	}
	if d := w.debug(newWorld(t, sandbox.Options{}).ig.PageToken); d.IsValid {
		t.Errorf("another sandbox's token: %+v", d)
	}
	if d := w.debug(w.ig.UserToken); !d.IsValid || d.Type != "USER" || len(d.Scopes) == 0 {
		t.Errorf("a token of AddInstagramAccount: %+v", d)
	}
	if d := w.debug(added); !d.IsValid || d.Type != "PAGE" || d.ProfileID != w.ig.PageID || *d.ExpiresAt != 0 {
		t.Errorf("a Page token of AddInstagramAccount: %+v", d)
	}
}

func TestDebugTokenIsForTheApp(t *testing.T) {
	w := newWorld(t, sandbox.Options{})
	for name, q := range map[string]url.Values{
		"user token":   {"input_token": {w.ig.UserToken}, "access_token": {w.ig.UserToken}},
		"wrong secret": {"input_token": {w.ig.UserToken}, "access_token": {"100000000000001|x"}},
		"no token":     {"input_token": {w.ig.UserToken}},
	} {
		a := w.send(w.request("GET", w.GraphURL()+"/v25.0/debug_token?"+q.Encode(), ""))
		if w.wantGraphError(a, 190, 0); a.ID != "" {
			t.Errorf("%s: %+v", name, a)
		}
	}
	q := url.Values{"access_token": {"100000000000001|sim-app-secret"}}
	w.wantGraphError(w.send(w.request("GET", w.GraphURL()+"/debug_token?"+q.Encode(), "")), 100, 0)
}
