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

// Authorization is what a consent is asked for.
type Authorization struct {
	// RedirectURI is one of the registered ones, to the letter.
	RedirectURI string
	// State comes back unchanged.
	State  string
	Scopes []string
}

// AuthorizationURL is the dialog to send the user's browser to (Facebook Login,
// manual flow). rerequest has it ask again for what was declined before.
func (c *Client) AuthorizationURL(a Authorization) string {
	app := oauth2.Config{
		ClientID:    c.appID,
		Endpoint:    oauth2.Endpoint{AuthURL: c.dialog + "/" + c.version + "/dialog/oauth"},
		RedirectURL: a.RedirectURI,
		// The dialog wants commas between the scopes, where oauth2 puts spaces.
		Scopes: []string{strings.Join(a.Scopes, ",")},
	}
	return app.AuthCodeURL(a.State, oauth2.SetAuthURLParam("auth_type", "rerequest"))
}

// UserToken is the token of a Facebook user.
type UserToken struct {
	Access secrets.Secret
	// ExpiresIn is 0 when the answer did not say, as happens.
	ExpiresIn time.Duration
}

// ExchangeCode turns the code of a callback into a token of an hour or two
// (Facebook Login, manual flow); redirectURI is the one of the dialog. A code
// works once, so after kind Unknown the user has to consent again.
func (c *Client) ExchangeCode(ctx context.Context, code secrets.Secret, redirectURI string) (UserToken, error) {
	form := url.Values{"redirect_uri": {redirectURI}, "code": {code.Reveal()}}
	return c.userToken(ctx, opExchangeCode, wire.Creating, code, form)
}

// ProlongToken turns a live token into one of about 60 days (Access Tokens).
// Pages are listed with that one only: theirs then do not expire. The token given
// stays as it is, so the call can be repeated.
func (c *Client) ProlongToken(ctx context.Context, token secrets.Secret) (UserToken, error) {
	form := url.Values{"grant_type": {"fb_exchange_token"}, "fb_exchange_token": {token.Reveal()}}
	return c.userToken(ctx, opExchangeToken, wire.Reading, token, form)
}

// userToken gets a token for what is given. The call carries no access token,
// and the app secret itself in place of a proof.
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

// asApp makes a call in the app's name about what is given.
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

// Permissions lists what the user granted, and what not: a callback that came
// proves nothing, as the dialog lets single permissions be unticked.
func (c *Client) Permissions(ctx context.Context, token secrets.Secret) (granted, declined []string, err error) {
	err = c.get(ctx, opPermissions, token, []string{"me", "permissions"}, url.Values{}, func(body []byte) (err error) {
		granted, declined, err = parsePermissions(body)
		return err
	})
	return granted, declined, err
}

// parsePermissions counts whatever is not granted, such as "expired", as declined.
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

// Me asks who a user's token speaks for. The id is the one that a
// SignedRequest names.
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

// RevokeAll takes the app out of the user's account: all permissions, and so all
// tokens. It can be repeated.
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
