package media

import (
	"bytes"
	"encoding/base64"
	"errors"
	"strings"
	"testing"
	"time"

	"socialqueue/secrets"
)

const (
	oldKey = "0123456789abcdef0123456789abcdef"
	newKey = "fedcba9876543210fedcba9876543210"
)

func newSigner(t testing.TB, keys string) *Signer {
	t.Helper()
	ring, err := secrets.ParseKeyring(keys)
	if err != nil {
		t.Fatal(err)
	}
	s, err := NewSigner(ring, "https://example.com/queue/")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

const linkBase = "https://example.com/queue/media/"

// signatureOf returns the signature in a link.
func signatureOf(t testing.TB, s *Signer, id string, expires time.Time) string {
	t.Helper()
	signature, ok := strings.CutPrefix(s.Link(id, expires).Reveal(), linkBase+id+"/")
	if !ok {
		t.Fatalf("link is %s", s.Link(id, expires).Reveal())
	}
	return signature
}

func TestLinkVerify(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	signature := signatureOf(t, newSigner(t, oldKey), "17", now.Add(time.Hour))
	raw, err := base64.RawURLEncoding.DecodeString(signature)
	if err != nil {
		t.Fatal(err)
	}
	later := bytes.Clone(raw)
	later[7] ^= 0x80
	for name, tc := range map[string]struct {
		keys, id, signature string
		after               time.Duration
		want                error
	}{
		"valid":             {oldKey, "17", signature, 0, nil},
		"last second":       {oldKey, "17", signature, time.Hour - time.Second, nil},
		"expired":           {oldKey, "17", signature, time.Hour, ErrLinkExpired},
		"rotated key":       {newKey + "," + oldKey, "17", signature, 0, nil},
		"another key":       {newKey, "17", signature, 0, ErrLinkInvalid},
		"another file":      {oldKey, "18", signature, 0, ErrLinkInvalid},
		"no file":           {oldKey, "", signature, 0, ErrLinkInvalid},
		"no signature":      {oldKey, "17", "", 0, ErrLinkInvalid},
		"extended":          {oldKey, "17", base64.RawURLEncoding.EncodeToString(later), 0, ErrLinkInvalid},
		"shortened":         {oldKey, "17", signature[:len(signature)-1], 0, ErrLinkInvalid},
		"lengthened":        {oldKey, "17", signature + "A", 0, ErrLinkInvalid},
		"with a line break": {oldKey, "17", signature[:len(signature)-1] + "\n", 0, ErrLinkInvalid},
		"not base64":        {oldKey, "17", strings.Repeat("!", len(signature)), 0, ErrLinkInvalid},
		"expired forgery":   {newKey, "17", signature, 2 * time.Hour, ErrLinkInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			if err := newSigner(t, tc.keys).Verify(tc.id, tc.signature, now.Add(tc.after)); !errors.Is(err, tc.want) {
				t.Errorf("err = %v, want %v", err, tc.want)
			}
		})
	}
}

func FuzzVerify(f *testing.F) {
	s := newSigner(f, oldKey)
	now := time.Unix(1_800_000_000, 0)
	good := signatureOf(f, s, "17", now.Add(time.Hour))
	f.Add("17", good)
	f.Add("1", "7"+good)
	f.Add("17", strings.ToUpper(good))
	f.Fuzz(func(t *testing.T, id, signature string) {
		if err := s.Verify(id, signature, now); err == nil && (id != "17" || signature != good) {
			t.Errorf("verified a forgery: %q, %q", id, signature)
		}
	})
}
