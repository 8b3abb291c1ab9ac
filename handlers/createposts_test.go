package handlers_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"socialqueue/models"
	instagramposts "socialqueue/publish/instagram"
	tiktokposts "socialqueue/publish/tiktok"
)

// targetsBody is a good body of POST /api/posts: a clip for both platforms.
func (w *fixture) targetsBody(video string) map[string]any {
	return map[string]any{
		"content": map[string]any{"text": "Opening day", "media": []any{map[string]any{"media_id": video}}},
		"targets": []any{
			map[string]any{"platform": "tiktok", "account_id": w.ours.tiktok, "kind": "video", "privacy_level": "PUBLIC_TO_EVERYONE"},
			map[string]any{"platform": "instagram", "account_id": w.ours.instagram, "kind": "reel", "caption": "Own words"},
		},
	}
}

func (w *fixture) createPosts(body any) *reply {
	w.t.Helper()
	return w.do(call{method: "POST", path: "/api/posts", json: body})
}

// TestCrossPost: one content goes to two accounts as one group. What a target says itself wins.
func TestCrossPost(t *testing.T) {
	each(t, func(t *testing.T, w *fixture) {
		body := w.targetsBody(w.upload("upright.mp4"))
		body["publish_at"] = "2026-11-24T10:00:00Z"
		group := w.createPosts(body).want(202).Object()
		posts := group["posts"].([]any)
		if len(posts) != 2 {
			t.Fatalf("%d posts: %v", len(posts), group)
		}
		for _, p := range posts {
			p := p.(map[string]any)
			if p["group_id"] != group["group_id"] || p["status"] != "scheduled" || p["publish_at"] != "2026-11-24T10:00:00Z" {
				t.Errorf("post %v", p)
			}
			stored, err := w.db.Posts.ByID(t.Context(), p["id"].(string))
			w.must(err)
			switch stored.Platform {
			case models.TikTok:
				if o := optionsOf[tiktokposts.Options](t, stored); o.Title != "Opening day" {
					t.Errorf("title %q", o.Title)
				}
			case models.Instagram:
				if o := optionsOf[instagramposts.Options](t, stored); o.Caption != "Own words" {
					t.Errorf("caption %q", o.Caption)
				}
			}
		}
		listed := w.do(call{method: "GET", path: "/api/posts?group_id=" + group["group_id"].(string)}).want(200).Object()
		if n := len(listed["posts"].([]any)); n != 2 {
			t.Errorf("%d posts of the group are listed", n)
		}
	})
}

// TestEveryKindIsAccepted: one target of each kind, with the files that it takes.
func TestEveryKindIsAccepted(t *testing.T) {
	each(t, func(t *testing.T, w *fixture) {
		video, picture := map[string]any{"media_id": w.upload("upright.mp4")}, map[string]any{"media_id": w.upload("baseline.jpg"), "alt_text": "bread"}
		files := map[string][]any{
			"tiktok video": {video}, "tiktok photo": {picture, map[string]any{"media_id": w.upload("small.png")}},
			"instagram image": {picture}, "instagram reel": {video}, "instagram story": {picture}, "instagram carousel": {picture, video, picture},
		}
		for name, media := range files {
			platform, kind, _ := strings.Cut(name, " ")
			target := map[string]any{"platform": platform, "kind": kind, "account_id": w.ours.instagram}
			if platform == "tiktok" {
				target["account_id"], target["privacy_level"] = w.ours.tiktok, "SELF_ONLY"
			}
			body := map[string]any{"content": map[string]any{"text": "Hi", "media": media}, "targets": []any{target}}
			post := w.createPosts(body).want(202).Object()["posts"].([]any)[0].(map[string]any)
			if post["kind"] != kind {
				t.Errorf("%s: %v", name, post)
			}
			content := post["content"].(map[string]any)
			if text := content["text"]; text != "Hi" && kind != "story" || len(content["media"].([]any)) != len(media) {
				t.Errorf("%s: content %v", name, content)
			}
			again := w.do(call{method: "GET", path: "/api/posts/" + post["id"].(string)}).want(200).Object()
			if !reflect.DeepEqual(again["content"], post["content"]) {
				t.Errorf("%s: read back as %v, was %v", name, again["content"], content)
			}
		}
	})
}

// TestGroups: a group is shown with what it has come to, and canceled as far as it can be.
func TestGroups(t *testing.T) {
	each(t, func(t *testing.T, w *fixture) {
		body := w.targetsBody(w.upload("upright.mp4"))
		body["publish_at"] = "2026-11-24T10:00:00Z"
		created := w.createPosts(body).want(202).Object()
		path := "/api/groups/" + created["group_id"].(string)
		statuses := func(group map[string]any) (all []string) {
			for _, p := range group["posts"].([]any) {
				all = append(all, p.(map[string]any)["status"].(string))
			}
			return append(all, group["status"].(string))
		}
		shown := w.do(call{method: "GET", path: path}).want(200).Object()
		if got := statuses(shown); !slices.Equal(got, []string{"scheduled", "scheduled", "pending"}) || shown["id"] != created["group_id"] {
			t.Errorf("group %v", got)
		}
		first := created["posts"].([]any)[0].(map[string]any)["id"].(string)
		w.must(w.db.Pool().QueryRowContext(t.Context(), `UPDATE posts SET status = 'published', admission = '' WHERE id = $1 RETURNING id`, first).Scan(new(string)))
		if got := statuses(w.do(call{method: "DELETE", path: path}).want(200).Object()); !slices.Equal(got, []string{"published", "canceled", "partial"}) {
			t.Errorf("canceled: %v", got)
		}
		for _, other := range []string{"/api/groups/nothing", "/api/groups/01a22f0c-0000-7000-8000-000000000000"} {
			w.do(call{method: "GET", path: other}).WantProblem(404, "NOT_FOUND", "")
			w.do(call{method: "DELETE", path: other}).WantProblem(404, "NOT_FOUND", "")
		}
		w.do(call{method: "GET", path: path, as: &w.theirs}).WantProblem(404, "NOT_FOUND", "")
	})
}

// TestAllTargetsOrNone: the second target is wrong, so the first is not stored either, and
// validation says the same without storing anything.
func TestAllTargetsOrNone(t *testing.T) {
	each(t, func(t *testing.T, w *fixture) {
		video, picture := w.upload("upright.mp4"), w.upload("baseline.jpg")
		before := w.stored()
		type change = func(body, second map[string]any)
		for field, c := range map[string]change{
			"targets":                   func(b, _ map[string]any) { b["targets"] = []any{} },
			"targets[1].platform":       func(_, s map[string]any) { s["platform"] = "myspace" },
			"targets[1].kind":           func(_, s map[string]any) { s["kind"] = "video" },
			"targets[1].caption":        func(_, s map[string]any) { s["caption"] = strings.Repeat("x", 2201) },
			"targets[1].privacy_level":  func(_, s map[string]any) { s["privacy_level"] = "SELF_ONLY" }, // TikTok's
			"targets[1].account_id":     func(_, s map[string]any) { s["account_id"] = 99_999 },
			"targets[1].location_id":    func(_, s map[string]any) { s["location_id"] = "Berlin" },
			"targets[1].cover_url":      func(_, s map[string]any) { s["cover_url"] = "http://10.0.0.1/c.jpg" },
			"targets[1].trial_strategy": func(_, s map[string]any) { s["trial_strategy"] = "SOMETIMES" },
			"targets[1].publish_at":     func(_, s map[string]any) { s["publish_at"] = "2020-01-01T00:00:00Z" },
			"targets[1].max_lateness":   func(_, s map[string]any) { s["max_lateness"] = "soon" },
			"targets[1].media[0].media_id": func(_, s map[string]any) {
				s["media"] = []any{map[string]any{"media_id": picture}}
			},
			"targets[1].media": func(_, s map[string]any) {
				s["media"] = []any{map[string]any{"media_id": video}, map[string]any{"media_id": video}}
			},
			"targets[1].media[0].media_url": func(_, s map[string]any) {
				s["media"] = []any{map[string]any{"media_url": "file:///etc/passwd"}}
			},
			"targets[1].media[0].size": func(_, s map[string]any) { s["media"] = []any{map[string]any{"size": 1}} },
			"content.media":            func(b, _ map[string]any) { b["content"].(map[string]any)["media"] = "x" },
			"content.text":             func(b, _ map[string]any) { b["content"].(map[string]any)["text"] = 5 },
			"content.titel":            func(b, _ map[string]any) { b["content"].(map[string]any)["titel"] = "x" },
			"content":                  func(b, _ map[string]any) { b["content"] = "x" },
			"content.media[0].media_id": func(b, _ map[string]any) {
				b["content"].(map[string]any)["media"] = []any{map[string]any{"media_id": models.NewID()}}
			},
			"publish_at": func(b, _ map[string]any) { b["publish_at"] = "tomorrow" },
			"tragets":    func(b, _ map[string]any) { b["tragets"] = []any{} },
		} {
			t.Run(field, func(t *testing.T) {
				w := w.in(t)
				body := w.targetsBody(video)
				c(body, body["targets"].([]any)[1].(map[string]any))
				status, code := 422, "VALIDATION_FAILED"
				if field == "targets[1].account_id" || field == "content.media[0].media_id" {
					status, code = 404, "NOT_FOUND"
				}
				w.createPosts(body).WantProblem(status, code, field)
				found := w.do(call{method: "POST", path: "/api/posts/validate", json: body}).want(200).Object()
				if errs := found["errors"].([]any); found["valid"] != false || !namesField(errs, field) {
					t.Errorf("validation says %v", found)
				}
				w.wantUnchanged(before)
			})
		}
	})
}

func namesField(findings []any, field string) bool {
	for _, f := range findings {
		if f := f.(map[string]any); f["field"] == field && f["rule"] != "" && f["message"] != "" {
			return true
		}
	}
	return false
}

// TestGroupIsMadeOnce: the same key and body make one group.
func TestGroupIsMadeOnce(t *testing.T) {
	each(t, func(t *testing.T, w *fixture) {
		body, err := json.Marshal(w.targetsBody(w.upload("upright.mp4")))
		w.must(err)
		send := func() *reply {
			return w.do(call{method: "POST", path: "/api/posts", json: string(body), headers: map[string]string{"Idempotency-Key": "k1"}}).want(202)
		}
		first, again := send(), send()
		if string(first.Body) != string(again.Body) || again.Header.Get("Idempotent-Replayed") != "true" {
			t.Errorf("first %s\nagain %s", first.Body, again.Body)
		}
		listed := w.do(call{method: "GET", path: "/api/posts"}).want(200).Object()
		if n := len(listed["posts"].([]any)); n != 2 {
			t.Errorf("%d posts", n)
		}
	})
}

// TestValidationWarns: validation warns of what a platform would ignore or change. A post with
// warnings is valid.
func TestValidationWarns(t *testing.T) {
	each(t, func(t *testing.T, w *fixture) {
		video, picture := w.upload("upright.mp4"), w.upload("baseline.jpg")
		before := w.stored()
		for field, target := range map[string]string{
			"targets[0].privacy_level":     fmt.Sprintf(`"platform":"tiktok","kind":"video","mode":"inbox","privacy_level":"SELF_ONLY","account_id":%d,"media":[{"media_id":%q}]`, w.ours.tiktok, video),
			"targets[0].title":             fmt.Sprintf(`"platform":"tiktok","kind":"video","mode":"inbox","title":"x","account_id":%d,"media":[{"media_id":%q}]`, w.ours.tiktok, video),
			"targets[0].consent_at":        fmt.Sprintf(`"platform":"tiktok","kind":"video","privacy_level":"SELF_ONLY","account_id":%d,"media":[{"media_id":%q}]`, w.ours.tiktok, video),
			"targets[0].kind":              fmt.Sprintf(`"platform":"instagram","kind":"story","account_id":%d,"media":[{"media_id":%q}]`, w.ours.instagram, picture),
			"targets[0].caption":           fmt.Sprintf(`"platform":"instagram","kind":"image","caption":"#a #b #c #d #e #f","account_id":%d,"media":[{"media_id":%q}]`, w.ours.instagram, picture),
			"targets[0].media[1].alt_text": fmt.Sprintf(`"platform":"instagram","kind":"carousel","account_id":%d,"media":[{"media_id":%q,"alt_text":"bread"},{"media_id":%q,"alt_text":"an oven"}]`, w.ours.instagram, picture, video),
			"targets[0].media[0].alt_text": fmt.Sprintf(`"platform":"tiktok","kind":"video","privacy_level":"SELF_ONLY","account_id":%d,"media":[{"media_id":%q,"alt_text":"an oven"}]`, w.ours.tiktok, video),
			"targets[0].media":             fmt.Sprintf(`"platform":"instagram","kind":"carousel","account_id":%d,"media":[{"media_id":%q},{"media_id":%q}]`, w.ours.instagram, picture, video),
		} {
			found := w.do(call{method: "POST", path: "/api/posts/validate", json: `{"targets":[{` + target + `}]}`}).want(200).Object()
			if found["valid"] != true || !namesField(found["warnings"].([]any), field) {
				t.Errorf("%s: %v", field, found)
			}
		}
		story := w.do(call{method: "POST", path: "/api/posts/validate", json: fmt.Sprintf(
			`{"content":{"text":"Opening day"},"targets":[{"platform":"instagram","kind":"story","account_id":%d,"media":[{"media_id":%q}]}]}`, w.ours.instagram, picture)}).want(200).Object()
		if !namesField(story["warnings"].([]any), "targets[0].caption") {
			t.Errorf("no warning that a story has no text: %v", story)
		}
		w.wantUnchanged(before)
	})
}

// TestOwnFieldWinsEvenIfEmpty: a target can do without the shared text, and cannot do without
// files.
func TestOwnFieldWinsEvenIfEmpty(t *testing.T) {
	each(t, func(t *testing.T, w *fixture) {
		picture := w.upload("baseline.jpg")
		send := func(more string) *reply {
			return w.do(call{method: "POST", path: "/api/posts", json: fmt.Sprintf(
				`{"content":{"text":"shared","media":[{"media_id":%q}]},"targets":[{"platform":"instagram","kind":"image","account_id":%d%s}]}`, picture, w.ours.instagram, more)})
		}
		for more, want := range map[string]string{"": "shared", `,"caption":null`: "shared", `,"caption":""`: "", `,"caption":"own"`: "own"} {
			post := send(more).want(202).Object()["posts"].([]any)[0].(map[string]any)
			if got := post["content"].(map[string]any)["text"]; got != want {
				t.Errorf("%s: text %q, want %q", more, got, want)
			}
		}
		send(`,"media":[]`).WantProblem(422, "VALIDATION_FAILED", "targets[0].media")
	})
}

// TestInstagramKindsByMediaType: the endpoint of Instagram's own takes stories and carousels.
func TestInstagramKindsByMediaType(t *testing.T) {
	each(t, func(t *testing.T, w *fixture) {
		video, picture := w.upload("upright.mp4"), w.upload("baseline.jpg")
		send := func(members string) *reply {
			return w.do(call{method: "POST", path: "/api/instagram/publish", json: fmt.Sprintf(`{"account_id":%d,%s}`, w.ours.instagram, members)})
		}
		for members, kind := range map[string]string{
			fmt.Sprintf(`"media_type":"STORIES","media_id":%q`, picture): "story",
			fmt.Sprintf(`"media_type":"STORIES","media_id":%q`, video):   "story",
			fmt.Sprintf(`"media_type":"CAROUSEL","caption":"x","children":[{"media_id":%q,"alt_text":"bread","user_tags":[{"username":"a","x":0.5,"y":0.5}]},{"media_id":%q}]`, picture, video): "carousel",
		} {
			if got := send(members).want(202).Object()["kind"]; got != kind {
				t.Errorf("%s: kind %v", members, got)
			}
		}
		for members, field := range map[string]string{
			fmt.Sprintf(`"media_type":"STORIES","media_id":%q,"caption":"x"`, picture):                                                           "caption",
			fmt.Sprintf(`"media_type":"CAROUSEL","children":[{"media_id":%q}]`, picture):                                                         "children",
			fmt.Sprintf(`"media_type":"CAROUSEL","media_id":%q`, picture):                                                                        "media_id",
			fmt.Sprintf(`"media_type":"CAROUSEL","children":[{"media_id":%q},{"media_id":%q,"colour":1}]`, picture, picture):                     "children[1].colour",
			fmt.Sprintf(`"media_type":"CAROUSEL","children":[{"media_id":%q},{"media_id":%q,"user_tags":[{"username":"a"}]}]`, picture, picture): "children[1].user_tags",
			fmt.Sprintf(`"media_type":"CAROUSEL","children":[{"media_id":%q},{}]`, picture):                                                      "children[1].media_id",
		} {
			send(members).WantProblem(422, "VALIDATION_FAILED", field)
		}
	})
}

// TestKeyOfAGroupIsKeptAsLongAsItsPosts: the same request comes again after the time at which
// keys go that made no post.
func TestKeyOfAGroupIsKeptAsLongAsItsPosts(t *testing.T) {
	each(t, func(t *testing.T, w *fixture) {
		body := w.targetsBody(w.upload("upright.mp4"))
		body["publish_at"] = "2026-12-24T10:00:00Z"
		send := func() *reply {
			return w.do(call{method: "POST", path: "/api/posts", json: body, headers: map[string]string{"Idempotency-Key": "k1"}}).want(202)
		}
		first := send()
		w.clock.Advance(8 * 24 * time.Hour)
		if _, err := w.deps.Posts.CleanUp(t.Context()); err != nil {
			t.Fatal(err)
		}
		if again := send(); string(again.Body) != string(first.Body) {
			t.Errorf("first %s\nagain %s", first.Body, again.Body)
		}
	})
}

// TestCaptionAddOnsAreOffByDefault: and their fields are checked as all are.
func TestCaptionAddOnsAreOffByDefault(t *testing.T) {
	each(t, func(t *testing.T, w *fixture) {
		picture := w.upload("baseline.jpg")
		send := func(more string) *reply {
			return w.do(call{method: "POST", path: "/api/posts", json: fmt.Sprintf(
				`{"content":{"text":"Which?","media":[{"media_id":%q}]},"targets":[{"platform":"instagram","kind":"image","account_id":%d%s}]}`, picture, w.ours.instagram, more)})
		}
		for more, field := range map[string]string{
			`,"poll":{"options":["Rye","Wheat"],"no_end":true}`: "targets[0].poll",
			`,"poll":{}`:              "targets[0].poll.options",
			`,"poll":{"options":[]}`:  "targets[0].poll.options",
			`,"poll":{"answers":[]}`:  "targets[0].poll.answers",
			`,"poll":["Rye"]`:         "targets[0].poll",
			`,"comment_prompt":true`:  "targets[0].comment_prompt",
			`,"comment_prompt":"yes"`: "targets[0].comment_prompt",
		} {
			got := send(more).want(422)
			if !namesField(got.Object()["errors"].([]any), field) {
				t.Errorf("%s: %s", more, got.Body)
			}
		}
		send(`,"poll":null,"comment_prompt":false`).want(202)
	})
}
