package tiktok

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"socialqueue/platform/wire"
	"socialqueue/secrets"
)

const opInit = "tiktok.init"

// VideoPost holds the user's choices for a direct post (Direct Post reference, 2026-09-11).
type VideoPost struct {
	// Title is the caption, at most 2200 UTF-16 code units.
	Title string
	// PrivacyLevel is one of CreatorInfo.PrivacyLevels.
	PrivacyLevel                               string
	DisableDuet, DisableComment, DisableStitch bool
	// BrandContent marks a paid partnership, BrandOrganic the creator's own business, and
	// AIGC AI-generated content.
	BrandContent, BrandOrganic, AIGC bool
	// CoverTimestampMs selects the cover frame; nil lets TikTok choose.
	CoverTimestampMs *int32
}

// Upload is a started post. Store PublishID before the first byte is sent. URL is a
// credential, valid for one hour, in which the whole upload must end.
type Upload struct {
	PublishID string
	URL       secrets.Secret
}

type initRequest struct {
	Post   postInfo   `json:"post_info"`
	Source sourceInfo `json:"source_info"`
}

// postInfo always sends the brand toggles: the page requires them although its samples omit
// them.
type postInfo struct {
	Title          string `json:"title"`
	Privacy        string `json:"privacy_level"`
	DisableDuet    bool   `json:"disable_duet"`
	DisableComment bool   `json:"disable_comment"`
	DisableStitch  bool   `json:"disable_stitch"`
	BrandContent   bool   `json:"brand_content_toggle"`
	BrandOrganic   bool   `json:"brand_organic_toggle"`
	AIGC           bool   `json:"is_aigc"`
	CoverTimestamp *int32 `json:"video_cover_timestamp_ms,omitempty"`
}

type sourceInfo struct {
	Source string `json:"source"`
	Size   int64  `json:"video_size"`
	Chunk  int64  `json:"chunk_size"`
	Count  int    `json:"total_chunk_count"`
}

// InitVideo starts a direct post by FILE_UPLOAD (6 calls a minute per token). Nothing can
// go live before all bytes have arrived, so a lost answer (kind Unknown) leaves only an
// unknown publish_id.
func (c *Client) InitVideo(ctx context.Context, token secrets.Secret, post VideoPost, plan Plan) (Upload, error) {
	x := c.begin(opInit, wire.Creating)
	x.Hide.Secret(token.Reveal())
	x.Detail = planned(plan)
	var up Upload
	err := c.initVideo(ctx, x, token, post, plan, &up)
	return up, x.Finish(ctx, err)
}

func (c *Client) initVideo(ctx context.Context, x *exchange, token secrets.Secret, post VideoPost, plan Plan, up *Upload) error {
	if !plan.legal() {
		return x.Fail(badUpload, "", errors.New("the upload plan is not one of PlanUpload"))
	}
	in := initRequest{
		Post: postInfo{
			Title: post.Title, Privacy: post.PrivacyLevel,
			DisableDuet: post.DisableDuet, DisableComment: post.DisableComment, DisableStitch: post.DisableStitch,
			BrandContent: post.BrandContent, BrandOrganic: post.BrandOrganic, AIGC: post.AIGC,
			CoverTimestamp: post.CoverTimestampMs,
		},
		Source: sourceInfo{Source: "FILE_UPLOAD", Size: plan.Size, Chunk: plan.ChunkSize, Count: plan.Count},
	}
	return c.exchange(ctx, x, token, http.MethodPost, "/v2/post/publish/video/init/", in, func(data json.RawMessage) error {
		got, err := parseUpload(data)
		if err != nil {
			return err
		}
		x.Hide.Link(got.URL.Reveal())
		if _, err := c.uploadURL(x, got.URL); err != nil {
			return err
		}
		*up = got
		return nil
	})
}

func planned(p Plan) string {
	if p.Count == 1 {
		return fmt.Sprintf("%d bytes in 1 chunk", p.Size)
	}
	return fmt.Sprintf("%d bytes in %d chunks", p.Size, p.Count)
}

func parseUpload(data json.RawMessage) (Upload, error) {
	var d struct {
		PublishID wire.Scalar `json:"publish_id"`
		URL       wire.Scalar `json:"upload_url"`
	}
	if err := unmarshalData(data, &d); err != nil {
		return Upload{}, err
	}
	if d.PublishID == "" || d.URL == "" {
		return Upload{}, errors.New("answer without publish_id or upload_url")
	}
	return Upload{PublishID: string(d.PublishID), URL: secrets.Secret(d.URL)}, nil
}
