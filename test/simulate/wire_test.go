package simulate

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"time"

	"socialqueue/media"
	"socialqueue/sandbox"
)

const (
	// lateBy bounds how long after its sending a request may arrive, and lagBy how old a read may be. With a lease, the
	// clocks' differences and the time in which a run is overtaken they stay below the three minutes of
	// publish.Timings.Arrival.
	lateBy = 75 * time.Second
	lagBy  = 45 * time.Second
)

// wire carries the calls to the sandbox, which has no server: its handler runs on the caller's goroutine.
type wire struct {
	h *history

	mu sync.Mutex
	// late are requests that are still on their way.
	late []lateRequest
	// reads are the latest answers to reads, by their URL.
	reads map[string]read
	// downUntil is how long the platforms answer nobody.
	downUntil time.Time
	// blindUntil is how long nobody can read what became of a post.
	blindUntil time.Time
	// made are the posts of which the platform made a container or an upload, by its id.
	made map[string]int
	// pairs are the TikTok tokens in the order in which the platform gave them.
	pairs []pair
}

type lateRequest struct {
	at   time.Time
	call *call
}

type read struct {
	at     time.Time
	answer *httptest.ResponseRecorder
}

// pair is what one refresh brought.
type pair struct{ access, refresh string }

// call is a request to a platform.
type call struct {
	what   string
	op     string
	actor  *actor
	method string
	url    *url.URL
	header http.Header
	body   []byte
}

var number = regexp.MustCompile(`\d{6,}`)

func newCall(a *actor, r *http.Request) (*call, error) {
	c := &call{actor: a, method: r.Method, url: r.URL, header: r.Header.Clone()}
	if r.Body != nil {
		var err error
		if c.body, err = io.ReadAll(r.Body); err != nil {
			return nil, err
		}
		_ = r.Body.Close()
	}
	path := number.ReplaceAllString(r.URL.Path, "N")
	c.op = path[strings.LastIndex(strings.TrimSuffix(path, "/"), "/")+1:]
	if path = strings.TrimSuffix(path, "/"); strings.Contains(path, "/publish/") {
		c.op = path[strings.Index(path, "/publish/")+len("/publish/"):]
	}
	c.what = r.Method + " " + c.op
	return c, nil
}

// sends reports whether a call has an effect.
func (c *call) sends() bool {
	return c.method != http.MethodGet && !strings.Contains(c.url.Path, "/status/fetch")
}

// request makes the request that arrives.
func (c *call) request() *http.Request {
	r := httptest.NewRequestWithContext(context.Background(), c.method, c.url.String(), bytes.NewReader(c.body))
	r.Header = c.header.Clone()
	r.ContentLength = int64(len(c.body))
	return r
}

// RoundTrip makes a call, and decides what becomes of it and of its answer.
func (w *wire) RoundTrip(r *http.Request) (*http.Response, error) {
	h, ctx := w.h, r.Context()
	a := h.actorOf(ctx)
	h.calling(a)
	c, err := newCall(a, r)
	if err != nil {
		return nil, err
	}
	if err := h.pass(ctx, a, c.what, false); err != nil {
		return nil, err
	}
	h.checkToken(c)
	if done, resp, err := w.before(ctx, c); done {
		return resp, err
	}
	answer := w.serve(c)
	if answer.Code == 0 { // the sandbox cut the connection
		return nil, errAway
	}
	return w.after(ctx, r, c, answer)
}

// before decides what happens to a request on its way.
func (w *wire) before(ctx context.Context, c *call) (done bool, resp *http.Response, err error) {
	h, a := w.h, c.actor
	if h.happens(a, "platforms are down from "+c.what, h.rates.down) {
		w.downUntil = time.Now().Add(time.Duration(1+h.pick(600)) * time.Second)
	}
	if !c.sends() && h.happens(a, "nothing can be read from "+c.what, h.rates.blind) {
		w.blindUntil = time.Now().Add(time.Duration(1+h.pick(30)) * time.Minute)
	}
	switch {
	case !h.calm.Load() && time.Now().Before(w.downUntil):
		return true, answer(503, "<html>down</html>"), nil
	case !h.calm.Load() && c.tells() && time.Now().Before(w.blindUntil):
		return true, answer(400, unreadable), nil
	case h.happens(a, "dies before "+c.what, h.rates.die):
		h.kill(a, "before "+c.what)
		return true, nil, h.die(a)
	case h.happens(a, "request lost: "+c.what, h.rates.lost):
		return true, nil, errAway
	case c.sends() && h.happens(a, "request late: "+c.what, h.rates.late):
		w.delay(c)
		if h.pick(3) == 0 {
			h.kill(a, "while its request is on the way")
			return true, nil, h.die(a)
		}
		if h.pick(2) == 0 {
			return true, nil, errAway
		}
		<-ctx.Done()
		return true, nil, ctx.Err()
	case h.happens(a, "slow: "+c.what, h.rates.slow):
		time.Sleep(time.Duration(h.pick(28)) * time.Second)
	case h.happens(a, "gateway refuses: "+c.what, h.rates.refuse):
		return true, answer(502, "<html>bad gateway</html>"), nil
	case c.container() && h.happens(a, "cannot be read: "+c.what, h.rates.unreadable):
		return true, answer(400, unreadable), nil
	case !c.sends() && h.happens(a, "lags: "+c.what, h.rates.lag):
		if old, ok := w.lagging(c); ok {
			return true, old.Result(), nil
		}
	case c.op == "media_publish" && h.happens(a, "refused: "+c.what, h.rates.refuse):
		w.refuse(h.pick(2) == 0)
	}
	return false, nil, nil
}

// unreadable is what Meta answers for an object that cannot be read. Nobody knows it at TikTok, which may mean anything.
const unreadable = `{"error":{"message":"Unsupported get request.","type":"GraphMethodException","code":100,"error_subcode":33}}`

// tells reports whether a call reads what became of a post.
func (c *call) tells() bool {
	return !c.sends() && (c.container() || c.op == "media" || c.op == "status/fetch")
}

// container reports whether a call reads the status of a container.
func (c *call) container() bool {
	return c.method == http.MethodGet && strings.Contains(c.url.Query().Get("fields"), "status_code")
}

// refusals are errors that media_publish is known to be answered with, some of them although the post went live.
var refusals = []struct {
	code    string
	subcode int
}{{"-1", 2207032}, {"-1", 2207001}, {"2", 0}, {"1", 0}, {"4", 2207051}, {"24", 2207006}, {"9007", 2207027}, {"100", 0}, {"25", 2207050}, {"4", 0}}

// refuse has the sandbox refuse the call that it is about to get.
func (w *wire) refuse(after bool) {
	r := refusals[w.h.pick(len(refusals))]
	w.h.sim.Script(sandbox.Fault{Op: sandbox.OpInstagramPublish, Mode: sandbox.ModeError, Code: r.code, Subcode: r.subcode, After: after})
}

// after decides what happens to an answer.
func (w *wire) after(ctx context.Context, r *http.Request, c *call, rec *httptest.ResponseRecorder) (*http.Response, error) {
	h, a := w.h, c.actor
	if !c.sends() {
		w.mu.Lock()
		w.reads[c.url.String()+string(c.body)] = read{time.Now(), rec}
		w.mu.Unlock()
	}
	switch {
	case h.happens(a, "dies after "+c.what, h.rates.die):
		h.kill(a, "after "+c.what)
		return nil, h.die(a)
	case h.happens(a, "answer lost: "+c.what, h.rates.lost):
		return nil, errAway
	case h.happens(a, "answer never comes: "+c.what, h.rates.silent):
		<-ctx.Done()
		return nil, ctx.Err()
	case h.happens(a, "gateway fails after "+c.what, h.rates.refuse):
		return answer(502, "<html>bad gateway</html>"), nil
	}
	resp := rec.Result()
	resp.Request = r
	resp.ContentLength = int64(rec.Body.Len())
	return resp, nil
}

func answer(status int, body string) *http.Response {
	return &http.Response{
		StatusCode: status, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)),
	}
}

// delay lets a request arrive later.
func (w *wire) delay(c *call) {
	in := time.Duration(1+w.h.pick(int(lateBy/time.Second))) * time.Second
	w.mu.Lock()
	defer w.mu.Unlock()
	w.late = append(w.late, lateRequest{time.Now().Add(in), c})
}

// lagging returns an older answer to the same read, if there is one that is young enough.
func (w *wire) lagging(c *call) (*httptest.ResponseRecorder, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	old, ok := w.reads[c.url.String()+string(c.body)]
	if !ok || time.Since(old.at) > lagBy {
		return nil, false
	}
	again := httptest.NewRecorder()
	again.Code, again.Body = old.answer.Code, bytes.NewBuffer(old.answer.Body.Bytes())
	return again, true
}

// serve lets a call arrive.
func (w *wire) serve(c *call) *httptest.ResponseRecorder {
	rec := httptest.NewRecorder()
	func() {
		defer func() {
			if r := recover(); r != nil {
				if err, ok := r.(error); !ok || !errors.Is(err, http.ErrAbortHandler) {
					panic(r)
				}
				rec.Code = 0
			}
		}()
		w.h.sim.Handler().ServeHTTP(rec, c.request())
	}()
	w.h.note("platform: %s of %s answers %d", c.what, c.actor.name, rec.Code)
	w.see(c, rec)
	return rec
}

// see keeps what the platform made for which post, and which tokens it gave.
func (w *wire) see(c *call, rec *httptest.ResponseRecorder) {
	if rec.Code != http.StatusOK || !c.sends() {
		return
	}
	var said struct {
		ID   string `json:"id"`
		Data struct {
			PublishID string `json:"publish_id"`
		} `json:"data"`
		Access  string `json:"access_token"`
		Refresh string `json:"refresh_token"`
	}
	if json.Unmarshal(rec.Body.Bytes(), &said) != nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case c.op == "media":
		w.made[said.ID] = c.actor.post
	case said.Data.PublishID != "":
		w.made[said.Data.PublishID] = c.actor.post
	case said.Access != "":
		w.pairs = append(w.pairs, pair{said.Access, said.Refresh})
	}
}

// gave notes the tokens of a new consent.
func (w *wire) gave(p pair) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.pairs = append(w.pairs, p)
}

// arrive lets the late requests arrive whose time has come.
func (h *history) arrive() {
	w := h.wire
	w.mu.Lock()
	var now []lateRequest
	left := w.late[:0:0]
	for _, l := range w.late {
		if l.at.After(time.Now()) {
			left = append(left, l)
		} else {
			now = append(now, l)
		}
	}
	w.late = left
	w.mu.Unlock()
	for _, l := range now {
		h.note("late: %s of %s arrives", l.call.what, l.call.actor.name)
		w.serve(l.call)
	}
}

// files carries the platform's fetches of our files.
type files struct{ store *media.Store }

func (f files) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := f.store.NewRangeReader(r.Context(), strings.Split(r.URL.Path, "/")[2], 0, -1)
	if err != nil {
		return nil, err
	}
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"image/jpeg"}}, Body: body, Request: r}, nil
}

// app is the receiver of our webhooks.
type app struct {
	h *history

	mu sync.Mutex
	// got are the ids of the events by the post's correlation id, in the order in which each came first.
	got  map[string][]string
	seen map[string]bool
}

func (*app) CloseIdleConnections() {}

// RoundTrip receives a webhook.
func (p *app) RoundTrip(r *http.Request) (*http.Response, error) {
	h, ctx := p.h, r.Context()
	a := h.actorOf(ctx)
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	var event struct {
		ID   string `json:"id"`
		Type string `json:"type"`
	}
	if err := json.Unmarshal(body, &event); err != nil {
		return nil, err
	}
	subject := r.Header.Get("X-Request-ID")
	what := strings.TrimSpace("webhook " + event.Type + " of " + subject)
	if err := h.pass(ctx, a, what, false); err != nil {
		return nil, err
	}
	switch {
	case h.happens(a, "request lost: "+what, h.rates.app):
		return nil, errAway
	case h.happens(a, "refused: "+what, h.rates.app):
		return answer(500, "no"), nil
	}
	p.mu.Lock()
	if !p.seen[event.ID] {
		p.seen[event.ID] = true
		p.got[subject] = append(p.got[subject], event.ID)
	}
	p.mu.Unlock()
	if h.happens(a, "answer lost: "+what, h.rates.app) {
		return nil, errAway
	}
	return answer(200, "ok"), nil
}
