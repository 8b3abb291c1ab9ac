package tiktok

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"socialqueue/platform"
	"socialqueue/platform/wire"
	"socialqueue/secrets"
)

func TestPutChunk(t *testing.T) {
	for name, tt := range map[string]struct {
		status int
		header string
		chunk  Chunk
		want   Progress
		kind   platform.Kind
		code   platform.Code
		failed bool
	}{
		"206":                  {206, "bytes 0-9999999/64000001", Chunk{First: 0, Last: 9_999_999, Total: 64_000_001}, Progress{false, 10_000_000}, 0, "", false},
		"206 as a count":       {206, "bytes 0-10000000/64000001", Chunk{First: 0, Last: 9_999_999, Total: 64_000_001}, Progress{false, 10_000_000}, 0, "", false},
		"206 without a header": {206, "", Chunk{First: 0, Last: 4, Total: 10}, Progress{false, -1}, 0, "", false},
		"201":                  {201, "", Chunk{First: 0, Last: 9, Total: 10}, Progress{true, 10}, 0, "", false},
		"200 at the end":       {200, "", Chunk{First: 0, Last: 9, Total: 10}, Progress{true, 10}, 0, "", false},
		"200 before":           {200, "", Chunk{First: 0, Last: 4, Total: 10}, Progress{false, -1}, 0, "", false},
		"416":                  {416, "bytes 0-19999999/64000001", Chunk{First: 0, Last: 4, Total: 64_000_001}, Progress{false, 20_000_000}, 0, "", false},
		"416 off any boundary": {416, "bytes 0-123/64000001", Chunk{First: 0, Last: 4, Total: 64_000_001}, Progress{false, 123}, 0, "", false},
		"416 with nothing":     {416, "bytes 0-0/64000001", Chunk{First: 0, Last: 4, Total: 64_000_001}, Progress{false, 0}, 0, "", false},
		"416 at the end":       {416, "bytes 0-64000000/64000001", Chunk{First: 0, Last: 4, Total: 64_000_001}, Progress{true, 64_000_001}, 0, "", false},
		"416 all counted":      {416, "0-64000001/64000001", Chunk{First: 0, Last: 4, Total: 64_000_001}, Progress{true, 64_000_001}, 0, "", false},
		"416 silent":           {416, "", Chunk{First: 0, Last: 4, Total: 10}, Progress{false, -1}, 0, "", false},
		"416 standard form":    {416, "bytes */10", Chunk{First: 0, Last: 4, Total: 10}, Progress{false, -1}, 0, "", false},
		"416 another file":     {416, "bytes 0-4/11", Chunk{First: 0, Last: 4, Total: 10}, Progress{false, -1}, 0, "", false},
		"416 too much":         {416, "bytes 0-11/10", Chunk{First: 0, Last: 4, Total: 10}, Progress{false, -1}, 0, "", false},
		"400":                  {400, "", Chunk{First: 0, Last: 4, Total: 10}, Progress{false, -1}, platform.Rejected, platform.CodeUploadFailed, true},
		"403":                  {403, "", Chunk{First: 0, Last: 4, Total: 10}, Progress{false, -1}, platform.Gone, platform.CodeUploadFailed, true},
		"404":                  {404, "", Chunk{First: 0, Last: 4, Total: 10}, Progress{false, -1}, platform.Gone, platform.CodeUploadFailed, true},
		"408":                  {408, "", Chunk{First: 0, Last: 4, Total: 10}, Progress{false, -1}, platform.Unknown, platform.CodeUploadFailed, true},
		"413":                  {413, "", Chunk{First: 0, Last: 4, Total: 10}, Progress{false, -1}, platform.Rejected, platform.CodeUploadFailed, true},
		"429":                  {429, "", Chunk{First: 0, Last: 4, Total: 10}, Progress{false, -1}, platform.RateLimited, platform.CodeRateLimited, true},
		"500":                  {500, "", Chunk{First: 0, Last: 4, Total: 10}, Progress{false, -1}, platform.Unknown, platform.CodeUploadFailed, true},
		"502":                  {502, "", Chunk{First: 5, Last: 9, Total: 10}, Progress{false, -1}, platform.Unknown, platform.CodeUploadFailed, true},
		"302":                  {302, "", Chunk{First: 5, Last: 9, Total: 10}, Progress{false, -1}, platform.Unknown, platform.CodeUploadFailed, true},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, c, calls := serve(t, func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				if tt.header != "" {
					w.Header().Set("Content-Range", tt.header)
				}
				answer(tt.status, `{"error":{"code":"some_code","log_id":"L"}}`)(w, r)
			})
			tt.chunk.ContentType = "video/mp4"
			got, err := c.PutChunk(ctx, uploadLink(c), tt.chunk, func() (io.ReadCloser, error) {
				return io.NopCloser(io.LimitReader(zeros{}, tt.chunk.Last-tt.chunk.First+1)), nil
			})
			if got != tt.want {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
			if (err != nil) != tt.failed {
				t.Fatalf("got %v", err)
			}
			if tt.failed {
				if e := wantError(t, err, tt.kind, tt.code); e.PlatformCode != "some_code" || e.LogID != "L" {
					t.Errorf("got %+v", e)
				}
			}
			if len(*calls) != 1 || (*calls)[0].HTTPStatus != tt.status || !strings.HasPrefix((*calls)[0].Detail, "bytes ") {
				t.Errorf("recorded %+v", *calls)
			}
		})
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestPutChunkSendsExactlyTheChunk(t *testing.T) {
	ctx, c, calls := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if r.Method != "PUT" || string(body) != "World" || r.ContentLength != 5 || len(r.TransferEncoding) != 0 || r.Header.Get("Authorization") != "" ||
			r.Header.Get("Content-Type") != "video/quicktime" || r.Header.Get("Content-Range") != "bytes 5-9/10" ||
			r.URL.String() != "/upload?upload_id=760144&upload_token="+uploadToken {
			t.Errorf("got %s %s %q %v", r.Method, r.URL, body, r.Header)
		}
		w.WriteHeader(201)
	})
	// The source holds more than the chunk: no byte too many is sent.
	p, err := c.PutChunk(ctx, uploadLink(c), Chunk{5, 9, 10, "video/quicktime"}, opener("World and more"))
	if err != nil || !p.Complete {
		t.Errorf("got %+v %v", p, err)
	}
	if (*calls)[0].Detail != "bytes 5-9/10" {
		t.Errorf("recorded %+v", *calls)
	}
}

func TestPutChunkBadSources(t *testing.T) {
	ctx, c, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(201)
	})
	_, err := c.PutChunk(ctx, uploadLink(c), Chunk{0, 9, 10, "video/mp4"}, opener("short"))
	wantError(t, err, platform.Unknown, platform.CodeUploadFailed)
	if !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("got %v", err)
	}
	broken := errors.New("store is down")
	_, err = c.PutChunk(ctx, uploadLink(c), Chunk{0, 9, 10, "video/mp4"}, func() (io.ReadCloser, error) { return nil, broken })
	wantError(t, err, platform.Transient, platform.CodeUploadFailed)
	if !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
	for _, chunk := range []Chunk{{First: -1, Last: 4, Total: 5}, {First: 3, Last: 2, Total: 5}, {First: 0, Last: 5, Total: 5}} {
		_, err = c.PutChunk(ctx, uploadLink(c), chunk, opener("hello"))
		wantError(t, err, platform.Rejected, platform.CodeUploadFailed)
	}
}

func TestChunkRequestCanBeReplayed(t *testing.T) {
	ctx, c, _ := serve(t, answer(201, ""))
	u, err := c.uploadURL(c.begin(opChunk, wire.Uploading), uploadLink(c))
	if err != nil {
		t.Fatal(err)
	}
	req, err := newChunkRequest(ctx, u, Chunk{0, 4, 5, "video/mp4"}, 5, opener("hello"))
	if err != nil || req.ContentLength != 5 {
		t.Fatal(req, err)
	}
	for range 2 {
		body, err := req.GetBody()
		if err != nil {
			t.Fatal(err)
		}
		if b, err := io.ReadAll(body); string(b) != "hello" || err != nil {
			t.Errorf("got %q %v", b, err)
		}
	}
}

func TestUploadHosts(t *testing.T) {
	sandbox := Config{APIURL: "http://sandbox.test:4010/tiktok", UploadHosts: []string{"Upload.test:4011"}}
	for _, tt := range []struct {
		cfg  Config
		link string
		ok   bool
	}{
		{Config{}, "https://open-upload-va.tiktokapis.com/upload?upload_id=1&upload_token=2", true},
		{Config{}, "https://upload.us.TikTokAPIs.com:443/video/", true},
		{Config{}, "http://open-upload.tiktokapis.com/upload", false},
		{Config{}, "https://open-upload.tiktokapis.com:8443/upload", false},
		{Config{}, "https://tiktokapis.com/upload", false},
		{Config{}, "https://open-upload.tiktokapis.com.evil.test/upload", false},
		{Config{}, "https://eviltiktokapis.com/upload", false},
		{Config{}, "https://u:p@open-upload.tiktokapis.com/upload", false},
		{Config{}, "https://169.254.169.254/upload", false},
		{Config{}, "http://sandbox.test:4010/upload", false},
		{Config{}, "/upload", false},
		{Config{}, "https://a b/", false},
		{sandbox, "http://sandbox.test:4010/upload", true},
		{sandbox, "http://upload.test:4011/upload", true},
		{sandbox, "http://sandbox.test/upload", false},
		{sandbox, "ftp://sandbox.test:4010/upload", false},
		{sandbox, "https://open-upload.tiktokapis.com/upload", true},
		{Config{APIURL: "https://sandbox.test"}, "https://sandbox.test:443/upload", true},
		{Config{APIURL: "http://sandbox.test"}, "http://sandbox.test/upload", true},
	} {
		c, err := New(tt.cfg)
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.uploadURL(c.begin(opChunk, wire.Uploading), secrets.Secret(tt.link))
		if (err == nil) != tt.ok {
			t.Errorf("%s: got %v", tt.link, err)
		}
		if err != nil {
			wantError(t, err, platform.Rejected, platform.CodeUploadFailed)
		}
	}
}

func TestInitVideoRefusesAForeignUploadHost(t *testing.T) {
	ctx, c, calls := serve(t, answer(200, strings.ReplaceAll(initAnswer, "UPLOAD", "https://evil.test/x?upload_token="+uploadToken)))
	_, err := c.InitVideo(ctx, testToken, VideoPost{}, Plan{1, 1, 1})
	wantError(t, err, platform.Rejected, platform.CodeUploadFailed)
	if !strings.Contains(err.Error(), "evil.test") {
		t.Errorf("the host is not named: %v", err)
	}
	assertNoSecret(t, c, err, *calls)
	_, err = c.PutChunk(ctx, "https://evil.test/x?upload_token="+uploadToken, Chunk{0, 4, 5, "video/mp4"}, opener("hello"))
	wantError(t, err, platform.Rejected, platform.CodeUploadFailed)
	assertNoSecret(t, c, err, *calls)
}
