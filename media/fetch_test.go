package media

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"socialqueue/egress"
)

// guarded returns a Fetcher that accepts 127.0.0.1, where the test servers are, as a public
// address, and refuses all other private ones.
func guarded(opts FetchOptions) *Fetcher {
	public := netip.MustParsePrefix("127.0.0.1/32")
	return newFetcher(opts, egress.New(false, public))
}

func serve(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return server.URL
}

// fetch opens and reads a URL whole.
func fetch(t *testing.T, f *Fetcher, rawURL string) ([]byte, error) {
	t.Helper()
	r, _, err := f.Open(t.Context(), rawURL)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(r)
}

// privateURLs lead, one way or another, to addresses that are not public.
var privateURLs = []string{
	"http://127.0.0.2/f",
	"http://[::1]/f",
	"http://[::]/f",
	"http://0.0.0.0/f",
	"http://10.0.0.1/f",
	"http://172.16.0.1/f",
	"http://192.168.1.1/f",
	"http://100.64.0.1/f",
	"http://169.254.169.254/latest/meta-data",
	"http://[fe80::1]/f",
	"http://[fd00::1]/f",
	"http://[::ffff:10.0.0.1]/f",
	"http://[::ffff:a9fe:a9fe]/f",
	"http://[64:ff9b::7f00:1]/f",
	"http://[2002:7f00:1::]/f",
	"http://224.0.0.1/f",
	"http://255.255.255.255/f",
	"http://2130706433/f",
	"http://0x7f000001/f",
	"http://0x7f.1/f",
	"http://127.1/f",
	"http://0177.0.0.1/f",
	"http://127.0.0.2:8080/f",
}

func TestFetchRefusesPrivateHosts(t *testing.T) {
	f := NewFetcher(FetchOptions{})
	for _, u := range append(privateURLs, "http://127.0.0.1/f", "http://localhost/f") {
		for name, err := range map[string]error{
			"CheckURL": f.CheckURL(t.Context(), u),
			"Open":     second(fetch(t, f, u)),
		} {
			fetchErr, ok := errors.AsType[*FetchError](err)
			if !ok || !errors.Is(err, egress.ErrPrivateHost) || !fetchErr.Permanent {
				t.Errorf("%s of %s: err = %v, want egress.ErrPrivateHost", name, u, err)
			}
		}
	}
}

func second[T any](_ T, err error) error { return err }

func TestFetchRefusesRedirectsToPrivateHosts(t *testing.T) {
	for _, target := range privateURLs {
		u := serve(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, target, http.StatusFound) })
		if _, err := fetch(t, guarded(FetchOptions{}), u); !errors.Is(err, egress.ErrPrivateHost) {
			t.Errorf("redirect to %s: err = %v, want egress.ErrPrivateHost", target, err)
		}
	}
}

func TestCheckURL(t *testing.T) {
	f := NewFetcher(FetchOptions{})
	for _, u := range []string{"https://93.184.215.14/f?sig=1", "http://[2606:4700::1111]:8443/f"} {
		if err := f.CheckURL(t.Context(), u); err != nil {
			t.Errorf("%s: %v", u, err)
		}
	}
	for _, u := range []string{
		"", "f.mp4", "//host/f", "ftp://93.184.215.14/f", "file:///etc/passwd", "gopher://x", "http://", "http:///f",
		"http://user:hunter2@93.184.215.14/", "http://93.184.215.14:port/?s=hunter2", "javascript:hunter2", "http://%zz/?s=hunter2",
	} {
		err := f.CheckURL(t.Context(), u)
		fetchErr, ok := errors.AsType[*FetchError](err)
		if !ok || !fetchErr.Permanent || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: err = %v, want a permanent one without the URL", u, err)
		}
	}
	if err := NewFetcher(FetchOptions{AllowPrivate: true}).CheckURL(t.Context(), "http://10.0.0.1/f"); err != nil {
		t.Errorf("private and allowed: %v", err)
	}
}

func TestFetch(t *testing.T) {
	file := fixture(t, "h264.mp4")
	u := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Accept-Encoding") != "" || r.Header.Get("Referer") != "" || r.Header.Get("Authorization") != "" {
			t.Errorf("headers %v", r.Header)
		}
		if hops := r.URL.Query().Get("hops"); hops != "" {
			http.Redirect(w, r, "/f?"+strings.TrimSuffix("hops="+hops[1:], "hops="), http.StatusFound)
			return
		}
		w.Write(file)
	})
	f := NewFetcher(FetchOptions{AllowPrivate: true, MaxBytes: int64(len(file))})
	for _, path := range []string{"/f", "/f?hops=11111"} {
		r, length, err := f.Open(t.Context(), u+path)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(r)
		if err != nil || !bytes.Equal(got, file) || length != -1 && length != int64(len(file)) {
			t.Errorf("%s: %d bytes of %d, %v", path, len(got), length, err)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
	err := second(fetch(t, f, u+"/f?hops=111111"))
	if fetchErr, ok := errors.AsType[*FetchError](err); !ok || !fetchErr.Permanent {
		t.Errorf("six redirects: err = %v", err)
	}
}

func TestFetchErrors(t *testing.T) {
	for name, tc := range map[string]struct {
		answer    http.HandlerFunc
		permanent bool
		says      string
	}{
		"gone":              {status(410), true, "answered 410"},
		"forbidden":         {status(403), true, "answered 403: the link may have expired"},
		"a web page":        {page, true, "a web page (text/html), not to a file: give the direct download link"},
		"a part of it":      {ranged("bytes 0-49/100"), true, "only a part of the file"},
		"the end of it":     {ranged("bytes 50-99/100"), true, "only a part of the file"},
		"compressed":        {compressed, true, "Content-Encoding: gzip"},
		"no content":        {status(204), true, "answered 204"},
		"too many requests": {status(429), false, "answered 429"},
		"request timeout":   {status(408), false, "answered 408"},
		"server error":      {status(503), false, "answered 503"},
		"no location":       {status(302), true, "redirected without a valid address"},
		"bad location":      {redirect("http://host:port/?s=hunter2"), true, "redirected without a valid address"},
		"to a file":         {redirect("file:///etc/hunter2"), true, "not an http"},
		"to a password":     {redirect("http://user:hunter2@127.0.0.1/"), true, "without user name"},
		"announced size":    {body101, true, "larger than allowed"},
		"unannounced size":  {chunked101, true, "larger than allowed"},
		"cut off":           {cutOff, false, "unexpected EOF"},
		"no answer":         {hang, false, "no answer in time"},
		"stalled":           {stall, false, "stalled"},
		"too long":          {trickle, false, "took too long"},
		"too slow":          {trickle, false, "less than 100 kB a second"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			opts := FetchOptions{MaxBytes: 100}
			switch name { // only the time is short that is to run out
			case "no answer":
				opts.HeaderTimeout = 300 * time.Millisecond
			case "stalled":
				opts.StallTimeout = 200 * time.Millisecond
			case "too long":
				opts.Timeout = 600 * time.Millisecond
			case "too slow":
				opts.RateWindow = 300 * time.Millisecond
			}
			_, err := fetch(t, guarded(opts), serve(t, tc.answer)+"/path?signature=hunter2")
			fetchErr, ok := errors.AsType[*FetchError](err)
			if !ok || fetchErr.Permanent != tc.permanent || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("err = %v, want permanent = %t and %q", err, tc.permanent, tc.says)
			}
			if strings.Contains(fmt.Sprintf("%v %+v %#v", err, err, err), "hunter2") {
				t.Errorf("the error shows the URL: %v", err)
			}
		})
	}
}

func page(w http.ResponseWriter, _ *http.Request) {
	_, _ = io.WriteString(w, "<!DOCTYPE html><html><head><title>Virus scan warning</title>")
}

func ranged(contentRange string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Range", contentRange)
		w.WriteHeader(http.StatusPartialContent)
		_, _ = w.Write(make([]byte, 50))
	}
}

func compressed(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Encoding", "gzip")
	_, _ = w.Write([]byte{0x1f, 0x8b})
}

// TestFetchOfAWholeRange: some servers answer every request with 206.
func TestFetchOfAWholeRange(t *testing.T) {
	got, err := fetch(t, guarded(FetchOptions{MaxBytes: 100}), serve(t, ranged("bytes 0-49/50")))
	if err != nil || len(got) != 50 {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

// TestFetchErrorHidesOurSide: the error of a broken connection names the reason
// and none of our own addresses.
func TestFetchErrorHidesOurSide(t *testing.T) {
	err := second(fetch(t, guarded(FetchOptions{}), serve(t, func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		_ = conn.(*net.TCPConn).SetLinger(0) // closes with a reset
		conn.Close()
	})))
	if !errors.Is(err, syscall.ECONNRESET) || strings.Contains(err.Error(), "->") {
		t.Errorf("err = %v", err)
	}
}

func TestFetchRefusedConnection(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	server.Close()
	err := second(fetch(t, guarded(FetchOptions{}), server.URL+"/?s=hunter2"))
	fetchErr, ok := errors.AsType[*FetchError](err)
	if !ok || fetchErr.Permanent || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("err = %v, want a transient one", err)
	}
}

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

func redirect(location string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Location", location)
		w.WriteHeader(http.StatusFound)
	}
}

func body101(w http.ResponseWriter, _ *http.Request) { w.Write(make([]byte, 101)) }

func chunked101(w http.ResponseWriter, _ *http.Request) {
	w.Write(make([]byte, 50))
	w.(http.Flusher).Flush()
	w.Write(make([]byte, 51))
}

func cutOff(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Length", "90")
	w.Write(make([]byte, 10))
}

func hang(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

func stall(w http.ResponseWriter, r *http.Request) {
	w.Write(make([]byte, 10))
	w.(http.Flusher).Flush()
	<-r.Context().Done()
}

func trickle(w http.ResponseWriter, r *http.Request) {
	for r.Context().Err() == nil {
		w.Write([]byte("x"))
		w.(http.Flusher).Flush()
		select {
		case <-r.Context().Done():
		case <-time.After(20 * time.Millisecond):
		}
	}
}
