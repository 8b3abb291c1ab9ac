package wire

import (
	"errors"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

func TestUploadTimeout(t *testing.T) {
	for size, want := range map[int64]time.Duration{
		0:         CallTimeout + time.Second,
		64 << 20:  CallTimeout + 1025*time.Second,
		300 << 20: CallTimeout + 4801*time.Second,
	} {
		if got := UploadTimeout(size); got != want {
			t.Errorf("%d bytes may take %s, want %s", size, got, want)
		}
	}
}

func TestClient(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/" {
			t.Errorf("the redirect to %s was followed", r.URL)
		}
		if len(r.Cookies()) != 0 {
			t.Errorf("got cookies %v", r.Cookies())
		}
		http.SetCookie(w, &http.Cookie{Name: "a", Value: "b"})
		http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
	}))
	defer srv.Close()
	jar, _ := cookiejar.New(nil)
	given := &http.Client{Transport: &http.Transport{}, Timeout: time.Nanosecond, Jar: jar}
	for name, c := range map[string]*http.Client{"given": Client(given), "own": Client(nil)} {
		for range 2 {
			resp, err := c.Get(srv.URL)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			_ = resp.Body.Close()
			if resp.StatusCode != http.StatusTemporaryRedirect {
				t.Errorf("%s: got %s", name, resp.Status)
			}
		}
		c.CloseIdleConnections()
	}
	if given.Timeout != time.Nanosecond || given.Jar != jar || given.CheckRedirect != nil {
		t.Errorf("the given client was changed: %+v", given)
	}
}

func TestParseBase(t *testing.T) {
	for _, good := range []string{"https://api.test", "http://127.0.0.1:4010/base/", "HTTPS://api.test/a"} {
		if u, err := ParseBase("API URL", good); err != nil || !strings.EqualFold(u.String(), good) {
			t.Errorf("%s: got %v %v", good, u, err)
		}
	}
	for _, bad := range []string{"", "://", "ftp://x", "https://", "https:///p", "/p", "https://u:hunter2@x", "https://x?hunter2=1", "https://x#hunter2", "https://u:hunter2@%"} {
		_, err := ParseBase("API URL", bad)
		if err == nil || !strings.HasPrefix(err.Error(), "API URL ") || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: got %v", bad, err)
		}
	}
}

func TestReadBody(t *testing.T) {
	read := func(r io.Reader) ([]byte, error) { return ReadBody(&http.Response{Body: io.NopCloser(r)}) }
	if b, err := read(strings.NewReader(strings.Repeat("x", maxBody))); len(b) != maxBody || err != nil {
		t.Errorf("at the limit: got %d bytes %v", len(b), err)
	}
	if _, err := read(strings.NewReader(strings.Repeat("x", maxBody+1))); err == nil {
		t.Error("more than the limit was read")
	}
	if b, err := read(iotest.TimeoutReader(iotest.OneByteReader(strings.NewReader("cut")))); b != nil || !errors.Is(err, iotest.ErrTimeout) {
		t.Errorf("cut: got %q %v", b, err)
	}
}

var errBroken = errors.New("disk is gone")

type closer struct {
	io.Reader
	closed bool
}

func (c *closer) Close() error { c.closed = true; return nil }

func TestExactBody(t *testing.T) {
	for name, tt := range map[string]struct {
		source io.Reader
		want   string
		err    error
	}{
		"all":           {strings.NewReader("hello"), "hello", nil},
		"more":          {strings.NewReader("hello and more"), "hello", nil},
		"less":          {strings.NewReader("hell"), "hell", io.ErrUnexpectedEOF},
		"end with data": {iotest.DataErrReader(strings.NewReader("hello")), "hello", nil},
		"less, at once": {iotest.DataErrReader(strings.NewReader("hell")), "hell", io.ErrUnexpectedEOF},
		"broken":        {iotest.ErrReader(errBroken), "", errBroken},
	} {
		t.Run(name, func(t *testing.T) {
			source := &closer{Reader: tt.source}
			body := ExactBody(source, 5)
			if got, err := io.ReadAll(body); string(got) != tt.want || !errors.Is(err, tt.err) {
				t.Errorf("got %q %v, want %q %v", got, err, tt.want, tt.err)
			}
			if body.Close() != nil || !source.closed {
				t.Error("the source stays open")
			}
		})
	}
}
