package e2e

import (
	"crypto/hmac"
	"crypto/sha256"
	"database/sql"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"socialqueue/models"
	"socialqueue/sandbox"
	"socialqueue/sandbox/sample"
	"socialqueue/test/testkit"
)

// returnHost is the app's own host, where browsers end.
const returnHost = "app.example.com"

// connected is an account as the list of accounts shows it.
type connected struct {
	ID       int64
	Platform string
	UserID   int64 `json:"user_id"`
	Username string
	Status   string
	Reason   *string `json:"status_reason"`
}

// allowReturn registers the app's host, as `socialqueue app allow-return` does.
func (w *system) allowReturn() {
	w.t.Helper()
	w.must(w.db.Connections.AllowReturn(w.t.Context(), models.ReturnHost{AppID: w.appID, Host: returnHost, CreatedAt: time.Now()}))
}

// browse makes one request as a browser does, but for following redirects.
func (w *system) browse(method, address string, form url.Values) *http.Response {
	w.t.Helper()
	var body strings.Reader
	if form != nil {
		body = *strings.NewReader(form.Encode())
	}
	req, err := http.NewRequestWithContext(w.t.Context(), method, address, &body)
	w.must(err)
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	browser := *w.http
	browser.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	resp, err := browser.Do(req)
	w.must(err)
	defer resp.Body.Close()
	return resp
}

// consent goes from the app to the platform's consent page and back to the callback,
// which it returns without calling it.
func (w *system) consent(platform, person string, choose url.Values) (callback string) {
	w.t.Helper()
	path := fmt.Sprintf("/api/auth/%s?user_id=%d&return_url=%s", platform, w.userID, url.QueryEscape("https://"+returnHost+"/done"))
	address := w.call(testkit.Call{Method: "GET", Path: path, Headers: map[string]string{"Accept": "application/json"}}).Want(200).Text("authorization_url")
	form := url.Values{"decision": {"allow"}, "account": {person}}
	for name, values := range choose {
		form[name] = values
	}
	back, err := w.browse("POST", address, form).Location()
	w.must(err)
	return w.url() + back.Path + "?" + back.RawQuery // PUBLIC_URL, as this test reaches it
}

// connectVia goes the whole way, and returns with what the app is told.
func (w *system) connectVia(platform, person string, choose url.Values) url.Values {
	w.t.Helper()
	return w.end(w.consent(platform, person, choose))
}

func (w *system) end(callback string) url.Values {
	w.t.Helper()
	to, err := w.browse("GET", callback, nil).Location()
	w.must(err)
	if to.Host != returnHost || to.Path != "/done" {
		w.t.Fatalf("the browser ends at %s", to)
	}
	return to.Query()
}

func (w *system) accounts() []connected {
	w.t.Helper()
	var list []connected
	w.call(testkit.Call{Method: "GET", Path: fmt.Sprintf("/api/accounts?user_id=%d", w.userID)}).Want(200).Into(&list)
	return list
}

// connectBoth connects one account of each platform.
func (w *system) connectBoth() (tt, ig account) {
	w.t.Helper()
	w.allowReturn()
	w.sim.AddTikTokAccount(sandbox.TikTokAccount{OpenID: "-000one", Username: "simcafe", PostsCap: -1})
	w.sim.AddInstagramAccount(sandbox.InstagramAccount{IGID: "17841400000000001", Username: "bakery"})
	w.sim.AddFacebookUser(sandbox.FacebookUser{ID: "9001", Pages: []sandbox.FacebookPage{{ID: "1001", Name: "Bakery", InstagramID: "17841400000000001"}}})
	for platform, person := range map[string]string{"tiktok": "-000one", "instagram": "9001"} {
		if q := w.connectVia(platform, person, nil); q.Get("status") != "connected" {
			w.t.Fatalf("%s: %v", platform, q)
		}
	}
	for _, a := range w.accounts() {
		lane := models.Lane(models.Platform(a.Platform), a.ID)
		if a.Platform == "tiktok" {
			tt = account{id: a.ID, external: "-000one", lane: lane, path: "/api/tiktok/upload"}
		} else {
			ig = account{id: a.ID, external: "17841400000000001", lane: lane, path: "/api/instagram/publish"}
		}
	}
	return tt, ig
}

func TestConnectPostDisconnect(t *testing.T) {
	w := newSystem(t, setup{sandbox: slowish()})
	w.startWorker()
	w.startScheduler()
	tt, ig := w.connectBoth()
	clip, still := w.upload("video/mp4", sample.Video), w.upload("image/jpeg", sample.Picture)
	for _, o := range []order{{tt, video(tt, clip, "a video")}, {ig, picture(ig, still, "a picture")}} {
		w.untilStatus(testkit.Patience, w.accept(o.account, o.body).ID, "published")
	}
	w.wantEachLiveOnce(2)

	later := w.accept(ig, picture(ig, still, "never").with(fields{"publish_at": time.Now().Add(time.Hour)}))
	for _, path := range []string{fmt.Sprintf("/api/accounts/tiktok/%d", tt.id), fmt.Sprintf("/api/accounts/instagram/%d", ig.id)} {
		if got := w.call(testkit.Call{Method: "DELETE", Path: path}).Want(200).Text("status"); got != "disconnected" {
			t.Errorf("%s: %s", path, got)
		}
	}
	if got := w.post(later.ID); got.Status != "canceled" {
		t.Errorf("the waiting post is %s", got.Status)
	}
	testkit.Await(w.t, testkit.Patience, "the account takes no more posts", func() (bool, string) {
		rep := w.call(testkit.Call{Method: "POST", Path: tt.path, JSON: video(tt, clip, "after")})
		return rep.Status == http.StatusConflict, string(rep.Body)
	})
	for op, want := range map[string]int{sandbox.OpTikTokRevoke: 1, sandbox.OpInstagramRevoke: 1} {
		if got := w.sim.CountCalls(op); got != want {
			t.Errorf("%d calls of %s, want %d", got, op, want)
		}
	}
}

// The consent is taken back after Instagram has the container. The post waits; when
// the account is connected again it goes on with that container, and is live once.
func TestReconnectInTheMiddle(t *testing.T) {
	read, goOn := heldReads(t)
	w := newSystem(t, setup{sandbox: slowish(), inFront: read})
	_, ig := w.connectBoth()
	w.startScheduler()
	stop := w.startWorker()
	p := w.accept(ig, picture(ig, w.upload("image/jpeg", sample.Picture), "in the middle"))
	testkit.Await(w.t, testkit.Patience, "Instagram has the container", func() (bool, string) {
		return w.sim.CountCalls(sandbox.OpInstagramContainer) == 1, story(w.events(p.ID))
	})
	w.exec("UPDATE instagram_accounts SET updated_at = updated_at - INTERVAL '1 hour'") // no new token any more
	w.sim.InvalidateFacebook("9001", 460)
	goOn()
	testkit.Await(w.t, testkit.Patience, "the account needs to be connected again", func() (bool, string) {
		i := slices.IndexFunc(w.accounts(), func(a connected) bool { return a.Platform == "instagram" })
		return w.accounts()[i].Status == "reauth_required", story(w.events(p.ID))
	})
	testkit.Await(w.t, testkit.Patience, "the post says why it waits", func() (bool, string) {
		got := w.post(p.ID)
		return got.DeferredReason != nil && *got.DeferredReason == "reauth_required", fmt.Sprintf("%+v", got)
	})
	w.wantEachLiveOnce(0)
	if q := w.connectVia("instagram", "9001", nil); q.Get("status") != "connected" || q.Get("account_id") != fmt.Sprint(ig.id) {
		t.Fatalf("connected again: %v", q)
	}
	w.untilStatus(testkit.Patience, p.ID, "published")
	w.wantEachLiveOnce(1)
	if got := w.sim.CountCalls(sandbox.OpInstagramContainer); got != 1 {
		t.Errorf("%d containers were made: %s", got, story(w.events(p.ID)))
	}
	stop()
}

// heldReads keeps back what Instagram says of containers, so that none is published,
// until it may go on.
func heldReads(t *testing.T) (inFront func(http.Handler) http.Handler, goOn func()) {
	t.Helper()
	held := make(chan struct{})
	goOn = sync.OnceFunc(func() { close(held) })
	t.Cleanup(goOn)
	return func(platforms http.Handler) http.Handler {
		return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			if strings.Contains(r.URL.RawQuery, "status_code") {
				select {
				case <-held:
				case <-r.Context().Done():
				}
			}
			platforms.ServeHTTP(rw, r)
		})
	}, goOn
}

// A token that ends while posts are due is refreshed once by whoever comes first,
// and every post is live once.
func TestManyPostsOnADeadToken(t *testing.T) {
	o := unlimited()
	w := newSystem(t, setup{sandbox: o})
	tt, _ := w.connectBoth()
	clip := w.upload("video/mp4", sample.Video)
	const posts = 20
	for i := range posts {
		w.accept(tt, video(tt, clip, fmt.Sprintf("post %d", i)))
	}
	w.exec("UPDATE oauth_accounts SET refreshed_at = refreshed_at - INTERVAL '1 hour'") // no new token any more
	w.sim.ExpireTikTokAccess("-000one")
	w.startWorker()
	w.startWorker()
	w.startScheduler()
	w.untilAllLive(testkit.Patience, posts)
	if got := w.sim.CountCalls(sandbox.OpTikTokRefreshToken); got != 1 {
		t.Errorf("%d refreshes, want 1", got)
	}
}

// exec changes the database behind the processes' backs.
func (w *system) exec(query string, args ...any) {
	w.t.Helper()
	conn, err := sql.Open("pgx", w.env["DATABASE_URL"])
	w.must(err)
	defer conn.Close()
	_, err = conn.ExecContext(w.t.Context(), query, args...)
	w.must(err)
}

// Every way that a token goes, with troubles on each: what is secret is on the wire
// and nowhere else.
func TestOAuthSecretsStayOnTheWire(t *testing.T) {
	wire := &wiretap{found: map[string]string{}}
	w := newSystem(t, setup{sandbox: slowish(), inFront: wire.listen})
	answers := &answerTap{next: w.http.Transport, skip: w.sim.URL()}
	w.http.Transport = answers
	w.startScheduler()
	w.startWorker()
	tt, ig := w.connectBoth()
	dump := w.redisDump()

	w.troubledConnects()
	clip, still := w.upload("video/mp4", sample.Video), w.upload("image/jpeg", sample.Picture)
	for _, mode := range []sandbox.Mode{sandbox.ModeReset, sandbox.ModeError} {
		w.exec("UPDATE oauth_accounts SET refreshed_at = refreshed_at - INTERVAL '1 hour', refresh_failures = 0, upkeep_at = NULL")
		w.sim.Script(sandbox.Fault{Op: sandbox.OpTikTokRefreshToken, Mode: mode, Code: "server_error"})
		w.sim.ExpireTikTokAccess("-000one")
		p := w.accept(tt, video(tt, clip, string(mode)))
		w.untilDeferred(p.ID, "token_refresh")
		w.exec("UPDATE oauth_accounts SET refresh_failures = 0, upkeep_at = NULL") // nobody waits for a minute here
		w.call(testkit.Call{Method: "PATCH", Path: "/api/posts/" + p.ID, JSON: fields{"publish_at": time.Now()}}).Want(200)
		w.untilStatus(testkit.Patience, p.ID, "published")
	}
	w.prolong(sandbox.Fault{Op: sandbox.OpInstagramExchangeToken, Mode: sandbox.ModeTruncate})
	w.prolong(sandbox.Fault{Op: sandbox.OpInstagramPage, Mode: sandbox.ModeReset})
	w.exec("UPDATE instagram_accounts SET updated_at = updated_at - INTERVAL '1 hour'")
	w.sim.InvalidateFacebook("9001", 463)
	p := w.accept(ig, picture(ig, still, "refused"))
	w.untilDeferred(p.ID, "reauth_required")
	dump += w.redisDump()

	w.connectVia("instagram", "9001", nil)
	w.untilStatus(testkit.Patience, p.ID, "published")
	signedRequest := w.notices()
	w.sim.Script(sandbox.Fault{Op: sandbox.OpTikTokRevoke, Mode: sandbox.ModeReset, After: true})
	w.connectVia("tiktok", "-000one", nil)
	w.call(testkit.Call{Method: "DELETE", Path: fmt.Sprintf("/api/accounts/tiktok/%d", tt.id)}).Want(200)
	w.accounts()
	for _, p := range w.posts() {
		w.events(p.ID)
	}
	if left := w.sim.PendingFaults(); len(left) > 0 {
		t.Errorf("troubles that never came: %+v", left)
	}

	secrets := wire.secrets()
	secrets["signed_request"] = signedRequest
	secrets["api key"], secrets["encryption key"] = w.key.Reveal(), encryptionKey
	secrets["facebook app secret"], secrets["tiktok client secret"] = w.env["FACEBOOK_APP_SECRET"], w.env["TIKTOK_CLIENT_SECRET"]
	wantKinds(t, secrets, "access_token", "appsecret_proof", "code", "code_verifier", "refresh_token", "fb_exchange_token", "input_token", "token", "state", "signed_request")
	places := map[string]string{
		"logs": w.logs.String(), "redis": dump + w.redisDump(), "database": w.databaseDump(),
	}
	for place, text := range places {
		wantNone(t, place, text, secrets)
	}
	for name := range secrets {
		if strings.HasPrefix(name, "state") { // the app gets it, as part of the address to send its user to
			delete(secrets, name)
		}
	}
	wantNone(t, "answers", answers.String(), secrets)
	for place, text := range places {
		if len(text) < 1000 {
			t.Errorf("%s: only %q was seen", place, text)
		}
	}
}

// troubledConnects ends connects in every way that is no good end.
func (w *system) troubledConnects() {
	w.t.Helper()
	w.connectVia("tiktok", "-000one", url.Values{"decision": {"deny"}})
	w.connectVia("instagram", "9001", url.Values{"decision": {"deny"}})
	w.connectVia("tiktok", "-000one", url.Values{"form": {"1"}, "scope": {"user.info.basic"}})
	for platform, ops := range map[string][]string{
		"tiktok": {sandbox.OpTikTokExchangeCode, sandbox.OpTikTokUserInfo},
		"instagram": {
			sandbox.OpInstagramExchangeCode, sandbox.OpInstagramExchangeToken, sandbox.OpInstagramPermissions, sandbox.OpInstagramMe,
			sandbox.OpInstagramDebugToken, sandbox.OpInstagramPages, sandbox.OpInstagramBusinesses,
		},
	} {
		person := map[string]string{"tiktok": "-000one", "instagram": "9001"}[platform]
		for _, op := range ops {
			for _, f := range []sandbox.Fault{{Mode: sandbox.ModeReset, After: true}, {Mode: sandbox.ModeTruncate}, {Mode: sandbox.ModeStatus}} {
				f.Op = op
				callback := w.consent(platform, person, nil)
				w.sim.Script(f)
				w.end(callback)
				w.end(callback) // and once more
			}
		}
	}
	used := w.consent("tiktok", "-000one", nil)
	w.end(used)
	other, err := url.Parse(w.consent("tiktok", "-000one", nil))
	w.must(err)
	first, err := url.Parse(used)
	w.must(err)
	q := other.Query()
	q.Set("code", first.Query().Get("code"))
	other.RawQuery = q.Encode()
	if got := w.end(other.String()); got.Get("code") != "CODE_REFUSED" {
		w.t.Errorf("a code used twice: %v", got)
	}
	w.browse("GET", w.url()+"/api/auth/tiktok/callback?state=forged&code="+q.Get("code"), nil)
	w.browse("GET", w.url()+"/api/auth/nowhere/callback?code="+q.Get("code"), nil)
	for platform, person := range map[string]string{"tiktok": "-000one", "instagram": "9001"} {
		if got := w.connectVia(platform, person, nil); got.Get("status") != "connected" {
			w.t.Fatalf("%s: %v", platform, got)
		}
	}
}

func (w *system) untilDeferred(id, reason string) {
	w.t.Helper()
	testkit.Await(w.t, testkit.Patience, "the post waits for "+reason, func() (bool, string) {
		got := w.post(id)
		return got.DeferredReason != nil && *got.DeferredReason == reason, fmt.Sprintf("%+v\n%s", got, story(w.events(id)))
	})
}

// prolong makes the Facebook login due, with a trouble on the way, and waits for the end
// of the upkeep that meets it, which notes when it is due next.
func (w *system) prolong(f sandbox.Fault) {
	w.t.Helper()
	w.sim.Script(f)
	w.exec(`UPDATE oauth_accounts SET expires_at = NOW() AT TIME ZONE 'UTC' + INTERVAL '1 day', refreshed_at = NOW() - INTERVAL '59 days', upkeep_at = NOW()
		WHERE provider = 'instagram'`)
	testkit.Await(w.t, testkit.Patience, "the trouble came", func() (bool, string) { return len(w.sim.PendingFaults()) == 0, "pending" })
	w.untilIdle(testkit.Patience)
}

// notices are what platforms tell us about consents, good and forged.
func (w *system) notices() (signedRequest string) {
	w.t.Helper()
	payload := base64.RawURLEncoding.EncodeToString([]byte(`{"algorithm":"HMAC-SHA256","issued_at":1,"user_id":"9001"}`))
	signed := base64.RawURLEncoding.EncodeToString(mac(w.env["FACEBOOK_APP_SECRET"], payload)) + "." + payload
	for _, path := range []string{"/api/auth/instagram/deauthorize", "/api/auth/instagram/delete-data"} {
		for request, want := range map[string]int{signed: http.StatusOK, signed + "x": http.StatusUnauthorized} {
			if got := w.browse("POST", w.url()+path, url.Values{"signed_request": {request}}); got.StatusCode != want {
				w.t.Errorf("%s: %s", path, got.Status)
			}
		}
	}
	body := fmt.Sprintf(`{"client_key":"k","event":"authorization.removed","create_time":%d,"user_openid":"-000one","content":"{\"reason\":1}"}`, time.Now().Add(time.Minute).Unix())
	at := fmt.Sprint(time.Now().Unix())
	signature := "t=" + at + ",s=" + hex.EncodeToString(mac(w.env["TIKTOK_CLIENT_SECRET"], at+"."+body))
	w.call(testkit.Call{Method: "POST", Path: "/api/webhooks/tiktok", Body: strings.NewReader(body), Headers: map[string]string{"TikTok-Signature": signature}}).Want(200)
	testkit.Await(w.t, testkit.Patience, "a worker heeded TikTok's notice", func() (bool, string) {
		i := slices.IndexFunc(w.accounts(), func(a connected) bool { return a.Platform == "tiktok" })
		return w.accounts()[i].Status == "disconnected", fmt.Sprintf("%+v", w.accounts())
	})
	return signed
}

func mac(secret, text string) []byte {
	h := hmac.New(sha256.New, []byte(secret))
	h.Write([]byte(text))
	return h.Sum(nil)
}
