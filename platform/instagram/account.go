package instagram

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"socialqueue/platform/wire"
	"socialqueue/secrets"
)

const opAccount = "instagram.account"

// Account is an Instagram professional account.
type Account struct {
	ID, Username, Name, PictureURL string
	Followers, Media               int
}

// parseAccount returns nil if body is not an account.
func parseAccount(body json.RawMessage) *Account {
	var a struct {
		Username  wire.Scalar `json:"username"`
		Name      wire.Scalar `json:"name"`
		Picture   wire.Scalar `json:"profile_picture_url"`
		Followers wire.Scalar `json:"followers_count"`
		Media     wire.Scalar `json:"media_count"`
	}
	id, err := readID(body)
	if err != nil || json.Unmarshal(body, &a) != nil {
		return nil
	}
	return &Account{
		ID: id, Username: string(a.Username), Name: string(a.Name), PictureURL: string(a.Picture),
		Followers: int(max(0, a.Followers.Number())), Media: int(max(0, a.Media.Number())),
	}
}

// AccountType returns CREATOR or BUSINESS. The API calls the first MEDIA_CREATOR.
func (c *Client) AccountType(ctx context.Context, token secrets.Secret, igID string) (string, error) {
	var kind string
	err := c.get(ctx, opAccount, token, []string{igID}, url.Values{"fields": {"account_type"}}, func(body []byte) (err error) {
		kind, err = parseAccountType(body)
		return err
	})
	return kind, err
}

func parseAccountType(body []byte) (string, error) {
	var a struct {
		Type wire.Scalar `json:"account_type"`
	}
	if err := json.Unmarshal(body, &a); err != nil {
		return "", fmt.Errorf("read account: %w", err)
	}
	if a.Type == "" {
		return "", errors.New("answer without account_type")
	}
	return strings.TrimPrefix(string(a.Type), "MEDIA_"), nil
}
