package handlers_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"socialqueue/db"
	"socialqueue/models"
	"socialqueue/publish"
	instagramposts "socialqueue/publish/instagram"
	tiktokposts "socialqueue/publish/tiktok"
	"socialqueue/test/testkit"
)

var postKeys = []string{
	"account_id", "attempts", "container_id", "content", "created_at", "deferred_reason", "deferred_until", "error", "first_comment", "group_id", "id", "kind",
	"max_lateness", "permalink", "platform", "platform_post_id", "publish_at", "publish_id", "published_at", "status", "updated_at", "user_id",
}

func keysOf(v map[string]any) []string {
	var keys []string
	for key := range v {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

func TestPostIsShownAsPromised(t *testing.T) {
	each(t, func(t *testing.T, w *fixture) {
		r := w.post(w.upload("upright.mp4"), map[string]any{
			"video_cover_timestamp_ms": 100, "max_lateness": "15m", "is_aigc": true, "publish_at": nil,
		}).want(202)
		post := r.Object()
		if got := keysOf(post); !slices.Equal(got, postKeys) {
			t.Errorf("fields %v, want %v", got, postKeys)
		}
		id := r.Text("id")
		want := map[string]any{
			"platform": "tiktok", "account_id": float64(w.ours.tiktok), "user_id": float64(w.ours.userID), "kind": "video", "status": "queued",
			"publish_id": nil, "container_id": nil, "platform_post_id": nil, "permalink": nil, "error": nil, "deferred_until": nil,
			"deferred_reason": nil, "attempts": 0.0, "publish_at": "2026-11-23T10:00:00Z", "created_at": "2026-11-23T10:00:00Z",
			"updated_at": "2026-11-23T10:00:00Z", "published_at": nil, "group_id": nil, "max_lateness": "15m", "first_comment": nil,
		}
		for name, value := range want {
			if post[name] != value {
				t.Errorf("%s = %v, want %v", name, post[name], value)
			}
		}
		if got := r.Header.Get("Location"); got != "/api/posts/"+id {
			t.Errorf("Location = %q", got)
		}
		if len(id) != 36 || id[14] != '7' {
			t.Errorf("%q is no UUIDv7", id)
		}
		if again := w.do(call{method: "GET", path: "/api/posts/" + strings.ToUpper(id)}).want(200); string(again.Body) != string(r.Body) {
			t.Errorf("read back as %s, was %s", again.Body, r.Body)
		}
		stored, err := w.db.Posts.ByID(t.Context(), id)
		w.must(err)
		if c := optionsOf[tiktokposts.Options](t, stored); !c.AIGC || *c.CoverTimestampMs != 100 || *stored.MaxLatenessMs != 900_000 || stored.CorrelationID != r.Header.Get("X-Request-ID") {
			t.Errorf("stored %+v", stored)
		}
		if w.queue.Posts.Len() != 1 {
			t.Errorf("%d tasks, want 1", w.queue.Posts.Len())
		}
	})
}

func TestInstagramPosts(t *testing.T) {
	each(t, func(t *testing.T, w *fixture) {
		picture := w.upload("baseline.jpg")
		post := w.do(call{method: "POST", path: "/api/instagram/publish", json: map[string]any{
			"account_id": w.ours.instagram, "media_type": "IMAGE", "media_id": picture, "caption": "Hi #there", "alt_text": "a picture",
			"collaborators": []string{"friend"}, "user_tags": []map[string]any{{"username": "friend", "x": 0.5, "y": 0}}, "children": nil,
		}}).want(202).Object()
		if post["kind"] != "image" || post["platform"] != "instagram" || post["account_id"] != float64(w.ours.instagram) {
			t.Errorf("post %v", post)
		}
		stored, err := w.db.Posts.ByID(t.Context(), post["id"].(string))
		w.must(err)
		if c := optionsOf[instagramposts.Options](t, stored); c.Caption != "Hi #there" || len(c.UserTags) != 1 || *c.UserTags[0].X != 0.5 {
			t.Errorf("stored %+v", c)
		}
		w.do(call{method: "GET", path: "/api/tiktok/status/" + post["id"].(string)}).WantProblem(404, "NOT_FOUND", "")
	})
}

func TestForm(t *testing.T) {
	each(t, func(t *testing.T, w *fixture) {
		video := field{"video", "a.mp4", testFile(t, "upright.mp4")}
		rest := w.formFields(map[string]string{"publish_at": "2026-11-24T12:00:00+02:00", "max_lateness": "1h", "video_cover_timestamp_ms": "5", "media_id": "", "media_url": "", "is_aigc": ""})
		for name, parts := range map[string][]field{"fields first": append(slices.Clone(rest), video), "video first": append([]field{video}, rest...)} {
			contentType, body := formBody(t, parts...)
			r := w.do(call{method: "POST", path: "/api/tiktok/upload", contentType: contentType, body: strings.NewReader(string(body))}).want(202)
			if got := r.Text("publish_at"); got != "2026-11-24T10:00:00Z" || r.Text("status") != "scheduled" {
				t.Errorf("%s: %s", name, r.Body)
			}
			stored, err := w.db.Posts.ByID(t.Context(), r.Text("id"))
			w.must(err)
			if c := optionsOf[tiktokposts.Options](t, stored); !c.DisableDuet || c.AIGC || *c.CoverTimestampMs != 5 || stored.MediaID == nil {
				t.Errorf("%s: stored %+v", name, stored)
			}
		}
		contentType, body := formBody(t, w.formFields(map[string]string{"media_id": w.upload("upright.mov")})...)
		w.do(call{method: "POST", path: "/api/tiktok/upload", contentType: contentType, body: strings.NewReader(string(body))}).want(202)
	})
}

func TestChangeAPost(t *testing.T) {
	each(t, func(t *testing.T, w *fixture) {
		id := w.post(w.upload("upright.mp4"), map[string]any{"publish_at": "2026-11-24T10:00:00Z"}).want(202).Text("id")
		path := "/api/posts/" + id
		for body, field := range map[string]string{
			`{}`: "publish_at", `{"publish_at":null}`: "publish_at", `{"publish_at":"tomorrow"}`: "publish_at",
			`{"publish_at":"2026-11-20T10:00:00Z"}`: "publish_at", `{"publish_at":"2026-11-25T10:00:00Z","title":"x"}`: "title",
		} {
			w.do(call{method: "PATCH", path: path, json: body}).WantProblem(422, "VALIDATION_FAILED", field)
		}
		w.do(call{method: "POST", path: path + "/retry"}).WantProblem(409, "CONFLICT", "")
		if at := w.do(call{method: "PATCH", path: path, json: `{"publish_at":"2026-11-25T12:00:00+02:00"}`}).want(200).Text("publish_at"); at != "2026-11-25T10:00:00Z" {
			t.Errorf("publish_at = %s", at)
		}
		for range 2 { // canceling twice is no error
			if status := w.do(call{method: "DELETE", path: path}).want(200).Text("status"); status != "canceled" {
				t.Errorf("status = %s", status)
			}
		}
		w.do(call{method: "PATCH", path: path, json: `{"publish_at":"2026-11-26T10:00:00Z"}`}).WantProblem(409, "CONFLICT", "")
		events := w.do(call{method: "GET", path: path + "/events"}).want(200).Object()["events"].([]any)
		var steps []string
		for _, e := range events {
			e := e.(map[string]any)
			steps = append(steps, fmt.Sprintf("%v>%v", e["from"], e["to"]))
			if e["at"] != "2026-11-23T10:00:00Z" || e["type"] != "state" || e["message"] == "" || e["http_status"] != nil || e["operation"] != nil {
				t.Errorf("event %v", e)
			}
		}
		if got := strings.Join(steps, " "); got != "<nil>>scheduled scheduled>scheduled scheduled>canceled" {
			t.Errorf("timeline %s", got)
		}
	})
}

func TestTimelineShowsCalls(t *testing.T) {
	each(t, func(t *testing.T, w *fixture) {
		id := w.post(w.upload("upright.mp4"), nil).want(202).Text("id")
		w.must(w.db.Posts.AddEvents(t.Context(), models.PostEvent{
			PostID: id, At: testkit.Epoch, Type: models.EventCall, Op: "tiktok.init", HTTPStatus: 200, PlatformCode: "ok", LogID: "L1", DurationMs: 7, Message: "m",
		}))
		body := string(w.do(call{method: "GET", path: "/api/posts/" + id + "/events"}).want(200).Body)
		want := `{"events":[{"at":"2026-11-23T10:00:00Z","type":"state","to":"queued","message":"accepted"},` +
			`{"at":"2026-11-23T10:00:00Z","type":"call","operation":"tiktok.init","http_status":200,"platform_code":"ok","log_id":"L1","duration_ms":7,"message":"m"}],"next_cursor":null}`
		if strings.TrimSpace(body) != want {
			t.Errorf("got  %s\nwant %s", body, want)
		}
	})
}

func TestRetryAndCancelOnceSendingBegan(t *testing.T) {
	each(t, func(t *testing.T, w *fixture) {
		id := w.post(w.upload("upright.mp4"), nil).want(202).Text("id")
		run, err := w.db.Runs.Claim(t.Context(), id, 0, "w", w.clock.Now(), time.Minute)
		w.must(err)
		path := "/api/posts/" + id
		w.do(call{method: "DELETE", path: path}).WantProblem(409, "CONFLICT", "")
		w.do(call{method: "PATCH", path: path, json: `{"publish_at":"2026-11-26T10:00:00Z"}`}).WantProblem(409, "CONFLICT", "")
		run.Status, run.Admission, run.RunAt, run.LeaseUntil = models.Failed, models.AdmissionNone, nil, nil
		run.ErrorCode, run.ErrorMessage = "PUBLISH_FAILED", "refused"
		publishID, videoID := "v_pub_file~v2-1.123/é", "7123"
		run.PublishID, run.PlatformPostID = &publishID, &videoID
		w.must(w.db.Runs.Write(t.Context(), db.RunWrite{Post: run, From: models.Publishing, Events: []models.PostEvent{{PostID: id, At: w.clock.Now(), Type: models.EventState, From: models.Publishing, To: models.Failed, Fence: run.Fence}}}))
		failed := w.do(call{method: "GET", path: path}).want(200).Object()
		if e := failed["error"].(map[string]any); e["code"] != "PUBLISH_FAILED" || e["message"] != "refused" {
			t.Errorf("error = %v", e)
		}
		for _, key := range []string{id, "v_pub_file~v2-1.123%2F%C3%A9"} {
			status := w.do(call{method: "GET", path: "/api/tiktok/status/" + key}).want(200).Object()
			if status["publish_id"] != publishID || status["video_id"] != videoID || status["post_id"] != id || status["status"] != "failed" {
				t.Errorf("status of %s: %v", key, status)
			}
		}
		r := w.do(call{method: "POST", path: path + "/retry"}).want(202)
		if r.Text("status") != "queued" || r.Header.Get("Location") != path {
			t.Errorf("retry: %s", r.Body)
		}
	})
}

func TestBusyAccountIsShown(t *testing.T) {
	each(t, func(t *testing.T, w *fixture) {
		video := w.upload("upright.mp4")
		var reasons []any
		for range 4 {
			reasons = append(reasons, w.post(video, nil).want(202).Object()["deferred_reason"])
		}
		if !slices.Equal(reasons, []any{nil, nil, nil, models.DeferredLane}) {
			t.Errorf("reasons = %v: want three in Asynq and the fourth waiting for its account", reasons)
		}
	})
}

func TestListPosts(t *testing.T) {
	each(t, func(t *testing.T, w *fixture) {
		video, picture := w.upload("upright.mp4"), w.upload("baseline.jpg")
		var ids []string
		for i := range 5 {
			if i == 2 {
				ids = append(ids, w.do(call{method: "POST", path: "/api/instagram/publish", json: map[string]any{
					"account_id": w.ours.instagram, "media_type": "IMAGE", "media_id": picture,
				}}).want(202).Text("id"))
				continue
			}
			ids = append(ids, w.post(video, nil).want(202).Text("id"))
		}
		w.do(call{method: "DELETE", path: "/api/posts/" + ids[0]}).want(200)
		slices.Reverse(ids)
		for query, want := range map[string][]string{
			"":                            ids,
			"?platform=instagram":         {ids[2]},
			"?platform=tiktok":            {ids[0], ids[1], ids[3], ids[4]},
			"?status=canceled":            {ids[4]},
			"?status=queued&limit=200":    {ids[0], ids[1], ids[2], ids[3]},
			"?status=published":           nil,
			"?account_id=99999999999999":  nil,
			"?group_id=" + models.NewID(): nil,
			"?cursor=" + ids[3]:           {ids[4]},
			"?limit=2":                    {ids[0], ids[1]},
			fmt.Sprintf("?platform=instagram&account_id=%d", w.ours.instagram): {ids[2]},
		} {
			r := w.do(call{method: "GET", path: "/api/posts" + query}).want(200)
			var got []string
			for _, p := range r.Object()["posts"].([]any) {
				got = append(got, p.(map[string]any)["id"].(string))
			}
			if !slices.Equal(got, want) {
				t.Errorf("%q lists %v, want %v", query, got, want)
			}
		}
		var walked []string
		for path := "/api/posts?limit=2"; ; {
			page := w.do(call{method: "GET", path: path}).want(200).Object()
			for _, p := range page["posts"].([]any) {
				walked = append(walked, p.(map[string]any)["id"].(string))
			}
			next, ok := page["next_cursor"].(string)
			if !ok {
				break
			}
			path = "/api/posts?limit=2&cursor=" + next
		}
		if !slices.Equal(walked, ids) {
			t.Errorf("walked %v, want %v", walked, ids)
		}
		for query, field := range map[string]string{
			"status=nope": "status", "status=": "status", "platform=x": "platform", "account_id=0": "account_id", "account_id=x": "account_id",
			"group_id=x": "group_id", "limit=0": "limit", "limit=201": "limit", "limit=ten": "limit", "cursor=%00": "cursor",
			"acount_id=1": "acount_id", "status=queued&status=failed": "status", "group_id=%ff": "group_id",
		} {
			w.do(call{method: "GET", path: "/api/posts?" + query}).WantProblem(422, "VALIDATION_FAILED", field)
		}
		w.do(call{method: "GET", path: "/api/posts?a=%zz"}).WantProblem(http.StatusBadRequest, "VALIDATION_FAILED", "")
	})
}

func TestOddIdsAreNotFound(t *testing.T) {
	each(t, func(t *testing.T, w *fixture) {
		for _, id := range []string{"x", "%00", "%ff", "%2F", models.NewID(), strings.Repeat("9", 300), "1;drop", "%7B" + models.NewID() + "%7D"} {
			w.do(call{method: "GET", path: "/api/posts/" + id}).WantProblem(404, "NOT_FOUND", "")
			w.do(call{method: "GET", path: "/api/posts/" + id + "/events"}).WantProblem(404, "NOT_FOUND", "")
			w.do(call{method: "DELETE", path: "/api/posts/" + id}).WantProblem(404, "NOT_FOUND", "")
			w.do(call{method: "PATCH", path: "/api/posts/" + id, json: `{"publish_at":"2026-11-24T10:00:00Z"}`}).WantProblem(404, "NOT_FOUND", "")
			w.do(call{method: "POST", path: "/api/posts/" + id + "/retry"}).WantProblem(404, "NOT_FOUND", "")
			w.do(call{method: "GET", path: "/api/tiktok/status/" + id}).WantProblem(404, "NOT_FOUND", "")
			w.do(call{method: "GET", path: "/media/" + id + "/x"}).WantProblem(404, "NOT_FOUND", "")
		}
	})
}

func optionsOf[T any](t *testing.T, p *models.Post) *T {
	t.Helper()
	options, err := publish.DecodeOptions[T](p)
	if err != nil {
		t.Fatal(err)
	}
	return options
}
