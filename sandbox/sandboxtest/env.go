package sandboxtest

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"socialqueue/sandbox"
)

// StartTime is where the clock stands.
var StartTime = time.Date(2026, 11, 22, 6, 0, 0, 0, time.UTC)

// Env is a started sandbox on a clock that stands still, with an account on each platform.
type Env struct {
	*sandbox.Server
	T         *testing.T
	HTTP      *http.Client
	TikTok    sandbox.TikTokAccount
	Instagram sandbox.InstagramAccount
}

// New starts a sandbox for one test, with more platforms if given.
func New(t *testing.T, opts sandbox.Options, more ...sandbox.Platform) *Env {
	t.Helper()
	if opts.Now == nil {
		opts.Now = func() time.Time { return StartTime }
	}
	s := sandbox.New(opts, more...)
	if err := s.Start("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	tr := &http.Transport{}
	t.Cleanup(func() {
		tr.CloseIdleConnections()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	w := &Env{Server: s, T: t, HTTP: &http.Client{Transport: tr, Timeout: 20 * time.Second}}
	w.TikTok = s.AddTikTokAccount(sandbox.TikTokAccount{OpenID: "-000Sim", Username: "simcafe", Nickname: "Sim Cafe"})
	w.Instagram = s.AddInstagramAccount(sandbox.InstagramAccount{IGID: "17841400000000001", Username: "bakery"})
	return w
}

// Answer is a response read whole.
type Answer struct {
	HTTPStatus int         `json:"-"`
	Header     http.Header `json:"-"`
	Body       []byte
	Err        error
}

// Do sends a request; a connection that breaks is in the answer.
func (e *Env) Do(req *http.Request) Answer {
	res, err := e.HTTP.Do(req)
	if err != nil {
		return Answer{Err: err}
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	return Answer{res.StatusCode, res.Header, body, err}
}

// Request makes a request; header holds names and values.
func (e *Env) Request(method, url, body string, header ...string) *http.Request {
	e.T.Helper()
	req, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		e.T.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	return req
}

// MustDo sends a request that has to be answered.
func (e *Env) MustDo(req *http.Request) Answer {
	e.T.Helper()
	a := e.Do(req)
	if a.Err != nil {
		e.T.Fatal(a.Err)
	}
	return a
}

// JSON decodes the body.
func (a Answer) JSON(t *testing.T, v any) {
	t.Helper()
	if err := json.Unmarshal(a.Body, v); err != nil {
		t.Fatalf("answer %d %q: %v", a.HTTPStatus, a.Body, err)
	}
}

// Eventually polls until ok; background fetches run in real time.
func Eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
	}
}

// WantLive returns the live posts, which must be n.
func (e *Env) WantLive(n int) []sandbox.LivePost {
	e.T.Helper()
	live := e.LivePosts()
	if len(live) != n {
		e.T.Fatalf("%d live posts, want %d: %+v", len(live), n, live)
	}
	return live
}

// WantFiles checks the files of a live post and their order: their digests, their bytes, and that its page shows each.
func (e *Env) WantFiles(post sandbox.LivePost, files ...[]byte) {
	e.T.Helper()
	if len(post.Media) != len(files) {
		e.T.Fatalf("%d files, want %d: %+v", len(post.Media), len(files), post)
	}
	page, after := string(e.MustDo(e.Request("GET", post.Permalink, "")).Body), 0
	for i, m := range post.Media {
		if m.SHA256 != SHA256(files[i]) || SHA256(e.MustDo(e.Request("GET", m.URL, "")).Body) != m.SHA256 {
			e.T.Errorf("file %d is another: %+v", i, m)
		}
		at := strings.Index(page[after:], m.URL+`"`)
		if at < 0 {
			e.T.Fatalf("the page does not show file %d in its place", i)
		}
		after += at
	}
}

// NoLimits switches all budgets off.
var NoLimits = &sandbox.Limits{}

// Delays are long enough to look in between.
var Delays = &sandbox.Delays{TikTokProcessing: 10 * time.Second, TikTokModeration: time.Minute,
	InstagramImage: 5 * time.Second, InstagramVideo: 30 * time.Second}

// Control makes a call of the control API and decodes its answer into out, unless that is nil.
func (e *Env) Control(method, path, body string, status int, out any) {
	e.T.Helper()
	a := e.MustDo(e.Request(method, e.URL()+"/_sandbox/"+path, body, "Content-Type", "application/json"))
	if a.HTTPStatus != status {
		e.T.Fatalf("%s %s: %d %s", method, path, a.HTTPStatus, a.Body)
	}
	if out != nil {
		a.JSON(e.T, out)
	}
}
