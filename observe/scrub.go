package observe

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/sirupsen/logrus"
)

// scrubber takes out of every line what looks like a secret. It is the last wall: those
// who know a secret never log it, and platforms' errors are cleaned where they are made.
type scrubber struct{}

const scrubbed = "[secret]"

// patterns are the forms that secrets have here. What stands in the first group stays.
// Expressions are slow and lines are many: each is tried only on a text that holds one
// of its needles, in lower case.
var patterns = []struct {
	needles []string
	form    *regexp.Regexp
}{
	{ // query parameters, forms and JSON, whoever made them
		[]string{"token", "secret", "verifier", "proof", "sig", "password", "x-amz-"},
		regexp.MustCompile(`(?i)((?:access_token|refresh_token|input_token|fb_exchange_token|upload_token|appsecret_proof|client_secret|code_verifier|signed_request|signature|x-amz-credential|x-amz-security-token|password|sig)["']?\s*[=:]\s*["']?)[^\s&"'<>,}]+`),
	},
	{[]string{"bearer ", "basic "}, regexp.MustCompile(`(?i)(\b(?:bearer|basic) )[a-z0-9._~+/=-]{8,}`)},
	// Addresses with a password: of Postgres, Redis, a proxy.
	{[]string{"://"}, regexp.MustCompile(`(\b[a-z][a-z0-9+.-]*://[^\s/:@"']*:)[^\s/@"']+@`)},
	// Our API keys but for their public part, and the secrets of apps' endpoints.
	{[]string{"sq_"}, regexp.MustCompile(`(\bsq_[a-z0-9]+_)[A-Za-z0-9_-]{16,}`)},
	{[]string{"whsec_"}, regexp.MustCompile(`(\bwhsec_)[A-Za-z0-9+/=]{16,}`)},
	// The signature of our own links to files.
	{[]string{"/media/"}, regexp.MustCompile(`(/media/[0-9a-f-]{36}/)[A-Za-z0-9._~-]+`)},
	// Tokens of TikTok, and of Facebook.
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

// Levels are all.
func (scrubber) Levels() []logrus.Level { return logrus.AllLevels }

// Fire scrubs an entry. Logrus gives hooks a copy of their own.
func (scrubber) Fire(e *logrus.Entry) error {
	e.Message = scrub(e.Message)
	for name, value := range e.Data {
		switch v := value.(type) {
		case nil, bool, int, int64, float64:
		case string:
			e.Data[name] = scrub(v)
		case error:
			if text := v.Error(); scrub(text) != text {
				e.Data[name] = &scrubbedError{error: v, text: scrub(text)}
			}
		default:
			if text := fmt.Sprint(v); scrub(text) != text {
				e.Data[name] = scrub(text)
			}
		}
	}
	return nil
}

// scrubbedError is an error whose text held a secret.
type scrubbedError struct {
	error
	text string
}

// Error gives the text without the secret.
func (e *scrubbedError) Error() string { return e.text }

// Unwrap gives the error, for its code; nobody prints that one.
func (e *scrubbedError) Unwrap() error { return e.error }
