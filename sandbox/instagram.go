package sandbox

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"regexp"
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
}

func newInstagram(s *Server) *instagram {
	return &instagram{s: s, accounts: map[string]*instagramAccount{}, tokens: map[string]*graphToken{},
		containers: map[string]*igContainer{}, media: map[string]*igMedia{}}
}

// graphToken is a user or Page token and what it reaches.
type graphToken struct {
	accounts  map[string]bool // ig-ids
	scopes    []string
	expiresAt time.Time // zero: never
}

// graphCall is a Graph request taken apart.
type graphCall struct {
	*exchange
	version string
	id      string
	edge    string
	params  url.Values // query and body together
	token   string
	acc     *instagramAccount // set by authorize
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
	call.version = parts[0]
	if len(parts) > 1 {
		call.id = parts[1]
	}
	call.edge = strings.Join(parts[min(2, len(parts)):], "/")
	route, known := ig.route(call)
	x.op = route.op
	ig.s.perform(w, x, &graphFace{ig: ig, call: call}, func(*exchange) reply {
		return ig.call(call, route, known)
	})
}

// route finds the row for a call and the account it is about.
func (ig *instagram) route(c *graphCall) (graphRoute, bool) {
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
	if !ok {
		return graphRoute{op: "instagram.unknown"}, false
	}
	return route, true
}

// call checks what every Graph call checks: version, token, proof, object, scope, call budget.
func (ig *instagram) call(c *graphCall, route graphRoute, known bool) reply {
	if !ig.versionExists(c) {
		return ig.fail(c.exchange, graphError{Code: 2500, Message: "Unknown path components: /" + c.version})
	}
	params, err := readParams(c.r)
	if err != nil {
		return ig.fail(c.exchange, graphError{Code: 100, Message: err.Error()})
	}
	c.params = params
	c.token = c.params.Get("access_token")
	if c.token == "" {
		c.token = bearer(c.r)
	}
	if e := ig.authorize(c, route, known); e != nil {
		return ig.fail(c.exchange, *e)
	}
	return route.serve(ig, c)
}

func (ig *instagram) authorize(c *graphCall, route graphRoute, known bool) *graphError {
	ig.mu.Lock()
	defer ig.mu.Unlock()
	token, e := ig.checkToken(c.token, c.now)
	if e != nil {
		return e
	}
	if e := ig.checkProof(c.token, c.params.Get("appsecret_proof")); e != nil {
		return e
	}
	if !known || !token.accounts[c.account] {
		return &graphError{Code: 100, Subcode: 33, Message: fmt.Sprintf("Unsupported %s request. Object with ID '%s' does not exist, cannot be loaded due to missing permissions, or does not support this operation",
			strings.ToLower(c.r.Method), c.id)}
	}
	for _, scope := range route.scopes {
		if !slices.Contains(token.scopes, scope) {
			return &graphError{Code: 200, Message: "(#200) Requires " + scope + " permission"}
		}
	}
	c.acc = ig.accounts[c.account]
	if !c.acc.calls.take("", c.now, day, ig.s.opts.Limits.InstagramCalls) {
		return &graphError{Code: 80002}
	}
	return nil
}

// checkToken tells a live token from an expired (190/463) and an unknown one (190).
func (ig *instagram) checkToken(token string, now time.Time) (*graphToken, *graphError) {
	t := ig.tokens[token]
	switch {
	case t == nil:
		return nil, &graphError{Code: 190, Message: "Invalid OAuth access token - Cannot parse access token"}
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

// graphVersions are the versions known in November 2026 with the day each stops working (Graph API, Versions).
var graphVersions = []struct {
	name  string
	until string // "" for not set
}{
	{"v20.0", "2026-09-24"}, {"v21.0", "2027-01-21"}, {"v22.0", "2027-05-20"}, {"v23.0", "2027-10-08"},
	{"v24.0", "2028-02-18"}, {"v25.0", "2028-07-29"}, {"v26.0", ""},
}

var versionPattern = regexp.MustCompile(`^v(\d{1,3})\.0$`)

// versionExists refuses a missing segment and a version newer than the newest.
func (ig *instagram) versionExists(c *graphCall) bool {
	newest := graphVersions[len(graphVersions)-1].name
	return versionPattern.MatchString(c.version) && versionNumber(c.version) <= versionNumber(newest)
}

// servedVersion: a retired version is served by the oldest one still alive; the answer's header says so.
func servedVersion(asked string, now time.Time) string {
	for _, v := range graphVersions {
		alive := v.until == "" || now.UTC().Format(time.DateOnly) < v.until
		if alive && versionNumber(v.name) >= versionNumber(asked) {
			return v.name
		}
	}
	return graphVersions[len(graphVersions)-1].name
}

func versionNumber(v string) int {
	m := versionPattern.FindStringSubmatch(v)
	if m == nil {
		return 0
	}
	n, _ := strconv.Atoi(m[1])
	return n
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
