package tiktok

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"socialqueue/platform"
	"socialqueue/platform/wire"
	"socialqueue/secrets"
)

const (
	opExchangeCode = "tiktok.exchange_code"
	opRefreshToken = "tiktok.refresh_token"
	opRevoke       = "tiktok.revoke"

	tokenPath  = "/v2/oauth/token/"
	revokePath = "/v2/oauth/revoke/"
)

// Configured reports whether the client has the app's credentials. Without them
// AuthorizationURL does not work, and ExchangeCode, RefreshGrant and Revoke fail.
func (c *Client) Configured() bool { return c.clientKey != "" && !c.clientSecret.Empty() }

// Challenge returns the code_challenge of a verifier: the lower-case hex of its SHA-256,
// not base64url as in other OAuth servers (Login Kit for Desktop).
func Challenge(verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return hex.EncodeToString(sum[:])
}

// Authorization holds the parameters of the consent page.
type Authorization struct {
	// RedirectURI must match a registered one exactly.
	RedirectURI string
	// State is returned unchanged.
	State string
	// Challenge is the Challenge of the verifier that ExchangeCode will get.
	Challenge string
	Scopes    []string
}

// AuthorizationURL returns the address of the consent page for the user's browser (Login
// Kit for Web). oauth2.Config.AuthCodeURL cannot build it: TikTok uses client_key instead
// of client_id, and commas instead of spaces between the scopes.
//
// That page asks for PKCE for desktop apps only, but some web apps were refused without it
// (better-auth issue 3114), so it is always used. Without disable_auto_auth, "connect
// another account" would silently connect the account of the browser's session again (seen
// in the field, 2026-08).
func (c *Client) AuthorizationURL(a Authorization) string {
	query := url.Values{
		"client_key":            {c.clientKey},
		"response_type":         {"code"},
		"scope":                 {strings.Join(a.Scopes, ",")},
		"redirect_uri":          {a.RedirectURI},
		"state":                 {a.State},
		"disable_auto_auth":     {"1"},
		"code_challenge":        {a.Challenge},
		"code_challenge_method": {"S256"},
	}
	return c.auth + "/v2/auth/authorize/?" + query.Encode()
}

// Grant is the result of a user's consent. Its lifetimes changed in autumn 2026, so only
// those in the answer count (Manage User Access Tokens, 2026-11-02).
type Grant struct {
	Access secrets.Secret
	// Refresh is empty if the answer had none: the previous one stays valid.
	Refresh secrets.Secret
	// OpenID is the user's id for this app, unchanged: it may begin with "-" or "_".
	OpenID string
	// Scopes lists the granted scopes; the user can untick some.
	Scopes []string
	// ExpiresIn and RefreshExpiresIn are 0 if the answer had none.
	ExpiresIn, RefreshExpiresIn time.Duration
}

// ExchangeCode turns the code of a callback into the first grant. code is the callback's
// query value, unescaped once; redirectURI is that of the consent. A code works once, so
// after kind Unknown the user has to consent again.
func (c *Client) ExchangeCode(ctx context.Context, code, verifier secrets.Secret, redirectURI string) (Grant, error) {
	x := c.beginOAuth(opExchangeCode, wire.Creating, code, verifier)
	g, err := c.grant(ctx, x, code, url.Values{
		"grant_type":    {"authorization_code"},
		"code":          {code.Reveal()},
		"redirect_uri":  {redirectURI},
		"code_verifier": {verifier.Reveal()},
	})
	return g, x.Finish(ctx, err)
}

// RefreshGrant returns new tokens. The refresh token may stop working at once (Manage User
// Access Tokens, 2026-11-02), so it must not be used by two calls at the same time. After
// kind Unknown the new tokens may be lost, and the user has to consent again. Only
// AuthExpired with CodeTokenInvalid means that the refresh token is dead.
func (c *Client) RefreshGrant(ctx context.Context, refresh secrets.Secret) (Grant, error) {
	x := c.beginOAuth(opRefreshToken, wire.Creating, refresh)
	g, err := c.grant(ctx, x, refresh, url.Values{
		"grant_type":    {"refresh_token"},
		"refresh_token": {refresh.Reveal()},
	})
	return g, x.Finish(ctx, err)
}

// Revoke removes the app from the user's connected apps. It may be repeated.
func (c *Client) Revoke(ctx context.Context, access secrets.Secret) error {
	x := c.beginOAuth(opRevoke, wire.Reading, access)
	form := url.Values{"token": {access.Reveal()}}
	err := c.oauth(ctx, x, access, revokePath, form, func(Grant) error {
		if x.Status < 200 || x.Status > 299 {
			return errors.New("answer without error")
		}
		return nil
	})
	return x.Finish(ctx, err)
}

func (c *Client) beginOAuth(op string, class wire.Class, given ...secrets.Secret) *exchange {
	x := c.begin(op, class)
	x.Hide.Secret(c.clientSecret.Reveal())
	for _, s := range given {
		x.Hide.Secret(s.Reveal())
	}
	return x
}

// grant requests tokens. Failures also come with HTTP 200 (seen in the field, 2026-09), so
// the access token means success, not the status.
func (c *Client) grant(ctx context.Context, x *exchange, given secrets.Secret, form url.Values) (Grant, error) {
	var g Grant
	err := c.oauth(ctx, x, given, tokenPath, form, func(answer Grant) error {
		if answer.Access.Empty() {
			return errors.New("answer without access_token")
		}
		g = answer
		return nil
	})
	return g, err
}

// oauth makes one call of the OAuth endpoints, which take a form and no token header. read
// gets an answer without an error.
func (c *Client) oauth(ctx context.Context, x *exchange, given secrets.Secret, path string, form url.Values, read func(Grant) error) error {
	if err := c.missingSettings(); err != nil {
		return x.Fail(unsendable, "", err)
	}
	if err := x.Ready(ctx, given); err != nil {
		return err
	}
	form.Set("client_key", c.clientKey)
	form.Set("client_secret", c.clientSecret.Reveal())
	build := func(ctx context.Context) (*http.Request, error) { return c.newForm(ctx, path, form) }
	return c.roundTrip(ctx, x, build, func(resp *http.Response) error { return x.decodeOAuth(resp, read) })
}

// missingSettings names the missing credentials.
func (c *Client) missingSettings() error {
	var missing []string
	if c.clientKey == "" {
		missing = append(missing, "client key")
	}
	if c.clientSecret.Empty() {
		missing = append(missing, "client secret")
	}
	if len(missing) == 0 {
		return nil
	}
	return fmt.Errorf("not set: TikTok %s", strings.Join(missing, ", TikTok "))
}

func (c *Client) newForm(ctx context.Context, path string, form url.Values) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.base+path, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")
	return req, nil
}

// decodeOAuth decodes an answer of the OAuth endpoints, which has no envelope.
func (x *exchange) decodeOAuth(resp *http.Response, read func(Grant) error) error {
	body, err := wire.ReadBody(resp)
	var e envelope
	if err == nil {
		e, err = parseEnvelope(body)
	}
	if err != nil {
		return x.Fail(x.unread(resp), "", x.Hide.Err(err))
	}
	answer := parseGrant(body)
	x.Hide.Secret(answer.Access.Reveal())
	x.Hide.Secret(answer.Refresh.Reveal())
	x.note(e)
	var cause error
	if e.code == "" {
		if cause = read(answer); cause == nil {
			return nil
		}
	}
	v := judgeOAuth(x.Class, resp.StatusCode, e.code)
	v.Wait = waitOf(v, resp)
	return x.Fail(v, e.message, cause)
}

// parseGrant parses the grant in an answer. Missing fields stay empty.
func parseGrant(body []byte) Grant {
	var a struct {
		Access         wire.Scalar `json:"access_token"`
		Refresh        wire.Scalar `json:"refresh_token"`
		OpenID         wire.Scalar `json:"open_id"`
		Scope          wire.Scalar `json:"scope"`
		Expires        wire.Scalar `json:"expires_in"`
		RefreshExpires wire.Scalar `json:"refresh_expires_in"`
	}
	if json.Unmarshal(body, &a) != nil {
		return Grant{}
	}
	return Grant{
		Access:           secrets.Secret(a.Access),
		Refresh:          secrets.Secret(a.Refresh),
		OpenID:           string(a.OpenID),
		Scopes:           strings.FieldsFunc(string(a.Scope), func(r rune) bool { return r == ',' || r == ' ' }),
		ExpiresIn:        a.Expires.Seconds(),
		RefreshExpiresIn: a.RefreshExpires.Seconds(),
	}
}

// oauthVerdicts is the table of the OAuth endpoints' errors (OAuth Error
// Handling).
var oauthVerdicts = map[string]wire.Verdict{
	"invalid_grant": noToken,
	"access_denied": noScope, // needs new consent; does not concern the refresh token

	// wrong settings, or a bug of ours
	"invalid_client":            refused,
	"unauthorized_client":       refused,
	"invalid_request":           refused,
	"invalid_scope":             refused,
	"unsupported_grant_type":    refused,
	"unsupported_response_type": refused,

	// had no effect: the page says to try again
	"server_error":            {Kind: platform.Transient, Code: platform.CodePublishFailed},
	"temporarily_unavailable": {Kind: platform.Transient, Code: platform.CodePublishFailed},

	"rate_limit_exceeded": throttled,
}

// judgeOAuth returns the verdict on an understood error of the OAuth endpoints. An unknown
// 401 concerns our own credentials, since no token is in the header: only invalid_grant may
// disconnect a user.
func judgeOAuth(class wire.Class, status int, code string) wire.Verdict {
	v, ok := oauthVerdicts[code]
	switch {
	case status == http.StatusTooManyRequests:
		return throttled
	case ok:
		return v
	case status >= 400 && status < 500:
		return refused
	}
	return class.Lost() // 5xx, or an unknown code with a status of success
}
