package tiktok

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"socialqueue/platform"
	"socialqueue/platform/wire"
)

func FuzzEnvelope(f *testing.F) {
	for _, s := range []string{
		`{"data":{},"error":{"code":"ok","message":"","log_id":"202611220633SIM"}}`,
		`{"error":{"code":"spam_risk_too_many_posts","message":"Please review","logid":"L"}}`,
		`{"error":"invalid_grant","error_description":"Refresh token is invalid or expired.","log_id":"20261122063355SIM0000000000000001"}`,
		`{"data":null,"error":null}`, `<html>503</html>`, `Unsupported path(Janus)`, ``, `{"error":{"code":{}}}`,
	} {
		f.Add([]byte(s), 400)
	}
	f.Fuzz(func(t *testing.T, body []byte, status int) {
		e, err := parseEnvelope(body)
		if err == nil && !json.Valid(body) {
			t.Fatalf("read %q", body)
		}
		for _, c := range []wire.Class{wire.Reading, wire.Creating} {
			v := judge(opInit, c, status, e.code)
			if v.Kind == platform.RateLimited && v.Wait < minuteWait {
				t.Fatalf("no wait for %d %q", status, e.code)
			}
			if v.Code == "" {
				t.Fatalf("%d %q: %+v", status, e.code, v)
			}
			if o := judgeOAuth(c, status, e.code); o.Code == "" || o.Kind == platform.AuthExpired && e.code != "invalid_grant" {
				t.Fatalf("OAuth %d %q: %+v", status, e.code, o)
			}
			if c == wire.Creating && status >= 500 && v.Kind == platform.Transient {
				t.Fatalf("a lost init reads as nothing happened: %q", e.code)
			}
		}
	})
}

func FuzzStatus(f *testing.F) {
	for _, s := range []string{
		`{"fail_reason":"file_format_check_failed","status":"FAILED"}`,
		`{"status":"PUBLISH_COMPLETE","publicaly_available_post_id":[7602997517160123666],"uploaded_bytes":8123456}`,
		`{"status":"PUBLISH_COMPLETE","publicaly_available_post_id":"7602997517160123666"}`,
		`{"status":"PUBLISH_COMPLETE","publicaly_available_post_id":["760",7,null,{}]}`,
		`{}`, `[]`, `null`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := parseStatus(data)
		if err != nil {
			return
		}
		if s.UploadedBytes < 0 {
			t.Fatalf("%d bytes", s.UploadedBytes)
		}
		for _, id := range s.PostIDs {
			if !isID(id) {
				t.Fatalf("id %q", id)
			}
		}
	})
}

func FuzzCreatorInfoAndUpload(f *testing.F) {
	f.Add([]byte(`{"creator_username":"simcafe","privacy_level_options":["SELF_ONLY"],"max_video_post_duration_sec":600}`))
	f.Add([]byte(`{"publish_id":"v_pub_file~v2-1.7601447475849021452","upload_url":"https://open-upload-va.tiktokapis.com/upload?upload_id=1&upload_token=SIM"}`))
	c, err := New(Config{})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if info, err := parseCreatorInfo(data); err == nil && info.MaxVideoDuration < 0 {
			t.Fatalf("%+v", info)
		}
		up, err := parseUpload(data)
		if err != nil {
			return
		}
		if u, err := c.uploadURL(c.begin(opInit, wire.Creating), up.URL); err == nil && (u.Scheme != "https" || !isTikTok(u.Hostname()) || u.User != nil) {
			t.Fatalf("%s is allowed", u)
		}
	})
}

func FuzzReceived(f *testing.F) {
	f.Add("bytes 0-9999999/64000001", int64(64_000_001))
	f.Add("bytes 0-49/50", int64(50))
	f.Add("bytes */50", int64(50))
	f.Fuzz(func(t *testing.T, header string, total int64) {
		if n := received(header, total); n < -1 || n > total && n != -1 {
			t.Fatalf("%q of %d: %d", header, total, n)
		}
	})
}

func FuzzRetryAfter(f *testing.F) {
	f.Add("60")
	f.Add("Wed, 21 Oct 2026 07:28:00 GMT")
	f.Fuzz(func(t *testing.T, header string) {
		resp := &http.Response{Header: http.Header{"Retry-After": {header}}}
		if w := waitOf(throttled, resp); w < minuteWait || w > maxWait {
			t.Fatalf("%q: %s", header, w)
		}
	})
}

func FuzzGrantAndUserInfo(f *testing.F) {
	f.Add([]byte(grantBody))
	f.Add([]byte(`<html>`))
	f.Add([]byte(`{"access_token":"act.SIM123","expires_in":"7200","refresh_expires_in":-1,"scope":",, ,"}`))
	f.Add([]byte(`{"user":{"open_id":"-000SimOpenId","union_id":"u","display_name":"Sim Cafe"}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		g := parseGrant(body)
		if g.ExpiresIn < 0 || g.RefreshExpiresIn < 0 {
			t.Fatalf("%+v", g)
		}
		for _, s := range g.Scopes {
			if s == "" {
				t.Fatal("an empty scope")
			}
		}
		if info, err := parseUserInfo(body); err == nil && info.OpenID == "" {
			t.Fatal("nobody")
		}
	})
}

func FuzzVerifySignature(f *testing.F) {
	f.Add(signedHeader, []byte(signedBody), uint16(0))
	f.Add("t=,s=", []byte(``), uint16(1))
	f.Add("s=9d18,t=-1,t=1790000000,x", []byte(`{}`), uint16(2))
	f.Add("t=99999999999999999999,s=00", []byte(`{}`), uint16(3))
	f.Fuzz(func(t *testing.T, header string, body []byte, where uint16) {
		at, _ := splitSignature(header)
		err := VerifySignature(header, body, webhookSecret, signedAt, time.Minute)
		if err == nil && !strings.Contains(header, "s="+sign(at, body, webhookSecret)) {
			t.Fatalf("%q passed for %q", header, body)
		}
		if VerifySignature(header, body, "", signedAt, time.Minute) == nil {
			t.Fatal("no secret is no lock")
		}
		right := "t=1790000000,s=" + sign("1790000000", body, webhookSecret)
		if err := VerifySignature(right, body, webhookSecret, signedAt, time.Minute); err != nil {
			t.Fatal(err)
		}
		if other := altered(body, where); other != nil && VerifySignature(right, other, webhookSecret, signedAt, time.Minute) == nil {
			t.Fatalf("the signature of %q passes for %q", body, other)
		}
		i := len("t=") + int(where)%10 // a digit of the time, which is signed as well
		late := right[:i] + string(right[i]^1) + right[i+1:]
		if VerifySignature(late, body, webhookSecret, signedAt, 1<<62) == nil {
			t.Fatalf("%q passes, %q was signed", late, right)
		}
	})
}

// altered changes one bit of a message; nil if it has none.
func altered(body []byte, where uint16) []byte {
	if len(body) == 0 {
		return nil
	}
	other := bytes.Clone(body)
	other[int(where)%len(body)] ^= 1 << (where % 8)
	return other
}

func FuzzVerifyPlainSignature(f *testing.F) {
	f.Add("", []byte(`{}`), uint16(0))
	f.Add(signedHeader, []byte(signedBody), uint16(7))
	f.Add(strings.Repeat("0", 64), []byte(``), uint16(1))
	f.Fuzz(func(t *testing.T, header string, body []byte, where uint16) {
		right := plain(body)
		if err := VerifyPlainSignature(header, body, webhookSecret); err == nil && !strings.EqualFold(header, right) {
			t.Fatalf("%q passed for %q", header, body)
		}
		if err := VerifyPlainSignature(strings.ToUpper(right), body, webhookSecret); err != nil {
			t.Fatal(err)
		}
		if VerifyPlainSignature(header, body, "") == nil {
			t.Fatal("no secret is no lock")
		}
		if other := altered(body, where); other != nil && VerifyPlainSignature(right, other, webhookSecret) == nil {
			t.Fatalf("the signature of %q passes for %q", body, other)
		}
	})
}

func plain(body []byte) string {
	mac := hmac.New(sha256.New, []byte(webhookSecret.Reveal()))
	mac.Write(body)
	return hex.EncodeToString(mac.Sum(nil))
}

func FuzzParseEvent(f *testing.F) {
	f.Add([]byte(signedBody))
	f.Add([]byte(`{"event":"authorization.removed","create_time":"1","content":"{\"reason\":1}"}`))
	f.Add([]byte(`{"event":"post.publish.failed","content":{"fail_reason":"internal","post_id":7}}`))
	f.Add([]byte(`{"event":"x","content":"\"{\\\"reason\\\":1}\""}`))
	f.Add([]byte(`null`))
	f.Fuzz(func(t *testing.T, body []byte) {
		e, err := ParseEvent(body)
		switch {
		case err != nil:
			if !errors.Is(err, ErrEvent) || e != (Event{}) {
				t.Fatalf("got %+v %v", e, err)
			}
		case e.Name == "" || e.PostID != "" && !isID(e.PostID) || e.CreatedAt.Year() > 9999:
			t.Fatalf("%+v", e)
		case strings.ContainsRune(e.Name+e.OpenID+e.PublishID+e.FailReason, 0): // no database keeps it
			t.Fatalf("%+v", e)
		default:
			again, err := ParseEvent(sentAs(e))
			if err != nil || !slices.Equal(again.DedupeKey(), e.DedupeKey()) || again.PublishID != e.PublishID || !again.CreatedAt.Equal(e.CreatedAt) {
				t.Fatalf("%+v reads as %+v: %v", e, again, err)
			}
		}
	})
}

// sentAs encodes an event as TikTok sends it today, from any form.
func sentAs(e Event) []byte {
	content := map[string]any{"publish_id": e.PublishID, "post_id": e.PostID, "publish_type": e.PublishType, "fail_reason": e.FailReason, "reason": e.Reason}
	inner, _ := json.Marshal(content)
	created := int64(0)
	if !e.CreatedAt.IsZero() {
		created = e.CreatedAt.Unix()
	}
	body, _ := json.Marshal(map[string]any{
		"client_key": e.ClientKey, "event": e.Name, "create_time": created, "user_openid": e.OpenID, "content": string(inner),
	})
	return body
}
