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

const (
	opInit  = "tiktok.init"
	opInbox = "tiktok.inbox"
	opPull  = "tiktok.pull"

	initPath  = "/v2/post/publish/video/init/"
	inboxPath = "/v2/post/publish/inbox/video/init/"
)

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
	Post   *postInfo  `json:"post_info,omitempty"`
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
	Size   int64  `json:"video_size,omitempty"`
	Chunk  int64  `json:"chunk_size,omitempty"`
	Count  int    `json:"total_chunk_count,omitempty"`
	URL    string `json:"video_url,omitempty"`
}

// InitVideo starts a direct post by FILE_UPLOAD (6 calls a minute per token). Nothing can
// go live before all bytes have arrived, so a lost answer (kind Unknown) leaves only an
// unknown publish_id.
func (c *Client) InitVideo(ctx context.Context, token secrets.Secret, post VideoPost, plan Plan) (Upload, error) {
	return c.initUpload(ctx, opInit, initPath, token, plan, post.info())
}

func (post VideoPost) info() *postInfo {
	return &postInfo{
		Title: post.Title, Privacy: post.PrivacyLevel,
		DisableDuet: post.DisableDuet, DisableComment: post.DisableComment, DisableStitch: post.DisableStitch,
		BrandContent: post.BrandContent, BrandOrganic: post.BrandOrganic, AIGC: post.AIGC,
		CoverTimestamp: post.CoverTimestampMs,
	}
}

// InitInbox starts the upload of a video to the creator's inbox, where the creator completes
// the post (Upload Video reference; 6 calls a minute per token, 5 pending videos and photo
// posts in 24 h). It carries no text and no choices.
func (c *Client) InitInbox(ctx context.Context, token secrets.Secret, plan Plan) (Upload, error) {
	return c.initUpload(ctx, opInbox, inboxPath, token, plan, nil)
}

// PullVideo makes a post of a video that TikTok fetches from a link, which must be https, on a
// host that is verified for the app, and live until TikTok has the file, an hour at most (media
// transfer guide, 2026-09-11). To the inbox it carries no text and no choices. As InitPhotos, it
// can post twice: never repeat it after a lost answer (kind Unknown). A refusal created nothing.
func (c *Client) PullVideo(ctx context.Context, token secrets.Secret, post VideoPost, inbox bool, link secrets.Secret) (publishID string, err error) {
	x := c.begin(opPull, wire.Creating)
	x.Hide.Secret(token.Reveal())
	x.Hide.Link(link.Reveal())
	in, path := initRequest{Source: sourceInfo{Source: "PULL_FROM_URL", URL: link.Reveal()}}, inboxPath
	if !inbox {
		in.Post, path = post.info(), initPath
	}
	err = c.exchange(ctx, x, token, http.MethodPost, path, in, func(data json.RawMessage) (err error) {
		publishID, err = readPublishID(data)
		return err
	})
	return publishID, x.Finish(ctx, err)
}

func readPublishID(data json.RawMessage) (string, error) {
	var d struct {
		PublishID wire.Scalar `json:"publish_id"`
	}
	if err := unmarshalData(data, &d); err != nil {
		return "", err
	}
	if d.PublishID == "" {
		return "", errors.New("answer without publish_id")
	}
	return string(d.PublishID), nil
}

func (c *Client) initUpload(ctx context.Context, op, path string, token secrets.Secret, plan Plan, post *postInfo) (Upload, error) {
	x := c.begin(op, wire.Creating)
	x.Hide.Secret(token.Reveal())
	x.Detail = planned(plan)
	var up Upload
	err := c.exchangeUpload(ctx, x, path, token, plan, post, &up)
	return up, x.Finish(ctx, err)
}

func (c *Client) exchangeUpload(ctx context.Context, x *exchange, path string, token secrets.Secret, plan Plan, post *postInfo, up *Upload) error {
	if !plan.legal() {
		return x.Fail(badUpload, "", errors.New("the upload plan is not one of PlanUpload"))
	}
	in := initRequest{Post: post, Source: sourceInfo{Source: "FILE_UPLOAD", Size: plan.Size, Chunk: plan.ChunkSize, Count: plan.Count}}
	return c.exchange(ctx, x, token, http.MethodPost, path, in, func(data json.RawMessage) error {
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
