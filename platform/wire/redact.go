package wire

import (
	"errors"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"socialqueue/platform"
)

const (
	// minSecret is the shortest text to hide. Anything shorter is no secret, and hiding it
	// would only garble texts.
	minSecret = 4
	// headSize is how many first bytes identify a token that a platform quotes truncated.
	headSize = 12
)

// Redactor removes the secrets of one call from every text that leaves it: platforms quote
// tokens and links in their messages, and net/http quotes whole URLs.
type Redactor struct {
	exact, heads []string
}

// Secret hides a token or key, even if it is quoted truncated.
func (r *Redactor) Secret(s string) {
	r.add(s)
	if len(s) >= 2*headSize {
		r.heads = append(r.heads, s[:headSize])
	}
}

// Link hides a URL that is a credential: the whole URL, its query, the values in it and the
// long segments of its path.
func (r *Redactor) Link(raw string) {
	r.add(raw)
	u, err := url.Parse(raw)
	if err != nil {
		return
	}
	r.add(u.RawQuery)
	for _, values := range u.Query() {
		for _, v := range values {
			r.add(v)
		}
	}
	for segment := range strings.SplitSeq(u.Path, "/") {
		if len(segment) >= headSize {
			r.add(segment)
		}
	}
}

func (r *Redactor) add(s string) {
	for _, form := range []string{s, url.QueryEscape(s), url.PathEscape(s)} {
		if len(form) >= minSecret && !slices.Contains(r.exact, form) {
			r.exact = append(r.exact, form)
		}
	}
	// Longest first, so that a part does not break up the whole.
	slices.SortFunc(r.exact, func(a, b string) int { return len(b) - len(a) })
}

// clean removes the secrets from a text.
func (r *Redactor) clean(s string) string {
	for _, secret := range r.exact {
		s = strings.ReplaceAll(s, secret, platform.Hidden)
	}
	for _, head := range r.heads {
		for i := strings.Index(s, head); i >= 0; i = strings.Index(s, head) {
			rest := s[i+headSize:]
			if end := strings.IndexAny(rest, " \t\n\"'<>,;)"); end >= 0 {
				rest = rest[end:]
			} else {
				rest = ""
			}
			s = s[:i] + platform.Hidden + rest
		}
	}
	return platform.HideCredentials(s)
}

// Text cleans a platform's text; see platform.Words.
func (r *Redactor) Text(s string) string { return platform.Words(r.clean(s)) }

// ownSide matches our own addresses in net's errors: both sockets of a connection, and the
// DNS resolver. The reason of the failure follows after it.
var ownSide = regexp.MustCompile(`\b(\w+) (?:tcp|udp)[46]? \S+->\S+: (?:(?:read|write|sendto|recvfrom): )?|(\blookup \S+) on [^\s]+: `)

func withoutOwnSide(s string) string { return ownSide.ReplaceAllString(s, "$1$2: ") }

// Err removes secrets, our own addresses and the URL, except its host, from an error of
// net/http.
func (r *Redactor) Err(err error) error {
	if err == nil {
		return nil
	}
	cause, text := err, err.Error()
	if ue, ok := errors.AsType[*url.Error](err); ok {
		cause, text = ue.Err, ue.Err.Error()
		if u, perr := url.Parse(ue.URL); perr == nil {
			text = u.Host + ": " + text
		}
	}
	return &cleanError{text: r.clean(withoutOwnSide(text)), cause: cause}
}

// cleanError has a cleaned text. errors.Is and errors.As work on its cause, but it does not
// return the cause, which may still quote a secret.
type cleanError struct {
	text  string
	cause error
}

func (e *cleanError) Error() string        { return e.text }
func (e *cleanError) Is(target error) bool { return errors.Is(e.cause, target) }
func (e *cleanError) As(target any) bool   { return errors.As(e.cause, target) }
