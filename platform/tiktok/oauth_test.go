package tiktok

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"socialqueue/platform"
	"socialqueue/secrets"
)

const grantBody = `{"access_token":"act.SIM123","expires_in":7200,"open_id":"-000SimOpenId","refresh_expires_in":15552000,
 "refresh_token":"rft.SIM123","scope":"user.info.basic,video.publish,video.upload","token_type":"Bearer"}`

var sampleGrant = Grant{
	Access: "act.SIM123", Refresh: "rft.SIM123", OpenID: "-000SimOpenId",
	Scopes:    []string{"user.info.basic", "video.publish", "video.upload"},
	ExpiresIn: 2 * time.Hour, RefreshExpiresIn: 180 * 24 * time.Hour,
}

func TestChallenge(t *testing.T) {
	const want = "834b6e67aab8d76ccef4846478052cf0737a3107973ec19c7b7ec9dd1b1cf304"
	if got := Challenge(testVerifier.Reveal()); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestAuthorizationURL(t *testing.T) {
	for base, want := range map[string]string{"": "https://www.tiktok.com", "http://sandbox.test/tt/": "http://sandbox.test/tt"} {
		c, err := New(Config{AuthURL: base, ClientKey: "simkey"})
		if err != nil {
			t.Fatal(err)
		}
		page := c.AuthorizationURL(Authorization{
			RedirectURI: testRedirect, State: "s t&1", Challenge: "abc", Scopes: []string{"user.info.basic", "video.publish"},
		})
		address, query, _ := strings.Cut(page, "?")
		got, err := url.ParseQuery(query)
		if err != nil || address != want+"/v2/auth/authorize/" {
			t.Errorf("got %s %v", page, err)
		}
		if w := (url.Values{
			"client_key": {"simkey"}, "response_type": {"code"}, "scope": {"user.info.basic,video.publish"}, "redirect_uri": {testRedirect},
			"state": {"s t&1"}, "disable_auto_auth": {"1"}, "code_challenge": {"abc"}, "code_challenge_method": {"S256"},
		}); !reflect.DeepEqual(got, w) {
			t.Errorf("got %v, want %v", got, w)
		}
	}
}

// oauthCalls are the calls of the OAuth endpoints and what each must send.
var oauthCalls = map[string]struct {
	path string
	form url.Values
	call func(ctx context.Context, c *Client) (Grant, error)
}{
	"exchange": {
		tokenPath,
		url.Values{
			"grant_type": {"authorization_code"}, "code": {testCode.Reveal()}, "redirect_uri": {testRedirect},
			"code_verifier": {testVerifier.Reveal()},
		},
		func(ctx context.Context, c *Client) (Grant, error) {
			return c.ExchangeCode(ctx, testCode, testVerifier, testRedirect)
		},
	},
	"refresh": {
		tokenPath,
		url.Values{"grant_type": {"refresh_token"}, "refresh_token": {testRefresh.Reveal()}},
		func(ctx context.Context, c *Client) (Grant, error) { return c.RefreshGrant(ctx, testRefresh) },
	},
	"revoke": {
		revokePath,
		url.Values{"token": {testToken.Reveal()}},
		func(ctx context.Context, c *Client) (Grant, error) { return Grant{}, c.Revoke(ctx, testToken) },
	},
}

func TestOAuthCallShape(t *testing.T) {
	for name, o := range oauthCalls {
		t.Run(name, func(t *testing.T) {
			ctx, c, calls := serve(t, func(w http.ResponseWriter, r *http.Request) {
				if err := r.ParseForm(); err != nil {
					t.Error(err)
				}
				o.form.Set("client_key", "simkey")
				o.form.Set("client_secret", testSecret.Reveal())
				if r.Method != http.MethodPost || r.URL.Path != o.path || r.URL.RawQuery != "" || !reflect.DeepEqual(r.PostForm, o.form) {
					t.Errorf("got %s %s %v", r.Method, r.URL, r.PostForm)
				}
				if r.Header.Get("Content-Type") != "application/x-www-form-urlencoded" || r.Header.Get("Authorization") != "" {
					t.Errorf("got %v", r.Header)
				}
				answer(200, grantBody)(w, r)
			})
			got, err := o.call(ctx, c)
			want := sampleGrant
			if name == "revoke" {
				want = Grant{}
			}
			if err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("got %+v %v", got, err)
			}
			if len(*calls) != 1 || (*calls)[0].Err != nil || (*calls)[0].LogID != "header-log" || (*calls)[0].HTTPStatus != 200 {
				t.Errorf("recorded %+v", *calls)
			}
		})
	}
}

func TestGrantAnswers(t *testing.T) {
	for name, tt := range map[string]struct {
		status int
		body   string
		want   Grant
	}{
		"sample":              {200, grantBody, sampleGrant},
		"whatever the status": {500, grantBody, sampleGrant},
		"no refresh token":    {200, `{"access_token":"a","expires_in":"86400"}`, Grant{Access: "a", Scopes: []string{}, ExpiresIn: 24 * time.Hour}},
		"error is null":       {200, `{"access_token":"a","error":null}`, Grant{Access: "a", Scopes: []string{}}},
		"error is empty":      {200, `{"access_token":"a","error":"","scope":" a,, b ,"}`, Grant{Access: "a", Scopes: []string{"a", "b"}}},
		"odd times":           {200, `{"access_token":"a","expires_in":-5,"refresh_expires_in":99999999999}`, Grant{Access: "a", Scopes: []string{}}},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, c, _ := serve(t, answer(tt.status, tt.body))
			got, err := c.RefreshGrant(ctx, testRefresh)
			if err != nil || !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got %+v %v, want %+v", got, err, tt.want)
			}
		})
	}
}

// TestOAuthVerdicts holds every error of the OAuth endpoints against the client,
// under the status that is seen and the one that others assume.
func TestOAuthVerdicts(t *testing.T) {
	type outcome struct {
		grant, revoke platform.Kind
		app           platform.Code
	}
	var (
		dead      = outcome{platform.AuthExpired, platform.AuthExpired, platform.CodeTokenInvalid}
		declined  = outcome{platform.Rejected, platform.Rejected, platform.CodeTokenInvalid}
		ours      = outcome{platform.Rejected, platform.Rejected, platform.CodePublishFailed}
		nothing   = outcome{platform.Transient, platform.Transient, platform.CodePublishFailed}
		throttled = outcome{platform.RateLimited, platform.RateLimited, platform.CodeRateLimited}
		lost      = outcome{platform.Unknown, platform.Transient, platform.CodePublishFailed}
	)
	cases := []struct {
		status int
		code   string
		want   outcome
	}{
		{200, "invalid_grant", dead},
		{400, "invalid_grant", dead},
		{500, "invalid_grant", dead},
		{200, "access_denied", declined},
		{200, "invalid_client", ours},
		{401, "invalid_client", ours},
		{200, "unauthorized_client", ours},
		{200, "invalid_request", ours},
		{400, "invalid_request", ours},
		{200, "invalid_scope", ours},
		{200, "unsupported_grant_type", ours},
		{200, "unsupported_response_type", ours},
		{200, "server_error", nothing},
		{500, "server_error", nothing},
		{503, "temporarily_unavailable", nothing},
		{200, "rate_limit_exceeded", throttled},
		{429, "rate_limit_exceeded", throttled},
		// a 429 says that nothing was looked at
		{429, "invalid_grant", throttled},
		{429, "", throttled},
		// codes of no table
		{200, "new_code", lost},
		{400, "new_code", ours},
		{401, "access_token_invalid", ours},
		{502, "new_code", lost},
		{400, "", ours},
		{503, "", lost},
	}
	tested := map[string]bool{}
	for _, tt := range cases {
		tested[tt.code] = true
		for name, o := range oauthCalls {
			t.Run(fmt.Sprintf("%d_%s_%s", tt.status, tt.code, name), func(t *testing.T) {
				ctx, c, calls := serve(t, answer(tt.status, `{"error":"`+tt.code+`","error_description":"Because.","log_id":"body-log"}`))
				kind := tt.want.grant
				if name == "revoke" {
					kind = tt.want.revoke
				}
				g, err := o.call(ctx, c)
				e := wantError(t, err, kind, tt.want.app)
				if e.HTTPStatus != tt.status || e.PlatformCode != tt.code || e.LogID != "body-log" || e.Message != "Because." {
					t.Errorf("got %+v", e)
				}
				if kind == platform.RateLimited && e.RetryAfter != time.Minute {
					t.Errorf("wait %s", e.RetryAfter)
				}
				if !reflect.DeepEqual(g, Grant{}) {
					t.Errorf("a grant came with the error: %+v", g)
				}
				if call := (*calls)[0]; len(*calls) != 1 || call.PlatformCode != tt.code || call.Err == nil {
					t.Errorf("recorded %+v", *calls)
				}
			})
		}
	}
	for code := range oauthVerdicts {
		if !tested[code] {
			t.Errorf("%s is not tested", code)
		}
	}
}

func TestHalfUnderstoodGrants(t *testing.T) {
	for name, tt := range map[string]struct {
		status int
		body   string
		kind   platform.Kind
	}{
		"no token":           {200, `{}`, platform.Unknown},
		"empty token":        {200, `{"access_token":"","refresh_token":"r"}`, platform.Unknown},
		"token of odd type":  {200, `{"access_token":{"a":1}}`, platform.Unknown},
		"token and error":    {200, `{"access_token":"a","error":"invalid_grant"}`, platform.AuthExpired},
		"envelope":           {401, `{"data":{},"error":{"code":"invalid_client","message":"m"}}`, platform.Rejected},
		"empty":              {200, ``, platform.Unknown},
		"list":               {200, `[]`, platform.Unknown},
		"cut":                {200, `{"access_token":"act.SI`, platform.Unknown},
		"page of a gateway":  {502, `<html>`, platform.Unknown},
		"page with a reason": {429, `<html>`, platform.RateLimited},
		"janus":              {404, `Unsupported path(Janus)`, platform.Unknown},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, c, _ := serve(t, answer(tt.status, tt.body))
			if _, err := c.RefreshGrant(ctx, testRefresh); platform.KindOf(err) != tt.kind {
				t.Errorf("got %v, want %s", err, tt.kind)
			}
		})
	}
}

// TestTokensOfAFailedGrantAreHidden: an answer may quote what it was about to give.
func TestTokensOfAFailedGrantAreHidden(t *testing.T) {
	ctx, c, calls := serve(t, answer(200, `{"access_token":"`+testToken.Reveal()+`","refresh_token":"`+testRefresh.Reveal()+`",
		"error":"odd `+testToken.Reveal()+`","error_description":"for `+testRefresh.Reveal()+`"}`))
	_, err := c.ExchangeCode(ctx, testCode, testVerifier, testRedirect)
	check(t, c, opExchangeCode, err, calls)
}

func TestRevokeTakesAnEmptyObject(t *testing.T) {
	ctx, c, _ := serve(t, answer(200, `{}`))
	if err := c.Revoke(ctx, testToken); err != nil {
		t.Error(err)
	}
	ctx, c, _ = serve(t, answer(500, `{}`))
	wantError(t, c.Revoke(ctx, testToken), platform.Transient, platform.CodePublishFailed)
}

func TestMissingSettings(t *testing.T) {
	for _, tt := range []struct {
		key    string
		secret secrets.Secret
		want   string
	}{
		{"", "", "TikTok client key, TikTok client secret"},
		{"simkey", "", "TikTok client secret"},
		{"", testSecret, "TikTok client key"},
	} {
		c, err := New(Config{ClientKey: tt.key, ClientSecret: tt.secret})
		if err != nil || c.Configured() {
			t.Fatalf("%+v: %v", tt, err)
		}
		for _, o := range oauthCalls {
			_, err := o.call(t.Context(), c)
			wantError(t, err, platform.Rejected, platform.CodePublishFailed)
			if !strings.HasSuffix(err.Error(), "not set: "+tt.want) {
				t.Errorf("got %v", err)
			}
		}
	}
	if c, err := New(Config{ClientKey: "simkey", ClientSecret: testSecret}); err != nil || !c.Configured() {
		t.Errorf("got %v", err)
	}
}
