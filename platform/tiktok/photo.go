package tiktok

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"socialqueue/platform/wire"
	"socialqueue/secrets"
)

const opPhoto = "tiktok.photo"

// PhotoPost is a post of 1 to 35 photos (Photo Post reference, 2026-09-11).
type PhotoPost struct {
	// Inbox sends the photos to the creator's inbox. TikTok then uses Title and Description
	// only, and drops the rest.
	Inbox bool
	// URLs are those of JPEG or WebP images on a host that is verified for the app, in order.
	// They may be signed, so errors and records never contain them. Cover is the position of
	// the cover among them.
	URLs  []secrets.Secret
	Cover int
	// Title has at most 90 UTF-16 code units, Description 4000.
	Title, Description string
	// PrivacyLevel is one of CreatorInfo.PrivacyLevels.
	PrivacyLevel                     string
	DisableComment, AddMusic         bool
	BrandContent, BrandOrganic, AIGC bool
}

type photoRequest struct {
	MediaType string    `json:"media_type"`
	Mode      string    `json:"post_mode"`
	AIGC      bool      `json:"is_aigc"` // at the top level, unlike a video's
	Post      photoInfo `json:"post_info"`
	Source    struct {
		Source string   `json:"source"`
		Cover  int      `json:"photo_cover_index"`
		Images []string `json:"photo_images"`
	} `json:"source_info"`
}

type photoInfo struct {
	Title          string `json:"title,omitempty"`
	Description    string `json:"description,omitempty"`
	Privacy        string `json:"privacy_level,omitempty"`
	DisableComment bool   `json:"disable_comment"`
	AddMusic       bool   `json:"auto_add_music"`
	BrandContent   bool   `json:"brand_content_toggle"`
	BrandOrganic   bool   `json:"brand_organic_toggle"`
}

// InitPhotos makes a post of photos, which TikTok fetches itself (6 calls a minute per token).
// It is the one call that can post twice: a lost answer (kind Unknown) leaves a post without a
// known publish_id, which may go live. Never repeat it then. A refusal created nothing.
func (c *Client) InitPhotos(ctx context.Context, token secrets.Secret, post PhotoPost) (publishID string, err error) {
	x := c.begin(opPhoto, wire.Creating)
	x.Hide.Secret(token.Reveal())
	x.Detail = fmt.Sprintf("%d photos", len(post.URLs))
	in := photoRequest{MediaType: "PHOTO", Mode: "DIRECT_POST", AIGC: post.AIGC, Post: photoInfo{
		Title: post.Title, Description: post.Description, Privacy: post.PrivacyLevel, DisableComment: post.DisableComment,
		AddMusic: post.AddMusic, BrandContent: post.BrandContent, BrandOrganic: post.BrandOrganic,
	}}
	if post.Inbox {
		in.Mode = "MEDIA_UPLOAD"
	}
	in.Source.Source, in.Source.Cover = "PULL_FROM_URL", post.Cover
	for _, link := range post.URLs {
		x.Hide.Link(link.Reveal())
		in.Source.Images = append(in.Source.Images, link.Reveal())
	}
	err = c.exchange(ctx, x, token, http.MethodPost, "/v2/post/publish/content/init/", in, func(data json.RawMessage) (err error) {
		publishID, err = readPublishID(data)
		return err
	})
	return publishID, x.Finish(ctx, err)
}
