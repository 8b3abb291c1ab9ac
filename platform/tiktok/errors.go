package tiktok

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"socialqueue/platform"
	"socialqueue/platform/wire"
)

const (
	// minuteWait is the wait after a rate limit. Limits count per sliding minute (Direct
	// Post reference, 2026-09-11; no Retry-After is documented).
	minuteWait = time.Minute
	// capWait is how often a daily cap is checked again. The caps on posts per creator,
	// pending shares and active creators count over 24 h with an unknown start, so the next
	// slot may open at any time (Content Sharing Guidelines, 2026-09-11).
	capWait = time.Hour
	// maxWait limits the wait that an answer asks for.
	maxWait = 24 * time.Hour
)

// capped is a limit that is checked again every capWait.
func capped(limit platform.Limit) wire.Verdict {
	return wire.Verdict{Kind: platform.RateLimited, Code: platform.CodeRateLimited, Wait: capWait, Limit: limit}
}

var (
	unsendable = wire.Verdict{Kind: platform.Rejected, Code: platform.CodePublishFailed}
	noToken    = wire.Verdict{Kind: platform.AuthExpired, Code: platform.CodeTokenInvalid}
	throttled  = wire.Verdict{Kind: platform.RateLimited, Code: platform.CodeRateLimited, Wait: minuteWait}
	refused    = wire.Verdict{Kind: platform.Rejected, Code: platform.CodePublishFailed}
	badUpload  = wire.Verdict{Kind: platform.Rejected, Code: platform.CodeUploadFailed}
	noScope    = wire.Verdict{Kind: platform.Rejected, Code: platform.CodeTokenInvalid}
	goneUpload = wire.Verdict{Kind: platform.Gone, Code: platform.CodeUploadFailed}
	// internalError is an error inside TikTok. The call's class gives the verdict (see
	// judge).
	internalError = wire.Verdict{}
)

// verdicts is the table of error codes, from all pages of the package comment. The codes of
// caps and bans come with HTTP 403 from an init and with HTTP 200 from creator_info; the
// code decides, not the status.
var verdicts = map[string]wire.Verdict{
	"invalid_param":            refused, // as the posting pages spell it
	"invalid_params":           refused, // as real answers spell it
	"invalid_file_upload":      badUpload,
	"app_version_check_failed": refused,
	"publish_not_cancellable":  refused,
	// The publish_id is unknown. That does not prove that the post never went live, so the
	// caller has to check its ledger.
	"invalid_publish_id":                            {Kind: platform.Gone, Code: platform.CodePublishFailed},
	"token_not_authorized_for_specified_publish_id": noScope,

	codeDeadToken:             {Kind: platform.AuthExpired, Code: platform.CodeTokenExpired},
	"scope_not_authorized":    noScope, // needs new consent; the other scopes still work (seen in the field, 2026-09)
	"scope_permission_missed": noScope,

	"spam_risk_too_many_posts":         capped(platform.LimitDaily),
	"spam_risk_too_many_pending_share": capped(platform.LimitPending),
	"reached_active_user_cap":          capped(platform.LimitApp),

	"spam_risk_user_banned_from_posting": refused,
	"spam_risk_text":                     refused,
	"spam_risk":                          refused,
	"unaudited_client_can_only_post_to_private_accounts": refused,
	"url_ownership_unverified":                           refused,
	"privacy_level_option_mismatch":                      refused,

	"rate_limit_exceeded": throttled,
	"internal_error":      internalError,
}

// statusVerdicts are the exceptions for status/fetch. It has one parameter, and a bad
// publish_id was also seen in the field as invalid_params.
var statusVerdicts = map[string]wire.Verdict{
	"invalid_param":  verdicts["invalid_publish_id"],
	"invalid_params": verdicts["invalid_publish_id"],
}

// codeDeadToken is TikTok's code for an access token that no longer works.
const codeDeadToken = "access_token_invalid"

// IsDeadToken reports whether TikTok refused an access token with its own code for that.
// Kind AuthExpired alone may also come from an unknown answer.
func IsDeadToken(err error) bool {
	e, ok := errors.AsType[*platform.Error](err)
	return ok && e.Kind == platform.AuthExpired && e.PlatformCode == codeDeadToken
}

// IsDeadGrant reports whether TikTok refused a refresh token for good. The OAuth endpoints
// have one code for that, and only it has kind AuthExpired.
func IsDeadGrant(err error) bool {
	e, ok := errors.AsType[*platform.Error](err)
	return ok && e.Kind == platform.AuthExpired && e.Op == opRefreshToken
}

// judge returns the verdict on an error answer that was understood.
func judge(op string, class wire.Class, status int, code string) wire.Verdict {
	v, ok := verdicts[code]
	if op == opStatus {
		if own, special := statusVerdicts[code]; special {
			v, ok = own, true
		}
	}
	switch {
	case ok:
	case status == http.StatusTooManyRequests:
		v = throttled
	case status == http.StatusUnauthorized:
		v = noToken
	case status >= 400 && status < 500:
		v = wire.Verdict{Kind: platform.Rejected, Code: class.Code}
	default: // 5xx, or an unknown code with a status of success
		v = internalError
	}
	if v == internalError {
		v = class.Lost()
	}
	return v
}

// envelope is the format of every answer except those of OAuth and of the upload.
type envelope struct {
	data           json.RawMessage
	code           string
	message, logID string
}

const codeOK = "ok"

var errNoEnvelope = errors.New("the answer is not JSON of TikTok")

// parseEnvelope parses an answer. The field tables call the log id logid; samples and real
// answers have log_id. An error that is a plain string, as in OAuth answers, still gives a
// code.
func parseEnvelope(body []byte) (envelope, error) {
	var raw struct {
		Data  json.RawMessage `json:"data"`
		Error json.RawMessage `json:"error"`
		// the flat shape
		Description wire.Scalar `json:"error_description"`
		LogID       wire.Scalar `json:"log_id"`
	}
	if trimmed := bytes.TrimSpace(body); len(trimmed) == 0 || trimmed[0] != '{' {
		return envelope{}, errNoEnvelope
	}
	if err := json.Unmarshal(body, &raw); err != nil {
		return envelope{}, fmt.Errorf("%w: %w", errNoEnvelope, err)
	}
	var fields struct {
		Code    wire.Scalar `json:"code"`
		Message wire.Scalar `json:"message"`
		LogID   wire.Scalar `json:"log_id"`
		LogIDv1 wire.Scalar `json:"logid"`
	}
	e := envelope{data: raw.Data, message: string(raw.Description), logID: string(raw.LogID)}
	if len(raw.Error) > 0 && raw.Error[0] == '{' {
		if err := json.Unmarshal(raw.Error, &fields); err != nil {
			return envelope{}, fmt.Errorf("%w: %w", errNoEnvelope, err)
		}
		e.code, e.message = string(fields.Code), string(fields.Message)
		for _, id := range []wire.Scalar{fields.LogIDv1, fields.LogID} {
			if id != "" {
				e.logID = string(id)
			}
		}
		return e, nil
	}
	var flat wire.Scalar
	_ = flat.UnmarshalJSON(raw.Error) // never fails
	e.code = string(flat)
	return e, nil
}

// note stores the code and log id of an answer in the call, and what to do about them.
func (x *exchange) note(e envelope) {
	x.Code = x.Hide.Text(e.code)
	x.Remedy = remedyFor(x.Op, e.code)
	if e.logID != "" {
		x.LogID = x.Hide.Text(e.logID)
	}
}

// decode decodes an answer. If the code is "ok" it passes the data to read; otherwise it
// returns the typed error. The code decides on HTTP 200 too.
func (x *exchange) decode(resp *http.Response, read func(json.RawMessage) error) error {
	body, err := wire.ReadBody(resp)
	var e envelope
	if err == nil {
		e, err = parseEnvelope(body)
	}
	if err != nil {
		return x.Fail(x.unread(resp), "", x.Hide.Err(err))
	}
	x.note(e)
	if e.code != codeOK || resp.StatusCode < 200 || resp.StatusCode > 299 {
		v := judge(x.Op, x.Class, resp.StatusCode, e.code)
		v.Wait = waitOf(v, resp)
		var cause error
		if e.code == "" {
			cause = errors.New("answer without error.code")
		}
		return x.Fail(v, e.message, cause)
	}
	if err := read(e.data); err != nil {
		if pe, ok := errors.AsType[*platform.Error](err); ok {
			return pe
		}
		return x.Fail(x.Class.Lost(), "", x.Hide.Err(err))
	}
	return nil
}

// unread returns the verdict on an answer whose body did not arrive or is not TikTok's. A
// gateway's error page says nothing about the call, except for status 429.
func (x *exchange) unread(resp *http.Response) wire.Verdict {
	if resp.StatusCode == http.StatusTooManyRequests {
		v := throttled
		v.Wait = waitOf(v, resp)
		return v
	}
	return x.Class.Lost()
}

// waitOf returns the wait after a rate limit. TikTok documents no Retry-After; if there is
// one it can only lengthen the wait.
func waitOf(v wire.Verdict, resp *http.Response) time.Duration {
	if v.Kind != platform.RateLimited {
		return v.Wait
	}
	s, err := strconv.ParseInt(resp.Header.Get("Retry-After"), 10, 32)
	if err != nil {
		return v.Wait
	}
	return max(v.Wait, min(time.Duration(s)*time.Second, maxWait))
}
