package instagram

import (
	"context"
	"net/url"
	"strconv"

	"socialqueue/secrets"
)

const opStories = "instagram.stories"

// Story is one image or video that everybody sees for 24 hours. It has no caption.
type Story struct {
	// ImageURL is that of an image, as Image.URL. Where it is empty the story is a video, whose
	// bytes are uploaded to the container with UploadVideo.
	ImageURL secrets.Secret
	// UserTags may have no position (since 2025-07-09).
	UserTags []UserTag
}

// CreateStory creates the container of a story.
func (c *Client) CreateStory(ctx context.Context, token secrets.Secret, igID string, story Story) (containerID string, err error) {
	form := url.Values{"media_type": {"STORIES"}}
	setPeople(form, nil, story.UserTags)
	if story.ImageURL.Empty() {
		form.Set("upload_type", "resumable")
		return c.create(ctx, token, igID, form, "video story")
	}
	form.Set("image_url", story.ImageURL.Reveal())
	return c.create(ctx, token, igID, form, "image story", story.ImageURL)
}

// Stories lists the account's newest stories of the last 24 hours, newest first; limit is 1
// to 100. RecentMedia leaves them out.
func (c *Client) Stories(ctx context.Context, token secrets.Secret, igID string, limit int) ([]Media, error) {
	query := url.Values{"fields": {mediaFields}, "limit": {strconv.Itoa(min(max(limit, 1), maxPage))}}
	var page MediaPage
	err := c.get(ctx, opStories, token, []string{igID, "stories"}, query, func(body []byte) (err error) {
		page, err = parseMediaPage(body)
		return err
	})
	return page.Media, err
}
