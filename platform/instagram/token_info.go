package instagram

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"socialqueue/platform/wire"
	"socialqueue/secrets"
)

const opDebugToken = "instagram.debug_token"

// TokenInfo is what Meta says about a token.
type TokenInfo struct {
	Valid bool
	// AppID is the app that the token was issued to.
	AppID string
	// UserID is the Facebook user of the token, and ProfileID the Page of a Page token.
	UserID, ProfileID string
	// Type is USER, PAGE or another.
	Type string
	// ExpiresAt is zero if the token does not expire, or Meta did not say.
	ExpiresAt time.Time
	// DataAccessExpiresAt is the end of data access, after about 90 days; only a new consent
	// extends it. It is zero if there is no end, or Meta did not say.
	DataAccessExpiresAt time.Time
	Scopes              []string
	// ErrorCode and ErrorSubcode say why a token is not valid; 0 if Meta did not say.
	ErrorCode, ErrorSubcode int64
}

// Dead reports whether Meta says, with its own code for that, that the token no longer
// works. A token that is not valid without a reason may still work.
func (i TokenInfo) Dead() bool { return !i.Valid && isDead(i.ErrorCode, i.ErrorSubcode) }

// InspectToken reads the state of a user's or Page's token (Access Tokens). A dead token is
// a result, not an error.
func (c *Client) InspectToken(ctx context.Context, token secrets.Secret) (TokenInfo, error) {
	app := secrets.Secret(c.appID + "|" + c.appSecret.Reveal())
	x := c.begin(opDebugToken, wire.Reading, app)
	x.Hide.Secret(token.Reveal())
	var info TokenInfo
	query := url.Values{"input_token": {token.Reveal()}, "appsecret_proof": {c.proof(app)}}
	err := c.asApp(ctx, x, token, app, http.MethodGet, []string{"debug_token"}, query, func(body []byte) (err error) {
		info, err = parseTokenInfo(body)
		return err
	})
	return info, x.Finish(ctx, err)
}

// parseTokenInfo parses the answer of debug_token. An answer without is_valid is an error,
// because it must not disconnect a user.
func parseTokenInfo(body []byte) (TokenInfo, error) {
	var a struct {
		Data struct {
			Valid      *wire.Scalar  `json:"is_valid"`
			AppID      wire.Scalar   `json:"app_id"`
			UserID     wire.Scalar   `json:"user_id"`
			ProfileID  wire.Scalar   `json:"profile_id"`
			Type       wire.Scalar   `json:"type"`
			Expires    wire.Scalar   `json:"expires_at"`
			DataAccess wire.Scalar   `json:"data_access_expires_at"`
			Scopes     []wire.Scalar `json:"scopes"`
			Error      struct {
				Code    wire.Scalar `json:"code"`
				Subcode wire.Scalar `json:"subcode"`
			} `json:"error"`
		} `json:"data"`
	}
	if err := json.Unmarshal(body, &a); err != nil {
		return TokenInfo{}, fmt.Errorf("read token info: %w", err)
	}
	d := a.Data
	if d.Valid == nil {
		return TokenInfo{}, errors.New("answer without is_valid")
	}
	return TokenInfo{
		Valid: d.Valid.Bool(), AppID: string(d.AppID), UserID: string(d.UserID), ProfileID: string(d.ProfileID), Type: string(d.Type),
		ExpiresAt: d.Expires.Time(), DataAccessExpiresAt: d.DataAccess.Time(), Scopes: texts(d.Scopes),
		ErrorCode: d.Error.Code.Number(), ErrorSubcode: d.Error.Subcode.Number(),
	}, nil
}

// texts returns the non-empty texts of a list. A missing list stays nil.
func texts(list []wire.Scalar) []string {
	if list == nil {
		return nil
	}
	out := make([]string, 0, len(list))
	for _, s := range list {
		if s != "" {
			out = append(out, string(s))
		}
	}
	return out
}
