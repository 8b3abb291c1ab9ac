package main

import "testing"

// Foreign text is printed on one line, with its words separated.
func TestPrintable(t *testing.T) {
	for in, want := range map[string]string{
		"plain":                     "plain",
		"Grüße 🎬":                   "Grüße 🎬",
		"refused:\n\t127.0.0.1\r\n": "refused: 127.0.0.1",
		"a\tb":                      "a b",
		"\x1b[2Jgone\x00\u202e":     "[2Jgone",
		"":                          "",
	} {
		if got := printable(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}
