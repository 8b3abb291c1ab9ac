package handlers_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"socialqueue/models"
	"socialqueue/oauth"
	instagramlogin "socialqueue/oauth/instagram"
	"socialqueue/test/testkit"
)

const (
	webhookPath     = "/api/webhooks/tiktok"
	deauthorizePath = "/api/auth/instagram/deauthorize"
	deletePath      = "/api/auth/instagram/delete-data"
)

func mac(secret string, parts ...string) []byte {
	h := hmac.New(sha256.New, []byte(secret))
	for _, part := range parts {
		h.Write([]byte(part))
	}
	return h.Sum(nil)
}

// tiktokSignature signs a body as TikTok does.
func tiktokSignature(secret string, at time.Time, body string) string {
	t := fmt.Sprint(at.Unix())
	return "t=" + t + ",s=" + hex.EncodeToString(mac(secret, t, ".", body))
}

// signedRequest signs a payload as Meta does.
func signedRequest(secret, payload string) string {
	encoded := base64.RawURLEncoding.EncodeToString([]byte(payload))
	return base64.RawURLEncoding.EncodeToString(mac(secret, encoded)) + "." + encoded
}

// removed is TikTok's event that a person withdrew the consent.
func removed(openID string, at time.Time, reason int) string {
	body, err := json.Marshal(map[string]any{
		"client_key": "sim-client-key", "event": "authorization.removed", "create_time": at.Unix(), "user_openid": openID,
		"content": fmt.Sprintf(`{"reason": %d}`, reason), // JSON within a string, as all of TikTok's
	})
	if err != nil {
		panic(err)
	}
	return string(body)
}

// webhook sends a body with a signature, unless that is empty.
func (w *fixture) webhook(signature, body string) *reply {
	w.t.Helper()
	c := call{method: "POST", path: webhookPath, noKey: true, body: strings.NewReader(body), contentType: "application/json"}
	if signature != "" {
		c.headers = map[string]string{"TikTok-Signature": signature}
	}
	return w.do(c)
}

// tiktokSays sends a body with a valid signature of TikTok.
func (w *fixture) tiktokSays(body string) *reply {
	w.t.Helper()
	return w.webhook(tiktokSignature(tiktokSecret, w.clock.Now(), body), body)
}

// form sends a form without a key.
func (w *fixture) form(path, body string) *reply {
	w.t.Helper()
	return w.do(call{method: "POST", path: path, noKey: true, body: strings.NewReader(body), contentType: "application/x-www-form-urlencoded"})
}

// metaSays sends a person's request with a valid signature of Meta.
func (w *fixture) metaSays(path, userID string) *reply {
	w.t.Helper()
	return w.metaSaid(path, userID, w.clock.Now())
}

func (w *fixture) metaSaid(path, userID string, at time.Time) *reply {
	w.t.Helper()
	payload := fmt.Sprintf(`{"algorithm":"HMAC-SHA256","user_id":%q,"issued_at":%d}`, userID, at.Unix())
	return w.form(path, url.Values{"signed_request": {signedRequest(facebookSecret, payload)}}.Encode())
}

// wantTaken checks the answer to an accepted message.
func (r *reply) wantTaken() {
	r.T.Helper()
	if got := strings.TrimSpace(string(r.want(200).Body)); got != `{"status":"ok"}` {
		r.T.Errorf("answer %s", got)
	}
}

// A webhook is accepted if the signature covers the exact bytes, and is recent.
func TestTikTokSignature(t *testing.T) {
	each(t, func(t *testing.T, w *fixture) {
		w.clock.Advance(time.Hour) // what is told now is told of accounts that were connected before
		at, body := w.clock.Now(), removed("ours", w.clock.Now(), 1)
		good := tiktokSignature(tiktokSecret, at, body)
		stamp, signature, _ := strings.Cut(good, ",")
		before := w.stored()
		for name, tc := range map[string]struct{ signature, body string }{
			"no signature":           {"", body},
			"blank":                  {" ", body},
			"nonsense":               {"nonsense", body},
			"no time":                {signature, body},
			"no hash":                {stamp, body},
			"empty hash":             {stamp + ",s=", body},
			"time is no number":      {"t=now,s=" + hex.EncodeToString(mac(tiktokSecret, "now.", body)), body},
			"empty time":             {"t=,s=" + hex.EncodeToString(mac(tiktokSecret, ".", body)), body},
			"another secret":         {tiktokSignature("other", at, body), body},
			"the empty secret":       {tiktokSignature("", at, body), body},
			"Meta's secret":          {tiktokSignature(facebookSecret, at, body), body},
			"another time":           {fmt.Sprintf("t=%d,%s", at.Unix()+1, signature), body},
			"another body":           {tiktokSignature(tiktokSecret, at, body+" "), body},
			"another person":         {good, strings.Replace(body, `"ours"`, `"theirs"`, 1)},
			"a space more":           {good, body + " "},
			"a line break more":      {good, body + "\n"},
			"the same JSON":          {good, strings.Replace(body, `":"`, `": "`, 1)},
			"cut off":                {good, body[:len(body)-1]},
			"no body":                {good, ""},
			"the body alone":         {stamp + ",s=" + hex.EncodeToString(mac(tiktokSecret, body)), body},
			"in base64":              {stamp + ",s=" + base64.StdEncoding.EncodeToString(mac(tiktokSecret, stamp[2:], ".", body)), body},
			"stale":                  {tiktokSignature(tiktokSecret, at.Add(-5*time.Minute-time.Second), body), body},
			"from the future":        {tiktokSignature(tiktokSecret, at.Add(5*time.Minute+time.Second), body), body},
			"signed, but nothing":    {tiktokSignature(tiktokSecret, at, ""), ""},
			"signed, but no JSON":    {tiktokSignature(tiktokSecret, at, "hello"), "hello"},
			"signed, but no object":  {tiktokSignature(tiktokSecret, at, "[]"), "[]"},
			"signed, but no event":   {tiktokSignature(tiktokSecret, at, `{"user_openid":"ours"}`), `{"user_openid":"ours"}`},
			"signed, two JSON texts": {tiktokSignature(tiktokSecret, at, body+body), body + body},
		} {
			t.Run(name, func(t *testing.T) {
				w := w.in(t)
				r := w.webhook(tc.signature, tc.body)
				r.WantProblem(401, "WEBHOOK_INVALID", "")
				if r.Header.Get("WWW-Authenticate") != "" || strings.Contains(string(r.Body), signature[2:]) {
					t.Errorf("the answer tells too much: %v %s", r.Header, r.Body)
				}
				w.wantUnchanged(before)
			})
		}
		// The signature covers the bytes, however they are formatted, as long as clocks may
		// differ.
		nobody := removed("nobody", at, 1)
		spaced := " {\n\t" + nobody[1:] + "\r\n"
		w.webhook(tiktokSignature(tiktokSecret, at, spaced), spaced).wantTaken()
		w.webhook(tiktokSignature(tiktokSecret, at.Add(-5*time.Minute), nobody), nobody).wantTaken()
		w.webhook(tiktokSignature(tiktokSecret, at.Add(5*time.Minute), nobody), nobody).wantTaken()
		w.wantUnchanged(before)
		w.webhook(good, body).wantTaken()
		if after := w.stored(); after == before {
			t.Error("the good one changed nothing")
		}
	})
}

// The documented test vector matches exactly.
func TestTikTokSignatureVector(t *testing.T) {
	w := onSQLite(t)
	const body = `{"client_key":"sim_client_key","event":"post.publish.complete","create_time":1790000000,"user_openid":"-000simUser","content":"{\"publish_id\":\"v_pub_file~v2-1.7600000000000000001\",\"publish_type\":\"DIRECT_PUBLISH\"}"}`
	const signature = "t=1790000000,s=9d18e18461740b74096a5e7f0f814a0f58d23b96190163bfbb766b150a5f70a0"
	w.clock.Advance(time.Unix(1790000000, 0).Sub(w.clock.Now()))
	before := w.stored()
	w.webhook(signature, body).wantTaken()
	// Header names have any case; the sample's differs from the text's.
	w.do(call{
		method: "POST", path: webhookPath, noKey: true, body: strings.NewReader(body), headers: map[string]string{"tiktok-signature": signature},
	}).wantTaken()
	w.webhook(strings.Replace(signature, "s=9", "s=8", 1), body).WantProblem(401, "WEBHOOK_INVALID", "")
	w.wantUnchanged(before)
}

// Without a secret no signature can be verified, so nothing is accepted.
func TestMessagesWithoutASecret(t *testing.T) {
	w := onSQLite(t)
	w.fromTikTok.Secret = ""
	w.oauth.Connectors = []oauth.Connector{oauth.Unconfigured(models.Instagram, instagramlogin.Settings)}
	w.build()
	w.clock.Advance(time.Hour)
	before := w.stored()
	body := removed("ours", w.clock.Now(), 1)
	w.webhook(tiktokSignature("", w.clock.Now(), body), body).WantProblem(401, "WEBHOOK_INVALID", "")
	for _, path := range []string{deauthorizePath, deletePath} {
		forged := signedRequest("", `{"algorithm":"HMAC-SHA256","user_id":"ig-ours"}`)
		w.form(path, "signed_request="+forged).WantProblem(401, "WEBHOOK_INVALID", "")
	}
	w.wantUnchanged(before)
}

func TestMessagesHaveABound(t *testing.T) {
	w := onSQLite(t)
	const most = 1 << 20
	before := w.stored()
	body := removed("nobody", w.clock.Now(), 1)
	body += strings.Repeat(" ", most-len(body))
	w.tiktokSays(body).wantTaken()
	body += " "
	w.tiktokSays(body).WantProblem(413, "TOO_LARGE", "")
	w.do(call{method: "POST", path: webhookPath, noKey: true, body: onlyReader{bytes.NewReader([]byte(body))}, headers: map[string]string{
		"TikTok-Signature": fmt.Sprintf("t=%d,s=%064d", w.clock.Now().Unix(), 0),
	}}).WantProblem(413, "TOO_LARGE", "")
	for _, path := range []string{deauthorizePath, deletePath} {
		w.form(path, body).WantProblem(413, "TOO_LARGE", "")
		w.do(call{method: "POST", path: path, noKey: true, body: onlyReader{bytes.NewReader([]byte(body))}}).WantProblem(413, "TOO_LARGE", "")
	}
	w.wantUnchanged(before)
}

// TikTok's event disconnects the person's accounts in all apps, and no others.
func TestTikTokAuthorizationRemoved(t *testing.T) {
	each(t, func(t *testing.T, w *fixture) {
		same := []int64{w.importAccount(&w.ours, w.ours.userID, models.TikTok, "-000same"), w.importAccount(&w.theirs, w.theirs.userID, models.TikTok, "-000same")}
		waiting, others := w.waitingPosts(models.TikTok, same[0]), w.waitingPosts(models.TikTok, w.ours.tiktok)
		w.clock.Advance(time.Minute)
		for range 2 { // events come more than once
			w.tiktokSays(removed("-000same", w.clock.Now(), 1)).wantTaken()
		}
		const reason = "the person disconnected this app at TikTok"
		for i, who := range []*tenant{&w.ours, &w.theirs} {
			for _, a := range w.do(call{method: "GET", path: "/api/accounts?platform=tiktok", as: who}).want(200).Array() {
				status, why := "active", any(nil)
				if a["id"] == float64(same[i]) {
					status, why = "disconnected", reason
				}
				if a["status"] != status || a["status_reason"] != why {
					t.Errorf("account %v, want %s", a, status)
				}
			}
		}
		w.wantCanceled(waiting, reason)
		w.wantWaiting(others)
		w.tryPost(models.TikTok, same[0]).WantProblem(409, "CONFLICT", "")

		// A late event does not affect a consent that was given meanwhile.
		late := w.clock.Now()
		w.clock.Advance(time.Minute)
		w.importAccount(&w.ours, w.ours.userID, models.TikTok, "-000same")
		w.tiktokSays(removed("-000same", late, 1)).wantTaken()
		if a := w.account(models.TikTok, fmt.Sprint(same[0])); a["status"] != "active" {
			t.Errorf("account %v", a)
		}
	})
}

// Each of TikTok's numbers has a text, and an unknown number too.
func TestReasonsOfARemoval(t *testing.T) {
	w := onSQLite(t)
	w.clock.Advance(time.Minute)
	seen := map[string]bool{}
	for number := range 8 {
		person := fmt.Sprintf("-000person%d", number)
		id := w.importAccount(&w.ours, w.ours.userID, models.TikTok, person)
		w.clock.Advance(time.Minute)
		w.tiktokSays(removed(person, w.clock.Now(), number)).wantTaken()
		a := w.account(models.TikTok, fmt.Sprint(id))
		reason, _ := a["status_reason"].(string)
		if known := number <= 5; a["status"] != "disconnected" || reason == "" || seen[reason] == known { // new numbers have the words of 0
			t.Errorf("reason %d: %v", number, a)
		}
		seen[reason] = true
	}
}

// Unknown events are accepted, or TikTok would repeat them for three days.
func TestOtherTikTokEvents(t *testing.T) {
	each(t, func(t *testing.T, w *fixture) {
		w.clock.Advance(time.Minute)
		before := w.stored()
		for _, body := range []string{
			`{"event":"post.publish.complete","user_openid":"ours","content":"{}"}`, `{"event":"new.in.2027","user_openid":"ours"}`,
			`{"event":"authorization.removed"}`, `{"event":"authorization.removed","user_openid":""}`,
			`{"event":"authorization.removed","user_openid":null,"content":7}`,
			`{"event":"authorization.removed","user_openid":"\u0000"}`, `{"event":"authorization.removed","user_openid":"ours\u0000"}`,
			removed("nobody", w.clock.Now(), 1), removed("OURS", w.clock.Now(), 1), removed("ig-ours", w.clock.Now(), 1), removed(strings.Repeat("x", 10_000), w.clock.Now(), 1),
		} {
			w.tiktokSays(body).wantTaken()
		}
		w.wantUnchanged(before)
	})
}

func TestSignedRequests(t *testing.T) {
	each(t, func(t *testing.T, w *fixture) {
		w.clock.Advance(time.Hour)
		payload := fmt.Sprintf(`{"algorithm":"HMAC-SHA256","user_id":"ig-ours","issued_at":%d}`, w.clock.Now().Unix())
		good := signedRequest(facebookSecret, payload)
		signature, encoded, _ := strings.Cut(good, ".")
		other := base64.RawURLEncoding.EncodeToString([]byte(strings.Replace(payload, "ours", "theirs", 1)))
		field := func(value string) string { return url.Values{"signed_request": {value}}.Encode() }
		before := w.stored()
		for name, body := range map[string]string{
			"nothing":                "",
			"no such field":          "request=" + good,
			"empty":                  "signed_request=",
			"nonsense":               "signed_request=nonsense",
			"only a dot":             "signed_request=.",
			"no signature":           field("." + encoded),
			"no payload":             field(signature + "."),
			"signature alone":        field(signature),
			"other way round":        field(encoded + "." + signature),
			"another secret":         field(signedRequest("other", payload)),
			"the empty secret":       field(signedRequest("", payload)),
			"TikTok's secret":        field(signedRequest(tiktokSecret, payload)),
			"another person":         field(signature + "." + other),
			"a byte more":            field(good + "x"),
			"signed as plain text":   field(base64.RawURLEncoding.EncodeToString(mac(facebookSecret, payload)) + "." + encoded),
			"signature in hex":       field(hex.EncodeToString(mac(facebookSecret, encoded)) + "." + encoded),
			"signed, no JSON":        field(signedRequest(facebookSecret, "hello")),
			"signed, a list":         field(signedRequest(facebookSecret, "[]")),
			"signed, no user":        field(signedRequest(facebookSecret, `{"algorithm":"HMAC-SHA256"}`)),
			"signed, an odd user":    field(signedRequest(facebookSecret, `{"algorithm":"HMAC-SHA256","user_id":"a b"}`)),
			"signed, no algorithm":   field(signedRequest(facebookSecret, `{"user_id":"ig-ours"}`)),
			"signed, algorithm none": field(signedRequest(facebookSecret, `{"algorithm":"none","user_id":"ig-ours"}`)),
			"as JSON":                `{"signed_request":"` + good + `"}`,
		} {
			t.Run(name, func(t *testing.T) {
				w := w.in(t)
				for _, path := range []string{deauthorizePath, deletePath} {
					w.form(path, body).WantProblem(401, "WEBHOOK_INVALID", "")
					w.form(path+"?"+field(good), body).WantProblem(401, "WEBHOOK_INVALID", "") // what counts is the body
				}
				w.wantUnchanged(before)
			})
		}
		for _, path := range []string{deauthorizePath, deletePath} {
			w.form(path, "signed_request=%zz").WantProblem(400, "VALIDATION_FAILED", "")
		}
		w.wantUnchanged(before)
		// With padding and without, and with unknown fields.
		padded := base64.URLEncoding.EncodeToString([]byte(`{"algorithm":"HMAC-SHA256","user_id":"nobody1"}`))
		w.form(deauthorizePath, "a=1&"+field(base64.URLEncoding.EncodeToString(mac(facebookSecret, padded))+"."+padded)).wantTaken()
		w.wantUnchanged(before)
		w.form(deauthorizePath, field(good)).wantTaken()
		if after := w.stored(); after == before {
			t.Error("the good one changed nothing")
		}
	})
}

// A person who removes the app at Facebook disconnects all accounts of the login.
func TestFacebookDeauthorized(t *testing.T) {
	eachWithPlatforms(t, func(t *testing.T, w *fixture) {
		w.addPeople()
		id := w.connect(models.Instagram)
		waiting, others := w.waitingPosts(models.Instagram, id), w.waitingPosts(models.Instagram, w.ours.instagram)
		w.clock.Advance(time.Minute)
		late := w.clock.Now()
		for range 2 {
			w.metaSays(deauthorizePath, baker).wantTaken()
		}
		const reason = "the person removed this app at Facebook"
		if a := w.account(models.Instagram, fmt.Sprint(id)); a["status"] != "disconnected" || a["status_reason"] != reason {
			t.Errorf("account %v", a)
		}
		if a := w.account(models.Instagram, fmt.Sprint(w.ours.instagram)); a["status"] != "active" {
			t.Errorf("the other account is %v", a)
		}
		w.wantCanceled(waiting, reason)
		w.wantWaiting(others)
		w.tryPost(models.Instagram, id).WantProblem(409, "CONFLICT", "")

		w.clock.Advance(time.Minute)
		if again := w.connect(models.Instagram); again != id {
			t.Errorf("connected again as %d, was %d", again, id)
		}
		w.metaSaid(deauthorizePath, baker, late).wantTaken()
		if a := w.account(models.Instagram, fmt.Sprint(id)); a["status"] != "active" {
			t.Errorf("an older message ended %v", a)
		}
	})
}

// A person's data is deleted on request, and a page shows the progress.
func TestDataDeletion(t *testing.T) {
	eachWithPlatforms(t, func(t *testing.T, w *fixture) {
		w.addPeople()
		id := w.connect(models.Instagram)
		waiting := w.waitingPosts(models.Instagram, id)
		w.clock.Advance(time.Minute)
		asked := w.metaSays(deletePath, baker).want(200)
		if got := keysOf(asked.Object()); !slices.Equal(got, []string{"confirmation_code", "url"}) {
			t.Errorf("fields %v", got)
		}
		code := asked.Text("confirmation_code")
		page := "/api/auth/instagram/deletions/" + code
		if !stateForm.MatchString(code) || asked.Text("url") != publicURL+page {
			t.Errorf("answer %s", asked.Body)
		}
		if again := w.metaSays(deletePath, baker).want(200); string(again.Body) != string(asked.Body) {
			t.Errorf("asked again: %s, first %s", again.Body, asked.Body)
		}
		if a := w.account(models.Instagram, fmt.Sprint(id)); a["status"] != "disconnected" || a["status_reason"] != "the person asked for the deletion of their data" {
			t.Errorf("account %v", a)
		}
		w.tryPost(models.Instagram, id).WantProblem(409, "CONFLICT", "")
		w.browse(page).wantPage(200, "Your data is being deleted", "Reload this page", code)
		w.browse(w.consent(models.Instagram, w.begin(models.Instagram, ""))).wantPage(503, "DELETION_UNDER_WAY", "is being deleted, as requested. Wait a minute")

		w.clock.Advance(26 * time.Hour)
		w.must(w.accounts.Erase(t.Context()))
		done := w.browse(page)
		done.wantPage(200, "Your data is deleted", "was deleted on 24 November 2026, 12:01 UTC", code)
		for _, personal := range []string{baker, "Ann", "akery", "17841400000000001", "ours"} {
			if strings.Contains(string(done.Body), personal) {
				t.Errorf("the page tells of the person: %q", personal)
			}
		}
		if got := names(w.list("platform=instagram")); !slices.Equal(got, []string{fmt.Sprintf("instagram %d", w.ours.instagram)}) {
			t.Errorf("the list shows %v", got)
		}
		w.disconnect(models.Instagram, id).WantProblem(404, "NOT_FOUND", "")
		w.tryPost(models.Instagram, id).WantProblem(404, "NOT_FOUND", "")
		for _, post := range waiting {
			w.do(call{method: "GET", path: "/api/posts/" + post}).WantProblem(404, "NOT_FOUND", "")
		}
		pages := fmt.Sprintf("/api/accounts/instagram/pages?user_id=%d", w.ours.userID)
		if got := w.do(call{method: "GET", path: pages}).want(200).Array(); len(got) != 0 {
			t.Errorf("Pages are left: %v", got)
		}

		// A person who connects again is new, and their data is not deleted.
		if again := w.connect(models.Instagram); again == id {
			t.Errorf("connected as %d again", again)
		}
		w.browse(page).wantPage(200, "Your data is deleted")
		if other := w.metaSays(deletePath, baker).want(200).Text("confirmation_code"); other == code {
			t.Error("another wish has the code of the first")
		}
	})
}

// A deletion request of an unknown person is completed at once. An older request does not
// affect what was connected after it.
func TestDeletionOfNothing(t *testing.T) {
	each(t, func(t *testing.T, w *fixture) {
		before := w.stored()
		for _, request := range []*reply{
			w.metaSays(deletePath, "4711"),
			w.metaSaid(deletePath, "ig-ours", testkit.Epoch.Add(-time.Minute)),
		} {
			w.browse("/api/auth/instagram/deletions/"+request.want(200).Text("confirmation_code")).
				wantPage(200, "Your data is deleted", "23 November 2026, 10:00 UTC")
		}
		w.must(w.accounts.Erase(t.Context()))
		w.wantUnchanged(before)
	})
}

func TestUnknownDeletions(t *testing.T) {
	each(t, func(t *testing.T, w *fixture) {
		w.clock.Advance(time.Minute)
		code := w.metaSays(deletePath, "ig-ours").want(200).Text("confirmation_code")
		w.browse("/api/auth/instagram/deletions/"+code).wantPage(200, "is being deleted")
		for _, other := range []string{
			"x", "%00", "%ff", "%27%20OR%201=1", "<script>", strings.ToLower(code), code[1:], code + "x", "%25", strings.Repeat("9", 300), models.NewID(), "",
		} {
			r := w.browse("/api/auth/instagram/deletions/" + other)
			if other == "" {
				r.want(401) // no route of ours, so it takes a key to learn that
				continue
			}
			r.WantProblem(404, "NOT_FOUND", "")
			if strings.Contains(string(r.Body), "script") {
				t.Errorf("the answer repeats the request: %s", r.Body)
			}
		}
		w.browse("/api/auth/tiktok/deletions/" + code).want(401)
	})
}

// Platforms and browsers have no key; a key that is sent anyway is ignored.
func TestMessagesIgnoreKeys(t *testing.T) {
	w := onSQLite(t)
	w.clock.Advance(time.Minute)
	body := removed("ours", w.clock.Now(), 1)
	for _, key := range []string{"", "Bearer nonsense", "Bearer " + w.theirs.key} {
		w.do(call{
			method: "POST", path: webhookPath, noKey: true, body: strings.NewReader(body),
			headers: map[string]string{"Authorization": key, "TikTok-Signature": tiktokSignature(tiktokSecret, w.clock.Now(), body)},
		}).wantTaken()
	}
	w.do(call{method: "POST", path: webhookPath, json: body}).WantProblem(401, "WEBHOOK_INVALID", "") // a key is no signature
}

// Signed messages of platforms do not appear in the log.
func TestMessagesAreNotLogged(t *testing.T) {
	w := onSQLite(t)
	w.clock.Advance(time.Minute)
	body := removed("ours", w.clock.Now(), 1)
	signature := tiktokSignature(tiktokSecret, w.clock.Now(), body)
	w.webhook(signature, body).wantTaken()
	w.webhook(signature+"0", body).want(401)
	payload := `{"algorithm":"HMAC-SHA256","user_id":"ig-ours"}`
	request := signedRequest(facebookSecret, payload)
	w.form(deauthorizePath, "signed_request="+request).wantTaken()
	w.form(deletePath, "signed_request="+request+"x").want(401)
	log := w.log.String()
	hash := signature[len("t=1234567890,s="):]
	for _, secret := range []string{hash, request, request[:20], "user_openid", tiktokSecret, facebookSecret} {
		if strings.Contains(log, secret) {
			t.Errorf("the log holds %q: %s", secret, log)
		}
	}
	if strings.Count(log, "POST "+webhookPath) != 2 {
		t.Errorf("the webhooks are not in the log: %s", log)
	}
}
