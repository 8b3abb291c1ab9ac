package tiktok

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"socialqueue/platform/wire"
	"socialqueue/secrets"
)

const (
	opUserInfo = "tiktok.user_info"

	// userFields lists the fields of the scope user.info.basic. A field of another scope may
	// make the whole call fail (seen in the field, 2026-09).
	userFields = "open_id,union_id,avatar_url,display_name"
)

// UserInfo is the user of a token.
type UserInfo struct {
	// OpenID is the user's id for this app, and UnionID the one for all apps of its
	// developer.
	OpenID, UnionID        string
	DisplayName, AvatarURL string
	// Username belongs to another scope and is not requested, so it is mostly empty.
	// CreatorInfo returns it.
	Username string
}

// UserInfo reads the user of the token (Get User Info).
func (c *Client) UserInfo(ctx context.Context, access secrets.Secret) (UserInfo, error) {
	x := c.begin(opUserInfo, wire.Reading)
	x.Hide.Secret(access.Reveal())
	var info UserInfo
	err := c.exchange(ctx, x, access, http.MethodGet, "/v2/user/info/?fields="+userFields, nil, func(data json.RawMessage) (err error) {
		info, err = parseUserInfo(data)
		return err
	})
	return info, x.Finish(ctx, err)
}

func parseUserInfo(data json.RawMessage) (UserInfo, error) {
	var d struct {
		User struct {
			OpenID      wire.Scalar `json:"open_id"`
			UnionID     wire.Scalar `json:"union_id"`
			DisplayName wire.Scalar `json:"display_name"`
			AvatarURL   wire.Scalar `json:"avatar_url"`
			Username    wire.Scalar `json:"username"`
		} `json:"user"`
	}
	if err := unmarshalData(data, &d); err != nil {
		return UserInfo{}, err
	}
	if d.User.OpenID == "" {
		return UserInfo{}, errors.New("answer without open_id")
	}
	return UserInfo{
		OpenID: string(d.User.OpenID), UnionID: string(d.User.UnionID),
		DisplayName: string(d.User.DisplayName), AvatarURL: string(d.User.AvatarURL), Username: string(d.User.Username),
	}, nil
}
