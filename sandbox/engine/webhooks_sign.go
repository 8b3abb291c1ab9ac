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

// sign makes the headers of one sending; mode may spoil them.
func (h *webhooks) sign(d *delivery, mode Mode) http.Header {
	header := http.Header{"Content-Type": {"application/json"}, "User-Agent": {"socialqueue-sandbox/1.0"}}
	d.from.Sign(header, d.Body, mode)
	return header
}

// SigningSecret is the secret that a sending is signed with: the app's, or somebody else's by ModeBadSignature.
func SigningSecret(mode Mode, secret string) string {
	if mode == ModeBadSignature {
		return secret + "-of-another-app"
	}
	return secret
}

// HexMAC is the HMAC of a message, in hex.
func HexMAC(newHash func() hash.Hash, secret, message string) string {
	mac := hmac.New(newHash, []byte(secret))
	mac.Write([]byte(message))
	return hex.EncodeToString(mac.Sum(nil))
}

// CompactJSON writes v as platforms send it in webhooks, on one line and without HTML escapes.
func CompactJSON(v any) (string, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return "", fmt.Errorf("webhook: %w", err)
	}
	return strings.TrimSuffix(b.String(), "\n"), nil
}
