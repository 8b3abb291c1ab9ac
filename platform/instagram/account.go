package instagram

import (
	"encoding/json"

	"socialqueue/platform/wire"
)

// Account is an Instagram professional account. Whether it is a business or a creator account
// cannot be read through Facebook's graph, where an IG User has no account_type.
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
