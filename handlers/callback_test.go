package handlers_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"socialqueue/db/dbtest"
	"socialqueue/jobs"
	"socialqueue/jobs/redistest"
	"socialqueue/models"
	"socialqueue/sandbox"
)

// TestConnectRefusals checks that a user who returns without an account learns what to do,
// at the app's return_url or on our page, and again when the callback is repeated.
func TestConnectRefusals(t *testing.T) {
	eachWithPlatforms(t, func(t *testing.T, w *fixture) {
		w.addPeople()
		w.allowReturn()
		down := func(op string) *sandbox.Fault { return &sandbox.Fault{Op: op, Mode: sandbox.ModeStatus} }
		for name, tc := range map[string]struct {
			platform models.Platform
			pages    []sandbox.FacebookPage
			choose   func(url.Values)
			fault    *sandbox.Fault
			change   func(url.Values) // of the callback's query
			late     time.Duration
			code     string
			status   int
			says     string
			said     string // by the platform, without its description
			nowhere  bool   // the connect is unknown, so there is only a page
		}{
			"denied at TikTok":   {platform: models.TikTok, choose: deny, code: "ACCESS_DENIED", status: 400, says: "go back to the app and allow access", said: "access_denied"},
			"denied at Facebook": {platform: models.Instagram, choose: deny, code: "ACCESS_DENIED", status: 400, says: "go back to the app and allow access", said: "access_denied: 200: user_denied"},
			"a feature that the app at Facebook lacks": {
				platform: models.Instagram, change: func(q url.Values) { q.Del("code"); q.Set("error_code", "1349187") },
				code: "PLATFORM_REFUSED", status: 400, says: "tell the operator", said: "1349187",
			},
			"a scope that the app at TikTok lacks": {
				platform: models.TikTok, change: func(q url.Values) { q.Del("code"); q.Set("error", "invalid_scope") },
				code: "PLATFORM_REFUSED", status: 400, says: "tell the operator", said: "invalid_scope",
			},
			"an error beside a code": {
				platform: models.TikTok, change: func(q url.Values) { q.Set("error", "server_error") },
				code: "PLATFORM_REFUSED", status: 400, says: "tell the operator", said: "server_error",
			},
			"neither code nor error": {
				platform: models.TikTok, change: func(q url.Values) { q.Del("code") }, code: "PLATFORM_REFUSED", status: 400, says: "tell the operator",
			},
			"TikTok scope unticked": {
				platform: models.TikTok, choose: only("user.info.basic", "video.upload"), code: "SCOPES_MISSING", status: 400, says: "not allowed: video.publish. Go back",
			},
			"Facebook scope unticked": {
				platform: models.Instagram, choose: only("pages_show_list", "pages_read_engagement", "instagram_basic"),
				code: "SCOPES_MISSING", status: 400, says: "not allowed: instagram_content_publish. Go back",
			},
			"no Page": {
				platform: models.Instagram, pages: []sandbox.FacebookPage{}, code: "NO_ACCOUNTS", status: 400, says: "linked to a Page",
			},
			"a bare Page": {
				platform: models.Instagram, pages: []sandbox.FacebookPage{{ID: "1002", Name: "Bare"}},
				code: "NO_ACCOUNTS", status: 400, says: "Bare: no professional Instagram account is linked to it",
			},
			"a code of nobody": {
				platform: models.TikTok, change: func(q url.Values) { q.Set("code", "MADEUP") }, code: "CODE_REFUSED", status: 400, says: "did not accept the sign-in",
			},
			"a code of nobody at Facebook": {
				platform: models.Instagram, change: func(q url.Values) { q.Set("code", "MADEUP") }, code: "CODE_REFUSED", status: 400, says: "did not accept the sign-in",
			},
			"too late":         {platform: models.TikTok, late: 15*time.Minute + time.Second, code: "STATE_EXPIRED", status: 400, says: "took longer than 15 minutes"},
			"TikTok is down":   {platform: models.TikTok, fault: down(sandbox.OpTikTokExchangeCode), code: "PLATFORM_UNAVAILABLE", status: 503, says: "Wait a minute"},
			"Facebook is down": {platform: models.Instagram, fault: down(sandbox.OpInstagramPages), code: "PLATFORM_UNAVAILABLE", status: 503, says: "Wait a minute"},
			"a forged state": {
				platform: models.TikTok, change: func(q url.Values) { q.Set("state", "FORGED"+q.Get("state")) },
				code: "STATE_INVALID", status: 400, says: "connect the account from there", nowhere: true,
			},
			"no state": {
				platform: models.Instagram, change: func(q url.Values) { q.Del("state") },
				code: "STATE_INVALID", status: 400, says: "connect the account from there", nowhere: true,
			},
			"nothing at all": {
				platform: models.TikTok, change: func(q url.Values) { clear(q) }, code: "STATE_INVALID", status: 400, says: "connect the account from there", nowhere: true,
			},
			"a state that is no text": {
				platform: models.TikTok, change: func(q url.Values) { q.Set("state", "\xff\x00"+strings.Repeat("x", 5000)) },
				code: "STATE_INVALID", status: 400, says: "connect the account from there", nowhere: true,
			},
		} {
			t.Run(name, func(t *testing.T) {
				w := w.in(t)
				if tc.pages != nil {
					w.addBaker(tc.pages...)
					defer w.addPeople()
				}
				before := w.stored().accounts
				for _, returnURL := range []string{back, ""} {
					var choose []func(url.Values)
					if tc.choose != nil {
						choose = append(choose, tc.choose)
					}
					path := changed(w.consent(tc.platform, w.begin(tc.platform, returnURL), choose...), func(q url.Values) {
						q.Set("error_description", ofTheRequest)
						if tc.change != nil {
							tc.change(q)
						}
						if tc.said == "" && len(q) > 0 {
							q.Set("error_description", "STRAY<script>") // not an error: it is ignored
						}
					})
					w.clock.Advance(tc.late)
					if tc.fault != nil {
						w.sim.Script(*tc.fault)
					}
					first := w.browse(path)
					if returnURL == "" || tc.nowhere {
						first.wantPage(tc.status, "was not connected", tc.says, tc.code)
					} else {
						w.wantSentBack(first, tc.platform, tc.code, tc.said)
					}
					if again := w.browse(path); again.Status != first.Status || string(again.Body) != string(first.Body) || again.Header.Get("Location") != first.Header.Get("Location") {
						t.Errorf("the second time: %d %v %s", again.Status, again.Header, again.Body)
					}
					w.wantHidden(path, first)
				}
				if after := w.stored().accounts; after != before {
					t.Errorf("accounts %s, were %s", after, before)
				}
				if left := w.sim.PendingFaults(); len(left) > 0 {
					t.Errorf("faults left: %v", left)
				}
			})
		}
	})
}

// ofTheRequest is the description that callbacks bring.
const ofTheRequest = "OF-THE-REQUEST<script>"

// wantSentBack checks that the app is informed of a failed connect; said is what the platform
// said beside the description.
func (w *fixture) wantSentBack(r *reply, p models.Platform, code, said string) {
	w.t.Helper()
	to, err := url.Parse(r.want(302).Header.Get("Location"))
	w.must(err)
	q := to.Query()
	q.Del("unusable_pages")
	q.Del("reasons")
	want := url.Values{
		"z": {" "}, "page": {"2"}, "a": {""}, "status": {"error"}, "code": {code}, "platform": {string(p)}, "user_id": {fmt.Sprint(w.ours.userID)},
	}
	if said != "" {
		want.Set("detail", said+": "+ofTheRequest)
	}
	if to.Host != "app.example.com" || !reflect.DeepEqual(q, want) {
		w.t.Errorf("leads to %s, want %v", to, want)
	}
}

// What the platform says of a refusal is in one line of the log and in return_url: bounded, and
// without credentials.
func TestWordsOfARefusal(t *testing.T) {
	w := onSQLite(t)
	w.addPlatforms()
	w.addPeople()
	w.allowReturn()
	const words = "Feature Unavailable:\nsee https://example.com/?access_token=EAAsecret&x=1 "
	path := changed(w.consent(models.Instagram, w.begin(models.Instagram, back)), func(q url.Values) {
		q.Del("code")
		q.Set("error_code", "1349187")
		q.Set("error_message", words+q.Get("state")+strings.Repeat(" and so on", 100))
	})
	to, err := url.Parse(w.browse(path).want(302).Header.Get("Location"))
	w.must(err)
	said := to.Query().Get("detail")
	if !strings.HasPrefix(said, "1349187: Feature Unavailable: see https://example.com/?access_token=[secret]&x=1 [secret] and so on") || len(said) > 303 {
		t.Errorf("detail = %q", said)
	}
	if n := strings.Count(w.log.String(), "Feature Unavailable: see"); n != 1 {
		t.Errorf("%d lines of the log say so: %s", n, w.log)
	}
	if strings.Contains(w.log.String(), "EAAsecret") {
		t.Errorf("the log tells the token: %s", w.log)
	}
}

// A state is not valid at another platform's callback, and is not consumed there.
func TestStateOfTheOtherPlatform(t *testing.T) {
	w := onSQLite(t)
	w.addPlatforms()
	w.addPeople()
	path := w.consent(models.TikTok, w.begin(models.TikTok, ""))
	w.browse(strings.Replace(path, "/tiktok/", "/instagram/", 1)).wantPage(400, "Instagram was not connected", "STATE_INVALID")
	w.browse(path).wantPage(200, "TikTok is connected")
}

// Every callback in a browser is answered with a readable page.
func TestMalformedCallbacks(t *testing.T) {
	w := onSQLite(t)
	w.addPlatforms()
	for _, query := range []string{"", "?", "?%zz", "?code=%zz&state=%zz", "?state=a;b", "?code=x&code=y&state=x&state=y", "?state=%ff%00", "?error=access_denied"} {
		for _, p := range bothPlatforms {
			w.browse("/api/auth/"+string(p)+"/callback"+query).wantPage(400, "was not connected", "STATE_INVALID")
		}
	}
}

// Names of people and Pages are foreign input and must be escaped.
func TestHostileNames(t *testing.T) {
	eachWithPlatforms(t, func(t *testing.T, w *fixture) {
		const hostile, shown = `<script>alert(1)</script>"'&{{.}}`, "&lt;script&gt;alert(1)&lt;/script&gt;"
		w.sim.AddTikTokAccount(sandbox.TikTokAccount{OpenID: creator, Username: "x", Nickname: hostile})
		w.sim.AddInstagramAccount(sandbox.InstagramAccount{IGID: "17841400000000001", Username: hostile})
		w.addBaker(
			sandbox.FacebookPage{ID: "1001", Name: "Good", InstagramID: "17841400000000001"}, sandbox.FacebookPage{ID: "1002", Name: hostile},
		)
		for p, want := range map[models.Platform]int{models.TikTok: 1, models.Instagram: 2} {
			r := w.browse(w.consent(p, w.begin(p, "")))
			r.wantPage(200, hostile)
			if got := strings.Count(string(r.Body), shown); got != want {
				t.Errorf("%s: the name is shown %d times, want %d: %s", p, got, want, r.Body)
			}
		}
		w.addBaker(sandbox.FacebookPage{ID: "1002", Name: hostile})
		w.browse(w.consent(models.Instagram, w.begin(models.Instagram, ""))).wantPage(400, hostile+": no professional", "NO_ACCOUNTS")
	})
}

// A browser that disconnects while the code is exchanged does not interrupt the exchange,
// which cannot be repeated.
func TestBrowserLeavesTheCallback(t *testing.T) {
	eachWithPlatforms(t, func(t *testing.T, w *fixture) {
		w.addPeople()
		path := w.consent(models.TikTok, w.begin(models.TikTok, ""))
		gone, leave := context.WithCancel(t.Context())
		w.callPlatforms(leaving{w.browser.Transport, leave})
		w.api.ServeHTTP(httptest.NewRecorder(), w.request(call{method: "GET", path: path, noKey: true}).WithContext(gone))
		w.browse(path).wantPage(200, "TikTok is connected")
		if n := w.sim.CountCalls(sandbox.OpTikTokExchangeCode); n != 1 {
			t.Errorf("the code was exchanged %d times", n)
		}
	})
}

// While Redis does not answer, no connect begins and nothing is consumed: the same callback
// works when Redis is back.
func TestRedisAway(t *testing.T) {
	w := newFixture(t, dbtest.SQLite(t))
	w.addPlatforms()
	w.addPeople()
	settings := redistest.Settings(t)
	wire := redistest.NewProxy(t, settings.Addrs[0])
	settings.Addrs = []string{wire.Addr()}
	client := jobs.NewRedis(settings)
	t.Cleanup(func() { w.must(client.Close()) })
	w.oauth.Redis = client
	w.build()
	path := w.consent(models.TikTok, w.begin(models.TikTok, ""))
	wire.Cut()
	r := w.do(call{method: "GET", path: connectPath(models.TikTok, url.Values{"user_id": {fmt.Sprint(w.ours.userID)}})})
	r.WantProblem(503, "UNAVAILABLE", "")
	if r.Header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	r = w.browse(path)
	r.wantPage(503, "Not available at the moment", "reload this page")
	w.wantHidden(path, r)
	wire.Mend()
	w.browse(path).wantPage(200, "TikTok is connected")
}

// A callback needs no key, and ignores one.
func TestCallbackIgnoresKeys(t *testing.T) {
	w := onSQLite(t)
	w.addPlatforms()
	w.addPeople()
	path := w.consent(models.TikTok, w.begin(models.TikTok, ""))
	w.do(call{method: "GET", path: path, as: &w.theirs}).wantPage(200, "TikTok is connected")
	w.idOf(models.TikTok, creator) // it went to whose connect it was
	w.do(call{method: "GET", path: path, noKey: true, headers: map[string]string{"Authorization": "Bearer nonsense"}}).wantPage(200, "TikTok is connected")
}
