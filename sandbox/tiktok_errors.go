package sandbox

import "net/http"

// tiktokEnvelope is the shape of every answer outside OAuth and uploads.
type tiktokEnvelope struct {
	Data  any         `json:"data"`
	Error tiktokError `json:"error"`
}

type tiktokError struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	LogID   string `json:"log_id"`
}

// tiktokStatuses maps error codes to HTTP statuses, by the error tables of the Content Posting API, 2026-09-11.
var tiktokStatuses = map[string]int{
	"invalid_param":            http.StatusBadRequest,
	"invalid_params":           http.StatusBadRequest,
	"app_version_check_failed": http.StatusBadRequest,
	"invalid_publish_id":       http.StatusBadRequest,
	"token_not_authorized_for_specified_publish_id":      http.StatusBadRequest,
	"publish_not_cancellable":                            http.StatusBadRequest,
	"invalid_file_upload":                                http.StatusBadRequest,
	"scope_permission_missed":                            http.StatusBadRequest,
	"access_token_invalid":                               http.StatusUnauthorized,
	"scope_not_authorized":                               http.StatusUnauthorized,
	"spam_risk_too_many_posts":                           http.StatusForbidden,
	"spam_risk_user_banned_from_posting":                 http.StatusForbidden,
	"spam_risk_too_many_pending_share":                   http.StatusForbidden,
	"reached_active_user_cap":                            http.StatusForbidden,
	"unaudited_client_can_only_post_to_private_accounts": http.StatusForbidden,
	"url_ownership_unverified":                           http.StatusForbidden,
	"privacy_level_option_mismatch":                      http.StatusForbidden,
	"rate_limit_exceeded":                                http.StatusTooManyRequests,
	"internal_error":                                     http.StatusInternalServerError,
}

const guidelines = "Please review our integration guidelines at https://developers.tiktok.com/doc/content-sharing-guidelines/"

// tiktokMessages are the known texts. TikTok answers nearly every 403 with the same generic sentence.
var tiktokMessages = map[string]string{
	"access_token_invalid":     "The access token is invalid or not found in the request.",
	"scope_not_authorized":     "The user did not authorize the scope required for completing this request.",
	"rate_limit_exceeded":      "The API rate limit was exceeded. Please try again later.",
	"url_ownership_unverified": "Please review our URL ownership verification rules at https://developers.tiktok.com/doc/content-posting-api-media-transfer-guide/#pull_from_url",
	"internal_error":           "Something is wrong. Please try again later.",
}

func tiktokMessage(code string) string {
	if m := tiktokMessages[code]; m != "" {
		return m
	}
	if tiktokStatuses[code] == http.StatusForbidden {
		return guidelines
	}
	return "The request parameters are malformed."
}

func (t *tiktok) ok(x *exchange, data any) reply {
	rep := jsonReply(http.StatusOK, tiktokEnvelope{data, tiktokError{Code: "ok", LogID: x.logID}})
	rep.code = "ok"
	return rep
}

// fail answers an error code with its usual status; an empty message means the usual text.
func (t *tiktok) fail(x *exchange, code, message string) reply {
	return t.failWith(x, tiktokStatuses[code], code, message)
}

func (t *tiktok) failWith(x *exchange, status int, code, message string) reply {
	if status == 0 {
		status = http.StatusInternalServerError
	}
	if message == "" {
		message = tiktokMessage(code)
	}
	rep := jsonReply(status, tiktokEnvelope{struct{}{}, tiktokError{code, message, x.logID}})
	rep.code = code
	return rep
}

// refuse renders a scripted error: the envelope, the flat shape of OAuth, or a bare status where the upload host would
// answer.
func (t *tiktok) refuse(x *exchange, f Fault) reply {
	if x.op == OpTikTokExchangeCode || x.op == OpTikTokRefreshToken || x.op == OpTikTokRevoke {
		return t.refuseOAuth(x, f)
	}
	if x.op == OpTikTokChunk {
		status := f.Status
		switch {
		case status != 0:
		case f.Mode == ModeRateLimit:
			status = http.StatusTooManyRequests
		default:
			status = http.StatusInternalServerError
		}
		return reply{status: status}
	}
	code := f.Code
	if f.Mode == ModeRateLimit {
		code = "rate_limit_exceeded"
	}
	status := f.Status
	if status == 0 {
		status = tiktokStatuses[code]
	}
	return t.failWith(x, status, code, f.Message)
}
