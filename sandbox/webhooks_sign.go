package sandbox

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha1" // Meta's older header is made with it
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode/utf16"
	"unicode/utf8"
)

// staleBy is how old the signature of ModeStale is: twice the five minutes that receivers usually allow.
const staleBy = 10 * time.Minute

// sign makes the headers of one sending; mode may spoil them.
func (h *webhooks) sign(d *delivery, mode Mode) http.Header {
	header := http.Header{"Content-Type": {"application/json"}, "User-Agent": {"socialqueue-sandbox/1.0"}}
	if d.Platform == TikTok {
		h.signTikTok(header, d.Body, mode)
	} else {
		h.signMeta(header, d.Body, mode)
	}
	return header
}

// signTikTok adds t and s, the HMAC over "t.body" (Webhooks Verification). Whether a retry carries a new t is on no
// page; here it does, as a receiver that checks the age could never take a late retry otherwise.
func (h *webhooks) signTikTok(header http.Header, body string, mode Mode) {
	now := h.s.clock.now()
	if mode == ModeStale {
		now = now.Add(-staleBy)
	}
	t := strconv.FormatInt(now.Unix(), 10)
	s := hexMAC(sha256.New, secretFor(mode, h.s.opts.TikTokClientSecret), t+"."+body)
	header.Set("TikTok-Signature", "t="+t+",s="+s)
}

// signMeta adds both headers over the escaped bytes (Graph API Webhooks, Getting Started): the newer one, and the
// older one that Meta's own sample app still checks.
func (h *webhooks) signMeta(header http.Header, body string, mode Mode) {
	secret := secretFor(mode, h.s.opts.FacebookAppSecret)
	header.Set("X-Hub-Signature", "sha1="+hexMAC(sha1.New, secret, body))
	if mode != ModeLegacySignature {
		header.Set("X-Hub-Signature-256", "sha256="+hexMAC(sha256.New, secret, body))
	}
}

// secretFor is the app's secret, or somebody else's.
func secretFor(mode Mode, secret string) string {
	if mode == ModeBadSignature {
		return secret + "-of-another-app"
	}
	return secret
}

func hexMAC(newHash func() hash.Hash, secret, message string) string {
	mac := hmac.New(newHash, []byte(secret))
	mac.Write([]byte(message))
	return hex.EncodeToString(mac.Sum(nil))
}

// webhookJSON writes v as both platforms do, on one line and without HTML escapes.
func webhookJSON(v any) (string, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return "", fmt.Errorf("webhook: %w", err)
	}
	return strings.TrimSuffix(b.String(), "\n"), nil
}

// escapeUnicode writes every rune beyond ASCII as Meta does, \u00e9 in lower case; an emoji is a surrogate pair.
func escapeUnicode(s string) string {
	var b strings.Builder
	for _, r := range s {
		if r < utf8.RuneSelf {
			b.WriteRune(r)
			continue
		}
		for _, unit := range utf16.Encode([]rune{r}) {
			fmt.Fprintf(&b, `\u%04x`, unit)
		}
	}
	return b.String()
}
