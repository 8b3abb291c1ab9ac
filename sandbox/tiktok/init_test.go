package tiktok_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"socialqueue/sandbox"
	"socialqueue/sandbox/sandboxtest"
)

// The plans a client makes, and those that the real API refuses (Media Transfer Guide, 2026-09-11; seen in the field,
// 2026-08).
func TestChunkPlans(t *testing.T) {
	const countMsg, sizeMsg, videoMsg = "The total chunk count is invalid", "The chunk size is invalid", "The video size is invalid"
	w := sandboxtest.New(t, sandbox.Options{Limits: sandboxtest.NoLimits})
	for _, tc := range []struct {
		size, chunk, count int64
		refused            string
	}{
		{1, 1, 1, ""}, {3_145_728, 3_145_728, 1, ""}, {5_242_880, 5_242_880, 1, ""}, {64_000_000, 64_000_000, 1, ""},
		{64_000_001, 10_000_000, 6, ""}, {66_259_900, 10_000_000, 6, ""}, {121_000_000, 10_000_000, 12, ""},
		{158_008_374, 10_000_000, 15, ""}, {4_000_000_000, 10_000_000, 400, ""}, {50_000_123, 10_000_000, 5, ""},
		{20_000_000, 5_242_880, 3, ""}, {128_000_000, 64_000_000, 2, ""},

		{50_000_123, 10_000_000, 6, countMsg}, {66_259_900, 64_000_000, 1, sizeMsg}, {64_000_001, 64_000_001, 1, sizeMsg},
		{10_000_000, 5_000_000, 2, sizeMsg}, {10_000_000, 64_000_000, 1, sizeMsg}, {200_000_000, 64_000_001, 3, sizeMsg},
		{4_000_000, 2_000_000, 2, sizeMsg}, {50_000_000, 10_000_000, 0, countMsg}, {3_999_999_999, 3_996_003, 1001, countMsg},
		{0, 0, 1, videoMsg}, {-1, 5_242_880, 1, videoMsg}, {4_000_000_001, 10_000_000, 400, videoMsg},
	} {
		a := w.CallTikTok(sandboxtest.PathInit, sandboxtest.InitBody(sandboxtest.PublicPost, tc.size, tc.chunk, tc.count))
		switch {
		case tc.refused == "" && (a.HTTPStatus != 200 || a.Data.UploadURL == ""):
			t.Errorf("%+v: refused: %d %s %s", tc, a.HTTPStatus, a.Error.Code, a.Error.Message)
		case tc.refused != "" && (a.HTTPStatus != 400 || a.Error.Code != "invalid_params" || a.Error.Message != tc.refused):
			t.Errorf("%+v: got %d %s %q", tc, a.HTTPStatus, a.Error.Code, a.Error.Message)
		}
	}
}

func TestLenientChunks(t *testing.T) {
	w := sandboxtest.New(t, sandbox.Options{Limits: sandboxtest.NoLimits, LenientChunks: true})
	w.WantTikTok(sandboxtest.PathInit, sandboxtest.InitBody(sandboxtest.PublicPost, 67_108_864, 67_108_864, 1), 200, "ok")
	w.WantTikTok(sandboxtest.PathInit, sandboxtest.InitBody(sandboxtest.PublicPost, 10_000_000, 5_000_000, 2), 200, "ok")
}

func TestInitValidation(t *testing.T) {
	w := sandboxtest.New(t, sandbox.Options{Limits: sandboxtest.NoLimits})
	source := `{"source":"FILE_UPLOAD","video_size":10,"chunk_size":10,"total_chunk_count":1}`
	body := func(info, source string) string { return `{"post_info":` + info + `,"source_info":` + source + `}` }
	for name, tc := range map[string]struct {
		body, code string
		status     int
	}{
		"no json":               {`{`, "invalid_params", 400},
		"no post_info":          {`{"source_info":` + source + `}`, "invalid_param", 400},
		"no source_info":        {`{"post_info":` + sandboxtest.PublicPost + `}`, "invalid_param", 400},
		"no privacy":            {body(`{"title":"x"}`, source), "invalid_param", 400},
		"unknown privacy":       {body(`{"privacy_level":"EVERYONE"}`, source), "privacy_level_option_mismatch", 403},
		"option of private":     {body(`{"privacy_level":"FOLLOWER_OF_CREATOR"}`, source), "privacy_level_option_mismatch", 403},
		"string for bool":       {body(`{"privacy_level":"SELF_ONLY","disable_duet":"true"}`, source), "invalid_params", 400},
		"cover beyond int32":    {body(`{"privacy_level":"SELF_ONLY","video_cover_timestamp_ms":2147483648}`, source), "invalid_params", 400},
		"branded and private":   {body(`{"privacy_level":"SELF_ONLY","brand_content_toggle":true}`, source), "invalid_param", 400},
		"2200 units":            {body(`{"privacy_level":"SELF_ONLY","title":"`+strings.Repeat("😀", 1100)+`"}`, source), "ok", 200},
		"2201 units":            {body(`{"privacy_level":"SELF_ONLY","title":"`+strings.Repeat("😀", 1100)+`x"}`, source), "invalid_param", 400},
		"unknown field":         {body(`{"privacy_level":"SELF_ONLY","new_field":{"a":1}}`, source), "ok", 200},
		"unknown source":        {body(sandboxtest.PublicPost, `{"source":"DISK"}`), "invalid_param", 400},
		"size missing":          {body(sandboxtest.PublicPost, `{"source":"FILE_UPLOAD","chunk_size":10,"total_chunk_count":1}`), "invalid_param", 400},
		"size a float":          {body(sandboxtest.PublicPost, `{"source":"FILE_UPLOAD","video_size":1.5,"chunk_size":10,"total_chunk_count":1}`), "invalid_params", 400},
		"size a string":         {body(sandboxtest.PublicPost, `{"source":"FILE_UPLOAD","video_size":"10","chunk_size":10,"total_chunk_count":1}`), "invalid_params", 400},
		"pull without url":      {body(sandboxtest.PublicPost, `{"source":"PULL_FROM_URL"}`), "invalid_param", 400},
		"pull over http":        {body(sandboxtest.PublicPost, `{"source":"PULL_FROM_URL","video_url":"http://cdn.sim.test/a.mp4"}`), "invalid_param", 400},
		"pull from a public ip": {body(sandboxtest.PublicPost, `{"source":"PULL_FROM_URL","video_url":"https://8.8.8.8/a.mp4"}`), "invalid_param", 400},
		"pull unverified":       {body(sandboxtest.PublicPost, `{"source":"PULL_FROM_URL","video_url":"https://cdn.sim.test/a.mp4"}`), "url_ownership_unverified", 403},
	} {
		t.Run(name, func(t *testing.T) {
			w := *w
			w.T = t
			w.WantTikTok(sandboxtest.PathInit, tc.body, tc.status, tc.code)
		})
	}
	if a := w.MustDo(w.Request("POST", w.TikTokURL()+sandboxtest.PathInit, body(sandboxtest.PublicPost, source), "Authorization", "Bearer "+w.TikTok.AccessToken,
		"Content-Type", "text/plain")); a.HTTPStatus != 400 {
		t.Errorf("a body that is not declared as JSON: %d", a.HTTPStatus)
	}
}

func TestGateway(t *testing.T) {
	w := sandboxtest.New(t, sandbox.Options{})
	a := w.MustDo(w.TikTokRequest(strings.TrimSuffix(sandboxtest.PathInit, "/"), "{}"))
	if a.HTTPStatus != 404 || string(a.Body) != "Unsupported path(Janus)" || a.Header.Get("X-Tt-Logid") == "" {
		t.Errorf("no trailing slash: %d %q %v", a.HTTPStatus, a.Body, a.Header)
	}
	info := w.WantTikTok(sandboxtest.PathInfo, "", 200, "ok")
	if fmt.Sprint(info.Data.Privacy) != "[PUBLIC_TO_EVERYONE MUTUAL_FOLLOW_FRIENDS SELF_ONLY]" || info.Data.Duet {
		t.Errorf("creator_info: %+v", info.Data)
	}
	w.AddTikTokAccount(sandbox.TikTokAccount{OpenID: w.TikTok.OpenID, Private: true})
	info = w.WantTikTok(sandboxtest.PathInfo, "{}", 200, "ok")
	if fmt.Sprint(info.Data.Privacy) != "[FOLLOWER_OF_CREATOR MUTUAL_FOLLOW_FRIENDS SELF_ONLY]" || !info.Data.Duet {
		t.Errorf("creator_info of a private account: %+v", info.Data)
	}
}

func TestTikTokTokensAndScopes(t *testing.T) {
	w := sandboxtest.New(t, sandbox.Options{})
	w.Advance(2*time.Hour - time.Second)
	w.WantTikTok(sandboxtest.PathInfo, "", 200, "ok")
	w.Advance(time.Second)
	w.WantTikTok(sandboxtest.PathInfo, "", 401, "access_token_invalid")

	w.TikTok = w.AddTikTokAccount(sandbox.TikTokAccount{OpenID: "other", Scopes: []string{"video.upload"}})
	w.WantTikTok(sandboxtest.PathInfo, "", 401, "scope_not_authorized")
	w.WantTikTok(sandboxtest.PathInit, "{}", 401, "scope_not_authorized")
	w.WantTikTok(sandboxtest.PathStatus, `{"publish_id":"x"}`, 400, "invalid_publish_id")
	w.TikTok.AccessToken = "act.nobody"
	w.WantTikTok(sandboxtest.PathInfo, "", 401, "access_token_invalid")
}

func TestTikTokRateWindowsSlide(t *testing.T) {
	w := sandboxtest.New(t, sandbox.Options{})
	for _, tc := range []struct {
		path, body string
		limit      int
	}{
		{sandboxtest.PathInit, sandboxtest.InitBody(sandboxtest.PublicPost, 10, 10, 1), 6}, {sandboxtest.PathInbox, sandboxtest.InitBody(sandboxtest.PublicPost, 10, 10, 2), 6},
		{sandboxtest.PathPhoto, "{}", 6}, {sandboxtest.PathInfo, "", 20}, {sandboxtest.PathStatus, `{"publish_id":"x"}`, 30},
	} {
		for range tc.limit - 1 {
			w.CallTikTok(tc.path, tc.body)
		}
		w.Advance(30 * time.Second)
		w.CallTikTok(tc.path, tc.body)
		w.WantTikTok(tc.path, tc.body, 429, "rate_limit_exceeded")
		w.Advance(30 * time.Second) // all but one have left the window
		if a := w.CallTikTok(tc.path, tc.body); a.HTTPStatus == 429 {
			t.Errorf("%s: still limited after a minute", tc.path)
		}
		w.Advance(time.Minute)
	}
}

func TestBlockedAccounts(t *testing.T) {
	w := sandboxtest.New(t, sandbox.Options{Limits: &sandbox.Limits{TikTokPendingShares: 2, TikTokActiveCreators: 1}, Delays: &sandbox.Delays{}})
	body := sandboxtest.InitBody(sandboxtest.PublicPost, 100, 100, 1)

	banned := w.AddTikTokAccount(sandbox.TikTokAccount{OpenID: "banned", Banned: true})
	first := w.TikTok
	w.TikTok = banned
	w.WantTikTok(sandboxtest.PathInfo, "", 200, "spam_risk_user_banned_from_posting")
	w.WantTikTok(sandboxtest.PathInit, body, 403, "spam_risk_user_banned_from_posting")

	w.TikTok = w.AddTikTokAccount(sandbox.TikTokAccount{OpenID: first.OpenID, PostsCap: 1})
	for range 2 {
		w.WantTikTok(sandboxtest.PathInbox, body, 200, "ok")
	}
	w.WantTikTok(sandboxtest.PathInbox, body, 403, "spam_risk_too_many_pending_share")
	one, two := w.Init(sandboxtest.PublicPost, 100), w.Init(sandboxtest.PublicPost, 100) // both pass: neither has bytes yet
	w.PutFile(one.Data.UploadURL, sandboxtest.MP4(100))
	w.PutFile(two.Data.UploadURL, sandboxtest.MP4(100))
	w.WantStatus(two.Data.PublishID, "FAILED", "spam_risk_too_many_posts")
	w.WantTikTok(sandboxtest.PathInfo, "", 200, "spam_risk_too_many_posts")
	w.WantTikTok(sandboxtest.PathInit, body, 403, "spam_risk_too_many_posts")
	w.WantLive(1)

	w.TikTok = w.AddTikTokAccount(sandbox.TikTokAccount{OpenID: "second creator"})
	w.WantTikTok(sandboxtest.PathInfo, "", 200, "reached_active_user_cap")
	w.WantTikTok(sandboxtest.PathInit, body, 403, "reached_active_user_cap")
	w.Advance(24 * time.Hour)
	w.TikTok = w.AddTikTokAccount(sandbox.TikTokAccount{OpenID: "second creator", AccessToken: "act.SIMnew"})
	w.WantTikTok(sandboxtest.PathInfo, "", 200, "ok")
}

func TestUnauditedClient(t *testing.T) {
	w := sandboxtest.New(t, sandbox.Options{Unaudited: true, Limits: sandboxtest.NoLimits})
	const code = "unaudited_client_can_only_post_to_private_accounts"
	w.WantTikTok(sandboxtest.PathInit, sandboxtest.InitBody(`{"privacy_level":"SELF_ONLY"}`, 9, 9, 1), 403, code)
	w.AddTikTokAccount(sandbox.TikTokAccount{OpenID: w.TikTok.OpenID, Private: true})
	w.WantTikTok(sandboxtest.PathInit, sandboxtest.InitBody(`{"privacy_level":"MUTUAL_FOLLOW_FRIENDS"}`, 9, 9, 1), 403, code)
	w.WantTikTok(sandboxtest.PathInit, sandboxtest.InitBody(`{"privacy_level":"SELF_ONLY"}`, 9, 9, 1), 200, "ok")
	w.WantTikTok(sandboxtest.PathInbox, sandboxtest.InitBody(`null`, 9, 9, 1), 200, "ok")
}
