package media

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestServe(t *testing.T) {
	file := fixture(t, "h264.mp4")
	s, _ := openFiles(t, 1<<20)
	info, err := s.Save(t.Context(), "k", bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := s.Serve(w, r, "k", info); err != nil {
			t.Error(err)
		}
	}))
	defer server.Close()
	etag := `"` + info.SHA256 + `"`
	for name, tc := range map[string]struct {
		method string
		header map[string]string
		status int
		body   []byte
		ranged string
	}{
		"whole":               {"GET", nil, 200, file, ""},
		"head":                {"HEAD", nil, 200, nil, ""},
		"range":               {"GET", map[string]string{"Range": "bytes=100-199"}, 206, file[100:200], "bytes 100-199/12218"},
		"open range":          {"GET", map[string]string{"Range": "bytes=12000-"}, 206, file[12000:], "bytes 12000-12217/12218"},
		"suffix":              {"GET", map[string]string{"Range": "bytes=-10"}, 206, file[len(file)-10:], "bytes 12208-12217/12218"},
		"head of a range":     {"HEAD", map[string]string{"Range": "bytes=0-9"}, 206, nil, "bytes 0-9/12218"},
		"beyond the end":      {"GET", map[string]string{"Range": "bytes=99999-"}, 416, nil, "bytes */12218"},
		"if-range, same":      {"GET", map[string]string{"Range": "bytes=0-9", "If-Range": etag}, 206, file[:10], "bytes 0-9/12218"},
		"if-range, other":     {"GET", map[string]string{"Range": "bytes=0-9", "If-Range": `"x"`}, 200, file, ""},
		"if-none-match":       {"GET", map[string]string{"If-None-Match": etag}, 304, nil, ""},
		"if-match, other":     {"GET", map[string]string{"If-Match": `"x"`}, 412, nil, ""},
		"if-none-match other": {"GET", map[string]string{"If-None-Match": `"x"`}, 200, file, ""},
	} {
		t.Run(name, func(t *testing.T) {
			req, err := http.NewRequestWithContext(t.Context(), tc.method, server.URL, nil)
			if err != nil {
				t.Fatal(err)
			}
			for k, v := range tc.header {
				req.Header.Set(k, v)
			}
			resp, err := server.Client().Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			body, err := io.ReadAll(resp.Body)
			if err != nil {
				t.Fatal(err)
			}
			if resp.StatusCode != tc.status || resp.Header.Get("Content-Range") != tc.ranged {
				t.Errorf("status %d, range %q; want %d, %q", resp.StatusCode, resp.Header.Get("Content-Range"), tc.status, tc.ranged)
			}
			if tc.body != nil && !bytes.Equal(body, tc.body) {
				t.Errorf("%d bytes of body, want %d", len(body), len(tc.body))
			}
			if tc.status < 300 && (resp.Header.Get("Content-Type") != TypeMP4 || resp.Header.Get("ETag") != etag || resp.Header.Get("Accept-Ranges") != "bytes") {
				t.Errorf("headers %v", resp.Header)
			}
			if tc.method == "HEAD" && tc.status == 200 && resp.ContentLength != int64(len(file)) {
				t.Errorf("length %d", resp.ContentLength)
			}
		})
	}
}

func TestServeMissing(t *testing.T) {
	s, _ := openFiles(t, 1)
	w := httptest.NewRecorder()
	err := s.Serve(w, httptest.NewRequest("GET", "/", nil), "k", Info{})
	if !errors.Is(err, ErrNotFound) || len(w.Header()) != 0 || w.Body.Len() != 0 {
		t.Errorf("err = %v, headers %v", err, w.Header())
	}
}

// TestServeDamaged serves a file of which the storage has lost a part.
func TestServeDamaged(t *testing.T) {
	s, _ := openFiles(t, 1<<20)
	info, err := s.Save(t.Context(), "k", bytes.NewReader(fixture(t, "h264.mp4")))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.bucket.WriteAll(t.Context(), "k", nil, nil); err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	err = s.Serve(w, httptest.NewRequest("GET", "/", nil), "k", info)
	if err == nil || errors.Is(err, ErrNotFound) || len(w.Header()) != 0 || w.Body.Len() != 0 {
		t.Errorf("err = %v, headers %v", err, w.Header())
	}
}
