package secrets

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

// KeySize is the length of an encryption key in bytes (AES-256).
const KeySize = 32

const sealVersion = "v1"

var (
	// ErrUnknownKey: a value was sealed with a key that is not in the keyring.
	ErrUnknownKey = errors.New("sealed with a key that TOKEN_ENCRYPTION_KEY does not hold")
	// ErrTampered: a value does not open: it was changed, or moved from another row.
	ErrTampered = errors.New("sealed value does not open: it was changed or belongs to another row")
)

type key struct {
	id     string
	secret []byte
	aead   cipher.AEAD
}

// Keyring seals with its first key and opens with any of them.
type Keyring struct {
	keys []key
}

// ParseKeyring reads a comma-separated list of keys, each 32 bytes written as
// 32 characters, as base64 or as hex. The first one seals, all of them open.
func ParseKeyring(list string) (*Keyring, error) {
	var ring Keyring
	for i, part := range strings.Split(list, ",") {
		raw, err := parseKey(strings.TrimSpace(part))
		if err != nil {
			return nil, fmt.Errorf("key %d of the list: %w", i+1, err)
		}
		k, err := newKey(raw)
		if err != nil {
			return nil, fmt.Errorf("key %d of the list: %w", i+1, err)
		}
		ring.keys = append(ring.keys, k)
	}
	return &ring, nil
}

// Weak returns the ids of the keys that no random generator made: one character 32 times, a
// sequence, a short text repeated. A random key of 32 bytes, or of 32 hex digits, is never one.
func (r *Keyring) Weak() []string {
	var ids []string
	for _, k := range r.keys {
		if isPattern(k.secret) {
			ids = append(ids, k.id)
		}
	}
	return ids
}

// fewValues is how many different bytes a random key always exceeds: among 32 hex digits,
// 14 are expected.
const fewValues = 6

func isPattern(secret []byte) bool {
	distinct := map[byte]bool{}
	rising, repeated := true, true
	for i, b := range secret {
		distinct[b] = true
		rising = rising && (i == 0 || b-secret[i-1] == secret[1]-secret[0])
		repeated = repeated && (i < KeySize/2 || b == secret[i-KeySize/2])
	}
	return len(distinct) <= fewValues || rising || repeated
}

// NewRandomKey makes a key in the base64 form that ParseKeyring reads.
func NewRandomKey() string {
	raw := make([]byte, KeySize)
	_, _ = rand.Read(raw) // never fails: crypto/rand ends the process instead
	return base64.StdEncoding.EncodeToString(raw)
}

func parseKey(s string) ([]byte, error) {
	if len(s) == KeySize {
		return []byte(s), nil
	}
	if raw, err := hex.DecodeString(s); err == nil && len(raw) == KeySize {
		return raw, nil
	}
	for _, enc := range []*base64.Encoding{base64.StdEncoding, base64.RawStdEncoding, base64.URLEncoding, base64.RawURLEncoding} {
		if raw, err := enc.DecodeString(s); err == nil && len(raw) == KeySize {
			return raw, nil
		}
	}
	return nil, fmt.Errorf("want 32 bytes as 32 characters, base64 or hex; got %d characters", len(s))
}

func newKey(raw []byte) (key, error) {
	block, err := aes.NewCipher(raw)
	if err != nil {
		return key{}, fmt.Errorf("make cipher: %w", err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return key{}, fmt.Errorf("make cipher: %w", err)
	}
	sum := sha256.Sum256(raw)
	return key{id: hex.EncodeToString(sum[:4]), secret: raw, aead: aead}, nil
}

// Seal encrypts a secret and binds it to row, which names where it will be
// stored: the same sealed text does not open under another row. An empty
// secret seals to the empty string.
func (r *Keyring) Seal(s Secret, row string) (string, error) {
	if s.Empty() {
		return "", nil
	}
	k := r.keys[0]
	nonce := make([]byte, k.aead.NonceSize())
	if _, err := rand.Read(nonce); err != nil {
		return "", fmt.Errorf("draw nonce: %w", err)
	}
	box := k.aead.Seal(nonce, nonce, []byte(s), []byte(row))
	return r.SealPrefix() + base64.RawURLEncoding.EncodeToString(box), nil
}

// SealPrefix is what everything begins with that Seal makes with the first key.
func (r *Keyring) SealPrefix() string { return sealVersion + "." + r.keys[0].id + "." }

// Open decrypts what Seal made for the same row. Its errors name the key id,
// never the content.
func (r *Keyring) Open(sealed, row string) (Secret, error) {
	if sealed == "" {
		return "", nil
	}
	parts := strings.Split(sealed, ".")
	if len(parts) != 3 || parts[0] != sealVersion {
		return "", fmt.Errorf("read sealed value: unknown form: %w", ErrTampered)
	}
	box, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil {
		return "", fmt.Errorf("read sealed value: %w", ErrTampered)
	}
	for _, k := range r.keys {
		if k.id == parts[1] {
			return k.open(box, row)
		}
	}
	return "", fmt.Errorf("key id %s: %w", parts[1], ErrUnknownKey)
}

func (k key) open(box []byte, row string) (Secret, error) {
	n := k.aead.NonceSize()
	if len(box) < n {
		return "", fmt.Errorf("key id %s: %w", k.id, ErrTampered)
	}
	plain, err := k.aead.Open(nil, box[:n], box[n:], []byte(row))
	if err != nil {
		return "", fmt.Errorf("key id %s: %w", k.id, ErrTampered)
	}
	return Secret(plain), nil
}

// Derive returns one 32-byte key per key of the ring for another purpose, such
// as signing links: the first one signs, all of them verify.
func (r *Keyring) Derive(purpose string) ([][]byte, error) {
	derived := make([][]byte, 0, len(r.keys))
	for _, k := range r.keys {
		d, err := hkdf.Key(sha256.New, k.secret, nil, "socialqueue "+purpose, KeySize)
		if err != nil {
			return nil, fmt.Errorf("derive key for %s: %w", purpose, err)
		}
		derived = append(derived, d)
	}
	return derived, nil
}
