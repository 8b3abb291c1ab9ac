package tiktok

import "socialqueue/platform"

// remedies says what to do about each refusal of TikTok, because its own message is the same
// for nearly all of them. The limits are those of the Direct Post reference, the media
// transfer guide and the Content Sharing Guidelines (all 2026-09-11); what is not on a page
// names where it was seen.
var remedies = map[string]platform.Remedy{
	// the posting endpoints (Direct Post, Photo Post, Get Post Status)
	"invalid_param":                                 invalidParam,
	"invalid_params":                                invalidParam,
	"invalid_file_upload":                           {Text: "TikTok does not take the file as it was uploaded. Retry the post; if it fails again, convert the video to MP4 with H.264.", AboutFile: true},
	"app_version_check_failed":                      {Text: "The creator's TikTok app is too old for drafts. The creator has to update it to version 31.8 or later."},
	"publish_not_cancellable":                       {Text: "It is too late to stop this post. If it must not stay, delete it in the TikTok app."},
	"invalid_publish_id":                            {Text: "TikTok no longer knows this upload. Look in the creator's TikTok app whether the post is there before you send it again."},
	"token_not_authorized_for_specified_publish_id": {Text: "The upload belongs to another TikTok account or another app. Connect the account that began it."},

	"access_token_invalid":    {Text: "The token is refreshed by itself. If that fails, connect the account again."},
	"scope_not_authorized":    missingScope,
	"scope_permission_missed": missingScope,

	// about 15 a day, counted over all apps (Content Sharing Guidelines)
	"spam_risk_too_many_posts": {Text: "TikTok takes about 15 posts in 24 hours from one account, counted over all apps. Nothing to do: the post is tried again every hour."},
	// whether a deleted draft frees its place differs between reports (2026-09)
	"spam_risk_too_many_pending_share": {Text: "TikTok keeps 5 drafts in 24 hours for one creator. The creator can publish those in the inbox of the TikTok app; the post is tried again every hour."},
	"reached_active_user_cap":          {Text: "The app, not this account, has reached the number of creators that TikTok allows it in a day. The post is tried again every hour. The operator can ask TikTok for a higher cap."},

	"spam_risk_user_banned_from_posting": {Text: "TikTok has banned this account from posting. The creator has to settle that in the TikTok app; then retry the post."},
	"spam_risk_text":                     {Text: "TikTok takes the text for spam, or finds that it breaks its rules. Send the post again with another text."},
	"spam_risk":                          {Text: "TikTok takes the post for spam, or finds that it breaks its rules. Change text and video before you post again, and look for a notice in the TikTok app."},

	// SELF_ONLY on a public account is refused too (brightbeanxyz/brightbean-studio issue 144)
	"unaudited_client_can_only_post_to_private_accounts": {Text: "TikTok has not audited the app yet. Until it has, set the TikTok account itself to private (TikTok app: Settings and privacy, Privacy, Private account) and post with SELF_ONLY; " +
		"SELF_ONLY alone is not enough. Or let the app pass TikTok's audit."},
	"url_ownership_unverified":      {Text: "TikTok fetches files only from addresses that were verified for the app. The operator has to verify the domain or prefix of PUBLIC_URL in TikTok's developer portal."},
	"privacy_level_option_mismatch": {Text: "The creator may not use this privacy_level now. Read what TikTok offers from GET /api/accounts/tiktok/{id}/limits and let the creator choose again."},

	"rate_limit_exceeded": {Text: "Too many calls for this account in one minute. Nothing to do: the call is repeated after a minute."},
	"internal_error":      {Text: "An error inside TikTok. Nothing to do: the post is checked or tried again by itself."},

	// fail_reason of Get Post Status
	"file_format_check_failed": {Text: "TikTok cannot read the video. It takes MP4, MOV and WebM with H.264 (best), H.265, VP8 or VP9. Convert the file and send a new post.", AboutFile: true},
	"duration_check_failed": {Text: "TikTok takes videos of 3 seconds to 10 minutes, and from some creators only 3 or 5 minutes (max_video_post_duration_sec of GET /api/accounts/tiktok/{id}/limits). Cut the video.",
		AboutFile: true}, // 3 s: TikTok's Business API only
	"frame_rate_check_failed":   {Text: "TikTok takes 23 to 60 frames per second. Convert the video and send a new post.", AboutFile: true},
	"picture_size_check_failed": {Text: "TikTok takes videos with sides of 360 to 4096 pixels, and photos of at most 1080 pixels on the shorter side. Resize the file and send a new post.", AboutFile: true}, // photos: gitroomhq/postiz-app PR 1875
	"video_pull_failed":         pullFailed,
	"photo_pull_failed":         pullFailed,
	"internal":                  {Text: "An error inside TikTok. Nothing is live and nothing to do: the post is sent again by itself."},
	"publish_cancelled":         {Text: "The transfer was canceled. Retry the post if it is still wanted."},
	"auth_removed":              {Text: "The creator took back the access to the account. Connect it again, then retry the post."},

	// the OAuth endpoints and callbacks (OAuth Error Handling)
	"access_denied":             {Text: "The creator did not allow access. Connect the account again and allow it."},
	"invalid_client":            {Text: "TIKTOK_CLIENT_KEY or TIKTOK_CLIENT_SECRET is wrong. The operator has to correct it; TikTok's sandbox has a pair of its own."},
	"unauthorized_client":       {Text: "The app may not use this login. The operator has to add Login Kit to the app in TikTok's developer portal and wait for its approval."},
	"invalid_grant":             {Text: "The consent has ended or was used before. Connect the account again."},
	"invalid_request":           {Text: "TikTok does not accept the login. The operator has to check that the redirect URI, PUBLIC_URL followed by /api/auth/tiktok/callback, is registered for the app."},
	"invalid_scope":             {Text: "The app may not ask for these permissions. The operator has to add user.info.basic, video.publish and the others to the app in TikTok's developer portal, and have them approved."},
	"unsupported_grant_type":    {Text: "TikTok does not accept this kind of login. Update socialqueue."},
	"unsupported_response_type": {Text: "TikTok does not accept this kind of login. Update socialqueue."},
	"server_error":              {Text: "An error inside TikTok. Wait a minute, then try again."},
	"temporarily_unavailable":   {Text: "TikTok is not available. Wait a minute, then try again."},
}

var (
	invalidParam = platform.Remedy{Text: "TikTok does not accept a field of the post. Compare its options with GET /api/accounts/tiktok/{id}/limits; if they are right, show the log id to TikTok's support."}
	missingScope = platform.Remedy{Text: "The creator did not allow a permission that this needs. Connect the account again and leave all permissions ticked."}
	pullFailed   = platform.Remedy{Text: "TikTok could not fetch the file within an hour. The operator has to check that PUBLIC_URL is reachable from outside by https, without redirects."}
)

// remedyFor returns what to do about an error code. status/fetch has one parameter, so there a
// wrong parameter is an unknown publish_id.
func remedyFor(op, code string) platform.Remedy {
	if _, special := statusVerdicts[code]; special && op == opStatus {
		code = "invalid_publish_id"
	}
	return remedies[code]
}
