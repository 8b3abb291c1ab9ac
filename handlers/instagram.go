package handlers

import (
	"encoding/json"
	"time"

	"socialqueue/models"
	"socialqueue/publish"
	"socialqueue/publish/instagram"
)

const notOffered = "not offered by this version"

// instagramKinds are the media types that this version publishes.
var instagramKinds = map[string]models.Kind{"IMAGE": models.Image, "REELS": models.Reel}

type instagramRequest struct {
	accountID         int64
	mediaType         string
	children          json.RawMessage
	options           instagram.Options
	mediaID, mediaURL string
	publishAt         *time.Time
	maxLateness       *time.Duration
}

func (i *instagramRequest) fields() fields {
	return fields{
		"account_id":    &i.accountID,
		"media_type":    &i.mediaType,
		"children":      &i.children,
		"caption":       &i.options.Caption,
		"location_id":   &i.options.LocationID,
		"alt_text":      &i.options.AltText,
		"share_to_feed": &i.options.ShareToFeed,
		"cover_url":     &i.options.CoverURL,
		"thumb_offset":  &i.options.ThumbOffsetMs,
		"collaborators": &i.options.Collaborators,
		"user_tags":     &i.options.UserTags,
		"media_id":      &i.mediaID,
		"media_url":     &i.mediaURL,
		"publish_at":    &i.publishAt,
		"max_lateness":  &i.maxLateness,
	}
}

func (i *instagramRequest) check() error {
	var errs models.FieldErrors
	switch i.mediaType {
	case "IMAGE", "REELS":
	case "STORIES", "CAROUSEL":
		errs.Add("media_type", notOffered)
	case "":
		errs.Add("media_type", "is required: IMAGE or REELS")
	default:
		errs.Add("media_type", "must be IMAGE or REELS")
	}
	if len(i.children) > 0 && string(i.children) != "null" {
		errs.Add("children", notOffered)
	}
	return errs.Err()
}

func (i *instagramRequest) request() publish.Request {
	return publish.Request{
		Platform: models.Instagram, Kind: instagramKinds[i.mediaType], AccountID: i.accountID,
		Options: &i.options, Files: []publish.File{{MediaID: i.mediaID, URL: i.mediaURL}},
		PublishAt: i.publishAt, MaxLateness: i.maxLateness,
	}
}

func decodeInstagram(body []byte) (publish.Request, error) {
	var in instagramRequest
	if err := in.fields().decode(body); err != nil {
		return publish.Request{}, err
	}
	return in.request(), in.check()
}
