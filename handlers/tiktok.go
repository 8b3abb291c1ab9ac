package handlers

import (
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"socialqueue/models"
	"socialqueue/publish"
)

// tiktokRequest holds the fields of a TikTok upload, of JSON and of a form.
type tiktokRequest struct {
	accountID         int64
	content           models.TikTokContent
	mediaID, mediaURL string
	publishAt         *time.Time
	maxLateness       *time.Duration
}

func (t *tiktokRequest) fields() fields {
	return fields{
		"account_id":               &t.accountID,
		"title":                    &t.content.Title,
		"privacy_level":            &t.content.PrivacyLevel,
		"disable_duet":             &t.content.DisableDuet,
		"disable_comment":          &t.content.DisableComment,
		"disable_stitch":           &t.content.DisableStitch,
		"brand_content_toggle":     &t.content.BrandContent,
		"brand_organic_toggle":     &t.content.BrandOrganic,
		"is_aigc":                  &t.content.AIGC,
		"video_cover_timestamp_ms": &t.content.CoverTimestampMs,
		"media_id":                 &t.mediaID,
		"media_url":                &t.mediaURL,
		"publish_at":               &t.publishAt,
		"max_lateness":             &t.maxLateness,
	}
}

func (t *tiktokRequest) request() publish.Request {
	return publish.Request{
		Platform: models.TikTok, Kind: models.Video, AccountID: t.accountID, Content: models.Content{TikTok: &t.content},
		MediaID: t.mediaID, MediaURL: t.mediaURL, PublishAt: t.publishAt, MaxLateness: t.maxLateness,
	}
}

func (a *api) tiktokUpload(c echo.Context) error {
	if isMultipart(c.Request()) {
		return a.tiktokForm(c)
	}
	return inTime(a.tiktokJSON)(c)
}

func (a *api) tiktokJSON(c echo.Context) error {
	body, err := readJSON(c)
	if err != nil {
		return err
	}
	var in tiktokRequest
	if err := in.fields().decode(body); err != nil {
		return err
	}
	return a.once(c, jsonContent(body), func(cl *claim) (*answer, error) { return a.accept(c, in.request(), cl, "") })
}

// tiktokStatus finds a post by TikTok's publish_id, or by our own id.
func (a *api) tiktokStatus(c echo.Context) error {
	id, ok := pathText(c, "publishId")
	if !ok {
		return notFound("post")
	}
	p, err := a.tiktokPost(c, id)
	if err != nil {
		return err
	}
	if p.Platform != models.TikTok {
		return notFound("TikTok post " + id)
	}
	about(c, p)
	var public *bool
	if p.PublishID != nil {
		if public, err = a.DB.Runs.TikTokAvailability(c.Request().Context(), *p.PublishID); err != nil {
			return err
		}
	}
	return c.JSON(http.StatusOK, viewStatus(p, public))
}

func (a *api) tiktokPost(c echo.Context, id string) (*models.Post, error) {
	ctx, appID := c.Request().Context(), callerOf(c).appID
	if own, ok := canonicalID(id); ok {
		return a.DB.Posts.Get(ctx, appID, own)
	}
	return a.DB.Posts.ByPublishID(ctx, appID, id)
}
