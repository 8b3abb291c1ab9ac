package tiktok

import (
	"encoding/json"
	"io"
	"net/http"
	"reflect"
	"testing"

	"socialqueue/platform"
)

func TestStatus(t *testing.T) {
	for name, tt := range map[string]struct {
		data string
		want Status
	}{
		"failed":       {`{"fail_reason":"file_format_check_failed","status":"FAILED"}`, Status{State: StateFailed, Raw: "FAILED", FailReason: "file_format_check_failed"}},
		"complete":     {`{"status":"PUBLISH_COMPLETE","publicaly_available_post_id":[7602997517160123666],"uploaded_bytes":8123456}`, Status{State: StateComplete, Raw: "PUBLISH_COMPLETE", UploadedBytes: 8123456, PostIDs: []string{"7602997517160123666"}}},
		"without ids":  {`{"status":"PUBLISH_COMPLETE"}`, Status{State: StateComplete, Raw: "PUBLISH_COMPLETE"}},
		"right letter": {`{"status":"PUBLISH_COMPLETE","publicly_available_post_id":["7"]}`, Status{State: StateComplete, Raw: "PUBLISH_COMPLETE", PostIDs: []string{"7"}}},
		"upload":       {`{"status":"PROCESSING_UPLOAD","uploaded_bytes":"12"}`, Status{Raw: "PROCESSING_UPLOAD", UploadedBytes: 12}},
		"download":     {`{"status":"PROCESSING_DOWNLOAD","uploaded_bytes":-1}`, Status{Raw: "PROCESSING_DOWNLOAD"}},
		"inbox":        {`{"status":"SEND_TO_USER_INBOX"}`, Status{State: StateInbox, Raw: "SEND_TO_USER_INBOX"}},
		"unknown":      {`{"status":"IN_REVIEW"}`, Status{Raw: "IN_REVIEW"}},
		"empty":        {`{}`, Status{}},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, c, calls := serve(t, func(w http.ResponseWriter, r *http.Request) {
				if body, _ := io.ReadAll(r.Body); r.URL.Path != "/v2/post/publish/status/fetch/" || string(body) != `{"publish_id":"p~1"}` {
					t.Errorf("got %s %s", r.URL, body)
				}
				answer(200, `{"data":`+tt.data+`,"error":{"code":"ok","message":"","log_id":"L"}}`)(w, r)
			})
			got, err := c.Status(ctx, testToken, "p~1")
			if err != nil || !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got %+v %v, want %+v", got, err, tt.want)
			}
			if len(*calls) != 1 || (*calls)[0].Err != nil || (*calls)[0].LogID != "L" {
				t.Errorf("recorded %+v", *calls)
			}
			if got.State.Final() != (got.State != StateProcessing) {
				t.Error("final")
			}
		})
	}
}

func TestPostIDs(t *testing.T) {
	for in, want := range map[string][]string{
		`[7602997517160123666]`:        {"7602997517160123666"},
		`["7602997517160123666"]`:      {"7602997517160123666"},
		`7602997517160123666`:          {"7602997517160123666"},
		`"7602997517160123666"`:        {"7602997517160123666"},
		`[1,"2",1, " 3 "]`:             {"1", "2", "3"},
		`[18446744073709551615]`:       {"18446744073709551615"},
		`[0,"0","",null,{},[],"x",-1]`: nil,
		`[7.6e18]`:                     nil,
		`null`:                         nil,
		``:                             nil,
		`{"a":1}`:                      nil,
		`[1e999999999]`:                nil,
	} {
		if got := postIDs(json.RawMessage(in)); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %v, want %v", in, got, want)
		}
	}
}

func TestFailReasonError(t *testing.T) {
	want := map[string]struct {
		kind platform.Kind
		code platform.Code
	}{
		"file_format_check_failed":           {platform.Rejected, platform.CodePublishFailed},
		"duration_check_failed":              {platform.Rejected, platform.CodePublishFailed},
		"frame_rate_check_failed":            {platform.Rejected, platform.CodePublishFailed},
		"picture_size_check_failed":          {platform.Rejected, platform.CodePublishFailed},
		"video_pull_failed":                  {platform.Transient, platform.CodeUploadFailed},
		"photo_pull_failed":                  {platform.Transient, platform.CodeUploadFailed},
		"internal":                           {platform.Transient, platform.CodePublishFailed},
		"publish_cancelled":                  {platform.Rejected, platform.CodePublishFailed},
		"auth_removed":                       {platform.AuthExpired, platform.CodeTokenInvalid},
		"spam_risk_too_many_posts":           {platform.RateLimited, platform.CodeRateLimited},
		"spam_risk_user_banned_from_posting": {platform.Rejected, platform.CodePublishFailed},
		"spam_risk_text":                     {platform.Rejected, platform.CodePublishFailed},
		"spam_risk":                          {platform.Rejected, platform.CodePublishFailed},
		"something_new":                      {platform.Rejected, platform.CodePublishFailed},
	}
	for reason, w := range want {
		if e := FailReasonError(reason); e.Kind != w.kind || e.Code != w.code || e.PlatformCode != reason || (e.RetryAfter > 0) != (w.kind == platform.RateLimited) {
			t.Errorf("%s: got %+v", reason, e)
		}
	}
	for reason := range failReasons {
		if _, ok := want[reason]; !ok {
			t.Errorf("%s is not tested", reason)
		}
	}
}

func TestPermalinkAndNames(t *testing.T) {
	for _, tt := range [][3]string{
		{"simcafe", "7", "https://www.tiktok.com/@simcafe/video/7"},
		{"@simcafe", "7", "https://www.tiktok.com/@simcafe/video/7"},
		{"a/b", "7?x", "https://www.tiktok.com/@a%2Fb/video/7%3Fx"},
		{"", "7", ""},
		{"a", "", ""},
	} {
		if got := Permalink(tt[0], tt[1]); got != tt[2] {
			t.Errorf("got %s, want %s", got, tt[2])
		}
	}
	for s, want := range map[State]string{StateProcessing: "processing", StateInbox: "inbox", StateComplete: "complete", StateFailed: "failed", 99: "unknown"} {
		if s.String() != want {
			t.Errorf("got %s, want %s", s, want)
		}
	}
}
