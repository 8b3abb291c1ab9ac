package models

import (
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// Instagram's rules, from the ig-user/media reference (2026-03) and the error
// code page (2026-06-02).
const (
	igCaptionChars  = 2200
	igHashtags      = 30
	igMentions      = 20
	igAltTextChars  = 1000
	igCollaborators = 3
	igUserTags      = 20

	igImageBytes    = 8 << 20
	igImageMinWidth = 320
	igImageMinRatio = 4.0 / 5
	igImageMaxRatio = 1.91
	// igRatioSlack forgives the rounding of a scaled picture: 1080x1350 passes,
	// and so does 1081x1352.
	igRatioSlack = 0.005

	igReelBytes    = 300_000_000
	igReelMin      = 3 * time.Second
	igReelMax      = 15 * time.Minute
	igReelMaxWidth = 1920
)

var (
	hashtag = regexp.MustCompile(`(?:^|[^\p{L}\p{N}_&])#[\p{L}\p{N}_]+`)
	mention = regexp.MustCompile(`(?:^|[^\p{L}\p{N}_.@])@[A-Za-z0-9_.]+`)
	digits  = regexp.MustCompile(`^[0-9]{1,32}$`)
)

// Check checks the parameters of an image or reel, as far as they do not
// depend on the file.
func (c *InstagramContent) Check(errs *FieldErrors, kind Kind) {
	c.checkCaption(errs)
	c.checkPeople(errs, kind)
	if c.LocationID != "" && !digits.MatchString(c.LocationID) {
		errs.Add("location_id", "must be the numeric id of a Facebook Page that has a location")
	}
	if n := utf8.RuneCountInString(c.AltText); n > igAltTextChars {
		errs.Add("alt_text", "has %d characters; Instagram takes %d at most", n, igAltTextChars)
	}
	if kind == Image {
		c.checkNoReelFields(errs)
		return
	}
	if c.AltText != "" {
		errs.Add("alt_text", "is for images only")
	}
	if c.ThumbOffsetMs != nil && *c.ThumbOffsetMs < 0 {
		errs.Add("thumb_offset", "must not be negative (milliseconds)")
	}
}

func (c *InstagramContent) checkCaption(errs *FieldErrors) {
	if n := utf8.RuneCountInString(c.Caption); n > igCaptionChars {
		errs.Add("caption", "has %d characters; Instagram takes %d at most", n, igCaptionChars)
	}
	if n := len(hashtag.FindAllString(c.Caption, -1)); n > igHashtags {
		errs.Add("caption", "has %d hashtags; Instagram takes %d at most", n, igHashtags)
	}
	if n := len(mention.FindAllString(c.Caption, -1)); n > igMentions {
		errs.Add("caption", "mentions %d accounts; Instagram takes %d at most", n, igMentions)
	}
}

func (c *InstagramContent) checkPeople(errs *FieldErrors, kind Kind) {
	if len(c.Collaborators) > igCollaborators {
		errs.Add("collaborators", "names %d accounts; Instagram takes %d at most", len(c.Collaborators), igCollaborators)
	}
	for _, name := range c.Collaborators {
		checkUsername(errs, "collaborators", name)
	}
	if len(c.UserTags) > igUserTags {
		errs.Add("user_tags", "tags %d accounts; Instagram takes %d at most", len(c.UserTags), igUserTags)
	}
	for _, tag := range c.UserTags {
		checkUsername(errs, "user_tags", tag.Username)
		checkPosition(errs, tag, kind)
	}
}

func checkUsername(errs *FieldErrors, field, name string) {
	if name == "" || strings.HasPrefix(name, "@") {
		errs.Add(field, "%q is no username: write it without @", name)
	}
}

func checkPosition(errs *FieldErrors, tag UserTag, kind Kind) {
	if kind != Image {
		return
	}
	inside := func(v *float64) bool { return v != nil && *v >= 0 && *v <= 1 }
	if !inside(tag.X) || !inside(tag.Y) {
		errs.Add("user_tags", "tag of %q needs x and y between 0 and 1 on an image", tag.Username)
	}
}

func (c *InstagramContent) checkNoReelFields(errs *FieldErrors) {
	if c.ShareToFeed != nil {
		errs.Add("share_to_feed", "is for reels only")
	}
	if c.CoverURL != "" {
		errs.Add("cover_url", "is for reels only")
	}
	if c.ThumbOffsetMs != nil {
		errs.Add("thumb_offset", "is for reels only")
	}
}

// CheckFile checks a stored file against Instagram's limits for the kind.
func (c *InstagramContent) CheckFile(errs *FieldErrors, field string, kind Kind, m *Media) {
	if kind == Image {
		checkImageFile(errs, field, m)
		return
	}
	c.checkReelFile(errs, field, m)
}

func checkImageFile(errs *FieldErrors, field string, m *Media) {
	if m.ContentType != "image/jpeg" {
		errs.Add(field, "is %s; Instagram takes JPEG images: convert it first", m.ContentType)
		return
	}
	if m.Bytes > igImageBytes {
		errs.Add(field, "has %d bytes; Instagram takes %d at most", m.Bytes, igImageBytes)
	}
	if m.Width < igImageMinWidth {
		errs.Add(field, "is %d pixels wide; Instagram takes %d at least", m.Width, igImageMinWidth)
	}
	if m.Height == 0 {
		return
	}
	ratio := float64(m.Width) / float64(m.Height)
	if ratio < igImageMinRatio-igRatioSlack || ratio > igImageMaxRatio+igRatioSlack {
		errs.Add(field, "is %dx%d; Instagram takes ratios from 4:5 to 1.91:1", m.Width, m.Height)
	}
}

func (c *InstagramContent) checkReelFile(errs *FieldErrors, field string, m *Media) {
	if !slices.Contains([]string{"video/mp4", "video/quicktime"}, m.ContentType) {
		errs.Add(field, "is %s; a reel is an MP4 or MOV video", m.ContentType)
		return
	}
	if m.Bytes > igReelBytes {
		errs.Add(field, "has %d bytes; Instagram takes reels of %d at most", m.Bytes, igReelBytes)
	}
	if d := m.Duration(); d < igReelMin || d > igReelMax {
		errs.Add(field, "lasts %s; a reel lasts %s to %s", d, igReelMin, igReelMax)
	}
	if m.Width > igReelMaxWidth {
		errs.Add(field, "is %d pixels wide; Instagram takes reels of %d at most", m.Width, igReelMaxWidth)
	}
	if c.ThumbOffsetMs != nil && *c.ThumbOffsetMs > m.DurationMs {
		errs.Add("thumb_offset", "lies behind the end of the video (%d ms)", m.DurationMs)
	}
}
