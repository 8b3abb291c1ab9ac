package instagram

import (
	"context"
	"net/url"
	"strconv"

	"socialqueue/secrets"
)

// Reel is one video post. Its bytes are uploaded, not fetched by Meta.
type Reel struct {
	Caption, LocationID string
	// ShareToFeed requests the feed too, which is not guaranteed; nil lets Instagram choose.
	ShareToFeed *bool
	// CoverURL is fetched by Meta and takes precedence over ThumbOffsetMs.
	CoverURL      secrets.Secret
	ThumbOffsetMs *int64
	Collaborators []string
	// UserTags have no position on a reel.
	UserTags    []UserTag
	AIGenerated bool
	// Trial is how a trial reel, which only people see who do not follow the account, may
	// become a normal one: MANUAL or SS_PERFORMANCE. Empty: it is no trial reel.
	Trial string
	AddOn AddOn
}

// CreateReel creates the container of a reel for a resumable upload (Resumable Uploads,
// 2026-03-15). A container is harmless until it is published.
func (c *Client) CreateReel(ctx context.Context, token secrets.Secret, igID string, reel Reel) (containerID string, err error) {
	form := url.Values{"media_type": {"REELS"}, "upload_type": {"resumable"}}
	setText(form, "caption", reel.Caption)
	setText(form, "location_id", reel.LocationID)
	setText(form, "cover_url", reel.CoverURL.Reveal())
	if reel.ShareToFeed != nil {
		form.Set("share_to_feed", strconv.FormatBool(*reel.ShareToFeed))
	}
	if reel.ThumbOffsetMs != nil {
		form.Set("thumb_offset", strconv.FormatInt(*reel.ThumbOffsetMs, 10))
	}
	tags := make([]UserTag, len(reel.UserTags))
	for i, t := range reel.UserTags {
		tags[i] = UserTag{Username: t.Username}
	}
	setPeople(form, reel.Collaborators, tags)
	setAIGenerated(form, reel.AIGenerated)
	reel.AddOn.set(form)
	if reel.Trial != "" {
		form.Set("trial_params", toJSON(map[string]string{"graduation_strategy": reel.Trial}))
	}
	return c.create(ctx, token, igID, form, "reel", reel.CoverURL)
}
