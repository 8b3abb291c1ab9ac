package tiktok_test

import (
	"net/url"
	"reflect"
	"testing"

	"socialqueue/sandbox"
	"socialqueue/sandbox/sandboxtest"
)

func TestUserInfo(t *testing.T) {
	w := sandboxtest.New(t, sandbox.Options{})
	w.TikTok = w.AddTikTokAccount(sandbox.TikTokAccount{OpenID: w.TikTok.OpenID, UnionID: "u-1", Bio: "Coffee", Verified: true,
		FollowerCount: 1204, FollowingCount: 7, LikesCount: 5_000_000_000, VideoCount: 88,
		Scopes: []string{"user.info.basic", "user.info.profile", "user.info.stats"}})
	avatar, profile := w.URL()+"/_sandbox/avatar.svg", w.URL()+"/@simcafe"
	want := map[string]any{
		"open_id": "-000Sim", "union_id": "u-1", "display_name": "Sim Cafe", "avatar_url": avatar, "avatar_url_100": avatar,
		"avatar_large_url": avatar, "username": "simcafe", "bio_description": "Coffee", "is_verified": true,
		"profile_deep_link": profile, "profile_web_link": profile,
		"follower_count": 1204.0, "following_count": 7.0, "likes_count": 5e9, "video_count": 88.0,
	}
	all := ""
	for name := range want {
		all += "," + name
	}
	if got := w.WantUser("?fields="+all[1:], 200, "ok"); !reflect.DeepEqual(got, want) {
		t.Errorf("user %v, want %v", got, want)
	}
	if got := w.WantUser("?fields=open_id", 200, "ok"); len(got) != 1 {
		t.Errorf("one field: %v", got)
	}
	w.WantUser("", 400, "invalid_params")
	w.WantUser("?fields=open_id,email", 400, "invalid_params")
	w.WantTikTok("/v2/post/publish/creator_info/query/", "", 401, "scope_not_authorized")
}

func TestUserInfoNeedsTheFieldsScope(t *testing.T) {
	w := sandboxtest.New(t, sandbox.Options{})
	w.ExchangeTikTok(w.TikTokCode(url.Values{}, "scope", "user.info.basic,user.info.stats"))
	for field, ok := range map[string]bool{
		"open_id": true, "display_name": true, "follower_count": true, "video_count": true,
		"username": false, "is_verified": false, "open_id,profile_web_link": false,
	} {
		status, code := 401, "scope_not_authorized"
		if ok {
			status, code = 200, "ok"
		}
		w.WantUser("?fields="+field, status, code)
	}
	w.ExchangeTikTok(w.TikTokCode(url.Values{}, "scope", "video.publish"))
	w.WantUser("?fields=open_id", 401, "scope_not_authorized")
	w.ExpireTikTokAccess(w.TikTok.OpenID)
	w.WantUser("?fields=open_id", 401, sandboxtest.InvalidToken)
}
