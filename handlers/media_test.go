package handlers_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"socialqueue/handlers"
	"socialqueue/models"
	"socialqueue/test/testkit"
)

func TestMediaIsShownAsPromised(t *testing.T) {
	each(t, func(t *testing.T, w *fixture) {
		file := testFile(t, "upright.mp4")
		sum := sha256.Sum256(file)
		contentType, form := formBody(t, field{"file", "whatever.txt", file})
		for _, c := range []call{
			{body: bytes.NewReader(file), contentType: "text/plain"}, // what it is shows in its bytes
			{body: bytes.NewReader(file)},
			{body: bytes.NewReader(form), contentType: contentType},
		} {
			c.method, c.path = "POST", "/api/media"
			got := w.do(c).want(201).Object()
			want := map[string]any{
				"bytes": float64(len(file)), "content_type": "video/mp4", "sha256": hex.EncodeToString(sum[:]), "width": 360.0, "height": 640.0,
			}
			for name, value := range want {
				if got[name] != value {
					t.Errorf("%s = %v, want %v", name, got[name], value)
				}
			}
			if d := got["duration_ms"].(float64); d < 4000 || d > 4100 {
				t.Errorf("duration_ms = %v", d)
			}
		}
		picture := w.do(call{method: "POST", path: "/api/media", body: bytes.NewReader(testFile(t, "baseline.jpg"))}).want(201).Object()
		if _, has := picture["duration_ms"]; has {
			t.Errorf("a picture with a duration: %v", picture)
		}
	})
}

// linkTo returns the path of a signed link.
func (w *fixture) linkTo(id string, life time.Duration) string {
	u, err := url.Parse(w.links.Link(id, w.clock.Now().Add(life)).Reveal())
	w.must(err)
	return u.Path
}

func TestMediaLinks(t *testing.T) {
	each(t, func(t *testing.T, w *fixture) {
		file, id := testFile(t, "upright.mp4"), w.upload("upright.mp4")
		link := w.linkTo(id, time.Hour)
		get := func(method, path string, headers map[string]string) *reply {
			return w.do(call{method: method, path: path, noKey: true, headers: headers})
		}
		whole := get("GET", link, nil).want(200)
		if !bytes.Equal(whole.Body, file) || whole.Header.Get("Content-Type") != "video/mp4" || whole.Header.Get("Content-Length") != fmt.Sprint(len(file)) {
			t.Errorf("%d bytes, %v", len(whole.Body), whole.Header)
		}
		if cc := whole.Header.Get("Cache-Control"); !strings.HasPrefix(cc, "private") {
			t.Errorf("Cache-Control = %q", cc)
		}
		if whole.Header.Get("X-Content-Type-Options") != "nosniff" || whole.Header.Get("Accept-Ranges") != "bytes" {
			t.Errorf("headers %v", whole.Header)
		}
		part := get("GET", link, map[string]string{"Range": "bytes=100-199"}).want(206)
		if !bytes.Equal(part.Body, file[100:200]) || part.Header.Get("Content-Range") != fmt.Sprintf("bytes 100-199/%d", len(file)) {
			t.Errorf("part: %d bytes, %v", len(part.Body), part.Header)
		}
		if tail := get("GET", link, map[string]string{"Range": "bytes=-10"}).want(206); !bytes.Equal(tail.Body, file[len(file)-10:]) {
			t.Errorf("tail: %q", tail.Body)
		}
		get("GET", link, map[string]string{"Range": "bytes=99999999-"}).want(416)
		if head := get("HEAD", link, nil).want(200); len(head.Body) != 0 || head.Header.Get("Content-Length") != fmt.Sprint(len(file)) {
			t.Errorf("HEAD: %d bytes, %v", len(head.Body), head.Header)
		}
		get("GET", link, map[string]string{"If-None-Match": whole.Header.Get("ETag")}).want(304)
	})
}

func TestBadMediaLinks(t *testing.T) {
	each(t, func(t *testing.T, w *fixture) {
		id, other := w.upload("upright.mp4"), w.upload("baseline.jpg")
		link := w.linkTo(id, time.Hour)
		_, signature, _ := strings.Cut(strings.TrimPrefix(link, "/media/"), "/")
		flip := "A"
		if strings.HasPrefix(signature, "B") {
			flip = "C"
		}
		for _, path := range []string{
			"/media/" + id + "/", "/media/" + id + "/x", "/media/" + other + "/" + signature, "/media/" + id + "/B" + flip + signature[2:],
			link + "x", link + "/x", w.linkTo(models.NewID(), time.Hour), "/media/../media/" + id + "/" + flip,
		} {
			r := w.do(call{method: "GET", path: path, noKey: true})
			r.WantProblem(404, "NOT_FOUND", "")
			if cc := r.Header.Get("Cache-Control"); cc != "no-store" {
				t.Errorf("%s: Cache-Control = %q", path, cc)
			}
		}
		if head := w.do(call{method: "HEAD", path: "/media/" + id + "/x", noKey: true}).want(404); len(head.Body) != 0 {
			t.Errorf("HEAD answers %q", head.Body)
		}
		w.do(call{method: "POST", path: link, noKey: true}).WantProblem(405, "NOT_FOUND", "")
		w.clock.Advance(time.Hour)
		w.do(call{method: "GET", path: link, noKey: true}).WantProblem(410, "NOT_FOUND", "")
		if log := w.log.String(); strings.Contains(log, signature[8:]) {
			t.Error("a signature is in the log")
		}
	})
}

// TestRealConnections tests what needs a real connection.
func TestRealConnections(t *testing.T) {
	each(t, func(t *testing.T, w *fixture) {
		server := httptest.NewUnstartedServer(nil)
		server.Config = handlers.Server(w.api)
		server.Start()
		defer server.Close()
		before := w.stored()
		file := testFile(t, "upright.mp4")
		send := func(head string, body []byte, whole bool) string {
			conn, err := net.Dial("tcp", server.Listener.Addr().String())
			w.must(err)
			defer conn.Close()
			_, err = fmt.Fprintf(conn, "%s\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer %s\r\n\r\n", head, w.ours.key)
			w.must(err)
			_, _ = conn.Write(body)
			if !whole {
				w.must(conn.(*net.TCPConn).CloseWrite())
			}
			w.must(conn.SetReadDeadline(time.Now().Add(10 * time.Second)))
			answer, err := io.ReadAll(conn)
			w.must(err)
			return string(answer)
		}
		for name, head := range map[string]string{
			"by its length": fmt.Sprintf("POST /api/media HTTP/1.1\r\nContent-Length: %d", len(file)+10),
			"in a chunk":    "POST /api/media HTTP/1.1\r\nTransfer-Encoding: chunked",
			"JSON":          "POST /api/tiktok/upload HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 900000",
		} {
			body := file
			if name == "in a chunk" {
				body = append([]byte("1000\r\n"), file[:1000]...)
			}
			if answer := send(head, body, false); !strings.HasPrefix(answer, "HTTP/1.1 400 ") || !strings.Contains(answer, "VALIDATION_FAILED") {
				t.Errorf("cut off %s: %q", name, answer)
			}
		}
		if answer := send("POST /api/media HTTP/1.1\r\nContent-Length: 99999999999", nil, true); !strings.HasPrefix(answer, "HTTP/1.1 413 ") {
			t.Errorf("announced too large: %q", answer)
		}
		w.wantUnchanged(before)
		answer := send(fmt.Sprintf("POST /api/media HTTP/1.1\r\nContent-Length: %d", len(file)), file, true)
		if !strings.HasPrefix(answer, "HTTP/1.1 201 ") {
			t.Errorf("whole: %q", answer)
		}
	})
}

// TestClientThatLeaves disconnects in the middle of an upload: nothing is stored.
func TestClientThatLeaves(t *testing.T) {
	each(t, func(t *testing.T, w *fixture) {
		server := httptest.NewServer(w.api)
		defer server.Close()
		before := w.stored()
		conn, err := net.Dial("tcp", server.Listener.Addr().String())
		w.must(err)
		_, err = fmt.Fprintf(conn, "POST /api/media HTTP/1.1\r\nHost: x\r\nContent-Length: 40000\r\nAuthorization: Bearer %s\r\n\r\n%s", w.ours.key, testFile(t, "upright.mp4")[:20000])
		w.must(err)
		w.must(conn.Close())
		testkit.Await(t, testkit.Patience, "the request is logged", func() (bool, string) {
			lines := w.log.String()
			return strings.Contains(lines, `"action":"POST /api/media"`), lines
		})
		w.wantUnchanged(before)
	})
}

func TestServerHasTimeouts(t *testing.T) {
	s := handlers.Server(http.NotFoundHandler())
	if s.ReadHeaderTimeout <= 0 || s.IdleTimeout <= 0 || s.MaxHeaderBytes <= 0 {
		t.Errorf("server %+v", s)
	}
	if s.ReadTimeout != 0 || s.WriteTimeout != 0 {
		t.Error("a total time would cut long uploads")
	}
}
