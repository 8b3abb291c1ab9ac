package models

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

func ptr[T any](v T) *T { return &v }

// fields returns the names of the fields with errors, separated by spaces.
func fields(errs FieldErrors) string {
	var names []string
	for _, e := range errs {
		names = append(names, e.Field)
	}
	return strings.Join(names, " ")
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
		t.Error("a post with max_lateness 1m must be too late after 1m, and not before")
	}
	forever := Post{}
	forever.SetPublishAt(now)
	if forever.TooLate(now.Add(1000 * time.Hour)) {
		t.Error("a post without max_lateness must never be too late")
	}
}

func TestFieldErrorsAreBounded(t *testing.T) {
	var errs FieldErrors
	for range 100_000 {
		errs.Add(strings.Repeat("f", 1000), "%s", strings.Repeat("é", 1000))
	}
	if len(errs) != 20 || !errs.Full() {
		t.Errorf("%d errors are kept, want 20", len(errs))
	}
	if n := utf8.RuneCountInString(errs[0].Field); n != 100 {
		t.Errorf("the name has %d characters, want 100", n)
	}
	if n := utf8.RuneCountInString(errs[0].Message); n != 300 || !strings.HasSuffix(errs[0].Message, "é...") {
		t.Errorf("the message has %d characters, want 300: %s", n, errs[0].Message)
	}
}

func TestShorten(t *testing.T) {
	for text, want := range map[string]string{
		"": "", "short": "short", "exactly 10": "exactly 10", "eleven, yes": "eleven,...", "éééééééééé": "éééééééééé", "ééééééééééé": "ééééééé...", "a\xffb": "a\uFFFDb",
	} {
		if got := Shorten(text, 10); got != want {
			t.Errorf("Shorten(%q) = %q, want %q", text, got, want)
		}
	}
}
