package platform

import (
	"regexp"
	"strings"
)

const (
	// Hidden stands in a text where a secret was.
	Hidden = "[secret]"
	// maxWords limits what is kept of a platform's text, in bytes.
	maxWords = 300
)

// credential matches query parameters that are always secret.
var credential = regexp.MustCompile(`(?i)(access_token|refresh_token|input_token|fb_exchange_token|upload_token|appsecret_proof|client_secret|code_verifier|signature|sig)=[^\s&"'<>]+`)

// HideCredentials removes the values of query parameters that are always secret.
func HideCredentials(s string) string { return credential.ReplaceAllString(s, "$1="+Hidden) }

// Words returns a platform's text as it may be logged and shown: one line, at most 300 bytes,
// valid UTF-8, without credentials in queries. Other secrets must be removed before.
func Words(s string) string {
	s = strings.Join(strings.Fields(strings.ToValidUTF8(HideCredentials(s), "?")), " ")
	if len(s) > maxWords {
		s = strings.ToValidUTF8(s[:maxWords], "") + "…"
	}
	return s
}
