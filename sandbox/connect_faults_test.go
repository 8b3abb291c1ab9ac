package sandbox_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"socialqueue/sandbox"
)

// connection is a world with an account connected on each platform, and the calls that did it ready to be sent.
func connection(t *testing.T) (*world, map[string]func() *http.Request) {
	w := newWorld(t, sandbox.Options{Limits: noLimits})
	u := w.AddFacebookUser(sandbox.FacebookUser{ID: "9001", Pages: []sandbox.FacebookPage{{ID: "1001"}, {ID: "1002", Business: "77"}}})
	token := w.login(url.Values{}).AccessToken
	form := func(path string, kv ...string) func() *http.Request {
		body := pairs(url.Values{"client_key": {"sim-client-key"}, "client_secret": {"sim-client-secret"}}, kv).Encode()
		return func() *http.Request {
			return w.request("POST", w.TikTokURL()+path, body, "Content-Type", "application/x-www-form-urlencoded")
		}
	}
	get := func(path string) func() *http.Request {
		return func() *http.Request { return w.graphRequest("GET", path) }
	}
	return w, map[string]func() *http.Request{
		sandbox.OpTikTokExchangeCode: form(pathToken, "grant_type", "authorization_code", "code", w.code(url.Values{}),
			"redirect_uri", ttRedirect, "code_verifier", verifier),
		sandbox.OpTikTokRefreshToken: form(pathToken, "grant_type", "refresh_token", "refresh_token", w.tt.RefreshToken),
		sandbox.OpTikTokRevoke:       form(pathRevoke, "token", w.tt.AccessToken),
		sandbox.OpTikTokUserInfo: func() *http.Request {
			return w.request("GET", w.TikTokURL()+"/v2/user/info/?fields=open_id", "", "Authorization", "Bearer "+w.tt.AccessToken)
		},
		sandbox.OpInstagramExchangeCode: func() *http.Request {
			return w.tokenRequest("GET", "/v25.0/oauth/access_token", "code", w.fbCode())
		},
		sandbox.OpInstagramExchangeToken: func() *http.Request {
			return w.tokenRequest("POST", "/v25.0/oauth/access_token", "grant_type", "fb_exchange_token", "fb_exchange_token", token)
		},
		sandbox.OpInstagramDebugToken: func() *http.Request {
			q := url.Values{"input_token": {token}, "access_token": {"100000000000001|sim-app-secret"}}
			return w.request("GET", w.GraphURL()+"/v25.0/debug_token?"+q.Encode(), "")
		},
		sandbox.OpInstagramMe:            get("me"),
		sandbox.OpInstagramPermissions:   get("me/permissions"),
		sandbox.OpInstagramPages:         get("me/accounts"),
		sandbox.OpInstagramBusinesses:    get("me/businesses"),
		sandbox.OpInstagramBusinessPages: get("77/owned_pages"),
		sandbox.OpInstagramPage:          get("1001"),
		sandbox.OpInstagramRevoke: func() *http.Request {
			return w.graphRequest("DELETE", u.ID+"/permissions")
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
				fault.Code, fault.Match = "server_error", w.tt.OpenID
			}
			stranger := fault
			stranger.Match = "somebody else"
			w.Script(stranger, fault)
			before := w.CountCalls(op)
			a := w.mustDo(calls[op]())
			wantScripted(t, op, a)
			last := w.Calls()[len(w.Calls())-1]
			if last.Op != op || last.Account != fault.Match || last.Fault != sandbox.ModeError || w.CountCalls(op) != before+1 {
				t.Errorf("the log has %+v", last)
			}
			a = w.mustDo(calls[op]())
			if last := w.Calls()[len(w.Calls())-1]; last.Op != op || last.Code != "ok" || last.Fault != "" {
				t.Errorf("the call afterwards: %+v %s", last, a.body)
			}
			if n := len(w.PendingFaults()); n != 1 {
				t.Errorf("%d faults pending", n)
			}
		})
	}
}

func wantScripted(t *testing.T, op string, a answer) {
	t.Helper()
	var out struct{ Error json.RawMessage }
	a.json(t, &out)
	want, status := `{"message":"Error validating access token: The session`, 400
	switch op {
	case sandbox.OpTikTokExchangeCode, sandbox.OpTikTokRefreshToken, sandbox.OpTikTokRevoke:
		want, status = `"server_error"`, 200
	case sandbox.OpTikTokUserInfo:
		want, status = `{"code":"server_error"`, 500
	}
	if a.status != status || !strings.HasPrefix(string(out.Error), want) {
		t.Errorf("%s: %d %s", op, a.status, a.body)
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
		if a := w.do(refresh()); a.err == nil {
			t.Errorf("cut: %d %s", a.status, a.body)
		}
	}
	for _, want := range []struct {
		status int
		part   string
	}{{200, `"error":"temporarily_unavailable"`}, {400, `"error":"invalid_grant","error_description":"Gone."`}} {
		if a := w.mustDo(refresh()); a.status != want.status || !strings.Contains(string(a.body), want.part) {
			t.Errorf("got %d %s, want %+v", a.status, a.body, want)
		}
	}
	w.wantAccess(w.tt.AccessToken, true) // nothing has happened so far
	if a := w.do(refresh()); a.err == nil {
		t.Errorf("lost answer: %d", a.status)
	}
	w.wantAccess(w.tt.AccessToken, false)
	w.wantOAuthError(w.tryRefresh(w.tt.RefreshToken), "invalid_grant", "") // the new pair went with the answer
}

func TestLogHoldsNoSecrets(t *testing.T) {
	w, calls := connection(t)
	for _, request := range calls {
		w.mustDo(request())
	}
	var log strings.Builder
	for _, c := range w.Calls() {
		log.WriteString(c.Path + " " + c.Account + " " + c.Code + "\n")
	}
	for _, secret := range []string{"?", "act.SIM", "rft.SIM", "EAASIM", "AQSIM", "sim-client-secret", "sim-app-secret", proof(w.ig.PageToken)} {
		if strings.Contains(log.String(), secret) {
			t.Errorf("the log holds %q:\n%s", secret, log.String())
		}
	}
}
