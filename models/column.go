package models

import (
	"time"
)

// Cut shortens s to at most most characters, so that it fits a column of that size.
func Cut(s string, most int) string {
	n := 0
	for i := range s {
		if n == most {
			return s[:i]
		}
		n++
	}
	return s
}

// TimeOrNil converts t to the value of a nullable column: nil for the zero time.
func TimeOrNil(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = Time(t)
	return &t
}
