package instagram

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"golang.org/x/oauth2"

	"socialqueue/platform/wire"
	"socialqueue/secrets"
)

const (
	opExchangeCode  = "instagram.exchange_code"
	opExchangeToken = "instagram.exchange_token"
	opPermissions   = "instagram.permissions"
	opMe            = "instagram.me"
	opRevoke        = "instagram.revoke"
)

// Authorization holds the parameters of the consent dialog.
type Authorization struct {
	// RedirectURI must match a registered one exactly.
	RedirectURI string
	// State is returned unchanged.
	State  string
	Scopes []string
}

// AuthorizationURL returns the address of the dialog for the user's browser (Facebook
// Login, manual flow). rerequest makes it ask again for permissions that were declined
// before.
func (c *Client) AuthorizationURL(a Authorization) string {
	app := oauth2.Config{
		ClientID:    c.appID,
		Endpoint:    oauth2.Endpoint{AuthURL: c.dialog + "/" + c.version + "/dialog/oauth"},
		RedirectURL: a.RedirectURI,
		// The dialog separates scopes by commas, oauth2 by spaces.
		Scopes: []string{strings.Join(a.Scopes, ",")},
	}
	return app.AuthCodeURL(a.State, oauth2.SetAuthURLParam("auth_type", "rerequest"))
}

// UserToken is the token of a Facebook user.
type UserToken struct {
	Access secrets.Secret
	// ExpiresIn is 0 if the answer did not say, which happens.
	ExpiresIn time.Duration
}

// ExchangeCode turns the code of a callback into a token of an hour or two (Facebook Login,
// manual flow); redirectURI is that of the dialog. A code works once, so after kind Unknown
// the user has to consent again.
func (c *Client) ExchangeCode(ctx context.Context, code secrets.Secret, redirectURI string) (UserToken, error) {
	form := url.Values{"redirect_uri": {redirectURI}, "code": {code.Reveal()}}
	return c.userToken(ctx, opExchangeCode, wire.Creating, code, form)
}

// ProlongToken turns a live token into one of about 60 days (Access Tokens). List Pages
// only with that one: their tokens then do not expire. The given token stays valid, so the
// call may be repeated.
func (c *Client) ProlongToken(ctx context.Context, token secrets.Secret) (UserToken, error) {
	form := url.Values{"grant_type": {"fb_exchange_token"}, "fb_exchange_token": {token.Reveal()}}
	return c.userToken(ctx, opExchangeToken, wire.Reading, token, form)
}

// userToken exchanges a code or token for a token. The call has no access token, and the
// app secret itself instead of a proof.
func (c *Client) userToken(ctx context.Context, op string, class wire.Class, given secrets.Secret, form url.Values) (UserToken, error) {
	x := c.begin(op, class, given)
	var t UserToken
	form.Set("client_id", c.appID)
	form.Set("client_secret", c.appSecret.Reveal())
	err := c.asApp(ctx, x, given, "", http.MethodPost, []string{"oauth", "access_token"}, form, func(body []byte) (err error) {
		t, err = parseUserToken(body)
		return err
	})
	return t, x.Finish(ctx, err)
}

// asApp makes a call of the app about a given code or token.
func (c *Client) asApp(ctx context.Context, x *exchange, given, token secrets.Secret, method string, path []string, params url.Values, read func(body []byte) error) error {
	if c.appID == "" {
		return x.Fail(refused, "", errors.New("not set: Facebook app id"))
	}
	if err := x.Ready(ctx, given); err != nil {
		return err
	}
	return c.call(ctx, x, token, method, path, params, read)
}

func parseUserToken(body []byte) (UserToken, error) {
	var a struct {
		Access  wire.Scalar `json:"access_token"`
		Expires wire.Scalar `json:"expires_in"`
	}
	if err := json.Unmarshal(body, &a); err != nil {
		return UserToken{}, fmt.Errorf("read token: %w", err)
	}
	if a.Access == "" {
		return UserToken{}, errors.New("answer without access_token")
	}
	return UserToken{Access: secrets.Secret(a.Access), ExpiresIn: a.Expires.Seconds()}, nil
}

// Permissions lists the granted and the declined permissions. A callback proves nothing,
// because the dialog lets users untick permissions.
func (c *Client) Permissions(ctx context.Context, token secrets.Secret) (granted, declined []string, err error) {
	err = c.get(ctx, opPermissions, token, []string{"me", "permissions"}, url.Values{}, func(body []byte) (err error) {
		granted, declined, err = parsePermissions(body)
		return err
	})
	return granted, declined, err
}

// parsePermissions counts every status except "granted", such as "expired", as declined.
func parsePermissions(body []byte) (granted, declined []string, err error) {
	var a struct {
		Data []struct {
			Permission wire.Scalar `json:"permission"`
			Status     wire.Scalar `json:"status"`
		} `json:"data"`
	}
	if err := json.Unmarshal(body, &a); err != nil {
		return nil, nil, fmt.Errorf("read permissions: %w", err)
	}
	if a.Data == nil {
		return nil, nil, errors.New("answer without permissions")
	}
	for _, p := range a.Data {
		switch {
		case p.Permission == "":
		case p.Status == "granted":
			granted = append(granted, string(p.Permission))
		default:
			declined = append(declined, string(p.Permission))
		}
	}
	return granted, declined, nil
}

// Me reads the user of a token. The id is the one in a SignedRequest.
func (c *Client) Me(ctx context.Context, token secrets.Secret) (id, name string, err error) {
	err = c.get(ctx, opMe, token, []string{"me"}, url.Values{"fields": {"id,name"}}, func(body []byte) (err error) {
		id, name, err = parseMe(body)
		return err
	})
	return id, name, err
}

func parseMe(body []byte) (id, name string, err error) {
	var a struct {
		ID   wire.Scalar `json:"id"`
		Name wire.Scalar `json:"name"`
	}
	if err := json.Unmarshal(body, &a); err != nil {
		return "", "", fmt.Errorf("read user: %w", err)
	}
	if !idForm.MatchString(string(a.ID)) {
		return "", "", errors.New("answer without an id")
	}
	return string(a.ID), string(a.Name), nil
}

// RevokeAll removes the app from the user's account: all permissions, and so all tokens. It
// may be repeated.
func (c *Client) RevokeAll(ctx context.Context, token secrets.Secret, userID string) error {
	x := c.begin(opRevoke, wire.Reading, token)
	return x.Finish(ctx, c.exchange(ctx, x, token, http.MethodDelete, []string{userID, "permissions"}, url.Values{}, readSuccess))
}

func readSuccess(body []byte) error {
	var a struct {
		Success wire.Scalar `json:"success"`
	}
	if err := json.Unmarshal(body, &a); err != nil {
		return fmt.Errorf("read answer: %w", err)
	}
	if !a.Success.Bool() {
		return errors.New("answer without success")
	}
	return nil
}
