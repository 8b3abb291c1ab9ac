package secrets

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

const keyText = "0123456789abcdef0123456789abcdef"

func TestSecretDoesNotPrint(t *testing.T) {
	s := Secret("act.hunter2")
	holder := struct{ Token Secret }{s}
	var out bytes.Buffer
	for _, verb := range []string{"%s", "%v", "%+v", "%#v", "%q", "%x", "%X", "%d"} {
		fmt.Fprintf(&out, verb+" "+verb+"\n", s, holder)
	}
	slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "token", s)
	encoded, err := json.Marshal(map[string]any{"a": s, "b": holder})
	if err != nil {
		t.Fatal(err)
	}
	out.Write(encoded)
	for _, leak := range []string{"hunter2", hex.EncodeToString([]byte("hunter2")), strings.ToUpper(hex.EncodeToString([]byte("hunter2")))} {
		if strings.Contains(out.String(), leak) {
			t.Errorf("output holds %q:\n%s", leak, out.String())
		}
	}
	if s.Reveal() != "act.hunter2" {
		t.Errorf("Reveal = %q", s.Reveal())
	}
}

func TestParseKeyring(t *testing.T) {
	raw := []byte(keyText)
	for name, tc := range map[string]struct {
		list string
		ok   bool
	}{
		"32 characters":    {keyText, true},
		"hex":              {hex.EncodeToString(raw), true},
		"base64":           {base64.StdEncoding.EncodeToString(raw), true},
		"raw url base64":   {base64.RawURLEncoding.EncodeToString(raw), true},
		"several":          {NewRandomKey() + ", " + keyText, true},
		"short":            {"abc", false},
		"31 bytes, base64": {base64.StdEncoding.EncodeToString(raw[:31]), false},
		"empty":            {"", false},
		"empty second":     {keyText + ",", false},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := ParseKeyring(tc.list); (err == nil) != tc.ok {
				t.Errorf("err = %v, want ok = %v", err, tc.ok)
			}
		})
	}
}

func mustRing(t *testing.T, list string) *Keyring {
	t.Helper()
	ring, err := ParseKeyring(list)
	if err != nil {
		t.Fatal(err)
	}
	return ring
}

func TestSealOpen(t *testing.T) {
	old, next := keyText, NewRandomKey()
	ring := mustRing(t, old)
	sealed, err := ring.Seal("act.1", "row 1")
	if err != nil {
		t.Fatal(err)
	}
	again, _ := ring.Seal("act.1", "row 1")
	if sealed == again {
		t.Error("two seals of one secret are equal: the nonce is not random")
	}
	if strings.Contains(sealed, "act.1") {
		t.Error("sealed text shows the secret")
	}
	if got, err := mustRing(t, next+","+old).Open(sealed, "row 1"); err != nil || got.Reveal() != "act.1" {
		t.Errorf("open with a rotated ring: %q, %v", got.Reveal(), err)
	}
	if _, err := ring.Open(sealed, "row 2"); !errors.Is(err, ErrTampered) {
		t.Errorf("open under another row: err = %v, want ErrTampered", err)
	}
	if _, err := mustRing(t, next).Open(sealed, "row 1"); !errors.Is(err, ErrUnknownKey) {
		t.Errorf("open without the key: err = %v, want ErrUnknownKey", err)
	}
	if got, err := ring.Open("", "row 1"); err != nil || !got.Empty() {
		t.Errorf("open of nothing: %v, %v", got, err)
	}
}

func FuzzOpen(f *testing.F) {
	ring, err := ParseKeyring(keyText)
	if err != nil {
		f.Fatal(err)
	}
	sealed, _ := ring.Seal("act.1", "row 1")
	f.Add(sealed)
	f.Add("v1.." + sealed)
	f.Fuzz(func(t *testing.T, in string) {
		got, err := ring.Open(in, "row 1")
		if err == nil && in != "" && got != "act.1" {
			t.Errorf("opened a forgery: %q", in)
		}
	})
}

func TestWeakKeys(t *testing.T) {
	for name, tc := range map[string]struct {
		key  string
		weak bool
	}{
		"one letter":       {strings.Repeat("a", 32), true},
		"a short word":     {strings.Repeat("secret", 6)[:32], true},
		"zeros as hex":     {strings.Repeat("00", 32), true},
		"a sequence":       {"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f", true},
		"half, twice":      {"0123456789abcdef0123456789abcdef", true},
		"32 hex digits":    {"9f86d081884c7d659a2feaa0c55ad015", false},
		"64 hex digits":    {"9f86d081884c7d659a2feaa0c55ad0153bf4f1b2b0b822cd15d6c15b0f00a08a"[:64], false},
		"random as base64": {NewRandomKey(), false},
	} {
		ring, err := ParseKeyring(NewRandomKey() + "," + tc.key)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if weak := ring.Weak(); (len(weak) == 1) != tc.weak || len(weak) > 1 {
			t.Errorf("%s: weak are %v, want it to be one: %t", name, weak, tc.weak)
		}
	}
	for range 1000 {
		ring, err := ParseKeyring(NewRandomKey())
		if err != nil || len(ring.Weak()) > 0 {
			t.Fatalf("a random key is weak: %v", err)
		}
	}
}
