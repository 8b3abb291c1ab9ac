package handlers_test

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"socialqueue/handlers"
	"socialqueue/highwater"
	"socialqueue/models"
	"socialqueue/observe"
	"socialqueue/publish"
	instagramposts "socialqueue/publish/instagram"
	tiktokposts "socialqueue/publish/tiktok"
	"socialqueue/sandbox"
	"socialqueue/test/testkit"
)

// askPlatforms lets the API ask the platforms about accounts.
func (w *fixture) askPlatforms() {
	w.t.Helper()
	posts, err := publish.New(publish.Deps{
		Publishers: []publish.Publisher{tiktokposts.New(w.sim.TikTok(w.browser, w.clock.Now)), instagramposts.New(w.sim.Instagram(w.browser, w.clock.Now))},
		Marks:      highwater.NewFile(w.t.TempDir()), DB: w.db, Queue: w.queue, Keys: testkit.Keyring(w.t, testkit.Key), Store: w.store, Links: w.links, Tokens: w.accounts,
		Log: observe.NewLogger("api", "debug", "json", w.log), Now: w.clock.Now, Timings: publish.DefaultTimings(), Owner: "test",
	})
	w.must(err)
	w.deps.Posts = posts
	w.api = handlers.New(w.deps)
}

func TestLimitsAreShownAsPromised(t *testing.T) {
	eachWithPlatforms(t, func(t *testing.T, w *fixture) {
		w.addPeople()
		tiktok, instagram := w.connect(models.TikTok), w.connect(models.Instagram)
		w.askPlatforms()
		path := func(p models.Platform, id int64) string { return fmt.Sprintf("/api/accounts/%s/%d/limits", p, id) }
		now := w.clock.Now().UTC().Format(time.RFC3339Nano)

		got := w.do(call{method: "GET", path: path(models.TikTok, tiktok)}).want(200).Object()
		creator, _ := got["creator"].(map[string]any)
		if avatar, _ := creator["creator_avatar_url"].(string); !strings.HasPrefix(avatar, "http") {
			t.Errorf("avatar %q", avatar)
		}
		delete(creator, "creator_avatar_url")
		if want := map[string]any{"limits": []any{
			map[string]any{"name": "pending_shares", "window": "24h", "limit": 5.0, "used": 0.0, "source": "counted", "free_at": nil},
			map[string]any{"name": "post_starts", "window": "1m", "limit": 6.0, "used": 0.0, "source": "counted", "free_at": nil},
		}, "checked_at": now, "creator": map[string]any{
			"creator_username": "simcafe", "creator_nickname": "Sim Cafe", "comment_disabled": false, "duet_disabled": false, "stitch_disabled": false,
			"privacy_level_options": []any{"PUBLIC_TO_EVERYONE", "MUTUAL_FOLLOW_FRIENDS", "SELF_ONLY"}, "max_video_post_duration_sec": 600.0,
		}}; !reflect.DeepEqual(got, want) {
			t.Errorf("got  %v\nwant %v", got, want)
		}
		got = w.do(call{method: "GET", path: path(models.Instagram, instagram)}).want(200).Object()
		if want := map[string]any{"creator": nil, "checked_at": now, "limits": []any{
			map[string]any{"name": "posts", "window": "24h", "limit": 100.0, "used": 0.0, "source": "platform", "free_at": nil},
			map[string]any{"name": "containers", "window": "24h", "limit": 400.0, "used": 0.0, "source": "counted", "free_at": nil},
		}}; !reflect.DeepEqual(got, want) {
			t.Errorf("got  %v\nwant %v", got, want)
		}

		for name, c := range map[string]call{
			"another app's":       {method: "GET", path: path(models.TikTok, tiktok), as: &w.theirs},
			"of no account":       {method: "GET", path: path(models.TikTok, 99999)},
			"of a wrong id":       {method: "GET", path: "/api/accounts/tiktok/x/limits"},
			"of another platform": {method: "GET", path: "/api/accounts/myspace/1/limits"},
		} {
			if code := w.do(c).want(404).Object()["code"]; code != "NOT_FOUND" {
				t.Errorf("%s: %v", name, code)
			}
		}
	})
}

func TestLimitsThatCannotBeRead(t *testing.T) {
	for name, tc := range map[string]struct {
		fault  sandbox.Fault
		status int
		code   string
	}{
		"throttled": {sandbox.Fault{Mode: sandbox.ModeRateLimit}, 429, "RATE_LIMITED"},
		"banned":    {sandbox.Fault{Mode: sandbox.ModeError, Status: 200, Code: "spam_risk_user_banned_from_posting"}, 502, "PUBLISH_FAILED"},
		"no scope":  {sandbox.Fault{Mode: sandbox.ModeError, Status: 401, Code: "scope_not_authorized"}, 401, "TOKEN_INVALID"},
		"down":      {sandbox.Fault{Mode: sandbox.ModeStatus, Status: 503}, 503, "UNAVAILABLE"},
	} {
		t.Run(name, func(t *testing.T) {
			w := onSQLite(t)
			w.addPlatforms()
			w.addPeople()
			id := w.connect(models.TikTok)
			w.askPlatforms()
			tc.fault.Op = sandbox.OpTikTokCreatorInfo
			w.sim.Script(tc.fault)
			r := w.do(call{method: "GET", path: fmt.Sprintf("/api/accounts/tiktok/%d/limits", id)}).want(tc.status)
			if r.Object()["code"] != tc.code || (r.Header.Get("Retry-After") != "") != (tc.status == 429 || tc.status == 503) {
				t.Errorf("answer %s, Retry-After %q", r.Body, r.Header.Get("Retry-After"))
			}
		})
	}
}
