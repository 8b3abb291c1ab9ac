package wire

import (
	"encoding/json"
	"strconv"
	"strings"
)

// Scalar reads a JSON string, number or boolean as its text: fields change
// their type between a platform's answers. Anything else reads as empty.
type Scalar string

// UnmarshalJSON never fails: an odd field must not hide the rest of an answer.
func (s *Scalar) UnmarshalJSON(b []byte) error {
	*s = ""
	switch {
	case len(b) == 0 || b[0] == '{' || b[0] == '[' || string(b) == "null":
	case b[0] == '"':
		var text string
		if err := json.Unmarshal(b, &text); err == nil {
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

// Bool reports whether the value is true: as a boolean, as its text, or as 1.
func (s Scalar) Bool() bool { return s == "true" || s == "1" }
