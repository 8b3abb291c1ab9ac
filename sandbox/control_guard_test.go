package sandbox_test

import (
	"net/http"
	"net/url"
	"testing"

	"socialqueue/sandbox"
	"socialqueue/sandbox/sandboxtest"
)

// A web page that somebody opens must not act on the sandbox of this machine.
func TestControlIsKeptFromWebPages(t *testing.T) {
	w := sandboxtest.New(t, sandbox.Options{})
	u, err := url.Parse(w.URL())
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		method, path, host string
		header             []string
		want               int
	}{
		"a script":               {"POST", "/advance", "", []string{"Content-Type", "application/json; charset=utf-8"}, 200},
		"its own page":           {"POST", "/advance", "", []string{"Content-Type", "application/json", "Origin", "http://" + u.Host}, 200},
		"by the name localhost":  {"POST", "/advance", "localhost:4010", []string{"Content-Type", "application/json"}, 200},
		"by a container's name":  {"POST", "/advance", "sandbox:4010", []string{"Content-Type", "application/json"}, 200},
		"text":                   {"POST", "/advance", "", []string{"Content-Type", "text/plain"}, 415},
		"a form":                 {"POST", "/advance", "", []string{"Content-Type", "application/x-www-form-urlencoded"}, 415},
		"no type":                {"POST", "/advance", "", nil, 415},
		"a page elsewhere":       {"POST", "/advance", "", []string{"Content-Type", "application/json", "Origin", "https://evil.example"}, 403},
		"a page without origin":  {"POST", "/advance", "", []string{"Content-Type", "application/json", "Origin", "null"}, 403},
		"a page that deletes":    {"DELETE", "/faults", "", []string{"Origin", "https://evil.example"}, 403},
		"a name that leads here": {"POST", "/advance", "evil.example:4010", []string{"Content-Type", "application/json"}, 403},
		"its reading":            {"GET", "/calls", "evil.example:4010", nil, 403},
		"a picture":              {"GET", "/avatar.svg", "sandbox.example:4010", nil, 200},
	} {
		req := w.Request(tc.method, w.URL()+"/_sandbox"+tc.path, `{"duration":"1s"}`, tc.header...)
		if tc.host != "" {
			req.Host = tc.host
		}
		if a := w.MustDo(req); a.HTTPStatus != tc.want {
			t.Errorf("%s: %d %s, want %d", name, a.HTTPStatus, a.Body, tc.want)
		}
	}
	if a := w.MustDo(w.Request(http.MethodGet, w.URL()+"/_sandbox/calls", "")); a.HTTPStatus != 200 {
		t.Errorf("reading: %d %s", a.HTTPStatus, a.Body)
	}
}
