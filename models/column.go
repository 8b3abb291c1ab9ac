package models

import (
	"time"
	"unicode/utf8"
)

// Cut returns the first most characters of s, which is what a column of that size holds.
func Cut(s string, most int) string {
	if utf8.RuneCountInString(s) <= most {
		return s
	}
	return string([]rune(s)[:most])
}

// TimeOrNil returns what a column holds of t: nil for the zero time.
func TimeOrNil(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = Time(t)
	return &t
}
