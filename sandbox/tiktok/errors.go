package tiktok

import (
	"net/http"

	"socialqueue/sandbox/engine"
)

// envelope is the format of every answer except those of OAuth and uploads.
type envelope struct {
	Data  any      `json:"data"`
	Error apiError `json:"error"`
}

type apiError struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	LogID   string `json:"log_id"`
}

// statuses maps error codes to HTTP statuses, by the error tables of the Content Posting API, 2026-09-11.
var statuses = map[string]int{
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

// messages are the known texts. TikTok answers nearly every 403 with the same generic sentence.
var messages = map[string]string{
	"access_token_invalid":     "The access token is invalid or not found in the request.",
	"scope_not_authorized":     "The user did not authorize the scope required for completing this request.",
	"rate_limit_exceeded":      "The API rate limit was exceeded. Please try again later.",
	"url_ownership_unverified": "Please review our URL ownership verification rules at https://developers.tiktok.com/doc/content-posting-api-media-transfer-guide/#pull_from_url",
	"internal_error":           "Something is wrong. Please try again later.",
}

func messageOf(code string) string {
	if m := messages[code]; m != "" {
		return m
	}
	if statuses[code] == http.StatusForbidden {
		return guidelines
	}
	return "The request parameters are malformed."
}

func (t *Platform) ok(x *engine.Exchange, data any) engine.Reply {
	rep := engine.JSONReply(http.StatusOK, envelope{data, apiError{Code: "ok", LogID: x.LogID}})
	rep.Code = "ok"
	return rep
}

// fail returns an error code with its usual status. An empty message selects the usual text.
func (t *Platform) fail(x *engine.Exchange, code, message string) engine.Reply {
	return t.failWith(x, statuses[code], code, message)
}

func (t *Platform) failWith(x *engine.Exchange, status int, code, message string) engine.Reply {
	if status == 0 {
		status = http.StatusInternalServerError
	}
	if message == "" {
		message = messageOf(code)
	}
	rep := engine.JSONReply(status, envelope{struct{}{}, apiError{code, message, x.LogID}})
	rep.Code = code
	return rep
}

// Refuse renders a scripted error: the envelope, the flat format of OAuth, or a bare status for the upload host.
func (t *Platform) Refuse(x *engine.Exchange, f engine.Fault) engine.Reply {
	if x.Op == OpExchangeCode || x.Op == OpRefreshToken || x.Op == OpRevoke {
		return t.refuseOAuth(x, f)
	}
	if x.Op == OpChunk {
		status := f.Status
		switch {
		case status != 0:
		case f.Mode == engine.ModeRateLimit:
			status = http.StatusTooManyRequests
		default:
			status = http.StatusInternalServerError
		}
		return engine.Reply{Status: status}
	}
	code := f.Code
	if f.Mode == engine.ModeRateLimit {
		code = "rate_limit_exceeded"
	}
	status := f.Status
	if status == 0 {
		status = statuses[code]
	}
	return t.failWith(x, status, code, f.Message)
}
