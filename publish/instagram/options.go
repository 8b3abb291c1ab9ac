package instagram

import (
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"socialqueue/models"
	"socialqueue/publish"
)

// Instagram's rules, from the ig-user/media reference (2026-03) and the error
// code page (2026-06-02).
const (
	maxCaption       = 2200
	maxHashtags      = 30
	maxMentions      = 20
	maxAltText       = 1000
	maxCollaborators = 3
	maxUserTags      = 20

	maxImageBytes = 8 << 20
	minImageWidth = 320
	minRatio      = 4.0 / 5
	maxRatio      = 1.91
	// ratioSlack forgives the rounding of a scaled picture: 1080x1350 passes,
	// and so does 1081x1352.
	ratioSlack = 0.005

	maxReelBytes = 300_000_000
	minReel      = 3 * time.Second
	maxReel      = 15 * time.Minute
	maxReelWidth = 1920
)

var (
	hashtag = regexp.MustCompile(`(?:^|[^\p{L}\p{N}_&])#[\p{L}\p{N}_]+`)
	mention = regexp.MustCompile(`(?:^|[^\p{L}\p{N}_.@])@[A-Za-z0-9_.]+`)
	digits  = regexp.MustCompile(`^[0-9]{1,32}$`)
)

// Options are what an app says about an Instagram post, in the API's own names. It is
// stored with the post as it is.
type Options struct {
	Caption       string   `json:"caption"`
	AltText       string   `json:"alt_text,omitempty"`
	LocationID    string   `json:"location_id,omitempty"`
	ShareToFeed   *bool    `json:"share_to_feed,omitempty"`
	CoverURL      string   `json:"cover_url,omitempty"`
	ThumbOffsetMs *int64   `json:"thumb_offset,omitempty"`
	Collaborators []string `json:"collaborators,omitempty"`
	UserTags      UserTags `json:"user_tags,omitempty"`
}

// UserTag tags an account. X and Y are fractions of width and height.
type UserTag struct {
	Username string   `json:"username"`
	X        *float64 `json:"x,omitempty"`
	Y        *float64 `json:"y,omitempty"`
}

// UserTags are the tags of one post.
type UserTags []UserTag

// Shape says what an app has to send.
func (UserTags) Shape() string { return `a list of {"username", "x", "y"}` }

// Texts returns the usernames.
func (t UserTags) Texts() []string {
	names := make([]string, len(t))
	for i, tag := range t {
		names[i] = tag.Username
	}
	return names
}

// Of reads the options of a post.
func Of(p *models.Post) (*Options, error) { return publish.DecodeOptions[Options](p) }

// Describe returns the caption.
func (o *Options) Describe() (text string, facts []string) { return o.Caption, nil }

// Links returns the customer's links beside the file, by field: Instagram fetches them, so
// they are checked before the post is accepted.
func (o *Options) Links() map[string]string { return map[string]string{"cover_url": o.CoverURL} }

// Check checks the parameters of an image or reel, as far as they do not
// depend on the file.
func (o *Options) Check(errs *models.FieldErrors, kind models.Kind) {
	o.checkCaption(errs)
	o.checkPeople(errs, kind)
	if o.LocationID != "" && !digits.MatchString(o.LocationID) {
		errs.Add("location_id", "must be the numeric id of a Facebook Page that has a location")
	}
	if n := utf8.RuneCountInString(o.AltText); n > maxAltText {
		errs.Add("alt_text", "has %d characters; Instagram takes %d at most", n, maxAltText)
	}
	if kind == models.Image {
		o.checkNoReelFields(errs)
		return
	}
	if o.AltText != "" {
		errs.Add("alt_text", "is for images only")
	}
	if o.ThumbOffsetMs != nil && *o.ThumbOffsetMs < 0 {
		errs.Add("thumb_offset", "must not be negative (milliseconds)")
	}
}

func (o *Options) checkCaption(errs *models.FieldErrors) {
	if n := utf8.RuneCountInString(o.Caption); n > maxCaption {
		errs.Add("caption", "has %d characters; Instagram takes %d at most", n, maxCaption)
	}
	if n := len(hashtag.FindAllString(o.Caption, -1)); n > maxHashtags {
		errs.Add("caption", "has %d hashtags; Instagram takes %d at most", n, maxHashtags)
	}
	if n := len(mention.FindAllString(o.Caption, -1)); n > maxMentions {
		errs.Add("caption", "mentions %d accounts; Instagram takes %d at most", n, maxMentions)
	}
}

func (o *Options) checkPeople(errs *models.FieldErrors, kind models.Kind) {
	if len(o.Collaborators) > maxCollaborators {
		errs.Add("collaborators", "names %d accounts; Instagram takes %d at most", len(o.Collaborators), maxCollaborators)
	}
	for _, name := range o.Collaborators {
		checkUsername(errs, "collaborators", name)
	}
	if len(o.UserTags) > maxUserTags {
		errs.Add("user_tags", "tags %d accounts; Instagram takes %d at most", len(o.UserTags), maxUserTags)
	}
	for _, tag := range o.UserTags {
		checkUsername(errs, "user_tags", tag.Username)
		checkPosition(errs, tag, kind)
	}
}

func checkUsername(errs *models.FieldErrors, field, name string) {
	if name == "" || strings.HasPrefix(name, "@") {
		errs.Add(field, "%q is no username: write it without @", name)
	}
}

func checkPosition(errs *models.FieldErrors, tag UserTag, kind models.Kind) {
	if kind != models.Image {
		return
	}
	inside := func(v *float64) bool { return v != nil && *v >= 0 && *v <= 1 }
	if !inside(tag.X) || !inside(tag.Y) {
		errs.Add("user_tags", "tag of %q needs x and y between 0 and 1 on an image", tag.Username)
	}
}

func (o *Options) checkNoReelFields(errs *models.FieldErrors) {
	if o.ShareToFeed != nil {
		errs.Add("share_to_feed", "is for reels only")
	}
	if o.CoverURL != "" {
		errs.Add("cover_url", "is for reels only")
	}
	if o.ThumbOffsetMs != nil {
		errs.Add("thumb_offset", "is for reels only")
	}
}

// CheckFile checks a stored file against Instagram's limits for the kind.
func (o *Options) CheckFile(errs *models.FieldErrors, field string, kind models.Kind, m *models.Media) {
	if kind == models.Image {
		checkImageFile(errs, field, m)
		return
	}
	o.checkReelFile(errs, field, m)
}

func checkImageFile(errs *models.FieldErrors, field string, m *models.Media) {
	if m.ContentType != "image/jpeg" {
		errs.Add(field, "is %s; Instagram takes JPEG images: convert it first", m.ContentType)
		return
	}
	if m.Bytes > maxImageBytes {
		errs.Add(field, "has %d bytes; Instagram takes %d at most", m.Bytes, maxImageBytes)
	}
	if m.Width < minImageWidth {
		errs.Add(field, "is %d pixels wide; Instagram takes %d at least", m.Width, minImageWidth)
	}
	if m.Height == 0 {
		return
	}
	ratio := float64(m.Width) / float64(m.Height)
	if ratio < minRatio-ratioSlack || ratio > maxRatio+ratioSlack {
		errs.Add(field, "is %dx%d; Instagram takes ratios from 4:5 to 1.91:1", m.Width, m.Height)
	}
}

func (o *Options) checkReelFile(errs *models.FieldErrors, field string, m *models.Media) {
	if !slices.Contains([]string{"video/mp4", "video/quicktime"}, m.ContentType) {
		errs.Add(field, "is %s; a reel is an MP4 or MOV video", m.ContentType)
		return
	}
	if m.Bytes > maxReelBytes {
		errs.Add(field, "has %d bytes; Instagram takes reels of %d at most", m.Bytes, maxReelBytes)
	}
	if d := m.Duration(); d < minReel || d > maxReel {
		errs.Add(field, "lasts %s; a reel lasts %s to %s", d, minReel, maxReel)
	}
	if m.Width > maxReelWidth {
		errs.Add(field, "is %d pixels wide; Instagram takes reels of %d at most", m.Width, maxReelWidth)
	}
	if o.ThumbOffsetMs != nil && *o.ThumbOffsetMs > m.DurationMs {
		errs.Add("thumb_offset", "lies behind the end of the video (%d ms)", m.DurationMs)
	}
}
