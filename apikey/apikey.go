// Package apikey makes and checks the keys with which apps call the API. A key
// reads sq_<prefix>_<secret>: the prefix finds its row and may be shown, the
// secret is 256 random bits. Only a hash of the whole is stored; with so much
// entropy a plain SHA-256 cannot be searched, and is cheap on every request.
package apikey

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"strings"

	"socialqueue/secrets"
)

const (
	mark        = "sq_"
	prefixBytes = 6
	secretBytes = 32
	prefixLen   = 2 * prefixBytes
	keyLen      = len(mark) + prefixLen + 1 + (secretBytes*8+5)/6
)

// Generate makes a new key. The key itself is shown once and kept nowhere;
// prefix and hash are what is stored.
func Generate() (key secrets.Secret, prefix string, hash []byte) {
	raw := make([]byte, prefixBytes+secretBytes)
	_, _ = rand.Read(raw) // never fails: crypto/rand ends the process instead
	prefix = hex.EncodeToString(raw[:prefixBytes])
	text := mark + prefix + "_" + base64.RawURLEncoding.EncodeToString(raw[prefixBytes:])
	sum := Hash(text)
	return secrets.Secret(text), prefix, sum[:]
}

// Prefix reads the prefix of a key. It reports false for what has not the form
// of a key, so that no database is asked for it.
func Prefix(key string) (prefix string, ok bool) {
	if len(key) != keyLen || !strings.HasPrefix(key, mark) {
		return "", false
	}
	prefix = key[len(mark) : len(mark)+prefixLen]
	if _, err := hex.DecodeString(prefix); err != nil || key[len(mark)+prefixLen] != '_' {
		return "", false
	}
	return prefix, true
}

// Hash is what is stored of a key.
func Hash(key string) [sha256.Size]byte { return sha256.Sum256([]byte(key)) }

// Verify reports whether hash is that of key, in constant time.
func Verify(hash []byte, key string) bool {
	sum := Hash(key)
	return subtle.ConstantTimeCompare(hash, sum[:]) == 1
}
