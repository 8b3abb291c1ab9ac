package sandbox_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"socialqueue/sandbox"
	"socialqueue/sandbox/sandboxtest"
)

func TestManyPublishersOnePost(t *testing.T) {
	media := sandboxtest.MediaHost(t, map[string][]byte{"/ok.jpg": sandboxtest.JPEG(640, 640)})
	w := sandboxtest.New(t, sandbox.Options{})
	id := w.FinishedContainer(media.URL + "/ok.jpg")
	up := w.Init(sandboxtest.PublicPost, 1000)
	var published, created atomic.Int32
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if a := w.Do(w.GraphRequest("POST", w.Instagram.IGID+"/media_publish", "creation_id", id)); a.HTTPStatus == 200 {
				published.Add(1)
			}
			if a := w.PutChunk(up.Data.UploadURL, sandboxtest.MP4(1000), 0, 999, 1000); a.HTTPStatus == 201 {
				created.Add(1)
			}
			w.LivePosts()
		})
	}
	wg.Wait()
	w.Advance(time.Minute)
	w.WantLive(2)
	if published.Load() != 1 || created.Load() != 1 {
		t.Errorf("%d publishes and %d uploads succeeded", published.Load(), created.Load())
	}
}

func TestHandlerOnAnotherListener(t *testing.T) {
	s := sandbox.New(sandbox.Options{Now: func() time.Time { return sandboxtest.StartTime }})
	srv := httptest.NewServer(s.Handler())
	t.Cleanup(func() { srv.Close(); _ = s.Close() })
	w := &sandboxtest.Env{Server: s, T: t, HTTP: srv.Client(), TikTok: s.AddTikTokAccount(sandbox.TikTokAccount{})}
	req := w.TikTokRequest(sandboxtest.PathInit, sandboxtest.InitBody(sandboxtest.PublicPost, 100, 100, 1))
	req.URL.Scheme, req.URL.Host = "http", strings.TrimPrefix(srv.URL, "http://")
	var a sandboxtest.TikTokAnswer
	w.MustDo(req).JSON(t, &a)
	if !strings.HasPrefix(a.Data.UploadURL, srv.URL+"/tiktok-upload/") {
		t.Fatalf("upload_url %q is not on the host the client used", a.Data.UploadURL)
	}
	w.PutFile(a.Data.UploadURL, sandboxtest.MP4(100))
}

func TestUploadsOnASecondHostName(t *testing.T) {
	w := sandboxtest.New(t, sandbox.Options{UploadBaseURL: "http://uploads.sim.test:8080/"})
	if u := w.Init(sandboxtest.PublicPost, 100).Data.UploadURL; !strings.HasPrefix(u, "http://uploads.sim.test:8080/tiktok-upload/upload?upload_id=") {
		t.Errorf("upload_url %q", u)
	}
}

func TestDataDir(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	w := sandboxtest.New(t, sandbox.Options{DataDir: dir, Delays: &sandbox.Delays{}})
	good, bad := w.Init(sandboxtest.PublicPost, 100), w.Init(sandboxtest.PublicPost, 100)
	w.PutFile(good.Data.UploadURL, sandboxtest.MP4(100))
	w.PutFile(bad.Data.UploadURL, make([]byte, 100))
	w.WantStatus(bad.Data.PublishID, "FAILED", "file_format_check_failed")
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != 1 {
		t.Errorf("a failed video must not stay on disk: %v %v", files, err)
	}
}

func TestStartRefuses(t *testing.T) {
	w := sandboxtest.New(t, sandbox.Options{})
	if w.Start("127.0.0.1:0") == nil {
		t.Error("started twice")
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if sandbox.New(sandbox.Options{DataDir: filepath.Join(file, "below")}).Start("127.0.0.1:0") == nil {
		t.Error("started without a data directory")
	}
}

// transport is a function that carries HTTP.
type transport func(*http.Request) (*http.Response, error)

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// TestCallerCarriesFetchesAndWebhooks: a sandbox without a network fetches and sends through its caller.
func TestCallerCarriesFetchesAndWebhooks(t *testing.T) {
	var fetched, events []string
	w := sandboxtest.New(t, sandbox.Options{
		FetchTransport: transport(func(r *http.Request) (*http.Response, error) {
			fetched = append(fetched, r.URL.String())
			return &http.Response{
				StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"image/jpeg"}},
				Body: io.NopCloser(bytes.NewReader(sandboxtest.JPEG(640, 640))), Request: r,
			}, nil
		}),
		OnWebhook: func(h sandbox.Webhook, sign func() http.Header) {
			events = append(events, h.Platform+" "+h.Event)
			if sign().Get("TikTok-Signature") == "" {
				t.Error("the webhook has no signature")
			}
		},
	})
	const address = "http://nowhere.test/ok.jpg"
	w.FinishedContainer(address)
	w.InvalidateTikTok(w.TikTok.OpenID)
	if !slices.Equal(fetched, []string{address}) || !slices.Equal(events, []string{"tiktok authorization.removed"}) {
		t.Errorf("fetched %q, sent %q", fetched, events)
	}
}
