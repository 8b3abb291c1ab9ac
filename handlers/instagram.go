package handlers

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"

	"socialqueue/models"
	"socialqueue/publish"
	"socialqueue/publish/instagram"
)

// instagramKinds are the media types of POST /api/instagram/publish.
var instagramKinds = map[string]models.Kind{"IMAGE": models.Image, "REELS": models.Reel, "STORIES": models.Story, "CAROUSEL": models.Carousel}

type instagramRequest struct {
	accountID         int64
	mediaType         string
	children          []*child
	options           instagram.Options
	mediaID, mediaURL string
	publishAt         *time.Time
	maxLateness       *time.Duration
}

// child is one file of a carousel.
type child struct {
	mediaItem
	userTags instagram.UserTags
}

func (c *child) fields() fields {
	f := c.mediaItem.fields()
	f["user_tags"] = &c.userTags
	return f
}

func (i *instagramRequest) fields() fields {
	return fields{
		"account_id":      &i.accountID,
		"media_type":      &i.mediaType,
		"children":        objects{maxFiles, i.addChild},
		"caption":         upTo(maxProse, &i.options.Caption),
		"location_id":     &i.options.LocationID,
		"alt_text":        upTo(maxProse, &i.options.AltText),
		"share_to_feed":   &i.options.ShareToFeed,
		"cover_url":       upTo(maxURL, &i.options.CoverURL),
		"thumb_offset":    &i.options.ThumbOffsetMs,
		"collaborators":   &i.options.Collaborators,
		"user_tags":       &i.options.UserTags,
		"is_ai_generated": &i.options.AIGenerated,
		"trial_strategy":  &i.options.Trial,
		"media_id":        upTo(maxID, &i.mediaID),
		"media_url":       upTo(maxURL, &i.mediaURL),
		"publish_at":      &i.publishAt,
		"max_lateness":    &i.maxLateness,
	}
}

func (i *instagramRequest) addChild(json.RawMessage) fields {
	c := &child{}
	i.children = append(i.children, c)
	return c.fields()
}

func (i *instagramRequest) check() error {
	var errs models.FieldErrors
	kind, known := instagramKinds[i.mediaType]
	switch names := strings.Join(slices.Sorted(maps.Keys(instagramKinds)), ", "); {
	case i.mediaType == "":
		errs.Add("media_type", "is required: one of %s", names)
	case !known:
		errs.Add("media_type", "must be one of %s", names)
	case kind != models.Carousel && len(i.children) > 0:
		errs.Add("children", "are the files of a CAROUSEL; give media_id or media_url")
	case kind == models.Carousel && (i.mediaID != "" || i.mediaURL != ""):
		errs.Add("media_id", "the files of a CAROUSEL are named in children")
	}
	return errs.Err()
}

func (i *instagramRequest) request() publish.Request {
	i.options.Normalize()
	r := publish.Request{
		Platform: models.Instagram, Kind: instagramKinds[i.mediaType], AccountID: i.accountID,
		Options: &i.options, PublishAt: i.publishAt, MaxLateness: i.maxLateness,
	}
	if r.Kind != models.Carousel {
		r.Files = []publish.File{{MediaID: i.mediaID, URL: i.mediaURL}}
		return r
	}
	r.FilesField = "children"
	for _, c := range i.children {
		r.Files = append(r.Files, publish.File{MediaID: c.mediaID, URL: c.mediaURL, AltText: c.altText})
		i.options.Children = append(i.options.Children, instagram.ChildOptions{UserTags: c.userTags})
	}
	return r
}

func decodeInstagram(body []byte) (publish.Request, error) {
	var in instagramRequest
	if err := in.fields().decode(body); err != nil {
		return publish.Request{}, err
	}
	return in.request(), in.check()
}
