package handlers_test

import (
	"fmt"
	"html"
	"net/http"
	"net/url"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"socialqueue/models"
	"socialqueue/oauth"
	instagramlogin "socialqueue/oauth/instagram"
	tiktoklogin "socialqueue/oauth/tiktok"
	"socialqueue/platform/tiktok"
	"socialqueue/sandbox"
)

var bothPlatforms = []models.Platform{models.TikTok, models.Instagram}

// back is our return_url with its own query, in which one name is also a name of the
// outcome.
const back = "https://app.example.com/done?z=%20&page=2&status=x&a"

// The people who connect their accounts: ids at the platforms.
const (
	creator = "-000one"
	baker   = "9001"
)

// addPeople creates, at each platform, a person with one account to post to.
func (w *fixture) addPeople() {
	w.sim.AddTikTokAccount(sandbox.TikTokAccount{OpenID: creator, Username: "simcafe", Nickname: "Sim Cafe"})
	w.sim.AddInstagramAccount(sandbox.InstagramAccount{
		IGID: "17841400000000001", Username: "bakery", Name: "The Bakery", FollowersCount: 1204,
	})
	w.addBaker(sandbox.FacebookPage{ID: "1001", Name: "Bakery", InstagramID: "17841400000000001"})
}

func (w *fixture) addBaker(pages ...sandbox.FacebookPage) {
	w.sim.AddFacebookUser(sandbox.FacebookUser{ID: baker, Name: "Ann Baker", Pages: pages})
}

func person(p models.Platform) string {
	if p == models.TikTok {
		return creator
	}
	return baker
}

// allowReturn registers our return address.
func (w *fixture) allowReturn() {
	w.t.Helper()
	w.must(w.accounts.AllowReturn(w.t.Context(), w.ours.appID, "app.example.com"))
}

func connectPath(p models.Platform, query url.Values) string {
	return "/api/auth/" + string(p) + "?" + query.Encode()
}

// begin starts a connect for our user and returns the address of the consent page.
func (w *fixture) begin(p models.Platform, returnURL string) string {
	w.t.Helper()
	q := url.Values{"user_id": {fmt.Sprint(w.ours.userID)}}
	if returnURL != "" {
		q.Set("return_url", returnURL)
	}
	return w.do(call{method: "GET", path: connectPath(p, q), headers: accepts("application/json")}).want(200).Text("authorization_url")
}

func accepts(types string) map[string]string { return map[string]string{"Accept": types} }

// consent submits a consent page, as changed by choose, and returns the path and query of
// our callback.
func (w *fixture) consent(p models.Platform, address string, choose ...func(url.Values)) string {
	w.t.Helper()
	form := url.Values{"decision": {"allow"}, "account": {person(p)}}
	for _, c := range choose {
		c(form)
	}
	req, err := http.NewRequestWithContext(w.t.Context(), http.MethodPost, address, strings.NewReader(form.Encode()))
	w.must(err)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := w.browser.Do(req)
	w.must(err)
	defer resp.Body.Close()
	to, err := resp.Location()
	if err != nil {
		w.t.Fatalf("the consent page answered %s: %v", resp.Status, err)
	}
	to.Fragment = "" // Facebook sets one; browsers keep it to themselves
	path, ours := strings.CutPrefix(to.String(), publicURL)
	if !ours {
		w.t.Fatalf("the platform leads back to %s", to)
	}
	return path
}

// only grants these scopes and no others.
func only(scopes ...string) func(url.Values) {
	return func(form url.Values) { form["form"], form["scope"] = []string{"1"}, scopes }
}

func deny(form url.Values) { form.Set("decision", "deny") }

// changed edits the query of a callback.
func changed(path string, change func(url.Values)) string {
	path, query, _ := strings.Cut(path, "?")
	values, err := url.ParseQuery(query)
	if err != nil {
		panic(err)
	}
	change(values)
	return path + "?" + values.Encode()
}

// browse requests an address of ours without a key, as a browser does.
func (w *fixture) browse(path string) *reply {
	w.t.Helper()
	return w.do(call{method: "GET", path: path, noKey: true, headers: accepts("text/html,*/*;q=0.8")})
}

// connect connects a person's account to our user, and returns its id in the API.
func (w *fixture) connect(p models.Platform, choose ...func(url.Values)) int64 {
	w.t.Helper()
	w.allowReturn()
	to, err := url.Parse(w.browse(w.consent(p, w.begin(p, back), choose...)).want(302).Header.Get("Location"))
	w.must(err)
	var id int64
	if _, err := fmt.Sscan(to.Query().Get("account_id"), &id); err != nil {
		w.t.Fatalf("the browser is sent to %s: %v", to, err)
	}
	return id
}

// wantPage checks a page: its status, that it contains all of these texts, and that it
// reveals and loads nothing.
func (r *reply) wantPage(status int, says ...string) {
	r.T.Helper()
	r.want(status)
	for name, want := range map[string]string{
		"Content-Type": "text/html; charset=UTF-8", "Referrer-Policy": "no-referrer", "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff",
	} {
		if got := r.Header.Get(name); got != want {
			r.T.Errorf("%s = %q, want %q", name, got, want)
		}
	}
	csp := strings.Split(r.Header.Get("Content-Security-Policy"), "; ")
	if want := []string{
		"default-src 'none'", "style-src 'unsafe-inline'", "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'",
	}; !reflect.DeepEqual(csp, want) {
		r.T.Errorf("Content-Security-Policy = %q", csp)
	}
	text := html.UnescapeString(string(r.Body))
	for _, part := range says {
		if !strings.Contains(text, part) {
			r.T.Errorf("the page does not say %q: %s", part, r.Body)
		}
	}
	for _, part := range []string{"<script", "://", "<no value>", "%!"} {
		if strings.Contains(string(r.Body), part) {
			r.T.Errorf("the page holds %q: %s", part, r.Body)
		}
	}
}

// wantHidden checks that no part of a callback's query is in the answer or in the logs.
func (w *fixture) wantHidden(path string, r *reply) {
	w.t.Helper()
	u, err := url.Parse(path)
	w.must(err)
	log := w.log.String()
	for name, values := range u.Query() {
		if name != "code" && name != "state" && name != "error_description" || values[0] == "" {
			continue
		}
		part, _, _ := strings.Cut(values[0], "*") // the rest of TikTok's codes is written in more than one way
		if name == "error_description" && (u.Query().Has("error") || u.Query().Has("error_code")) {
			if r.Status == http.StatusBadRequest && strings.Contains(html.UnescapeString(string(r.Body)), part) {
				w.t.Errorf("the page tells the %s, which anybody may have written: %s", name, r.Body)
			}
			continue // the app and the operator get the platform's text
		}
		if strings.Contains(html.UnescapeString(string(r.Body)), part) || strings.Contains(r.Header.Get("Location"), part) {
			w.t.Errorf("the answer tells the %s: %v %s", name, r.Header, r.Body)
		}
		if strings.Contains(log, part) {
			w.t.Errorf("the log tells the %s: %s", name, log)
		}
	}
}

var (
	stateForm     = regexp.MustCompile(`^[A-Z2-7]{26,}$`) // 128 random bits at least
	challengeForm = regexp.MustCompile(`^[0-9a-f]{64}$`)  // TikTok takes hex and no base64url
)

func TestConsentPage(t *testing.T) {
	eachWithPlatforms(t, func(t *testing.T, w *fixture) {
		w.allowReturn()
		states := map[string]bool{}
		for p, want := range map[models.Platform]struct {
			page  string
			query url.Values
		}{
			models.TikTok: {w.sim.TikTokAuthURL() + "/v2/auth/authorize/", url.Values{
				"client_key": {"sim-client-key"}, "response_type": {"code"}, "scope": {"user.info.basic,video.publish,video.upload"},
				"redirect_uri": {publicURL + "/api/auth/tiktok/callback"}, "disable_auto_auth": {"1"}, "code_challenge_method": {"S256"},
			}},
			models.Instagram: {w.sim.FacebookDialogURL() + "/v27.0/dialog/oauth", url.Values{
				"client_id": {"100000000000001"}, "response_type": {"code"}, "auth_type": {"rerequest"},
				"scope":        {"business_management,instagram_manage_comments,pages_manage_metadata,pages_show_list,pages_read_engagement,instagram_basic,instagram_content_publish"},
				"redirect_uri": {publicURL + "/api/auth/instagram/callback"},
			}},
		} {
			for accept, asJSON := range map[string]bool{
				"": false, "*/*": false, "text/html,application/xhtml+xml,*/*;q=0.8": false, "text/html, application/json": false,
				"application/json": true, "application/json; charset=utf-8, */*": true, "application/problem+json": true,
				"Application/JSON": true,
			} {
				r := w.do(call{
					method: "GET", headers: accepts(accept),
					path: connectPath(p, url.Values{"user_id": {fmt.Sprint(w.ours.userID)}, "return_url": {back}}),
				})
				address := r.Header.Get("Location")
				if asJSON {
					address = r.want(200).Text("authorization_url")
					if keys := keysOf(r.Object()); len(keys) != 1 || r.Header.Get("Location") != "" {
						t.Errorf("%s for %q: fields %v, %v", p, accept, keys, r.Header)
					}
				} else if r.want(302); len(r.Body) > 0 {
					t.Errorf("%s for %q: %s", p, accept, r.Body)
				}
				page, query, _ := strings.Cut(address, "?")
				got, err := url.ParseQuery(query)
				if err != nil || page != want.page {
					t.Errorf("%s leads to %s: %v", p, address, err)
				}
				state := got.Get("state")
				if !stateForm.MatchString(state) || states[state] {
					t.Errorf("%s: state %q is guessable or was given before", p, state)
				}
				states[state] = true
				if p == models.TikTok && !challengeForm.MatchString(got.Get("code_challenge")) {
					t.Errorf("code_challenge = %q", got.Get("code_challenge"))
				}
				got.Del("state")
				got.Del("code_challenge")
				if !reflect.DeepEqual(got, want.query) {
					t.Errorf("%s asks %v, want %v", p, got, want.query)
				}
			}
		}
	})
}

// TestBadConnects checks that errors name the wrong parameter, and that no connect begins.
func TestBadConnects(t *testing.T) {
	eachWithPlatforms(t, func(t *testing.T, w *fixture) {
		w.allowReturn()
		w.must(w.accounts.AllowReturn(t.Context(), w.theirs.appID, "their.example.com"))
		user := fmt.Sprintf("user_id=%d", w.ours.userID)
		before := w.stored()
		for name, tc := range map[string]struct {
			query, field string
			status       int // 422, unless it is given
		}{
			"no user":                 {"", "user_id", 0},
			"only a return_url":       {"return_url=" + url.QueryEscape(back), "user_id", 0},
			"empty user":              {"user_id=", "user_id", 0},
			"user 0":                  {"user_id=0", "user_id", 0},
			"negative user":           {"user_id=-1", "user_id", 0},
			"user by name":            {"user_id=first", "user_id", 0},
			"fraction of a user":      {"user_id=1.5", "user_id", 0},
			"user beyond 32 bits":     {"user_id=2147483648", "user_id", 0},
			"user is NUL":             {"user_id=%00", "user_id", 0},
			"user twice":              {user + "&" + user, "user_id", 0},
			"return_url twice":        {user + "&return_url=https://app.example.com&return_url=https://app.example.com", "return_url", 0},
			"unknown parameter":       {user + "&returnurl=x", "returnurl", 0},
			"scopes of one's own":     {user + "&scope=video.list", "scope", 0},
			"state of one's own":      {user + "&state=x", "state", 0},
			"malformed":               {user + "&return_url=%zz", "", 400},
			"no such user":            {"user_id=2147483647", "", 404},
			"another app's user":      {fmt.Sprintf("user_id=%d", w.theirs.userID), "", 404},
			"theirs, back to ours":    {fmt.Sprintf("user_id=%d&return_url=%s", w.theirs.userID, url.QueryEscape(back)), "", 404},
			"another app's host":      {user + "&return_url=https://their.example.com/", "return_url", 0},
			"a host of nobody":        {user + "&return_url=https://evil.example/", "return_url", 0},
			"another port":            {user + "&return_url=https://app.example.com:444/", "return_url", 0},
			"ours as a subdomain":     {user + "&return_url=https://app.example.com.evil.example/", "return_url", 0},
			"ours as the user":        {user + "&return_url=https://app.example.com@evil.example/", "return_url", 0},
			"ours behind a backslash": {user + "&return_url=https://evil.example%5C@app.example.com/", "return_url", 0},
			"ours in the path":        {user + "&return_url=https://evil.example/app.example.com", "return_url", 0},
			"not encrypted":           {user + "&return_url=http://app.example.com/", "return_url", 0},
			"without a scheme":        {user + "&return_url=//app.example.com/", "return_url", 0},
			"a path only":             {user + "&return_url=/done", "return_url", 0},
			"a script":                {user + "&return_url=javascript:alert(1)//app.example.com", "return_url", 0},
			"data":                    {user + "&return_url=data:text/html,x", "return_url", 0},
			"a header in it":          {user + "&return_url=https://app.example.com/%0d%0aSet-Cookie:x=1", "return_url", 0},
			"a fragment":              {user + "&return_url=https://app.example.com/%23x", "return_url", 0},
			"too long":                {user + "&return_url=https://app.example.com/" + strings.Repeat("x", 2000), "return_url", 0},
		} {
			t.Run(name, func(t *testing.T) {
				w := w.in(t)
				status, code := tc.status, "VALIDATION_FAILED"
				if status == 0 {
					status = 422
				}
				if status == 404 {
					code = "NOT_FOUND"
				}
				for _, p := range bothPlatforms {
					for _, accept := range []string{"", "application/json"} {
						r := w.do(call{method: "GET", path: "/api/auth/" + string(p) + "?" + tc.query, headers: accepts(accept)})
						r.WantProblem(status, code, tc.field)
						if r.Header.Get("Location") != "" {
							t.Errorf("leads to %s", r.Header.Get("Location"))
						}
					}
				}
				w.wantUnchanged(before)
			})
		}
		for _, platform := range []string{"facebook", "TikTok", "tiktok%20", "%00", "%ff", "tiktok%2Fcallback"} {
			w.do(call{method: "GET", path: "/api/auth/" + platform + "?" + user}).WantProblem(404, "NOT_FOUND", "")
			w.browse("/api/auth/"+platform+"/callback?code=x&state=y").WantProblem(404, "NOT_FOUND", "")
		}
		w.wantUnchanged(before)
	})
}

// An installation without a platform's credentials names the missing settings.
func TestPlatformNotConfigured(t *testing.T) {
	w := onSQLite(t)
	w.addPlatforms()
	tt, err := tiktok.New(tiktok.Config{})
	w.must(err)
	w.oauth.Connectors = []oauth.Connector{tiktoklogin.New(tt, w.clock.Now), oauth.Unconfigured(models.Instagram, instagramlogin.Settings)}
	w.build()
	before := w.stored()
	for p, settings := range map[models.Platform][]string{
		models.TikTok: {"TIKTOK_CLIENT_KEY", "TIKTOK_CLIENT_SECRET"}, models.Instagram: {"FACEBOOK_APP_ID", "FACEBOOK_APP_SECRET"},
	} {
		r := w.do(call{method: "GET", path: connectPath(p, url.Values{"user_id": {fmt.Sprint(w.ours.userID)}})})
		r.WantProblem(503, "UNAVAILABLE", "")
		for _, setting := range settings {
			if !strings.Contains(r.Text("detail"), setting) {
				t.Errorf("%s: %s is not named: %s", p, setting, r.Body)
			}
		}
		if r.Header.Get("Retry-After") != "" {
			t.Errorf("%s: a setting does not make itself, and still the caller shall come again", p)
		}
	}
	w.wantUnchanged(before)
}

// A consent ends at the app's return_url with the outcome, or on our page. Repeating the
// callback changes nothing.
func TestConnect(t *testing.T) {
	eachWithPlatforms(t, func(t *testing.T, w *fixture) {
		w.addPeople()
		w.allowReturn()
		for p, want := range map[models.Platform]struct{ externalID, name string }{
			models.TikTok: {creator, "Sim Cafe"}, models.Instagram: {"17841400000000001", "bakery"},
		} {
			path := w.consent(p, w.begin(p, back))
			first := w.browse(path).want(302)
			to, err := url.Parse(first.Header.Get("Location"))
			w.must(err)
			id := to.Query().Get("account_id")
			if query := (url.Values{
				"z": {" "}, "page": {"2"}, "a": {""}, "status": {"connected"}, "platform": {string(p)}, "user_id": {fmt.Sprint(w.ours.userID)},
				"account_id": {id}, "account_ids": {id},
			}); to.Scheme+"://"+to.Host+to.Path != "https://app.example.com/done" || !reflect.DeepEqual(to.Query(), query) {
				t.Errorf("%s leads to %s", p, to)
			}
			if first.Header.Get("Cache-Control") != "no-store" || len(first.Body) > 0 {
				t.Errorf("%s: %v %s", p, first.Header, first.Body)
			}
			if again := w.browse(path).want(302).Header.Get("Location"); again != first.Header.Get("Location") {
				t.Errorf("%s: the second callback leads to %s, the first to %s", p, again, to)
			}
			if account := w.account(p, id); account["external_id"] != want.externalID {
				t.Errorf("%s: account %v", p, account)
			}

			page := w.consent(p, w.begin(p, ""))
			first = w.browse(page)
			first.wantPage(200, "is connected", "You can close this page", want.name)
			if again := w.browse(page).want(200); string(again.Body) != string(first.Body) {
				t.Errorf("%s: the second page is %s, the first %s", p, again.Body, first.Body)
			}
			w.wantHidden(path, first)
			w.wantHidden(page, first)
		}
		// Four consents, each with two callbacks.
		for _, op := range []string{sandbox.OpTikTokExchangeCode, sandbox.OpInstagramExchangeCode} {
			if n := w.sim.CountCalls(op); n != 2 {
				t.Errorf("%d calls of %s, want 2", n, op)
			}
		}
		if log := w.log.String(); !strings.Contains(log, `"GET /api/auth/:platform/callback"`) {
			t.Errorf("the callbacks are not in the log: %s", log)
		}
	})
}

// account returns one of our accounts from the list by its id in the API.
func (w *fixture) account(p models.Platform, id string) map[string]any {
	w.t.Helper()
	for _, a := range w.list("platform=" + string(p)) {
		if fmt.Sprint(a["id"]) == id {
			return a
		}
	}
	w.t.Fatalf("%s account %s is not in the list", p, id)
	return nil
}

// A login with several Pages reports all of them: the connected ones, and those that cannot
// be.
func TestConnectSeveralPages(t *testing.T) {
	eachWithPlatforms(t, func(t *testing.T, w *fixture) {
		w.addPeople()
		w.allowReturn()
		w.addBaker(
			sandbox.FacebookPage{ID: "1001", Name: "Bakery", InstagramID: "17841400000000001"},
			sandbox.FacebookPage{ID: "1002", Name: "Second", InstagramID: "17841400000000002"},
			sandbox.FacebookPage{ID: "1003", Name: "Bare"}, sandbox.FacebookPage{ID: "1004", Name: "Bare too"},
			sandbox.FacebookPage{ID: "1005", Name: "Looking", InstagramID: "17841400000000005", Tasks: []string{"ANALYZE"}},
		)
		to, err := url.Parse(w.browse(w.consent(models.Instagram, w.begin(models.Instagram, back))).want(302).Header.Get("Location"))
		w.must(err)
		q := to.Query()
		ids := strings.Split(q.Get("account_ids"), ",")
		if len(ids) != 2 || q.Get("account_id") != ids[0] || q.Get("unusable_pages") != "3" || q.Get("reasons") != "no_instagram_account,no_publish_permission" {
			t.Errorf("leads to %s", to)
		}
		w.browse(w.consent(models.Instagram, w.begin(models.Instagram, ""))).wantPage(200,
			"bakery</li>", "Bare: no professional Instagram account is linked to it", "Bare too: no professional", "Looking: you may not create content on it")
	})
}

// leaving is a transport to the platforms that disconnects the browser at the first call.
type leaving struct {
	way   http.RoundTripper
	leave func()
}

func (l leaving) RoundTrip(r *http.Request) (*http.Response, error) {
	l.leave()
	return l.way.RoundTrip(r)
}
