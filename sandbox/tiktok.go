package sandbox

import (
	"encoding/json"
	"io"
	"mime"
	"net/http"
	"strings"
	"sync"
	"time"
)

// tiktok is the simulated Login Kit and Content Posting API.
type tiktok struct {
	s *Server

	mu       sync.Mutex
	accounts map[string]*tiktokAccount   // by open_id
	codes    map[string]*tiktokCode      // used and expired ones too: their use is logged under their account
	access   map[string]*tiktokToken     // by access token, dead ones too
	refresh  map[string]string           // refresh token to open_id, dead ones too
	posts    map[string]*tiktokPublish   // by publish_id
	uploads  map[string]*tiktokPublish   // by upload_id
	pending  map[*tiktokPublish]struct{} // not yet in a final state
	review   map[*tiktokPublish]struct{} // published, in moderation: no id yet
	calls    windows                     // by endpoint and token
	creators windows                     // direct posts per account; len counts the active creators
}

func newTikTok(s *Server) *tiktok {
	return &tiktok{
		s: s, accounts: map[string]*tiktokAccount{}, codes: map[string]*tiktokCode{}, access: map[string]*tiktokToken{},
		refresh: map[string]string{}, posts: map[string]*tiktokPublish{}, uploads: map[string]*tiktokPublish{}, pending: map[*tiktokPublish]struct{}{},
		review: map[*tiktokPublish]struct{}{}, calls: windows{}, creators: windows{},
	}
}

// tiktokEndpoint is one row of the API's table.
type tiktokEndpoint struct {
	method string
	op     string
	scopes []string // one of them is enough
	limit  func(*Limits) int
	serve  func(*tiktok, *exchange, *tiktokAccount) reply // called with mu held
}

var tiktokEndpoints = map[string]tiktokEndpoint{
	"/v2/post/publish/creator_info/query/": {http.MethodPost, OpTikTokCreatorInfo, []string{"video.publish"},
		func(l *Limits) int { return l.TikTokCreatorInfo }, (*tiktok).creatorInfo},
	"/v2/post/publish/video/init/": {http.MethodPost, OpTikTokInit, []string{"video.publish"},
		func(l *Limits) int { return l.TikTokInit }, (*tiktok).initDirect},
	"/v2/post/publish/inbox/video/init/": {http.MethodPost, OpTikTokInbox, []string{"video.upload"},
		func(l *Limits) int { return l.TikTokInbox }, (*tiktok).initInbox},
	"/v2/post/publish/status/fetch/": {http.MethodPost, OpTikTokStatus, []string{"video.publish", "video.upload"},
		func(l *Limits) int { return l.TikTokStatus }, (*tiktok).status},
	"/v2/post/publish/cancel/": {http.MethodPost, OpTikTokCancel, []string{"video.publish", "video.upload"},
		func(*Limits) int { return 0 }, (*tiktok).cancel},
	"/v2/user/info/": {http.MethodGet, OpTikTokUserInfo, userInfoScopes,
		func(*Limits) int { return 0 }, (*tiktok).userInfo},
}

func (t *tiktok) serveAPI(w http.ResponseWriter, r *http.Request) {
	x := t.s.newExchange(r)
	x.logID = t.s.ids.logID(x.now)
	if serve, ok := tiktokOAuth[r.URL.Path]; ok && r.Method == http.MethodPost {
		t.serveOAuth(w, x, serve)
		return
	}
	x.account = t.owner(r)
	ep, ok := tiktokEndpoints[r.URL.Path]
	if !ok || r.Method != ep.method {
		x.op = "tiktok.unknown"
		t.s.answer(w, x, t, unsupportedPath(), "")
		return
	}
	x.op = ep.op
	t.s.perform(w, x, t, func(x *exchange) reply { return t.call(x, ep) })
}

// unsupportedPath is the gateway's text, which a client also meets when it forgets the trailing slash.
func unsupportedPath() reply {
	rep := textReply(http.StatusNotFound, "text/plain; charset=utf-8", "Unsupported path(Janus)")
	rep.header["X-Janus-Info"] = []string{"sandbox"}
	return rep
}

// call checks what every endpoint checks, in TikTok's order: token, scope, rate, body.
func (t *tiktok) call(x *exchange, ep tiktokEndpoint) reply {
	body, err := readBody(x.r)
	t.mu.Lock()
	defer t.mu.Unlock()
	token, acc := t.authorize(x.r, x.now)
	switch {
	case acc == nil:
		return t.fail(x, "access_token_invalid", "")
	case !acc.hasScope(ep.scopes):
		return t.fail(x, "scope_not_authorized", "")
	case !t.calls.take(ep.op+" "+token, x.now, time.Minute, ep.limit(t.s.opts.Limits)):
		return t.fail(x, "rate_limit_exceeded", "")
	case err != nil:
		return t.fail(x, "invalid_params", err.Error())
	}
	x.r.Body = io.NopCloser(strings.NewReader(string(body)))
	return ep.serve(t, x, acc)
}

func readBody(r *http.Request) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxRequestBody+1))
	if err == nil && len(body) > maxRequestBody {
		err = apiText("The request body is too large")
	}
	return body, err
}

// decode reads the JSON body; a type mismatch is an error, an unknown field is not.
func decode(r *http.Request, v any) error {
	if mt, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); mt != "application/json" {
		return apiText("Content-Type must be application/json; charset=UTF-8")
	}
	if err := json.NewDecoder(r.Body).Decode(v); err != nil {
		return apiText("The request body is not valid JSON for this endpoint")
	}
	return nil
}

func bearer(r *http.Request) string {
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok {
		return ""
	}
	return token
}

// owner tells whose token a request carries, valid or not, for faults and the call log.
func (t *tiktok) owner(r *http.Request) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.ownerOf(bearer(r))
}

func (t *tiktok) authorize(r *http.Request, now time.Time) (string, *tiktokAccount) {
	token := bearer(r)
	return token, t.holder(token, now)
}

// finish adds the log id header of TikTok's gateway.
func (t *tiktok) finish(x *exchange, rep *reply) {
	if rep.header == nil {
		rep.header = http.Header{}
	}
	rep.header.Set("X-Tt-Logid", x.logID)
}
