package instagram

import (
	"encoding/json"
	"net/http"
	"slices"
	"testing"
	"time"

	"socialqueue/platform"
	"socialqueue/platform/wire"
)

func FuzzGraphError(f *testing.F) {
	for _, s := range []string{
		`{"error":{"message":"The image size is too large.","type":"OAuthException","code":36000,"error_subcode":2207004,"is_transient":false,"error_user_title":"Image size too large","error_user_msg":"The image is too large ...","fbtrace_id":"AbC123"}}`,
		`{"error":{"message":"(#32) Page request limit reached","code":"32"}}`,
		`{"error":{"message":"Application request limit reached","code":4,"error_subcode":2207051,"is_transient":true}}`,
		`{"error_type":"OAuthException","code":400,"error_message":"This authorization code has been used"}`,
		`{"error":"x"}`, `{"error":null}`, `<html>`, ``, `{"id":"1"}`, `{"error":{"code":1e3}}`,
	} {
		f.Add([]byte(s), 400)
	}
	f.Fuzz(func(t *testing.T, body []byte, status int) {
		e, err := parseError(body)
		if err == nil && !json.Valid(body) {
			t.Fatalf("read %q", body)
		}
		for op, c := range map[string]wire.Class{opMedia: wire.Reading, opCreate: wire.Creating, opPublish: wire.Creating, opUpload: wire.Uploading} {
			v := judge(op, c, status, e, http.Header{})
			if v.Code == "" || v.Kind == platform.RateLimited && v.Wait <= 0 {
				t.Fatalf("%s %d %+v: %+v", op, status, e, v)
			}
			if op == opPublish && v.Kind == platform.Transient {
				t.Fatalf("a publish reads as nothing happened: %+v", e)
			}
		}
		_, _ = readID(body)
		_ = judgeUpload(&http.Response{StatusCode: status}, parseUploadAnswer(body))
	})
}

func FuzzContainer(f *testing.F) {
	for _, s := range []string{
		`{"status_code":"FINISHED","status":"Finished: Media has been uploaded and it is ready to be published."}`,
		`{"status_code":"ERROR","status":"Error: Media upload has failed with error code 2207076"}`,
		`{"status":2207052}`, `{"status":"Published: Media has been successfully published."}`,
		`{"video_status":{"uploading_phase":{"status":"in_progress","bytes_transferred":50002},"processing_phase":{"status":"not_started"}}}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		s, err := parseContainer(body)
		if err != nil {
			return
		}
		if s.BytesTransferred < -1 || s.Subcode != 0 && (s.Subcode < 2207000 || s.Subcode > 2207999) {
			t.Fatalf("%+v", s)
		}
		if e := ContainerError(s.Subcode, s.Text); e.Kind == platform.Unknown || e.Code == "" {
			t.Fatalf("%d: %s", s.Subcode, e)
		}
	})
}

func FuzzContainerText(f *testing.F) {
	f.Add("ERROR", "Error: Media upload has failed with error code 2207076")
	f.Add("", "2207052")
	f.Add("IN_PROGRESS", "In Progress: Media is still being processed.")
	f.Fuzz(func(t *testing.T, code, text string) {
		s := stateOf(code, text, subcodeIn(text))
		if code == "PUBLISHED" && s != StatePublished {
			t.Fatalf("%q: %s", text, s)
		}
	})
}

func FuzzUsage(f *testing.F) {
	f.Add(`{"call_count":28,"total_time":25,"total_cputime":25}`,
		`{"17841400000000001":[{"type":"instagram","call_count":85,"total_cputime":20,"total_time":25,"estimated_time_to_regain_access":0}]}`)
	f.Add(`x`, `{"1":[{"estimated_time_to_regain_access":"99999999999999999999"}]}`)
	f.Fuzz(func(t *testing.T, app, business string) {
		h := http.Header{"X-App-Usage": {app}, "X-Business-Use-Case-Usage": {business}}
		if w := throttleWait(h); w < time.Minute || w > maxWait {
			t.Fatalf("%q %q: %s", app, business, w)
		}
	})
}

func FuzzMediaAndQuota(f *testing.F) {
	f.Add([]byte(`{"data":[` + sampleMediaBody + `]}`))
	f.Add([]byte(`{"data":[{"quota_usage":4,"config":{"quota_total":100,"quota_duration":86400}}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		if page, err := parseMediaPage(body); err == nil {
			for _, m := range page.Media {
				if m.ID == "" {
					t.Fatal("media without an id")
				}
			}
		}
		if q, err := parseQuota(body); err == nil && (q.Total <= 0 || q.Used < 0 || q.Window <= 0) {
			t.Fatalf("%+v", q)
		}
	})
}

func FuzzIdentity(f *testing.F) {
	for _, s := range []string{
		part(samplePages, "NTY0", true), samplePages[:200], sampleTokenInfo,
		`{"id":"1","name":"x","tasks":["MANAGE"],"instagram_business_account":{"id":2,"followers_count":"99999999999999999999"}}`,
		`{"data":[{"permission":"instagram_basic","status":"granted"}]}`,
		`{"access_token":"EAA-user-long","token_type":"bearer","expires_in":5183944}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		if p, err := parsePage(body); err == nil && (!idForm.MatchString(p.ID) || p.Account != nil && (!idForm.MatchString(p.Account.ID) || p.Account.Followers < 0)) {
			t.Fatalf("%+v", p)
		}
		if c, err := parseComment(body); err == nil && !idForm.MatchString(c.ID) {
			t.Fatalf("%+v", c)
		}
		if items, _, _, err := parseList(body); err == nil && items == nil {
			t.Fatal("no list is no empty list")
		}
		if u, err := parseUserToken(body); err == nil && (u.Access.Empty() || u.ExpiresIn < 0) {
			t.Fatalf("%+v", u)
		}
		if info, err := parseTokenInfo(body); err == nil && info.ExpiresAt.Year() > 9999 {
			t.Fatalf("%+v", info)
		}
		if granted, declined, err := parsePermissions(body); err == nil && slices.Contains(append(granted, declined...), "") {
			t.Fatal("a permission without a name")
		}
		if id, _, err := parseMe(body); err == nil && !idForm.MatchString(id) {
			t.Fatalf("id %q", id)
		}
		if err := readSuccess(body); err == nil && !json.Valid(body) {
			t.Fatalf("read %q", body)
		}
	})
}
