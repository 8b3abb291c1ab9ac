package tiktok

import (
	"slices"
	"strings"
	"time"
	"unicode/utf16"

	"socialqueue/models"
	"socialqueue/publish"
	"socialqueue/view"
)

// TikTok's rules, from the direct-post and photo-post references and the media transfer guide
// (all 2026-09-11). Texts are counted in UTF-16 code units.
const (
	maxTitle            = 2200
	maxPhotoTitle       = 90
	maxPhotoDescription = 4000
	maxPhotos           = 35
	// How many pixels a photo may have that is scaled down for TikTok here: a JPEG needs far
	// less memory for each than any other.
	maxJPEGPixels  = 40_000_000
	maxOtherPixels = 12_500_000

	maxBytes = 4_000_000_000
	maxSide  = 4096 // pixels
	minSide  = 360
	maxVideo = 10 * time.Minute
	// TikTok takes 23 to 60 frames a second (media transfer guide, 2026-09-11), and in
	// practice 60.02 as well. The slack is for averages of a varying rate.
	minFramesPer1000s = 22_500
	maxFramesPer1000s = 61_000
)

// codecs are those that the media transfer guide (2026-09-11) lists.
var codecs = []string{"h264", "hevc", "vp8", "vp9"}

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

	// Mode is ModeInbox, or ModeDirect, which is the default.
	Mode string `json:"mode,omitempty"`
	// Source is SourcePull, or SourceUpload, which is the default.
	Source string `json:"source,omitempty"`
	// Description is the long text of photos; Title is then the short one.
	Description string `json:"description,omitempty"`
	// PhotoCover is the position of the cover among the photos.
	PhotoCover int64 `json:"photo_cover_index,omitempty"`
	AddMusic   bool  `json:"auto_add_music,omitempty"`
	// ConsentAt is when the creator agreed to the post (Content Sharing Guidelines,
	// 2026-09-11). It is kept as proof.
	ConsentAt *time.Time `json:"consent_at,omitempty"`
}

// The modes of a post.
const (
	ModeDirect = "direct"
	ModeInbox  = "inbox"
)

// Scopes returns what a post to the inbox needs (Content Posting API, Upload).
func (o *Options) Scopes() map[string]string {
	if !o.inbox() {
		return nil
	}
	return map[string]string{"mode": "video.upload"}
}

// inbox reports whether the creator completes the post in the TikTok app.
func (o *Options) inbox() bool { return o.Mode == ModeInbox }

// Of reads the options of a post.
func Of(p *models.Post) (*Options, error) { return publish.DecodeOptions[Options](p) }

// PrivacySelfOnly is the privacy level that nobody but the creator sees.
const PrivacySelfOnly = "SELF_ONLY"

var privacyLevels = []string{"PUBLIC_TO_EVERYONE", "MUTUAL_FOLLOW_FRIENDS", "FOLLOWER_OF_CREATOR", PrivacySelfOnly}

// Check checks what can be known before TikTok is asked. Which privacy levels this creator
// may use, and how long a video may be, is asked right before sending. TikTok ignores the
// choices of a post to the inbox, so they are not checked.
func (o *Options) Check(errs *models.FieldErrors, kind models.Kind, files int) {
	o.checkTexts(errs, kind)
	if o.Mode != "" && o.Mode != ModeDirect && o.Mode != ModeInbox {
		errs.Add("mode", "must be %s or %s", ModeDirect, ModeInbox)
	}
	if o.Source != "" && o.Source != SourceUpload && o.Source != SourcePull {
		errs.Add("source", "must be %s or %s", SourceUpload, SourcePull)
	}
	if !o.inbox() {
		o.checkChoices(errs)
	}
	o.checkKind(errs, kind)
	if o.CoverTimestampMs != nil && *o.CoverTimestampMs < 0 {
		errs.Add("video_cover_timestamp_ms", "must not be negative")
	}
	if kind == models.Photo && (o.PhotoCover < 0 || o.PhotoCover >= int64(max(files, 1))) {
		errs.Add("photo_cover_index", "must be a position among the %d photos, from 0", files)
	}
}

func (o *Options) checkTexts(errs *models.FieldErrors, kind models.Kind) {
	longest := maxTitle
	if kind == models.Photo {
		longest = maxPhotoTitle
	}
	if n := utf16Len(o.Title); n > longest {
		errs.Add("title", "has %d UTF-16 units; TikTok takes %d at most", n, longest)
	}
	if n := utf16Len(o.Description); n > maxPhotoDescription {
		errs.Add("description", "has %d UTF-16 units; TikTok takes %d at most", n, maxPhotoDescription)
	}
}

// checkKind checks that each field is one of the kind.
func (o *Options) checkKind(errs *models.FieldErrors, kind models.Kind) {
	if kind == models.Photo {
		if o.CoverTimestampMs != nil {
			errs.Add("video_cover_timestamp_ms", "is for videos only")
		}
		if o.Source != "" {
			errs.Add("source", "is for videos only: TikTok always fetches photos")
		}
		return
	}
	if o.Description != "" {
		errs.Add("description", "is for photos only; the text of a video is its title")
	}
	if o.PhotoCover != 0 {
		errs.Add("photo_cover_index", "is for photos only")
	}
	if o.AddMusic {
		errs.Add("auto_add_music", "is for photos only")
	}
}

func (o *Options) checkChoices(errs *models.FieldErrors) {
	switch {
	case o.PrivacyLevel == "":
		errs.Add("privacy_level", "is required: one of %s, chosen by the creator", strings.Join(privacyLevels, ", "))
	case !slices.Contains(privacyLevels, o.PrivacyLevel):
		errs.Add("privacy_level", "must be one of %s", strings.Join(privacyLevels, ", "))
	}
	if o.BrandContent && o.PrivacyLevel == PrivacySelfOnly {
		errs.Add("brand_content_toggle", "branded content cannot be SELF_ONLY; choose another privacy_level")
	}
}

// Stored returns what is stored: of a post to the inbox only what TikTok takes. So a worker of
// the previous release, which does not know the inbox, is refused and posts nothing.
func (o *Options) Stored() any {
	if !o.inbox() {
		return o
	}
	return &Options{Title: o.Title, Description: o.Description, Mode: o.Mode, Source: o.Source, ConsentAt: o.ConsentAt}
}

// Content returns the title of a video, or both texts of photos.
func (o *Options) Content(kind models.Kind) view.Content {
	if kind != models.Photo {
		return view.Content{Text: o.Title}
	}
	return view.Content{Text: o.Description, Title: o.Title, Description: o.Description}
}

// Describe returns the texts, and the privacy level or the mode.
func (o *Options) Describe() (text string, facts []string) {
	text = strings.TrimSpace(o.Title + "\n" + o.Description)
	if o.inbox() {
		return text, []string{"to the creator's inbox"}
	}
	return text, []string{o.PrivacyLevel}
}

// Links returns no links: a TikTok post has none beside its files.
func (o *Options) Links() map[string]string { return nil }

// CheckFile checks a stored file against TikTok's limits.
func (o *Options) CheckFile(errs *models.FieldErrors, field string, kind models.Kind, m *models.Media) {
	if kind == models.Photo {
		checkPhoto(errs, field, m)
		return
	}
	o.checkVideo(errs, field, m)
}

// checkPhoto checks what the JPEG that TikTok gets can be made of.
func checkPhoto(errs *models.FieldErrors, field string, m *models.Media) {
	if !strings.HasPrefix(m.ContentType, "image/") {
		errs.Add(field, "is %s; TikTok takes photos as JPEG, PNG or WebP", m.ContentType)
		return
	}
	most := maxOtherPixels
	if m.ContentType == "image/jpeg" {
		most = maxJPEGPixels
	}
	if m.Width*m.Height > most {
		errs.Add(field, "is %dx%d; such a photo has %.1f megapixels at most: make it smaller", m.Width, m.Height, float64(most)/1e6)
	}
}

func (o *Options) checkVideo(errs *models.FieldErrors, field string, m *models.Media) {
	if !slices.Contains([]string{"video/mp4", "video/quicktime", "video/webm"}, m.ContentType) {
		errs.Add(field, "is %s; TikTok takes MP4, MOV or WebM videos", m.ContentType)
		return
	}
	if m.Bytes > maxBytes {
		errs.Add(field, "has %d bytes; TikTok takes %d at most", m.Bytes, maxBytes)
	}
	if d := m.Duration(); models.CheckLengthKnown(errs, field, m) && d > maxVideo {
		errs.Add(field, "lasts %s; TikTok takes %s at most", d, maxVideo)
	}
	if short, long := min(m.Width, m.Height), max(m.Width, m.Height); long > 0 && (short < minSide || long > maxSide) {
		errs.Add(field, "is %dx%d; TikTok takes sides of %d to %d pixels", m.Width, m.Height, minSide, maxSide)
	}
	if m.Codec != "" && !slices.Contains(codecs, m.Codec) {
		errs.Add(field, "is coded as %s; TikTok takes H.264, H.265, VP8 or VP9: re-encode to H.264", m.Codec)
	}
	if n := m.FramesPer1000s; n > 0 && (n < minFramesPer1000s || n > maxFramesPer1000s) {
		errs.Add(field, "has %s frames a second; TikTok takes 23 to 60: re-encode with ffmpeg -r 30", m.FrameRate())
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

// Warn notes what TikTok ignores or changes.
func (o *Options) Warn(warnings *models.FieldErrors, kind models.Kind, _ []*models.Media) {
	if o.inbox() {
		o.warnInbox(warnings, kind)
		return
	}
	if kind == models.Photo && (o.DisableDuet || o.DisableStitch) {
		warnings.Add("disable_duet", "has no effect: photos have neither duet nor stitch")
	}
	if strings.ContainsRune(o.Title+o.Description, '\n') {
		warnings.Add("title", "has line breaks, which TikTok drops") // Ayrshare, 2026-10
	}
	if o.ConsentAt == nil {
		warnings.Add("consent_at", "is missing: TikTok's guidelines ask for the creator's explicit consent; send when it was given")
	}
}

// warnInbox: of a video TikTok takes the file alone, of photos also the two texts (photo-post
// reference, 2026-09-11).
func (o *Options) warnInbox(warnings *models.FieldErrors, kind models.Kind) {
	const dropped = "is dropped by TikTok: the creator chooses it in the app"
	if o.Title != "" && kind != models.Photo {
		warnings.Add("title", dropped)
	}
	if o.PrivacyLevel != "" {
		warnings.Add("privacy_level", dropped)
	}
	for _, f := range []struct {
		name  string
		given bool
	}{
		{"disable_comment", o.DisableComment}, {"disable_duet", o.DisableDuet}, {"disable_stitch", o.DisableStitch},
		{"brand_content_toggle", o.BrandContent}, {"brand_organic_toggle", o.BrandOrganic}, {"is_aigc", o.AIGC},
		{"video_cover_timestamp_ms", o.CoverTimestampMs != nil}, {"photo_cover_index", o.PhotoCover != 0}, {"auto_add_music", o.AddMusic},
	} {
		if f.given {
			warnings.Add(f.name, dropped)
		}
	}
}
