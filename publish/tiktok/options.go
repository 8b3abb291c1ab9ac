package tiktok

import (
	"slices"
	"strings"
	"time"
	"unicode/utf16"

	"socialqueue/models"
	"socialqueue/publish"
)

// TikTok's rules for a video, from the direct-post reference and the media
// transfer guide (both 2026-09-11).
const (
	maxTitleUnits = 2200 // UTF-16 code units
	maxBytes      = 4_000_000_000
	maxSide       = 4096 // pixels
	minSide       = 360
	maxVideo      = 10 * time.Minute
)

// Options are what an app says about a TikTok post: post_info in the API's own names. It
// is stored with the post as it is.
type Options struct {
	Title            string `json:"title"`
	PrivacyLevel     string `json:"privacy_level"`
	DisableDuet      bool   `json:"disable_duet"`
	DisableComment   bool   `json:"disable_comment"`
	DisableStitch    bool   `json:"disable_stitch"`
	BrandContent     bool   `json:"brand_content_toggle"`
	BrandOrganic     bool   `json:"brand_organic_toggle"`
	AIGC             bool   `json:"is_aigc"`
	CoverTimestampMs *int32 `json:"video_cover_timestamp_ms,omitempty"`
}

// Of reads the options of a post.
func Of(p *models.Post) (*Options, error) { return publish.DecodeOptions[Options](p) }

// PrivacySelfOnly is the privacy level that nobody but the creator sees.
const PrivacySelfOnly = "SELF_ONLY"

var privacyLevels = []string{"PUBLIC_TO_EVERYONE", "MUTUAL_FOLLOW_FRIENDS", "FOLLOWER_OF_CREATOR", PrivacySelfOnly}

// Check checks what can be known before TikTok is asked. Which privacy levels this creator
// may use, and how long a video may be, is asked right before sending.
func (o *Options) Check(errs *models.FieldErrors, _ models.Kind) {
	if n := utf16Len(o.Title); n > maxTitleUnits {
		errs.Add("title", "has %d UTF-16 units; TikTok takes %d at most", n, maxTitleUnits)
	}
	switch {
	case o.PrivacyLevel == "":
		errs.Add("privacy_level", "is required: one of %s, chosen by the creator", strings.Join(privacyLevels, ", "))
	case !slices.Contains(privacyLevels, o.PrivacyLevel):
		errs.Add("privacy_level", "must be one of %s", strings.Join(privacyLevels, ", "))
	}
	if o.BrandContent && o.PrivacyLevel == PrivacySelfOnly {
		errs.Add("brand_content_toggle", "branded content cannot be SELF_ONLY; choose another privacy_level")
	}
	if o.CoverTimestampMs != nil && *o.CoverTimestampMs < 0 {
		errs.Add("video_cover_timestamp_ms", "must not be negative")
	}
}

// Describe returns the title and the privacy level.
func (o *Options) Describe() (text string, facts []string) { return o.Title, []string{o.PrivacyLevel} }

// Links returns no links: a TikTok video has none beside its file.
func (o *Options) Links() map[string]string { return nil }

// CheckFile checks a stored file against TikTok's limits for videos.
func (o *Options) CheckFile(errs *models.FieldErrors, field string, _ models.Kind, m *models.Media) {
	if !slices.Contains([]string{"video/mp4", "video/quicktime", "video/webm"}, m.ContentType) {
		errs.Add(field, "is %s; TikTok takes MP4, MOV or WebM videos", m.ContentType)
		return
	}
	if m.Bytes > maxBytes {
		errs.Add(field, "has %d bytes; TikTok takes %d at most", m.Bytes, maxBytes)
	}
	if d := m.Duration(); d > maxVideo {
		errs.Add(field, "lasts %s; TikTok takes %s at most", d, maxVideo)
	}
	if short, long := min(m.Width, m.Height), max(m.Width, m.Height); long > 0 && (short < minSide || long > maxSide) {
		errs.Add(field, "is %dx%d; TikTok takes sides of %d to %d pixels", m.Width, m.Height, minSide, maxSide)
	}
	if o.CoverTimestampMs != nil && m.DurationMs > 0 && int64(*o.CoverTimestampMs) > m.DurationMs {
		errs.Add("video_cover_timestamp_ms", "lies behind the end of the video (%d ms)", m.DurationMs)
	}
}

// utf16Len counts as TikTok counts: in UTF-16 code units.
func utf16Len(s string) int {
	n := 0
	for _, r := range s {
		n += utf16.RuneLen(r)
	}
	return n
}
