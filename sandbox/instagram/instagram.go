package instagram

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"socialqueue/sandbox/engine"
)

// Platform is the simulated Graph API for Instagram publishing with Facebook Login.
type Platform struct {
	host *engine.Host
	opts Options

	mu         sync.Mutex
	accounts   map[string]*account
	tokens     map[string]*graphToken
	containers map[string]*container
	media      map[string]*publishedMedia
	facebook   facebook
	double     DoublePublish
}

// Name of the platform, as it appears in a LivePost.
const Name = "instagram"

const (
	dialogPrefix = "/facebook"
	graphPrefix  = "/graph"
	uploadPrefix = "/rupload"
)

// New creates an Instagram for one server.
func New(opts Options) *Platform {
	opts = opts.withDefaults()
	return &Platform{opts: opts, double: opts.DoublePublish, accounts: map[string]*account{}, tokens: map[string]*graphToken{},
		containers: map[string]*container{}, media: map[string]*publishedMedia{},
		facebook: facebook{users: map[string]*facebookUser{}, codes: map[string]*facebookCode{}, subscriptions: map[string][]string{}}}
}

// Options returns the options in effect, with defaults filled in. A client takes its app credentials from here.
func (ig *Platform) Options() Options { return ig.opts }

// Name implements engine.Platform.
func (ig *Platform) Name() string { return Name }

// Attach implements engine.Platform.
func (ig *Platform) Attach(host *engine.Host) engine.Description {
	ig.host = host
	return engine.Description{
		Title: "Instagram",
		Routes: map[string]http.Handler{
			dialogPrefix + "/": http.StripPrefix(dialogPrefix, http.HandlerFunc(ig.serveDialog)),
			graphPrefix + "/":  http.StripPrefix(graphPrefix, http.HandlerFunc(ig.serveGraph)),
			uploadPrefix + "/": http.StripPrefix(uploadPrefix, http.HandlerFunc(ig.serveUpload)),
		},
		Ops: operations(),
		Control: []engine.Control{
			engine.Post("accounts/instagram", `{"ig_id":"17841400000000001","username":"bakery"}, or {} for made-up values`,
				func(a Account) (any, error) { return ig.AddAccount(a), nil }),
			engine.Post("accounts/facebook", `{"name":"Ann","pages":[{"name":"Bakery","instagram_id":"17841400000000001"}]}, or {} for one without Pages`,
				func(u FacebookUser) (any, error) { return ig.AddFacebookUser(u), nil }),
			engine.Post("webhooks/instagram", wantEntries, ig.postEntries),
			engine.Post("instagram/double_publish", wantDouble, ig.postDouble),
		},
		Revocations: []engine.Revocation{
			engine.Revoke("facebook", `{"platform":"facebook","id":"122...","subcode":460}`,
				`"page":"..." takes a Facebook user only the role on that Page`, ig.revokeAccess),
		},
		ConsentPath: dialogPrefix + "/{version}/dialog/oauth",
		Webhooks:    ig.webhookSender(),
	}
}

// DialogURL returns the base address of the simulated www.facebook.com, where users consent.
func (ig *Platform) DialogURL() string { return ig.host.URL() + dialogPrefix }

// GraphURL returns the base address of the simulated graph.facebook.com.
func (ig *Platform) GraphURL() string { return ig.host.URL() + graphPrefix }

// UploadURL returns the base address of the simulated rupload.facebook.com.
func (ig *Platform) UploadURL() string { return ig.host.URL() + uploadPrefix }

// graphCall is a parsed Graph request.
type graphCall struct {
	*engine.Exchange
	version string
	id      string
	edge    string
	node    string // what id stands for; "" for a call that does not exist

	params      url.Values // query and body together
	accessToken string
	token       *graphToken // what accessToken is; set by authorize, as is acc
	acc         *account    // of a call on an account
}

// graphRoute is one row of the API's table.
type graphRoute struct {
	op     string
	scopes []string // all of them are needed
	serve  func(*Platform, *graphCall) engine.Reply
}

var (
	readScopes    = []string{"instagram_basic"}
	publishScopes = []string{"instagram_basic", "instagram_content_publish"}
	commentScopes = []string{"instagram_basic", "instagram_manage_comments"}
)

// graphEdges are the calls on an account, its containers and its media.
var graphEdges = map[string]graphRoute{
	"POST account media":                   {OpContainer, publishScopes, (*Platform).createContainer},
	"POST account media_publish":           {OpPublish, publishScopes, (*Platform).publish},
	"GET account content_publishing_limit": {OpQuota, publishScopes, (*Platform).quota},
	"GET account media":                    {OpMedia, readScopes, (*Platform).listMedia},
	"GET account stories":                  {OpStories, readScopes, (*Platform).listStories},
	"GET account ":                         {OpAccount, readScopes, (*Platform).readAccount},
	"GET container ":                       {OpContainerStatus, publishScopes, (*Platform).readContainer},
	"GET media ":                           {OpPermalink, readScopes, (*Platform).readMedia},
	"POST media comments":                  {OpComment, commentScopes, (*Platform).createComment},
	"GET media comments":                   {OpComments, commentScopes, (*Platform).listComments},
}

func (ig *Platform) serveGraph(w http.ResponseWriter, r *http.Request) {
	x := ig.host.NewExchange(r)
	x.LogID = ig.newTrace()
	call := &graphCall{Exchange: x}
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	if isAppEndpoint(parts[0]) {
		parts = slices.Insert(parts, 0, "")
	}
	call.version = parts[0]
	if len(parts) > 1 {
		call.id = parts[1]
	}
	call.edge = strings.Join(parts[min(2, len(parts)):], "/")
	route := ig.route(call)
	x.Op = route.op
	ig.host.Perform(w, x, &graphFace{ig: ig, call: call}, func(*engine.Exchange) engine.Reply {
		return ig.call(call, route)
	})
}

// route finds the row of a call and the account it is about.
func (ig *Platform) route(c *graphCall) graphRoute {
	route, ok := ig.accountRoute(c)
	if !ok {
		route, ok = ig.loginRoute(c, peekParams(c.Request))
	}
	if !ok {
		route.op = "instagram.unknown"
	}
	return route
}

func (ig *Platform) accountRoute(c *graphCall) (graphRoute, bool) {
	ig.mu.Lock()
	defer ig.mu.Unlock()
	object, igID := "account", c.id
	switch {
	case ig.containers[c.id] != nil:
		object, igID = "container", ig.containers[c.id].account.IGID
	case ig.media[c.id] != nil:
		object, igID = "media", ig.media[c.id].container.account.IGID
	case ig.accounts[c.id] == nil:
		return graphRoute{}, false
	}
	c.Account = igID
	route, ok := graphEdges[c.Request.Method+" "+object+" "+c.edge]
	if ok {
		c.node = nodeAccount
	}
	return route, ok
}

// call makes the checks of every Graph call: version, parameters, token, proof, object, scope, call budget.
func (ig *Platform) call(c *graphCall, route graphRoute) engine.Reply {
	if !versionExists(c.version) && (c.version != "" || c.node != nodeApp) {
		return ig.fail(c.Exchange, graphError{Code: 2500, Message: "Unknown path components: /" + c.version})
	}
	params, err := readParams(c.Request)
	if err != nil {
		return ig.fail(c.Exchange, graphError{Code: 100, Message: err.Error()})
	}
	if e := checkEnded(params); e != nil {
		return ig.fail(c.Exchange, *e)
	}
	c.params = params
	c.accessToken = tokenOf(c.Request, params)
	if e := ig.authorize(c, route); e != nil {
		return ig.fail(c.Exchange, *e)
	}
	return route.serve(ig, c)
}

// tokenOf takes the token from the parameters or the header.
func tokenOf(r *http.Request, params url.Values) string {
	if token := params.Get("access_token"); token != "" {
		return token
	}
	return engine.Bearer(r)
}

func (ig *Platform) authorize(c *graphCall, route graphRoute) *graphError {
	if c.node == nodeApp {
		return nil
	}
	ig.mu.Lock()
	defer ig.mu.Unlock()
	var e *graphError
	if c.token, e = ig.checkToken(c.accessToken, c.Now); e != nil {
		return e
	}
	if e := ig.checkProof(c.accessToken, c.params.Get("appsecret_proof")); e != nil {
		return e
	}
	if !ig.reaches(c) {
		return c.unsupported()
	}
	if e := c.token.lacks(route.scopes); e != nil {
		return e
	}
	if c.node == nodeAccount {
		return ig.checkAccountCall(c)
	}
	if c.node == nodeUser && c.edge != "" && c.token.page != "" {
		return param(fmt.Sprintf("Tried accessing nonexisting field (%s) on node type (Page)", c.edge))
	}
	return nil
}

// unsupported returns the error for an object that does not exist or that the token has no access to.
func (c *graphCall) unsupported() *graphError {
	return &graphError{Code: 100, Subcode: 33, Message: fmt.Sprintf("Unsupported %s request. Object with ID '%s' does not exist, cannot be loaded due to missing permissions, or does not support this operation",
		strings.ToLower(c.Request.Method), c.id)}
}

// checkAccountCall makes the checks of calls on an Instagram account: the role on its Page to publish, and the call
// budget.
func (ig *Platform) checkAccountCall(c *graphCall) *graphError {
	c.acc = ig.accounts[c.Account]
	page, _ := ig.reach(c.token, c.Account)
	if c.Request.Method == http.MethodPost && page != nil && !page.mayPublish() {
		return &graphError{Code: 10}
	}
	if !c.acc.calls.Take("", c.Now, day, ig.opts.Limits.Calls) {
		return &graphError{Code: 80002}
	}
	return nil
}

// checkToken returns a valid token, or the error of a revoked (190 with its subcode), an expired (190/463) or an
// unknown one (190).
func (ig *Platform) checkToken(token string, now time.Time) (*graphToken, *graphError) {
	t := ig.tokens[token]
	switch {
	case t == nil:
		return nil, &graphError{Code: 190, Message: "Invalid OAuth access token - Cannot parse access token"}
	case t.dead != nil:
		return nil, t.dead
	case !t.expiresAt.IsZero() && !now.Before(t.expiresAt):
		return nil, &graphError{Code: 190, Subcode: 463, Message: "Error validating access token: Session has expired on " +
			t.expiresAt.UTC().Format("Monday, 02-Jan-06 15:04:05 MST") + "."}
	}
	return t, nil
}

// checkProof verifies appsecret_proof against the token of the call (Secure Requests).
func (ig *Platform) checkProof(token, proof string) *graphError {
	if proof == "" {
		if ig.opts.ProofOptional {
			return nil
		}
		return &graphError{Type: "GraphMethodException", Code: 100, Message: "API calls from the server require an appsecret_proof argument"}
	}
	mac := hmac.New(sha256.New, []byte(ig.opts.AppSecret))
	_, _ = io.WriteString(mac, token)
	if !hmac.Equal([]byte(proof), []byte(hex.EncodeToString(mac.Sum(nil)))) {
		return &graphError{Type: "GraphMethodException", Code: 100, Message: "Invalid appsecret_proof provided in the API argument"}
	}
	return nil
}

// peekParams reads the parameters before the call does.
func peekParams(r *http.Request) url.Values {
	ahead := *r
	ahead.Body = io.NopCloser(bytes.NewReader(engine.PeekBody(r)))
	params, _ := readParams(&ahead) // a mistake in them is answered when the call reads them
	return params
}

// readParams merges the query with a form or JSON body: Graph takes parameters in any of them.
func readParams(r *http.Request) (url.Values, error) {
	params := r.URL.Query()
	body, err := engine.ReadBody(r)
	if err != nil {
		return nil, err
	}
	if len(body) == 0 {
		return params, nil
	}
	mediaType, attrs, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch mediaType {
	case "application/json":
		return params, mergeJSON(params, body)
	case "application/x-www-form-urlencoded":
		form, err := url.ParseQuery(string(body))
		if err != nil {
			return nil, fmt.Errorf("malformed form body")
		}
		for k, v := range form {
			params[k] = v
		}
		return params, nil
	case "multipart/form-data":
		return params, mergeMultipart(params, body, attrs["boundary"])
	}
	return nil, engine.ClientText("Unsupported Content-Type " + strconv.Quote(mediaType))
}
