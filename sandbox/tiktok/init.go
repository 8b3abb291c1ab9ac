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

// initRequest is the body of a direct video post; unknown fields are ignored.
type initRequest struct {
	PostInfo   *postInfo   `json:"post_info"`
	SourceInfo *sourceInfo `json:"source_info"`
}

type postInfo struct {
	audience
	Title               string `json:"title"`
	DisableDuet         bool   `json:"disable_duet"`
	DisableStitch       bool   `json:"disable_stitch"`
	VideoCoverTimestamp int32  `json:"video_cover_timestamp_ms"` // out of range of the video: first frame
	IsAIGenerated       bool   `json:"is_aigc"`
}

// audience is what the post_info of videos and of photos have in common.
type audience struct {
	PrivacyLevel       string `json:"privacy_level"`
	DisableComment     bool   `json:"disable_comment"`
	BrandContentToggle bool   `json:"brand_content_toggle"`
	BrandOrganicToggle bool   `json:"brand_organic_toggle"`
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
	p := t.newPublish(x, acc, kindVideo, in.SourceInfo.Source, false)
	p.caption, p.privacy = in.PostInfo.Title, in.PostInfo.PrivacyLevel
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
	if code := t.inboxBlocked(acc, x.Now); code != "" {
		return t.fail(x, code, "")
	}
	if no := t.checkSource(in.SourceInfo); no != nil {
		return t.fail(x, no.code, no.message)
	}
	p := t.newPublish(x, acc, kindVideo, in.SourceInfo.Source, true)
	acc.shares = append(acc.shares, p)
	return t.begin(x, p, in.SourceInfo)
}

// inboxBlocked returns the error code that currently keeps an account from receiving drafts, or "".
func (t *Platform) inboxBlocked(acc *account, now time.Time) string {
	limit := t.opts.Limits.PendingShares
	switch {
	case acc.Banned:
		return "spam_risk_user_banned_from_posting"
	case limit > 0 && t.pendingShares(acc, now) >= limit:
		return "spam_risk_too_many_pending_share"
	}
	return ""
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
	if info == nil {
		return invalid("post_info is required")
	}
	if no := t.checkAudience(info.audience, acc); no != nil {
		return no
	}
	if utf16Length(info.Title) > maxTitle {
		return invalid("The title is longer than 2200 UTF-16 code units")
	}
	return nil
}

func (t *Platform) checkAudience(a audience, acc *account) *refusal {
	switch {
	case a.PrivacyLevel == "":
		return invalid("privacy_level is required")
	case !slices.Contains(acc.privacyOptions(), a.PrivacyLevel):
		return &refusal{code: "privacy_level_option_mismatch"}
	case t.opts.Unaudited && (!acc.Private || a.PrivacyLevel != privacySelf):
		return &refusal{code: "unaudited_client_can_only_post_to_private_accounts"}
	case a.BrandContentToggle && a.PrivacyLevel == privacySelf:
		return invalid("Branded content cannot be SELF_ONLY")
	}
	return nil
}

func utf16Length(s string) int { return len(utf16.Encode([]rune(s))) }

func (t *Platform) checkSource(src *sourceInfo) *refusal {
	switch {
	case src == nil:
		return invalid("source_info is required")
	case src.Source == sourcePull:
		return t.checkPullURL("video_url", src.VideoURL)
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

func (t *Platform) newPublish(x *engine.Exchange, acc *account, kind *mediaKind, source string, inbox bool) *publishTask {
	target, origin, tail := "_pub", "_file", "~v2."
	if inbox {
		target = "_inbox"
	}
	if source == sourcePull {
		origin = "_url"
	}
	if kind == kindVideo && !inbox {
		tail = "~v2-1."
	}
	return &publishTask{
		id:   fmt.Sprint(kind.name[:1], target, origin, tail, snowflake(t.host.NextID(), x.Now)),
		kind: kind, account: acc, createdAt: x.Now, inbox: inbox, pull: source == sourcePull,
	}
}

// begin registers the publish task and answers init.
func (t *Platform) begin(x *engine.Exchange, p *publishTask, src *sourceInfo) engine.Reply {
	if p.pull {
		return t.beginPull(x, p, []string{src.VideoURL})
	}
	if err := t.register(p, 1); err != nil {
		return t.fail(x, "internal_error", err.Error())
	}
	p.plan = src.plan()
	p.uploadID = fmt.Sprint(snowflake(t.host.NextID(), x.Now))
	p.uploadToken = t.host.Secret("SIM")
	t.uploads[p.uploadID] = p
	return t.ok(x, map[string]any{"publish_id": p.id, "upload_url": t.uploadURL(x, p)})
}

// beginPull registers the publish task of a pull and answers init.
func (t *Platform) beginPull(x *engine.Exchange, p *publishTask, urls []string) engine.Reply {
	if err := t.register(p, len(urls)); err != nil {
		return t.fail(x, "internal_error", err.Error())
	}
	t.startPull(p, urls)
	return t.ok(x, map[string]any{"publish_id": p.id})
}

// register adds a publish task with n empty files.
func (t *Platform) register(p *publishTask, n int) error {
	for range n {
		b, err := t.host.NewBlob()
		if err != nil {
			return err
		}
		p.files = append(p.files, b)
	}
	t.posts[p.id] = p
	t.pending[p] = struct{}{}
	return nil
}

func (t *Platform) uploadURL(x *engine.Exchange, p *publishTask) string {
	base := strings.TrimRight(t.opts.UploadBaseURL, "/")
	if base == "" {
		base = x.Base
	}
	return base + "/tiktok-upload/upload?upload_id=" + p.uploadID + "&upload_token=" + p.uploadToken
}
