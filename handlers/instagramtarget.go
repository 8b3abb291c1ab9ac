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
		"poll":            fields{"options": &o.Poll.Options, "no_end": &o.Poll.NoEnd},
		"comment_prompt":  &o.CommentPrompt,
	}
}

// use takes the shared text as the caption of everything but a story, which has none, and the
// alt text of an image from its file. A place of its own, also none, keeps the account's away.
func (t *instagramTarget) use(text string, given map[string]json.RawMessage, kind models.Kind, media []*mediaItem) publish.Options {
	if _, own := given["caption"]; !own {
		if t.options.DroppedText = kind == models.Story && text != ""; !t.options.DroppedText {
			t.options.Caption = text
		}
	}
	if kind == models.Image && len(media) > 0 {
		t.options.AltText = media[0].altText
	}
	_, t.options.NoLocation = given["location_id"] // also an empty one
	t.options.Normalize()
	return &t.options
}
