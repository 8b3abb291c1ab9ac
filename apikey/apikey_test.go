package apikey

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

func TestGenerate(t *testing.T) {
	seen := map[string]bool{}
	for range 1000 {
		key, prefix, hash := Generate()
		text := key.Reveal()
		if got, ok := Prefix(text); !ok || got != prefix {
			t.Fatalf("Prefix(%q) = %q, %v; want %q", text, got, ok, prefix)
		}
		if !Verify(hash, text) {
			t.Fatalf("the hash of %q does not verify it", text)
		}
		if bytes.Contains(hash, []byte(text)) || strings.Contains(fmt.Sprint(key), prefix) {
			t.Fatal("the key shows")
		}
		if seen[text] {
			t.Fatal("the same key twice")
		}
		seen[text] = true
	}
}

func TestVerifyRefusesEveryChange(t *testing.T) {
	key, _, hash := Generate()
	text := key.Reveal()
	for i := range len(text) {
		changed := []byte(text)
		changed[i] ^= 1
		if Verify(hash, string(changed)) {
			t.Errorf("verifies with character %d changed", i)
		}
	}
	if Verify(hash, "") || Verify(nil, text) || Verify(hash, text+"x") {
		t.Error("verifies what is not the key")
	}
}

func TestPrefixRefusesOtherForms(t *testing.T) {
	key, _, _ := Generate()
	text := key.Reveal()
	for _, bad := range []string{"", "sq_", "sq__", "Bearer", text[1:], text + "x", "xq" + text[2:], strings.Replace(text, "_", "-", 2), text[:3] + "zz" + text[5:]} {
		if prefix, ok := Prefix(bad); ok {
			t.Errorf("Prefix(%q) = %q", bad, prefix)
		}
	}
}
