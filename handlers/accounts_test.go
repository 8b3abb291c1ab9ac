package handlers_test

import (
	"fmt"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"socialqueue/models"
	"socialqueue/oauth"
	"socialqueue/sandbox"
)

func (w *fixture) list(query string) []map[string]any {
	w.t.Helper()
	return w.do(call{method: "GET", path: "/api/accounts?" + query}).want(200).Array()
}

func accountPath(p models.Platform, id int64) string {
	return fmt.Sprintf("/api/accounts/%s/%d", p, id)
}

func (w *fixture) disconnect(p models.Platform, id int64) *reply {
	w.t.Helper()
	return w.do(call{method: "DELETE", path: accountPath(p, id)})
}

// importAccount stores an account that is unknown to the simulated platforms.
func (w *fixture) importAccount(who *tenant, userID int64, p models.Platform, id string) int64 {
	w.t.Helper()
	account, err := w.accounts.Import(w.t.Context(), oauth.Import{
		AppID: who.appID, UserID: userID, Platform: p, ProviderAccountID: id, Access: "token-of-somebody",
	})
	w.must(err)
	return account
}

// newUser creates another user of our app.
func (w *fixture) newUser(name string) int64 {
	w.t.Helper()
	return int64(w.do(call{method: "POST", path: "/api/users", json: map[string]any{"external_id": name}}).want(201).Object()["id"].(float64))
}

func TestAccountsAreShownAsPromised(t *testing.T) {
	eachWithPlatforms(t, func(t *testing.T, w *fixture) {
		w.addPeople()
		user := float64(w.ours.userID)
		picture := w.sim.URL() + "/_sandbox/avatar.svg"
		tt, ig := w.connect(models.TikTok), w.connect(models.Instagram)
		want := []map[string]any{
			{
				"id": float64(w.ours.instagram), "platform": "instagram", "user_id": user, "external_id": "ig-ours", "username": "", "name": "",
				"picture_url": nil, "status": "active", "status_reason": nil, "scopes": []any{}, "reconnect_by": nil, "connected_at": "2026-11-23T10:00:00Z",
				"followers_count": 0.0,
			},
			{
				"id": float64(ig), "platform": "instagram", "user_id": user, "external_id": "17841400000000001", "username": "bakery", "name": "The Bakery",
				"picture_url": picture, "status": "active", "status_reason": nil, "connected_at": "2026-11-23T10:00:00Z",
				"scopes": []any{
					"business_management", "instagram_manage_comments", "pages_manage_metadata",
					"pages_show_list", "pages_read_engagement", "instagram_basic", "instagram_content_publish",
				},
				"reconnect_by":    "2027-02-21T10:00:00Z", // 90 days of access to data
				"followers_count": 1204.0, "page_id": "1001",
			},
			{
				"id": float64(w.ours.tiktok), "platform": "tiktok", "user_id": user, "external_id": "ours", "username": "", "name": "",
				"picture_url": nil, "status": "active", "status_reason": nil, "scopes": []any{}, "reconnect_by": nil, "connected_at": "2026-11-23T10:00:00Z",
			},
			{
				"id": float64(tt), "platform": "tiktok", "user_id": user, "external_id": creator, "username": "simcafe", "name": "Sim Cafe",
				"picture_url": picture, "status": "active", "status_reason": nil, "connected_at": "2026-11-23T10:00:00Z",
				"scopes":       []any{"user.info.basic", "video.publish", "video.upload"},
				"reconnect_by": "2027-05-22T10:00:00Z", // 180 days of the refresh token
			},
		}
		got := w.list("")
		if len(got) != len(want) {
			t.Fatalf("%d accounts, want %d: %v", len(got), len(want), got)
		}
		for i := range want {
			if !reflect.DeepEqual(got[i], want[i]) {
				t.Errorf("account %d\n got %v\nwant %v", i, got[i], want[i])
			}
		}
	})
}

// An account that the platform ended shows its status and the reason.
func TestStatusOfAccounts(t *testing.T) {
	eachWithPlatforms(t, func(t *testing.T, w *fixture) {
		w.addPeople()
		id := w.connect(models.TikTok)
		w.sim.InvalidateTikTok(creator)
		w.clock.Advance(2 * time.Hour)
		w.must(w.accounts.Maintain(t.Context(), id))
		a := w.account(models.TikTok, fmt.Sprint(id))
		if reason, _ := a["status_reason"].(string); a["status"] != "reauth_required" || reason == "" {
			t.Errorf("account %v", a)
		}
		if again := w.connect(models.TikTok); again != id {
			t.Errorf("connected again as %d, was %d", again, id)
		}
		if a := w.account(models.TikTok, fmt.Sprint(id)); a["status"] != "active" || a["status_reason"] != nil || a["connected_at"] != "2026-11-23T12:00:00Z" {
			t.Errorf("account %v", a)
		}
	})
}

// An account that still works after its login has ended is active, and shows what will end
// it.
func TestWarningOfAnAccount(t *testing.T) {
	eachWithPlatforms(t, func(t *testing.T, w *fixture) {
		w.addPeople()
		id := w.connect(models.Instagram)
		ig, err := w.db.Accounts.InstagramAccount(t.Context(), id)
		w.must(err)
		w.clock.Advance(70 * 24 * time.Hour)
		w.must(w.accounts.Maintain(t.Context(), ig.OAuthAccountID))
		a := w.account(models.Instagram, fmt.Sprint(id))
		if reason, _ := a["status_reason"].(string); a["status"] != "active" || !strings.Contains(reason, "the Facebook login has ended") {
			t.Errorf("account %v", a)
		}
		w.disconnect(models.Instagram, id).want(200)
		if a := w.account(models.Instagram, fmt.Sprint(id)); a["status_reason"] != "the account was disconnected" {
			t.Errorf("account %v", a)
		}
	})
}

// idOf returns the id of our account with a platform's id.
func (w *fixture) idOf(p models.Platform, externalID string) int64 {
	w.t.Helper()
	for _, a := range w.list("platform=" + string(p)) {
		if a["external_id"] == externalID {
			return int64(a["id"].(float64))
		}
	}
	w.t.Fatalf("%s account %s is not in the list", p, externalID)
	return 0
}

// names lists accounts by platform and id.
func names(accounts []map[string]any) []string {
	var got []string
	for _, a := range accounts {
		got = append(got, fmt.Sprintf("%s %v", a["platform"], a["id"]))
	}
	return got
}

var nextLink = regexp.MustCompile(`^<(/api/accounts\?[^>]+)>; rel="next"$`)

func TestListAccounts(t *testing.T) {
	each(t, func(t *testing.T, w *fixture) {
		second, nobody := w.newUser("second"), w.newUser("nobody")
		ours := map[models.Platform][]int64{models.TikTok: {w.ours.tiktok}, models.Instagram: {w.ours.instagram}}
		// Accounts of the other app are in between.
		for i := range 2 {
			for _, p := range bothPlatforms {
				w.importAccount(&w.theirs, w.theirs.userID, p, fmt.Sprintf("%s-of-theirs-%d", p, i))
				ours[p] = append(ours[p], w.importAccount(&w.ours, second, p, fmt.Sprintf("%s-of-second-%d", p, i)))
			}
		}
		of := func(p models.Platform, from, to int) []string {
			var want []string
			for _, id := range ours[p][from:to] {
				want = append(want, fmt.Sprintf("%s %d", p, id))
			}
			return want
		}
		all := append(of(models.Instagram, 0, 3), of(models.TikTok, 0, 3)...)
		for query, want := range map[string][]string{
			"":                                all,
			"limit=1000":                      all,
			"platform=tiktok":                 of(models.TikTok, 0, 3),
			"platform=instagram":              of(models.Instagram, 0, 3),
			fmt.Sprintf("user_id=%d", second): append(of(models.Instagram, 1, 3), of(models.TikTok, 1, 3)...),
			fmt.Sprintf("user_id=%d&platform=tiktok", w.ours.userID):      of(models.TikTok, 0, 1),
			fmt.Sprintf("user_id=%d", nobody):                             nil,
			fmt.Sprintf("user_id=%d", w.theirs.userID):                    nil,
			"user_id=2147483647":                                          nil,
			"cursor=instagram:2147483647":                                 of(models.TikTok, 0, 3),
			"cursor=tiktok:2147483647":                                    nil,
			"cursor=tiktok:1&platform=instagram":                          nil,
			fmt.Sprintf("cursor=instagram:%d", ours[models.Instagram][1]): append(of(models.Instagram, 2, 3), of(models.TikTok, 0, 3)...),
		} {
			r := w.do(call{method: "GET", path: "/api/accounts?" + query}).want(200)
			if got := names(r.Array()); !slices.Equal(got, want) {
				t.Errorf("%q lists %v, want %v", query, got, want)
			}
			if link := r.Header.Get("Link"); link != "" {
				t.Errorf("%q leads on to %s, and there is no more", query, link)
			}
		}
		for query, want := range map[string][]string{
			"": all, "&platform=tiktok": of(models.TikTok, 0, 3),
			fmt.Sprintf("&user_id=%d", second): append(of(models.Instagram, 1, 3), of(models.TikTok, 1, 3)...),
		} {
			for limit := 1; limit <= len(want)+1; limit++ {
				w.wantWalk(fmt.Sprintf("/api/accounts?limit=%d%s", limit, query), limit, want)
			}
		}
	})
}

// wantWalk follows the Link headers from a path. All pages except the last must be full,
// and the last must not be empty.
func (w *fixture) wantWalk(path string, limit int, want []string) {
	w.t.Helper()
	var walked []string
	for next := path; next != ""; {
		r := w.do(call{method: "GET", path: next}).want(200)
		page, link := names(r.Array()), r.Header.Get("Link")
		walked = append(walked, page...)
		if len(page) == 0 || len(page) > limit || link != "" && len(page) != limit || len(walked) > len(want) {
			w.t.Errorf("%s: a page of %v that leads on to %q", next, page, link)
			return
		}
		next = ""
		if link != "" {
			match := nextLink.FindStringSubmatch(link)
			if match == nil {
				w.t.Errorf("Link = %q", link)
				return
			}
			next = match[1]
		}
	}
	if !slices.Equal(walked, want) {
		w.t.Errorf("%s walks %v, want %v", path, walked, want)
	}
}

func TestBadAccountQueries(t *testing.T) {
	each(t, func(t *testing.T, w *fixture) {
		for query, field := range map[string]string{
			"platform=": "platform", "platform=facebook": "platform", "platform=TikTok": "platform", "platform=tiktok&platform=tiktok": "platform",
			"user_id=": "user_id", "user_id=0": "user_id", "user_id=-1": "user_id", "user_id=x": "user_id", "user_id=2147483648": "user_id", "user_id=%00": "user_id",
			"limit=0": "limit", "limit=1001": "limit", "limit=-1": "limit", "limit=ten": "limit", "limit=": "limit", "limit=99999999999999999999": "limit",
			"cursor=": "cursor", "cursor=x": "cursor", "cursor=tiktok": "cursor", "cursor=tiktok:": "cursor", "cursor=tiktok:0": "cursor", "cursor=:1": "cursor",
			"cursor=facebook:1": "cursor", "cursor=tiktok:1:2": "cursor", "cursor=tiktok:2147483648": "cursor", "cursor=%ff": "cursor",
			"status=active": "status", "user=1": "user", "limit=0&nope=1": "nope",
		} {
			w.do(call{method: "GET", path: "/api/accounts?" + query}).WantProblem(422, "VALIDATION_FAILED", field)
		}
		for query, field := range map[string]string{
			"": "user_id", "user_id=": "user_id", "user_id=0": "user_id", "user_id=x": "user_id", "user_id=2147483648": "user_id",
			"user_id=1&user_id=1": "user_id", "user_id=1&limit=5": "limit", "platform=instagram": "platform",
		} {
			w.do(call{method: "GET", path: "/api/accounts/instagram/pages?" + query}).WantProblem(422, "VALIDATION_FAILED", field)
		}
		for _, path := range []string{"/api/accounts", "/api/accounts/instagram/pages"} {
			w.do(call{method: "GET", path: path + "?user_id=%zz"}).WantProblem(400, "VALIDATION_FAILED", "")
		}
	})
}

// waitingPosts creates a post of an account for now and one for tomorrow.
func (w *fixture) waitingPosts(p models.Platform, id int64) []string {
	w.t.Helper()
	path, body := "/api/tiktok/upload", map[string]any{"account_id": id, "title": "x", "privacy_level": "SELF_ONLY", "media_id": w.upload("upright.mp4")}
	if p == models.Instagram {
		path, body = "/api/instagram/publish", map[string]any{"account_id": id, "media_type": "IMAGE", "media_id": w.upload("baseline.jpg")}
	}
	posts := []string{w.do(call{method: "POST", path: path, json: body}).want(202).Text("id")}
	body["publish_at"] = w.clock.Now().Add(24 * time.Hour).Format(time.RFC3339)
	return append(posts, w.do(call{method: "POST", path: path, json: body}).want(202).Text("id"))
}

// tryPost posts to an account that may be disconnected.
func (w *fixture) tryPost(p models.Platform, id int64) *reply {
	w.t.Helper()
	if p == models.TikTok {
		return w.post(w.upload("upright.mp4"), map[string]any{"account_id": id})
	}
	return w.do(call{method: "POST", path: "/api/instagram/publish", json: map[string]any{
		"account_id": id, "media_type": "IMAGE", "media_id": w.upload("baseline.jpg"),
	}})
}

// wantCanceled checks that posts were canceled, with the reason in the timeline.
func (w *fixture) wantCanceled(posts []string, reason string) {
	w.t.Helper()
	for _, id := range posts {
		if status := w.do(call{method: "GET", path: "/api/posts/" + id}).want(200).Text("status"); status != "canceled" {
			w.t.Errorf("post %s is %s, want canceled", id, status)
		}
		events := w.do(call{method: "GET", path: "/api/posts/" + id + "/events"}).want(200).Object()["events"].([]any)
		last := events[len(events)-1].(map[string]any)
		if message, _ := last["message"].(string); last["to"] != "canceled" || !strings.Contains(message, reason) {
			w.t.Errorf("the timeline of %s ends with %v, want %q", id, last, reason)
		}
	}
}

func (w *fixture) wantWaiting(posts []string) {
	w.t.Helper()
	for _, id := range posts {
		if status := w.do(call{method: "GET", path: "/api/posts/" + id}).want(200).Text("status"); status != "queued" && status != "scheduled" {
			w.t.Errorf("post %s is %s", id, status)
		}
	}
}

// Disconnecting cancels waiting posts and leaves posts that are being sent. Other accounts
// stay unchanged. It can be repeated, and undone by the owner.
func TestDisconnect(t *testing.T) {
	eachWithPlatforms(t, func(t *testing.T, w *fixture) {
		w.addPeople()
		for p, revoke := range map[models.Platform]string{models.TikTok: sandbox.OpTikTokRevoke, models.Instagram: sandbox.OpInstagramRevoke} {
			other := map[models.Platform]int64{models.TikTok: w.ours.tiktok, models.Instagram: w.ours.instagram}[p]
			id := w.connect(p)
			running, waiting, others := w.waitingPosts(p, id)[0], w.waitingPosts(p, id), w.waitingPosts(p, other)
			_, err := w.db.Runs.Claim(t.Context(), running, 0, "w", w.clock.Now(), time.Minute)
			w.must(err)

			before := w.account(p, fmt.Sprint(id))
			first := w.disconnect(p, id).want(200)
			want := before
			want["status"], want["status_reason"] = "disconnected", "the account was disconnected"
			if got := first.Object(); !reflect.DeepEqual(got, want) {
				t.Errorf("%s: answer %v, want %v", p, got, want)
			}
			w.clock.Advance(time.Minute)
			if again := w.disconnect(p, id).want(200); string(again.Body) != string(first.Body) {
				t.Errorf("%s: the second answer is %s, the first %s", p, again.Body, first.Body)
			}
			if got := w.account(p, fmt.Sprint(id)); !reflect.DeepEqual(got, want) {
				t.Errorf("%s: the list shows %v, want %v", p, got, want)
			}
			if n := w.sim.CountCalls(revoke); n != 1 {
				t.Errorf("%s: the consent was revoked %d times", p, n)
			}
			w.wantCanceled(waiting, "the account was disconnected")
			w.wantWaiting(others)
			if status := w.do(call{method: "GET", path: "/api/posts/" + running}).want(200).Text("status"); status != "publishing" {
				t.Errorf("%s: the post on its way is %s", p, status)
			}
			w.tryPost(p, id).WantProblem(409, "CONFLICT", "")
			w.tryPost(p, other).want(202)

			if again := w.connect(p); again != id {
				t.Errorf("%s: connected again as %d, was %d", p, again, id)
			}
			w.tryPost(p, id).want(202)
			w.wantCanceled(waiting, "the account was disconnected")
		}
	})
}

// A Facebook login is disconnected with the last of its accounts.
func TestDisconnectOneOfTwo(t *testing.T) {
	eachWithPlatforms(t, func(t *testing.T, w *fixture) {
		w.addPeople()
		w.addBaker(
			sandbox.FacebookPage{ID: "1001", Name: "One", InstagramID: "17841400000000001"},
			sandbox.FacebookPage{ID: "1002", Name: "Two", InstagramID: "17841400000000002"},
		)
		first := w.connect(models.Instagram)
		second := w.idOf(models.Instagram, "17841400000000002")
		w.disconnect(models.Instagram, first).want(200)
		if n := w.sim.CountCalls(sandbox.OpInstagramRevoke); n != 0 {
			t.Errorf("the consent was revoked %d times while an account needs it", n)
		}
		if a := w.account(models.Instagram, fmt.Sprint(second)); a["status"] != "active" {
			t.Errorf("the other account is %v", a)
		}
		w.tryPost(models.Instagram, second).want(202)
		w.disconnect(models.Instagram, second).want(200)
		if n := w.sim.CountCalls(sandbox.OpInstagramRevoke); n != 1 {
			t.Errorf("the consent was revoked %d times", n)
		}
	})
}

// An account that one user disconnected may be connected by another. Each sees an account
// of their own.
func TestDisconnectedAccountIsTakenOver(t *testing.T) {
	eachWithPlatforms(t, func(t *testing.T, w *fixture) {
		w.addPeople()
		id := w.connect(models.Instagram)
		before := w.disconnect(models.Instagram, id).want(200).Object()
		taken := w.importAccount(&w.theirs, w.theirs.userID, models.Instagram, "17841400000000001")
		if taken == id {
			t.Errorf("the account %d was handed over with its history", id)
		}
		if after := w.account(models.Instagram, fmt.Sprint(id)); !reflect.DeepEqual(after, before) {
			t.Errorf("the first user sees %v, before %v", after, before)
		}
		w.tryPost(models.Instagram, id).WantProblem(409, "CONFLICT", "")
	})
}

// An error of the platform does not fail the request: the account is disconnected.
func TestDisconnectWhileThePlatformIsDown(t *testing.T) {
	eachWithPlatforms(t, func(t *testing.T, w *fixture) {
		w.addPeople()
		for p, op := range map[models.Platform]string{models.TikTok: sandbox.OpTikTokRevoke, models.Instagram: sandbox.OpInstagramRevoke} {
			id := w.connect(p)
			w.sim.Script(sandbox.Fault{Op: op, Mode: sandbox.ModeStatus, Times: -1})
			if status := w.disconnect(p, id).want(200).Text("status"); status != "disconnected" {
				t.Errorf("%s: status %s", p, status)
			}
			w.sim.ClearFaults()
		}
	})
}

// An account of another app is not found, and stays unchanged.
func TestDisconnectNotFound(t *testing.T) {
	each(t, func(t *testing.T, w *fixture) {
		ig, err := w.db.Accounts.InstagramAccount(t.Context(), w.ours.instagram)
		w.must(err)
		for _, p := range bothPlatforms { // which follow theirs, and are not meant
			w.importAccount(&w.ours, w.ours.userID, p, "later")
		}
		before := w.stored()
		paths := []string{
			accountPath(models.TikTok, w.theirs.tiktok), accountPath(models.Instagram, w.theirs.instagram),
			accountPath(models.TikTok, ig.OAuthAccountID), // a Facebook login is no account by itself
			fmt.Sprintf("/api/accounts/facebook/%d", w.ours.tiktok), fmt.Sprintf("/api/accounts/TikTok/%d", w.ours.tiktok),
			fmt.Sprintf("/api/accounts/tiktok%%2F%d", w.ours.tiktok), fmt.Sprintf("/api/accounts/tiktok/%d/", w.ours.tiktok),
		}
		for _, id := range []string{
			"0", "-1", "x", "1.5", "1e0", "0x1", "%00", "%ff", "%20", "2147483647", "2147483648", "9223372036854775808", strings.Repeat("9", 300),
			"1;drop", "ours", fmt.Sprintf("+%d", w.ours.tiktok), fmt.Sprintf("0%d", w.ours.tiktok), fmt.Sprintf("+%d", w.ours.instagram), url.PathEscape("１"), // a digit, and none of ours
		} {
			paths = append(paths, "/api/accounts/tiktok/"+id, "/api/accounts/instagram/"+id)
		}
		for _, path := range paths {
			w.do(call{method: "DELETE", path: path}).WantProblem(404, "NOT_FOUND", "")
		}
		w.wantUnchanged(before)
	})
}

func TestPages(t *testing.T) {
	eachWithPlatforms(t, func(t *testing.T, w *fixture) {
		// A user of the other app has connected the account behind the last Page.
		w.importAccount(&w.theirs, w.theirs.userID, models.Instagram, "17841400000000005")
		w.addPeople()
		w.addBaker(
			sandbox.FacebookPage{ID: "1001", Name: "Bakery", InstagramID: "17841400000000001"},
			sandbox.FacebookPage{ID: "1002", Name: "Bare"},
			sandbox.FacebookPage{ID: "1003", Name: "Looking", InstagramID: "17841400000000003", Tasks: []string{"ANALYZE"}},
			sandbox.FacebookPage{ID: "1004", Name: "Without token", InstagramID: "17841400000000004", NoToken: true},
			sandbox.FacebookPage{ID: "1005", Name: "Theirs", InstagramID: "17841400000000005"},
		)
		path := fmt.Sprintf("/api/accounts/instagram/pages?user_id=%d", w.ours.userID)
		if got := w.do(call{method: "GET", path: path}).want(200).Array(); len(got) != 0 {
			t.Errorf("Pages without a login: %v", got)
		}
		id := w.connect(models.Instagram)
		want := []map[string]any{
			{"page_id": "1001", "name": "Bakery", "account_id": float64(id), "usable": true, "reason": nil},
			{"page_id": "1002", "name": "Bare", "account_id": nil, "usable": false, "reason": "no_instagram_account"},
			{"page_id": "1003", "name": "Looking", "account_id": nil, "usable": false, "reason": "no_publish_permission"},
			{"page_id": "1004", "name": "Without token", "account_id": nil, "usable": false, "reason": "no_page_token"},
			{"page_id": "1005", "name": "Theirs", "account_id": nil, "usable": false, "reason": "connected_elsewhere"},
		}
		if got := w.do(call{method: "GET", path: path}).want(200).Array(); !reflect.DeepEqual(got, want) {
			t.Errorf("got  %v\nwant %v", got, want)
		}
		w.disconnect(models.Instagram, id).want(200)
		want[0]["usable"], want[0]["reason"] = false, "disconnected"
		if got := w.do(call{method: "GET", path: path}).want(200).Array(); !reflect.DeepEqual(got, want) {
			t.Errorf("after disconnecting: got  %v\nwant %v", got, want)
		}
		second := fmt.Sprintf("/api/accounts/instagram/pages?user_id=%d", w.newUser("second"))
		if got := w.do(call{method: "GET", path: second}).want(200).Array(); len(got) != 0 {
			t.Errorf("another user sees %v", got)
		}
		w.do(call{method: "GET", path: "/api/accounts/instagram/pages?user_id=2147483647"}).WantProblem(404, "NOT_FOUND", "")
	})
}

// TestHealthOfAnAccount: an account says what is wrong with it, and what to do.
func TestHealthOfAnAccount(t *testing.T) {
	eachWithPlatforms(t, func(t *testing.T, w *fixture) {
		path := accountPath(models.Instagram, w.ours.instagram)
		codes := func() (all []string) {
			shown := w.do(call{method: "GET", path: path}).want(200).Object()
			if shown["id"] != float64(w.ours.instagram) || shown["platform"] != "instagram" {
				t.Errorf("account %v", shown)
			}
			for _, issue := range shown["issues"].([]any) {
				issue := issue.(map[string]any)
				if issue["message"] == "" || issue["remedy"] == "" {
					t.Errorf("issue %v", issue)
				}
				all = append(all, issue["code"].(string))
			}
			return all
		}
		set := func(statement string, args ...any) {
			t.Helper()
			res, err := w.db.Pool().ExecContext(t.Context(), statement, args...)
			w.must(err)
			if n, err := res.RowsAffected(); err != nil || n != 1 {
				t.Fatalf("%s changed %d rows, %v", statement, n, err)
			}
		}
		for _, step := range []struct {
			set  string
			args []any
			want []string
		}{
			{"UPDATE oauth_accounts SET display_name = 'x' WHERE id = (SELECT oauth_account_id FROM instagram_accounts WHERE id = $1)", []any{w.ours.instagram}, nil},
			{
				"UPDATE oauth_accounts SET scope = 'instagram_basic,instagram_manage_comments' WHERE id = (SELECT oauth_account_id FROM instagram_accounts WHERE id = $1)",
				[]any{w.ours.instagram}, []string{"permission_missing"},
			},
			{
				"UPDATE oauth_accounts SET reconnect_by = $2 WHERE id = (SELECT oauth_account_id FROM instagram_accounts WHERE id = $1)",
				[]any{w.ours.instagram, w.clock.Now().Add(13 * 24 * time.Hour)}, []string{"reconnect_soon", "permission_missing"},
			},
			{"INSERT INTO pauses (scope, reason, paused_by, created_at) VALUES ($1, 'maintenance', 'ann', $2)", []any{"instagram", w.clock.Now()}, []string{"reconnect_soon", "permission_missing", "paused"}},
			{"UPDATE instagram_accounts SET status = 'reauth_required' WHERE id = $1", []any{w.ours.instagram}, []string{"reauth_required", "paused"}},
			{"UPDATE instagram_accounts SET status = 'disconnected' WHERE id = $1", []any{w.ours.instagram}, []string{"disconnected", "paused"}},
		} {
			if set(step.set, step.args...); !slices.Equal(codes(), step.want) {
				t.Errorf("%s: issues %v, want %v", step.set, codes(), step.want)
			}
		}
		w.do(call{method: "GET", path: path, as: &w.theirs}).WantProblem(404, "NOT_FOUND", "")
		w.do(call{method: "GET", path: "/api/accounts/myspace/1"}).want(404)
	})
}

// TestDefaultLocation: an Instagram account's own place is set, shown, checked and removed.
func TestDefaultLocation(t *testing.T) {
	each(t, func(t *testing.T, w *fixture) {
		path := fmt.Sprintf("/api/accounts/instagram/%d", w.ours.instagram)
		patch := func(body string) *reply { return w.do(call{method: "PATCH", path: path, json: body}) }
		if got := patch(`{"default_location_id":"https://www.facebook.com/Bakery-1234567"}`).want(200).Text("default_location_id"); got != "1234567" {
			t.Errorf("set to %q", got)
		}
		for body, field := range map[string]string{
			`{}`:                               "default_location_id",
			`{"default_location_id":null}`:     "default_location_id",
			`{"default_location_id":"Zurich"}`: "default_location_id",
			`{"default_location_id":7}`:        "default_location_id",
			`{"default_location":"7"}`:         "default_location",
			`{"default_location_id":"` + strings.Repeat("7", 3000) + `"}`: "default_location_id",
		} {
			patch(body).WantProblem(422, "VALIDATION_FAILED", field)
		}
		w.do(call{method: "PATCH", path: path, json: `{"default_location_id":"7"}`, as: &w.theirs}).WantProblem(404, "NOT_FOUND", "")
		if got := w.do(call{path: path}).want(200).Text("default_location_id"); got != "1234567" {
			t.Errorf("shown as %q after what was refused", got)
		}
		w.do(call{method: "PATCH", path: "/api/accounts/instagram/x", json: `{"default_location_id":"7"}`}).WantProblem(404, "NOT_FOUND", "")
		if got, there := patch(`{"default_location_id":""}`).want(200).Object()["default_location_id"]; there {
			t.Errorf("removed, and still %q", got)
		}
	})
}
