package instagram_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"socialqueue/sandbox"
	"socialqueue/sandbox/sandboxtest"
)

// commentsOf lists the comments of a media on all pages.
func commentsOf(w *sandboxtest.Env, media string, params ...string) []string {
	w.T.Helper()
	var got []string
	page := w.WantGraph(200, 0, 0, "GET", media+"/comments", params...)
	for range 5 {
		for _, c := range page.Data {
			got = append(got, c.ID)
		}
		if page.Paging.Next == "" {
			break
		}
		page = w.Send(w.Request("GET", page.Paging.Next+"&appsecret_proof="+sandboxtest.Proof(w.Instagram.PageToken), ""))
	}
	return got
}

func TestComments(t *testing.T) {
	pic := sandboxtest.MediaHost(t, map[string][]byte{"/ok.jpg": sandboxtest.JPEG(640, 640)}).URL + "/ok.jpg"
	w := sandboxtest.New(t, sandbox.Options{})
	media, other := w.Publish(w.FinishedContainer(pic)), w.Publish(w.FinishedContainer(pic))
	if got := commentsOf(w, media); got != nil {
		t.Errorf("before the first: %v", got)
	}
	first := w.Comment(media, "#bread <3")
	w.Advance(time.Second)
	second := w.Comment(media, "#bread <3") // there is no idempotency
	third := w.Comment(media, "more")
	if first == second || first == media {
		t.Errorf("ids %s and %s of media %s", first, second, media)
	}
	if got, want := fmt.Sprint(commentsOf(w, media, "limit", "2")), fmt.Sprint([]string{third, second, first}); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got := commentsOf(w, other); got != nil {
		t.Errorf("of the other media: %v", got)
	}
	if n := w.WantGraph(200, 0, 0, "GET", media, "fields", "comments_count").Comments; n != 3 {
		t.Errorf("comments_count %d", n)
	}
	post := w.WantLive(2)[0]
	var got []string
	for _, c := range post.Comments {
		got = append(got, c.ID+" "+c.Username+" "+c.Text)
	}
	if want := []string{first + " bakery #bread <3", second + " bakery #bread <3", third + " bakery more"}; fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if page := w.MustDo(w.Request("GET", post.Permalink, "")).Body; bytes.Count(page, []byte("#bread &lt;3")) != 2 {
		t.Error("the page does not show the comments")
	}
	var live []map[string]any
	w.Control("GET", "live", "", 200, &live)
	if _, has := live[1]["comments"]; has || len(live[0]["comments"].([]any)) != 3 {
		t.Errorf("live: %+v", live)
	}
}

func TestCommentFields(t *testing.T) {
	pic := sandboxtest.MediaHost(t, map[string][]byte{"/ok.jpg": sandboxtest.JPEG(640, 640)}).URL + "/ok.jpg"
	w := sandboxtest.New(t, sandbox.Options{})
	media := w.Publish(w.FinishedContainer(pic)) // a minute after the start
	id := w.Comment(media, "more")
	c := w.WantGraph(200, 0, 0, "GET", media+"/comments", "fields", "id,text,timestamp,from,username").Data[0]
	if c.ID != id || c.Text != "more" || c.Timestamp != "2026-11-22T06:01:00+0000" || c.Username != "bakery" ||
		c.From.ID != w.Instagram.IGID || c.From.Username != "bakery" {
		t.Errorf("all fields: %+v", c)
	}
	c = w.WantGraph(200, 0, 0, "GET", media+"/comments").Data[0]
	if c.ID != id || c.Text != "more" || c.Timestamp == "" || c.Username != "" || c.From.ID != "" {
		t.Errorf("by default: %+v", c)
	}
	w.WantGraph(400, 100, 0, "GET", media+"/comments", "fields", "id,shoe_size")
	w.WantGraph(400, 100, 0, "GET", media+"/comments", "after", "nonsense")
}

func TestCommentRefusals(t *testing.T) {
	files := sandboxtest.MediaHost(t, map[string][]byte{"/ok.jpg": sandboxtest.JPEG(640, 640)})
	w := sandboxtest.New(t, sandbox.Options{})
	container := w.FinishedContainer(files.URL + "/ok.jpg")
	media := w.Publish(container)
	w.WantGraph(400, 100, 0, "POST", media+"/comments")
	w.WantGraph(400, 100, 0, "POST", media+"/comments", "message", "")
	w.WantGraph(400, 100, 0, "POST", media+"/comments", "message", "x", "text", "x")
	for _, id := range []string{"18000000000000000", container, w.Instagram.IGID} {
		w.WantGraph(400, 100, 33, "POST", id+"/comments", "message", "x")
	}
	w.WantGraph(400, 100, 33, "GET", media+"/shoes")

	story := w.Container("media_type", "STORIES", "image_url", files.URL+"/ok.jpg")
	w.Advance(time.Minute)
	w.WantGraph(400, 100, 0, "POST", w.Publish(story)+"/comments", "message", "x")

	other := w.AddInstagramAccount(sandbox.InstagramAccount{})
	w.WantGraph(400, 100, 33, "POST", media+"/comments", "message", "x", "access_token", other.PageToken,
		"appsecret_proof", sandboxtest.Proof(other.PageToken))
	w.AddInstagramAccount(sandbox.InstagramAccount{IGID: w.Instagram.IGID, Scopes: []string{"instagram_basic", "instagram_content_publish"}})
	w.WantGraph(403, 200, 0, "POST", media+"/comments", "message", "x")
	w.WantGraph(403, 200, 0, "GET", media+"/comments")
	w.AddInstagramAccount(sandbox.InstagramAccount{IGID: w.Instagram.IGID, Scopes: []string{"instagram_manage_comments"}})
	w.WantGraph(403, 200, 0, "POST", media+"/comments", "message", "x")
	for _, p := range w.WantLive(2) {
		if len(p.Comments) != 0 {
			t.Errorf("a refused comment is there: %+v", p)
		}
	}
}

// TestCommentFaults: a comment whose answer is lost is there, and the list shows it.
func TestCommentFaults(t *testing.T) {
	pic := sandboxtest.MediaHost(t, map[string][]byte{"/ok.jpg": sandboxtest.JPEG(640, 640)}).URL + "/ok.jpg"
	w := sandboxtest.New(t, sandbox.Options{})
	media := w.Publish(w.FinishedContainer(pic))
	for name, tc := range map[string]struct {
		fault        sandbox.Fault
		status, left int
	}{
		"answer lost":   {sandbox.Fault{Mode: sandbox.ModeReset, After: true}, 0, 1},
		"call lost":     {sandbox.Fault{Mode: sandbox.ModeReset}, 0, 0},
		"gateway after": {sandbox.Fault{Mode: sandbox.ModeStatus, After: true}, 503, 1},
		"error":         {sandbox.Fault{Mode: sandbox.ModeError, Code: "2"}, 500, 0},
		"throttled":     {sandbox.Fault{Mode: sandbox.ModeRateLimit}, 400, 0},
	} {
		before := len(commentsOf(w, media))
		tc.fault.Op = sandbox.OpInstagramComment
		w.Script(tc.fault)
		if a := w.Do(w.GraphRequest("POST", media+"/comments", "message", name)); a.HTTPStatus != tc.status {
			t.Errorf("%s: answered %d, want %d", name, a.HTTPStatus, tc.status)
		}
		if n := len(commentsOf(w, media)) - before; n != tc.left || len(w.WantLive(1)[0].Comments) != before+n {
			t.Errorf("%s: %d new comments, want %d", name, n, tc.left)
		}
	}
	w.Script(sandbox.Fault{Op: sandbox.OpInstagramComments, Mode: sandbox.ModeError, Code: "1"})
	w.WantGraph(500, 1, 0, "GET", media+"/comments")
}

// TestCommentWebhook: the app hears of its own comments.
func TestCommentWebhook(t *testing.T) {
	pic := sandboxtest.MediaHost(t, map[string][]byte{"/ok.jpg": sandboxtest.JPEG(640, 640)}).URL + "/ok.jpg"
	w, r := sandboxtest.NewWithMetaWebhook(t, sandboxtest.Always(200))
	media := w.Publish(w.FinishedContainer(pic))
	w.Script(sandbox.Fault{Op: sandbox.OpInstagramComment, Mode: sandbox.ModeReset, After: true})
	w.Do(w.GraphRequest("POST", media+"/comments", "message", "lost"))
	id := w.Comment(media, "ours")
	var selves []string
	for i, got := range w.Delivered(r, 2) {
		w.WantMetaSigned(got)
		var body struct {
			Entry []struct {
				ID      string
				Changes []struct {
					Field string
					Value struct {
						ID, Text string
						From     struct {
							ID, Username string
							Self         string `json:"self_ig_scoped_id"`
						}
						Media struct {
							ID      string
							Product string `json:"media_product_type"`
						}
					}
				}
			}
		}
		if err := json.Unmarshal([]byte(got.Body), &body); err != nil {
			t.Fatal(err)
		}
		entry := body.Entry[0]
		v := entry.Changes[0].Value
		if entry.ID != w.Instagram.IGID || entry.Changes[0].Field != "comments" || v.From.ID != entry.ID || v.From.Username != "bakery" ||
			v.Media.ID != media || v.Media.Product != "FEED" || v.Text != []string{"lost", "ours"}[i] || (v.ID == id) != (i == 1) {
			t.Errorf("body %s", got.Body)
		}
		selves = append(selves, v.From.Self)
	}
	if selves[0] != selves[1] || !strings.HasPrefix(selves[0], "685") {
		t.Errorf("self_ig_scoped_id %q", selves)
	}
}
