package tiktok

import (
	"encoding/json"
	"io"
	"mime"
	"net/http"
	"strings"
	"sync"
	"time"

	"socialqueue/sandbox/engine"
)

// Platform is the simulated Login Kit and Content Posting API.
type Platform struct {
	host *engine.Host
	opts Options

	mu       sync.Mutex
	accounts map[string]*account       // by open_id
	codes    map[string]*authCode      // used and expired ones too: their use is logged under their account
	access   map[string]*accessToken   // by access token, dead ones too
	refresh  map[string]string         // refresh token to open_id, dead ones too
	posts    map[string]*publishTask   // by publish_id
	uploads  map[string]*publishTask   // by upload_id
	pending  map[*publishTask]struct{} // not yet in a final state
	review   map[*publishTask]struct{} // published, in moderation: no id yet
	calls    engine.Windows            // by endpoint and token
	creators engine.Windows            // direct posts per account; len counts the active creators
}

// Name of the platform, as it appears in a LivePost.
const Name = "tiktok"

const title = "TikTok"

const (
	apiPrefix  = "/tiktok"
	authPrefix = "/tiktok-auth"
)

// New creates a TikTok for one server.
func New(opts Options) *Platform {
	return &Platform{
		opts: opts.withDefaults(), accounts: map[string]*account{}, codes: map[string]*authCode{}, access: map[string]*accessToken{},
		refresh: map[string]string{}, posts: map[string]*publishTask{}, uploads: map[string]*publishTask{}, pending: map[*publishTask]struct{}{},
		review: map[*publishTask]struct{}{}, calls: engine.Windows{}, creators: engine.Windows{},
	}
}

// Options returns the options in effect, with defaults filled in. A client takes its app credentials from here.
func (t *Platform) Options() Options { return t.opts }

// Name implements engine.Platform.
func (t *Platform) Name() string { return Name }

// Attach implements engine.Platform.
func (t *Platform) Attach(host *engine.Host) engine.Description {
	t.host = host
	return engine.Description{
		Title: title,
		Routes: map[string]http.Handler{
			apiPrefix + "/":   http.StripPrefix(apiPrefix, http.HandlerFunc(t.serveAPI)),
			authPrefix + "/":  http.StripPrefix(authPrefix, http.HandlerFunc(t.serveAuth)),
			"/tiktok-upload/": http.HandlerFunc(t.serveUpload),
		},
		Ops:    operations,
		Settle: t.settleAll,
		Control: []engine.Control{
			engine.Post("accounts/tiktok", `{"open_id":"-000Sim","username":"simcafe","private":true}, or {} for made-up values`,
				func(a Account) (any, error) { return t.AddAccount(a), nil }),
		},
		Revocations: []engine.Revocation{
			engine.Revoke("tiktok", `{"platform":"tiktok","id":"-000Sim"}`, `"access_only":true spares TikTok's refresh token`, t.revoke),
		},
		ConsentPath: authPrefix + "/v2/auth/authorize/",
		Webhooks:    t.webhookSender(),
	}
}

// URL returns the base address of the simulated open.tiktokapis.com.
func (t *Platform) URL() string { return t.host.URL() + apiPrefix }

// AuthURL returns the base address of the simulated www.tiktok.com, where users consent.
func (t *Platform) AuthURL() string { return t.host.URL() + authPrefix }

// endpoint is one row of the API's table.
type endpoint struct {
	method string
	op     string
	scopes []string // one of them is enough
	limit  func(*Limits) int
	serve  func(*Platform, *engine.Exchange, *account) engine.Reply // called with mu held
}

var endpoints = map[string]endpoint{
	"/v2/post/publish/creator_info/query/": {http.MethodPost, OpCreatorInfo, []string{"video.publish"},
		func(l *Limits) int { return l.CreatorInfo }, (*Platform).creatorInfo},
	"/v2/post/publish/video/init/": {http.MethodPost, OpInit, []string{"video.publish"},
		func(l *Limits) int { return l.Init }, (*Platform).initDirect},
	"/v2/post/publish/inbox/video/init/": {http.MethodPost, OpInbox, []string{"video.upload"},
		func(l *Limits) int { return l.Inbox }, (*Platform).initInbox},
	"/v2/post/publish/content/init/": {http.MethodPost, OpPhoto, []string{"video.publish", "video.upload"},
		func(l *Limits) int { return l.Photo }, (*Platform).initPhoto},
	"/v2/post/publish/status/fetch/": {http.MethodPost, OpStatus, []string{"video.publish", "video.upload"},
		func(l *Limits) int { return l.Status }, (*Platform).status},
	"/v2/post/publish/cancel/": {http.MethodPost, OpCancel, []string{"video.publish", "video.upload"},
		func(*Limits) int { return 0 }, (*Platform).cancel},
	"/v2/user/info/": {http.MethodGet, OpUserInfo, userInfoScopes,
		func(*Limits) int { return 0 }, (*Platform).userInfo},
}

func (t *Platform) serveAPI(w http.ResponseWriter, r *http.Request) {
	x := t.host.NewExchange(r)
	x.LogID = logID(t.host.NextID(), x.Now)
	if serve, ok := oauthCalls[r.URL.Path]; ok && r.Method == http.MethodPost {
		t.serveOAuth(w, x, serve)
		return
	}
	x.Account = t.owner(r)
	ep, ok := endpoints[r.URL.Path]
	if !ok || r.Method != ep.method {
		x.Op = "tiktok.unknown"
		t.host.Answer(w, x, t, unsupportedPath())
		return
	}
	x.Op = ep.op
	t.host.Perform(w, x, t, func(x *engine.Exchange) engine.Reply { return t.call(x, ep) })
}

// unsupportedPath is the answer of TikTok's gateway to an unknown path, including one without the trailing slash.
func unsupportedPath() engine.Reply {
	rep := engine.TextReply(http.StatusNotFound, "text/plain; charset=utf-8", "Unsupported path(Janus)")
	rep.Header["X-Janus-Info"] = []string{"sandbox"}
	return rep
}

// call makes the checks of every endpoint, in TikTok's order: token, scope, rate, body.
func (t *Platform) call(x *engine.Exchange, ep endpoint) engine.Reply {
	body, err := engine.ReadBody(x.Request)
	t.mu.Lock()
	defer t.mu.Unlock()
	token, acc := t.authorize(x.Request, x.Now)
	switch {
	case acc == nil:
		return t.fail(x, "access_token_invalid", "")
	case !acc.hasScope(ep.scopes):
		return t.fail(x, "scope_not_authorized", "")
	case !t.calls.Take(ep.op+" "+token, x.Now, time.Minute, ep.limit(t.opts.Limits)):
		return t.fail(x, "rate_limit_exceeded", "")
	case err != nil:
		return t.fail(x, "invalid_params", err.Error())
	}
	x.Request.Body = io.NopCloser(strings.NewReader(string(body)))
	return ep.serve(t, x, acc)
}

// decode reads a JSON body. A wrong type is an error, an unknown field is not.
func decode(r *http.Request, v any) error {
	if mt, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); mt != "application/json" {
		return engine.ClientText("Content-Type must be application/json; charset=UTF-8")
	}
	if err := json.NewDecoder(r.Body).Decode(v); err != nil {
		return engine.ClientText("The request body is not valid JSON for this endpoint")
	}
	return nil
}

// owner returns the account of the request's token, valid or not, for faults and the call log.
func (t *Platform) owner(r *http.Request) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.ownerOf(engine.Bearer(r))
}

func (t *Platform) authorize(r *http.Request, now time.Time) (string, *account) {
	token := engine.Bearer(r)
	return token, t.holder(token, now)
}

// Finish adds the log id header of TikTok's gateway.
func (t *Platform) Finish(x *engine.Exchange, rep *engine.Reply) {
	if rep.Header == nil {
		rep.Header = http.Header{}
	}
	rep.Header.Set("X-Tt-Logid", x.LogID)
}
