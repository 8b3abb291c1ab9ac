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
			tc.options.Check(&errs, models.Video)
			if got := fields(errs); got != tc.want {
				t.Errorf("fields = %q, want %q (%v)", got, tc.want, errs)
			}
		})
	}
}

func TestFile(t *testing.T) {
	good := models.Media{ContentType: "video/mp4", Bytes: 1000, DurationMs: 5000, Width: 720, Height: 1280}
	for name, tc := range map[string]struct {
		change func(*models.Media)
		cover  *int32
		want   string
	}{
		"good":              {func(*models.Media) {}, nil, ""},
		"webm, no duration": {func(m *models.Media) { m.ContentType, m.DurationMs, m.Width, m.Height = "video/webm", 0, 0, 0 }, nil, ""},
		"a picture":         {func(m *models.Media) { m.ContentType = "image/jpeg" }, nil, "media_id"},
		"4 GB":              {func(m *models.Media) { m.Bytes = 4_000_000_000 }, nil, ""},
		"over 4 GB":         {func(m *models.Media) { m.Bytes = 4_000_000_001 }, nil, "media_id"},
		"10 min":            {func(m *models.Media) { m.DurationMs = 600_000 }, nil, ""},
		"over 10 min":       {func(m *models.Media) { m.DurationMs = 600_001 }, nil, "media_id"},
		"narrow":            {func(m *models.Media) { m.Width = 359 }, nil, "media_id"},
		"tall":              {func(m *models.Media) { m.Height = 4097 }, nil, "media_id"},
		"cover behind":      {func(*models.Media) {}, ptr(int32(5001)), "video_cover_timestamp_ms"},
	} {
		t.Run(name, func(t *testing.T) {
			m := good
			tc.change(&m)
			var errs models.FieldErrors
			(&Options{CoverTimestampMs: tc.cover}).CheckFile(&errs, "media_id", models.Video, &m)
			if got := fields(errs); got != tc.want {
				t.Errorf("fields = %q, want %q (%v)", got, tc.want, errs)
			}
		})
	}
}
