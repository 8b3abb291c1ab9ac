package instagram

import (
	"context"
	"crypto/sha1" // Meta's older header is made with it
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode/utf16"
	"unicode/utf8"

	"socialqueue/sandbox/engine"
)

// ModeLegacySignature is a Fault of OpWebhook: X-Hub-Signature only.
const ModeLegacySignature engine.Mode = "legacy_signature"

const (
	webhookLife        = 36 * time.Hour // Instagram Platform, Webhooks
	maxHandshakeAnswer = 64 << 10
)

// webhookSender describes Meta's webhooks. The first retry comes at once (Instagram Platform, Webhooks).
func (ig *Platform) webhookSender() *engine.WebhookSender {
	return &engine.WebhookSender{
		Op: OpWebhook, Modes: []engine.Mode{ModeLegacySignature}, URL: ig.opts.WebhookURL, Token: ig.opts.VerifyToken,
		URLField: "meta_url", TokenField: "meta_verify_token", Life: webhookLife, RetryAtOnce: true,
		Sign: ig.sign, Verify: ig.verify,
	}
}

// sign adds both signature headers, over the escaped bytes (Graph API Webhooks, Getting Started). Meta's own sample app
// still checks the older one.
func (ig *Platform) sign(header http.Header, body string, mode engine.Mode) {
	secret := engine.SigningSecret(mode, ig.opts.AppSecret)
	header.Set("X-Hub-Signature", "sha1="+engine.HexMAC(sha1.New, secret, body))
	if mode != ModeLegacySignature {
		header.Set("X-Hub-Signature-256", "sha256="+engine.HexMAC(sha256.New, secret, body))
	}
}

// escapeUnicode writes every rune beyond ASCII as Meta does: \u00e9 in lower case, an emoji as a surrogate pair.
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

// verify makes the handshake: the answer must be 200 and exactly the challenge (Graph API Webhooks, Getting Started).
func (ig *Platform) verify(ctx context.Context, client *http.Client, to, token string) error {
	challenge := fmt.Sprint(ig.host.NextID())
	status, body, err := sendChallenge(ctx, client, to, token, challenge)
	if err != nil {
		return fmt.Errorf("webhook handshake with %s: %w", to, err)
	}
	if status != http.StatusOK || body != challenge {
		return fmt.Errorf("webhook handshake with %s: got %d %.200q, want 200 and exactly the challenge %q", to, status, body, challenge)
	}
	return nil
}

func sendChallenge(ctx context.Context, client *http.Client, to, token, challenge string) (status int, body string, err error) {
	u, err := url.Parse(to)
	if err != nil {
		return 0, "", errors.New("the address is not a URL")
	}
	q := u.Query()
	q.Set("hub.mode", "subscribe")
	q.Set("hub.challenge", challenge)
	q.Set("hub.verify_token", token)
	u.RawQuery = q.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return 0, "", withoutURL(err)
	}
	res, err := client.Do(req)
	if err != nil {
		return 0, "", withoutURL(err)
	}
	defer res.Body.Close()
	got, err := io.ReadAll(io.LimitReader(res.Body, maxHandshakeAnswer))
	return res.StatusCode, string(got), err
}

// withoutURL removes the URL that net/http adds to its errors: it contains the verify token.
func withoutURL(err error) error {
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		return wrapped.Err
	}
	return err
}
