package models

import (
	"strings"
	"testing"
	"time"
)

func ptr[T any](v T) *T { return &v }

// fields gives the names of the fields that break a rule, space separated.
func fields(errs FieldErrors) string {
	var names []string
	for _, e := range errs {
		names = append(names, e.Field)
	}
	return strings.Join(names, " ")
}

func TestTikTokContent(t *testing.T) {
	for name, tc := range map[string]struct {
		content TikTokContent
		want    string
	}{
		"good":                       {TikTokContent{Title: "hi", PrivacyLevel: "SELF_ONLY"}, ""},
		"2200 units":                 {TikTokContent{Title: strings.Repeat("a", 2200), PrivacyLevel: "SELF_ONLY"}, ""},
		"2201 units":                 {TikTokContent{Title: strings.Repeat("a", 2201), PrivacyLevel: "SELF_ONLY"}, "title"},
		"1100 emoji are 2200 units":  {TikTokContent{Title: strings.Repeat("🙂", 1100), PrivacyLevel: "SELF_ONLY"}, ""},
		"1101 emoji are 2202 units":  {TikTokContent{Title: strings.Repeat("🙂", 1101), PrivacyLevel: "SELF_ONLY"}, "title"},
		"2200 accents are one each":  {TikTokContent{Title: strings.Repeat("é", 2200), PrivacyLevel: "SELF_ONLY"}, ""},
		"no privacy":                 {TikTokContent{}, "privacy_level"},
		"wrong privacy":              {TikTokContent{PrivacyLevel: "PUBLIC"}, "privacy_level"},
		"branded and private":        {TikTokContent{PrivacyLevel: "SELF_ONLY", BrandContent: true}, "brand_content_toggle"},
		"branded and public":         {TikTokContent{PrivacyLevel: "PUBLIC_TO_EVERYONE", BrandContent: true}, ""},
		"own brand and private":      {TikTokContent{PrivacyLevel: "SELF_ONLY", BrandOrganic: true}, ""},
		"cover before the beginning": {TikTokContent{PrivacyLevel: "SELF_ONLY", CoverTimestampMs: ptr(int32(-1))}, "video_cover_timestamp_ms"},
	} {
		t.Run(name, func(t *testing.T) {
			var errs FieldErrors
			tc.content.Check(&errs)
			if got := fields(errs); got != tc.want {
				t.Errorf("fields = %q, want %q (%v)", got, tc.want, errs)
			}
		})
	}
}

func TestTikTokFile(t *testing.T) {
	good := Media{ContentType: "video/mp4", Bytes: 1000, DurationMs: 5000, Width: 720, Height: 1280}
	for name, tc := range map[string]struct {
		change func(*Media)
		cover  *int32
		want   string
	}{
		"good":              {func(*Media) {}, nil, ""},
		"webm, no duration": {func(m *Media) { m.ContentType, m.DurationMs, m.Width, m.Height = "video/webm", 0, 0, 0 }, nil, ""},
		"a picture":         {func(m *Media) { m.ContentType = "image/jpeg" }, nil, "media_id"},
		"4 GB":              {func(m *Media) { m.Bytes = 4_000_000_000 }, nil, ""},
		"over 4 GB":         {func(m *Media) { m.Bytes = 4_000_000_001 }, nil, "media_id"},
		"10 min":            {func(m *Media) { m.DurationMs = 600_000 }, nil, ""},
		"over 10 min":       {func(m *Media) { m.DurationMs = 600_001 }, nil, "media_id"},
		"narrow":            {func(m *Media) { m.Width = 359 }, nil, "media_id"},
		"tall":              {func(m *Media) { m.Height = 4097 }, nil, "media_id"},
		"cover behind":      {func(*Media) {}, ptr(int32(5001)), "video_cover_timestamp_ms"},
	} {
		t.Run(name, func(t *testing.T) {
			m := good
			tc.change(&m)
			var errs FieldErrors
			(&TikTokContent{CoverTimestampMs: tc.cover}).CheckFile(&errs, "media_id", &m)
			if got := fields(errs); got != tc.want {
				t.Errorf("fields = %q, want %q (%v)", got, tc.want, errs)
			}
		})
	}
}

func TestInstagramContent(t *testing.T) {
	for name, tc := range map[string]struct {
		kind    Kind
		content InstagramContent
		want    string
	}{
		"empty image":              {Image, InstagramContent{}, ""},
		"2200 characters":          {Image, InstagramContent{Caption: strings.Repeat("é", 2200)}, ""},
		"2201 characters":          {Image, InstagramContent{Caption: strings.Repeat("é", 2201)}, "caption"},
		"30 hashtags":              {Image, InstagramContent{Caption: strings.Repeat("#a ", 30)}, ""},
		"31 hashtags":              {Image, InstagramContent{Caption: strings.Repeat("#a ", 31)}, "caption"},
		"20 mentions":              {Reel, InstagramContent{Caption: strings.Repeat("@a ", 20)}, ""},
		"21 mentions":              {Reel, InstagramContent{Caption: strings.Repeat("@a ", 21)}, "caption"},
		"addresses are no mention": {Reel, InstagramContent{Caption: strings.Repeat("a@b.example ", 21)}, ""},
		"location":                 {Image, InstagramContent{LocationID: "7640348500"}, ""},
		"location name":            {Image, InstagramContent{LocationID: "Berlin"}, "location_id"},
		"alt text on a reel":       {Reel, InstagramContent{AltText: "x"}, "alt_text"},
		"long alt text":            {Image, InstagramContent{AltText: strings.Repeat("x", 1001)}, "alt_text"},
		"reel fields on an image":  {Image, InstagramContent{ShareToFeed: ptr(true), CoverURL: "https://a.example/x.jpg", ThumbOffsetMs: ptr(int64(1))}, "share_to_feed cover_url thumb_offset"},
		"negative thumb":           {Reel, InstagramContent{ThumbOffsetMs: ptr(int64(-1))}, "thumb_offset"},
		"four collaborators":       {Image, InstagramContent{Collaborators: []string{"a", "b", "c", "d"}}, "collaborators"},
		"collaborator with @":      {Image, InstagramContent{Collaborators: []string{"@a"}}, "collaborators"},
		"tag without place":        {Image, InstagramContent{UserTags: []UserTag{{Username: "a"}}}, "user_tags"},
		"tag outside":              {Image, InstagramContent{UserTags: []UserTag{{Username: "a", X: ptr(1.1), Y: ptr(0.5)}}}, "user_tags"},
		"tag on an image":          {Image, InstagramContent{UserTags: []UserTag{{Username: "a", X: ptr(0.0), Y: ptr(1.0)}}}, ""},
		"tag on a reel":            {Reel, InstagramContent{UserTags: []UserTag{{Username: "a"}}}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			var errs FieldErrors
			tc.content.Check(&errs, tc.kind)
			if got := fields(errs); got != tc.want {
				t.Errorf("fields = %q, want %q (%v)", got, tc.want, errs)
			}
		})
	}
}

func TestInstagramFile(t *testing.T) {
	image := Media{ContentType: "image/jpeg", Bytes: 1000, Width: 1080, Height: 1350}
	reel := Media{ContentType: "video/mp4", Bytes: 1000, Width: 720, Height: 1280, DurationMs: 3000}
	for name, tc := range map[string]struct {
		kind   Kind
		media  Media
		change func(*Media)
		bad    bool
	}{
		"4:5":               {Image, image, func(*Media) {}, false},
		"1.91:1":            {Image, image, func(m *Media) { m.Width, m.Height = 1080, 565 }, false},
		"9:16":              {Image, image, func(m *Media) { m.Height = 1920 }, true},
		"2:1":               {Image, image, func(m *Media) { m.Height = 540 }, true},
		"8 MiB":             {Image, image, func(m *Media) { m.Bytes = 8 << 20 }, false},
		"over 8 MiB":        {Image, image, func(m *Media) { m.Bytes = 8<<20 + 1 }, true},
		"319 wide":          {Image, image, func(m *Media) { m.Width, m.Height = 319, 319 }, true},
		"webp":              {Image, image, func(m *Media) { m.ContentType = "image/webp" }, true},
		"reel of 3 s":       {Reel, reel, func(*Media) {}, false},
		"reel under 3 s":    {Reel, reel, func(m *Media) { m.DurationMs = 2999 }, true},
		"reel of 15 min":    {Reel, reel, func(m *Media) { m.DurationMs = 900_000 }, false},
		"reel over 15 min":  {Reel, reel, func(m *Media) { m.DurationMs = 900_001 }, true},
		"reel over 300 MB":  {Reel, reel, func(m *Media) { m.Bytes = 300_000_001 }, true},
		"reel too wide":     {Reel, reel, func(m *Media) { m.Width = 1921 }, true},
		"webm is no reel":   {Reel, reel, func(m *Media) { m.ContentType = "video/webm" }, true},
		"a picture no reel": {Reel, image, func(*Media) {}, true},
	} {
		t.Run(name, func(t *testing.T) {
			m := tc.media
			tc.change(&m)
			var errs FieldErrors
			(&InstagramContent{}).CheckFile(&errs, "media_id", tc.kind, &m)
			if (len(errs) > 0) != tc.bad {
				t.Errorf("errors = %v, want bad = %v", errs, tc.bad)
			}
		})
	}
}

func TestTimes(t *testing.T) {
	now := time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	for name, tc := range map[string]struct {
		at   time.Time
		want string
	}{
		"now":               {now, ""},
		"clock a bit off":   {now.Add(-5 * time.Second), ""},
		"past":              {now.Add(-6 * time.Second), "publish_at"},
		"in a year":         {now.Add(366 * 24 * time.Hour), ""},
		"more than a year":  {now.Add(367 * 24 * time.Hour), "publish_at"},
		"other zone, ahead": {now.Add(time.Hour).In(time.FixedZone("x", 3600)), ""},
	} {
		t.Run(name, func(t *testing.T) {
			var errs FieldErrors
			CheckPublishAt(&errs, tc.at, now)
			if got := fields(errs); got != tc.want {
				t.Errorf("fields = %q, want %q", got, tc.want)
			}
		})
	}
	post := Post{MaxLatenessMs: ptr(int64(60_000))}
	post.SetPublishAt(now)
	if post.TooLate(now.Add(time.Minute)) || !post.TooLate(now.Add(time.Minute+1)) {
		t.Error("a post with max_lateness 1m is too late from 1m on, not before")
	}
	forever := Post{}
	forever.SetPublishAt(now)
	if forever.TooLate(now.Add(1000 * time.Hour)) {
		t.Error("a post without max_lateness is never too late")
	}
}
