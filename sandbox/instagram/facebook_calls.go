package instagram

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"socialqueue/sandbox/engine"
)

// What a Graph call can be on.
const (
	nodeApp      = "app" // the app itself: its credentials are among the parameters
	nodeUser     = "user"
	nodePage     = "page"
	nodeBusiness = "business"
	nodeAccount  = "account" // an Instagram account, its containers and media
)

var (
	pageScopes     = []string{"pages_show_list"}
	businessScopes = []string{"business_management"}
	manageScopes   = []string{"pages_manage_metadata"}
)

// loginEdges are the calls that connect an account (Facebook Login, Graph API User and Business).
var loginEdges = map[string]graphRoute{
	"GET app oauth/access_token":  {OpExchangeCode, nil, (*Platform).accessToken},
	"POST app oauth/access_token": {OpExchangeCode, nil, (*Platform).accessToken},
	"GET app debug_token":         {OpDebugToken, nil, (*Platform).debugToken},
	"GET user ":                   {OpMe, nil, (*Platform).readMe},
	"GET user permissions":        {OpPermissions, nil, (*Platform).readPermissions},
	"GET user accounts":           {OpPages, pageScopes, (*Platform).listPages},
	"GET user businesses":         {OpBusinesses, businessScopes, (*Platform).listBusinesses},
	"GET business owned_pages":    {OpBusinessPages, businessScopes, (*Platform).listBusinessPages},
	"GET business client_pages":   {OpBusinessPages, businessScopes, (*Platform).listBusinessPages},
	"GET page ":                   {OpPage, pageScopes, (*Platform).readPage},
	"POST page subscribed_apps":   {OpSubscribe, manageScopes, (*Platform).subscribeApp},
	"GET page subscribed_apps":    {OpSubscriptions, manageScopes, (*Platform).listSubscribedApps},
	"DELETE user permissions":     {OpRevoke, nil, (*Platform).deletePermissions},
}

// loginRoute finds the row for a call of the login flow. Only the parameters tell the two token exchanges apart, and
// whose call it is.
func (ig *Platform) loginRoute(c *graphCall, params url.Values) (graphRoute, bool) {
	ig.mu.Lock()
	defer ig.mu.Unlock()
	node, edge := ig.loginNode(c.id), c.edge
	if node == nodeApp {
		edge = strings.Trim(c.id+"/"+c.edge, "/")
	}
	if c.Request.Method == http.MethodDelete {
		edge, _, _ = strings.Cut(edge, "/") // the name of one permission may follow
	}
	route, ok := loginEdges[c.Request.Method+" "+node+" "+edge]
	if !ok {
		return route, false
	}
	if params.Get("grant_type") == exchangeGrant {
		route.op = OpExchangeToken
	}
	c.node, c.Account = node, ig.callerOf(tokenOf(c.Request, params), params)
	return route, true
}

// loginNode returns what an id stands for.
func (ig *Platform) loginNode(id string) string {
	if isAppEndpoint(id) {
		return nodeApp
	}
	if id == "me" || ig.facebook.users[id] != nil {
		return nodeUser
	}
	for _, u := range ig.facebook.users {
		for _, p := range u.Pages {
			switch id {
			case p.ID:
				return nodePage
			case p.Business:
				return nodeBusiness
			}
		}
	}
	return ""
}

// isAppEndpoint reports whether a path may omit the version.
func isAppEndpoint(id string) bool { return id == "oauth" || id == "debug_token" }

// reaches reports whether the call's token has access to the object of the call.
func (ig *Platform) reaches(c *graphCall) bool {
	user := c.token.user
	switch c.node {
	case nodeAccount:
		_, ok := ig.reach(c.token, c.Account)
		return ok
	case nodeUser:
		return user != nil && (c.id == "me" || c.id == user.ID)
	case nodePage:
		return user != nil && user.page(c.id) != nil && c.token.covers(c.id)
	case nodeBusiness:
		return user != nil && c.token.page == "" &&
			slices.ContainsFunc(user.Pages, func(p FacebookPage) bool { return p.Business == c.id })
	}
	return false
}

// readMe answers GET /me: the user, or the Page of a Page token.
func (ig *Platform) readMe(c *graphCall) engine.Reply {
	ig.mu.Lock()
	defer ig.mu.Unlock()
	me := map[string]any{"id": c.token.user.ID, "name": c.token.user.Name}
	if page := c.token.user.page(c.token.page); page != nil {
		me = map[string]any{"id": page.ID, "name": page.Name}
	}
	if c.params.Get("fields") == "" {
		return ig.ok(c, me)
	}
	return ig.selectFields(c, me)
}

func (ig *Platform) readPermissions(c *graphCall) engine.Reply {
	ig.mu.Lock()
	defer ig.mu.Unlock()
	return ig.ok(c, map[string]any{"data": c.token.user.permissions})
}

// deletePermissions withdraws one permission, or removes the app, which ends every token of the user.
func (ig *Platform) deletePermissions(c *graphCall) engine.Reply {
	ig.mu.Lock()
	defer ig.mu.Unlock()
	user := c.token.user
	_, scope, one := strings.Cut(c.edge, "/")
	switch {
	case !one:
		ig.kill(user, appRemoved)
	case user.status(scope) == "":
		return ig.fail(c.Exchange, *param(fmt.Sprintf("The permission %s was not asked for", scope)))
	default:
		user.setStatus(scope, statusDeclined)
	}
	return ig.ok(c, map[string]bool{"success": true})
}
