package observe

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/sirupsen/logrus"

	"socialqueue/models"
)

// scrubber removes from every log line what looks like a secret, and shortens long texts,
// because an error may quote what a caller sent. It is the last line of defense: code that
// knows a secret does not log it, and the platform clients clean their errors.
type scrubber struct{}

const scrubbed = "[secret]"

// Limits of the texts in a line, in characters.
const (
	maxLogText  = 4000
	maxLogStack = 16_000
)

// patterns match the secrets of this system. The text of the first group is kept. Regular
// expressions are slow, so each is applied only to a text that contains one of its needles,
// ignoring case.
var patterns = []struct {
	needles []string
	form    *regexp.Regexp
}{
	{ // query parameters, forms and JSON
		[]string{"token", "secret", "verifier", "proof", "sig", "password", "x-amz-"},
		regexp.MustCompile(`(?i)((?:access_token|refresh_token|input_token|fb_exchange_token|upload_token|appsecret_proof|client_secret|code_verifier|signed_request|signature|x-amz-credential|x-amz-security-token|password|sig)["']?\s*[=:]\s*["']?)[^\s&"'<>,}]+`),
	},
	{[]string{"bearer ", "basic "}, regexp.MustCompile(`(?i)(\b(?:bearer|basic) )[a-z0-9._~+/=-]{8,}`)},
	// URLs with a password, for example of Postgres, Redis or a proxy.
	{[]string{"://"}, regexp.MustCompile(`(\b[a-z][a-z0-9+.-]*://[^\s/:@"']*:)[^\s/@"']+@`)},
	// Our API keys, except their public part, and the secrets of apps' webhook endpoints.
	{[]string{"sq_"}, regexp.MustCompile(`(\bsq_[a-z0-9]+_)[A-Za-z0-9_-]{16,}`)},
	{[]string{"whsec_"}, regexp.MustCompile(`(\bwhsec_)[A-Za-z0-9+/=]{16,}`)},
	// The signatures of our links to files.
	{[]string{"/media/"}, regexp.MustCompile(`(/media/[0-9a-f-]{36}/)[A-Za-z0-9._~-]+`)},
	// The tokens of TikTok and Facebook.
	{[]string{"act.", "rft."}, regexp.MustCompile(`(\b(?:act|rft)\.)[A-Za-z0-9!._*-]{16,}`)},
	{[]string{"eaa"}, regexp.MustCompile(`(\bEAA)[A-Za-z0-9]{16,}`)},
}

func scrub(s string) string {
	lower := strings.ToLower(s)
	holds := func(needle string) bool { return strings.Contains(lower, needle) }
	for _, p := range patterns {
		if slices.ContainsFunc(p.needles, holds) {
			s = p.form.ReplaceAllString(s, "${1}"+scrubbed)
		}
	}
	return s
}

// clean scrubs a text and then shortens it: half a secret would not be recognized.
func clean(field, text string) string {
	most := maxLogText
	if field == FieldStack {
		most = maxLogStack
	}
	return models.Shorten(scrub(text), most)
}

// Levels implements logrus.Hook.
func (scrubber) Levels() []logrus.Level { return logrus.AllLevels }

// Fire implements logrus.Hook. It may change the entry: logrus passes hooks a copy.
func (scrubber) Fire(e *logrus.Entry) error {
	e.Message = clean("", e.Message)
	for name, value := range e.Data {
		switch v := value.(type) {
		case nil, bool, int, int64, float64:
		case string:
			e.Data[name] = clean(name, v)
		case error:
			if text := v.Error(); clean(name, text) != text {
				e.Data[name] = &cleanError{error: v, text: clean(name, text)}
			}
		default:
			if text := fmt.Sprint(v); scrub(text) != text {
				e.Data[name] = clean(name, text)
			}
		}
	}
	return nil
}

// cleanError is an error whose text contained a secret or was too long.
type cleanError struct {
	error
	text string
}

// Error returns the text without the secret.
func (e *cleanError) Error() string { return e.text }

// Unwrap returns the original error, from which the formatter reads the code. Do not print
// it.
func (e *cleanError) Unwrap() error { return e.error }
