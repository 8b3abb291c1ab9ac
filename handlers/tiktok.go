package handlers

import (
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"socialqueue/models"
	"socialqueue/publish"
	"socialqueue/publish/tiktok"
	"socialqueue/view"
)

// tiktokRequest holds the fields of a TikTok upload, sent as JSON or as a form.
type tiktokRequest struct {
	accountID         int64
	options           tiktok.Options
	mediaID, mediaURL string
	publishAt         *time.Time
	maxLateness       *time.Duration
}

func (t *tiktokRequest) fields() fields {
	return fields{
		"account_id":               &t.accountID,
		"title":                    upTo(maxProse, &t.options.Title),
		"privacy_level":            &t.options.PrivacyLevel,
		"disable_duet":             &t.options.DisableDuet,
		"disable_comment":          &t.options.DisableComment,
		"disable_stitch":           &t.options.DisableStitch,
		"brand_content_toggle":     &t.options.BrandContent,
		"brand_organic_toggle":     &t.options.BrandOrganic,
		"is_aigc":                  &t.options.AIGC,
		"video_cover_timestamp_ms": &t.options.CoverTimestampMs,
		"mode":                     &t.options.Mode,
		"source":                   &t.options.Source,
		"consent_at":               &t.options.ConsentAt,
		"media_id":                 upTo(maxID, &t.mediaID),
		"media_url":                upTo(maxURL, &t.mediaURL),
		"publish_at":               &t.publishAt,
		"max_lateness":             &t.maxLateness,
	}
}

func (t *tiktokRequest) request() publish.Request {
	return publish.Request{
		Platform: models.TikTok, Kind: models.Video, AccountID: t.accountID, Options: &t.options,
		Files: []publish.File{{MediaID: t.mediaID, URL: t.mediaURL}}, PublishAt: t.publishAt, MaxLateness: t.maxLateness,
	}
}

func (a *api) tiktokUpload(c echo.Context) error {
	if isMultipart(c.Request()) {
		return a.tiktokForm(c)
	}
	return inTime(a.acceptBody(decodeTikTok))(c)
}

func decodeTikTok(body []byte) (publish.Request, error) {
	var in tiktokRequest
	err := in.fields().decode(body)
	return in.request(), err
}

// tiktokStatus returns a post by TikTok's publish_id, or by our own id.
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
	public, err := a.Posts.Public(c.Request().Context(), p)
	if err != nil {
		return err
	}
	shown, err := viewStatus(p, public)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, shown)
}

func (a *api) tiktokPost(c echo.Context, id string) (*models.Post, error) {
	ctx, appID := c.Request().Context(), callerOf(c).AppID
	if own, ok := canonicalID(id); ok {
		return a.Posts.Get(ctx, appID, own)
	}
	return a.Posts.ByPublishID(ctx, appID, id)
}

// statusView is the response of GET /api/tiktok/status.
type statusView struct {
	PublishID    *string       `json:"publish_id"`
	Status       models.Status `json:"status"`
	VideoID      *string       `json:"video_id"`
	PostID       string        `json:"post_id"`
	PrivacyLevel string        `json:"privacy_level"`
	// PubliclyAvailable is what TikTok last reported; null if it has not.
	PubliclyAvailable *bool       `json:"publicly_available"`
	Permalink         *string     `json:"permalink"`
	Error             *view.Error `json:"error"`
	UpdatedAt         string      `json:"updated_at"`
}

func viewStatus(p *models.Post, public *bool) (statusView, error) {
	options, err := tiktok.Of(p)
	if err != nil {
		return statusView{}, err
	}
	return statusView{
		PublishID: p.PublishID, Status: p.Status, VideoID: p.PlatformPostID, PostID: p.ID, PrivacyLevel: options.PrivacyLevel,
		PubliclyAvailable: public, Permalink: p.Permalink, Error: view.OfError(p), UpdatedAt: view.Time(p.UpdatedAt),
	}, nil
}
