package instagram

import (
	"math"

	"socialqueue/models"
)

// warnHashtags is how many hashtags Instagram is said to show since December 2025 (Ayrshare and
// two open projects check 5; Meta's error page still says 30, which is refused).
const warnHashtags = 5

// Warn notes what Instagram ignores or changes.
func (o *Options) Warn(warnings *models.FieldErrors, kind models.Kind, files []*models.Media) {
	if n := len(hashtag.FindAllString(o.Caption, -1)); n > warnHashtags {
		warnings.Add("caption", "has %d hashtags; Instagram may use %d only", n, warnHashtags)
	}
	if o.CoverURL != "" && o.ThumbOffsetMs != nil {
		warnings.Add("thumb_offset", "has no effect: cover_url wins")
	}
	switch kind {
	case models.Story:
		if o.DroppedText {
			warnings.Add("caption", "content.text is not shown: a story has no text")
		}
		warnings.Add("kind", "Instagram publishes stories of business accounts only, not of creator accounts")
		warnShape(warnings, files, 9.0/16)
	case models.Carousel:
		if first := ratioOf(files); first > 0 {
			warnShape(warnings, files[1:], first)
		}
	}
}

func ratioOf(files []*models.Media) float64 {
	if len(files) == 0 || files[0] == nil || files[0].Height == 0 {
		return 0
	}
	return float64(files[0].Width) / float64(files[0].Height)
}

// warnShape: a carousel's files are cropped to the ratio of the first, a story's are shown with
// edges (Content Publishing, 2026).
func warnShape(warnings *models.FieldErrors, files []*models.Media, ratio float64) {
	for _, m := range files {
		if m == nil || m.Height == 0 {
			continue
		}
		if own := float64(m.Width) / float64(m.Height); math.Abs(own-ratio) > ratio/100 {
			warnings.Add("media", "a file of %dx%d is cropped or gets edges: the ratio here is %.2f:1", m.Width, m.Height, ratio)
		}
	}
}
