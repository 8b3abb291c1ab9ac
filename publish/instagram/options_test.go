package instagram

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
		"reel fields on an image":  {models.Image, Options{ShareToFeed: ptr(true), CoverURL: "https://a.example/x.jpg", ThumbOffsetMs: ptr(int64(1))}, "share_to_feed cover_url thumb_offset"},
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
			tc.options.Check(&errs, tc.kind)
			if got := fields(errs); got != tc.want {
				t.Errorf("fields = %q, want %q (%v)", got, tc.want, errs)
			}
		})
	}
}

func TestFile(t *testing.T) {
	image := models.Media{ContentType: "image/jpeg", Bytes: 1000, Width: 1080, Height: 1350}
	reel := models.Media{ContentType: "video/mp4", Bytes: 1000, Width: 720, Height: 1280, DurationMs: 3000}
	for name, tc := range map[string]struct {
		kind   models.Kind
		media  models.Media
		change func(*models.Media)
		bad    bool
	}{
		"4:5":               {models.Image, image, func(*models.Media) {}, false},
		"1.91:1":            {models.Image, image, func(m *models.Media) { m.Width, m.Height = 1080, 565 }, false},
		"9:16":              {models.Image, image, func(m *models.Media) { m.Height = 1920 }, true},
		"2:1":               {models.Image, image, func(m *models.Media) { m.Height = 540 }, true},
		"8 MiB":             {models.Image, image, func(m *models.Media) { m.Bytes = 8 << 20 }, false},
		"over 8 MiB":        {models.Image, image, func(m *models.Media) { m.Bytes = 8<<20 + 1 }, true},
		"319 wide":          {models.Image, image, func(m *models.Media) { m.Width, m.Height = 319, 319 }, true},
		"webp":              {models.Image, image, func(m *models.Media) { m.ContentType = "image/webp" }, true},
		"reel of 3 s":       {models.Reel, reel, func(*models.Media) {}, false},
		"reel under 3 s":    {models.Reel, reel, func(m *models.Media) { m.DurationMs = 2999 }, true},
		"reel of 15 min":    {models.Reel, reel, func(m *models.Media) { m.DurationMs = 900_000 }, false},
		"reel over 15 min":  {models.Reel, reel, func(m *models.Media) { m.DurationMs = 900_001 }, true},
		"reel over 300 MB":  {models.Reel, reel, func(m *models.Media) { m.Bytes = 300_000_001 }, true},
		"reel too wide":     {models.Reel, reel, func(m *models.Media) { m.Width = 1921 }, true},
		"webm is no reel":   {models.Reel, reel, func(m *models.Media) { m.ContentType = "video/webm" }, true},
		"a picture no reel": {models.Reel, image, func(*models.Media) {}, true},
	} {
		t.Run(name, func(t *testing.T) {
			m := tc.media
			tc.change(&m)
			var errs models.FieldErrors
			(&Options{}).CheckFile(&errs, "media_id", tc.kind, &m)
			if (len(errs) > 0) != tc.bad {
				t.Errorf("errors = %v, want bad = %v", errs, tc.bad)
			}
		})
	}
}
