package jobs

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"regexp"
	"strings"

	"github.com/hibiken/asynqmon"
	"github.com/redis/go-redis/v9"
)

// Monitor returns the operators' page of the queues, asynqmon, under root. It shows only
// the ids in a payload.
//
// asynqmon has no authentication: the caller has to add it.
func (q *Queue) Monitor(root string, readOnly bool) http.Handler {
	shown := q.kinds.shown()
	return confined(asynqmon.New(asynqmon.Options{
		RootPath: root, RedisConnOpt: sharedRedis{q.redis}, ReadOnly: readOnly,
		PayloadFormatter: asynqmon.PayloadFormatterFunc(func(_ string, payload []byte) string { return showPayload(shown, payload) }),
		ResultFormatter:  asynqmon.ResultFormatterFunc(func(string, []byte) string { return "" }), // no task has a result
	}))
}

// sharedRedis makes asynqmon use our client.
type sharedRedis struct{ client redis.UniversalClient }

// MakeRedisClient implements asynq.RedisConnOpt.
func (s sharedRedis) MakeRedisClient() any { return s.client }

// showPayload formats the fields of a payload that operators may see. It hides the other
// fields of tasks of a newer release or of another program.
func showPayload(fields []string, payload []byte) string {
	var held map[string]json.RawMessage
	if json.Unmarshal(payload, &held) != nil {
		return "(hidden: not a payload of socialqueue)"
	}
	shown := map[string]json.RawMessage{}
	for _, name := range fields {
		if value, ok := held[name]; ok {
			shown[name] = value
		}
	}
	text, err := json.Marshal(shown)
	if err != nil {
		return "(hidden)"
	}
	if len(shown) < len(held) {
		return string(text) + " and hidden fields"
	}
	return string(text)
}

// maxPage is the largest page that is rewritten. asynqmon's page has a few thousand bytes.
const maxPage = 1 << 20

// confined serves asynqmon's pages with a policy: they load nothing from other hosts and
// run only their own scripts.
func confined(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		page := &pageWriter{ResponseWriter: w}
		next.ServeHTTP(page, r)
		page.flush()
	})
}

// pageWriter buffers HTML until it is complete, and passes everything else through.
type pageWriter struct {
	http.ResponseWriter
	status int
	begun  bool
	isPage bool
	page   bytes.Buffer
}

func (p *pageWriter) WriteHeader(status int) { p.status = status }

func (p *pageWriter) Write(b []byte) (int, error) {
	if !p.begun {
		p.begin(b)
	}
	if p.isPage && p.page.Len()+len(b) <= maxPage {
		return p.page.Write(b)
	}
	return p.ResponseWriter.Write(b)
}

// begin decides by the first bytes whether this is HTML: asynqmon's index has no type.
func (p *pageWriter) begin(b []byte) {
	p.begun = true
	h := p.Header()
	if h.Get("Content-Type") == "" {
		h.Set("Content-Type", http.DetectContentType(b))
	}
	if bytes.HasPrefix(b, []byte("{")) || bytes.HasPrefix(b, []byte("[")) {
		h.Set("Content-Type", "application/json") // asynqmon sets none
	}
	p.isPage = strings.HasPrefix(h.Get("Content-Type"), "text/html")
	if !p.isPage {
		p.head()
	}
}

func (p *pageWriter) head() {
	if p.status != 0 {
		p.ResponseWriter.WriteHeader(p.status)
	}
}

func (p *pageWriter) flush() {
	if !p.isPage {
		if !p.begun {
			p.head()
		}
		return
	}
	page := unwanted.ReplaceAll(p.page.Bytes(), nil)
	p.Header().Set("Content-Security-Policy", contentPolicy(page))
	p.Header().Del("Content-Length")
	p.head()
	_, _ = p.ResponseWriter.Write(page) // fails only if the operator's browser is gone
}

var (
	// unwanted matches links to fonts on other hosts (the page then uses local fonts and
	// drawn icons), and to the manifest, which browsers request without the password.
	unwanted     = regexp.MustCompile(`<link[^>]*(href="https?://|rel="manifest")[^>]*>`)
	inlineScript = regexp.MustCompile(`(?s)<script>(.*?)</script>`)
)

// contentPolicy allows a page its own files and its inline scripts. Its styles are
// created by those scripts.
func contentPolicy(page []byte) string {
	scripts := "'self'"
	for _, match := range inlineScript.FindAllSubmatch(page, -1) {
		sum := sha256.Sum256(match[1])
		scripts += " 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
	}
	return "default-src 'none'; script-src " + scripts + "; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self'; " +
		"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
}
