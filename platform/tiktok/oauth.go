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
// AuthorizationURL leads nowhere, and ExchangeCode, RefreshGrant and Revoke fail.
func (c *Client) Configured() bool { return c.clientKey != "" && !c.clientSecret.Empty() }

// Challenge gives the code_challenge of a verifier: lower-case hex of its
// SHA-256, where everyone else takes base64url (Login Kit for Desktop).
func Challenge(verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return hex.EncodeToString(sum[:])
}

// Authorization is what a consent is asked for.
type Authorization struct {
	// RedirectURI is one of the registered ones, to the letter.
	RedirectURI string
	// State comes back unchanged.
	State string
	// Challenge is the Challenge of the verifier that ExchangeCode will get.
	Challenge string
	Scopes    []string
}

// AuthorizationURL is the consent page to send the user's browser to (Login Kit
// for Web). oauth2.Config.AuthCodeURL cannot write it: TikTok wants client_key for
// client_id, and commas between the scopes for spaces.
//
// PKCE is for desktop apps by that page, but some web apps were refused without
// it (better-auth issue 3114), so it is always there. Without
// disable_auto_auth "connect another account" would silently connect the account
// of the browser's session again (seen in the field, 2026-08).
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

// Grant is what a user's consent gave. Its lifetimes changed in the autumn of
// 2026, so only what an answer says counts (Manage User Access Tokens,
// 2026-11-02).
type Grant struct {
	Access secrets.Secret
	// Refresh is empty when the answer named none: the one before is kept.
	Refresh secrets.Secret
	// OpenID is the user's id for this app, kept to the letter: it may begin with
	// "-" or "_".
	OpenID string
	// Scopes are those granted: the user can untick some.
	Scopes []string
	// ExpiresIn and RefreshExpiresIn are 0 when the answer did not say.
	ExpiresIn, RefreshExpiresIn time.Duration
}

// ExchangeCode turns the code of a callback into the first grant. The code is
// the callback's query value, decoded once; redirectURI is the one of the
// consent. A code works once, so after kind Unknown the user has to consent again.
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

// RefreshGrant gets new tokens. The refresh token given may stop working at that
// moment (Manage User Access Tokens, 2026-11-02), so it is never used twice at
// once, and after kind Unknown the new one may be lost and the user has to
// consent again. AuthExpired with CodeTokenInvalid, and nothing else, says that
// the refresh token is dead.
func (c *Client) RefreshGrant(ctx context.Context, refresh secrets.Secret) (Grant, error) {
	x := c.beginOAuth(opRefreshToken, wire.Creating, refresh)
	g, err := c.grant(ctx, x, refresh, url.Values{
		"grant_type":    {"refresh_token"},
		"refresh_token": {refresh.Reveal()},
	})
	return g, x.Finish(ctx, err)
}

// Revoke takes the app out of the user's connected apps, by the access token.
// It can be repeated.
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

// grant asks for tokens. Failures come with HTTP 200 too (seen in the field,
// 2026-09), so an access token makes the success, not the status.
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

// oauth makes one call of the OAuth endpoints, which take a form and no token in
// a header. read takes an answer without an error.
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

// missingSettings names the credentials that the client was not given.
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

// decodeOAuth reads an answer of the OAuth endpoints, which is flat.
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

// parseGrant reads what an answer holds of a grant; what it does not hold stays
// empty.
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
	"access_denied": noScope, // needs new consent; says nothing about a refresh token

	// our settings, or our bug
	"invalid_client":            refused,
	"unauthorized_client":       refused,
	"invalid_request":           refused,
	"invalid_scope":             refused,
	"unsupported_grant_type":    refused,
	"unsupported_response_type": refused,

	// refused before anything happened: the page says to try again
	"server_error":            {Kind: platform.Transient, Code: platform.CodePublishFailed},
	"temporarily_unavailable": {Kind: platform.Transient, Code: platform.CodePublishFailed},

	"rate_limit_exceeded": throttled,
}

// judgeOAuth says what an understood error of the OAuth endpoints means. A 401
// that nobody knows is about our own credentials, since no token goes into the
// header: only invalid_grant may cost a user the connection.
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
	return class.Lost() // 5xx, and a code nobody knows under a status of success
}
