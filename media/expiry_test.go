package media

import (
	"testing"
	"time"
)

func TestExpiry(t *testing.T) {
	for link, want := range map[string]string{
		"https://b.s3.amazonaws.com/v.mp4?X-Amz-Date=20261130T120000Z&X-Amz-Expires=3600&X-Amz-Signature=a": "2026-11-30T13:00:00Z",
		"https://storage.googleapis.com/b/v.mp4?X-Goog-Date=20261130T120000Z&X-Goog-Expires=60":             "2026-11-30T12:01:00Z",
		"https://d1.cloudfront.net/v.mp4?Expires=1796040000&Signature=a&Key-Pair-Id=b":                      "2026-11-30T12:00:00Z",
		"https://a.blob.core.windows.net/c/v.mp4?se=2026-11-30T12%3A00%3A00Z&sig=a":                         "2026-11-30T12:00:00Z",
		"https://example.com/v.mp4":                                                                "",
		"https://example.com/v.mp4?Expires=1796040000":                                             "",
		"https://example.com/v.mp4?se=soon&sig=a":                                                  "",
		"https://example.com/v.mp4?X-Amz-Date=now&X-Amz-Expires=3600":                              "",
		"https://example.com/v.mp4?X-Amz-Date=20261130T120000Z&X-Amz-Expires=99999999999999999999": "",
		"://": "",
	} {
		got := ""
		if at := Expiry(link); !at.IsZero() {
			got = at.Format(time.RFC3339)
		}
		if got != want {
			t.Errorf("%s: %q, want %q", link, got, want)
		}
	}
}
