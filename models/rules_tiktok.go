package models

import (
	"slices"
	"strings"
	"time"
)

// TikTok's rules for a video, from the direct-post reference and the media
// transfer guide (both 2026-09-11).
const (
	tiktokTitleUnits = 2200 // UTF-16 code units
	tiktokMaxBytes   = 4_000_000_000
	tiktokMaxSide    = 4096 // pixels
	tiktokMinSide    = 360
	tiktokMaxVideo   = 10 * time.Minute
)

// PrivacySelfOnly is the privacy level that nobody but the creator sees.
const PrivacySelfOnly = "SELF_ONLY"

var tiktokPrivacy = []string{"PUBLIC_TO_EVERYONE", "MUTUAL_FOLLOW_FRIENDS", "FOLLOWER_OF_CREATOR", PrivacySelfOnly}

// Check checks the content of a TikTok video by what is known before the
// platform is asked. Which privacy levels this creator may use, and for how
// long a video, is asked again right before sending.
func (c *TikTokContent) Check(errs *FieldErrors) {
	if n := utf16Len(c.Title); n > tiktokTitleUnits {
		errs.Add("title", "has %d UTF-16 units; TikTok takes %d at most", n, tiktokTitleUnits)
	}
	switch {
	case c.PrivacyLevel == "":
		errs.Add("privacy_level", "is required: one of %s, chosen by the creator", strings.Join(tiktokPrivacy, ", "))
	case !slices.Contains(tiktokPrivacy, c.PrivacyLevel):
		errs.Add("privacy_level", "must be one of %s", strings.Join(tiktokPrivacy, ", "))
	}
	if c.BrandContent && c.PrivacyLevel == PrivacySelfOnly {
		errs.Add("brand_content_toggle", "branded content cannot be SELF_ONLY; choose another privacy_level")
	}
	if c.CoverTimestampMs != nil && *c.CoverTimestampMs < 0 {
		errs.Add("video_cover_timestamp_ms", "must not be negative")
	}
}

// CheckFile checks a stored file against TikTok's limits for videos.
func (c *TikTokContent) CheckFile(errs *FieldErrors, field string, m *Media) {
	if !slices.Contains([]string{"video/mp4", "video/quicktime", "video/webm"}, m.ContentType) {
		errs.Add(field, "is %s; TikTok takes MP4, MOV or WebM videos", m.ContentType)
		return
	}
	if m.Bytes > tiktokMaxBytes {
		errs.Add(field, "has %d bytes; TikTok takes %d at most", m.Bytes, tiktokMaxBytes)
	}
	if d := m.Duration(); d > tiktokMaxVideo {
		errs.Add(field, "lasts %s; TikTok takes %s at most", d, tiktokMaxVideo)
	}
	if short, long := min(m.Width, m.Height), max(m.Width, m.Height); long > 0 && (short < tiktokMinSide || long > tiktokMaxSide) {
		errs.Add(field, "is %dx%d; TikTok takes sides of %d to %d pixels", m.Width, m.Height, tiktokMinSide, tiktokMaxSide)
	}
	if c.CoverTimestampMs != nil && m.DurationMs > 0 && int64(*c.CoverTimestampMs) > m.DurationMs {
		errs.Add("video_cover_timestamp_ms", "lies behind the end of the video (%d ms)", m.DurationMs)
	}
}

// Duration is how long a video plays; 0 where the container does not tell.
func (m *Media) Duration() time.Duration { return time.Duration(m.DurationMs) * time.Millisecond }
