package instagram

import (
	"context"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"socialqueue/platform"
)

func TestAuthorizationURL(t *testing.T) {
	for base, want := range map[string]string{"": "https://www.facebook.com", "http://sandbox.test/fb/": "http://sandbox.test/fb"} {
		c, err := New(Config{DialogURL: base, AppID: testAppID, AppSecret: testSecret})
		if err != nil {
			t.Fatal(err)
		}
		page := c.AuthorizationURL(Authorization{RedirectURI: testRedirect, State: "s t&1", Scopes: []string{"instagram_basic", "pages_show_list"}})
		address, query, _ := strings.Cut(page, "?")
		got, err := url.ParseQuery(query)
		if err != nil || address != want+"/v27.0/dialog/oauth" {
			t.Errorf("got %s %v", page, err)
		}
		if w := (url.Values{
			"client_id": {testAppID}, "response_type": {"code"}, "scope": {"instagram_basic,pages_show_list"},
			"redirect_uri": {testRedirect}, "state": {"s t&1"}, "auth_type": {"rerequest"},
		}); !reflect.DeepEqual(got, w) {
			t.Errorf("got %v, want %v", got, w)
		}
	}
}

// tokenCalls are the calls that give a user's token and what each must send.
var tokenCalls = map[string]struct {
	form url.Values
	call func(ctx context.Context, c *Client) (UserToken, error)
}{
	"exchange": {
		url.Values{"code": {testCode.Reveal()}, "redirect_uri": {testRedirect}},
		func(ctx context.Context, c *Client) (UserToken, error) {
			return c.ExchangeCode(ctx, testCode, testRedirect)
		},
	},
	"prolong": {
		url.Values{"grant_type": {"fb_exchange_token"}, "fb_exchange_token": {testToken.Reveal()}},
		func(ctx context.Context, c *Client) (UserToken, error) { return c.ProlongToken(ctx, testToken) },
	},
}

func TestUserTokenCalls(t *testing.T) {
	for body, want := range map[string]UserToken{
		`{"access_token":"EAA-user","token_type":"bearer","expires_in":5183944}`: {"EAA-user", 5183944 * time.Second},
		`{"access_token":"EAA-user","expires_in":"5403"}`:                        {"EAA-user", 5403 * time.Second},
		`{"access_token":"EAA-user"}`:                                            {"EAA-user", 0},
	} {
		for name, tt := range tokenCalls {
			ctx, c, calls := serve(t, func(w http.ResponseWriter, r *http.Request) {
				if err := r.ParseForm(); err != nil {
					t.Error(err)
				}
				tt.form.Set("client_id", testAppID)
				tt.form.Set("client_secret", testSecret.Reveal())
				if r.Method != http.MethodPost || r.URL.String() != "/v27.0/oauth/access_token" || !reflect.DeepEqual(r.PostForm, tt.form) {
					t.Errorf("%s: got %s %s %v", name, r.Method, r.URL, r.PostForm)
				}
				answer(200, body)(w, r)
			})
			if got, err := tt.call(ctx, c); err != nil || got != want {
				t.Errorf("%s: got %+v %v", name, got, err)
			}
			if len(*calls) != 1 || (*calls)[0].Err != nil || (*calls)[0].HTTPStatus != 200 {
				t.Errorf("recorded %+v", *calls)
			}
		}
	}
}

// TestUserTokenVerdicts: a code works once, so its lost answer is lost for good,
// while a token can be prolonged again.
func TestUserTokenVerdicts(t *testing.T) {
	for name, tt := range map[string]struct {
		status            int
		body              string
		exchange, prolong outcome
	}{
		"used code":       {400, errorBody(100, 36009), stopped, stopped},
		"expired code":    {400, errorBody(100, 36007), stopped, stopped},
		"other redirect":  {400, errorBody(100, 36008), stopped, stopped},
		"unknown app":     {400, errorBody(101, 0), stopped, stopped},
		"wrong secret":    {400, `{"error":{"message":"Error validating client secret.","type":"OAuthException","code":1}}`, stopped, stopped},
		"dead token":      {400, errorBody(190, 460), dead, dead},
		"expired token":   {400, errorBody(190, 463), overdue, overdue},
		"dead session":    {400, errorBody(102, 0), dead, dead},
		"internal error":  {500, errorBody(1, 0), unknown, again},
		"down":            {400, `{"error":{"code":2,"is_transient":true}}`, unknown, again},
		"throttled":       {403, errorBody(4, 0), slower, slower},
		"no token":        {200, `{}`, unknown, again},
		"empty token":     {200, `{"access_token":""}`, unknown, again},
		"form, not JSON":  {200, `access_token=EAA&expires=5183999`, unknown, again},
		"page of gateway": {502, `<html>`, unknown, again},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, c, _ := serve(t, answer(tt.status, tt.body))
			got, err := c.ExchangeCode(ctx, testCode, testRedirect)
			expect(t, err, tt.exchange)
			if got != (UserToken{}) {
				t.Errorf("got %+v with an error", got)
			}
			_, err = c.ProlongToken(ctx, testToken)
			expect(t, err, tt.prolong)
		})
	}
}

func TestWithoutAnAppID(t *testing.T) {
	c, err := New(Config{AppSecret: testSecret})
	if err != nil {
		t.Fatal(err)
	}
	_, exchange := c.ExchangeCode(t.Context(), testCode, testRedirect)
	_, prolong := c.ProlongToken(t.Context(), testToken)
	_, inspect := c.InspectToken(t.Context(), testToken)
	for _, err := range []error{exchange, prolong, inspect} {
		wantError(t, err, platform.Rejected, platform.CodePublishFailed)
		if !strings.HasSuffix(err.Error(), "not set: Facebook app id") {
			t.Errorf("got %v", err)
		}
	}
}

func TestPermissions(t *testing.T) {
	for body, want := range map[string][2][]string{
		`{"data":[{"permission":"instagram_basic","status":"granted"},{"permission":"business_management","status":"declined"}]}`: {{"instagram_basic"}, {"business_management"}},
		`{"data":[{"permission":"a","status":"expired"},{"permission":"b"},{"status":"granted"},{"permission":"c","status":"granted"}]}`: {
			{"c"}, {"a", "b"},
		},
		`{"data":[]}`: {},
	} {
		ctx, c, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
			if r.Method != http.MethodGet || r.URL.Path != "/v27.0/me/permissions" {
				t.Errorf("got %s %s", r.Method, r.URL)
			}
			answer(200, body)(w, r)
		})
		granted, declined, err := c.Permissions(ctx, testToken)
		if err != nil || !reflect.DeepEqual([2][]string{granted, declined}, want) {
			t.Errorf("%s: got %v %v %v", body, granted, declined, err)
		}
	}
	for _, body := range []string{`{}`, `{"data":null}`, `{"data":{}}`, `{"data":["instagram_basic"]}`} {
		ctx, c, _ := serve(t, answer(200, body))
		_, _, err := c.Permissions(ctx, testToken)
		wantError(t, err, platform.Transient, platform.CodePublishFailed)
	}
}

func TestMe(t *testing.T) {
	for body, want := range map[string][2]string{
		`{"id":"9001","name":"Ann Ä."}`: {"9001", "Ann Ä."},
		`{"id":9001,"name":null}`:       {"9001", ""},
	} {
		ctx, c, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/v27.0/me" || r.URL.Query().Get("fields") != "id,name" {
				t.Errorf("got %s", r.URL)
			}
			answer(200, body)(w, r)
		})
		if id, name, err := c.Me(ctx, testToken); err != nil || [2]string{id, name} != want {
			t.Errorf("got %q %q %v", id, name, err)
		}
	}
}

func TestRevokeAll(t *testing.T) {
	for _, body := range []string{`{"success":true}`, `{"success":"true"}`} {
		ctx, c, calls := serve(t, func(w http.ResponseWriter, r *http.Request) {
			if r.Method != http.MethodDelete || r.URL.Path != "/v27.0/9001/permissions" {
				t.Errorf("got %s %s", r.Method, r.URL)
			}
			answer(200, body)(w, r)
		})
		if err := c.RevokeAll(ctx, testToken, "9001"); err != nil || len(*calls) != 1 {
			t.Errorf("got %v, recorded %+v", err, *calls)
		}
	}
	for _, body := range []string{`{}`, `{"success":false}`, `true`} {
		ctx, c, _ := serve(t, answer(200, body))
		wantError(t, c.RevokeAll(ctx, testToken, "9001"), platform.Transient, platform.CodePublishFailed)
	}
	ctx, c, _ := serve(t, answer(400, errorBody(190, 458))) // gone already
	wantError(t, c.RevokeAll(ctx, testToken, "9001"), platform.AuthExpired, platform.CodeTokenInvalid)
}
