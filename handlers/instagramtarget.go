package handlers

import (
	"encoding/json"

	"socialqueue/models"
	"socialqueue/publish"
	"socialqueue/publish/instagram"
)

// instagramTarget are Instagram's fields of a target of POST /api/posts.
type instagramTarget struct {
	options instagram.Options
	poll    instagram.Poll
}

func (instagramTarget) platform() models.Platform { return models.Instagram }

func (t *instagramTarget) fields() fields {
	o := &t.options
	return fields{
		"caption":         upTo(maxProse, &o.Caption),
		"location_id":     &o.LocationID,
		"collaborators":   &o.Collaborators,
		"user_tags":       &o.UserTags,
		"share_to_feed":   &o.ShareToFeed,
		"cover_url":       upTo(maxURL, &o.CoverURL),
		"thumb_offset":    &o.ThumbOffsetMs,
		"trial_strategy":  &o.Trial,
		"is_ai_generated": &o.AIGenerated,
		"first_comment":   upTo(maxProse, &o.Comment),
		"poll":            fields{"options": &t.poll.Options, "no_end": &t.poll.NoEnd},
		"comment_prompt":  &o.CommentPrompt,
	}
}

// use takes the shared text as the caption of everything but a story, which has none, and the
// alt text of an image from its file. The account's own place is not taken if the target
// has a location_id, even an empty one.
func (t *instagramTarget) use(text string, given map[string]json.RawMessage, kind models.Kind, media []*mediaItem) publish.Options {
	if _, own := given["caption"]; !own {
		if t.options.DroppedText = kind == models.Story && text != ""; !t.options.DroppedText {
			t.options.Caption = text
		}
	}
	if kind == models.Image && len(media) > 0 {
		t.options.AltText = media[0].altText
	}
	if raw, given := given["poll"]; given && string(raw) != "null" {
		t.options.Poll = &t.poll
	}
	_, t.options.OwnLocation = given["location_id"]
	t.options.Normalize()
	return &t.options
}
