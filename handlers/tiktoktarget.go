package handlers

import (
	"encoding/json"

	"socialqueue/models"
	"socialqueue/publish"
	"socialqueue/publish/tiktok"
)

// tiktokTarget are TikTok's fields of a target of POST /api/posts.
type tiktokTarget struct {
	options tiktok.Options
}

func (tiktokTarget) platform() models.Platform { return models.TikTok }

func (t *tiktokTarget) fields() fields {
	o := &t.options
	return fields{
		"title":                    upTo(maxProse, &o.Title),
		"description":              upTo(maxProse, &o.Description),
		"privacy_level":            &o.PrivacyLevel,
		"disable_duet":             &o.DisableDuet,
		"disable_comment":          &o.DisableComment,
		"disable_stitch":           &o.DisableStitch,
		"brand_content_toggle":     &o.BrandContent,
		"brand_organic_toggle":     &o.BrandOrganic,
		"is_aigc":                  &o.AIGC,
		"video_cover_timestamp_ms": &o.CoverTimestampMs,
		"photo_cover_index":        &o.PhotoCover,
		"auto_add_music":           &o.AddMusic,
		"mode":                     &o.Mode,
		"source":                   &o.Source,
		"consent_at":               &o.ConsentAt,
	}
}

// use takes the shared text as the title of a video, and as the description of photos.
func (t *tiktokTarget) use(text string, given map[string]json.RawMessage, kind models.Kind, _ []*mediaItem) publish.Options {
	name, shared := "title", &t.options.Title
	if kind == models.Photo {
		name, shared = "description", &t.options.Description
	}
	if _, own := given[name]; !own {
		*shared = text
	}
	return &t.options
}
