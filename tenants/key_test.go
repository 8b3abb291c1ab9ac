package tenants

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

func TestGenerate(t *testing.T) {
	seen := map[string]bool{}
	for range 1000 {
		key, prefix, hash := generateKey()
		text := key.Reveal()
		if got, ok := keyPrefix(text); !ok || got != prefix {
			t.Fatalf("keyPrefix(%q) = %q, %v; want %q", text, got, ok, prefix)
		}
		if !verifyKey(hash, text) {
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
	key, _, hash := generateKey()
	text := key.Reveal()
	for i := range len(text) {
		changed := []byte(text)
		changed[i] ^= 1
		if verifyKey(hash, string(changed)) {
			t.Errorf("verifies with character %d changed", i)
		}
	}
	if verifyKey(hash, "") || verifyKey(nil, text) || verifyKey(hash, text+"x") {
		t.Error("verifies what is not the key")
	}
}

func TestPrefixRefusesOtherForms(t *testing.T) {
	key, _, _ := generateKey()
	text := key.Reveal()
	for _, bad := range []string{"", "sq_", "sq__", "Bearer", text[1:], text + "x", "xq" + text[2:], strings.Replace(text, "_", "-", 2), text[:3] + "zz" + text[5:]} {
		if prefix, ok := keyPrefix(bad); ok {
			t.Errorf("keyPrefix(%q) = %q", bad, prefix)
		}
	}
}
