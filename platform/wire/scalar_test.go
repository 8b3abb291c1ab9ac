package wire

import (
	"encoding/json"
	"testing"
	"time"
)

func TestScalar(t *testing.T) {
	for in, want := range map[string]struct {
		text   string
		number int64
		is     bool
	}{
		`"text"`:                {"text", 0, false},
		`"\u00e4\n"`:            {"ä\n", 0, false},
		`7602997517160123666`:   {"7602997517160123666", 7602997517160123666, false}, // over 2^53
		`"7602997517160123666"`: {"7602997517160123666", 7602997517160123666, false},
		`" -4 "`:                {" -4 ", -4, false},
		`1`:                     {"1", 1, true},
		`"1"`:                   {"1", 1, true},
		`1.5`:                   {"1.5", 0, false},
		`1e3`:                   {"1e3", 0, false},
		`99999999999999999999`:  {"99999999999999999999", 0, false},
		`true`:                  {"true", 0, true},
		`"true"`:                {"true", 0, true},
		`false`:                 {"false", 0, false},
		`null`:                  {"", 0, false},
		`{"a":1}`:               {"", 0, false},
		`[1]`:                   {"", 0, false},
		`""`:                    {"", 0, false},
		`"a\u0000b"`:            {"", 0, false},
	} {
		got := struct{ V Scalar }{"before"}
		if err := json.Unmarshal([]byte(`{"V":`+in+`}`), &got); err != nil {
			t.Errorf("%s: %v", in, err)
		}
		if string(got.V) != want.text || got.V.Number() != want.number || got.V.Bool() != want.is {
			t.Errorf("%s: got %q %d %t, want %+v", in, got.V, got.V.Number(), got.V.Bool(), want)
		}
	}
	for _, in := range []string{``, `"cut`} { // no JSON: only a direct call gets it
		s := Scalar("before")
		if err := s.UnmarshalJSON([]byte(in)); err != nil || s != "" {
			t.Errorf("%q: got %q %v", in, s, err)
		}
	}
}

func TestScalarSecondsAndTime(t *testing.T) {
	for in, want := range map[Scalar]struct {
		span time.Duration
		at   time.Time
	}{
		"7200":                 {2 * time.Hour, time.Unix(7200, 0).UTC()},
		"9223372036":           {9223372036 * time.Second, time.Unix(9223372036, 0).UTC()},
		"9223372037":           {0, time.Unix(9223372037, 0).UTC()}, // more than a Duration holds
		"253402300799":         {0, time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)},
		"253402300800":         {},
		"9223372036854775807":  {},
		"-1":                   {},
		"-9223372036854775808": {},
		"0":                    {},
		"1e3":                  {},
		"":                     {},
	} {
		if span, at := in.Seconds(), in.Time(); span != want.span || !at.Equal(want.at) || at.Location() != time.UTC {
			t.Errorf("%q: got %s %s, want %+v", in, span, at, want)
		}
	}
}
