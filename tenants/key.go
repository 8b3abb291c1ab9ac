package tenants

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"strings"

	"socialqueue/secrets"
)

// A key has the form sq_<prefix>_<secret>. The prefix finds its row and may be shown; the
// secret is 256 random bits. Only a hash of the whole key is stored. With that entropy a
// plain SHA-256 is safe, and it is cheap on every request.
const (
	mark        = "sq_"
	prefixBytes = 6
	secretBytes = 32
	prefixLen   = 2 * prefixBytes
	keyLen      = len(mark) + prefixLen + 1 + (secretBytes*8+5)/6
)

// generateKey returns a new key. The key itself is shown once and not stored; prefix and
// hash are stored.
func generateKey() (key secrets.Secret, prefix string, hash []byte) {
	raw := make([]byte, prefixBytes+secretBytes)
	_, _ = rand.Read(raw) // never fails: crypto/rand crashes the program instead
	prefix = hex.EncodeToString(raw[:prefixBytes])
	text := mark + prefix + "_" + base64.RawURLEncoding.EncodeToString(raw[prefixBytes:])
	sum := hashKey(text)
	return secrets.Secret(text), prefix, sum[:]
}

// keyPrefix returns the prefix of a key. It returns false for text that does not have the
// form of a key, which saves a database query.
func keyPrefix(key string) (prefix string, ok bool) {
	if len(key) != keyLen || !strings.HasPrefix(key, mark) {
		return "", false
	}
	prefix = key[len(mark) : len(mark)+prefixLen]
	if _, err := hex.DecodeString(prefix); err != nil || key[len(mark)+prefixLen] != '_' {
		return "", false
	}
	return prefix, true
}

// hashKey returns the stored hash of a key.
func hashKey(key string) [sha256.Size]byte { return sha256.Sum256([]byte(key)) }

// verifyKey reports whether hash is the hash of key, in constant time.
func verifyKey(hash []byte, key string) bool {
	sum := hashKey(key)
	return subtle.ConstantTimeCompare(hash, sum[:]) == 1
}
