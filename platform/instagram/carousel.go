package instagram

import (
	"context"
	"net/url"
	"strings"

	"socialqueue/secrets"
)

// Child is one image or video of a carousel.
type Child struct {
	// ImageURL is that of an image, as Image.URL. Where it is empty the child is a video, whose
	// bytes are uploaded to the container with UploadVideo.
	ImageURL secrets.Secret
	// AltText and UserTags are for images only.
	AltText  string
	UserTags []UserTag
}

// CreateChild creates the container of a child. It counts among the 400 containers of 24 h,
// and cannot be published alone. A video needs media_type VIDEO here, though nowhere else
// (yohimik/crier, measured).
func (c *Client) CreateChild(ctx context.Context, token secrets.Secret, igID string, child Child) (containerID string, err error) {
	form := url.Values{"is_carousel_item": {"true"}}
	if child.ImageURL.Empty() {
		form.Set("media_type", "VIDEO")
		form.Set("upload_type", "resumable")
		return c.create(ctx, token, igID, form, "video of a carousel")
	}
	form.Set("image_url", child.ImageURL.Reveal())
	setText(form, "alt_text", child.AltText)
	setPeople(form, nil, child.UserTags)
	return c.create(ctx, token, igID, form, "image of a carousel", child.ImageURL)
}

// Carousel is a post of 2 to 10 images and videos. Instagram crops all of them to the ratio
// of the first (Content Publishing, 2026).
type Carousel struct {
	// Children are the ids of their containers, in order.
	Children            []string
	Caption, LocationID string
	// Collaborators are sent for the whole post: a child with them is refused.
	Collaborators []string
	AIGenerated   bool
	AddOn         AddOn
}

// CreateCarousel creates the container of a carousel whose children are finished.
func (c *Client) CreateCarousel(ctx context.Context, token secrets.Secret, igID string, carousel Carousel) (containerID string, err error) {
	form := url.Values{"media_type": {"CAROUSEL"}, "children": {strings.Join(carousel.Children, ",")}}
	setText(form, "caption", carousel.Caption)
	setText(form, "location_id", carousel.LocationID)
	setPeople(form, carousel.Collaborators, nil)
	setAIGenerated(form, carousel.AIGenerated)
	carousel.AddOn.set(form)
	return c.create(ctx, token, igID, form, "carousel")
}
