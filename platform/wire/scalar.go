package wire

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"time"
)

// Scalar reads a JSON string, number or boolean as text, because fields change their type
// between a platform's answers. Other values read as empty, and so does a text with a NUL,
// which no database stores.
type Scalar string

// UnmarshalJSON never fails, so that an unexpected field does not hide the rest of an
// answer.
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

// Number returns the value as an integer, or 0 if it is none.
func (s Scalar) Number() int64 {
	n, err := strconv.ParseInt(strings.TrimSpace(string(s)), 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// Seconds returns the value as a number of seconds. It is 0 if the value is no number,
// negative or too large for a Duration.
func (s Scalar) Seconds() time.Duration {
	n := s.Number()
	if n < 0 || n > int64(math.MaxInt64/time.Second) {
		return 0
	}
	return time.Duration(n) * time.Second
}

// maxUnix is the last second of the year 9999; encoders refuse later times.
const maxUnix = 253402300799

// Time returns the value, in seconds since 1970, as a time in UTC. 0 and invalid values
// return the zero time.
func (s Scalar) Time() time.Time {
	n := s.Number()
	if n <= 0 || n > maxUnix {
		return time.Time{}
	}
	return time.Unix(n, 0).UTC()
}

// Bool reports whether the value is true: a boolean, the text "true", or 1.
func (s Scalar) Bool() bool { return s == "true" || s == "1" }
