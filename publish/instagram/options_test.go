package instagram

import (
	"slices"
	"strings"
	"testing"

	"socialqueue/models"
)

func ptr[T any](v T) *T { return &v }

// fields gives the names of the fields that break a rule, space separated.
func fields(errs models.FieldErrors) string {
	var names []string
	for _, e := range errs {
		names = append(names, e.Field)
	}
	return strings.Join(names, " ")
}

func TestOptions(t *testing.T) {
	for name, tc := range map[string]struct {
		kind    models.Kind
		options Options
		want    string
	}{
		"empty image":              {models.Image, Options{}, ""},
		"2200 characters":          {models.Image, Options{Caption: strings.Repeat("é", 2200)}, ""},
		"2201 characters":          {models.Image, Options{Caption: strings.Repeat("é", 2201)}, "caption"},
		"30 hashtags":              {models.Image, Options{Caption: strings.Repeat("#a ", 30)}, ""},
		"31 hashtags":              {models.Image, Options{Caption: strings.Repeat("#a ", 31)}, "caption"},
		"20 mentions":              {models.Reel, Options{Caption: strings.Repeat("@a ", 20)}, ""},
		"21 mentions":              {models.Reel, Options{Caption: strings.Repeat("@a ", 21)}, "caption"},
		"addresses are no mention": {models.Reel, Options{Caption: strings.Repeat("a@b.example ", 21)}, ""},
		"location":                 {models.Image, Options{LocationID: "7640348500"}, ""},
		"location name":            {models.Image, Options{LocationID: "Berlin"}, "location_id"},
		"alt text on a reel":       {models.Reel, Options{AltText: "x"}, "alt_text"},
		"long alt text":            {models.Image, Options{AltText: strings.Repeat("x", 1001)}, "alt_text"},
		"reel fields on an image":  {models.Image, Options{ShareToFeed: ptr(true), CoverURL: "https://a.example/x.jpg", ThumbOffsetMs: ptr(int64(1))}, "cover_url share_to_feed thumb_offset"},
		"negative thumb":           {models.Reel, Options{ThumbOffsetMs: ptr(int64(-1))}, "thumb_offset"},
		"four collaborators":       {models.Image, Options{Collaborators: []string{"a", "b", "c", "d"}}, "collaborators"},
		"collaborator with @":      {models.Image, Options{Collaborators: []string{"@a"}}, "collaborators"},
		"tag without place":        {models.Image, Options{UserTags: []UserTag{{Username: "a"}}}, "user_tags"},
		"tag outside":              {models.Image, Options{UserTags: []UserTag{{Username: "a", X: ptr(1.1), Y: ptr(0.5)}}}, "user_tags"},
		"tag on an image":          {models.Image, Options{UserTags: []UserTag{{Username: "a", X: ptr(0.0), Y: ptr(1.0)}}}, ""},
		"tag on a reel":            {models.Reel, Options{UserTags: []UserTag{{Username: "a"}}}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			var errs models.FieldErrors
			tc.options.Check(&errs, tc.kind, 1)
			if got := fields(errs); got != tc.want {
				t.Errorf("fields = %q, want %q (%v)", got, tc.want, errs)
			}
		})
	}
}

func TestFile(t *testing.T) {
	image := models.Media{ContentType: "image/jpeg", Bytes: 1000, Width: 1080, Height: 1350, Orientation: 1}
	reel := models.Media{
		ContentType: "video/mp4", Bytes: 1000, Width: 720, Height: 1280, DurationMs: 3000, Codec: "h264", FramesPer1000s: 30_000,
		BitRate: 25_000_000, AudioCodec: "aac", AudioRate: 48_000, AudioChannels: 2,
	}
	const (
		ratio  = "; Instagram takes ratios from 4:5 to 1.91:1"
		turned = "is turned by EXIF: save it upright"
		length = "; a reel lasts 3s to 15m0s"
		coding = "; Instagram takes reels in H.264 or HEVC: re-encode to H.264"
		rate   = " frames a second; Instagram takes 23 to 60: re-encode with ffmpeg -r 30"
		again  = ": re-encode with ffmpeg -c:v copy -c:a aac"
	)
	for name, tc := range map[string]struct {
		kind   models.Kind
		media  models.Media
		change func(*models.Media)
		want   string
	}{
		"4:5":            {models.Image, image, func(*models.Media) {}, ""},
		"1.91:1":         {models.Image, image, func(m *models.Media) { m.Width, m.Height = 1080, 565 }, ""},
		"9:16":           {models.Image, image, func(m *models.Media) { m.Height = 1920 }, "is 1080x1920" + ratio},
		"2:1":            {models.Image, image, func(m *models.Media) { m.Height = 540 }, "is 1080x540" + ratio},
		"8 MiB":          {models.Image, image, func(m *models.Media) { m.Bytes = 8 << 20 }, ""},
		"over 8 MiB":     {models.Image, image, func(m *models.Media) { m.Bytes = 8<<20 + 1 }, "has 8388609 bytes; Instagram takes 8388608 at most"},
		"319 wide":       {models.Image, image, func(m *models.Media) { m.Width, m.Height = 319, 319 }, "is 319 pixels wide; Instagram takes 320 at least"},
		"webp":           {models.Image, image, func(m *models.Media) { m.ContentType = "image/webp" }, "is image/webp; Instagram takes JPEG images: convert it first"},
		"no orientation": {models.Image, image, func(m *models.Media) { m.Orientation = 0 }, ""},
		"mirrored":       {models.Image, image, func(m *models.Media) { m.Orientation = 2 }, turned},
		"turned":         {models.Image, image, func(m *models.Media) { m.Orientation = 6 }, turned},
		"turned, 3:4": {models.Image, image, func(m *models.Media) { m.Orientation, m.Height = 6, 1440 },
			turned + "; media_id: is 1080x1440" + ratio},

		"reel of 3 s":       {models.Reel, reel, func(*models.Media) {}, ""},
		"reel under 3 s":    {models.Reel, reel, func(m *models.Media) { m.DurationMs = 2999 }, "lasts 2.999s" + length},
		"reel of 15 min":    {models.Reel, reel, func(m *models.Media) { m.DurationMs = 900_000 }, ""},
		"reel over 15 min":  {models.Reel, reel, func(m *models.Media) { m.DurationMs = 900_001 }, "lasts 15m0.001s" + length},
		"no length":         {models.Reel, reel, func(m *models.Media) { m.DurationMs = 0 }, "does not tell how long it is: write it again with ffmpeg -c copy -movflags +faststart"},
		"reel over 300 MB":  {models.Reel, reel, func(m *models.Media) { m.Bytes = 300_000_001 }, "has 300000001 bytes; Instagram takes reels of 300000000 at most"},
		"reel too wide":     {models.Reel, reel, func(m *models.Media) { m.Width = 1921 }, "is 1921 pixels wide; Instagram takes reels of 1920 at most"},
		"webm is no reel":   {models.Reel, reel, func(m *models.Media) { m.ContentType = "video/webm" }, "is video/webm; a reel is an MP4 or MOV video"},
		"a picture no reel": {models.Reel, image, func(*models.Media) {}, "is image/jpeg; a reel is an MP4 or MOV video"},
		"of the previous release": {models.Reel, reel, func(m *models.Media) {
			*m = models.Media{ContentType: m.ContentType, Bytes: 1000, DurationMs: 3000}
		}, ""},
		"10:1":          {models.Reel, reel, func(m *models.Media) { m.Width, m.Height = 1900, 190 }, ""},
		"over 10:1":     {models.Reel, reel, func(m *models.Media) { m.Width, m.Height = 1900, 189 }, "is 1900x189; Instagram takes reels with ratios from 0.01:1 to 10:1"},
		"HEVC":          {models.Reel, reel, func(m *models.Media) { m.Codec = "hevc" }, ""},
		"MPEG-4 Part 2": {models.Reel, reel, func(m *models.Media) { m.Codec = "mp4v" }, "is coded as mp4v" + coding},
		"ProRes":        {models.Reel, reel, func(m *models.Media) { m.Codec = "apch" }, "is coded as apch" + coding},
		"VP9":           {models.Reel, reel, func(m *models.Media) { m.Codec = "vp9" }, "is coded as vp9" + coding},
		"10 frames":     {models.Reel, reel, func(m *models.Media) { m.FramesPer1000s = 10_000 }, "has 10" + rate},
		"22.5 frames":   {models.Reel, reel, func(m *models.Media) { m.FramesPer1000s = 22_500 }, ""},
		"22.499 frames": {models.Reel, reel, func(m *models.Media) { m.FramesPer1000s = 22_499 }, "has 22.499" + rate},
		"61 frames":     {models.Reel, reel, func(m *models.Media) { m.FramesPer1000s = 61_000 }, ""},
		"120 frames":    {models.Reel, reel, func(m *models.Media) { m.FramesPer1000s = 120_000 }, "has 120" + rate},
		"27.5 Mbit/s":   {models.Reel, reel, func(m *models.Media) { m.BitRate = 27_500_000 }, ""},
		"over 27.5":     {models.Reel, reel, func(m *models.Media) { m.BitRate = 50_123_456 }, "has 50.1 Mbit/s of video; Instagram takes 25 at most: re-encode with ffmpeg -maxrate 25M -bufsize 50M"},
		"no sound":      {models.Reel, reel, func(m *models.Media) { m.AudioCodec, m.AudioRate, m.AudioChannels = "", 0, 0 }, ""},
		"Opus":          {models.Reel, reel, func(m *models.Media) { m.AudioCodec = "Opus" }, "has sound coded as Opus; Instagram takes AAC" + again},
		"96 kHz":        {models.Reel, reel, func(m *models.Media) { m.AudioRate = 96_000 }, "has 96000 sound samples a second; Instagram takes 48000 at most" + again + " -ar 48000"},
		"six channels":  {models.Reel, reel, func(m *models.Media) { m.AudioChannels = 6 }, "has 6 sound channels; Instagram takes 2 at most" + again + " -ac 2"},
	} {
		t.Run(name, func(t *testing.T) {
			m := tc.media
			tc.change(&m)
			want := tc.want
			if want != "" {
				want = "media_id: " + want
			}
			var errs models.FieldErrors
			(&Options{}).CheckFile(&errs, "media_id", tc.kind, &m)
			if got := errs.Error(); got != want {
				t.Errorf("errors = %q, want %q", got, want)
			}
		})
	}
}

// A thumbnail cannot be compared with the end of a video that does not tell where it is.
func TestThumbOffset(t *testing.T) {
	for _, tc := range []struct {
		lasts int64
		want  string
	}{{3000, ""}, {2999, "thumb_offset"}, {0, ""}} {
		var errs models.FieldErrors
		m := models.Media{ContentType: "video/mp4", DurationMs: tc.lasts}
		(&Options{ThumbOffsetMs: ptr(int64(3000))}).CheckFile(&errs, "media_id", models.Reel, &m)
		errs = slices.DeleteFunc(errs, func(e models.FieldError) bool { return e.Field == "media_id" })
		if got := fields(errs); got != tc.want {
			t.Errorf("%d ms: fields = %q, want %q", tc.lasts, got, tc.want)
		}
	}
}

func TestLocationByAddress(t *testing.T) {
	for given, want := range map[string]string{
		"106078429431815": "106078429431815",
		"https://www.facebook.com/profile.php?id=100063512345678":            "100063512345678",
		"https://www.facebook.com/profile.php?ref=x&id=100063512345678&a=b":  "100063512345678",
		"https://www.facebook.com/Cafe-Central-106078429431815/":             "106078429431815",
		"https://de-de.facebook.com/p/Cafe-Central-106078429431815?locale=x": "106078429431815",
		"https://facebook.com/pages/Cafe/106078429431815":                    "106078429431815",
		"https://www.facebook.com/106078429431815":                           "106078429431815",
		"https://www.facebook.com/events/123456789":                          "https://www.facebook.com/events/123456789",
		"https://www.facebook.com/Cafe-11111/posts/222222":                   "https://www.facebook.com/Cafe-11111/posts/222222",
		"https://www.facebook.com/cafecentral":                               "https://www.facebook.com/cafecentral",
		"https://evil.example/facebook.com/106078429431815":                  "https://evil.example/facebook.com/106078429431815",
	} {
		o := Options{LocationID: given}
		if o.Normalize(); o.LocationID != want {
			t.Errorf("%s: %s, want %s", given, o.LocationID, want)
		}
	}
}
