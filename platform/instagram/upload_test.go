package instagram

import (
	"errors"
	"io"
	"net/http"
	"testing"

	"socialqueue/platform"
)

func TestUploadVideo(t *testing.T) {
	ctx, c, calls := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if r.Method != "POST" || r.URL.Path != "/rupload/ig-api-upload/v27.0/17889" || r.URL.RawQuery != "" || string(body) != "World" ||
			r.ContentLength != 5 || len(r.TransferEncoding) != 0 || r.Header.Get("Authorization") != "OAuth "+testToken.Reveal() ||
			r.Header.Get("offset") != "5" || r.Header.Get("file_size") != "10" {
			t.Errorf("got %s %s %q %v", r.Method, r.URL, body, r.Header)
		}
		answer(200, `{"success":true,"message":"Upload successful."}`)(w, r)
	})
	err := c.UploadVideo(ctx, testToken, "17889", 5, 10, opener("HelloWorld and more"))
	if err != nil {
		t.Fatal(err)
	}
	if call := (*calls)[0]; call.Detail != "bytes 5-9/10" || call.Err != nil {
		t.Errorf("recorded %+v", call)
	}
}

func TestUploadVideoFailures(t *testing.T) {
	const upload = platform.CodeUploadFailed
	for name, tt := range map[string]struct {
		status int
		body   string
		kind   platform.Kind
		code   platform.Code
		name   string
	}{
		"processing":        {400, `{"debug_info":{"retriable":false,"type":"ProcessingFailedError","message":"Request processing failed"}}`, platform.Gone, upload, "ProcessingFailedError"},
		"processing on 200": {200, `{"success":true,"debug_info":{"retriable":true,"type":"ProcessingFailedError"}}`, platform.Gone, upload, "ProcessingFailedError"},
		"not authorized":    {400, `{"debug_info":{"retriable":false,"type":"NotAuthorizedError"}}`, platform.AuthExpired, platform.CodeTokenInvalid, "NotAuthorizedError"},
		"other, retriable":  {400, `{"debug_info":{"retriable":true,"type":"OffsetError"}}`, platform.Unknown, upload, "OffsetError"},
		"other":             {400, `{"debug_info":{"retriable":false,"type":"OffsetError"}}`, platform.Gone, upload, "OffsetError"},
		"other, 429":        {429, `{"debug_info":{"retriable":true,"type":"X"}}`, platform.RateLimited, platform.CodeRateLimited, "X"},
		"other, 500":        {500, `{"debug_info":{"retriable":false,"type":"X"}}`, platform.Unknown, upload, "X"},
		"graph token":       {400, errorBody(190, 463), platform.AuthExpired, platform.CodeTokenExpired, "190/463"},
		"graph missing":     {400, errorBody(24, 2207006), platform.Gone, upload, "24/2207006"},
		"graph error":       {500, errorBody(2, 0), platform.Unknown, upload, "2"},
		"graph again":       {400, errorBody(-1, 2207053), platform.Gone, upload, "-1/2207053"},
		"bare 400":          {400, `{}`, platform.Rejected, upload, ""},
		"bare 502":          {502, `{}`, platform.Unknown, upload, ""},
		"html":              {502, `<html>`, platform.Unknown, upload, ""},
		"no success":        {200, `{}`, platform.Unknown, upload, ""},
		"success false":     {200, `{"success":false}`, platform.Unknown, upload, ""},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, c, calls := serve(t, answer(tt.status, tt.body))
			err := c.UploadVideo(ctx, testToken, "17889", 0, 5, opener("hello"))
			if e := wantError(t, err, tt.kind, tt.code); e.PlatformCode != tt.name || e.HTTPStatus != tt.status {
				t.Errorf("got %+v", e)
			}
			if len(*calls) != 1 || (*calls)[0].PlatformCode != tt.name {
				t.Errorf("recorded %+v", *calls)
			}
		})
	}
}

func TestUploadVideoBadSources(t *testing.T) {
	ctx, c, _ := serve(t, answer(200, `{"success":true}`))
	err := c.UploadVideo(ctx, testToken, "1", 0, 10, opener("short"))
	wantError(t, err, platform.Unknown, platform.CodeUploadFailed)
	if !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("got %v", err)
	}
	broken := errors.New("store is down")
	err = c.UploadVideo(ctx, testToken, "1", 0, 10, func(int64) (io.ReadCloser, error) { return nil, broken })
	wantError(t, err, platform.Transient, platform.CodeUploadFailed)
	if !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
	for _, offset := range []int64{-1, 5, 6} {
		err = c.UploadVideo(ctx, testToken, "1", offset, 5, opener("hello"))
		wantError(t, err, platform.Rejected, platform.CodeUploadFailed)
	}
}

func TestUploadRequestCanBeReplayed(t *testing.T) {
	ctx, c, _ := serve(t, answer(200, ""))
	target, err := c.uploadURL("1")
	if err != nil {
		t.Fatal(err)
	}
	req, err := newUploadRequest(ctx, testToken, target, 2, 5, opener("hello"))
	if err != nil || req.ContentLength != 3 || req.Method != http.MethodPost {
		t.Fatal(req, err)
	}
	for range 2 {
		body, err := req.GetBody()
		if err != nil {
			t.Fatal(err)
		}
		if b, err := io.ReadAll(body); string(b) != "llo" || err != nil {
			t.Errorf("got %q %v", b, err)
		}
	}
}
