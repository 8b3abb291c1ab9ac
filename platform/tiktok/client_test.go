package tiktok

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"socialqueue/models"
	"socialqueue/platform"
	"socialqueue/secrets"
)

const (
	testToken    = secrets.Secret("act.SIMtoken-0123456789-abcdefghijklmnop!6410")
	testRefresh  = secrets.Secret("rft.SIMrefresh-0123456789-abcdefghijklmnop!6410")
	testCode     = secrets.Secret("SIMcode-0123456789-abcdefghijklmnop*0!6410.va")
	testVerifier = secrets.Secret("0123456789abcdefghijklmnopqrstuvwxyzABCDEFG")
	testSecret   = secrets.Secret("sim-client-secret-0123456789")
	testRedirect = "https://app.test/callback"
)

// serve starts a server under a base path and a client of it, and returns a
// context whose calls are kept.
func serve(t *testing.T, h http.HandlerFunc) (context.Context, *Client, *[]platform.Call) {
	t.Helper()
	srv := httptest.NewServer(http.StripPrefix("/base", h))
	t.Cleanup(srv.Close)
	c, err := New(Config{
		APIURL: srv.URL + "/base/", ClientKey: "simkey", ClientSecret: testSecret,
		HTTP: &http.Client{Transport: &http.Transport{}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.http.CloseIdleConnections)
	var calls []platform.Call
	ctx := platform.WithRecorder(context.Background(), func(call platform.Call) { calls = append(calls, call) })
	return ctx, c, &calls
}

func answer(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("x-tt-logid", "header-log")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

func wantError(t *testing.T, err error, kind platform.Kind, code platform.Code) *platform.Error {
	t.Helper()
	e, ok := errors.AsType[*platform.Error](err)
	if !ok {
		t.Fatalf("got %T %v, want a *platform.Error", err, err)
	}
	if e.Kind != kind || e.Code != code || e.Provider != models.TikTok {
		t.Fatalf("got %s %s, want %s %s: %v", e.Kind, e.Code, kind, code, err)
	}
	return e
}

// methods are all calls of the client.
var methods = map[string]struct {
	op   string
	lost platform.Kind
	call func(ctx context.Context, c *Client, link secrets.Secret) error
}{
	"CreatorInfo": {opCreatorInfo, platform.Transient, func(ctx context.Context, c *Client, _ secrets.Secret) error {
		_, err := c.CreatorInfo(ctx, testToken)
		return err
	}},
	"InitVideo": {opInit, platform.Unknown, func(ctx context.Context, c *Client, _ secrets.Secret) error {
		_, err := c.InitVideo(ctx, testToken, VideoPost{Title: "t", PrivacyLevel: "SELF_ONLY"}, Plan{5, 5, 1})
		return err
	}},
	"InitInbox": {opInbox, platform.Unknown, func(ctx context.Context, c *Client, _ secrets.Secret) error {
		_, err := c.InitInbox(ctx, testToken, Plan{5, 5, 1})
		return err
	}},
	"PullVideo": {opPull, platform.Unknown, func(ctx context.Context, c *Client, link secrets.Secret) error {
		_, err := c.PullVideo(ctx, testToken, VideoPost{}, false, link)
		return err
	}},
	"InitPhotos": {opPhoto, platform.Unknown, func(ctx context.Context, c *Client, link secrets.Secret) error {
		_, err := c.InitPhotos(ctx, testToken, PhotoPost{URLs: []secrets.Secret{link}, PrivacyLevel: "SELF_ONLY"})
		return err
	}},
	"PutChunk": {opChunk, platform.Unknown, func(ctx context.Context, c *Client, link secrets.Secret) error {
		_, err := c.PutChunk(ctx, link, Chunk{0, 4, 5, "video/mp4"}, opener("hello"))
		return err
	}},
	"Status": {opStatus, platform.Transient, func(ctx context.Context, c *Client, _ secrets.Secret) error {
		_, err := c.Status(ctx, testToken, "v_pub_file~v2-1.1")
		return err
	}},
	"ExchangeCode": {opExchangeCode, platform.Unknown, func(ctx context.Context, c *Client, _ secrets.Secret) error {
		_, err := c.ExchangeCode(ctx, testCode, testVerifier, testRedirect)
		return err
	}},
	"RefreshGrant": {opRefreshToken, platform.Unknown, func(ctx context.Context, c *Client, _ secrets.Secret) error {
		_, err := c.RefreshGrant(ctx, testRefresh)
		return err
	}},
	"Revoke": {opRevoke, platform.Transient, func(ctx context.Context, c *Client, _ secrets.Secret) error {
		return c.Revoke(ctx, testToken)
	}},
	"UserInfo": {opUserInfo, platform.Transient, func(ctx context.Context, c *Client, _ secrets.Secret) error {
		_, err := c.UserInfo(ctx, testToken)
		return err
	}},
}

func opener(s string) func() (io.ReadCloser, error) {
	return func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(s)), nil }
}

const uploadToken = "upload-token-SECRET-123456"

func uploadLink(c *Client) secrets.Secret {
	return secrets.Secret(c.base + "/upload?upload_id=760144&upload_token=" + uploadToken)
}

func reset(w http.ResponseWriter, _ *http.Request) {
	conn, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		panic(err)
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}

// echo quotes all that it got, as platforms do.
func echo(status int, shape string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		auth := r.Header.Get("Authorization")
		text := auth + " " + auth[:min(len(auth), 27)] + "… " + r.URL.String() + " " + r.URL.Query().Get("upload_token")
		body, _ := io.ReadAll(r.Body)
		form, _ := url.ParseQuery(string(body))
		for _, values := range form {
			text += " " + values[0] + " " + values[0][:min(len(values[0]), 20)] + "…"
		}
		text += " " + string(body)
		quoted, _ := json.Marshal(text)
		w.Header().Set("x-tt-logid", text)
		w.Header().Set("Location", "http://"+r.Host+"/other?"+r.URL.RawQuery+"&t="+string(testToken))
		w.WriteHeader(status)
		_, _ = io.WriteString(w, strings.ReplaceAll(shape, "ECHO", string(quoted)))
	}
}

var failures = map[string]http.HandlerFunc{
	"reset": reset,
	"cut": func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "5000")
		w.WriteHeader(http.StatusBadGateway)
		_, _ = io.WriteString(w, `{"error":{"code":"`+r.Header.Get("Authorization"))
		panic(http.ErrAbortHandler)
	},
	"html 503": echo(503, "<html>ECHO</html>"),
	"hang":     func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body); <-r.Context().Done() },
	"echo 400": echo(400, `{"data":{},"error":{"code":ECHO,"message":ECHO,"log_id":ECHO}}`),
	"echo 401": echo(401, `{"error":ECHO,"error_description":ECHO,"log_id":ECHO}`),
	"redirect": echo(307, "ECHO"),
	"huge": func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(500)
		_, _ = w.Write(make([]byte, 2<<20)) // more than wire.ReadBody takes
	},
}

// short is time enough to connect, but for a very busy machine.
const short = 300 * time.Millisecond

func setTimeouts(c *Client, d time.Duration) {
	c.callTimeout = d
	c.uploadTimeout = func(int64) time.Duration { return d }
}

func assertNoSecret(t *testing.T, c *Client, err error, calls []platform.Call) {
	t.Helper()
	if err == nil {
		t.Fatal("the call succeeded")
	}
	var all strings.Builder
	for e := err; e != nil; e = errors.Unwrap(e) {
		fmt.Fprintf(&all, "%v\n%+v\n%#v\n", e, e, e)
	}
	for _, call := range calls {
		b, _ := json.Marshal(call)
		fmt.Fprintf(&all, "%v\n%+v\n%#v\n%s\n", call, call, call, b)
	}
	hide := []string{uploadToken, uploadLink(c).Reveal()}
	for _, s := range []secrets.Secret{testToken, testRefresh, testCode, testVerifier, testSecret} {
		hide = append(hide, s.Reveal(), s.Reveal()[:20], url.QueryEscape(s.Reveal()))
	}
	for _, secret := range hide {
		if strings.Contains(all.String(), secret) {
			t.Errorf("%q shows in:\n%s", secret, all.String())
		}
	}
}

func TestFailuresLeakNoSecretAndAreRecordedOnce(t *testing.T) {
	for name, m := range methods {
		for failure, h := range failures {
			t.Run(name+"/"+failure, func(t *testing.T) {
				ctx, c, calls := serve(t, h)
				if failure == "hang" {
					setTimeouts(c, short)
				}
				check(t, c, m.op, m.call(ctx, c, uploadLink(c)), calls)
			})
		}
		t.Run(name+"/refused", func(t *testing.T) {
			ctx, c, calls := nobodyHome(t)
			err := m.call(ctx, c, uploadLink(c))
			check(t, c, m.op, err, calls)
			if platform.KindOf(err) != platform.Transient {
				t.Errorf("nothing was sent, got %v", err)
			}
		})
		t.Run(name+"/ended", func(t *testing.T) {
			ctx, c, calls := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("a request came") })
			ended, cancel := context.WithCancel(ctx)
			cancel()
			err := m.call(ended, c, uploadLink(c))
			check(t, c, m.op, err, calls)
			if platform.KindOf(err) != platform.Transient || !errors.Is(err, context.Canceled) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func nobodyHome(t *testing.T) (context.Context, *Client, *[]platform.Call) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	_ = l.Close()
	c, err := New(Config{APIURL: "http://" + addr + "/base", ClientKey: "simkey", ClientSecret: testSecret})
	if err != nil {
		t.Fatal(err)
	}
	var calls []platform.Call
	return platform.WithRecorder(context.Background(), func(call platform.Call) { calls = append(calls, call) }), c, &calls
}

func check(t *testing.T, c *Client, op string, err error, calls *[]platform.Call) {
	t.Helper()
	assertNoSecret(t, c, err, *calls)
	if len(*calls) != 1 {
		t.Fatalf("%d calls recorded", len(*calls))
	}
	call := (*calls)[0]
	if call.Op != op || call.Provider != models.TikTok || call.Err == nil || call.Started.IsZero() || call.Duration < 0 {
		t.Errorf("recorded %+v", call)
	}
}

func TestLostAnswersByClass(t *testing.T) {
	for name, m := range methods {
		for _, failure := range []string{"reset", "cut", "html 503", "hang", "huge", "redirect"} {
			t.Run(name+"/"+failure, func(t *testing.T) {
				var came atomic.Bool
				ctx, c, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
					came.Store(true)
					failures[failure](w, r)
				})
				if failure == "hang" {
					setTimeouts(c, short)
				}
				err := m.call(ctx, c, uploadLink(c))
				for wait := 2 * short; !came.Load() && wait < time.Minute; wait *= 2 {
					setTimeouts(c, wait) // what never came has no lost answer
					err = m.call(ctx, c, uploadLink(c))
				}
				if platform.KindOf(err) != m.lost {
					t.Errorf("got %s, want %s: %v", platform.KindOf(err), m.lost, err)
				}
			})
		}
	}
}

func TestUnusableTokenIsNotSent(t *testing.T) {
	ctx, c, calls := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("a request came") })
	for _, token := range []secrets.Secret{"", "a\nb", "a b", "ä"} {
		_, creator := c.CreatorInfo(ctx, token)
		_, user := c.UserInfo(ctx, token)
		_, exchange := c.ExchangeCode(ctx, token, testVerifier, testRedirect)
		_, refresh := c.RefreshGrant(ctx, token)
		for _, err := range []error{creator, user, exchange, refresh, c.Revoke(ctx, token)} {
			wantError(t, err, platform.AuthExpired, platform.CodeTokenInvalid)
		}
	}
	if len(*calls) != 20 {
		t.Errorf("%d calls recorded", len(*calls))
	}
}

func TestNewChecksItsConfig(t *testing.T) {
	for _, bad := range []Config{
		{APIURL: "ftp://x"},
		{APIURL: "://"},
		{APIURL: "https://"},
		{APIURL: "https://u:p@sandbox.test"},
		{APIURL: "https://sandbox.test?x=1"},
		{APIURL: "http://open.tiktokapis.com"},
		{AuthURL: "http://www.tiktok.com"},
		{AuthURL: "http://TikTok.com."},
		{AuthURL: "www.tiktok.com"},
		{AuthURL: "https://sandbox.test?x=1"},
		{UploadHosts: []string{"sandbox.test:443"}},
		{APIURL: "http://sandbox.test", UploadHosts: []string{"sandbox.test"}},
	} {
		if _, err := New(bad); err == nil {
			t.Errorf("%+v was taken", bad)
		}
	}
	c, err := New(Config{})
	if err != nil || c.base != DefaultAPIURL || c.auth != DefaultAuthURL {
		t.Errorf("got %v %v", c, err)
	}
	if c.http.Timeout != 0 || c.http.CheckRedirect == nil {
		t.Error("the client may follow redirects or cut uploads")
	}
}
