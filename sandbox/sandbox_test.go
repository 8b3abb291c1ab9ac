package sandbox_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"image"
	"image/jpeg"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"socialqueue/sandbox"
)

var start = time.Date(2026, 11, 22, 6, 0, 0, 0, time.UTC)

// world is a started sandbox on a clock that stands still, with an account on each platform.
type world struct {
	*sandbox.Server
	t    *testing.T
	http *http.Client
	tt   sandbox.TikTokAccount
	ig   sandbox.InstagramAccount
}

func newWorld(t *testing.T, opts sandbox.Options) *world {
	t.Helper()
	if opts.Now == nil {
		opts.Now = func() time.Time { return start }
	}
	s := sandbox.New(opts)
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
	w := &world{Server: s, t: t, http: &http.Client{Transport: tr, Timeout: 20 * time.Second}}
	w.tt = s.AddTikTokAccount(sandbox.TikTokAccount{OpenID: "-000Sim", Username: "simcafe", Nickname: "Sim Cafe"})
	w.ig = s.AddInstagramAccount(sandbox.InstagramAccount{IGID: "17841400000000001", Username: "bakery"})
	return w
}

// answer is a response read whole.
type answer struct {
	status int
	header http.Header
	body   []byte
	err    error
}

func (w *world) do(req *http.Request) answer {
	res, err := w.http.Do(req)
	if err != nil {
		return answer{err: err}
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	return answer{res.StatusCode, res.Header, body, err}
}

func (w *world) request(method, url, body string, header ...string) *http.Request {
	w.t.Helper()
	req, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	return req
}

func (w *world) mustDo(req *http.Request) answer {
	w.t.Helper()
	a := w.do(req)
	if a.err != nil {
		w.t.Fatal(a.err)
	}
	return a
}

func (a answer) json(t *testing.T, v any) {
	t.Helper()
	if err := json.Unmarshal(a.body, v); err != nil {
		t.Fatalf("answer %d %q: %v", a.status, a.body, err)
	}
}

// tiktok

type ttAnswer struct {
	Data struct {
		PublishID  string          `json:"publish_id"`
		UploadURL  string          `json:"upload_url"`
		Status     string          `json:"status"`
		FailReason string          `json:"fail_reason"`
		PostIDs    json.RawMessage `json:"publicaly_available_post_id"`
		Uploaded   int64           `json:"uploaded_bytes"`
		Downloaded int64           `json:"downloaded_bytes"`
		Privacy    []string        `json:"privacy_level_options"`
		Duet       bool            `json:"duet_disabled"`
	} `json:"data"`
	Error struct {
		Code    string `json:"code"`
		Message string `json:"message"`
		LogID   string `json:"log_id"`
	} `json:"error"`
	status int
}

const (
	pathInfo   = "/v2/post/publish/creator_info/query/"
	pathInit   = "/v2/post/publish/video/init/"
	pathInbox  = "/v2/post/publish/inbox/video/init/"
	pathStatus = "/v2/post/publish/status/fetch/"
	pathCancel = "/v2/post/publish/cancel/"
)

func (w *world) ttRequest(path, body string) *http.Request {
	return w.request("POST", w.TikTokURL()+path, body, "Authorization", "Bearer "+w.tt.AccessToken,
		"Content-Type", "application/json; charset=UTF-8")
}

func (w *world) tiktok(path, body string) ttAnswer {
	w.t.Helper()
	a := w.mustDo(w.ttRequest(path, body))
	var out ttAnswer
	a.json(w.t, &out)
	out.status = a.status
	if out.Error.LogID == "" || a.header.Get("X-Tt-Logid") != out.Error.LogID {
		w.t.Errorf("log id: header %q, body %q", a.header.Get("X-Tt-Logid"), out.Error.LogID)
	}
	return out
}

func (w *world) wantTikTok(path, body string, status int, code string) ttAnswer {
	w.t.Helper()
	a := w.tiktok(path, body)
	if a.status != status || a.Error.Code != code {
		w.t.Fatalf("%s %s: got %d %s (%s), want %d %s", path, body, a.status, a.Error.Code, a.Error.Message, status, code)
	}
	return a
}

func initBody(info string, size, chunk, count int64) string {
	return fmt.Sprintf(`{"post_info":%s,"source_info":{"source":"FILE_UPLOAD","video_size":%d,"chunk_size":%d,"total_chunk_count":%d}}`, info, size, chunk, count)
}

const publicPost = `{"title":"New roast #coffee","privacy_level":"PUBLIC_TO_EVERYONE"}`

func (w *world) init(info string, size int64) ttAnswer {
	w.t.Helper()
	return w.wantTikTok(pathInit, initBody(info, size, size, 1), 200, "ok")
}

func (w *world) put(uploadURL string, data []byte, first, last, total int64) answer {
	return w.do(w.putRequest(uploadURL, data, first, last, total))
}

func (w *world) putRequest(uploadURL string, data []byte, first, last, total int64) *http.Request {
	req, err := http.NewRequest("PUT", uploadURL, bytes.NewReader(data))
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "video/mp4")
	req.Header.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", first, last, total))
	return req
}

func (w *world) putAll(uploadURL string, data []byte) {
	w.t.Helper()
	n := int64(len(data))
	if a := w.put(uploadURL, data, 0, n-1, n); a.err != nil || a.status != 201 {
		w.t.Fatalf("PUT: %d %s %v", a.status, a.body, a.err)
	}
}

func (w *world) status(publishID string) ttAnswer {
	w.t.Helper()
	return w.wantTikTok(pathStatus, `{"publish_id":"`+publishID+`"}`, 200, "ok")
}

func (w *world) wantStatus(publishID, status, reason string) ttAnswer {
	w.t.Helper()
	a := w.status(publishID)
	if a.Data.Status != status || a.Data.FailReason != reason {
		w.t.Fatalf("status %s %s, want %s %s", a.Data.Status, a.Data.FailReason, status, reason)
	}
	return a
}

// instagram

type igAnswer struct {
	ID          string `json:"id"`
	URI         string `json:"uri"`
	StatusCode  string `json:"status_code"`
	Status      string `json:"status"`
	Permalink   string `json:"permalink"`
	Timestamp   string `json:"timestamp"`
	MediaType   string `json:"media_type"`
	Product     string `json:"media_product_type"`
	VideoStatus struct {
		Uploading struct {
			Status string `json:"status"`
			Bytes  int64  `json:"bytes_transferred"`
		} `json:"uploading_phase"`
	} `json:"video_status"`
	Data []struct {
		ID         string `json:"id"`
		QuotaUsage int    `json:"quota_usage"`
		Config     struct {
			Total    int `json:"quota_total"`
			Duration int `json:"quota_duration"`
		} `json:"config"`
	} `json:"data"`
	Paging struct {
		Next string `json:"next"`
	} `json:"paging"`
	Error struct {
		Message   string `json:"message"`
		Type      string `json:"type"`
		Code      int    `json:"code"`
		Subcode   int    `json:"error_subcode"`
		Transient bool   `json:"is_transient"`
		Trace     string `json:"fbtrace_id"`
	} `json:"error"`
	status int
	header http.Header
}

func proof(token string) string {
	mac := hmac.New(sha256.New, []byte("sim-app-secret"))
	_, _ = io.WriteString(mac, token)
	return hex.EncodeToString(mac.Sum(nil))
}

func (w *world) graphRequest(method, path string, params ...string) *http.Request {
	q := url.Values{"access_token": {w.ig.PageToken}, "appsecret_proof": {proof(w.ig.PageToken)}}
	for i := 0; i < len(params); i += 2 {
		q.Set(params[i], params[i+1])
	}
	target := w.GraphURL() + "/v25.0/" + path
	if method == "GET" {
		return w.request(method, target+"?"+q.Encode(), "")
	}
	return w.request(method, target, q.Encode(), "Content-Type", "application/x-www-form-urlencoded")
}

func (w *world) send(req *http.Request) igAnswer {
	w.t.Helper()
	a := w.mustDo(req)
	var out igAnswer
	a.json(w.t, &out)
	out.status, out.header = a.status, a.header
	return out
}

func (w *world) graph(method, path string, params ...string) igAnswer {
	w.t.Helper()
	return w.send(w.graphRequest(method, path, params...))
}

func (w *world) wantGraph(status, code, subcode int, method, path string, params ...string) igAnswer {
	w.t.Helper()
	a := w.graph(method, path, params...)
	if a.status != status || a.Error.Code != code || a.Error.Subcode != subcode {
		w.t.Fatalf("%s %s %v: got %d %d/%d %s, want %d %d/%d", method, path, params, a.status, a.Error.Code, a.Error.Subcode,
			a.Error.Message, status, code, subcode)
	}
	return a
}

func (w *world) container(params ...string) string {
	w.t.Helper()
	return w.wantGraph(200, 0, 0, "POST", w.ig.IGID+"/media", params...).ID
}

func (w *world) wantContainer(id, code string) igAnswer {
	w.t.Helper()
	a := w.wantGraph(200, 0, 0, "GET", id, "fields", "status_code,status,video_status")
	if a.StatusCode != code {
		w.t.Fatalf("container %s (%s), want %s", a.StatusCode, a.Status, code)
	}
	return a
}

// files

// mp4 is n bytes that begin like an MP4 file.
func mp4(n int) []byte {
	b := bytes.Repeat([]byte{0x5a}, n)
	copy(b, "\x00\x00\x00\x18ftypisom\x00\x00\x02\x00isommp41")
	return b
}

func jpegOf(width, height int) []byte {
	var b bytes.Buffer
	_ = jpeg.Encode(&b, image.NewGray(image.Rect(0, 0, width, height)), nil)
	return b.Bytes()
}

// mediaHost serves files by path, each with a content type.
func mediaHost(t *testing.T, files map[string][]byte) *httptest.Server {
	t.Helper()
	types := map[string]string{".jpg": "image/jpeg", ".png": "image/png", ".mp4": "video/mp4", ".html": "text/html"}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/moved.jpg" || r.URL.Path == "/moved.mp4" {
			http.Redirect(w, r, "/ok"+r.URL.Path[6:], http.StatusFound)
			return
		}
		data, ok := files[r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		for ext, ct := range types {
			if strings.HasSuffix(r.URL.Path, ext) {
				w.Header().Set("Content-Type", ct)
			}
		}
		_, _ = w.Write(data)
	}))
	t.Cleanup(srv.Close)
	return srv
}

// eventually polls until ok; background fetches run in real time.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
	}
}

func (w *world) wantLive(n int) []sandbox.LivePost {
	w.t.Helper()
	live := w.LivePosts()
	if len(live) != n {
		w.t.Fatalf("%d live posts, want %d: %+v", len(live), n, live)
	}
	return live
}

func sum(b []byte) string {
	h := sha256.Sum256(b)
	return hex.EncodeToString(h[:])
}

var noLimits = &sandbox.Limits{}

func TestCloseTwiceAndWhileHanging(t *testing.T) {
	s := sandbox.New(sandbox.Options{})
	if err := s.Start("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	acc := s.AddTikTokAccount(sandbox.TikTokAccount{})
	s.Script(sandbox.Fault{Op: sandbox.OpTikTokCreatorInfo, Mode: sandbox.ModeHang})
	var wg sync.WaitGroup
	wg.Go(func() {
		req, _ := http.NewRequest("POST", s.TikTokURL()+pathInfo, nil)
		req.Header.Set("Authorization", "Bearer "+acc.AccessToken)
		if res, err := http.DefaultTransport.RoundTrip(req); err == nil {
			res.Body.Close()
			t.Errorf("a hanging call was answered: %d", res.StatusCode)
		}
	})
	eventually(t, "the call hangs", func() bool { return len(s.PendingFaults()) == 0 })
	for range 2 {
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	wg.Wait()
}

// slowHost sends the beginning of a video and then waits for its client to leave.
func slowHost(t *testing.T) string {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "video/mp4")
		_, _ = w.Write(mp4(100))
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	}))
	t.Cleanup(srv.Close)
	return srv.URL + "/slow.mp4"
}
