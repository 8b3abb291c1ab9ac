package wire

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"time"
)

// Scalar reads a JSON string, number or boolean as its text: fields change
// their type between a platform's answers. Anything else reads as empty, and so
// does a text with a NUL, which no database keeps.
type Scalar string

// UnmarshalJSON never fails: an odd field must not hide the rest of an answer.
func (s *Scalar) UnmarshalJSON(b []byte) error {
	*s = ""
	switch {
	case len(b) == 0 || b[0] == '{' || b[0] == '[' || string(b) == "null":
	case b[0] == '"':
		var text string
		if err := json.Unmarshal(b, &text); err == nil && !strings.ContainsRune(text, 0) {
			*s = Scalar(text)
		}
	default:
		*s = Scalar(b)
	}
	return nil
}

// Number gives the value as an integer, 0 when it is none.
func (s Scalar) Number() int64 {
	n, err := strconv.ParseInt(strings.TrimSpace(string(s)), 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// Seconds gives the value as a span of seconds, 0 when it is none, negative or
// longer than a Duration can be.
func (s Scalar) Seconds() time.Duration {
	n := s.Number()
	if n < 0 || n > int64(math.MaxInt64/time.Second) {
		return 0
	}
	return time.Duration(n) * time.Second
}

// maxUnix is the last second of the year 9999; encoders refuse what is later.
const maxUnix = 253402300799

// Time gives the value, in seconds since 1970, as a time in UTC. 0 and what is no
// time give the zero time.
func (s Scalar) Time() time.Time {
	n := s.Number()
	if n <= 0 || n > maxUnix {
		return time.Time{}
	}
	return time.Unix(n, 0).UTC()
}

// Bool reports whether the value is true: as a boolean, as its text, or as 1.
func (s Scalar) Bool() bool { return s == "true" || s == "1" }
