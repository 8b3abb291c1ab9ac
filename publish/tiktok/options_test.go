package tiktok

import (
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
		options Options
		want    string
	}{
		"good":                       {Options{Title: "hi", PrivacyLevel: "SELF_ONLY"}, ""},
		"2200 units":                 {Options{Title: strings.Repeat("a", 2200), PrivacyLevel: "SELF_ONLY"}, ""},
		"2201 units":                 {Options{Title: strings.Repeat("a", 2201), PrivacyLevel: "SELF_ONLY"}, "title"},
		"1100 emoji are 2200 units":  {Options{Title: strings.Repeat("🙂", 1100), PrivacyLevel: "SELF_ONLY"}, ""},
		"1101 emoji are 2202 units":  {Options{Title: strings.Repeat("🙂", 1101), PrivacyLevel: "SELF_ONLY"}, "title"},
		"2200 accents are one each":  {Options{Title: strings.Repeat("é", 2200), PrivacyLevel: "SELF_ONLY"}, ""},
		"no privacy":                 {Options{}, "privacy_level"},
		"wrong privacy":              {Options{PrivacyLevel: "PUBLIC"}, "privacy_level"},
		"branded and private":        {Options{PrivacyLevel: "SELF_ONLY", BrandContent: true}, "brand_content_toggle"},
		"branded and public":         {Options{PrivacyLevel: "PUBLIC_TO_EVERYONE", BrandContent: true}, ""},
		"own brand and private":      {Options{PrivacyLevel: "SELF_ONLY", BrandOrganic: true}, ""},
		"cover before the beginning": {Options{PrivacyLevel: "SELF_ONLY", CoverTimestampMs: ptr(int32(-1))}, "video_cover_timestamp_ms"},
	} {
		t.Run(name, func(t *testing.T) {
			var errs models.FieldErrors
			tc.options.Check(&errs, models.Video, 1)
			if got := fields(errs); got != tc.want {
				t.Errorf("fields = %q, want %q (%v)", got, tc.want, errs)
			}
		})
	}
}

func TestFile(t *testing.T) {
	good := models.Media{
		ContentType: "video/mp4", Bytes: 1000, DurationMs: 5000, Width: 720, Height: 1280, Codec: "h264", FramesPer1000s: 30_000,
		AudioCodec: "opus", AudioRate: 96_000, AudioChannels: 6, BitRate: 80_000_000, // TikTok has no rules for these
	}
	const (
		rate   = " frames a second; TikTok takes 23 to 60: re-encode with ffmpeg -r 30"
		coding = "; TikTok takes H.264, H.265, VP8 or VP9: re-encode to H.264"
		length = "does not tell how long it is: write it again with ffmpeg -c copy"
	)
	for name, tc := range map[string]struct {
		change func(*models.Media)
		cover  *int32
		want   string
	}{
		"good":                    {func(*models.Media) {}, nil, ""},
		"of the previous release": {func(m *models.Media) { m.Codec, m.FramesPer1000s, m.Width, m.Height = "", 0, 0, 0 }, nil, ""},
		"webm, no duration":       {func(m *models.Media) { m.ContentType, m.DurationMs = "video/webm", 0 }, nil, "media_id: " + length},
		"mp4, no duration":        {func(m *models.Media) { m.DurationMs = 0 }, nil, "media_id: " + length + " -movflags +faststart"},
		"a picture":               {func(m *models.Media) { m.ContentType = "image/jpeg" }, nil, "media_id: is image/jpeg; TikTok takes MP4, MOV or WebM videos"},
		"4 GB":                    {func(m *models.Media) { m.Bytes = 4_000_000_000 }, nil, ""},
		"over 4 GB":               {func(m *models.Media) { m.Bytes = 4_000_000_001 }, nil, "media_id: has 4000000001 bytes; TikTok takes 4000000000 at most"},
		"10 min":                  {func(m *models.Media) { m.DurationMs = 600_000 }, nil, ""},
		"over 10 min":             {func(m *models.Media) { m.DurationMs = 600_001 }, nil, "media_id: lasts 10m0.001s; TikTok takes 10m0s at most"},
		"narrow":                  {func(m *models.Media) { m.Width = 359 }, nil, "media_id: is 359x1280; TikTok takes sides of 360 to 4096 pixels"},
		"tall":                    {func(m *models.Media) { m.Height = 4097 }, nil, "media_id: is 720x4097; TikTok takes sides of 360 to 4096 pixels"},
		"cover behind":            {func(*models.Media) {}, ptr(int32(5001)), "video_cover_timestamp_ms: lies behind the end of the video (5000 ms)"},
		"cover, no duration":      {func(m *models.Media) { m.DurationMs = 0 }, ptr(int32(1)), "media_id: " + length + " -movflags +faststart"},
		"H.265":                   {func(m *models.Media) { m.Codec = "hevc" }, nil, ""},
		"VP8":                     {func(m *models.Media) { m.Codec = "vp8" }, nil, ""},
		"VP9":                     {func(m *models.Media) { m.Codec = "vp9" }, nil, ""},
		"AV1":                     {func(m *models.Media) { m.Codec = "av1" }, nil, "media_id: is coded as av1" + coding},
		"MPEG-4 Part 2":           {func(m *models.Media) { m.Codec = "mp4v" }, nil, "media_id: is coded as mp4v" + coding},
		"10 frames":               {func(m *models.Media) { m.FramesPer1000s = 10_000 }, nil, "media_id: has 10" + rate},
		"22.499 frames":           {func(m *models.Media) { m.FramesPer1000s = 22_499 }, nil, "media_id: has 22.499" + rate},
		"22.5 frames":             {func(m *models.Media) { m.FramesPer1000s = 22_500 }, nil, ""},
		"23.976 frames":           {func(m *models.Media) { m.FramesPer1000s = 23_976 }, nil, ""},
		"61 frames":               {func(m *models.Media) { m.FramesPer1000s = 61_000 }, nil, ""},
		"61.001 frames":           {func(m *models.Media) { m.FramesPer1000s = 61_001 }, nil, "media_id: has 61.001" + rate},
		"120 frames":              {func(m *models.Media) { m.FramesPer1000s = 120_000 }, nil, "media_id: has 120" + rate},
	} {
		t.Run(name, func(t *testing.T) {
			m := good
			tc.change(&m)
			var errs models.FieldErrors
			(&Options{CoverTimestampMs: tc.cover}).CheckFile(&errs, "media_id", models.Video, &m)
			if got := errs.Error(); got != tc.want {
				t.Errorf("errors = %q, want %q", got, tc.want)
			}
		})
	}
}
