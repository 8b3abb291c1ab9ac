package tiktok

import (
	"context"
	"slices"
	"time"

	"socialqueue/models"
	"socialqueue/oauth"
	"socialqueue/platform/tiktok"
	"socialqueue/publish"
)

// creator is what creator_info says, in TikTok's names: what an app needs to draw the form of a
// post as the Content Sharing Guidelines (2026-09-11) ask for.
type creator struct {
	Username string `json:"creator_username"`
	Nickname string `json:"creator_nickname"`
	// AvatarURL works for two hours.
	AvatarURL       string   `json:"creator_avatar_url"`
	PrivacyLevels   []string `json:"privacy_level_options"`
	CommentDisabled bool     `json:"comment_disabled"`
	DuetDisabled    bool     `json:"duet_disabled"`
	StitchDisabled  bool     `json:"stitch_disabled"`
	// MaxVideoSeconds is null if TikTok gave none.
	MaxVideoSeconds *int64 `json:"max_video_post_duration_sec"`

	info tiktok.CreatorInfo
}

// ReadLimits asks creator_info. TikTok tells no numbers.
func (p *Publisher) ReadLimits(ctx context.Context, token oauth.Token) (publish.Limits, error) {
	info, err := p.client.CreatorInfo(ctx, token.Access)
	if err != nil {
		return publish.Limits{}, err
	}
	c := creator{
		Username: info.Username, Nickname: info.Nickname, AvatarURL: info.AvatarURL, PrivacyLevels: info.PrivacyLevels,
		CommentDisabled: info.CommentDisabled, DuetDisabled: info.DuetDisabled, StitchDisabled: info.StitchDisabled, info: info,
	}
	if c.PrivacyLevels == nil {
		c.PrivacyLevels = []string{}
	}
	if info.MaxVideoDuration > 0 {
		seconds := int64(info.MaxVideoDuration / time.Second)
		c.MaxVideoSeconds = &seconds
	}
	return publish.Limits{Creator: c}, nil
}

// CheckLimits checks what the creator may choose.
func (p *Publisher) CheckLimits(errs *models.FieldErrors, limits publish.Limits, options publish.Options, field string, media []*models.Media) {
	c, known := limits.Creator.(creator)
	o, ok := options.(*Options)
	if !known || !ok {
		return
	}
	checkCreator(errs, c.info, o, field, media...)
}

// checkCreator notes what of a post the creator's account does not allow (Content Sharing
// Guidelines, 2026-09-11).
func checkCreator(errs *models.FieldErrors, c tiktok.CreatorInfo, o *Options, field string, media ...*models.Media) {
	if o.inbox() { // the creator chooses in the app
		return
	}
	if !slices.Contains(c.PrivacyLevels, o.PrivacyLevel) {
		errs.Add("privacy_level", "%s is not open to this creator now; TikTok offers %v", o.PrivacyLevel, c.PrivacyLevels)
	}
	for _, m := range media {
		if c.MaxVideoDuration > 0 && m.Duration() > c.MaxVideoDuration {
			errs.Add(field, "the video lasts %s; this creator may post %s at most", m.Duration(), c.MaxVideoDuration)
		}
	}
}
