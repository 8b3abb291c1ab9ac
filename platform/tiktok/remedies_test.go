package tiktok

import (
	"maps"
	"slices"
	"strings"
	"testing"
)

// documented lists every refusal of the pages of the package comment, and those that were
// seen in the field.
var documented = strings.Fields(`
	invalid_param invalid_params invalid_file_upload app_version_check_failed invalid_publish_id
	token_not_authorized_for_specified_publish_id publish_not_cancellable scope_permission_missed access_token_invalid
	scope_not_authorized spam_risk_too_many_posts spam_risk_user_banned_from_posting spam_risk_too_many_pending_share
	reached_active_user_cap unaudited_client_can_only_post_to_private_accounts url_ownership_unverified
	privacy_level_option_mismatch rate_limit_exceeded internal_error

	file_format_check_failed duration_check_failed frame_rate_check_failed picture_size_check_failed video_pull_failed
	photo_pull_failed internal publish_cancelled auth_removed spam_risk_text spam_risk

	access_denied invalid_client invalid_grant invalid_request invalid_scope unauthorized_client unsupported_grant_type
	unsupported_response_type server_error temporarily_unavailable`)

func TestEveryRefusalHasARemedy(t *testing.T) {
	known := slices.Concat(documented, slices.Collect(maps.Keys(verdicts)), slices.Collect(maps.Keys(failReasons)), slices.Collect(maps.Keys(oauthVerdicts)))
	for _, code := range known {
		if text := remedies[code].Text; len(text) < 30 || !strings.HasSuffix(text, ".") {
			t.Errorf("%s: remedy %q", code, text)
		}
	}
	for code := range remedies {
		if !slices.Contains(known, code) {
			t.Errorf("the remedy of %s is for no known refusal", code)
		}
	}
}

func TestRemediesAreInTheError(t *testing.T) {
	const code = "unaudited_client_can_only_post_to_private_accounts"
	ctx, c, _ := serve(t, answer(403, `{"error":{"code":"`+code+`","message":"`+strings.Repeat("Please review our guidelines. ", 40)+`","log_id":"L1"}}`))
	_, err := c.InitVideo(ctx, testToken, VideoPost{}, Plan{1, 1, 1})
	text := err.Error()
	if !strings.Contains(text, code+": Please review") || !strings.Contains(text, "[log id L1]. TikTok has not audited the app yet.") || !strings.Contains(text, "account itself to private") {
		t.Errorf("error %s", text)
	}
	if n := strings.Count(text, "Please review"); n > 11 { // 300 bytes
		t.Errorf("TikTok's own text is repeated at length: %s", text)
	}
	ctx, c, _ = serve(t, answer(400, `{"error":{"code":"invalid_params"}}`))
	if _, err := c.Status(ctx, testToken, "p"); err == nil || !strings.Contains(err.Error(), "no longer knows this upload") {
		t.Errorf("a wrong publish_id: %v", err)
	}
	if e := FailReasonError("frame_rate_check_failed"); !e.Remedy.AboutFile || !strings.Contains(e.Error(), "23 to 60 frames per second") {
		t.Errorf("error %v", e)
	}
}
