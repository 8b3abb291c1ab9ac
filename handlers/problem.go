package handlers

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	"socialqueue/inbox"
	"socialqueue/media"
	"socialqueue/models"
	"socialqueue/notify"
	"socialqueue/oauth"
	"socialqueue/platform"
	"socialqueue/publish"
)

// The codes of this API's own errors (README, "Errors").
const (
	codeValidation   = "VALIDATION_FAILED"
	codeNotFound     = "NOT_FOUND"
	codeUnauthorized = "UNAUTHORIZED"
	codeConflict     = "CONFLICT"
	codeMismatch     = "IDEMPOTENCY_MISMATCH"
	codeTooLarge     = "TOO_LARGE"
	codeUnavailable  = "UNAVAILABLE"
	codeWebhook      = "WEBHOOK_INVALID"
	codeForbidden    = "FORBIDDEN"
	codeRateLimited  = "RATE_LIMITED"
	codeQuota        = "QUOTA_EXCEEDED"
	codeInternal     = "INTERNAL"
)

var titles = map[string]string{
	codeValidation:   "The request is not valid",
	codeNotFound:     "Not found",
	codeUnauthorized: "Not authorized",
	codeConflict:     "Not possible in the current state",
	codeMismatch:     "Idempotency-Key was used for another request",
	codeTooLarge:     "Too large",
	codeUnavailable:  "Not available at the moment",
	codeWebhook:      "The message is not signed by the platform",
	codeForbidden:    "Not allowed",
	codeRateLimited:  "Too many requests",
	codeQuota:        "The quota is used up",
	codeInternal:     "Internal error",

	string(platform.CodeTokenExpired):  "The account's token has expired",
	string(platform.CodeTokenInvalid):  "The account must be connected again",
	string(platform.CodePublishFailed): "The platform refused",
}

// quotaRetry is when a request beyond a quota may be worth another try, in seconds.
const quotaRetry = "60"

// statusClientGone is logged if the client disconnected before the response (nginx's number
// for it). It is also sent: a client that closed only its sending half looks the same to
// net/http, and would otherwise get a 200.
const statusClientGone = 499

// problem is an error as the client sees it.
type problem struct {
	status     int
	code       string
	detail     string
	fields     models.FieldErrors
	retryAfter string // seconds; empty for none
}

func (p *problem) Error() string {
	if len(p.fields) > 0 {
		return p.code + ": " + p.fields.Error()
	}
	return p.code + ": " + p.detail
}

// maxDetail is the length of a detail, in characters: it may quote the request.
const maxDetail = 2000

type problemBody struct {
	Type          string             `json:"type"`
	Title         string             `json:"title"`
	Status        int                `json:"status"`
	Code          string             `json:"code"`
	Detail        string             `json:"detail"`
	Errors        models.FieldErrors `json:"errors"`
	CorrelationID string             `json:"correlation_id"`
}

// writeProblem turns every error into a response.
func writeProblem(err error, c echo.Context) {
	if c.Response().Committed {
		return // a file broke off: the closed connection shows it
	}
	p := problemOf(err, c.Request())
	h := c.Response().Header()
	h.Set(echo.HeaderCacheControl, "no-store")
	h.Del("ETag")
	if p.retryAfter != "" {
		h.Set(echo.HeaderRetryAfter, p.retryAfter)
	}
	body := p.body(correlationID(c.Request()))
	h.Set(echo.HeaderContentType, "application/problem+json")
	c.Response().WriteHeader(p.status)
	if c.Request().Method != http.MethodHead {
		_, _ = c.Response().Write(body) // fails only if the client is gone
	}
}

func (p *problem) body(correlationID string) []byte {
	errs := p.fields
	if errs == nil {
		errs = models.FieldErrors{}
	}
	body, err := json.Marshal(problemBody{
		Type: "urn:socialqueue:problem:" + strings.ToLower(p.code), Title: titles[p.code], Status: p.status,
		Code: p.code, Detail: models.Shorten(p.detail, maxDetail), Errors: errs, CorrelationID: correlationID,
	})
	if err != nil {
		panic(err) // strings and numbers always encode
	}
	return append(body, '\n')
}

// problemOf maps errors to problems. An unknown error is a 500 without details.
func problemOf(err error, r *http.Request) *problem {
	if p, ok := errors.AsType[*problem](err); ok {
		return p
	}
	if fields, ok := errors.AsType[models.FieldErrors](err); ok {
		return invalid(fields)
	}
	if b, ok := errors.AsType[*bodyError](err); ok {
		return b.problem()
	}
	if h, ok := errors.AsType[*echo.HTTPError](err); ok {
		return ofEcho(h)
	}
	if q, ok := errors.AsType[*models.QuotaError](err); ok {
		return &problem{status: http.StatusTooManyRequests, code: codeQuota, detail: q.Error(), retryAfter: quotaRetry}
	}
	if n, ok := errors.AsType[*models.NotFoundError](err); ok {
		return &problem{status: http.StatusNotFound, code: codeNotFound, detail: n.Error(), fields: models.OfField(n.Field, "%s", n.Error())}
	}
	switch {
	case errors.Is(err, models.ErrNotFound), errors.Is(err, media.ErrNotFound):
		return &problem{status: http.StatusNotFound, code: codeNotFound, detail: err.Error()}
	case errors.Is(err, publish.ErrConflict):
		return conflict(strings.TrimPrefix(err.Error(), publish.ErrConflict.Error()+": "))
	case errors.Is(err, notify.ErrConflict):
		return conflict(strings.TrimPrefix(err.Error(), notify.ErrConflict.Error()+": "))
	case errors.Is(err, models.ErrStale):
		return conflict("another request with the same Idempotency-Key took over meanwhile")
	case errors.Is(err, oauth.ErrNotConfigured):
		return &problem{status: http.StatusServiceUnavailable, code: codeUnavailable, detail: err.Error()}
	case errors.Is(err, oauth.ErrNotAuthentic), errors.Is(err, inbox.ErrNotAuthentic):
		return &problem{status: http.StatusUnauthorized, code: codeWebhook, detail: oauth.ErrNotAuthentic.Error()}
	case errors.Is(err, media.ErrTooLarge):
		return tooLarge(err.Error())
	case errors.Is(r.Context().Err(), context.Canceled):
		return &problem{status: statusClientGone, code: codeUnavailable, detail: "the connection was closed before the answer"}
	case isAway(err):
		return &problem{
			status: http.StatusServiceUnavailable, code: codeUnavailable, retryAfter: "2",
			detail: "a part of the system does not answer; send the request again later",
		}
	default:
		return &problem{status: http.StatusInternalServerError, code: codeInternal, detail: "internal error; quote this correlation id"}
	}
}

func invalid(fields models.FieldErrors) *problem {
	return &problem{status: http.StatusUnprocessableEntity, code: codeValidation, detail: fields.Error(), fields: fields}
}

func conflict(detail string) *problem {
	return &problem{status: http.StatusConflict, code: codeConflict, detail: detail}
}

func tooLarge(detail string) *problem {
	return &problem{status: http.StatusRequestEntityTooLarge, code: codeTooLarge, detail: detail}
}

func badRequest(detail string) *problem {
	return &problem{status: http.StatusBadRequest, code: codeValidation, detail: detail}
}

func ofEcho(h *echo.HTTPError) *problem {
	switch {
	case h.Code == http.StatusNotFound:
		return &problem{status: h.Code, code: codeNotFound, detail: "no such route"}
	case h.Code == http.StatusMethodNotAllowed:
		return &problem{status: h.Code, code: codeNotFound, detail: "method not allowed; the Allow header lists the allowed methods"}
	case h.Code == http.StatusRequestEntityTooLarge:
		return tooLarge("the request is too large")
	case h.Code >= 400 && h.Code < 500:
		return &problem{status: h.Code, code: codeValidation, detail: http.StatusText(h.Code)}
	default:
		return &problem{status: http.StatusInternalServerError, code: codeInternal, detail: "internal error; quote this correlation id"}
	}
}
