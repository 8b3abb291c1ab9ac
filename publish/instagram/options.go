package instagram

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"socialqueue/models"
	"socialqueue/publish"
	"socialqueue/view"
)

// maxAltText is how many characters an alt text may have (ig-user/media reference, 2026-03).
const maxAltText = 1000

// Instagram's rules, from the ig-user/media reference (2026-03) and the error
// code page (2026-06-02).
const (
	maxCaption       = 2200
	maxHashtags      = 30
	maxMentions      = 20
	maxCollaborators = 3
	maxUserTags      = 20

	maxImageBytes = 8 << 20
	minImageWidth = 320
	minRatio      = 4.0 / 5
	maxRatio      = 1.91
	// ratioSlack forgives the rounding of a scaled picture: 1080x1350 passes,
	// and so does 1081x1352.
	ratioSlack = 0.005

	maxVideoWidth = 1920
	// A video has 23 to 60 frames a second and 25 Mbit/s of video at most. The slack is for
	// averages of a varying rate.
	minFramesPer1000s = 22_500
	maxFramesPer1000s = 61_000
	maxBitRate        = 25_000_000
	bitRateSlack      = 2_500_000
	maxAudioRate      = 48_000
	maxAudioChannels  = 2
)

// videoRules are what differs between the videos of reels and those of stories.
type videoRules struct {
	one, many          string
	maxBytes           int64
	shortest, longest  time.Duration
	minRatio, maxRatio float64
}

var (
	reelRules = videoRules{"a reel", "reels", 300_000_000, 3 * time.Second, 15 * time.Minute, 0.01, 10}
	// The videos of a carousel upload like reels (ig-user/media reference, 2026-03).
	childRules = videoRules{"a video of a carousel", "videos of carousels", 300_000_000, 3 * time.Second, 15 * time.Minute, 0.01, 10}
	storyRules = videoRules{"a video story", "video stories", 100_000_000, 3 * time.Second, time.Minute, 0.1, 10}
)

// upright is the EXIF orientation of a picture that is shown as it is stored.
const upright = 1

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
	AIGenerated   bool     `json:"is_ai_generated,omitempty"`
	// Trial is how a trial reel may become a normal one; empty if it is none.
	Trial string `json:"trial_strategy,omitempty"`
	// Poll is the poll under the caption; nil if there is none.
	Poll *Poll `json:"poll,omitempty"`
	// CommentPrompt asks the readers to comment.
	CommentPrompt bool `json:"comment_prompt,omitempty"`
	// Comment is the first comment under the post; empty if there is none.
	Comment string `json:"first_comment,omitempty"`
	// DroppedText says that a story was asked for with a text, which it cannot show.
	DroppedText bool `json:"-"`
	// OwnLocation says that the app decided on LocationID, which may be empty: the account's own
	// place is not taken.
	OwnLocation bool `json:"-"`
	// Children are the options of a carousel's files, in order.
	Children []ChildOptions `json:"children,omitempty"`
}

// ChildOptions are what an app says about one file of a carousel.
type ChildOptions struct {
	UserTags UserTags `json:"user_tags,omitempty"`
}

// childTags returns the tags of the file at a position.
func (o *Options) childTags(position int) UserTags {
	if position >= len(o.Children) {
		return nil
	}
	return o.Children[position].UserTags
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

// Content returns the caption.
func (o *Options) Content(models.Kind) view.Content { return view.Content{Text: o.Caption} }

// Describe returns the caption.
func (o *Options) Describe() (text string, facts []string) { return o.Caption, nil }

// FirstComment returns the text of the first comment.
func (o *Options) FirstComment() string { return o.Comment }

// Scopes returns what a first comment needs: reading and making comments (Comments, 2025-01-21).
func (o *Options) Scopes() map[string]string {
	if o.Comment == "" {
		return nil
	}
	return map[string]string{"first_comment": "instagram_manage_comments"}
}

// pageID finds the id of a Page in its address: facebook.com/Name-123, /p/Name-123, /pages/Name/123
// and /profile.php?id=123.
var pageID = regexp.MustCompile(`^https?://(?:[a-z-]+\.)?facebook\.com/(?:profile\.php\?(?:[^#]*&)?id=|(?:p/|pages/[^/?#]+/)?(?:[^/?#]*-)?)([0-9]{5,32})/?(?:[?&#].*)?$`)

// Normalize puts the id of a Page in the place of its address.
func (o *Options) Normalize() {
	o.LocationID, _ = LocationID(o.LocationID)
}

// Links returns the customer's links beside the file, by field: Instagram fetches them, so
// they are checked before the post is accepted.
func (o *Options) Links() map[string]string { return map[string]string{"cover_url": o.CoverURL} }

// offered lists the kinds that have an option (ig-user/media reference, 2026-03 and section
// by section: stories ignore a caption, a carousel's alt texts and tags are those of its
// files).
var offered = map[string][]models.Kind{
	"caption":         {models.Image, models.Reel, models.Carousel},
	"alt_text":        {models.Image},
	"location_id":     {models.Image, models.Reel, models.Carousel},
	"collaborators":   {models.Image, models.Reel, models.Carousel},
	"user_tags":       {models.Image, models.Reel, models.Story},
	"is_ai_generated": {models.Image, models.Reel, models.Carousel},
	"share_to_feed":   {models.Reel},
	"cover_url":       {models.Reel},
	"thumb_offset":    {models.Reel},
	"trial_strategy":  {models.Reel},
	"first_comment":   {models.Image, models.Reel, models.Carousel},
	"poll":            {models.Image, models.Reel, models.Carousel},
	"comment_prompt":  {models.Image, models.Reel, models.Carousel},
}

// plural names kinds in messages.
var plural = map[models.Kind]string{models.Image: "images", models.Reel: "reels", models.Story: "stories", models.Carousel: "carousels"}

// given tells which options an app has set.
func (o *Options) given() map[string]bool {
	return map[string]bool{
		"caption": o.Caption != "", "alt_text": o.AltText != "", "location_id": o.LocationID != "", "collaborators": len(o.Collaborators) > 0,
		"user_tags": len(o.UserTags) > 0, "is_ai_generated": o.AIGenerated, "share_to_feed": o.ShareToFeed != nil, "cover_url": o.CoverURL != "",
		"thumb_offset": o.ThumbOffsetMs != nil, "trial_strategy": o.Trial != "", "first_comment": o.Comment != "",
		"poll": o.Poll != nil, "comment_prompt": o.CommentPrompt,
	}
}

func (o *Options) checkOffered(errs *models.FieldErrors, kind models.Kind) {
	given := o.given()
	for _, name := range slices.Sorted(maps.Keys(offered)) {
		if !given[name] || slices.Contains(offered[name], kind) {
			continue
		}
		var kinds []string
		for _, k := range offered[name] {
			kinds = append(kinds, plural[k])
		}
		errs.Add(name, "is for %s only", strings.Join(kinds, ", "))
	}
}

// trialStrategies are how a trial reel may become a normal one.
var trialStrategies = []string{"MANUAL", "SS_PERFORMANCE"}

// Check checks the options as far as they do not depend on the files.
func (o *Options) Check(errs *models.FieldErrors, kind models.Kind, _ int) {
	o.checkOffered(errs, kind)
	checkText(errs, "caption", o.Caption)
	checkText(errs, "first_comment", o.Comment)
	if o.Comment != "" && strings.TrimSpace(o.Comment) == "" {
		errs.Add("first_comment", "has no text")
	}
	o.checkPeople(errs, kind)
	o.checkAddOn(errs)
	if o.LocationID != "" && !digits.MatchString(o.LocationID) {
		errs.Add("location_id", "must be the numeric id of a Facebook Page that has a location, or the Page's address with that id in it")
	}
	if n := utf8.RuneCountInString(o.AltText); n > maxAltText {
		errs.Add("alt_text", "has %d characters; Instagram takes %d at most", n, maxAltText)
	}
	if o.ThumbOffsetMs != nil && *o.ThumbOffsetMs < 0 {
		errs.Add("thumb_offset", "must not be negative (milliseconds)")
	}
	if o.Trial != "" && !slices.Contains(trialStrategies, o.Trial) {
		errs.Add("trial_strategy", "must be one of %s", strings.Join(trialStrategies, ", "))
	}
	for i, child := range o.Children {
		checkTags(errs, fmt.Sprintf("children[%d].user_tags", i), child.UserTags, models.Image)
	}
}

// checkText checks a caption or a comment. Meta documents no limits for comments; those of
// captions are the ones that its own app keeps for both.
func checkText(errs *models.FieldErrors, field, text string) {
	if n := utf8.RuneCountInString(text); n > maxCaption {
		errs.Add(field, "has %d characters; Instagram takes %d at most", n, maxCaption)
	}
	if n := len(hashtag.FindAllString(text, -1)); n > maxHashtags {
		errs.Add(field, "has %d hashtags; Instagram takes %d at most", n, maxHashtags)
	}
	if n := len(mention.FindAllString(text, -1)); n > maxMentions {
		errs.Add(field, "mentions %d accounts; Instagram takes %d at most", n, maxMentions)
	}
}

func (o *Options) checkPeople(errs *models.FieldErrors, kind models.Kind) {
	if len(o.Collaborators) > maxCollaborators {
		errs.Add("collaborators", "names %d accounts; Instagram takes %d at most", len(o.Collaborators), maxCollaborators)
	}
	for _, name := range o.Collaborators {
		checkUsername(errs, "collaborators", name)
	}
	checkTags(errs, "user_tags", o.UserTags, kind)
}

func checkTags(errs *models.FieldErrors, field string, tags UserTags, kind models.Kind) {
	if len(tags) > maxUserTags {
		errs.Add(field, "tags %d accounts; Instagram takes %d at most", len(tags), maxUserTags)
	}
	for _, tag := range tags {
		checkUsername(errs, field, tag.Username)
		checkPosition(errs, field, tag, kind)
	}
}

func checkUsername(errs *models.FieldErrors, field, name string) {
	if name == "" || strings.HasPrefix(name, "@") {
		errs.Add(field, "%q is no username: write it without @", name)
	}
}

// checkPosition: a tag on an image needs a place; on a story it may have one, on a reel none is
// shown.
func checkPosition(errs *models.FieldErrors, field string, tag UserTag, kind models.Kind) {
	outside := func(v *float64) bool { return v == nil || *v < 0 || *v > 1 }
	placed := tag.X != nil || tag.Y != nil
	if !outside(tag.X) && !outside(tag.Y) {
		return
	}
	switch {
	case kind == models.Image:
		errs.Add(field, "tag of %q needs x and y between 0 and 1 on an image", tag.Username)
	case kind == models.Story && placed:
		errs.Add(field, "tag of %q: x and y must be between 0 and 1", tag.Username)
	}
}

// CheckFile checks a stored file against Instagram's limits for the kind.
func (o *Options) CheckFile(errs *models.FieldErrors, field string, kind models.Kind, m *models.Media) {
	switch {
	case kind == models.Image:
		checkImageFile(errs, field, m)
	case kind == models.Reel:
		o.checkVideoFile(errs, field, m, reelRules)
	case kind == models.Story && isVideo(m):
		o.checkVideoFile(errs, field, m, storyRules)
	case kind == models.Story:
		checkPicture(errs, field, m)
	case isVideo(m):
		o.checkVideoFile(errs, field, m, childRules)
	default:
		checkImageFile(errs, field, m)
	}
}

// checkImageFile checks an image of the feed.
func checkImageFile(errs *models.FieldErrors, field string, m *models.Media) {
	if !checkPicture(errs, field, m) {
		return
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

// checkPicture checks what holds for every image. It reports whether the rest can be checked.
func checkPicture(errs *models.FieldErrors, field string, m *models.Media) bool {
	if m.ContentType != "image/jpeg" {
		errs.Add(field, "is %s; Instagram takes JPEG images: convert it first", m.ContentType)
		return false
	}
	// Whether Instagram turns a picture by its EXIF orientation is not documented: it might
	// go live lying on its side.
	if m.Orientation > upright {
		errs.Add(field, "is turned by EXIF: save it upright")
	}
	if m.Bytes > maxImageBytes {
		errs.Add(field, "has %d bytes; Instagram takes %d at most", m.Bytes, maxImageBytes)
	}
	return true
}

func (o *Options) checkVideoFile(errs *models.FieldErrors, field string, m *models.Media, rules videoRules) {
	if !slices.Contains([]string{"video/mp4", "video/quicktime"}, m.ContentType) {
		errs.Add(field, "is %s; %s is an MP4 or MOV video", m.ContentType, rules.one)
		return
	}
	if m.Bytes > rules.maxBytes {
		errs.Add(field, "has %d bytes; Instagram takes %s of %d at most", m.Bytes, rules.many, rules.maxBytes)
	}
	if d := m.Duration(); models.CheckLengthKnown(errs, field, m) && (d < rules.shortest || d > rules.longest) {
		errs.Add(field, "lasts %s; %s lasts %s to %s", d, rules.one, rules.shortest, rules.longest)
	}
	checkFrames(errs, field, m, rules)
	checkSound(errs, field, m)
	if o.ThumbOffsetMs != nil && m.DurationMs > 0 && *o.ThumbOffsetMs > m.DurationMs {
		errs.Add("thumb_offset", "lies behind the end of the video (%d ms)", m.DurationMs)
	}
}

func checkFrames(errs *models.FieldErrors, field string, m *models.Media, rules videoRules) {
	if m.Width > maxVideoWidth {
		errs.Add(field, "is %d pixels wide; Instagram takes %s of %d at most", m.Width, rules.many, maxVideoWidth)
	}
	if ratio := float64(m.Width) / float64(m.Height); m.Height > 0 && (ratio < rules.minRatio || ratio > rules.maxRatio) {
		errs.Add(field, "is %dx%d; Instagram takes %s with ratios from %v:1 to %v:1", m.Width, m.Height, rules.many, rules.minRatio, rules.maxRatio)
	}
	if m.Codec != "" && m.Codec != "h264" && m.Codec != "hevc" {
		errs.Add(field, "is coded as %s; Instagram takes %s in H.264 or HEVC: re-encode to H.264", m.Codec, rules.many)
	}
	if n := m.FramesPer1000s; n > 0 && (n < minFramesPer1000s || n > maxFramesPer1000s) {
		errs.Add(field, "has %s frames a second; Instagram takes 23 to 60: re-encode with ffmpeg -r 30", m.FrameRate())
	}
	if m.BitRate > maxBitRate+bitRateSlack {
		errs.Add(field, "has %.1f Mbit/s of video; Instagram takes %d at most: re-encode with ffmpeg -maxrate 25M -bufsize 50M",
			float64(m.BitRate)/1e6, maxBitRate/1_000_000)
	}
}

func checkSound(errs *models.FieldErrors, field string, m *models.Media) {
	if m.AudioCodec != "" && m.AudioCodec != "aac" {
		errs.Add(field, "has sound coded as %s; Instagram takes AAC: re-encode with ffmpeg -c:v copy -c:a aac", m.AudioCodec)
	}
	if m.AudioRate > maxAudioRate {
		errs.Add(field, "has %d sound samples a second; Instagram takes %d at most: re-encode with ffmpeg -c:v copy -c:a aac -ar %d",
			m.AudioRate, maxAudioRate, maxAudioRate)
	}
	if m.AudioChannels > maxAudioChannels {
		errs.Add(field, "has %d sound channels; Instagram takes %d at most: re-encode with ffmpeg -c:v copy -c:a aac -ac %d",
			m.AudioChannels, maxAudioChannels, maxAudioChannels)
	}
}
