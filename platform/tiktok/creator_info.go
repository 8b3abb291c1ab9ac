package tiktok

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"socialqueue/platform/wire"
	"socialqueue/secrets"
)

const opCreatorInfo = "tiktok.creator_info"

// CreatorInfo is what the account allows now. It changes: read it again just before each
// InitVideo (Content Sharing Guidelines, 2026-09-11).
type CreatorInfo struct {
	Username, Nickname string
	// AvatarURL works for two hours.
	AvatarURL string
	// PrivacyLevels lists the levels that a post may have.
	PrivacyLevels                                 []string
	CommentDisabled, DuetDisabled, StitchDisabled bool
	// MaxVideoDuration is 0 if TikTok gave none.
	MaxVideoDuration time.Duration
}

// CreatorInfo reads what the account allows (creator_info/query; 20 calls a minute per
// token). An account that may not post now, such as one at its daily cap, is an error
// although TikTok answers HTTP 200: do not call InitVideo after it.
func (c *Client) CreatorInfo(ctx context.Context, token secrets.Secret) (CreatorInfo, error) {
	x := c.begin(opCreatorInfo, wire.Reading)
	x.Hide.Secret(token.Reveal())
	var info CreatorInfo
	err := c.exchange(ctx, x, token, http.MethodPost, "/v2/post/publish/creator_info/query/", nil, func(data json.RawMessage) (err error) {
		info, err = parseCreatorInfo(data)
		return err
	})
	return info, x.Finish(ctx, err)
}

func parseCreatorInfo(data json.RawMessage) (CreatorInfo, error) {
	var d struct {
		Username wire.Scalar   `json:"creator_username"`
		Nickname wire.Scalar   `json:"creator_nickname"`
		Avatar   wire.Scalar   `json:"creator_avatar_url"`
		Levels   []wire.Scalar `json:"privacy_level_options"`
		Comment  wire.Scalar   `json:"comment_disabled"`
		Duet     wire.Scalar   `json:"duet_disabled"`
		Stitch   wire.Scalar   `json:"stitch_disabled"`
		Seconds  wire.Scalar   `json:"max_video_post_duration_sec"`
	}
	if err := unmarshalData(data, &d); err != nil {
		return CreatorInfo{}, err
	}
	info := CreatorInfo{
		Username:         string(d.Username),
		Nickname:         string(d.Nickname),
		AvatarURL:        string(d.Avatar),
		CommentDisabled:  d.Comment.Bool(),
		DuetDisabled:     d.Duet.Bool(),
		StitchDisabled:   d.Stitch.Bool(),
		MaxVideoDuration: seconds(d.Seconds.Number()),
	}
	for _, l := range d.Levels {
		if l != "" {
			info.PrivacyLevels = append(info.PrivacyLevels, string(l))
		}
	}
	return info, nil
}

// seconds returns 0 for values that cannot be a video's length.
func seconds(n int64) time.Duration {
	if n < 0 || n > int64((24*time.Hour)/time.Second) {
		return 0
	}
	return time.Duration(n) * time.Second
}

var errNoData = errors.New("answer without data")

// unmarshalData decodes the data of an answer. Missing data is an error.
func unmarshalData(data json.RawMessage, into any) error {
	if len(data) == 0 || string(data) == "null" {
		return errNoData
	}
	if err := json.Unmarshal(data, into); err != nil {
		return fmt.Errorf("read data: %w", err)
	}
	return nil
}
