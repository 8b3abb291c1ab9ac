package media

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"socialqueue/secrets"
)

var (
	// ErrLinkInvalid means that the signature is not ours for this file.
	ErrLinkInvalid = errors.New("media link is not valid")
	// ErrLinkExpired means that the link was valid earlier.
	ErrLinkExpired = errors.New("media link has expired")
)

// linkPurpose selects the signing keys among those derived from the ring. Changing it
// invalidates all existing links.
const linkPurpose = "media link"

// A signature is the base64url form of the expiry time, as 8 bytes of Unix seconds,
// followed by an HMAC-SHA256 over that time and the file's id.
const (
	expiryLen    = 8
	tokenLen     = expiryLen + sha256.Size
	signatureLen = (tokenLen*8 + 5) / 6
)

// signatureEncoding is strict, so that each token has exactly one valid text.
var signatureEncoding = base64.RawURLEncoding.Strict()

// Signer creates and verifies the public links by which platforms fetch files. It needs no
// storage, so any process can do either.
type Signer struct {
	keys [][]byte
	base string
}

// NewSigner returns a Signer for links that begin with publicURL. The first key of the ring
// signs; all keys verify.
func NewSigner(keyring *secrets.Keyring, publicURL string) (*Signer, error) {
	keys, err := keyring.Derive(linkPurpose)
	if err != nil {
		return nil, fmt.Errorf("create media link signer: %w", err)
	}
	return &Signer{keys: keys, base: strings.TrimSuffix(publicURL, "/")}, nil
}

// Link returns an address under which anyone can read the file until it expires, to the
// second. It is a secret until then.
func (s *Signer) Link(mediaID string, expires time.Time) secrets.Secret {
	token := binary.BigEndian.AppendUint64(make([]byte, 0, tokenLen), uint64(expires.Unix()))
	token = append(token, linkMAC(s.keys[0], token, mediaID)...)
	return secrets.Secret(s.base + "/media/" + url.PathEscape(mediaID) + "/" + signatureEncoding.EncodeToString(token))
}

// Verify checks the signature of a link at the time now. It returns ErrLinkInvalid or
// ErrLinkExpired.
func (s *Signer) Verify(mediaID, signature string, now time.Time) error {
	if len(signature) != signatureLen {
		return ErrLinkInvalid
	}
	token, err := signatureEncoding.DecodeString(signature)
	if err != nil || len(token) != tokenLen {
		return ErrLinkInvalid
	}
	expiry, mac := token[:expiryLen], token[expiryLen:]
	if !s.signed(mediaID, expiry, mac) {
		return ErrLinkInvalid
	}
	if now.Unix() >= int64(binary.BigEndian.Uint64(expiry)) {
		return ErrLinkExpired
	}
	return nil
}

func (s *Signer) signed(mediaID string, expiry, mac []byte) bool {
	for _, key := range s.keys {
		if hmac.Equal(mac, linkMAC(key, expiry, mediaID)) {
			return true
		}
	}
	return false
}

// linkMAC authenticates the time and the id. The time has a fixed length, so different
// pairs never give the same input.
func linkMAC(key, expiry []byte, mediaID string) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write(expiry)
	mac.Write([]byte(mediaID))
	return mac.Sum(nil)
}
