package handlers_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"socialqueue/models"
	"socialqueue/test/testkit"
)

// TestTenantIsolation checks that another app's key finds nothing of ours, on any route.
func TestTenantIsolation(t *testing.T) {
	eachWithPlatforms(t, func(t *testing.T, w *fixture) {
		video, picture := w.upload("upright.mp4"), w.upload("baseline.jpg")
		id := w.post(video, map[string]any{"publish_at": "2026-11-24T10:00:00Z"}).want(202).Text("id")
		before := w.stored()
		body := func(account int64, mediaID string) map[string]any {
			return map[string]any{"account_id": account, "title": "x", "privacy_level": "SELF_ONLY", "media_id": mediaID}
		}
		image := func(account int64) map[string]any {
			return map[string]any{"account_id": account, "media_type": "IMAGE", "media_id": picture}
		}
		formType, form := formBody(t, append(w.formFields(nil), field{"video", "a.mp4", testFile(t, "upright.mp4")})...)
		for _, c := range []call{
			{method: "GET", path: "/api/posts/" + id},
			{method: "GET", path: "/api/posts/" + id + "/events"},
			{method: "PATCH", path: "/api/posts/" + id, json: `{"publish_at":"2026-11-25T10:00:00Z"}`},
			{method: "DELETE", path: "/api/posts/" + id},
			{method: "POST", path: "/api/posts/" + id + "/retry"},
			{method: "GET", path: "/api/tiktok/status/" + id},
			{method: "POST", path: "/api/tiktok/upload", json: body(w.ours.tiktok, video)},
			{method: "POST", path: "/api/tiktok/upload", json: body(w.theirs.tiktok, video)},
			{method: "POST", path: "/api/tiktok/upload", contentType: formType, body: bytes.NewReader(form)},
			{method: "POST", path: "/api/instagram/publish", json: image(w.ours.instagram)},
			{method: "POST", path: "/api/instagram/publish", json: image(w.theirs.instagram)},
			{method: "DELETE", path: accountPath(models.TikTok, w.ours.tiktok)},
			{method: "DELETE", path: accountPath(models.Instagram, w.ours.instagram)},
			{method: "GET", path: fmt.Sprintf("/api/accounts/instagram/pages?user_id=%d", w.ours.userID)},
			{method: "GET", path: fmt.Sprintf("/api/auth/tiktok?user_id=%d", w.ours.userID)},
			{method: "GET", path: fmt.Sprintf("/api/auth/instagram?user_id=%d", w.ours.userID)},
		} {
			c.as = &w.theirs
			w.do(c).WantProblem(404, "NOT_FOUND", "")
		}
		if r := w.do(call{method: "GET", path: "/api/posts", as: &w.theirs}).want(200); strings.Contains(string(r.Body), id) {
			t.Errorf("their list shows our post: %s", r.Body)
		}
		if r := w.do(call{method: "GET", path: fmt.Sprintf("/api/posts?account_id=%d", w.ours.tiktok), as: &w.theirs}); strings.Contains(string(r.Body), id) {
			t.Errorf("their list shows our post: %s", r.Body)
		}
		for _, query := range []string{"", fmt.Sprintf("user_id=%d", w.ours.userID), "limit=1", "cursor=instagram:1", "cursor=tiktok:1"} {
			for _, a := range w.do(call{method: "GET", path: "/api/accounts?" + query, as: &w.theirs}).want(200).Array() {
				if a["user_id"] != float64(w.theirs.userID) {
					t.Errorf("their list %q shows our account: %v", query, a)
				}
			}
		}
		w.wantUnchanged(before)
		if status := w.do(call{method: "GET", path: "/api/posts/" + id}).want(200).Text("status"); status != "scheduled" {
			t.Errorf("the post is %s", status)
		}
	})
}

func TestWithoutAValidKey(t *testing.T) {
	each(t, func(t *testing.T, w *fixture) {
		before := w.stored()
		for _, route := range []string{
			"POST /api/users", "POST /api/media", "POST /api/tiktok/upload", "POST /api/instagram/publish", "GET /api/tiktok/status/x",
			"GET /api/posts", "GET /api/posts/x", "PATCH /api/posts/x", "DELETE /api/posts/x", "GET /api/posts/x/events",
			"POST /api/posts/x/retry", "GET /api", "GET /api/nosuch", "PUT /api/posts", "GET /api/health",
			"GET /api/auth/tiktok", "GET /api/auth/instagram", "GET /api/auth/nosuch", "POST /api/auth/tiktok", "GET /api/auth", "GET /api/auth/tiktok/callback/x",
			"GET /api/accounts", "DELETE /api/accounts/tiktok/1", "DELETE /api/accounts/instagram/1", "GET /api/accounts/instagram/pages",
			"GET /api/webhooks", "POST /api/webhooks/nosuch", "POST /api/webhooks/tiktok/x", "POST /api/auth/tiktok/delete-data", "GET /api/auth/instagram/deletions",
		} {
			method, path, _ := strings.Cut(route, " ")
			other := "A"
			if strings.HasSuffix(w.ours.key, "A") {
				other = "Q"
			}
			for _, auth := range []string{
				"", "Bearer", "Bearer ", "Basic " + w.ours.key, w.ours.key, "Bearer sq_" + w.ours.prefix + "_", "Bearer " + w.ours.key + "x",
				"Bearer " + w.ours.key[:len(w.ours.key)-1] + other, "Bearer sq_000000000000_" + strings.Repeat("A", 43), "Bearer \x00",
			} {
				r := w.do(call{method: method, path: path, noKey: true, json: `{}`, headers: map[string]string{"Authorization": auth}})
				r.WantProblem(401, "UNAUTHORIZED", "")
				if !strings.HasPrefix(r.Header.Get("WWW-Authenticate"), "Bearer") {
					t.Errorf("WWW-Authenticate = %q", r.Header.Get("WWW-Authenticate"))
				}
			}
		}
		w.wantUnchanged(before)
		for _, auth := range []string{"Bearer ", "bearer ", "BEARER "} {
			w.do(call{method: "GET", path: "/api/posts", noKey: true, headers: map[string]string{"Authorization": auth + w.ours.key}}).want(200)
		}
	})
}

func TestRevokedKeyIsOutWithinTwoSeconds(t *testing.T) {
	each(t, func(t *testing.T, w *fixture) {
		list := call{method: "GET", path: "/api/posts"}
		w.do(list).want(200)
		w.must(w.deps.Tenants.RevokeKey(t.Context(), w.ours.prefix))
		w.clock.Advance(2e9)
		w.do(list).WantProblem(401, "UNAUTHORIZED", "")
	})
}

func TestLastUseIsNotedOnceAMinute(t *testing.T) {
	each(t, func(t *testing.T, w *fixture) {
		lastUse := func() string {
			row, err := w.db.Tenants.KeyByPrefix(t.Context(), w.ours.prefix)
			w.must(err)
			if row.LastUsedAt == nil {
				return "never"
			}
			return row.LastUsedAt.UTC().Format("15:04:05")
		}
		use := func() { w.do(call{method: "GET", path: "/api/posts"}).want(200) }
		use()
		testkit.Await(t, testkit.Patience, "the key was last used at 10:00:00", func() (bool, string) { at := lastUse(); return at == "10:00:00", at })
		w.clock.Advance(30e9)
		use()
		w.clock.Advance(29e9)
		use()
		if got := lastUse(); got != "10:00:00" {
			t.Errorf("noted again after less than a minute: %s", got)
		}
		w.clock.Advance(2e9)
		use()
		testkit.Await(t, testkit.Patience, "the key was last used at 10:01:01", func() (bool, string) { at := lastUse(); return at == "10:01:01", at })
	})
}

func TestUsers(t *testing.T) {
	each(t, func(t *testing.T, w *fixture) {
		send := func(as *tenant) *reply {
			return w.do(call{method: "POST", path: "/api/users", as: as, json: `{"external_id":"  söme ïd ","email":"a@b.example"}`})
		}
		first := send(nil).want(201).Object()
		if first["external_id"] != "  söme ïd " || first["email"] != "a@b.example" || first["created_at"] != "2026-11-23T10:00:00Z" {
			t.Errorf("user %v", first)
		}
		if again := send(nil).want(200).Object(); again["id"] != first["id"] {
			t.Errorf("again: %v, first: %v", again, first)
		}
		if other := send(&w.theirs).want(201).Object(); other["id"] == first["id"] {
			t.Error("two apps share a user")
		}
	})
}
