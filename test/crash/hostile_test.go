package crash_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"socialqueue/test/testkit"
)

// Memory limits of the Kubernetes manifests, in MiB.
const (
	apiLimit       = 512
	schedulerLimit = 256
	workerLimit    = 1024
)

// peak is the most memory that a process had in use, in MiB.
func (c *child) peak(t *testing.T) int {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", c.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	var kib int
	for line := range strings.Lines(string(status)) {
		if _, err := fmt.Sscanf(line, "VmHWM: %d kB", &kib); err == nil {
			return kib >> 10
		}
	}
	t.Fatal("the kernel does not tell the peak")
	return 0
}

// wantBelow checks the peak of a process.
func (c *child) wantBelow(t *testing.T, what string, mib int) {
	t.Helper()
	got := c.peak(t)
	t.Logf("MEASURED hostile %s peak=%dMiB limit=%dMiB", what, got, mib)
	if got > mib {
		t.Errorf("%s: %d MiB, the limit is %d", what, got, mib)
	}
}

// post sends a request with the app's key.
func (s *system) post(t *testing.T, path, body string) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+path, strings.NewReader(body))
	testkit.Must(t, err)
	req.Header.Set("Authorization", "Bearer "+s.key.Reveal())
	req.Header.Set("Content-Type", "application/json")
	resp, err := s.client.Do(req)
	testkit.Must(t, err)
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	testkit.Must(t, err)
	return resp
}

// TestHostileTenant attacks the processes as a tenant, or anybody, can. They stay below the
// memory limits of the Kubernetes manifests, and another post goes live meanwhile.
func TestHostileTenant(t *testing.T) {
	s := newSystem(t, setup{env: map[string]string{"MEDIA_ALLOW_PRIVATE_HOSTS": "true", "GOMEMLIMIT": "230MiB"}})
	t.Run("errors in every element", func(t *testing.T) {
		body := `{"url":"https://8.8.8.8/","events":[` + strings.Repeat(`"x",`, 249_999) + `"x"]}`
		var wg sync.WaitGroup
		for range 6 {
			wg.Go(func() {
				if resp := s.post(t, "/api/webhook-endpoints", body); resp.StatusCode != 422 {
					t.Errorf("answered %d", resp.StatusCode)
				}
			})
		}
		wg.Wait()
		s.api.wantBelow(t, "api after errors", apiLimit)
	})
	t.Run("webhooks that nobody signed", func(t *testing.T) {
		for _, header := range []string{"", "X-Hub-Signature-256: sha256=" + strings.Repeat("0", 64) + "\r\n"} {
			s.holdBodies(t, 150, "/api/webhooks/instagram", header, make([]byte, 4<<20-1))
			s.wantReady(t)
		}
		s.api.wantBelow(t, "api after webhooks", apiLimit)
	})
	t.Run("boxes in boxes", func(t *testing.T) {
		s.holdBodies(t, 9, "/api/media", "Content-Type: video/mp4\r\nAuthorization: Bearer "+s.key.Reveal()+"\r\n", nestedBoxes(199_990))
		s.wantReady(t)
		s.api.wantBelow(t, "api after boxes", apiLimit)
	})
	t.Run("long links of scheduled posts", func(t *testing.T) {
		at := time.Now().Add(30 * time.Second).UTC().Format(time.RFC3339)
		link := "http://127.0.0.1:1/" + strings.Repeat("q", 2000)
		for i := range 300 {
			body := fmt.Sprintf(`{"account_id":%d,"privacy_level":"SELF_ONLY","publish_at":%q,"media_url":%q}`, s.tiktok[i%accountsEach], at, link)
			if resp := s.post(t, "/api/tiktok/upload", body); resp.StatusCode != 202 {
				t.Fatalf("answered %d", resp.StatusCode)
			}
		}
		if resp := s.post(t, "/api/tiktok/upload", fmt.Sprintf(`{"account_id":%d,"media_url":"http://127.0.0.1:1/%s"}`, s.tiktok[0], strings.Repeat("q", 900_000))); resp.StatusCode != 422 {
			t.Errorf("a link of 900 kB was answered with %d", resp.StatusCode)
		}
		s.scheduler.kill(true) // it reads all of them again
		if resp := s.post(t, "/api/tiktok/upload", fmt.Sprintf(`{"account_id":%d,"privacy_level":"SELF_ONLY","publish_at":%q,"media_id":%q}`, s.tiktok[0], at, s.video)); resp.StatusCode != 202 {
			t.Fatalf("answered %d", resp.StatusCode)
		}
		testkit.Eventually(t, "the scheduler has taken all posts on", func() bool {
			return s.number(t, "SELECT COUNT(*) FROM posts WHERE status = 'scheduled'") == 0
		})
		s.wantReady(t)
		s.scheduler.wantBelow(t, "scheduler after links", schedulerLimit)
		s.worker.wantBelow(t, "worker after links", workerLimit)
	})
	t.Run("servers that send a byte every few seconds", func(t *testing.T) {
		slow := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				_, _ = rw.Write([]byte{0})
				rw.(http.Flusher).Flush()
				select {
				case <-r.Context().Done():
				case <-time.After(time.Second):
				}
			}
		}))
		defer slow.Close()
		defer slow.CloseClientConnections()
		for i := range 8 {
			body := fmt.Sprintf(`{"account_id":%d,"privacy_level":"SELF_ONLY","media_url":%q}`, s.tiktok[i], fmt.Sprint(slow.URL, "/", i, ".mp4"))
			if resp := s.post(t, "/api/tiktok/upload", body); resp.StatusCode != 202 {
				t.Fatalf("answered %d", resp.StatusCode)
			}
		}
		began := time.Now()
		id, answer, ok := s.tryCreate(t.Context(), "/api/tiktok/upload", "application/json", "beside", fmt.Appendf(nil,
			`{"account_id":%d,"privacy_level":"SELF_ONLY","title":"beside","media_id":%q}`, s.tiktok[accountsEach-1], s.video))
		if !ok {
			t.Fatalf("not accepted: %s", answer)
		}
		testkit.Eventually(t, "the post with a stored file is live", func() bool { return s.statusOf(t, id) == "published" })
		t.Logf("MEASURED hostile beside slow links: live after %.1fs", time.Since(began).Seconds())
	})
}

// holdBodies opens connections that send all but the last byte of a body, and closes them
// once all have sent what they can.
func (s *system) holdBodies(t *testing.T, n int, path, header string, body []byte) {
	t.Helper()
	u, err := url.Parse(s.url)
	testkit.Must(t, err)
	var open []net.Conn
	var wg sync.WaitGroup
	for range n {
		conn, err := net.Dial("tcp", u.Host)
		testkit.Must(t, err)
		open = append(open, conn)
		wg.Go(func() {
			_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
			_, _ = fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: a\r\n%sContent-Length: %d\r\n\r\n", path, header, len(body)+1)
			_, _ = io.Copy(conn, bytes.NewReader(body)) // fails where the server closes first
		})
	}
	wg.Wait()
	for _, conn := range open {
		_ = conn.Close()
	}
}

// nestedBoxes is an MP4 whose boxes contain each other.
func nestedBoxes(n int) []byte {
	file := []byte("\x00\x00\x00\x10ftypisom\x00\x00\x00\x00")
	for i := range n {
		name := "trak"
		if i == 0 {
			name = "moov"
		}
		file = binary.BigEndian.AppendUint32(file, uint32(8*(n-i)))
		file = append(file, name...)
	}
	return file
}
