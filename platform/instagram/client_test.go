package instagram

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"socialqueue/models"
	"socialqueue/platform"
	"socialqueue/secrets"
)

const (
	testToken  = secrets.Secret("EAAsimToken0123456789abcdefghijklmnopqrstuvwxyz")
	testSecret = secrets.Secret("sim-app-secret-0123456789abcdef")
	signedLink = secrets.Secret("https://media.sim.test/media/0193aaaa-bbbb-7ccc-8ddd-eeeeeeeeeeee/SIGNATURE0123456789abcdef?exp=1790000000")
	testCode   = secrets.Secret("AQBsimCode0123456789abcdefghijklmnopqrstuvwxyz")
	pageToken  = secrets.Secret("EAApageToken0123456789abcdefghijklmnopqrstuvwxyz")
	testAppID  = "100000000000001"
	appToken   = testAppID + "|" + testSecret
	igID       = "17841400000000001"

	testRedirect = "https://app.test/callback"
)

// serve starts both hosts as one server under a base path, and returns a client
// of it and a context whose calls are kept.
func serve(t *testing.T, h http.HandlerFunc) (context.Context, *Client, *[]platform.Call) {
	t.Helper()
	srv := httptest.NewServer(http.StripPrefix("/base", h))
	t.Cleanup(srv.Close)
	c, err := New(Config{
		GraphURL: srv.URL + "/base/", UploadURL: srv.URL + "/base/rupload", AppID: testAppID, AppSecret: testSecret,
		HTTP: &http.Client{Transport: &http.Transport{}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.http.CloseIdleConnections)
	ctx, calls := recorded()
	return ctx, c, calls
}

func recorded() (context.Context, *[]platform.Call) {
	var calls []platform.Call
	return platform.WithRecorder(context.Background(), func(call platform.Call) { calls = append(calls, call) }), &calls
}

func answer(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("x-fb-trace-id", "header-trace")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

func errorBody(code, subcode any) string {
	b, _ := json.Marshal(map[string]any{"error": map[string]any{
		"message": "Fatal", "type": "OAuthException", "code": code, "error_subcode": subcode,
		"error_user_title": "Title", "error_user_msg": "Text", "fbtrace_id": "AbC123",
	}})
	return string(b)
}

func wantError(t *testing.T, err error, kind platform.Kind, code platform.Code) *platform.Error {
	t.Helper()
	e, ok := errors.AsType[*platform.Error](err)
	if !ok {
		t.Fatalf("got %T %v, want a *platform.Error", err, err)
	}
	if e.Kind != kind || e.Code != code || e.Provider != models.Instagram {
		t.Fatalf("got %s %s, want %s %s: %v", e.Kind, e.Code, kind, code, err)
	}
	return e
}

func opener(s string) func(int64) (io.ReadCloser, error) {
	return func(offset int64) (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(s[offset:])), nil }
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
		body, _ := io.ReadAll(r.Body)
		form, _ := url.ParseQuery(string(body))
		auth := r.Header.Get("Authorization")
		text := auth + " " + auth[:min(len(auth), 27)] + "… " + r.URL.String() + " " + string(body)
		for _, values := range slices.Concat(slices.Collect(maps.Values(form)), slices.Collect(maps.Values(r.URL.Query()))) {
			text += " " + values[0]
		}
		quoted, _ := json.Marshal(text)
		w.Header().Set("x-fb-trace-id", text)
		w.Header().Set("facebook-api-version", text)
		w.Header().Set("Location", "http://"+r.Host+"/other?"+r.URL.RawQuery+"&t="+string(testToken))
		w.WriteHeader(status)
		_, _ = io.WriteString(w, strings.ReplaceAll(shape, "ECHO", string(quoted)))
	}
}

var failures = map[string]http.HandlerFunc{
	"reset": reset,
	"cut": func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "5000")
		_, _ = io.WriteString(w, `{"error":{"message":"`+r.Header.Get("Authorization"))
		panic(http.ErrAbortHandler)
	},
	"html 503": echo(503, "<html>ECHO</html>"),
	"hang":     func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body); <-r.Context().Done() },
	"redirect": echo(307, "ECHO"),
	"huge": func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = w.Write(make([]byte, 2<<20)) // more than wire.ReadBody takes
	},
	"echo 400":     echo(400, `{"error":{"message":ECHO,"code":100,"error_subcode":ECHO,"error_user_title":ECHO,"error_user_msg":ECHO,"fbtrace_id":ECHO}}`),
	"echo 401":     echo(401, `{"error":ECHO}`),
	"echo rupload": echo(400, `{"debug_info":{"retriable":false,"type":ECHO,"message":ECHO}}`),
	"empty":        answer(200, ``),
	"list":         answer(200, `[]`),
	"odd":          answer(200, `{"id":"../x","data":3,"quota_usage":1}`),
}

func assertNoSecret(t *testing.T, c *Client, err error, calls []platform.Call) {
	t.Helper()
	var all strings.Builder
	for e := err; e != nil; e = errors.Unwrap(e) {
		fmt.Fprintf(&all, "%v\n%+v\n%#v\n", e, e, e)
	}
	for _, call := range calls {
		b, _ := json.Marshal(call)
		fmt.Fprintf(&all, "%v\n%+v\n%#v\n%s\n", call, call, call, b)
	}
	for _, secret := range []string{
		testToken.Reveal(), testToken.Reveal()[:20], testSecret.Reveal(), c.proof(testToken),
		testCode.Reveal(), pageToken.Reveal(), pageToken.Reveal()[:20], appToken.Reveal(), c.proof(appToken),
		signedLink.Reveal(), url.QueryEscape(signedLink.Reveal()), "SIGNATURE0123456789abcdef",
	} {
		if strings.Contains(all.String(), secret) {
			t.Errorf("%q shows in:\n%s", secret, all.String())
		}
	}
}

func check(t *testing.T, c *Client, op string, err error, calls *[]platform.Call) {
	t.Helper()
	if err == nil {
		t.Fatal("the call succeeded")
	}
	assertNoSecret(t, c, err, *calls)
	if len(*calls) != 1 {
		t.Fatalf("%d calls recorded", len(*calls))
	}
	call := (*calls)[0]
	if call.Op != op || call.Provider != models.Instagram || call.Err == nil || call.Started.IsZero() || call.Duration < 0 {
		t.Errorf("recorded %+v", call)
	}
}

// short is time enough to connect, also on a busy machine.
func short(c *Client) {
	c.callTimeout = 300 * time.Millisecond
	c.uploadTimeout = func(int64) time.Duration { return 300 * time.Millisecond }
}

func TestFailuresLeakNoSecretAndAreRecordedOnce(t *testing.T) {
	for name, m := range methods {
		for failure, h := range failures {
			if failure == "odd" && name == "ContainerStatus" {
				continue // an unknown state is an answer
			}
			t.Run(name+"/"+failure, func(t *testing.T) {
				ctx, c, calls := serve(t, h)
				if failure == "hang" {
					short(c)
				}
				err := m.call(ctx, c)
				check(t, c, m.op, err, calls)
				if !strings.HasPrefix(failure, "echo") && platform.KindOf(err) != m.lost {
					t.Errorf("got %s, want %s: %v", platform.KindOf(err), m.lost, err)
				}
			})
		}
		t.Run(name+"/refused", func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			base := "http://" + l.Addr().String() + "/base"
			_ = l.Close()
			c, err := New(Config{GraphURL: base, UploadURL: base, AppID: testAppID, AppSecret: testSecret})
			if err != nil {
				t.Fatal(err)
			}
			ctx, calls := recorded()
			err = m.call(ctx, c)
			check(t, c, m.op, err, calls)
			if platform.KindOf(err) != platform.Transient {
				t.Errorf("nothing was sent, got %v", err)
			}
		})
		t.Run(name+"/ended", func(t *testing.T) {
			ctx, c, calls := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("a request came") })
			ended, cancel := context.WithCancel(ctx)
			cancel()
			err := m.call(ended, c)
			check(t, c, m.op, err, calls)
			if platform.KindOf(err) != platform.Transient || !errors.Is(err, context.Canceled) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestUnusableInputIsNotSent(t *testing.T) {
	ctx, c, calls := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("a request came") })
	for _, token := range []secrets.Secret{"", "a\nb", "a b", "ä"} {
		_, quota := c.Quota(ctx, token, igID)
		upload := c.UploadVideo(ctx, token, "1", 0, 5, opener("hello"))
		_, exchange := c.ExchangeCode(ctx, token, testRedirect)
		_, prolong := c.ProlongToken(ctx, token)
		_, inspect := c.InspectToken(ctx, token)
		for _, err := range []error{quota, upload, exchange, prolong, inspect} {
			wantError(t, err, platform.AuthExpired, platform.CodeTokenInvalid)
		}
	}
	for _, id := range []string{"", ".", ".."} {
		_, err := c.Media(ctx, testToken, id)
		wantError(t, err, platform.Rejected, platform.CodePublishFailed)
		wantError(t, c.RevokeAll(ctx, testToken, id), platform.Rejected, platform.CodePublishFailed)
		err = c.UploadVideo(ctx, testToken, id, 0, 5, opener("hello"))
		wantError(t, err, platform.Rejected, platform.CodeUploadFailed)
	}
	if len(*calls) != 29 {
		t.Errorf("%d calls recorded", len(*calls))
	}
}

func TestNewChecksItsConfig(t *testing.T) {
	for _, bad := range []Config{
		{},
		{AppSecret: "s", Version: "25"},
		{AppSecret: "s", GraphURL: "ftp://x"},
		{AppSecret: "s", GraphURL: "://"},
		{AppSecret: "s", GraphURL: "http://graph.facebook.com"},
		{AppSecret: "s", DialogURL: "http://www.facebook.com"},
		{AppSecret: "s", DialogURL: "www.facebook.com"},
		{AppSecret: "s", UploadURL: "https://u:p@sandbox.test"},
		{AppSecret: "s", UploadURL: "https://sandbox.test?x=1"},
	} {
		if _, err := New(bad); err == nil {
			t.Errorf("%+v was taken", bad)
		}
	}
	c, err := New(Config{AppSecret: "s"})
	if err != nil || c.graph != DefaultGraphURL || c.upload != DefaultUploadURL || c.dialog != DefaultDialogURL || c.version != DefaultVersion {
		t.Errorf("got %+v %v", c, err)
	}
	if c.http.Timeout != 0 || c.http.CheckRedirect == nil {
		t.Error("the client may follow redirects or cut uploads")
	}
}

func proofOf(token secrets.Secret) string {
	mac := hmac.New(sha256.New, []byte(testSecret.Reveal()))
	mac.Write([]byte(token.Reveal()))
	return hex.EncodeToString(mac.Sum(nil))
}

// TestGraphCallShape holds every graph call to the rules: version in the
// path, token in the header only, and its proof always.
func TestGraphCallShape(t *testing.T) {
	for name, m := range methods {
		if name == "UploadVideo" {
			continue
		}
		token, special := bearers[name]
		if !special {
			token = testToken
		}
		var header, proof string
		if !token.Empty() {
			header, proof = "Bearer "+token.Reveal(), proofOf(token)
		}
		t.Run(name, func(t *testing.T) {
			ctx, c, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
				if err := r.ParseForm(); err != nil {
					t.Error(err)
				}
				from := r.URL.Query()
				if r.Method == http.MethodPost {
					from = r.PostForm
					if r.URL.RawQuery != "" || r.Header.Get("Content-Type") != "application/x-www-form-urlencoded" {
						t.Errorf("got %s %v", r.URL, r.Header)
					}
				}
				if !strings.HasPrefix(r.URL.Path, "/v27.0/") || r.Header.Get("Authorization") != header ||
					from.Get("appsecret_proof") != proof || from.Has("access_token") {
					t.Errorf("got %s %v %v", r.URL, r.Header, from)
				}
				answer(400, errorBody(100, 0))(w, r)
			})
			wantError(t, m.call(ctx, c), platform.Rejected, platform.CodePublishFailed)
		})
	}
}

func TestDetailTellsVersionAndUsage(t *testing.T) {
	ctx, c, calls := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("facebook-api-version", "v26.0")
		w.Header().Set("X-App-Usage", `{"call_count":28,"total_time":91,"total_cputime":25}`)
		answer(200, `{"id":"1"}`)(w, r)
	})
	if _, err := c.Publish(ctx, testToken, igID, "17889"); err != nil {
		t.Fatal(err)
	}
	call := (*calls)[0]
	if call.Detail != "container 17889; asked for v27.0, served by v26.0; 91 % of the call limit used" || call.LogID != "header-trace" || call.HTTPStatus != 200 {
		t.Errorf("recorded %+v", call)
	}
}
