package tiktok

import (
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"socialqueue/platform"
)

// TestVerdicts holds every error code that TikTok documents against the client,
// for a read and for an init.
func TestVerdicts(t *testing.T) {
	const (
		rejected  = platform.Rejected
		limited   = platform.RateLimited
		expired   = platform.AuthExpired
		transient = platform.Transient
		unknown   = platform.Unknown
		gone      = platform.Gone
	)
	cases := []struct {
		status     int
		code       string
		read, init platform.Kind
		app        platform.Code
		wait       time.Duration
	}{
		{400, "invalid_param", rejected, rejected, platform.CodePublishFailed, 0},
		{400, "invalid_params", rejected, rejected, platform.CodePublishFailed, 0},
		{400, "invalid_file_upload", rejected, rejected, platform.CodeUploadFailed, 0},
		{400, "app_version_check_failed", rejected, rejected, platform.CodePublishFailed, 0},
		{400, "publish_not_cancellable", rejected, rejected, platform.CodePublishFailed, 0},
		{400, "invalid_publish_id", gone, gone, platform.CodePublishFailed, 0},
		{400, "token_not_authorized_for_specified_publish_id", rejected, rejected, platform.CodeTokenInvalid, 0},
		{400, "scope_permission_missed", rejected, rejected, platform.CodeTokenInvalid, 0},
		{401, "access_token_invalid", expired, expired, platform.CodeTokenExpired, 0},
		{200, "access_token_invalid", expired, expired, platform.CodeTokenExpired, 0},
		{401, "scope_not_authorized", rejected, rejected, platform.CodeTokenInvalid, 0},
		{403, "spam_risk_too_many_posts", limited, limited, platform.CodeRateLimited, time.Hour},
		{200, "spam_risk_too_many_posts", limited, limited, platform.CodeRateLimited, time.Hour},
		{403, "spam_risk_too_many_pending_share", limited, limited, platform.CodeRateLimited, time.Hour},
		{200, "reached_active_user_cap", limited, limited, platform.CodeRateLimited, time.Hour},
		{200, "spam_risk_user_banned_from_posting", rejected, rejected, platform.CodePublishFailed, 0},
		{403, "spam_risk_text", rejected, rejected, platform.CodePublishFailed, 0},
		{403, "spam_risk", rejected, rejected, platform.CodePublishFailed, 0},
		{403, "unaudited_client_can_only_post_to_private_accounts", rejected, rejected, platform.CodePublishFailed, 0},
		{403, "url_ownership_unverified", rejected, rejected, platform.CodePublishFailed, 0},
		{403, "privacy_level_option_mismatch", rejected, rejected, platform.CodePublishFailed, 0},
		{429, "rate_limit_exceeded", limited, limited, platform.CodeRateLimited, time.Minute},
		{500, "internal_error", transient, unknown, platform.CodePublishFailed, 0},
		{503, "internal_error", transient, unknown, platform.CodePublishFailed, 0},
		// codes of no table
		{400, "new_code", rejected, rejected, platform.CodePublishFailed, 0},
		{401, "new_code", expired, expired, platform.CodeTokenInvalid, 0},
		{429, "new_code", limited, limited, platform.CodeRateLimited, time.Minute},
		{200, "new_code", transient, unknown, platform.CodePublishFailed, 0},
		{502, "new_code", transient, unknown, platform.CodePublishFailed, 0},
		{500, "ok", transient, unknown, platform.CodePublishFailed, 0},
		{200, "", transient, unknown, platform.CodePublishFailed, 0},
	}
	tested := map[string]bool{}
	for _, tt := range cases {
		tested[tt.code] = true
		t.Run(fmt.Sprintf("%d_%s", tt.status, tt.code), func(t *testing.T) {
			ctx, c, calls := serve(t, answer(tt.status, `{"data":{},"error":{"code":"`+tt.code+`","message":"Please review","log_id":"body-log"}}`))
			_, err := c.CreatorInfo(ctx, testToken)
			e := wantError(t, err, tt.read, tt.app)
			if e.HTTPStatus != tt.status || e.PlatformCode != tt.code || e.LogID != "body-log" || e.Message != "Please review" || e.RetryAfter != tt.wait {
				t.Errorf("got %+v", e)
			}
			up, err := c.InitVideo(ctx, testToken, VideoPost{}, Plan{1, 1, 1})
			wantError(t, err, tt.init, tt.app)
			if up != (Upload{}) {
				t.Errorf("an upload came with the error: %+v", up)
			}
			for _, call := range *calls {
				if call.HTTPStatus != tt.status || call.PlatformCode != tt.code || call.LogID != "body-log" {
					t.Errorf("recorded %+v", call)
				}
			}
		})
	}
	for code := range verdicts {
		if !tested[code] {
			t.Errorf("%s is not tested", code)
		}
	}
}

func TestStatusHasItsOwnVerdicts(t *testing.T) {
	for code := range statusVerdicts {
		ctx, c, _ := serve(t, answer(400, `{"error":{"code":"`+code+`"}}`))
		_, err := c.Status(ctx, testToken, "p")
		wantError(t, err, platform.Gone, platform.CodePublishFailed)
	}
}

func TestHalfUnderstoodAnswers(t *testing.T) {
	for name, tt := range map[string]struct {
		status int
		body   string
		kind   platform.Kind
		code   string
		logID  string
	}{
		"field table spelling": {403, `{"error":{"code":"spam_risk","logid":"L1"}}`, platform.Rejected, "spam_risk", "L1"},
		"flat as OAuth":        {401, `{"error":"access_token_invalid","error_description":"d","log_id":"L2"}`, platform.AuthExpired, "access_token_invalid", "L2"},
		"no error":             {400, `{}`, platform.Rejected, "", "header-log"},
		"odd types":            {400, `{"data":[],"error":{"code":7,"message":{},"log_id":[1]}}`, platform.Rejected, "7", "header-log"},
		"janus":                {404, `Unsupported path(Janus)`, platform.Unknown, "", "header-log"},
		"html 429":             {429, `<html>`, platform.RateLimited, "", "header-log"},
		"ok without data":      {200, `{"error":{"code":"ok"}}`, platform.Unknown, "ok", "header-log"},
		"ok with null":         {200, `{"data":null,"error":{"code":"ok"}}`, platform.Unknown, "ok", "header-log"},
		"ok with a list":       {200, `{"data":[],"error":{"code":"ok"}}`, platform.Unknown, "ok", "header-log"},
		"ok without ids":       {200, `{"data":{},"error":{"code":"ok"}}`, platform.Unknown, "ok", "header-log"},
		"empty":                {200, ``, platform.Unknown, "", "header-log"},
		"cut JSON":             {200, `{"data":{"publish_id":"v`, platform.Unknown, "", "header-log"},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, c, _ := serve(t, answer(tt.status, tt.body))
			_, err := c.InitVideo(ctx, testToken, VideoPost{}, Plan{1, 1, 1})
			e, ok := errors.AsType[*platform.Error](err)
			if !ok || e.Kind != tt.kind || e.PlatformCode != tt.code || e.LogID != tt.logID {
				t.Errorf("got %+v", err)
			}
		})
	}
}

func TestRetryAfterOnlyLengthensTheWait(t *testing.T) {
	for header, want := range map[string]time.Duration{"": time.Minute, "5": time.Minute, "90": 90 * time.Second, "9999999": 24 * time.Hour, "soon": time.Minute} {
		for _, body := range []string{`{"error":{"code":"rate_limit_exceeded"}}`, `<html>`} {
			ctx, c, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Retry-After", header)
				answer(429, body)(w, r)
			})
			_, err := c.InitVideo(ctx, testToken, VideoPost{}, Plan{1, 1, 1})
			if e := wantError(t, err, platform.RateLimited, platform.CodeRateLimited); e.RetryAfter != want {
				t.Errorf("%q: wait %s, want %s", header, e.RetryAfter, want)
			}
		}
	}
}
