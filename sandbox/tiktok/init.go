package tiktok

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf16"

	"socialqueue/sandbox/engine"
)

const (
	maxTitle      = 2200 // UTF-16 code units (Direct Post reference, 2026-09-11)
	uploadURLLife = time.Hour
	sourceUpload  = "FILE_UPLOAD"
	sourcePull    = "PULL_FROM_URL"
)

// initRequest is the body of both init calls; unknown fields are ignored.
type initRequest struct {
	PostInfo   *postInfo   `json:"post_info"`
	SourceInfo *sourceInfo `json:"source_info"`
}

type postInfo struct {
	PrivacyLevel        string `json:"privacy_level"`
	Title               string `json:"title"`
	DisableDuet         bool   `json:"disable_duet"`
	DisableStitch       bool   `json:"disable_stitch"`
	DisableComment      bool   `json:"disable_comment"`
	VideoCoverTimestamp int32  `json:"video_cover_timestamp_ms"` // out of range of the video: first frame
	BrandContentToggle  bool   `json:"brand_content_toggle"`
	BrandOrganicToggle  bool   `json:"brand_organic_toggle"`
	IsAIGenerated       bool   `json:"is_aigc"`
}

type sourceInfo struct {
	Source          string `json:"source"`
	VideoSize       number `json:"video_size"`
	ChunkSize       number `json:"chunk_size"`
	TotalChunkCount number `json:"total_chunk_count"`
	VideoURL        string `json:"video_url"`
}

// refusal is the error answer of a failed check; nil means that the check passed.
type refusal struct{ code, message string }

func invalid(message string) *refusal { return &refusal{"invalid_param", message} }

func (t *Platform) initDirect(x *engine.Exchange, acc *account) engine.Reply {
	var in initRequest
	if err := decode(x.Request, &in); err != nil {
		return t.fail(x, "invalid_params", err.Error())
	}
	if code := t.blocked(acc, x.Now); code != "" {
		return t.fail(x, code, "")
	}
	if no := t.checkPostInfo(in.PostInfo, acc); no != nil {
		return t.fail(x, no.code, no.message)
	}
	if no := t.checkSource(in.SourceInfo); no != nil {
		return t.fail(x, no.code, no.message)
	}
	p := t.newPublish(x, acc, in.SourceInfo, false)
	p.title, p.privacy = in.PostInfo.Title, in.PostInfo.PrivacyLevel
	t.creators.Add(acc.OpenID, x.Now)
	return t.begin(x, p, in.SourceInfo)
}

// initInbox takes no post_info: the user completes the draft in TikTok's app (Upload Video reference).
func (t *Platform) initInbox(x *engine.Exchange, acc *account) engine.Reply {
	var in struct {
		SourceInfo *sourceInfo `json:"source_info"`
	}
	if err := decode(x.Request, &in); err != nil {
		return t.fail(x, "invalid_params", err.Error())
	}
	if acc.Banned {
		return t.fail(x, "spam_risk_user_banned_from_posting", "")
	}
	if limit := t.opts.Limits.PendingShares; limit > 0 && t.pendingShares(acc, x.Now) >= limit {
		return t.fail(x, "spam_risk_too_many_pending_share", "")
	}
	if no := t.checkSource(in.SourceInfo); no != nil {
		return t.fail(x, no.code, no.message)
	}
	p := t.newPublish(x, acc, in.SourceInfo, true)
	acc.shares = append(acc.shares, p)
	return t.begin(x, p, in.SourceInfo)
}

// pendingShares counts the inbox shares of the last 24 h that may still become a post, including uploads that are not
// complete.
func (t *Platform) pendingShares(acc *account, now time.Time) int {
	acc.shares = slices.DeleteFunc(acc.shares, func(p *publishTask) bool {
		t.settle(p, now)
		return p.failed || !now.Before(p.createdAt.Add(day)) || p.abandoned(now)
	})
	return len(acc.shares)
}

func (t *Platform) checkPostInfo(info *postInfo, acc *account) *refusal {
	switch {
	case info == nil:
		return invalid("post_info is required")
	case info.PrivacyLevel == "":
		return invalid("privacy_level is required")
	case !slices.Contains(acc.privacyOptions(), info.PrivacyLevel):
		return &refusal{code: "privacy_level_option_mismatch"}
	case t.opts.Unaudited && (!acc.Private || info.PrivacyLevel != privacySelf):
		return &refusal{code: "unaudited_client_can_only_post_to_private_accounts"}
	case len(utf16.Encode([]rune(info.Title))) > maxTitle:
		return invalid("The title is longer than 2200 UTF-16 code units")
	case info.BrandContentToggle && info.PrivacyLevel == privacySelf:
		return invalid("Branded content cannot be SELF_ONLY")
	}
	return nil
}

func (t *Platform) checkSource(src *sourceInfo) *refusal {
	switch {
	case src == nil:
		return invalid("source_info is required")
	case src.Source == sourcePull:
		return t.checkPullURL(src.VideoURL)
	case src.Source != sourceUpload:
		return invalid("source must be FILE_UPLOAD or PULL_FROM_URL")
	case !src.VideoSize.set || !src.ChunkSize.set || !src.TotalChunkCount.set:
		return invalid("video_size, chunk_size and total_chunk_count are required")
	}
	if err := src.plan().check(t.opts.LenientChunks); err != nil {
		return &refusal{"invalid_params", err.Error()} // spelled so in real answers (observed, 2026-08)
	}
	return nil
}

func (s *sourceInfo) plan() chunkPlan {
	return chunkPlan{size: s.VideoSize.value, chunk: s.ChunkSize.value, count: s.TotalChunkCount.value}
}

func (t *Platform) newPublish(x *engine.Exchange, acc *account, src *sourceInfo, inbox bool) *publishTask {
	kind, tail := "v_pub", "~v2-1."
	if inbox {
		kind, tail = "v_inbox", "~v2."
	}
	origin := "_file"
	if src.Source == sourcePull {
		origin = "_url"
	}
	return &publishTask{
		id:      fmt.Sprint(kind, origin, tail, snowflake(t.host.NextID(), x.Now)),
		account: acc, createdAt: x.Now, inbox: inbox, pull: src.Source == sourcePull,
	}
}

// begin registers the publish task and answers init.
func (t *Platform) begin(x *engine.Exchange, p *publishTask, src *sourceInfo) engine.Reply {
	b, err := t.host.NewBlob()
	if err != nil {
		return t.fail(x, "internal_error", err.Error())
	}
	p.blob = b
	t.posts[p.id] = p
	t.pending[p] = struct{}{}
	if p.pull {
		t.startPull(p, src.VideoURL)
		return t.ok(x, map[string]any{"publish_id": p.id})
	}
	p.plan = src.plan()
	p.uploadID = fmt.Sprint(snowflake(t.host.NextID(), x.Now))
	p.uploadToken = t.host.Secret("SIM")
	t.uploads[p.uploadID] = p
	return t.ok(x, map[string]any{"publish_id": p.id, "upload_url": t.uploadURL(x, p)})
}

func (t *Platform) uploadURL(x *engine.Exchange, p *publishTask) string {
	base := strings.TrimRight(t.opts.UploadBaseURL, "/")
	if base == "" {
		base = x.Base
	}
	return base + "/tiktok-upload/upload?upload_id=" + p.uploadID + "&upload_token=" + p.uploadToken
}
