package tiktok

import (
	"encoding/json"
	"net/http"
	"testing"

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
