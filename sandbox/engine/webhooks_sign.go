package engine

import (
	"bytes"
	"crypto/hmac"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"net/http"
	"strings"
)

// sign returns the headers of one sending; mode may spoil the signature.
func (h *webhooks) sign(d *delivery, mode Mode) http.Header {
	header := http.Header{"Content-Type": {"application/json"}, "User-Agent": {"socialqueue-sandbox/1.0"}}
	d.from.Sign(header, d.Body, mode)
	return header
}

// SigningSecret returns the secret to sign with: the app's, or another one for ModeBadSignature.
func SigningSecret(mode Mode, secret string) string {
	if mode == ModeBadSignature {
		return secret + "-of-another-app"
	}
	return secret
}

// HexMAC returns the HMAC of a message in hex.
func HexMAC(newHash func() hash.Hash, secret, message string) string {
	mac := hmac.New(newHash, []byte(secret))
	mac.Write([]byte(message))
	return hex.EncodeToString(mac.Sum(nil))
}

// CompactJSON encodes v the way platforms send it in webhooks: on one line and without HTML escapes.
func CompactJSON(v any) (string, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return "", fmt.Errorf("webhook: %w", err)
	}
	return strings.TrimSuffix(b.String(), "\n"), nil
}
