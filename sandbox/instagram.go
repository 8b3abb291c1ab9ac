package sandbox

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
)

// instagram is the simulated Graph API for Instagram publishing with Facebook Login.
type instagram struct {
	s *Server

	mu         sync.Mutex
	accounts   map[string]*instagramAccount
	tokens     map[string]*graphToken
	containers map[string]*igContainer
	media      map[string]*igMedia
	facebook   facebook
}

func newInstagram(s *Server) *instagram {
	return &instagram{s: s, accounts: map[string]*instagramAccount{}, tokens: map[string]*graphToken{},
		containers: map[string]*igContainer{}, media: map[string]*igMedia{},
		facebook: facebook{users: map[string]*facebookUser{}, codes: map[string]*facebookCode{}}}
}

// graphCall is a Graph request taken apart.
type graphCall struct {
	*exchange
	version string
	id      string
	edge    string
	node    string // what id stands for; "" for a call that does not exist

	params      url.Values // query and body together
	accessToken string
	token       *graphToken       // what accessToken is; set by authorize, as is acc
	acc         *instagramAccount // of a call on an account
}

// graphRoute is one row of the API's table.
type graphRoute struct {
	op     string
	scopes []string // all of them are needed
	serve  func(*instagram, *graphCall) reply
}

var (
	readScopes    = []string{"instagram_basic"}
	publishScopes = []string{"instagram_basic", "instagram_content_publish"}
)

// graphEdges are the calls on an account; what a bare id means depends on the object behind it.
var graphEdges = map[string]graphRoute{
	"POST media":                   {OpInstagramContainer, publishScopes, (*instagram).createContainer},
	"POST media_publish":           {OpInstagramPublish, publishScopes, (*instagram).publish},
	"GET content_publishing_limit": {OpInstagramQuota, publishScopes, (*instagram).quota},
	"GET media":                    {OpInstagramMedia, readScopes, (*instagram).listMedia},
	"GET stories":                  {OpInstagramStories, readScopes, (*instagram).listStories},
	"GET ":                         {OpInstagramAccount, readScopes, (*instagram).readAccount},
	"GET container":                {OpInstagramContainerStatus, publishScopes, (*instagram).readContainer},
	"GET media object":             {OpInstagramPermalink, readScopes, (*instagram).readMedia},
}

func (ig *instagram) serveGraph(w http.ResponseWriter, r *http.Request) {
	x := ig.s.newExchange(r)
	x.logID = ig.s.ids.trace()
	call := &graphCall{exchange: x}
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
	x.op = route.op
	ig.s.perform(w, x, &graphFace{ig: ig, call: call}, func(*exchange) reply {
		return ig.call(call, route)
	})
}

// route finds the row for a call and whom it is about.
func (ig *instagram) route(c *graphCall) graphRoute {
	route, ok := ig.accountRoute(c)
	if !ok {
		route, ok = ig.loginRoute(c, peekParams(c.r))
	}
	if !ok {
		route.op = "instagram.unknown"
	}
	return route
}

func (ig *instagram) accountRoute(c *graphCall) (graphRoute, bool) {
	ig.mu.Lock()
	defer ig.mu.Unlock()
	key := c.r.Method + " " + c.edge
	switch {
	case ig.accounts[c.id] != nil:
		c.account = c.id
	case c.edge != "":
		key = ""
	case ig.containers[c.id] != nil:
		c.account = ig.containers[c.id].account.IGID
		key = c.r.Method + " container"
	case ig.media[c.id] != nil:
		c.account = ig.media[c.id].container.account.IGID
		key = c.r.Method + " media object"
	default:
		key = ""
	}
	route, ok := graphEdges[key]
	if ok {
		c.node = nodeAccount
	}
	return route, ok
}

// call checks what every Graph call checks: version, token, proof, object, scope, call budget.
func (ig *instagram) call(c *graphCall, route graphRoute) reply {
	if !versionExists(c.version) && (c.version != "" || c.node != nodeApp) {
		return ig.fail(c.exchange, graphError{Code: 2500, Message: "Unknown path components: /" + c.version})
	}
	params, err := readParams(c.r)
	if err != nil {
		return ig.fail(c.exchange, graphError{Code: 100, Message: err.Error()})
	}
	c.params = params
	c.accessToken = tokenOf(c.r, params)
	if e := ig.authorize(c, route); e != nil {
		return ig.fail(c.exchange, *e)
	}
	return route.serve(ig, c)
}

// tokenOf takes the token from the parameters or the header.
func tokenOf(r *http.Request, params url.Values) string {
	if token := params.Get("access_token"); token != "" {
		return token
	}
	return bearer(r)
}

func (ig *instagram) authorize(c *graphCall, route graphRoute) *graphError {
	if c.node == nodeApp {
		return nil
	}
	ig.mu.Lock()
	defer ig.mu.Unlock()
	var e *graphError
	if c.token, e = ig.checkToken(c.accessToken, c.now); e != nil {
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
		return ig.admit(c)
	}
	if c.node == nodeUser && c.edge != "" && c.token.page != "" {
		return param(fmt.Sprintf("Tried accessing nonexisting field (%s) on node type (Page)", c.edge))
	}
	return nil
}

// unsupported is the answer about an object that is not there, or not for this token.
func (c *graphCall) unsupported() *graphError {
	return &graphError{Code: 100, Subcode: 33, Message: fmt.Sprintf("Unsupported %s request. Object with ID '%s' does not exist, cannot be loaded due to missing permissions, or does not support this operation",
		strings.ToLower(c.r.Method), c.id)}
}

// admit checks what only calls on an Instagram account need: the role on its Page to publish, and the call budget.
func (ig *instagram) admit(c *graphCall) *graphError {
	c.acc = ig.accounts[c.account]
	page, _ := ig.reach(c.token, c.account)
	if c.r.Method == http.MethodPost && page != nil && !page.mayPublish() {
		return &graphError{Code: 10}
	}
	if !c.acc.calls.take("", c.now, day, ig.s.opts.Limits.InstagramCalls) {
		return &graphError{Code: 80002}
	}
	return nil
}

// checkToken tells a live token from a killed (190 and why), an expired (190/463) and an unknown one (190).
func (ig *instagram) checkToken(token string, now time.Time) (*graphToken, *graphError) {
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

// checkProof verifies appsecret_proof against the token of this very call (Secure Requests).
func (ig *instagram) checkProof(token, proof string) *graphError {
	if proof == "" {
		if ig.s.opts.ProofOptional {
			return nil
		}
		return &graphError{Type: "GraphMethodException", Code: 100, Message: "API calls from the server require an appsecret_proof argument"}
	}
	mac := hmac.New(sha256.New, []byte(ig.s.opts.FacebookAppSecret))
	_, _ = io.WriteString(mac, token)
	if !hmac.Equal([]byte(proof), []byte(hex.EncodeToString(mac.Sum(nil)))) {
		return &graphError{Type: "GraphMethodException", Code: 100, Message: "Invalid appsecret_proof provided in the API argument"}
	}
	return nil
}

// peekParams reads the parameters ahead of the call.
func peekParams(r *http.Request) url.Values {
	ahead := *r
	ahead.Body = io.NopCloser(bytes.NewReader(peekBody(r)))
	params, _ := readParams(&ahead) // a mistake in them is answered when the call reads them
	return params
}

// readParams merges the query with a form or JSON body; Graph takes parameters in any of them.
func readParams(r *http.Request) (url.Values, error) {
	params := r.URL.Query()
	body, err := readBody(r)
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
	return nil, apiText("Unsupported Content-Type " + strconv.Quote(mediaType))
}
