package instagram

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"socialqueue/platform/wire"
	"socialqueue/secrets"
)

// ErrSignedRequest means that the field signed_request is not signed by Meta for this app,
// or has no user.
var ErrSignedRequest = errors.New("the signed request is not signed by Meta")

// signedAlgorithm is the only algorithm that Meta uses.
const signedAlgorithm = "HMAC-SHA256"

// SignedRequest is what Meta posts if a user removes the app or asks for the deletion of
// data.
type SignedRequest struct {
	// UserID is the Facebook user's id for this app, the one that Me returns.
	UserID string
	// IssuedAt is zero if Meta did not say.
	IssuedAt time.Time
}

// ParseSignedRequest parses the form field signed_request, which is base64url(signature)
// "." base64url(JSON). The signature is the HMAC-SHA256 of the second part as it was
// received, keyed with the app secret (Data Deletion Callback). The JSON is not parsed
// before the signature is verified.
func ParseSignedRequest(raw string, appSecret secrets.Secret) (SignedRequest, error) {
	signature, payload, _ := strings.Cut(raw, ".")
	if appSecret.Empty() || !signedBy(signature, payload, appSecret) {
		return SignedRequest{}, fmt.Errorf("%w: wrong signature", ErrSignedRequest)
	}
	body, err := decodeBase64URL(payload)
	if err != nil {
		return SignedRequest{}, fmt.Errorf("%w: %w", ErrSignedRequest, err)
	}
	return readSignedRequest(body)
}

func signedBy(signature, payload string, secret secrets.Secret) bool {
	got, err := decodeBase64URL(signature)
	mac := hmac.New(sha256.New, []byte(secret.Reveal()))
	mac.Write([]byte(payload))
	return err == nil && hmac.Equal(got, mac.Sum(nil))
}

// decodeBase64URL accepts padding, and none, as Meta sends it.
func decodeBase64URL(s string) ([]byte, error) {
	return base64.RawURLEncoding.DecodeString(strings.TrimRight(s, "="))
}

func readSignedRequest(body []byte) (SignedRequest, error) {
	var a struct {
		Algorithm wire.Scalar `json:"algorithm"`
		UserID    wire.Scalar `json:"user_id"`
		Issued    wire.Scalar `json:"issued_at"`
	}
	if err := json.Unmarshal(body, &a); err != nil {
		return SignedRequest{}, fmt.Errorf("%w: %w", ErrSignedRequest, err)
	}
	if a.Algorithm != signedAlgorithm {
		return SignedRequest{}, fmt.Errorf("%w: algorithm is not %s", ErrSignedRequest, signedAlgorithm)
	}
	if !idForm.MatchString(string(a.UserID)) {
		return SignedRequest{}, fmt.Errorf("%w: no user_id", ErrSignedRequest)
	}
	return SignedRequest{UserID: string(a.UserID), IssuedAt: a.Issued.Time()}, nil
}
