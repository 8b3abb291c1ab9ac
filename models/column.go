package models

import (
	"time"
	"unicode/utf8"
)

// Cut shortens s to at most most characters, so that it fits a column of that size.
func Cut(s string, most int) string {
	if utf8.RuneCountInString(s) <= most {
		return s
	}
	return string([]rune(s)[:most])
}

// TimeOrNil converts t to the value of a nullable column: nil for the zero time.
func TimeOrNil(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = Time(t)
	return &t
}
