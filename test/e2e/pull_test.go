package e2e

import (
	"testing"

	"socialqueue/sandbox"
	"socialqueue/sandbox/sample"
	"socialqueue/test/testkit"
)

// TestPulledPosts: TikTok fetches a video from a customer, and photos from us. Of one of each
// the answer is lost; TikTok's webhook brings its id, and it is live once.
func TestPulledPosts(t *testing.T) {
	w := newSystem(t, setup{sandbox: unlimited(), env: map[string]string{"TIKTOK_PULL_HOSTS": "127.0.0.1"}})
	w.sim.SetTikTokWebhook(w.url() + "/api/webhooks/tiktok")
	w.startWorker()
	w.startScheduler()
	still, link := w.upload("image/jpeg", sample.Picture), serveFile(t, "video/mp4", sample.Video)
	lost := map[string]string{"video": sandbox.OpTikTokInit, "photo": sandbox.OpTikTokPhoto}
	for _, mode := range []string{"direct", "inbox"} {
		for kind, op := range lost {
			tt := w.tiktokAccount() // of its own: an id is adopted only if no other post could have it
			target := fields{"platform": "tiktok", "account_id": tt.id, "kind": kind, "mode": mode, "media": []fields{{"media_id": still}}}
			if kind == "video" {
				target["source"], target["media"] = "pull", []fields{{"media_url": link}}
			}
			end := "published"
			if mode == "inbox" {
				end = "delivered"
				if op == sandbox.OpTikTokInit {
					op = sandbox.OpTikTokInbox
				}
			} else {
				target["privacy_level"] = "PUBLIC_TO_EVERYONE"
			}
			w.sim.Script(sandbox.Fault{Op: op, Mode: sandbox.ModeReset, After: true})
			var group struct {
				Posts []post `json:"posts"`
			}
			before := w.sim.CountCalls(op)
			w.call(testkit.Call{Method: "POST", Path: "/api/posts", JSON: fields{"content": fields{"text": mode + " " + kind}, "targets": []fields{target}}}).Want(202).Into(&group)
			w.untilStatus(testkit.Patience, group.Posts[0].ID, end, "failed")
			if n := w.sim.CountCalls(op) - before; n != 1 {
				t.Errorf("%s %s: %d calls", mode, kind, n)
			}
		}
	}
	w.wantEachLiveOnce(2)
}
