package handlers_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"socialqueue/handlers"
)

// rawServer serves the API as the api process does.
func (w *fixture) rawServer() string {
	server := httptest.NewUnstartedServer(nil)
	server.Config = handlers.Server(w.api)
	server.Start()
	w.t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

// sendThenRead sends a whole request before it reads anything, as Python's http.client does.
func sendThenRead(address, head string, body io.Reader) (*http.Response, error) {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		return nil, err
	}
	if _, err := io.WriteString(conn, head+"\r\n\r\n"); err != nil {
		return nil, err
	}
	if _, err := io.Copy(struct{ io.Writer }{conn}, body); err != nil {
		return nil, fmt.Errorf("send the body: %w", err)
	}
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return nil, fmt.Errorf("read the answer: %w", err)
	}
	said, err := io.ReadAll(answer.Body)
	answer.Body = io.NopCloser(bytes.NewReader(said))
	return answer, err
}

// A refused upload is answered also for clients that send everything before they read.
func TestRefusedUploadsAreAnswered(t *testing.T) {
	w := onSQLite(t)
	w.deps.MediaMaxBytes = 1 << 30
	w.api = handlers.New(w.deps)
	address := w.rawServer()
	const size = 20 << 20 // more than any buffer between the two
	gif := append([]byte("GIF89a"), bytes.Repeat([]byte{7}, size)...)
	for name, tc := range map[string]struct {
		path, contentType string
		body              []byte
		length            string // instead of Content-Length
		key               string
		status            int
		says              string
	}{
		"a GIF":           {path: "/api/media", contentType: "image/gif", body: gif, status: 422, says: "GIF images are not accepted"},
		"a GIF in chunks": {path: "/api/media", contentType: "image/gif", body: inOneChunk(gif), length: "Transfer-Encoding: chunked", status: 422, says: "GIF images are not accepted"},
		"a GIF in a form": {path: "/api/media", body: formOf("file", gif), status: 422, says: "GIF images are not accepted"},
		"an unknown field before the file": {
			path: "/api/media", body: formOf("colour", gif), status: 422, says: "colour",
		},
		"a GIF for TikTok": {path: "/api/tiktok/upload", body: formOf("video", gif), status: 422, says: "video"},
		"an unknown field before the video": {
			path: "/api/tiktok/upload", body: formOf("colour", gif), status: 422, says: "colour",
		},
		"too large":        {path: "/api/media", contentType: "video/mp4", body: gif, length: fmt.Sprintf("Content-Length: %d", 8<<30), status: 413, says: "TOO_LARGE"},
		"too large a form": {path: "/api/tiktok/upload", body: formOf("video", gif), length: fmt.Sprintf("Content-Length: %d", 8<<30), status: 413, says: "TOO_LARGE"},
		"without a key":    {path: "/api/media", contentType: "image/gif", body: gif, key: "sq_nobody", status: 401, says: "UNAUTHORIZED"},
	} {
		t.Run(name, func(t *testing.T) {
			if tc.contentType == "" {
				tc.contentType = "multipart/form-data; boundary=X"
			}
			if tc.length == "" {
				tc.length = fmt.Sprintf("Content-Length: %d", len(tc.body))
			}
			if tc.key == "" {
				tc.key = w.ours.key
			}
			head := fmt.Sprintf("POST %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: %s\r\n%s", tc.path, tc.key, tc.contentType, tc.length)
			t.Parallel()
			answer, err := sendThenRead(address, head, bytes.NewReader(tc.body))
			if err != nil {
				t.Fatal(err)
			}
			said, _ := io.ReadAll(answer.Body)
			if answer.StatusCode != tc.status || !strings.Contains(string(said), tc.says) {
				t.Errorf("answer %d %s", answer.StatusCode, said)
			}
		})
	}
}

// Only a bounded rest is read: a client that sends without end is cut off.
func TestARefusedUploadIsNotReadForEver(t *testing.T) {
	w := onSQLite(t)
	head := fmt.Sprintf("POST /api/media HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: image/gif\r\nTransfer-Encoding: chunked", w.ours.key)
	chunk := append(inOneChunkOpen(bytes.Repeat([]byte{7}, 1<<20)), "\r\n"...)
	sent := 0
	_, err := sendThenRead(w.rawServer(), head, readerFunc(func(p []byte) (int, error) {
		n := copy(p, chunk[sent%len(chunk):])
		sent += n
		return n, nil
	}))
	if err == nil || sent > 64<<20 {
		t.Errorf("the server read %d bytes: %v", sent, err)
	}
}

// A client that waits for leave to send its body is answered at once, and not asked for it.
func TestARefusalBeforeTheBody(t *testing.T) {
	w := onSQLite(t)
	head := fmt.Sprintf("POST /api/media HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nExpect: 100-continue\r\nContent-Length: %d", w.ours.key, 8<<30)
	began := time.Now()
	answer, err := sendThenRead(w.rawServer(), head, strings.NewReader(""))
	w.must(err)
	if took := time.Since(began); answer.StatusCode != http.StatusRequestEntityTooLarge || !answer.Close || took > time.Second {
		t.Errorf("answer %d after %s, close %v", answer.StatusCode, took, answer.Close)
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// formOf is a form whose only part has that name.
func formOf(name string, content []byte) []byte {
	head := fmt.Sprintf("--X\r\nContent-Disposition: form-data; name=%q; filename=\"a\"\r\n\r\n", name)
	return append(append([]byte(head), content...), "\r\n--X--\r\n"...)
}

func inOneChunkOpen(content []byte) []byte {
	return append(fmt.Appendf(nil, "%x\r\n", len(content)), content...)
}

func inOneChunk(content []byte) []byte { return append(inOneChunkOpen(content), "\r\n0\r\n\r\n"...) }
