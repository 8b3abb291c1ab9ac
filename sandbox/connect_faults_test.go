package sandbox_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"socialqueue/sandbox"
	"socialqueue/sandbox/sandboxtest"
)

// connection is a sandbox with an account connected on each platform, and the calls that did it ready to be sent.
func connection(t *testing.T) (*sandboxtest.Env, map[string]func() *http.Request) {
	w := sandboxtest.New(t, sandbox.Options{Limits: sandboxtest.NoLimits})
	u := w.AddFacebookUser(sandbox.FacebookUser{ID: "9001", Pages: []sandbox.FacebookPage{{ID: "1001"}, {ID: "1002", Business: "77"}}})
	token := w.Login(url.Values{}).AccessToken
	form := func(path string, kv ...string) func() *http.Request {
		body := sandboxtest.SetPairs(url.Values{"client_key": {"sim-client-key"}, "client_secret": {"sim-client-secret"}}, kv).Encode()
		return func() *http.Request {
			return w.Request("POST", w.TikTokURL()+path, body, "Content-Type", "application/x-www-form-urlencoded")
		}
	}
	get := func(path string) func() *http.Request {
		return func() *http.Request { return w.GraphRequest("GET", path) }
	}
	return w, map[string]func() *http.Request{
		sandbox.OpTikTokExchangeCode: form(sandboxtest.PathToken, "grant_type", "authorization_code", "code", w.TikTokCode(url.Values{}),
			"redirect_uri", sandboxtest.TikTokRedirect, "code_verifier", sandboxtest.Verifier),
		sandbox.OpTikTokRefreshToken: form(sandboxtest.PathToken, "grant_type", "refresh_token", "refresh_token", w.TikTok.RefreshToken),
		sandbox.OpTikTokRevoke:       form(sandboxtest.PathRevoke, "token", w.TikTok.AccessToken),
		sandbox.OpTikTokUserInfo: func() *http.Request {
			return w.Request("GET", w.TikTokURL()+"/v2/user/info/?fields=open_id", "", "Authorization", "Bearer "+w.TikTok.AccessToken)
		},
		sandbox.OpInstagramExchangeCode: func() *http.Request {
			return w.TokenRequest("GET", "/v25.0/oauth/access_token", "code", w.FacebookCode())
		},
		sandbox.OpInstagramExchangeToken: func() *http.Request {
			return w.TokenRequest("POST", "/v25.0/oauth/access_token", "grant_type", "fb_exchange_token", "fb_exchange_token", token)
		},
		sandbox.OpInstagramDebugToken: func() *http.Request {
			q := url.Values{"input_token": {token}, "access_token": {"100000000000001|sim-app-secret"}}
			return w.Request("GET", w.GraphURL()+"/v25.0/debug_token?"+q.Encode(), "")
		},
		sandbox.OpInstagramMe:            get("me"),
		sandbox.OpInstagramPermissions:   get("me/permissions"),
		sandbox.OpInstagramPages:         get("me/accounts"),
		sandbox.OpInstagramBusinesses:    get("me/businesses"),
		sandbox.OpInstagramBusinessPages: get("77/owned_pages"),
		sandbox.OpInstagramPage:          get("1001"),
		sandbox.OpInstagramRevoke: func() *http.Request {
			return w.GraphRequest("DELETE", u.ID+"/permissions")
		},
	}
}

// Every call that connects an account can be made to fail for one account, in its platform's own shape, and is logged
// under that account.
func TestConnectFaults(t *testing.T) {
	_, ops := connection(t)
	for op := range ops {
		t.Run(op, func(t *testing.T) {
			w, calls := connection(t)
			fault := sandbox.Fault{Op: op, Mode: sandbox.ModeError, Code: "190", Subcode: 460, Match: "9001"}
			if strings.HasPrefix(op, "tiktok.") {
				fault.Code, fault.Match = "server_error", w.TikTok.OpenID
			}
			stranger := fault
			stranger.Match = "somebody else"
			w.Script(stranger, fault)
			before := w.CountCalls(op)
			a := w.MustDo(calls[op]())
			wantScripted(t, op, a)
			last := w.Calls()[len(w.Calls())-1]
			if last.Op != op || last.Account != fault.Match || last.Fault != sandbox.ModeError || w.CountCalls(op) != before+1 {
				t.Errorf("the log has %+v", last)
			}
			a = w.MustDo(calls[op]())
			if last := w.Calls()[len(w.Calls())-1]; last.Op != op || last.Code != "ok" || last.Fault != "" {
				t.Errorf("the call afterwards: %+v %s", last, a.Body)
			}
			if n := len(w.PendingFaults()); n != 1 {
				t.Errorf("%d faults pending", n)
			}
		})
	}
}

func wantScripted(t *testing.T, op string, a sandboxtest.Answer) {
	t.Helper()
	var out struct{ Error json.RawMessage }
	a.JSON(t, &out)
	want, status := `{"message":"Error validating access token: The session`, 400
	switch op {
	case sandbox.OpTikTokExchangeCode, sandbox.OpTikTokRefreshToken, sandbox.OpTikTokRevoke:
		want, status = `"server_error"`, 200
	case sandbox.OpTikTokUserInfo:
		want, status = `{"code":"server_error"`, 500
	}
	if a.HTTPStatus != status || !strings.HasPrefix(string(out.Error), want) {
		t.Errorf("%s: %d %s", op, a.HTTPStatus, a.Body)
	}
}

func TestOAuthFaultModes(t *testing.T) {
	w, calls := connection(t)
	refresh := calls[sandbox.OpTikTokRefreshToken]
	w.Script(sandbox.Fault{Op: sandbox.OpTikTokRefreshToken, Mode: sandbox.ModePartial, Bytes: 10},
		sandbox.Fault{Op: sandbox.OpTikTokRefreshToken, Mode: sandbox.ModeReset},
		sandbox.Fault{Op: sandbox.OpTikTokRefreshToken, Mode: sandbox.ModeRateLimit},
		sandbox.Fault{Op: sandbox.OpTikTokRefreshToken, Mode: sandbox.ModeError, Code: "invalid_grant", Status: 400, Message: "Gone."},
		sandbox.Fault{Op: sandbox.OpTikTokRefreshToken, Mode: sandbox.ModeReset, After: true})
	for range 2 {
		if a := w.Do(refresh()); a.Err == nil {
			t.Errorf("cut: %d %s", a.HTTPStatus, a.Body)
		}
	}
	for _, want := range []struct {
		status int
		part   string
	}{{200, `"error":"temporarily_unavailable"`}, {400, `"error":"invalid_grant","error_description":"Gone."`}} {
		if a := w.MustDo(refresh()); a.HTTPStatus != want.status || !strings.Contains(string(a.Body), want.part) {
			t.Errorf("got %d %s, want %+v", a.HTTPStatus, a.Body, want)
		}
	}
	w.WantAccess(w.TikTok.AccessToken, true) // nothing has happened so far
	if a := w.Do(refresh()); a.Err == nil {
		t.Errorf("lost answer: %d", a.HTTPStatus)
	}
	w.WantAccess(w.TikTok.AccessToken, false)
	w.WantOAuthError(w.TryRefreshTikTok(w.TikTok.RefreshToken), "invalid_grant", "") // the new pair went with the answer
}

func TestLogHoldsNoSecrets(t *testing.T) {
	w, calls := connection(t)
	for _, request := range calls {
		w.MustDo(request())
	}
	var log strings.Builder
	for _, c := range w.Calls() {
		log.WriteString(c.Path + " " + c.Account + " " + c.Code + "\n")
	}
	for _, secret := range []string{"?", "act.SIM", "rft.SIM", "EAASIM", "AQSIM", "sim-client-secret", "sim-app-secret", sandboxtest.Proof(w.Instagram.PageToken)} {
		if strings.Contains(log.String(), secret) {
			t.Errorf("the log holds %q:\n%s", secret, log.String())
		}
	}
}
