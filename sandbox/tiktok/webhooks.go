package tiktok

import (
	"crypto/sha256"
	"net/http"
	"strconv"
	"time"

	"socialqueue/sandbox/engine"
)

// ModeStale is a Fault of OpWebhook: the signature is ten minutes old. Receivers usually allow five.
const ModeStale engine.Mode = "stale"

const (
	staleBy     = 10 * time.Minute
	webhookLife = 72 * time.Hour // Webhooks Overview
)

func (t *Platform) webhookSender() *engine.WebhookSender {
	return &engine.WebhookSender{
		Op: OpWebhook, Modes: []engine.Mode{ModeStale}, URL: t.opts.WebhookURL, URLField: "tiktok_url",
		Life: webhookLife, Sign: t.sign,
	}
}

// sign adds t and s, the HMAC over "t.body" (Webhooks Verification). No page says whether a retry carries a new t. Here
// it does: otherwise a receiver that checks the age could never accept a late retry.
func (t *Platform) sign(header http.Header, body string, mode engine.Mode) {
	now := t.host.Now()
	if mode == ModeStale {
		now = now.Add(-staleBy)
	}
	at := strconv.FormatInt(now.Unix(), 10)
	s := engine.HexMAC(sha256.New, engine.SigningSecret(mode, t.opts.ClientSecret), at+"."+body)
	header.Set("TikTok-Signature", "t="+at+",s="+s)
}
