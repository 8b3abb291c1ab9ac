package e2e

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"socialqueue/sandbox"
	"socialqueue/sandbox/sample"
	"socialqueue/test/testkit"
)

// TestFirstComments: an image, a reel and a carousel get their first comment, one of them
// although its answer is lost. Each is there once, and the app is told.
func TestFirstComments(t *testing.T) {
	told := make(chan map[string]any, 10)
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var event struct {
			Post map[string]any `json:"post"`
		}
		if err := json.NewDecoder(r.Body).Decode(&event); err != nil {
			t.Error(err)
		}
		told <- event.Post
	}))
	defer receiver.Close()
	w := newSystem(t, setup{sandbox: unlimited(), env: map[string]string{"WEBHOOK_ALLOW_PRIVATE_HOSTS": "true"}})
	w.call(testkit.Call{Method: "POST", Path: "/api/webhook-endpoints", JSON: fields{"url": receiver.URL, "events": []string{"post.first_comment"}}}).Want(201)
	ig := w.instagramAccount()
	still, clip := w.upload("image/jpeg", sample.Picture), w.upload("video/mp4", sample.Video)
	w.sim.Script(sandbox.Fault{Op: sandbox.OpInstagramComment, Mode: sandbox.ModeReset, After: true})
	var group struct {
		Posts []post `json:"posts"`
	}
	target := func(kind string, media ...string) fields {
		files := make([]fields, len(media))
		for i, id := range media {
			files[i] = fields{"media_id": id}
		}
		return fields{"platform": "instagram", "account_id": ig.id, "kind": kind, "caption": kind, "first_comment": "Under the " + kind, "media": files}
	}
	w.call(testkit.Call{Method: "POST", Path: "/api/posts", JSON: fields{
		"targets": []fields{target("image", still), target("reel", clip), target("carousel", still, clip)},
	}}).Want(202).Into(&group)
	w.startWorker()
	w.startScheduler()
	for range group.Posts {
		select {
		case p := <-told:
			if first, _ := p["first_comment"].(map[string]any); p["status"] != "published" || first["status"] != "posted" || first["comment_id"] == nil {
				t.Errorf("told of %v", p)
			}
		case <-time.After(4 * time.Minute):
			t.Fatal("the app was not told of a first comment")
		}
	}
	w.wantEachLiveOnce(3)
	for _, live := range w.sim.LivePosts() {
		if len(live.Comments) != 1 || live.Comments[0].Text != "Under the "+live.Kind {
			t.Errorf("%s has the comments %+v", live.Kind, live.Comments)
		}
	}
}
