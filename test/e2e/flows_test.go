package e2e

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"socialqueue/sandbox"
	"socialqueue/sandbox/sample"
	"socialqueue/test/testkit"
)

// slowish makes the platforms take their time, so that posts are seen on their
// way.
func slowish() sandbox.Options {
	d := 400 * time.Millisecond
	return sandbox.Options{Limits: &sandbox.Limits{}, Delays: &sandbox.Delays{TikTokProcessing: d, TikTokModeration: d, InstagramImage: d, InstagramVideo: d}}
}

func TestPostsGoLive(t *testing.T) {
	w := newSystem(t, setup{sandbox: slowish()})
	w.startWorker()
	w.startScheduler()
	tt, ig := w.tiktokAccount(), w.instagramAccount()
	clip, still := w.upload("video/mp4", sample.Video), w.upload("image/jpeg", sample.Picture)
	contentType, form := multipartVideo(t, tt)
	link := serveFile(t, "video/mp4", sample.Video)

	for _, c := range []struct {
		name, caption, kind string
		account             account
		request             testkit.Call
		file                []byte
	}{
		{"tiktok by media_id", "by media_id", "video", tt, testkit.Call{JSON: video(tt, clip, "by media_id")}, sample.Video},
		{"tiktok by form", "by form", "video", tt, testkit.Call{Body: bytes.NewReader(form), ContentType: contentType}, sample.Video},
		{"tiktok by media_url", "by media_url", "video", tt, testkit.Call{JSON: fields{
			"account_id": tt.id, "media_url": link, "title": "by media_url", "privacy_level": "PUBLIC_TO_EVERYONE",
		}}, sample.Video},
		{"instagram image", "an image", "image", ig, testkit.Call{JSON: picture(ig, still, "an image")}, sample.Picture},
		{"instagram reel", "a reel", "reel", ig, testkit.Call{JSON: picture(ig, clip, "a reel").with(fields{"media_type": "REELS"})}, sample.Video},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.request.Method, c.request.Path = "POST", c.account.path
			var accepted post
			w.call(c.request).Want(202).Into(&accepted)
			if accepted.Status != "queued" {
				t.Errorf("accepted as %s, want queued", accepted.Status)
			}
			p := w.untilStatus(testkit.Patience, accepted.ID, "published", "failed")
			testkit.Await(w.t, testkit.Patience, "the post has its link", func() (bool, string) {
				p = w.post(accepted.ID)
				return p.Permalink != nil, fmt.Sprintf("%+v", p)
			})
			live := w.liveAs(c.caption)
			if live.Kind != c.kind || live.AccountID != c.account.external || live.SHA256 != sha(c.file) {
				t.Errorf("live is %+v", live)
			}
			if *p.PlatformPostID != live.ID || p.Error != nil || p.Attempts != 0 || p.PublishedAt == nil {
				t.Errorf("the post is %+v, live is %+v", p, live)
			}
			wantWay(t, w.events(p.ID), "queued", "publishing", "processing", "published")
		})
	}
	w.untilAllLive(testkit.Patience, 5)
	w.wantWholeTimelines()
}

// wantWay checks the states that a timeline tells, in their order.
func wantWay(t *testing.T, events []event, states ...string) {
	t.Helper()
	var way []string
	for _, e := range events {
		if e.Type == "state" {
			way = append(way, e.To)
		}
	}
	if !slices.Equal(way, states) {
		t.Errorf("the timeline tells %v, want %v:\n%s", way, states, story(events))
	}
}

// wantWholeTimelines compares the timelines with what the platforms saw: one
// entry for each call, with its code and its log id.
func (w *system) wantWholeTimelines() {
	w.t.Helper()
	told, seen := map[string]int{}, map[string]int{}
	for _, p := range w.posts() {
		for _, e := range calls(w.events(p.ID)) {
			told[fmt.Sprintf("%s %d %s", e.LogID, e.HTTPStatus, strings.TrimPrefix(e.PlatformCode, "ok"))]++
		}
	}
	for _, c := range w.sim.Calls() {
		seen[fmt.Sprintf("%s %d %s", c.LogID, c.Status, strings.TrimPrefix(c.Code, "ok"))]++
	}
	if len(told) == 0 || !maps.Equal(told, seen) {
		w.t.Errorf("the timelines tell\n%s\nthe platforms saw\n%s", lines(told), lines(seen))
	}
}

func lines(counts map[string]int) string {
	var b strings.Builder
	for _, key := range slices.Sorted(maps.Keys(counts)) {
		fmt.Fprintf(&b, "  %d x %s\n", counts[key], key)
	}
	return b.String()
}

func TestStatusByPublishID(t *testing.T) {
	w := newSystem(t, setup{sandbox: unlimited()})
	w.startWorker()
	tt := w.tiktokAccount()
	id := w.accept(tt, video(tt, w.upload("video/mp4", sample.Video), "status")).ID
	p := w.untilStatus(testkit.Patience, id, "published")
	for _, name := range []string{*p.PublishID, id} {
		rep := w.call(testkit.Call{Method: "GET", Path: "/api/tiktok/status/" + name}).Want(200)
		if rep.Text("status") != "published" || rep.Text("publish_id") != *p.PublishID || rep.Text("post_id") != id {
			t.Errorf("status by %s: %s", name, rep.Body)
		}
	}
}

func TestMediaLinkServesRanges(t *testing.T) {
	w := newSystem(t, setup{sandbox: unlimited()})
	id := w.upload("video/mp4", sample.Video)
	link := w.link(id, time.Minute)
	for _, c := range []struct {
		name, ask string
		status    int
		want      []byte
	}{
		{"whole", "", 200, sample.Video},
		{"start", "bytes=0-99", 206, sample.Video[:100]},
		{"middle", "bytes=1000-1999", 206, sample.Video[1000:2000]},
		{"tail", "bytes=-10", 206, sample.Video[len(sample.Video)-10:]},
		{"beyond", fmt.Sprintf("bytes=%d-", len(sample.Video)), 416, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			status, body := w.fetch(link, c.ask)
			if status != c.status || c.want != nil && !bytes.Equal(body, c.want) {
				t.Errorf("%d with %d bytes, want %d with %d", status, len(body), c.status, len(c.want))
			}
		})
	}
	if status, _ := w.fetch(w.link(id, -time.Second), ""); status != http.StatusGone {
		t.Errorf("an expired link answers %d", status)
	}
	if status, _ := w.fetch(link[:len(link)-1]+"_", ""); status != http.StatusNotFound {
		t.Errorf("a forged link answers %d", status)
	}
}

func (w *system) fetch(url, ranged string) (int, []byte) {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, url, nil)
	w.must(err)
	if ranged != "" {
		req.Header.Set("Range", ranged)
	}
	resp, err := w.http.Do(req)
	w.must(err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	w.must(err)
	return resp.StatusCode, body
}

func multipartVideo(t *testing.T, a account) (contentType string, body []byte) {
	t.Helper()
	var b bytes.Buffer
	form := multipart.NewWriter(&b)
	part, err := form.CreateFormFile("video", "clip.mp4")
	if err == nil {
		_, err = part.Write(sample.Video)
	}
	for name, value := range map[string]string{"account_id": fmt.Sprint(a.id), "title": "by form", "privacy_level": "PUBLIC_TO_EVERYONE"} {
		if err == nil {
			err = form.WriteField(name, value)
		}
	}
	if err == nil {
		err = form.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return form.FormDataContentType(), b.Bytes()
}

func serveFile(t *testing.T, contentType string, file []byte) (url string) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Has("gone") {
			http.Error(w, "gone", http.StatusGone)
			return
		}
		w.Header().Set("Content-Type", contentType)
		_, _ = w.Write(file)
	}))
	t.Cleanup(server.Close)
	return server.URL + "/clip.mp4"
}

func sha(file []byte) string {
	sum := sha256.Sum256(file)
	return hex.EncodeToString(sum[:])
}
