// Package secrets keeps tokens from being read by those who should not: a
// string type that does not print, and the encryption of what is stored.
package secrets

import (
	"fmt"
	"log/slog"
)

// Secret is a string that no log, error, format verb or encoder shows. Only
// Reveal gives it out, to the one caller that needs it.
type Secret string

const hidden = "[secret]"

// Reveal returns the secret itself.
func (s Secret) Reveal() string { return string(s) }

// Empty reports whether there is no secret.
func (s Secret) Empty() bool { return s == "" }

// String hides the secret from callers of Stringer.
func (s Secret) String() string { return hidden }

// GoString hides the secret from callers of GoStringer.
func (s Secret) GoString() string { return hidden }

// Format hides the secret from every verb of fmt, %x and %q included.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(hidden)) }

// MarshalText hides the secret from encoders, JSON among them.
func (s Secret) MarshalText() ([]byte, error) { return []byte(hidden), nil }

// LogValue hides the secret from log/slog.
func (s Secret) LogValue() slog.Value { return slog.StringValue(hidden) }
