package instagram

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"testing"
	"time"

	"socialqueue/platform"
)

// outcome is what an error must read as.
type outcome struct {
	kind platform.Kind
	code platform.Code
	wait time.Duration
}

var (
	stopped    = outcome{platform.Rejected, platform.CodePublishFailed, 0}
	permission = outcome{platform.Rejected, platform.CodeTokenInvalid, 0}
	dead       = outcome{platform.AuthExpired, platform.CodeTokenInvalid, 0}
	overdue    = outcome{platform.AuthExpired, platform.CodeTokenExpired, 0}
	slower     = outcome{platform.RateLimited, platform.CodeRateLimited, time.Hour}
	blocked    = outcome{platform.RateLimited, platform.CodeRateLimited, 6 * time.Hour}
	again      = outcome{platform.Transient, platform.CodePublishFailed, 0}
	unknown    = outcome{platform.Unknown, platform.CodePublishFailed, 0}
	maybeLive  = outcome{platform.Unknown, platform.CodePublishFailed, 6 * time.Hour}
	notReady   = outcome{platform.NotReady, platform.CodePublishFailed, 0}
	gone       = outcome{platform.Gone, platform.CodePublishFailed, 0}
)

// errorCases is every error that is documented or was seen: how a read, a
// create_container and a media_publish must take each error.
var errorCases = []struct {
	status                int
	code, subcode         int64
	read, create, publish outcome
}{
	{400, 190, 0, dead, dead, dead},
	{400, 190, 458, dead, dead, dead},
	{400, 190, 459, dead, dead, dead},
	{400, 190, 460, dead, dead, dead},
	{400, 190, 463, overdue, overdue, overdue},
	{400, 190, 464, dead, dead, dead},
	{400, 190, 467, dead, dead, dead},
	{400, 190, 492, dead, dead, dead},
	{400, 190, 493, dead, dead, dead},
	{500, 190, 463, overdue, overdue, overdue},
	{400, 102, 0, dead, dead, dead},
	{403, 10, 0, permission, permission, permission},
	{403, 200, 0, permission, permission, permission},
	{403, 299, 1, permission, permission, permission},
	{400, 3, 0, permission, permission, permission},
	{400, 100, 33, again, stopped, stopped},
	{400, 100, 36007, stopped, stopped, stopped},
	{400, 100, 36008, stopped, stopped, stopped},
	{400, 100, 36009, stopped, stopped, stopped},
	{400, 101, 0, stopped, stopped, stopped},
	{400, 100, 0, stopped, stopped, stopped},
	{400, 110, 0, stopped, stopped, stopped},
	{400, 110, 2207018, stopped, stopped, stopped},
	{400, 1, 0, again, unknown, unknown},
	{500, 2, 0, again, unknown, unknown},
	{400, -1, 0, again, unknown, unknown},
	{400, -2, 0, again, again, gone},
	{403, 4, 0, slower, slower, slower},
	{400, 17, 0, slower, slower, slower},
	{403, 32, 0, slower, slower, slower},
	{400, 341, 0, slower, slower, slower},
	{400, 613, 0, slower, slower, slower},
	{400, 80001, 0, slower, slower, slower},
	{400, 80002, 0, slower, slower, slower},
	{400, 368, 0, blocked, blocked, blocked},
	{400, 506, 0, stopped, stopped, stopped},
	{400, 9009, 0, stopped, stopped, stopped},
	{400, 2500, 0, stopped, stopped, stopped},
	{400, 9, 0, slower, slower, slower},
	{400, 24, 0, gone, gone, notReady},
	{400, 25, 0, stopped, stopped, stopped},
	{400, 352, 0, stopped, stopped, stopped},
	{400, 9004, 0, again, again, gone},
	{400, 9007, 0, notReady, notReady, notReady},
	{400, 36000, 0, stopped, stopped, stopped},
	{400, 36001, 0, stopped, stopped, stopped},
	{400, 36002, 0, stopped, stopped, stopped},
	{400, 36003, 0, stopped, stopped, stopped},
	{400, 36004, 0, stopped, stopped, stopped},
	{400, -1, 2207001, again, unknown, unknown},
	{400, -2, 2207003, again, again, gone},
	{400, 36000, 2207004, stopped, stopped, stopped},
	{400, 36001, 2207005, stopped, stopped, stopped},
	{400, 24, 2207006, gone, gone, notReady},
	{400, 24, 2207008, gone, gone, notReady},
	{400, 36003, 2207009, stopped, stopped, stopped},
	{400, 36004, 2207010, stopped, stopped, stopped},
	{400, -2, 2207020, again, again, gone},
	{400, 100, 2207023, stopped, stopped, stopped},
	{400, 352, 2207026, stopped, stopped, stopped},
	{400, 9007, 2207027, notReady, notReady, notReady},
	{400, 100, 2207028, stopped, stopped, stopped},
	{400, -1, 2207032, again, again, gone},
	{400, 100, 2207035, stopped, stopped, stopped},
	{400, 100, 2207036, stopped, stopped, stopped},
	{400, 100, 2207037, stopped, stopped, stopped},
	{400, 100, 2207040, stopped, stopped, stopped},
	{400, 9, 2207042, slower, slower, slower},
	{400, 25, 2207050, stopped, stopped, stopped},
	{400, 4, 2207051, blocked, maybeLive, maybeLive},
	{400, 9004, 2207052, again, again, gone},
	{400, -1, 2207053, again, again, gone},
	{400, 1, 2207057, stopped, stopped, stopped},
	{400, 100, 2207067, stopped, stopped, stopped},
	{400, 100, 2207076, again, again, gone},
	{400, 100, 2207077, again, again, gone},
	{400, 100, 2207081, stopped, stopped, stopped},
	{400, 100, 2207082, again, again, gone},
	{400, 100, 2207085, again, again, gone},
	{400, 100, 2207086, stopped, stopped, stopped},
	{400, 100, 2108006, stopped, stopped, stopped},
	// codes of no table
	{400, 424242, 0, stopped, stopped, stopped},
	{401, 424242, 0, dead, dead, dead},
	{429, 424242, 0, slower, slower, slower},
	{503, 424242, 0, again, unknown, unknown},
	{200, 424242, 0, again, unknown, unknown},
	{429, 0, 0, slower, slower, slower},
}

func TestVerdicts(t *testing.T) {
	codesTested, subcodesTested := map[errorKey]bool{}, map[int64]bool{}
	for _, tt := range errorCases {
		codesTested[errorKey{tt.code, tt.subcode}], subcodesTested[tt.subcode] = true, true
		for _, asText := range []bool{false, true} {
			t.Run(fmt.Sprintf("%d_%d_%d_%v", tt.status, tt.code, tt.subcode, asText), func(t *testing.T) {
				body := errorBody(tt.code, tt.subcode)
				if asText {
					body = errorBody(strconv.FormatInt(tt.code, 10), strconv.FormatInt(tt.subcode, 10))
				}
				ctx, c, calls := serve(t, answer(tt.status, body))
				_, err := c.ContainerStatus(ctx, testToken, "17889")
				e := expect(t, err, tt.read)
				_, err = c.CreateImage(ctx, testToken, igID, Image{})
				expect(t, err, tt.create)
				_, err = c.Publish(ctx, testToken, igID, "17889")
				expect(t, err, tt.publish)
				name := strconv.FormatInt(tt.code, 10)
				if tt.subcode != 0 {
					name += "/" + strconv.FormatInt(tt.subcode, 10)
				}
				if e.PlatformCode != name || e.LogID != "AbC123" || e.HTTPStatus != tt.status || e.Message != "Fatal | Title | Text" {
					t.Errorf("got %+v", e)
				}
				for _, call := range *calls {
					if call.PlatformCode != name || call.LogID != "AbC123" || call.HTTPStatus != tt.status || call.Err == nil {
						t.Errorf("recorded %+v", call)
					}
				}
			})
		}
	}
	for k := range codes {
		if !codesTested[k] {
			t.Errorf("%v is not tested", k)
		}
	}
	for s := range subcodes {
		if !subcodesTested[s] {
			t.Errorf("%d is not tested", s)
		}
	}
}

// TestWordedVerdicts holds the errors that only their text tells apart against
// the client. A text for users is never looked at: it is localised.
func TestWordedVerdicts(t *testing.T) {
	const noGrant = "Any of the pages_read_engagement, pages_manage_metadata permission(s) must be granted before impersonating a user's page."
	tested := map[int64]bool{}
	for _, tt := range []struct {
		code, subcode          int64
		message, forUsers      string
		read, create, exchange outcome
	}{
		{190, 0, noGrant, "", permission, permission, permission},
		{190, 460, noGrant, "", dead, dead, dead},
		{190, 0, "Invalid OAuth access token.", noGrant, dead, dead, dead},
		{10, 0, noGrant, "", permission, permission, permission},
		{1, 0, "Error validating client secret.", "", stopped, stopped, stopped},
		{1, 99, "Error validating client secret.", "", again, unknown, unknown},
		{1, 0, "An unknown error occurred", "Error validating client secret.", again, unknown, unknown},
		{2, 0, "Error validating client secret.", "", again, unknown, unknown},
	} {
		tested[tt.code] = true
		b, err := json.Marshal(map[string]any{"error": map[string]any{
			"message": tt.message, "error_user_msg": tt.forUsers, "code": tt.code, "error_subcode": tt.subcode, "is_transient": true,
		}})
		if err != nil {
			t.Fatal(err)
		}
		ctx, c, _ := serve(t, answer(400, string(b)))
		_, err = c.PageToken(ctx, testToken, "1029384756")
		expect(t, err, tt.read)
		_, err = c.CreateImage(ctx, testToken, igID, Image{})
		expect(t, err, tt.create)
		_, err = c.ExchangeCode(ctx, testCode, testRedirect)
		expect(t, err, tt.exchange)
	}
	for code := range worded {
		if !tested[code] {
			t.Errorf("%d is not tested", code)
		}
	}
}

func expect(t *testing.T, err error, want outcome) *platform.Error {
	t.Helper()
	e := wantError(t, err, want.kind, want.code)
	if e.RetryAfter != want.wait {
		t.Errorf("wait %s, want %s", e.RetryAfter, want.wait)
	}
	return e
}

func TestHalfUnderstoodAnswers(t *testing.T) {
	for name, tt := range map[string]struct {
		status int
		body   string
		read   outcome
		write  outcome
	}{
		"transient":       {400, `{"error":{"code":424242,"is_transient":true}}`, again, unknown},
		"transient as 1":  {400, `{"error":{"is_transient":"true"}}`, again, unknown},
		"error is text":   {400, `{"error":"nope"}`, stopped, stopped},
		"error is null":   {400, `{"error":null}`, stopped, stopped},
		"odd types":       {400, `{"error":{"code":{},"message":[],"error_data":3}}`, stopped, stopped},
		"api shape":       {400, `{"error_type":"OAuthException","code":400,"error_message":"x"}`, stopped, stopped},
		"html 429":        {429, `<html>`, slower, slower},
		"html 404":        {404, `<html>`, again, unknown},
		"cut":             {200, `{"id":"17`, again, unknown},
		"array":           {200, `[]`, again, unknown},
		"error under 200": {200, `{"error":{"code":9007,"error_subcode":2207027}}`, notReady, notReady},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, c, _ := serve(t, answer(tt.status, tt.body))
			_, err := c.Media(ctx, testToken, "1")
			expect(t, err, tt.read)
			_, err = c.Publish(ctx, testToken, igID, "17889")
			expect(t, err, tt.write)
		})
	}
}

func TestThrottleWait(t *testing.T) {
	for header, want := range map[string]time.Duration{
		``: time.Hour,
		`{"17841400000000001":[{"type":"instagram","call_count":100,"total_cputime":20,"total_time":25,"estimated_time_to_regain_access":19}]}`: 19 * time.Minute,
		`{"1":[{"estimated_time_to_regain_access":0}],"2":[{"estimated_time_to_regain_access":"7"},{"estimated_time_to_regain_access":5}]}`:     7 * time.Minute,
		`{"1":[{"estimated_time_to_regain_access":99999999999}]}`:                                                                               24 * time.Hour,
		`{"1":[{"estimated_time_to_regain_access":-5}]}`:                                                                                        time.Hour,
		`{"1":{"estimated_time_to_regain_access":5}}`:                                                                                           time.Hour,
		`nonsense`: time.Hour,
	} {
		for _, body := range []string{errorBody(80002, 0), `<html>`} {
			ctx, c, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("X-Business-Use-Case-Usage", header)
				answer(429, body)(w, r)
			})
			_, err := c.Quota(ctx, testToken, igID)
			if e := wantError(t, err, platform.RateLimited, platform.CodeRateLimited); e.RetryAfter != want {
				t.Errorf("%s: wait %s, want %s", header, e.RetryAfter, want)
			}
		}
	}
}

func TestContainerError(t *testing.T) {
	for subcode, want := range map[int]outcome{
		0:       again,
		2207999: again,
		2207076: again,
		2207053: again,
		2207003: again,
		2207001: again,
		2207026: stopped,
		2207005: stopped,
		2207050: stopped,
		2207042: slower,
		2207051: blocked,
	} {
		e := ContainerError(subcode, "Error: it failed")
		if e.Kind != want.kind || e.Code != want.code || e.RetryAfter != want.wait || e.Message != "Error: it failed" {
			t.Errorf("%d: got %+v", subcode, e)
		}
	}
}
