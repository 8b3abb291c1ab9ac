package doctor

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"socialqueue/config"
)

// TestReach has a PUBLIC_URL that leads to something else, or nowhere.
func TestReach(t *testing.T) {
	const path, text = "/tiktokabc.txt", "tiktok-developers-site-verification=abc"
	serve := func(files map[string]string) string {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if body, ok := files[r.URL.Path]; ok {
				_, _ = io.WriteString(w, body)
				return
			}
			http.NotFound(w, r)
		}))
		t.Cleanup(srv.Close)
		return srv.URL
	}
	robots := "User-agent: *\nAllow: /media/\nDisallow: /\n"
	for name, tc := range map[string]struct {
		url   string
		level Level
		says  string
	}{
		"right":        {serve(map[string]string{path: text, "/robots.txt": robots}), OK, "can fetch"},
		"not there":    {serve(map[string]string{"/robots.txt": robots}), Bad, "HTTP 404"},
		"another text": {serve(map[string]string{path: text + "\n", "/robots.txt": robots}), Bad, "something else"},
		"other robots": {serve(map[string]string{path: text, "/robots.txt": "User-agent: *\nDisallow: /\n"}), Warn, "robots.txt"},
		"nobody":       {"http://127.0.0.1:1", Bad, "refused"},
	} {
		d := &doctor{Deps: Deps{
			Config: config.Config{PublicURL: tc.url, TikTokClientKey: "k", TikTokVerification: []string{"abc"}}, TextFiles: map[string]string{path: text},
		}}
		d.run(t.Context(), check{name: "reach", run: d.reach})
		if len(d.found) != 1 || d.found[0].Level != tc.level || !strings.Contains(d.found[0].What, tc.says) {
			t.Errorf("%s: %+v", name, d.found)
		}
	}
	d := &doctor{Deps: Deps{Config: config.Config{PublicURL: serve(map[string]string{"/robots.txt": robots}), TikTokClientKey: "k"}}}
	d.run(t.Context(), check{name: "reach", run: d.reach})
	if len(d.found) != 1 || d.found[0].Level != Warn || !strings.Contains(d.found[0].Do, "TIKTOK_VERIFICATION") {
		t.Errorf("without a token: %+v", d.found)
	}
}
